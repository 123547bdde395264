//! Convolution as a matrix product whose left operand is never built: each row of it is read from the image in place.
//!
//! Error against f64 below 1e-6 of the largest number at inner dimensions (taps times channels) of some hundreds,
//! below 3e-6 at 2304: `errors_of_the_fast_paths` in `tests/conv.rs`.

use crate::conv::taps::{Source, Taps};
use crate::layout::{Finish, pixels_to_planes};
use crate::microkernel::{PANEL, Product, Rows, panel_columns};
use crate::scratch;
use crate::simd::Level;
use crate::threads::{Shared, for_each};

/// Output pixels a task computes at a time: 8 full register tiles.
const BLOCK: usize = 112;

/// Numbers of the source that are held as pixels at a time.
const SOURCE_CHUNK: usize = 1 << 20;

/// A phase and its weights.
pub(crate) struct Phase<'a> {
    pub taps: &'a Taps,
    pub panels: &'a [f32],
}

/// The output: `[image, channel, height, width]`.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub channels: usize,
    pub size: (usize, usize),
}

/// Computes all phases of `images` images. The phases together write every number of `output` once.
pub(crate) fn run(level: Level, source: &Source, input: &[f32], phases: &[Phase], target: Target, finish: Finish, output: &mut [f32]) {
    let planes = source.channels * source.size.0 * source.size.1;
    let out_image = target.channels * target.size.0 * target.size.1;
    let images = input.len() / planes;
    assert_eq!(output.len(), images * out_image, "numbers of the output");
    let at_a_time = (SOURCE_CHUNK / source.image_length()).clamp(1, images.max(1));
    let mut pixels = scratch::take(at_a_time * source.image_length());
    for first in (0..images).step_by(at_a_time) {
        let count = at_a_time.min(images - first);
        let pixels = &mut pixels[..count * source.image_length()];
        source.load(level, &input[first * planes..][..count * planes], pixels);
        let output = &mut output[first * out_image..][..count * out_image];
        // SAFETY: `finish` covers the whole output, of which this is the part from image `first` on.
        let finish = unsafe { finish.part(0, first * out_image) };
        for phase in phases {
            run_phase(level, source, pixels, count, phase, target, finish, output);
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn run_phase(
    level: Level,
    source: &Source,
    pixels: &[f32],
    images: usize,
    phase: &Phase,
    target: Target,
    finish: Finish,
    output: &mut [f32],
) {
    let taps = phase.taps;
    let inner = taps.inner(source.channels);
    let grid = images * taps.grid.0 * taps.grid.1;
    let blocks = grid.div_ceil(BLOCK);
    let panels = target.channels.div_ceil(PANEL);
    assert_eq!(phase.panels.len(), panels * inner * PANEL, "packed weights");
    // A task is a block with all its panels where there are blocks for all threads, else a block and one panel.
    let split = if blocks < 4 * rayon::current_num_threads() { panels } else { 1 };
    let shared = Shared::new(output);
    let finish = SyncFinish(finish);
    for_each(blocks * split, grid * inner * target.channels, |task| {
        let (block, part) = (task / split, task % split);
        let first = block * BLOCK;
        let count = BLOCK.min(grid - first);
        let mut offsets = [0; BLOCK];
        let mut places = [0; BLOCK];
        locate(source, taps, target, first, &mut offsets[..count], &mut places);
        let mut sums = [0.0f32; BLOCK * PANEL];
        for panel in part * panels / split..(part + 1) * panels / split {
            let channel = panel * PANEL;
            let product = Product {
                a: pixels.as_ptr(),
                rows: Rows::At(&offsets[..count]),
                b: phase.panels[panel * inner * PANEL..].as_ptr(),
                b_step: PANEL,
                columns: panel_columns(channel, target.channels),
                runs: &taps.runs,
                c: sums.as_mut_ptr(),
                c_step: PANEL,
                accumulate: false,
            };
            // SAFETY: the source's border was made so that every tap of every grid pixel is inside its image.
            unsafe { product.run(level) };
            let channels = PANEL.min(target.channels - channel);
            // SAFETY: tasks own disjoint (pixels, channels) of the output.
            unsafe { store(level, taps, target, &sums, (channel, channels), &places[..count], shared, &finish) };
        }
    });
}

/// A finish seen by several threads.
struct SyncFinish(Finish);
// SAFETY: the pointers are only read, and the slices behind them outlive the call that made them.
unsafe impl Sync for SyncFinish {}

/// Where the grid pixels from `first` on are in the source, and in channel 0 of the output.
fn locate(source: &Source, taps: &Taps, target: Target, first: usize, offsets: &mut [usize], places: &mut [usize]) {
    let (height, width) = taps.grid;
    let plane = target.size.0 * target.size.1;
    let (mut image, mut row, mut column) = (first / (height * width), first / width % height, first % width);
    for (offset, place) in offsets.iter_mut().zip(places) {
        *offset = image * source.image_length() + source.pixel(row * taps.step.0, column * taps.step.1);
        let (y, x) = (taps.first.0 + row * taps.spread.0, taps.first.1 + column * taps.spread.1);
        *place = image * target.channels * plane + y * target.size.1 + x;
        column += 1;
        if column == width {
            (row, column) = (row + 1, 0);
            if row == height {
                (image, row) = (image + 1, 0);
            }
        }
    }
}

/// Writes a block's sums `[pixel, PANEL]` to its places in the output.
///
/// # Safety
/// The places and channels must be inside the output and written by this call alone.
#[allow(clippy::too_many_arguments)]
unsafe fn store(
    level: Level,
    taps: &Taps,
    target: Target,
    sums: &[f32; BLOCK * PANEL],
    (channel, channels): (usize, usize),
    places: &[usize],
    output: Shared,
    finish: &SyncFinish,
) {
    let plane = target.size.0 * target.size.1;
    if taps.spread == (1, 1) && taps.grid == target.size {
        // Within an image the places are consecutive.
        let mut start = 0;
        while start < places.len() {
            let left_in_image = plane - places[start] % plane;
            let count = left_in_image.min(places.len() - start);
            let at = places[start] + channel * plane;
            // SAFETY: the caller's promise; sums holds `count` rows from `start` on.
            unsafe {
                let finish = finish.0.part(channel, at);
                let to = output.pointer().add(at);
                pixels_to_planes(level, sums[start * PANEL..].as_ptr(), PANEL, (count, channels), to, plane, finish);
            }
            start += count;
        }
        return;
    }
    for c in 0..channels {
        let at = (channel + c) * plane;
        for (row, place) in sums.chunks_exact(PANEL).zip(places) {
            // SAFETY: the caller's promise.
            unsafe { *output.pointer().add(at + place) = finish.0.one(row[c], channel + c, at + place) };
        }
    }
}
