//! Weights in the order in which the inner loop reads them: panels of 32 output channels, `[panel, k, 32]`.

use crate::conv::shape::Conv2dShape;
use crate::conv::taps::Taps;
use crate::layout::planes_to_pixels;
use crate::microkernel::PANEL;
use crate::scratch::{self, Room, Scratch};
use crate::simd::Level;
use crate::threads::{MOVED, Shared, for_each};

/// Room for panels of so many channels: with zeros where the last one has columns beyond them, since these are read, too.
fn room(channels: usize, [any, zeros]: [Room; 2]) -> Room {
    if channels.is_multiple_of(PANEL) { any } else { zeros }
}

/// Panels for the forward pass; `k` counts (tap, input channel) in the order of `taps`.
pub(crate) fn forward(level: Level, shape: &Conv2dShape, taps: &Taps, weight: &[f32], rooms: [Room; 2]) -> Scratch {
    let (channels, area) = (shape.in_channels, shape.kernel.0 * shape.kernel.1);
    let inner = taps.inner(channels);
    let panels = shape.out_channels.div_ceil(PANEL);
    let mut packed = room(shape.out_channels, rooms)(panels * inner * PANEL);
    let shared = Shared::new(&mut packed);
    for_each(shape.out_channels.div_ceil(8), MOVED * weight.len(), |group| {
        let first = group * 8;
        let count = 8.min(shape.out_channels - first);
        // Eight rows with their taps brought into order, then transposed into the panel's columns.
        let mut rows = scratch::take(8 * inner);
        for (r, row) in rows.chunks_exact_mut(inner).take(count).enumerate() {
            let from = &weight[(first + r) * inner..][..inner];
            for (to, &(ky, kx)) in row.chunks_exact_mut(channels).zip(&taps.order) {
                let tap = ky * shape.kernel.1 + kx;
                for (to, from) in to.iter_mut().zip(from[tap..].iter().step_by(area)) {
                    *to = *from;
                }
            }
        }
        let at = first / PANEL * inner * PANEL + first % PANEL;
        // SAFETY: `rows` holds `count` rows; groups write disjoint columns of the panels.
        unsafe {
            let to = shared.pointer().add(at);
            planes_to_pixels(level, rows.as_ptr(), inner, (count, inner), to, |k| k * PANEL);
        }
    });
    packed
}

/// Panels for one phase of the input's gradient; `k` counts (tap, output channel), columns are input channels.
pub(crate) fn input_gradient(shape: &Conv2dShape, taps: &Taps, weight: &[f32]) -> Scratch {
    let (columns, area) = (shape.in_channels, shape.kernel.0 * shape.kernel.1);
    let inner = taps.inner(shape.out_channels);
    let panels = columns.div_ceil(PANEL);
    let mut packed = room(columns, [scratch::take, scratch::take_zeroed])(panels * inner * PANEL);
    let work = MOVED * packed.len();
    let shared = Shared::new(&mut packed);
    for_each(panels, work, |panel| {
        // SAFETY: tasks own disjoint panels.
        let to = unsafe { shared.range(panel * inner * PANEL, inner * PANEL) };
        let first = panel * PANEL;
        let count = PANEL.min(columns - first);
        for (i, &(ky, kx)) in taps.order.iter().enumerate() {
            let tap = ky * shape.kernel.1 + kx;
            for channel in 0..shape.out_channels {
                let from = &weight[(channel * columns + first) * area + tap..];
                let row = &mut to[(i * shape.out_channels + channel) * PANEL..][..count];
                for (to, from) in row.iter_mut().zip(from.iter().step_by(area)) {
                    *to = *from;
                }
            }
        }
    });
    packed
}
