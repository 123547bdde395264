//! Training samples mixed with one another (mixup, Zhang et al., ICLR 2018).

use super::Step;
use crate::data::{Batch, InputKind, Schema};
use crate::error::{Error, Result};
use rand_distr::{Beta, Distribution};

/// Refuses data whose readings have no mixtures.
pub(super) fn check(mixup: f64, schema: &Schema) -> Result<()> {
    let words = schema.inputs.iter().zip(schema.modalities.names()).find(|(input, _)| input.kind == InputKind::Tokens);
    match words {
        Some((_, name)) if mixup > 0.0 => {
            Err(Error::config("train.mixup", format!("mixes readings, and those of `{name}` are words, which have no mixtures")))
        }
        _ => Ok(()),
    }
}

/// Mixes each sample of a batch with the next one. What is drawn depends on the seed, the epoch and the sample alone.
pub(super) fn mix(batch: Batch, mixup: f64, step: &Step) -> Result<Batch> {
    if mixup <= 0.0 || batch.len() < 2 {
        return Ok(batch);
    }
    let shares = Beta::new(mixup, mixup).map_err(|_| Error::config("train.mixup", format!("must be positive, found {mixup}")))?;
    let draws = step.draws("mixup");
    let own: Vec<f32> = batch.ids().iter().map(|&id| shares.sample(&mut draws.of(id)) as f32).collect();
    batch.mixed(&own)
}
