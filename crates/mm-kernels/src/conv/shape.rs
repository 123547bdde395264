//! The sizes of a 2-d convolution.

use crate::error::{Error, Result, check_length};

/// Sizes of a 2-d convolution: `input` is `[batch, in_channels, height, width]`, `weight`
/// `[out_channels, in_channels, kernel.0, kernel.1]`, `output` `[batch, out_channels, out_height, out_width]`.
///
/// Pairs are (vertical, horizontal). A depthwise convolution has `weight` `[channels, 1, kernel.0, kernel.1]` and
/// `in_channels == out_channels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dShape {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Size of the kernel.
    pub kernel: (usize, usize),
    /// Step of the kernel.
    pub stride: (usize, usize),
    /// Zeros added on each side.
    pub padding: (usize, usize),
    /// Distance of the kernel's taps.
    pub dilation: (usize, usize),
}

impl Conv2dShape {
    /// A shape with stride 1, padding 0 and dilation 1; refuses what [`checked`](Self::checked) refuses.
    pub fn new(
        batch: usize,
        in_channels: usize,
        (height, width): (usize, usize),
        out_channels: usize,
        kernel: (usize, usize),
    ) -> Result<Self> {
        let (stride, padding, dilation) = ((1, 1), (0, 0), (1, 1));
        Self { batch, in_channels, out_channels, height, width, kernel, stride, padding, dilation }.checked()
    }

    /// The shape itself if it can be: no size but the batch is zero, the dilated kernel fits into the padded input,
    /// and the tensors can be addressed. Every kernel checks this too.
    pub fn checked(self) -> Result<Self> {
        let refuse = |why: &str| Err(Error::Shape(format!("{why}: {self:?}")));
        let positive = [
            self.in_channels,
            self.out_channels,
            self.height,
            self.width,
            self.kernel.0,
            self.kernel.1,
            self.stride.0,
            self.stride.1,
            self.dilation.0,
            self.dilation.1,
        ];
        if positive.contains(&0) {
            return refuse("a size is zero");
        }
        // With every size below 2^20 no sum below can overflow; the products are checked.
        if positive.iter().chain([&self.padding.0, &self.padding.1]).any(|&n| n >= 1 << 20) {
            return refuse("a size is 2^20 or more");
        }
        let reach = |kernel: usize, dilation: usize| (kernel - 1).checked_mul(dilation).map(|n| n + 1);
        let fits = |size: usize, padding: usize, kernel, dilation| reach(kernel, dilation).is_some_and(|r| r <= size + 2 * padding);
        if !fits(self.height, self.padding.0, self.kernel.0, self.dilation.0)
            || !fits(self.width, self.padding.1, self.kernel.1, self.dilation.1)
        {
            return refuse("the kernel is larger than the padded input");
        }
        let product = |sizes: [usize; 4]| sizes.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).is_some_and(|n| n < 1 << 48);
        let padded = [self.height + 2 * self.padding.0 + 8, self.width + 2 * self.padding.1 + 8];
        let channels = self.in_channels.max(self.out_channels) + 32;
        if !product([self.batch, channels, padded[0], padded[1]])
            || !product([self.out_channels, self.in_channels, self.kernel.0, self.kernel.1])
        {
            return refuse("a tensor is too large");
        }
        Ok(self)
    }

    /// Height of the output.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding.0 - self.dilation.0 * (self.kernel.0 - 1) - 1) / self.stride.0 + 1
    }

    /// Width of the output.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding.1 - self.dilation.1 * (self.kernel.1 - 1) - 1) / self.stride.1 + 1
    }

    /// Numbers in the input.
    pub fn input_length(&self) -> usize {
        self.batch * self.in_channels * self.height * self.width
    }

    /// Numbers in the weight of a full (not depthwise) convolution.
    pub fn weight_length(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel.0 * self.kernel.1
    }

    /// Numbers in the output.
    pub fn output_length(&self) -> usize {
        self.batch * self.out_channels * self.out_height() * self.out_width()
    }

    /// Multiply-adds of the forward pass; each gradient costs about the same.
    pub fn multiply_adds(&self) -> usize {
        self.output_length() * self.in_channels * self.kernel.0 * self.kernel.1
    }

    pub(crate) fn check_input(&self, input: &[f32]) -> Result<()> {
        check_length("input", self.input_length(), input.len())
    }

    pub(crate) fn check_weight(&self, weight: &[f32]) -> Result<()> {
        check_length("weight", self.weight_length(), weight.len())
    }

    pub(crate) fn check_output(&self, what: &'static str, output: &[f32]) -> Result<()> {
        check_length(what, self.output_length(), output.len())
    }
}
