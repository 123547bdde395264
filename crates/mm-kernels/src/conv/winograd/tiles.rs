//! Images cut into tiles of outputs, and their transformed inputs.

use crate::conv::shape::Conv2dShape;
use crate::conv::taps::{Source, pixel_step};
use crate::conv::winograd::form::Form;
use crate::conv::winograd::transform::at_level;
use crate::scratch;
use crate::simd::{Level, Vector};
use crate::threads::Shared;
use std::ops::Range;

/// Tiles of all images of a convolution. Tile rows are counted through all images.
#[derive(Debug, Clone)]
pub(super) struct Tiles {
    pub form: Form,
    /// Rows and columns of tiles of an image.
    pub grid: (usize, usize),
    /// Height and width of an image's output.
    pub out: (usize, usize),
    /// The input as pixels, padded so that every tile is inside.
    pub source: Source,
}

impl Tiles {
    pub(super) fn new(form: Form, shape: &Conv2dShape) -> Self {
        let (out, side, beyond) = ((shape.out_height(), shape.out_width()), form.tile(), form.beyond());
        let grid = (out.0.div_ceil(side.0), out.1.div_ceil(side.1));
        let source = Source {
            channels: shape.in_channels,
            channel_step: pixel_step(shape.in_channels.next_multiple_of(16)),
            size: (shape.height, shape.width),
            before: shape.padding,
            padded: (grid.0 * side.0 + beyond.0, grid.1 * side.1 + beyond.1),
        };
        Self { form, grid, out, source }
    }

    /// The output's gradient as pixels: no border but what fills the last tiles.
    pub(super) fn gradient_source(&self, channels: usize) -> Source {
        let side = self.form.tile();
        Source {
            channels,
            channel_step: pixel_step(channels.next_multiple_of(16)),
            size: self.out,
            before: (0, 0),
            padded: (self.grid.0 * side.0, self.grid.1 * side.1),
        }
    }

    /// The pixels of a row of tiles in those of whole images.
    pub(super) fn row<'a>(&self, source: &Source, pixels: &'a [f32], row: usize) -> &'a [f32] {
        let (image, row) = (row / self.grid.0, row % self.grid.0);
        &pixels[image * source.image_length()..][..source.image_length()][source.pixel(row * self.form.tile().0, 0)..]
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

    /// Loads rows of tiles, which may be of several images, from the planes of all images and transforms them: of the input held by
    /// `source`, or of the output's gradient.
    pub(super) fn load_and_transform(
        &self,
        level: Level,
        (source, gradient): (&Source, bool),
        planes: &[f32],
        rows: Range<usize>,
        to: &mut [f32],
    ) {
        let image_planes = source.channels * source.size.0 * source.size.1;
        let row_length = source.padded.1 * source.channel_step;
        let (side, beyond) = (self.form.tile().0, if gradient { 0 } else { self.form.beyond().0 });
        let mut pixels = scratch::take((rows.len() * side + beyond) * row_length);
        let (shared, tiles) = (Shared::new(to), rows.len() * self.grid.1);
        let mut row = rows.start;
        while row < rows.end {
            let (image, top) = (row / self.grid.0, row % self.grid.0);
            let count = (self.grid.0 - top).min(rows.end - row);
            let pixels = &mut pixels[..(count * side + beyond) * row_length];
            let planes = &planes[image * image_planes..][..image_planes];
            source.load_rows(level, planes, top * side..(top + count) * side + beyond, pixels);
            for i in 0..count {
                let (from, first) = (&pixels[i * side * row_length..], (row + i - rows.start) * self.grid.1);
                // SAFETY: the buffer is this call's own.
                unsafe { self.transform(level, source, from, shared, tiles, first, gradient) };
            }
            row += count;
        }
    }

    #[allow(clippy::too_many_arguments)]
    unsafe fn transform(&self, level: Level, source: &Source, from: &[f32], to: Shared, tiles: usize, first: usize, gradient: bool) {
        let step = source.channel_step;
        let rows = self.form.tile().0 + if gradient { 0 } else { self.form.beyond().0 };
        assert!(from.len() >= rows * source.padded.1 * step, "pixels of the row");
        assert!(first + self.grid.1 <= tiles, "tiles of the block");
        // All positions of these tiles, and between them other tiles of other tasks: a pointer, not a slice.
        let to = to.part(first * step, ((self.form.positions() - 1) * tiles + self.grid.1) * step).pointer();
        let steps = (source.padded.1 * step, step);
        let channels = source.channels.next_multiple_of(16);
        at_level!(level, transform_row(self.form, from.as_ptr(), steps, (self.grid.1, channels), to, tiles * step, gradient));
    }
}

/// Transforms a row of tiles, for all channels (a multiple of 16).
#[inline(always)]
unsafe fn transform_row<V: Vector>(
    form: Form,
    from: *const f32,
    steps: (usize, usize),
    (tiles, channels): (usize, usize),
    to: *mut f32,
    position_step: usize,
    gradient: bool,
) {
    let width = form.tile().1;
    for tile in 0..tiles {
        for channel in (0..channels).step_by(V::LANES) {
            // SAFETY: tiles are inside the padded image, and `to` holds all channels of all tiles.
            unsafe {
                let from = from.add(tile * width * steps.1 + channel);
                let to = to.add(tile * steps.1 + channel);
                if gradient {
                    form.output_gradient::<V>(from, steps, to, position_step);
                } else {
                    form.input::<V>(from, steps, to, position_step);
                }
            }
        }
    }
}
