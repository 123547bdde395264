//! Left and right exchanged.

use crate::data::{Inputs, Schema};
use crate::error::Result;
use crate::modality::{Presence, Subset};
use crate::model::{Encoded, Model, Output, SensorTrust};
use crate::nn::Parameters;
use candle_core::Tensor;

/// `[.., width]` mirrored: what was left is right. Its own inverse.
pub fn mirrored(maps: &Tensor) -> Result<Tensor> {
    let last = maps.rank().saturating_sub(1);
    let width = maps.dim(last)? as u32;
    let backwards: Vec<u32> = (0..width).rev().collect();
    Ok(maps.contiguous()?.index_select(&Tensor::from_vec(backwards, width as usize, maps.device())?, last)?)
}

/// A model for label maps that is asked twice, the second time with mirrored inputs, and answers with the mean of both scores: twice the
/// work of a prediction. Its features and what it says of trust are those of the inputs as they are.
pub struct Flipped {
    model: Box<dyn Model>,
}

impl Flipped {
    /// Of a model that reads maps `[batch, channels, height, width]` and predicts `[batch, classes, height, width]`.
    pub fn new(model: Box<dyn Model>) -> Self {
        Self { model }
    }

    /// The model that is asked.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }
}

fn mirrored_inputs(inputs: &Inputs) -> Result<Inputs> {
    let mut result = inputs.clone();
    for (m, reading) in inputs.readings().iter().enumerate() {
        if let Some(reading) = reading {
            result = result.with_values(m, mirrored(&reading.values)?)?;
        }
    }
    Ok(result)
}

impl Model for Flipped {
    fn schema(&self) -> &Schema {
        self.model.schema()
    }

    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    /// What the model encodes of the inputs, and behind it what it encodes of the mirrored ones.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        let mut encoded = self.model.encode(inputs)?;
        let other = self.model.encode(&mirrored_inputs(inputs)?)?;
        encoded.tensors.extend(other.tensors);
        encoded.encoder_passes += other.encoder_passes;
        Ok(encoded)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        let (straight, other) = encoded.tensors.split_at(encoded.tensors.len() / 2);
        let half = |tensors: &[Option<Tensor>]| Encoded { tensors: tensors.to_vec(), ..encoded.clone() };
        let output = self.model.fuse(&half(straight), presence)?;
        let flipped = mirrored(&self.model.fuse(&half(other), presence)?.prediction)?;
        let prediction = ((&output.prediction + flipped)? * 0.5)?;
        Ok(Output { prediction, ..output })
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
