//! Dropout whose mask is drawn sample by sample.

use crate::rng::Draws;
use candle_core::{Result, Tensor, bail};
use rand::RngExt;

/// Zeroes each number of `[samples, ..]` with probability `rate` and divides the others by `1 - rate`; training only. `ids` are the
/// samples' numbers.
pub fn dropout(input: &Tensor, rate: f32, ids: &[u64], draws: &Draws) -> Result<Tensor> {
    if !(0.0..1.0).contains(&rate) {
        bail!("a dropout rate is at least 0 and below 1, found {rate}");
    }
    if rate == 0.0 {
        return Ok(input.clone());
    }
    let keep = 1.0 / (1.0 - rate);
    let width = input.elem_count() / ids.len().max(1);
    let mask_of = |&id: &u64| {
        let mut rng = draws.of(id);
        (0..width).map(move |_| if rng.random::<f32>() < rate { 0.0 } else { keep })
    };
    let mask: Vec<f32> = ids.iter().flat_map(mask_of).collect();
    input.mul(&Tensor::from_vec(mask, input.shape(), input.device())?.to_dtype(input.dtype())?)
}
