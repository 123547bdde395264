//! Which algorithm a convolution takes: measured on Zen 4. It depends on the shape alone, never on the threads.
//!
//! Winograd's transforms win from the smallest images on (64 channels at 56x56, batch 1: 0.75 ms against 2.2; 512 at
//! 7x7, batch 2: 2.0 against 4.5). At fewer tiles the transformed weights, four times the plain ones, cost more to read
//! than the products save.

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd;

/// Tiles from which on the forward pass and the gradient of the input win.
const LEAST_TILES: usize = 8;

/// Channels below which the vectors of the transforms would be mostly empty.
const LEAST_CHANNELS: usize = 16;

/// Whether the forward pass goes through Winograd's transforms.
pub(crate) fn winograd(shape: &Conv2dShape) -> bool {
    winograd_weight_gradient(shape) && winograd::tile_count(shape) >= LEAST_TILES
}

/// Whether the gradient of the weight does.
pub(crate) fn winograd_weight_gradient(shape: &Conv2dShape) -> bool {
    winograd::applies(shape) && shape.in_channels.min(shape.out_channels) >= LEAST_CHANNELS
}
