//! Transformed weights: `[panel, position, k, 32]`, k the channels of the source.

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd::form::Form;
use crate::conv::winograd::transform::at_level;
use crate::layout::planes_to_pixels;
use crate::microkernel::PANEL;
use crate::scratch::{self, Room, Scratch};
use crate::simd::{Level, Vector};
use crate::threads::{Shared, for_each};

/// Source channels a task transforms.
const CHANNELS: usize = 16;
/// Most taps of a kernel.
const TAPS: usize = 9;

/// For the forward pass.
pub(crate) fn forward(level: Level, form: Form, shape: &Conv2dShape, weight: &[f32], room: Room) -> Scratch {
    let taps = form.taps();
    let row = shape.in_channels * taps;
    transform(level, form, [shape.out_channels, shape.in_channels], weight.len(), room, |panel, channel, count, columns, to| {
        let from = &weight[panel * PANEL * row + channel * taps..];
        // SAFETY: the last of `columns` rows has `count * taps` numbers from here on; `to` holds as many panel rows.
        unsafe { planes_to_pixels(level, from.as_ptr(), row, (columns, count * taps), to, |p| p * PANEL) };
    })
}

/// For the gradient of the input, itself a convolution with kernels turned by half a circle and channels exchanged.
pub(crate) fn input_gradient(level: Level, form: Form, shape: &Conv2dShape, weight: &[f32]) -> Scratch {
    let taps = form.taps();
    transform(level, form, [shape.in_channels, shape.out_channels], weight.len(), scratch::take, |panel, channel, count, columns, to| {
        for c in 0..count {
            let from = &weight[((channel + c) * shape.in_channels + panel * PANEL) * taps..][..columns * taps];
            // SAFETY: `from` holds `columns` kernels; `to` holds a panel row for every tap of `count` channels.
            unsafe {
                let to = to.add(c * taps * PANEL);
                planes_to_pixels(level, from.as_ptr(), taps, (columns, taps), to, |p| (taps - 1 - p) * PANEL);
            }
        }
    })
}

/// `gather(panel, first channel, channels, columns, to)` brings kernels into the form `[channel, tap, 32]`.
fn transform(
    level: Level,
    form: Form,
    [columns, channels]: [usize; 2],
    work: usize,
    room: Room,
    gather: impl Fn(usize, usize, usize, usize, *mut f32) + Sync + Send,
) -> Scratch {
    let panels = columns.div_ceil(PANEL);
    let positions = form.positions();
    let mut transformed = room(panels * positions * channels * PANEL);
    let shared = Shared::new(&mut transformed);
    let groups = channels.div_ceil(CHANNELS);
    for_each(panels * groups, 4 * work, |task| {
        let (panel, first) = (task / groups, task % groups * CHANNELS);
        let count = CHANNELS.min(channels - first);
        let mut kernels = [0.0f32; CHANNELS * TAPS * PANEL];
        gather(panel, first, count, PANEL.min(columns - panel * PANEL), kernels.as_mut_ptr());
        let at = (panel * positions * channels + first) * PANEL;
        let length = ((positions - 1) * channels + count) * PANEL;
        // These channels at all positions, and between them channels of other tasks: a pointer, not a slice.
        let to = shared.part(at, length).pointer();
        at_level!(level, transform_kernels(form, &kernels, count, to, channels * PANEL));
    });
    transformed
}

#[inline(always)]
unsafe fn transform_kernels<V: Vector>(form: Form, kernels: &[f32], count: usize, to: *mut f32, position_step: usize) {
    for channel in 0..count {
        for column in (0..PANEL).step_by(V::LANES) {
            // SAFETY: `kernels` holds a panel row a channel and tap; `to` a panel row a channel and position.
            unsafe {
                let from = kernels[channel * form.taps() * PANEL + column..].as_ptr();
                form.weight::<V>(from, PANEL, to.add(channel * PANEL + column), position_step);
            }
        }
    }
}
