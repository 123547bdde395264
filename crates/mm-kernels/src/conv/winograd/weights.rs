//! Transformed weights: `[panel, position, k, 32]`, k the channels of the source.

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd::transform::{POSITIONS, at_level, weight_tile};
use crate::layout::planes_to_pixels;
use crate::microkernel::PANEL;
use crate::scratch::{self, Room, Scratch};
use crate::simd::{Level, Vector};
use crate::threads::{Shared, for_each};

/// Source channels a task transforms.
const CHANNELS: usize = 16;

/// For the forward pass.
pub(crate) fn forward(level: Level, shape: &Conv2dShape, weight: &[f32], room: Room) -> Scratch {
    let row = shape.in_channels * 9;
    transform(level, [shape.out_channels, shape.in_channels], weight.len(), room, |panel, channel, count, columns, to| {
        let from = &weight[panel * PANEL * row + channel * 9..];
        // SAFETY: the last of `columns` rows has `count * 9` numbers from here on; `to` holds as many panel rows.
        unsafe { planes_to_pixels(level, from.as_ptr(), row, (columns, count * 9), to, |p| p * PANEL) };
    })
}

/// For the gradient of the input, itself a convolution with kernels turned by half a circle and channels exchanged.
pub(crate) fn input_gradient(level: Level, shape: &Conv2dShape, weight: &[f32]) -> Scratch {
    transform(level, [shape.in_channels, shape.out_channels], weight.len(), scratch::take, |panel, channel, count, columns, to| {
        for c in 0..count {
            let from = &weight[((channel + c) * shape.in_channels + panel * PANEL) * 9..][..columns * 9];
            // SAFETY: `from` holds `columns` kernels; `to` holds 9 panel rows for each of `count` channels.
            unsafe {
                let to = to.add(c * 9 * PANEL);
                planes_to_pixels(level, from.as_ptr(), 9, (columns, 9), to, |p| (8 - p) * PANEL);
            }
        }
    })
}

/// `gather(panel, first channel, channels, columns, to)` brings kernels into the form `[channel, tap, 32]`.
fn transform(
    level: Level,
    [columns, channels]: [usize; 2],
    work: usize,
    room: Room,
    gather: impl Fn(usize, usize, usize, usize, *mut f32) + Sync + Send,
) -> Scratch {
    let panels = columns.div_ceil(PANEL);
    let mut transformed = room(panels * POSITIONS * channels * PANEL);
    let shared = Shared::new(&mut transformed);
    let groups = channels.div_ceil(CHANNELS);
    for_each(panels * groups, 4 * work, |task| {
        let (panel, first) = (task / groups, task % groups * CHANNELS);
        let count = CHANNELS.min(channels - first);
        let mut kernels = [0.0f32; CHANNELS * 9 * PANEL];
        gather(panel, first, count, PANEL.min(columns - panel * PANEL), kernels.as_mut_ptr());
        let at = (panel * POSITIONS * channels + first) * PANEL;
        let length = ((POSITIONS - 1) * channels + count) * PANEL;
        // These channels at all positions, and between them channels of other tasks: a pointer, not a slice.
        let to = shared.part(at, length).pointer();
        at_level!(level, transform_kernels(&kernels, count, to, channels * PANEL));
    });
    transformed
}

#[inline(always)]
unsafe fn transform_kernels<V: Vector>(kernels: &[f32], count: usize, to: *mut f32, position_step: usize) {
    for channel in 0..count {
        for column in (0..PANEL).step_by(V::LANES) {
            // SAFETY: `kernels` holds 9 panel rows a channel; `to` a panel row a channel and position.
            unsafe {
                let from = kernels[channel * 9 * PANEL + column..].as_ptr();
                weight_tile::<V>(from, (3 * PANEL, PANEL), to.add(channel * PANEL + column), position_step);
            }
        }
    }
}
