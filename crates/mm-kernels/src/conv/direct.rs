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
use std::ops::Range;

/// Output pixels computed at a time: 8 full register tiles.
const BLOCK: usize = 112;

/// Output pixels of a phase below which a band is not worth its border.
const LEAST_BAND: usize = 96;

/// Numbers of the source that a band holds, so that they stay in the cache of a core.
const BAND_NUMBERS: usize = 64 << 10;

/// Numbers of the source that are held as pixels at a time where images are not computed in bands.
const SOURCE_CHUNK: usize = 1 << 20;

/// Tasks for each thread, so that none waits long for another.
const TASKS_A_THREAD: usize = 4;

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

/// Computes all phases of as many images as `input` holds. The phases together write every number of `output` once.
///
/// How the images are divided changes no bit: every output pixel is summed in the order of the taps.
pub(crate) fn run(level: Level, source: &Source, input: &[f32], phases: &[Phase], target: Target, finish: Finish, output: &mut [f32]) {
    let planes = source.channels * source.size.0 * source.size.1;
    let out_image = target.channels * target.size.0 * target.size.1;
    let images = input.len() / planes;
    assert_eq!(output.len(), images * out_image, "numbers of the output");
    for Phase { taps, panels } in phases {
        assert_eq!(panels.len(), target.channels.next_multiple_of(PANEL) * taps.inner(source.channels), "packed weights");
    }
    let sum = Sum { level, source, target, finish, output: Shared::new(output) };
    let rows = phases.iter().map(|phase| phase.taps.grid.0).max().unwrap_or(0);
    // Small enough for the cache, and for every thread to have some.
    let threads = rayon::current_num_threads();
    let share = if threads == 1 { rows } else { images * rows / (TASKS_A_THREAD * threads) };
    let band = rows_of_a_band(source, phases).min(share);
    if phases.iter().all(|phase| band * phase.taps.grid.1 >= LEAST_BAND) {
        let bands = rows.div_ceil(band);
        let work = phases.iter().map(|phase| images * phase.taps.grid.0 * phase.taps.grid.1 * phase.panels.len()).sum();
        for_each(images * bands, work, |task| {
            let (image, i) = (task / bands, task % bands);
            sum.band(&input[image * planes..][..planes], phases, image, rows * i / bands..rows * (i + 1) / bands);
        });
        return;
    }
    let at_a_time = (SOURCE_CHUNK / source.image_length()).clamp(1, images.max(1));
    let mut pixels = scratch::take(at_a_time * source.image_length());
    for first in (0..images).step_by(at_a_time) {
        let count = at_a_time.min(images - first);
        let pixels = &mut pixels[..count * source.image_length()];
        source.load(level, &input[first * planes..][..count * planes], pixels);
        for phase in phases {
            sum.images(pixels, phase, first..first + count);
        }
    }
}

/// Rows of the phases' grids whose part of the source, with its border, stays in a core's cache.
fn rows_of_a_band(source: &Source, phases: &[Phase]) -> usize {
    let source_rows = BAND_NUMBERS / source.pixel(1, 0);
    let rows = |taps: &Taps| source_rows.saturating_sub(reach(source, taps)) / taps.step.0;
    phases.iter().map(|phase| rows(phase.taps)).min().unwrap_or(0)
}

/// Rows of the source that the taps of one row of the grid touch.
fn reach(source: &Source, taps: &Taps) -> usize {
    taps.runs.iter().map(|run| (run.a + run.length).div_ceil(source.pixel(1, 0))).max().unwrap_or(0)
}

/// What is summed, and where it goes.
struct Sum<'a> {
    level: Level,
    source: &'a Source,
    target: Target,
    finish: Finish,
    output: Shared<'a>,
}

// SAFETY: the pointers of the finish are only read, and the slices behind them outlive the call that made them.
unsafe impl Sync for Sum<'_> {}

impl Sum<'_> {
    /// Rows of all phases' grids in one image, of which `planes` is the source.
    fn band(&self, planes: &[f32], phases: &[Phase], image: usize, rows: Range<usize>) {
        let source = self.source;
        let of = |taps: &Taps| rows.start.min(taps.grid.0)..rows.end.min(taps.grid.0);
        // All phases have the same step.
        let first = rows.start * phases[0].taps.step.0;
        let end = |Phase { taps, .. }: &Phase| (of(taps).end.max(1) - 1) * taps.step.0 + reach(source, taps);
        let end = phases.iter().map(end).fold(first, usize::max);
        let mut pixels = scratch::take((end - first) * source.pixel(1, 0));
        source.load_rows(self.level, planes, first..end, &mut pixels);
        let origin = image * source.image_length() + source.pixel(first, 0);
        for phase in phases {
            let (rows, (height, width)) = (of(phase.taps), phase.taps.grid);
            let (start, count) = ((image * height + rows.start) * width, rows.len() * width);
            let blocks = count.div_ceil(BLOCK);
            for i in 0..blocks {
                let block = start + count * i / blocks..start + count * (i + 1) / blocks;
                self.block(&pixels, origin, phase, block, 0..self.panels());
            }
        }
    }

    /// A phase of several images, all of whose source is in `pixels`.
    fn images(&self, pixels: &[f32], phase: &Phase, images: Range<usize>) {
        let taps = phase.taps;
        let grid = taps.grid.0 * taps.grid.1;
        let (start, count) = (images.start * grid, images.len() * grid);
        let blocks = count.div_ceil(BLOCK);
        // A task is a block with all its panels where there are blocks for all threads, else a block and one panel.
        let panels = self.panels();
        let split = if blocks < TASKS_A_THREAD * rayon::current_num_threads() { panels } else { 1 };
        for_each(blocks * split, count * taps.inner(self.source.channels) * self.target.channels, |task| {
            let (block, part) = (task / split, task % split);
            let block = start + block * BLOCK..start + count.min((block + 1) * BLOCK);
            let origin = images.start * self.source.image_length();
            self.block(pixels, origin, phase, block, part * panels / split..(part + 1) * panels / split);
        });
    }

    fn panels(&self) -> usize {
        self.target.channels.div_ceil(PANEL)
    }

    /// The grid pixels `block`, counted from image 0 on, and some panels of the output's channels. `pixels` holds the source from `origin`
    /// on.
    fn block(&self, pixels: &[f32], origin: usize, phase: &Phase, block: Range<usize>, panels: Range<usize>) {
        let taps = phase.taps;
        let inner = taps.inner(self.source.channels);
        let mut offsets = [0; BLOCK];
        let mut places = [0; BLOCK];
        self.locate(taps, origin, block.start, &mut offsets[..block.len()], &mut places);
        let mut sums = [0.0f32; BLOCK * PANEL];
        for panel in panels {
            let channel = panel * PANEL;
            let product = Product {
                a: pixels.as_ptr(),
                rows: Rows::At(&offsets[..block.len()]),
                b: phase.panels[panel * inner * PANEL..].as_ptr(),
                b_step: PANEL,
                columns: panel_columns(channel, self.target.channels),
                runs: &taps.runs,
                c: sums.as_mut_ptr(),
                c_step: PANEL,
                accumulate: false,
            };
            // SAFETY: the source's border was made so that every tap of every grid pixel is inside its image, and `pixels` holds the rows
            // that these taps reach.
            unsafe { product.run(self.level) };
            let channels = PANEL.min(self.target.channels - channel);
            // SAFETY: tasks own disjoint (pixels, channels) of the output.
            unsafe { self.store(taps, &sums, (channel, channels), &places[..block.len()]) };
        }
    }

    /// Where the grid pixels from `first` on are in the source behind `origin`, and in channel 0 of the output.
    fn locate(&self, taps: &Taps, origin: usize, first: usize, offsets: &mut [usize], places: &mut [usize]) {
        let (Self { source, target, .. }, (height, width)) = (self, taps.grid);
        let plane = target.size.0 * target.size.1;
        let (mut image, mut row, mut column) = (first / (height * width), first / width % height, first % width);
        for (offset, place) in offsets.iter_mut().zip(places) {
            *offset = image * source.image_length() + source.pixel(row * taps.step.0, column * taps.step.1) - origin;
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
    unsafe fn store(&self, taps: &Taps, sums: &[f32; BLOCK * PANEL], (channel, channels): (usize, usize), places: &[usize]) {
        let Self { target, finish, output, .. } = self;
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
                    let finish = finish.part(channel, at);
                    let to = output.pointer().add(at);
                    pixels_to_planes(self.level, sums[start * PANEL..].as_ptr(), PANEL, (count, channels), to, plane, finish);
                }
                start += count;
            }
            return;
        }
        for c in 0..channels {
            let at = (channel + c) * plane;
            for (row, place) in sums.chunks_exact(PANEL).zip(places) {
                // SAFETY: the caller's promise.
                unsafe { *output.pointer().add(at + place) = finish.one(row[c], channel + c, at + place) };
            }
        }
    }
}
