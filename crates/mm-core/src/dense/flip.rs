//! Left and right exchanged, and turns.

use crate::data::{Inputs, Reading, Schema};
use crate::error::Result;
use crate::modality::{Presence, Subset};
use crate::model::{Encoded, Model, Output, SensorTrust};
use crate::nn::Parameters;
use candle_core::{D, Tensor};
use std::any::Any;

/// `[.., width]` mirrored: what was left is right. Its own inverse.
pub fn mirrored(maps: &Tensor) -> Result<Tensor> {
    let last = maps.rank().saturating_sub(1);
    let width = maps.dim(last)? as u32;
    let backwards: Vec<u32> = (0..width).rev().collect();
    Ok(maps.contiguous()?.index_select(&Tensor::from_vec(backwards, width as usize, maps.device())?, last)?)
}

/// `[.., height, width]` with rows as columns: `[.., width, height]`. Its own inverse.
fn transposed(maps: &Tensor) -> Result<Tensor> {
    Ok(maps.transpose(D::Minus1, D::Minus2)?.contiguous()?)
}

/// One of the two moves that all mirrorings and quarter turns are made of; each is its own inverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Mirror,
    Transpose,
}

use Move::{Mirror as M, Transpose as T};

/// Nothing, and left and right exchanged.
const FLIPS: &[&[Move]] = &[&[], &[M]];
/// All that leave a square as it is: four quarter turns, and the same mirrored.
const TURNS: &[&[Move]] = &[&[], &[M], &[T], &[M, T], &[T, M], &[M, T, M], &[T, M, T], &[M, T, M, T]];

fn moved<'m>(maps: &Tensor, moves: impl Iterator<Item = &'m Move>) -> Result<Tensor> {
    let mut maps = maps.clone();
    for step in moves {
        maps = match step {
            M => mirrored(&maps)?,
            T => transposed(&maps)?,
        };
    }
    Ok(maps)
}

/// A model for label maps that is asked several times, with mirrored and perhaps turned inputs, and answers with the mean of the scores, each
/// moved back: so many times the work of a prediction. Its features and what it says of trust are those of the inputs as they are.
pub struct Flipped {
    model: Box<dyn Model>,
    /// How the inputs are moved; the first leaves them as they are.
    ways: &'static [&'static [Move]],
}

impl Flipped {
    /// Asks twice: as it is, and mirrored. Of a model that reads maps `[batch, channels, height, width]` and predicts
    /// `[batch, classes, height, width]`.
    pub fn new(model: Box<dyn Model>) -> Self {
        Self { model, ways: FLIPS }
    }

    /// Asks eight times: in all quarter turns, each mirrored as well. For images without an up and a down, such as those from above.
    pub fn turned(model: Box<dyn Model>) -> Self {
        Self { model, ways: TURNS }
    }

    /// The model without moves, whether it has some or not.
    pub(crate) fn unwrapped(model: Box<dyn Model>) -> Box<dyn Model> {
        let any: &dyn Any = &*model;
        if !any.is::<Self>() {
            return model;
        }
        let any: Box<dyn Any> = model;
        match any.downcast::<Self>() {
            Ok(flipped) => flipped.model,
            Err(_) => unreachable!("its type was just looked at"),
        }
    }

    /// The model that is asked.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }
}

/// Turned, a map that is no square has another shape.
fn moved_inputs(inputs: &Inputs, moves: &[Move]) -> Result<Inputs> {
    let turn = |reading: &Option<Reading>| reading.as_ref().map(|reading| moved(&reading.values, moves.iter())).transpose();
    let readings = inputs.readings().iter().map(turn).collect::<Result<Vec<_>>>()?;
    Inputs::new(inputs.modalities(), readings, inputs.presence().clone(), inputs.ids().to_vec())
}

impl Model for Flipped {
    fn schema(&self) -> &Schema {
        self.model.schema()
    }

    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    /// What the model encodes of the inputs, and behind it what it encodes of them as they are moved.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        let mut encoded = self.model.encode(inputs)?;
        for moves in &self.ways[1..] {
            let other = self.model.encode(&moved_inputs(inputs, moves)?)?;
            encoded.tensors.extend(other.tensors);
            encoded.encoder_passes += other.encoder_passes;
        }
        Ok(encoded)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        let each = encoded.tensors.len() / self.ways.len();
        let of = |way: usize| Encoded { tensors: encoded.tensors[way * each..][..each].to_vec(), ..encoded.clone() };
        let output = self.model.fuse(&of(0), presence)?;
        let mut sum = output.prediction.clone();
        for (way, moves) in self.ways.iter().enumerate().skip(1) {
            let prediction = self.model.fuse(&of(way), presence)?.prediction;
            sum = (sum + moved(&prediction, moves.iter().rev())?)?;
        }
        Ok(Output { prediction: (sum * (1.0 / self.ways.len() as f64))?, ..output })
    }

    fn reads(&self) -> Subset {
        self.model.reads()
    }

    fn supports(&self, subset: Subset) -> bool {
        self.model.supports(subset)
    }

    fn trust(&self, inputs: &Inputs) -> Result<Option<Vec<Vec<SensorTrust>>>> {
        self.model.trust(inputs)
    }

    fn knows_trust(&self) -> bool {
        self.model.knows_trust()
    }

    fn freeze(&mut self) {
        self.model.freeze();
    }
}
