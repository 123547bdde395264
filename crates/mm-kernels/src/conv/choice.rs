//! Which algorithm a convolution takes. Measured on Zen 4; the choice depends on the shape alone, never on threads.

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd;

/// Whether the forward pass goes through Winograd's transforms.
pub(crate) fn winograd(shape: &Conv2dShape) -> bool {
    winograd::applies(shape) && shape.in_channels >= 16 && shape.out_channels >= 16 && winograd::tile_count(shape) >= 16
}

/// Whether the gradient of the weight does.
pub(crate) fn winograd_weight_gradient(shape: &Conv2dShape) -> bool {
    winograd::applies(shape) && shape.in_channels >= 16 && shape.out_channels >= 16 && winograd::tile_count(shape) >= 16
}
