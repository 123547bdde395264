//! Prediction with the training mean in place of absent sensors.

use candle_core::Tensor;
use mm_core::data::{Batch, Schema};
use mm_core::fusion::{FusionNetwork, pool};
use mm_core::nn::Mode;
use mm_core::predict::Predictions;
use mm_core::{Presence, Result, Subset};

/// Logits `[combinations, batch, classes]`; with `None`, one combination: what each sample has.
pub(crate) fn predict_with_mean_imputation(
    network: &FusionNetwork,
    schema: &Schema,
    batch: &Batch,
    subsets: Option<&[Subset]>,
) -> Result<Predictions> {
    let features = network.encoders().forward(batch, &batch.presence, Mode::Eval)?;
    let mean = mean_features(network, schema, batch)?;
    let presences: Vec<Presence> = match subsets {
        Some(subsets) => subsets.iter().map(|&s| Presence::uniform(s, batch.len())).collect(),
        None => vec![batch.presence.clone()],
    };
    let mut logits = Vec::with_capacity(presences.len());
    for presence in presences {
        let mut chosen = Vec::with_capacity(mean.len());
        for (m, mean) in mean.iter().enumerate() {
            chosen.push(Some(choose(features.tensors[m].as_ref(), mean, &presence, m)?));
        }
        let feature = network.trunk().forward(&chosen, Mode::Eval)?;
        logits.push(network.head().forward(&pool(&feature)?)?.detach());
    }
    Ok(Predictions { logits: Tensor::stack(&logits, 0)?, encoder_passes: features.encoder_passes + mean.len() })
}

/// The feature of an input of zeros, `[1, ..]`, by modality.
fn mean_features(network: &FusionNetwork, schema: &Schema, batch: &Batch) -> Result<Vec<Tensor>> {
    let inputs = schema.inputs.iter().map(|input| {
        let dims: Vec<usize> = std::iter::once(1).chain(input.shape.iter().copied()).collect();
        Ok(Some(Tensor::zeros(dims, candle_core::DType::F32, batch.device())?))
    });
    let full = Presence::uniform(schema.modalities.full(), 1);
    let zeros =
        Batch::new(inputs.collect::<Result<_>>()?, full.clone(), Tensor::zeros(1, candle_core::DType::U32, batch.device())?, vec![0])?;
    Ok(network.encoders().forward(&zeros, &full, Mode::Eval)?.tensors.into_iter().flatten().collect())
}

/// The sample's own feature where present, the mean's elsewhere.
fn choose(feature: Option<&Tensor>, mean: &Tensor, presence: &Presence, m: usize) -> Result<Tensor> {
    let present: Vec<u8> = presence.subsets().iter().map(|s| u8::from(s.contains(m))).collect();
    let mut dims = mean.dims().to_vec();
    dims[0] = present.len();
    let mean = mean.broadcast_as(dims.as_slice())?;
    let Some(feature) = feature else { return Ok(mean.contiguous()?) };
    if present.iter().all(|&p| p == 1) {
        return Ok(feature.clone());
    }
    if present.iter().all(|&p| p == 0) {
        return Ok(mean.contiguous()?);
    }
    let mut mask_dims = vec![1; dims.len()];
    mask_dims[0] = present.len();
    let mask = Tensor::from_vec(present, mask_dims, feature.device())?.broadcast_as(dims.as_slice())?;
    Ok(mask.where_cond(feature, &mean.contiguous()?)?)
}
