//! Left and right exchanged.

use crate::error::Result;
use candle_core::Tensor;

/// `[.., width]` mirrored: what was left is right. Its own inverse.
pub fn mirrored(maps: &Tensor) -> Result<Tensor> {
    let last = maps.rank().saturating_sub(1);
    let width = maps.dim(last)? as u32;
    let backwards: Vec<u32> = (0..width).rev().collect();
    Ok(maps.contiguous()?.index_select(&Tensor::from_vec(backwards, width as usize, maps.device())?, last)?)
}
