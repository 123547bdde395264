//! Images cut into tiles of 4x4 outputs, and their transformed inputs.

use crate::conv::shape::Conv2dShape;
use crate::conv::taps::{Source, pixel_step};
use crate::conv::winograd::transform::{POSITIONS, at_level, input_tile, output_gradient_tile};
use crate::simd::{Level, Vector};
use crate::threads::Shared;

/// Side of a tile of outputs.
pub(super) const SIDE: usize = 4;

/// Tiles of all images of a convolution. Tile rows are counted through all images.
#[derive(Debug, Clone)]
pub(super) struct Tiles {
    /// Rows and columns of tiles of an image.
    pub grid: (usize, usize),
    /// Height and width of an image's output.
    pub out: (usize, usize),
    /// The input as pixels, padded so that every tile is inside.
    pub source: Source,
}

impl Tiles {
    pub(super) fn new(shape: &Conv2dShape) -> Self {
        let out = (shape.out_height(), shape.out_width());
        let grid = (out.0.div_ceil(SIDE), out.1.div_ceil(SIDE));
        let source = Source {
            channels: shape.in_channels,
            channel_step: pixel_step(shape.in_channels.next_multiple_of(16)),
            size: (shape.height, shape.width),
            before: shape.padding,
            padded: (grid.0 * SIDE + 2, grid.1 * SIDE + 2),
        };
        Self { grid, out, source }
    }

    /// The output's gradient as pixels: no border but what fills the last tiles.
    pub(super) fn gradient_source(&self, channels: usize) -> Source {
        Source {
            channels,
            channel_step: pixel_step(channels.next_multiple_of(16)),
            size: self.out,
            before: (0, 0),
            padded: (self.grid.0 * SIDE, self.grid.1 * SIDE),
        }
    }

    /// The pixels of a row of tiles in those of whole images.
    pub(super) fn row<'a>(&self, source: &Source, pixels: &'a [f32], row: usize) -> &'a [f32] {
        let (image, row) = (row / self.grid.0, row % self.grid.0);
        &pixels[image * source.image_length()..][..source.image_length()][source.pixel(row * SIDE, 0)..]
    }

    /// Transforms a row of tiles of the input, whose pixels `from` begins with: tile t goes to
    /// `to[(position * tiles + first + t) * channel_step]`.
    ///
    /// # Safety
    /// No one else may touch that part of `to` meanwhile.
    pub(super) unsafe fn transform_input(&self, level: Level, from: &[f32], to: Shared, tiles: usize, first: usize) {
        // SAFETY: passed on.
        unsafe { self.transform(level, &self.source, from, to, tiles, first, false) }
    }

    /// As [`transform_input`](Self::transform_input), for the output's gradient held by `source`.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn transform_gradient(&self, level: Level, source: &Source, from: &[f32], to: Shared, tiles: usize, first: usize) {
        // SAFETY: passed on.
        unsafe { self.transform(level, source, from, to, tiles, first, true) }
    }

    #[allow(clippy::too_many_arguments)]
    unsafe fn transform(&self, level: Level, source: &Source, from: &[f32], to: Shared, tiles: usize, first: usize, gradient: bool) {
        let step = source.channel_step;
        let rows = if gradient { SIDE } else { SIDE + 2 };
        assert!(from.len() >= rows * source.padded.1 * step, "pixels of the row");
        assert!(first + self.grid.1 <= tiles, "tiles of the block");
        // All positions of these tiles, and between them other tiles of other tasks: a pointer, not a slice.
        let to = to.part(first * step, ((POSITIONS - 1) * tiles + self.grid.1) * step).pointer();
        let steps = (source.padded.1 * step, step);
        let channels = source.channels.next_multiple_of(16);
        at_level!(level, transform_row(from.as_ptr(), steps, (self.grid.1, channels), to, tiles * step, gradient));
    }
}

/// Transforms a row of tiles, for all channels (a multiple of 16).
#[inline(always)]
unsafe fn transform_row<V: Vector>(
    from: *const f32,
    steps: (usize, usize),
    (tiles, channels): (usize, usize),
    to: *mut f32,
    position_step: usize,
    gradient: bool,
) {
    for tile in 0..tiles {
        for channel in (0..channels).step_by(V::LANES) {
            // SAFETY: tiles are inside the padded image, and `to` holds all channels of all tiles.
            unsafe {
                let from = from.add(tile * SIDE * steps.1 + channel);
                let to = to.add(tile * steps.1 + channel);
                if gradient {
                    output_gradient_tile::<V>(from, steps, to, position_step);
                } else {
                    input_tile::<V>(from, steps, to, position_step);
                }
            }
        }
    }
}
