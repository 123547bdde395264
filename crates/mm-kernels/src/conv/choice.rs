//! Which algorithm a convolution takes: measured on Zen 4 and, kernels of one row or column, on a Xeon with AVX-512. It depends on the shape
//! alone, never on the threads.
//!
//! Winograd's transforms win from the smallest images on (64 channels at 56x56, batch 1: 0.75 ms against 2.2). Of 3x3 kernels the weights of
//! the large form are four times the plain ones, of the small form 1.8 times, and where there are few tiles most of the time is spent on
//! reading them (512 channels on a Xeon with AVX-512, one thread, direct, large, small: 7x7, batch 2: 4.5, 5.4, 4.1 ms; 8x10, batch 1: 4.7,
//! 5.0, 3.0, and batch 2: 11.1, 6.8, 6.4; 7x7, batch 8: 19.0, 11.0, 13.5; 256 at 14x14, batch 1: 2.3, 1.9, 1.6; with AVX2
//! 7x7, batch 1: 5.1, 5.4, 4.2).
//!
//! Of kernels of one row or column they save a half (128 channels at 30x40, batch 2: 0.82 ms against 1.12; 512 at 8x10: 0.99 against 1.22).

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd::{self, Form};

/// Tiles from which on the gradient of the input wins.
const LEAST_TILES: usize = 8;

/// The same for the forward pass, whose weights may be kept.
const LEAST_SQUARE_TILES: usize = 32;

/// And for its small form.
const LEAST_SMALL_TILES: usize = 16;

/// The same for the gradient of the input where kernels are one row or column.
const LEAST_LINE_TILES: usize = 16;

/// The forward pass of three taps wants a tile of an image for so many pairs of channels: its weights are kept, and transformed ones are twice
/// the plain ones (of five taps they are a fifth more). Networks have most of their weights where images are smallest, and there the
/// transforms save least. The batch does not count, so that weights that were kept serve any batch.
const PAIRS_A_TILE: usize = 400;

/// Channels below which the vectors of the transforms would be mostly empty.
const LEAST_CHANNELS: usize = 16;

/// The transforms that the forward pass goes through, if it does.
pub(crate) fn winograd(shape: &Conv2dShape) -> Option<Form> {
    let tiles = |form| winograd::tile_count(form, shape);
    let pays = |form| match form {
        Form::Square => tiles(form) >= LEAST_SQUARE_TILES,
        Form::Small => tiles(form) >= LEAST_SMALL_TILES,
        Form::Row3 | Form::Column3 => tiles(form) * PAIRS_A_TILE >= shape.batch * shape.in_channels * shape.out_channels,
        Form::Row5 | Form::Column5 => true,
    };
    let form = winograd_weight_gradient(shape)?;
    let forms = if form == Form::Square { [form, Form::Small] } else { [form; 2] };
    forms.into_iter().find(|&form| pays(form))
}

/// Those that the gradient of the input goes through, of which `dual` is the forward pass.
pub(crate) fn winograd_input_gradient(dual: &Conv2dShape) -> Option<Form> {
    let least = |form: Form| if form == Form::Square { LEAST_TILES } else { LEAST_LINE_TILES };
    winograd_weight_gradient(dual).filter(|&form| winograd::tile_count(form, dual) >= least(form))
}

/// Those that the gradient of the weight goes through.
pub(crate) fn winograd_weight_gradient(shape: &Conv2dShape) -> Option<Form> {
    winograd::form(shape).filter(|_| shape.in_channels.min(shape.out_channels) >= LEAST_CHANNELS)
}

/// Most parts that a gradient of a weight is summed in.
const PARTS: usize = 16;

/// And fewest, so that threads find work.
const LEAST_PARTS: usize = 4;

/// In how many parts the rows of all images are summed for the gradient of a weight, a task each, if in any; `large_enough` is how many would
/// have enough to do. The order of every sum does not depend on the threads.
pub(crate) fn weight_gradient_parts(rows: usize, large_enough: usize) -> Option<usize> {
    Some(large_enough.min(PARTS).min(rows)).filter(|&parts| parts >= LEAST_PARTS)
}
