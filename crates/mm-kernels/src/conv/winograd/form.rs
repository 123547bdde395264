//! The kernels that have a fast form, and which of the small transforms each takes.

use crate::conv::winograd::transform::*;
use crate::simd::Vector;

/// A fast form of a convolution: what a tile of outputs is, and in how many products it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// 3x3 kernels: tiles of 4x4 outputs in 36 products instead of 144.
    Square,
    /// 3x3 kernels: tiles of 2x2 outputs in 16 products instead of 36, for the forward pass alone.
    Small,
    /// 1x3 kernels: 4 outputs side by side in 6 products instead of 12.
    Row3,
    /// 1x5 kernels: 2 outputs side by side in 6 products instead of 10.
    Row5,
    /// 3x1 kernels: 4 outputs one below the other.
    Column3,
    /// 5x1 kernels: 2 outputs one below the other.
    Column5,
}

use Form::{Column3, Column5, Row3, Row5, Small, Square};

impl Form {
    /// The form for a kernel of this height and width; of the two for 3x3 the large one.
    pub(crate) fn of(kernel: (usize, usize)) -> Option<Self> {
        [Square, Row3, Row5, Column3, Column5].into_iter().find(|form| form.kernel() == kernel)
    }

    fn kernel(self) -> (usize, usize) {
        match self {
            Square | Small => (3, 3),
            Row3 => (1, 3),
            Row5 => (1, 5),
            Column3 => (3, 1),
            Column5 => (5, 1),
        }
    }

    /// Height and width of a tile of outputs.
    pub(crate) fn tile(self) -> (usize, usize) {
        match self {
            Square => (4, 4),
            Small => (2, 2),
            Row3 => (1, 4),
            Row5 => (1, 2),
            Column3 => (4, 1),
            Column5 => (2, 1),
        }
    }

    /// Products of a tile.
    pub(crate) fn positions(self) -> usize {
        match self {
            Square => 36,
            Small => 16,
            Row3 | Row5 | Column3 | Column5 => 6,
        }
    }

    /// Rows and columns of the input that a tile reads beyond its own outputs.
    pub(crate) fn beyond(self) -> (usize, usize) {
        (self.kernel().0 - 1, self.kernel().1 - 1)
    }

    /// Numbers of a kernel.
    pub(crate) fn taps(self) -> usize {
        self.kernel().0 * self.kernel().1
    }

    /// Transforms the inputs of a tile, a vector each, whose rows and columns are `steps` apart; position p goes to `to[p * to_step]`.
    ///
    /// # Safety
    /// All those must be readable and writable; the vector's instructions must be on. So it is below.
    #[inline(always)]
    pub(super) unsafe fn input<V: Vector>(self, from: *const f32, steps: (usize, usize), to: *mut f32, to_step: usize) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Square => input_tile::<V>(from, steps, to, to_step),
                Small => input_tile_2::<V>(from, steps, to, to_step),
                Row3 | Row5 => input_line::<V>(from, steps.1, to, to_step),
                Column3 | Column5 => input_line::<V>(from, steps.0, to, to_step),
            }
        }
    }

    /// Transforms products back: output (row, column) of the tile goes to `to[(row * width + column) * to_step]`.
    ///
    /// # Safety
    /// As [`input`](Self::input).
    #[inline(always)]
    pub(super) unsafe fn output<V: Vector>(self, from: *const f32, step: usize, to: *mut f32, to_step: usize) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Square => output_tile::<V>(from, (6 * step, step), to, to_step),
                Small => output_tile_2::<V>(from, (4 * step, step), to, to_step),
                Row3 | Column3 => output_line_3::<V>(from, step, to, to_step),
                Row5 | Column5 => output_line_5::<V>(from, step, to, to_step),
            }
        }
    }

    /// Transforms a kernel, whose taps are `step` apart.
    ///
    /// # Safety
    /// As [`input`](Self::input).
    #[inline(always)]
    pub(super) unsafe fn weight<V: Vector>(self, from: *const f32, step: usize, to: *mut f32, to_step: usize) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Square => weight_tile::<V>(from, (3 * step, step), to, to_step),
                Small => weight_tile_2::<V>(from, (3 * step, step), to, to_step),
                Row3 | Column3 => weight_line_3::<V>(from, step, to, to_step),
                Row5 | Column5 => weight_line_5::<V>(from, step, to, to_step),
            }
        }
    }

    /// Transforms the gradient of a tile's outputs, whose rows and columns are `steps` apart.
    ///
    /// # Safety
    /// As [`input`](Self::input).
    #[inline(always)]
    pub(super) unsafe fn output_gradient<V: Vector>(self, from: *const f32, steps: (usize, usize), to: *mut f32, to_step: usize) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Square => output_gradient_tile::<V>(from, steps, to, to_step),
                Small => unreachable!("for the forward pass alone"),
                Row3 => output_gradient_line_3::<V>(from, steps.1, to, to_step),
                Row5 => output_gradient_line_5::<V>(from, steps.1, to, to_step),
                Column3 => output_gradient_line_3::<V>(from, steps.0, to, to_step),
                Column5 => output_gradient_line_5::<V>(from, steps.0, to, to_step),
            }
        }
    }

    /// Transforms sums of products into the gradient of a kernel.
    ///
    /// # Safety
    /// As [`input`](Self::input).
    #[inline(always)]
    pub(super) unsafe fn weight_gradient<V: Vector>(self, from: *const f32, step: usize, to: *mut f32, to_step: usize) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Square => weight_gradient_tile::<V>(from, (6 * step, step), to, to_step),
                Small => unreachable!("for the forward pass alone"),
                Row3 | Column3 => weight_gradient_line_3::<V>(from, step, to, to_step),
                Row5 | Column5 => weight_gradient_line_5::<V>(from, step, to, to_step),
            }
        }
    }
}
