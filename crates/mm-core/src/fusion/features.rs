//! One encoder a modality, and the features they give.

use super::NetworkConfig;
use crate::data::{Batch, Schema};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::modality::Presence;
use crate::nn::{Mode, scatter_rows};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// The features of a batch, one `[batch, ..]` tensor a modality; rows of samples that lack it are zero.
#[derive(Debug, Clone)]
pub struct Features {
    /// By modality; `None` where no sample of the batch has it.
    pub tensors: Vec<Option<Tensor>>,
    /// Encoder runs it took: one for each modality present in the batch.
    pub encoder_passes: usize,
}

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

    /// Encodes the samples that have each modality according to `presence` (within `batch.presence`).
    pub fn forward(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<Features> {
        if batch.inputs.len() != self.encoders.len() {
            return Err(Error::Data(format!("a batch of {} modalities for a model of {}", batch.inputs.len(), self.encoders.len())));
        }
        let mut features = Features { tensors: Vec::with_capacity(self.encoders.len()), encoder_passes: 0 };
        for (m, (encoder, input)) in self.encoders.iter().zip(&batch.inputs).enumerate() {
            let rows = presence.rows_with(m);
            let feature = match input {
                Some(input) if !rows.is_empty() => {
                    features.encoder_passes += 1;
                    let present = match rows.len() == batch.len() {
                        true => input.clone(),
                        false => input.index_select(&Tensor::from_slice(&rows, rows.len(), input.device())?, 0)?,
                    };
                    Some(scatter_rows(&mode.result(encoder.forward(&present, mode)?), &rows, batch.len())?)
                }
                _ => None,
            };
            features.tensors.push(feature);
        }
        Ok(features)
    }
}
