//! What a prediction says besides its class: which sensors it trusts.

use candle_core::Tensor;
use mm_core::model::SensorTrust;
use mm_core::{Modalities, Presence, Result};

/// Logits, and how far each modality of each sample is trusted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UdmlOutput {
    /// `[batch, classes]`.
    pub logits: Tensor,
    /// Of each modality alone, `[batch, modalities, classes]`; without meaning where it is absent.
    pub unimodal_logits: Tensor,
    /// Estimated noise levels, `[batch, modalities]`: 1 is clean; 0 where absent. All 1 in static fusion, which estimates none.
    pub levels: Tensor,
    /// Weights, `[batch, modalities]`: 0 where absent; a row sums to the number of modalities that the sample has.
    pub weights: Tensor,
}

impl UdmlOutput {
    /// As [`sensor_trust`].
    pub(crate) fn trust(&self, presence: &Presence, modalities: &Modalities) -> Result<Vec<Vec<SensorTrust>>> {
        sensor_trust(&self.levels, &self.weights, presence, modalities)
    }
}

/// Levels and weights, `[batch, modalities]` each, of the modalities that each sample has, in batch order. A level of 1 is clean, 10 the
/// strongest noise of the training, 11 dead.
pub(crate) fn sensor_trust(
    levels: &Tensor,
    weights: &Tensor,
    presence: &Presence,
    modalities: &Modalities,
) -> Result<Vec<Vec<SensorTrust>>> {
    let (levels, weights) = (levels.to_vec2::<f32>()?, weights.to_vec2::<f32>()?);
    let samples = presence.subsets().iter().zip(levels.iter().zip(&weights));
    let of_sample = |(subset, (levels, weights)): (&mm_core::Subset, (&Vec<f32>, &Vec<f32>))| {
        let sensor = |m: usize| Some(SensorTrust { modality: modalities.names().get(m)?.clone(), level: levels[m], weight: weights[m] });
        subset.indices().filter_map(sensor).collect()
    };
    Ok(samples.map(of_sample).collect())
}
