//! Sizes that a network's stride does not divide.

use crate::error::{Error, Result};
use candle_core::Tensor;

/// `[batch, channels, height, width]` with height and width raised to multiples of `stride`: the last row and column are repeated, below
/// and to the right. Zeros would look like an edge to the network.
pub fn pad_to_multiple(maps: &Tensor, stride: usize) -> Result<Tensor> {
    let (_, _, height, width) = maps.dims4()?;
    if stride == 0 || height == 0 || width == 0 {
        return Err(Error::shape(
            "maps",
            "a height and a width that can be padded to a multiple of a stride above 0",
            (maps.dims(), stride),
        ));
    }
    let mut padded = maps.clone();
    for (dim, size) in [(2, height), (3, width)] {
        let target = size.next_multiple_of(stride);
        if target != size {
            let last = padded.narrow(dim, size - 1, 1)?;
            let mut dims = last.dims().to_vec();
            dims[dim] = target - size;
            padded = Tensor::cat(&[&padded, &last.broadcast_as(dims)?.contiguous()?], dim)?;
        }
    }
    Ok(padded)
}

/// The upper left `height` x `width` pixels of `[batch, channels, ..]`: the inverse of [`pad_to_multiple`].
pub fn crop(maps: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
    let (_, _, rows, columns) = maps.dims4()?;
    match height <= rows && width <= columns {
        true => Ok(maps.narrow(2, 0, height)?.narrow(3, 0, width)?.contiguous()?),
        false => Err(Error::shape("maps", format!("{height}x{width} pixels at least"), maps.dims())),
    }
}
