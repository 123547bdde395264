//! The same layers at every position of a map, as 1x1 convolutions do.

use crate::error::{Error, Result};
use candle_core::Tensor;

/// Applies `layers`, from `[rows, channels]` to `[rows, outputs]`, to vectors `[batch, channels]` or to every position of maps
/// `[batch, channels, height, width]`, which are as many rows; the result is `[batch, outputs]` or `[batch, outputs, height, width]`.
///
/// Other shapes are refused with [`Error::Shape`].
pub fn at_every_position(input: &Tensor, layers: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    match *input.dims() {
        [_, _] => layers(input),
        [batch, channels, height, width] => {
            let positions = input.permute((0, 2, 3, 1))?.reshape((batch * height * width, channels))?;
            let mapped = layers(&positions)?;
            let outputs = mapped.dim(1)?;
            Ok(mapped.reshape((batch, height, width, outputs))?.permute((0, 3, 1, 2))?.contiguous()?)
        }
        _ => Err(Error::shape("feature", "[batch, channels] or [batch, channels, height, width]", input.dims())),
    }
}
