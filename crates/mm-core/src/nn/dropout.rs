//! Dropout whose mask comes from a generator that the caller passes.

use crate::rng::Rng;
use candle_core::{Result, Tensor, bail};
use rand::RngExt;

/// Zeroes each number with probability `rate` and divides the others by `1 - rate`; training only.
pub fn dropout(input: &Tensor, rate: f32, rng: &mut Rng) -> Result<Tensor> {
    if !(0.0..1.0).contains(&rate) {
        bail!("a dropout rate is at least 0 and below 1, found {rate}");
    }
    if rate == 0.0 {
        return Ok(input.clone());
    }
    let keep = 1.0 / (1.0 - rate);
    let mask: Vec<f32> = (0..input.elem_count()).map(|_| if rng.random::<f32>() < rate { 0.0 } else { keep }).collect();
    input.mul(&Tensor::from_vec(mask, input.shape(), input.device())?.to_dtype(input.dtype())?)
}
