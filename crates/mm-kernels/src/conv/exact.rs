//! The forward pass with its sums in f64, for comparisons with other programs.
//!
//! A ReLU whose input is smaller than the rounding of the layers before it opens in one program and stays shut in another,
//! and every gradient below it moves by far more than a rounding. The usual forward pass of a deep network rounds by about
//! 2e-6 of its activations (PyTorch's by about 1e-6); with sums in f64 only the stored activations are rounded.

use crate::conv::shape::Conv2dShape;
use crate::threads::{Shared, for_each};
use crate::window::reached;
use std::cell::Cell;

thread_local! {
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` with the convolutions that this thread calls forward ([`super::conv2d_forward`]) summed in f64 and rounded once.
/// Ten to a hundred times slower: to check a network, not to train it. Prepared weights and gradients are not affected.
pub fn with_exact_sums<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ASKED.set(self.0);
        }
    }
    let _restore = Restore(ASKED.replace(true));
    f()
}

/// Whether this thread asked for it.
pub(super) fn asked() -> bool {
    ASKED.get()
}

/// `output = convolution(input, weight) + bias`; lengths were checked.
pub(super) fn forward(shape: &Conv2dShape, input: &[f32], weight: &[f32], bias: Option<&[f32]>, output: &mut [f32]) {
    let (height, width) = (shape.out_height(), shape.out_width());
    let plane = height * width;
    let taps = shape.kernel.0 * shape.kernel.1;
    let shared = Shared::new(output);
    for_each(shape.batch * shape.out_channels, output_work(shape), |task| {
        let (image, channel) = (task / shape.out_channels, task % shape.out_channels);
        let mut sums = vec![bias.map_or(0.0, |bias| f64::from(bias[channel])); plane];
        for c in 0..shape.in_channels {
            let from = &input[(image * shape.in_channels + c) * shape.height * shape.width..][..shape.height * shape.width];
            let weights = &weight[(channel * shape.in_channels + c) * taps..][..taps];
            for (tap, w) in weights.iter().enumerate() {
                let (ky, kx) = (tap / shape.kernel.1 * shape.dilation.0, tap % shape.kernel.1 * shape.dilation.1);
                let columns = reached(width, shape.stride.1, kx, shape.padding.1, shape.width);
                for y in reached(height, shape.stride.0, ky, shape.padding.0, shape.height) {
                    let row = &from[(y * shape.stride.0 + ky - shape.padding.0) * shape.width..][..shape.width];
                    for x in columns.clone() {
                        sums[y * width + x] += f64::from(*w) * f64::from(row[x * shape.stride.1 + kx - shape.padding.1]);
                    }
                }
            }
        }
        // SAFETY: tasks own different planes.
        let out = unsafe { shared.range(task * plane, plane) };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum as f32;
        }
    });
}

fn output_work(shape: &Conv2dShape) -> usize {
    shape.output_length().saturating_mul(shape.in_channels * shape.kernel.0 * shape.kernel.1)
}
