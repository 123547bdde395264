//! One encoder a modality, and the features they give.

use super::{NetworkConfig, Trunk};
use crate::data::{DataError, Inputs, Schema};
use crate::encoder::Encoder;
use crate::error::Result;
use crate::modality::{Modalities, Presence};
use crate::model::Encoded;
use crate::nn::{Mode, scatter_rows};
use crate::parallel;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use std::borrow::Cow;

/// The same features with the modalities outside `presence` set to zero, sample by sample; several masks give their
/// results one after the other, `[masks * batch, ..]`. `None` for a modality that no sample keeps.
///
/// Selects, never multiplies: a NaN in an absent modality stays out.
pub fn keep_present(features: &[Option<Tensor>], masks: &[&Presence]) -> Result<Vec<Option<Tensor>>> {
    let keep_one = |(m, tensor): (usize, &Option<Tensor>)| -> Result<Option<Tensor>> {
        let Some(tensor) = tensor else { return Ok(None) };
        let kept: Vec<u8> = masks.iter().flat_map(|mask| mask.subsets()).map(|s| u8::from(s.contains(m))).collect();
        if kept.iter().all(|&k| k == 0) {
            return Ok(None);
        }
        let repeated = match masks {
            [_] => tensor.clone(),
            _ => Tensor::cat(&vec![tensor; masks.len()], 0)?,
        };
        if kept.iter().all(|&k| k == 1) {
            return Ok(Some(repeated));
        }
        let mut dims = vec![1; tensor.rank()];
        dims[0] = kept.len();
        let mask = Tensor::from_vec(kept, dims, tensor.device())?.broadcast_as(repeated.shape())?;
        Ok(Some(mask.where_cond(&repeated, &repeated.zeros_like()?)?))
    };
    features.iter().enumerate().map(keep_one).collect()
}

/// One encoder a modality.
pub struct Encoders {
    encoders: Vec<Box<dyn Encoder>>,
}

impl Encoders {
    /// From encoders in the order of the modalities.
    pub fn new(encoders: Vec<Box<dyn Encoder>>) -> Self {
        Self { encoders }
    }

    /// Builds the configured encoder of every modality under `vb`, by modality name.
    pub fn build(config: &NetworkConfig, schema: &Schema, vb: VarBuilder) -> Result<Self> {
        let names = schema.modalities.names().iter().enumerate();
        Ok(Self { encoders: names.map(|(m, name)| config.build_encoder(schema, m, vb.pp(name))).collect::<Result<_>>()? })
    }

    /// How many modalities there are.
    #[allow(clippy::len_without_is_empty)] // a model has at least one modality
    pub fn len(&self) -> usize {
        self.encoders.len()
    }

    /// Shape of one sample's feature, by modality.
    pub fn feature_shapes(&self) -> Vec<&[usize]> {
        self.encoders.iter().map(|e| e.feature_shape()).collect()
    }

    /// The features `[batch, ..]` of the samples that have each modality according to `presence` (within what the inputs have): zero in
    /// the rows of the others, `None` where there are none. With how many encoders ran: one for each modality that is there.
    pub fn forward(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<(Vec<Option<Tensor>>, usize)> {
        if inputs.readings().len() != self.encoders.len() {
            return Err(DataError::Count {
                what: "modalities",
                found: inputs.readings().len(),
                of: "encoders",
                expected: self.encoders.len(),
            }
            .into());
        }
        let features = self.encoders.iter().enumerate().map(|(m, encoder)| encode_present(&**encoder, m, inputs, presence, mode));
        let features = features.collect::<Result<Vec<_>>>()?;
        let passes = features.iter().flatten().count();
        Ok((features, passes))
    }

    /// Everything that inputs of these modalities have, as a model of these encoders shares it between combinations.
    pub fn encode(&self, inputs: &Inputs, modalities: &Modalities, mode: Mode) -> Result<Encoded> {
        inputs.check_modalities(modalities)?;
        let (tensors, encoder_passes) = self.forward(inputs, inputs.presence(), mode)?;
        Ok(Encoded { tensors, presence: inputs.presence().clone(), encoder_passes })
    }
}

/// The features that [`Encoders::encode`] left, with what is outside `presence` set to zero; as they are where that is what was encoded.
pub fn keep_encoded<'a>(encoded: &'a Encoded, presence: &Presence) -> Result<Cow<'a, [Option<Tensor>]>> {
    encoded.check(presence)?;
    match *presence == encoded.presence {
        true => Ok(Cow::Borrowed(&encoded.tensors)),
        false => Ok(Cow::Owned(keep_present(&encoded.tensors, &[presence])?)),
    }
}

/// The feature `[batch, ..]` of one modality, by its position: encoded for the samples that have it according to `presence`, zero for the
/// others; `None`, and the encoder does not run, where there are none.
pub fn encode_present(encoder: &dyn Encoder, position: usize, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Option<Tensor>> {
    let rows = presence.rows_with(position);
    match inputs.at(position).filter(|_| !rows.is_empty()) {
        Some(reading) => {
            let run = |rows: &[u32]| -> Result<Tensor> {
                let reading = reading.gather(rows)?;
                let feature = if inputs.is_altered() { encoder.forward_once(&reading, mode)? } else { encoder.forward(&reading, mode)? };
                Ok(mode.result(feature))
            };
            let feature = match parallel::share(rows.len()) {
                Some(share) => share.gather(&share.run(|| run(&rows[share.own()]))?)?,
                None => run(&rows)?,
            };
            Ok(Some(scatter_rows(&feature, &rows, inputs.len())?))
        }
        None => Ok(None),
    }
}

/// The parts of the first layer behind features, one a modality, for all combinations: a modality that no sample has counts as zero, for
/// its combinations have no row with a meaning in this batch.
pub fn parts(trunk: &dyn Trunk, features: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
    let part = |(m, feature): (usize, &Option<Tensor>)| feature.as_ref().map(|f| trunk.part(m, &f.detach())).transpose();
    let parts: Vec<Option<Tensor>> = features.iter().enumerate().map(part).collect::<Result<_>>()?;
    zero_where_absent(parts)
}

/// Zeros of the others' shape in place of what is absent.
pub fn zero_where_absent(parts: Vec<Option<Tensor>>) -> Result<Vec<Option<Tensor>>> {
    let zero = parts.iter().flatten().next().map(Tensor::zeros_like).transpose()?;
    Ok(parts.into_iter().map(|part| part.or_else(|| zero.clone())).collect())
}
