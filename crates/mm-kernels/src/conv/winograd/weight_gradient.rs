//! Gradient of the weight in Winograd's form: `Gᵀ [sum over tiles (A dY Aᵀ) ⊙ (Bᵀ d B)] G`.

use crate::conv::choice;
use crate::conv::shape::Conv2dShape;
use crate::conv::taps::Source;
use crate::conv::winograd::form::Form;
use crate::conv::winograd::tiles::Tiles;
use crate::conv::winograd::transform::at_level;
use crate::layout::{Finish, pixels_to_planes};
use crate::microkernel::{PANEL, Product, Rows, Run, panel_columns};
use crate::scratch;
use crate::simd::{Level, Vector};
use crate::threads::{Shared, for_each};

/// Least tiles of a part: with fewer, adding up the parts takes longer than what they save.
const PART_TILES: usize = 64;
/// Most numbers of the sums of a part, which is gone through for every few rows of tiles: with more (128 channels, 3x3) parts take half as long again.
const PART_SUMS: usize = 192 << 10;
/// Numbers of transformed tiles that a part holds at a time: they stay in the cache of a core.
const NEAR: usize = 96 << 10;

/// Numbers of transformed tiles that are held at a time where there are no parts.
const CHUNK: usize = 1 << 20;
/// But at least so many products: the sums are read and written once a chunk.
const LEAST_PRODUCTS: usize = 112 * 36;
/// Input channels that one task sums.
const ROWS: usize = 16;
/// Most taps of a kernel.
const TAPS: usize = 9;

/// Writes the gradient of the weight to `weight_gradient`.
pub(crate) fn run(level: Level, form: Form, shape: &Conv2dShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
    let tiles = Tiles::new(form, shape);
    let gradient = tiles.gradient_source(shape.out_channels);
    let sum = Sum { level, shape, tiles: &tiles, gradient: &gradient };
    let weight_gradient = Shared::new(weight_gradient);
    let rows = shape.batch * tiles.grid.0;
    if shape.batch == 0 {
        // SAFETY: no task runs.
        unsafe { weight_gradient.range(0, shape.weight_length()).fill(0.0) };
        return;
    }
    match choice::weight_gradient_parts(rows, rows * tiles.grid.1 / PART_TILES) {
        Some(parts) if sum.length() <= PART_SUMS => sum.by_part(parts, input, output_gradient, weight_gradient),
        _ => sum.by_kernel(input, output_gradient, weight_gradient),
    }
}

/// What is summed.
struct Sum<'a> {
    level: Level,
    shape: &'a Conv2dShape,
    tiles: &'a Tiles,
    gradient: &'a Source,
}

impl Sum<'_> {
    /// Kernels are summed in groups of `ROWS` input channels by a panel of output channels: how many of both.
    fn groups(&self) -> (usize, usize) {
        (self.shape.in_channels.div_ceil(ROWS), self.shape.out_channels.div_ceil(PANEL))
    }

    /// Numbers of the sums of a group.
    fn group_length(&self) -> usize {
        self.tiles.form.positions() * ROWS * PANEL
    }

    /// Numbers of the sums of all groups.
    fn length(&self) -> usize {
        self.groups().0 * self.groups().1 * self.group_length()
    }

    /// A task is a part of the tiles, from the planes to sums of its own, which are added up.
    fn by_part(&self, parts: usize, input: &[f32], output_gradient: &[f32], weight_gradient: Shared) {
        let (Self { level, tiles, gradient, .. }, positions) = (self, self.tiles.form.positions());
        let (groups, panels) = self.groups();
        let length = self.length();
        let mut sums = scratch::take(parts * length);
        let shared = Shared::new(&mut sums);
        let steps = tiles.source.channel_step + gradient.channel_step;
        let rows_at_a_time = (NEAR / (positions * steps * tiles.grid.1)).max(1);
        let rows = self.shape.batch * tiles.grid.0;
        for_each(parts, rows * tiles.grid.1 * length, |part| {
            let (start, end) = (rows * part / parts, rows * (part + 1) / parts);
            let most = rows_at_a_time.min(end - start) * tiles.grid.1 * positions;
            let mut inputs = scratch::take(most * tiles.source.channel_step);
            let mut gradients = scratch::take(most * gradient.channel_step);
            for first in (start..end).step_by(rows_at_a_time) {
                let rows = first..(first + rows_at_a_time).min(end);
                let count = rows.len() * tiles.grid.1;
                tiles.load_and_transform(*level, (&tiles.source, false), input, rows.clone(), &mut inputs);
                tiles.load_and_transform(*level, (gradient, true), output_gradient, rows, &mut gradients);
                for group in 0..groups * panels {
                    // SAFETY: parts own disjoint sums.
                    let sums = unsafe { shared.range(part * length + group * self.group_length(), self.group_length()) };
                    self.add(group, count, &inputs, &gradients, first > start, sums);
                }
            }
        });
        for_each(groups * panels, parts * length / 4, |group| {
            // SAFETY: tasks own the sums of different groups, in every part.
            let sums = unsafe { shared.add_up(parts, length, group * self.group_length(), self.group_length()) };
            // SAFETY: groups are different kernels.
            unsafe { self.store(group, sums, weight_gradient) };
        });
    }

    /// A task is a group of kernels, over all tiles of as many images as are transformed at a time.
    fn by_kernel(&self, input: &[f32], output_gradient: &[f32], weight_gradient: Shared) {
        let (Self { level, shape, tiles, gradient }, positions) = (self, self.tiles.form.positions());
        let steps = tiles.source.channel_step + gradient.channel_step;
        let image_tiles = tiles.grid.0 * tiles.grid.1;

        // Whole images; the same chunks for any number of threads, and so the same order of every sum.
        let most_tiles = (CHUNK / (positions * steps)).max(LEAST_PRODUCTS / positions);
        let at_a_time = (most_tiles / image_tiles).clamp(1, shape.batch);
        let single = shape.batch <= at_a_time;
        let mut pixels = scratch::take(at_a_time * tiles.source.image_length());
        let mut gradient_pixels = scratch::take(at_a_time * gradient.image_length());
        let mut inputs = scratch::take(positions * at_a_time * image_tiles * tiles.source.channel_step);
        let mut gradients = scratch::take(positions * at_a_time * image_tiles * gradient.channel_step);

        let (groups, panels) = self.groups();
        let mut sums = scratch::take(if single { 0 } else { self.length() });
        let shared_sums = Shared::new(&mut sums);
        let (planes, gradient_planes) = (shape.input_length() / shape.batch, shape.output_length() / shape.batch);

        for first in (0..shape.batch).step_by(at_a_time) {
            let count = at_a_time.min(shape.batch - first);
            let pixels = &mut pixels[..count * tiles.source.image_length()];
            tiles.source.load(*level, &input[first * planes..][..count * planes], pixels);
            let gradient_pixels = &mut gradient_pixels[..count * gradient.image_length()];
            gradient.load(*level, &output_gradient[first * gradient_planes..][..count * gradient_planes], gradient_pixels);
            let (pixels, gradient_pixels) = (&*pixels, &*gradient_pixels);

            let chunk_tiles = count * image_tiles;
            let (shared_inputs, shared_gradients) = (Shared::new(&mut inputs), Shared::new(&mut gradients));
            for_each(count * tiles.grid.0, chunk_tiles * positions * steps, |row| {
                let at = row * tiles.grid.1;
                // SAFETY: rows own disjoint tiles of both buffers.
                unsafe {
                    tiles.transform_input(*level, tiles.row(&tiles.source, pixels, row), shared_inputs, chunk_tiles, at);
                    let from = tiles.row(gradient, gradient_pixels, row);
                    tiles.transform_gradient(*level, gradient, from, shared_gradients, chunk_tiles, at);
                }
            });

            let (inputs, gradients) = (&*inputs, &*gradients);
            let last = first + count == shape.batch;
            for_each(groups * panels, chunk_tiles * self.length(), |group| {
                let mut own = scratch::take(if single { self.group_length() } else { 0 });
                // SAFETY: tasks own disjoint parts of the sums.
                let shared = || unsafe { shared_sums.range(group * self.group_length(), self.group_length()) };
                let sums = if single { &mut own[..] } else { shared() };
                self.add(group, chunk_tiles, inputs, gradients, first > 0, sums);
                if last {
                    // SAFETY: tasks own different kernels.
                    unsafe { self.store(group, sums, weight_gradient) };
                }
            });
        }
    }

    /// Adds the products of `count` transformed tiles to the sums of a group, `[position, ROWS, PANEL]`, or begins with them.
    fn add(&self, group: usize, count: usize, inputs: &[f32], gradients: &[f32], accumulate: bool, sums: &mut [f32]) {
        let (channel, column) = self.place(group);
        let (step, gradient_step) = (self.tiles.source.channel_step, self.gradient.channel_step);
        let positions = self.tiles.form.positions();
        assert!(inputs.len() >= positions * count * step && gradients.len() >= positions * count * gradient_step, "transformed tiles");
        assert!(sums.len() >= self.group_length(), "sums of the group");
        for position in 0..positions {
            let product = Product {
                a: inputs[position * count * step + channel..].as_ptr(),
                rows: Rows::Adjacent { count: ROWS.min(self.shape.in_channels - channel), a_step: step },
                b: gradients[position * count * gradient_step + column..].as_ptr(),
                b_step: gradient_step,
                columns: panel_columns(column, self.shape.out_channels),
                runs: &[Run { a: 0, b: 0, length: count }],
                c: sums[position * ROWS * PANEL..].as_mut_ptr(),
                c_step: PANEL,
                accumulate,
            };
            // SAFETY: both buffers hold `count` rows of their step (asserted); `columns` never passes the step.
            unsafe { product.run(self.level) };
        }
    }

    /// First input channel and first output channel of a group.
    fn place(&self, group: usize) -> (usize, usize) {
        let panels = self.groups().1;
        (group / panels * ROWS, group % panels * PANEL)
    }

    /// Transforms the sums of a group into kernels and writes them.
    ///
    /// # Safety
    /// Nothing else may touch these kernels.
    unsafe fn store(&self, group: usize, sums: &[f32], to: Shared) {
        let ((channel, column), form, shape) = (self.place(group), self.tiles.form, self.shape);
        let (rows, taps) = (ROWS.min(shape.in_channels - channel), form.taps());
        // [row, tap, column]
        let mut kernels = [0.0f32; ROWS * TAPS * PANEL];
        at_level!(self.level, transform_sums(form, sums, rows, &mut kernels));
        let columns = PANEL.min(shape.out_channels - column);
        let plane = shape.in_channels * taps;
        let at = (column * shape.in_channels + channel) * taps;
        // SAFETY: the caller's promise; `kernels` holds `rows * taps` panel rows.
        unsafe {
            let to = to.part(at, (columns - 1) * plane + rows * taps).pointer();
            pixels_to_planes(self.level, kernels.as_ptr(), PANEL, (rows * taps, columns), to, plane, Finish::NOTHING);
        }
    }
}

#[inline(always)]
unsafe fn transform_sums<V: Vector>(form: Form, sums: &[f32], rows: usize, kernels: &mut [f32; ROWS * TAPS * PANEL]) {
    const STEP: usize = ROWS * PANEL;
    for row in 0..rows {
        for column in (0..PANEL).step_by(V::LANES) {
            // SAFETY: both hold `PANEL` numbers for every row and position or tap.
            unsafe {
                let from = sums[row * PANEL + column..].as_ptr();
                let to = kernels[row * form.taps() * PANEL + column..].as_mut_ptr();
                form.weight_gradient::<V>(from, STEP, to, PANEL);
            }
        }
    }
}
