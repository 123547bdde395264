//! Sizes of pooling windows, and which outputs of a row a tap of a window reaches.

use std::ops::Range;

use crate::error::{Error, Result};

/// Outputs x with `0 <= x * stride + tap - padding < size`, out of `0..outputs`.
pub(crate) fn reached(outputs: usize, stride: usize, tap: usize, padding: usize, size: usize) -> Range<usize> {
    let start = padding.saturating_sub(tap).div_ceil(stride).min(outputs);
    let end = (size + padding).saturating_sub(tap).div_ceil(stride).min(outputs);
    start..end.max(start)
}

/// Sizes of a 2-d pooling over `[batch, channels, height, width]`; pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pool2dShape {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Size of the window.
    pub kernel: (usize, usize),
    /// Step of the window.
    pub stride: (usize, usize),
    /// Rows and columns added on each side; at most half the window, as in PyTorch.
    pub padding: (usize, usize),
}

impl Pool2dShape {
    /// The shape itself if it can be. Every kernel checks this too.
    pub fn checked(self) -> Result<Self> {
        let refuse = |why: &str| Err(Error::Shape(format!("{why}: {self:?}")));
        let positive = [self.channels, self.height, self.width, self.kernel.0, self.kernel.1, self.stride.0, self.stride.1];
        if positive.contains(&0) {
            return refuse("a size is zero");
        }
        if positive.iter().any(|&n| n >= 1 << 20) {
            return refuse("a size is 2^20 or more");
        }
        if self.padding.0 > self.kernel.0 / 2 || self.padding.1 > self.kernel.1 / 2 {
            return refuse("the padding is more than half the window");
        }
        if self.kernel.0 > self.height + 2 * self.padding.0 || self.kernel.1 > self.width + 2 * self.padding.1 {
            return refuse("the window is larger than the padded input");
        }
        let planes = self.batch.checked_mul(self.channels);
        if self.height * self.width >= 1 << 31 || planes.and_then(|n| n.checked_mul(self.height * self.width)).is_none() {
            return refuse("a tensor is too large");
        }
        Ok(self)
    }

    /// Height of the output.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding.0 - self.kernel.0) / self.stride.0 + 1
    }

    /// Width of the output.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding.1 - self.kernel.1) / self.stride.1 + 1
    }

    /// Numbers in the input.
    pub fn input_length(&self) -> usize {
        self.batch * self.channels * self.height * self.width
    }

    /// Numbers in the output.
    pub fn output_length(&self) -> usize {
        self.batch * self.channels * self.out_height() * self.out_width()
    }

    /// Row of the input under a tap of an output row, if it is not padding.
    pub(crate) fn input_row(&self, out_row: usize, tap: usize) -> Option<usize> {
        (out_row * self.stride.0 + tap).checked_sub(self.padding.0).filter(|&row| row < self.height)
    }
}
