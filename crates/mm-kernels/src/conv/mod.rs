//! 2-d convolution, forward and backward.
//!
//! Tensors are contiguous `[batch, channel, height, width]`. Inside, a convolution works on pixels
//! (`[row, column, channel]` with a border of zeros): output channels fill vectors, and the shifted images of the taps
//! are read in place, so no column matrix is built.

mod choice;
mod depthwise;
mod direct;
mod exact;
mod panels;
mod shape;
mod taps;
mod weight_gradient;
mod winograd;

pub use depthwise::{depthwise_conv2d_forward, depthwise_conv2d_input_gradient, depthwise_conv2d_weight_gradient};
pub use exact::with_exact_sums;
pub use shape::Conv2dShape;

use crate::error::{Error, Result, check_length};
use crate::layout::Finish;
use crate::scratch::{self, Room, Scratch};
use crate::simd::{Level, vectorize};
use crate::sums::Sums;
use crate::threads::{Shared, for_each};

/// What is done to the output of a convolution before it is stored: `relu(output + bias + residual)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// One number an output channel.
    pub bias: Option<&'a [f32]>,
    /// A tensor like the output.
    pub residual: Option<&'a [f32]>,
    /// Set what is negative to zero.
    pub relu: bool,
}

impl<'a> Epilogue<'a> {
    /// An epilogue that only adds a bias.
    pub fn bias(bias: Option<&'a [f32]>) -> Self {
        Self { bias, ..Self::default() }
    }

    fn finish(&self, shape: &Conv2dShape) -> Result<Finish> {
        if let Some(bias) = self.bias {
            check_length("bias", shape.out_channels, bias.len())?;
        }
        if let Some(residual) = self.residual {
            shape.check_output("residual", residual)?;
        }
        let pointer = |slice: Option<&[f32]>| slice.map_or(std::ptr::null(), <[f32]>::as_ptr);
        Ok(Finish { bias: pointer(self.bias), residual: pointer(self.residual), relu: self.relu })
    }
}

/// The weight of a convolution, rearranged once for many forward passes.
///
/// It holds for any batch size and image size; kernel, stride, padding, dilation and channels are those it was made for.
pub struct PreparedWeights {
    shape: Conv2dShape,
    arranged: Arranged,
}

impl std::fmt::Debug for PreparedWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("PreparedWeights").field("shape", &self.shape).finish_non_exhaustive()
    }
}

enum Arranged {
    Direct(Scratch),
    Winograd(winograd::Form, Scratch),
}

impl PreparedWeights {
    /// Rearranges `weight` for convolutions like `shape`.
    pub fn new(shape: Conv2dShape, weight: &[f32]) -> Result<Self> {
        Self::arranged(shape, weight, [scratch::own; 2])
    }

    /// As [`new`](Self::new), in working memory: for one call.
    fn in_scratch(shape: Conv2dShape, weight: &[f32]) -> Result<Self> {
        Self::arranged(shape, weight, [scratch::take, scratch::take_zeroed])
    }

    fn arranged(shape: Conv2dShape, weight: &[f32], [any, zeros]: [Room; 2]) -> Result<Self> {
        let shape = shape.checked()?;
        shape.check_weight(weight)?;
        let level = Level::current();
        let arranged = match choice::winograd(&shape) {
            Some(form) => Arranged::Winograd(form, winograd::weights::forward(level, form, &shape, weight, any)),
            None => Arranged::Direct(panels::forward(level, &shape, &taps::forward(&shape).1, weight, [any, zeros])),
        };
        Ok(Self { shape, arranged })
    }

    /// Whether [`new`](Self::new) would arrange the weight for `shape` the same way. If so a forward pass has the bits
    /// of [`conv2d_forward`]; if not it may differ from it in rounding.
    pub fn suits(&self, shape: &Conv2dShape) -> bool {
        let form = match self.arranged {
            Arranged::Winograd(form, _) => Some(form),
            Arranged::Direct(_) => None,
        };
        self.check(shape).is_ok() && choice::winograd(shape) == form
    }

    fn check(&self, shape: &Conv2dShape) -> Result<()> {
        let Conv2dShape { batch, height, width, .. } = *shape;
        if (Conv2dShape { batch, height, width, ..self.shape }) == *shape {
            return Ok(());
        }
        Err(Error::Shape(format!("weights prepared for {:?}, used with {shape:?}", self.shape)))
    }
}

/// `output = epilogue(convolution(input, weight))`, with weights prepared before.
pub fn conv2d_forward_prepared(
    shape: Conv2dShape,
    input: &[f32],
    weights: &PreparedWeights,
    epilogue: Epilogue,
    output: &mut [f32],
) -> Result<()> {
    let shape = shape.checked()?;
    shape.check_input(input)?;
    shape.check_output("output", output)?;
    let finish = epilogue.finish(&shape)?;
    weights.check(&shape)?;
    let level = Level::current();
    match &weights.arranged {
        Arranged::Winograd(form, weights) => winograd::run(level, *form, &shape, input, weights, finish, output),
        Arranged::Direct(panels) => {
            let (source, taps) = taps::forward(&shape);
            let target = direct::Target { channels: shape.out_channels, size: (shape.out_height(), shape.out_width()) };
            let phases = [direct::Phase { taps: &taps, panels }];
            direct::run(level, &source, input, &phases, target, finish, output);
        }
    }
    Ok(())
}

/// `output = epilogue(convolution(input, weight))`.
pub fn conv2d_forward_with(shape: Conv2dShape, input: &[f32], weight: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
    conv2d_forward_prepared(shape, input, &PreparedWeights::in_scratch(shape, weight)?, epilogue, output)
}

/// `output = convolution(input, weight) + bias`.
pub fn conv2d_forward(shape: Conv2dShape, input: &[f32], weight: &[f32], bias: Option<&[f32]>, output: &mut [f32]) -> Result<()> {
    if exact::asked() {
        let shape = shape.checked()?;
        shape.check_input(input)?;
        shape.check_weight(weight)?;
        shape.check_output("output", output)?;
        Epilogue::bias(bias).finish(&shape)?;
        exact::forward(&shape, input, weight, bias, output);
        return Ok(());
    }
    conv2d_forward_with(shape, input, weight, Epilogue::bias(bias), output)
}

/// Gradient of the input, from the gradient of the output and the weight.
pub fn conv2d_input_gradient(shape: Conv2dShape, output_gradient: &[f32], weight: &[f32], input_gradient: &mut [f32]) -> Result<()> {
    let shape = shape.checked()?;
    shape.check_output("output gradient", output_gradient)?;
    shape.check_weight(weight)?;
    shape.check_input(input_gradient)?;
    let level = Level::current();
    let dual = winograd::form(&shape).map(|_| winograd::input_gradient_shape(&shape));
    if let Some((form, dual)) = dual.and_then(|dual| Some((choice::winograd_input_gradient(&dual)?, dual))) {
        let weights = winograd::weights::input_gradient(level, form, &shape, weight);
        winograd::run(level, form, &dual, output_gradient, &weights, Finish::NOTHING, input_gradient);
        return Ok(());
    }
    let (source, phases) = taps::input_gradient(&shape);
    let panels: Vec<Scratch> = phases.iter().map(|taps| panels::input_gradient(&shape, taps, weight)).collect();
    let phases: Vec<_> = phases.iter().zip(&panels).map(|(taps, panels)| direct::Phase { taps, panels }).collect();
    let target = direct::Target { channels: shape.in_channels, size: (shape.height, shape.width) };
    direct::run(level, &source, output_gradient, &phases, target, Finish::NOTHING, input_gradient);
    Ok(())
}

/// Gradient of the bias: the sum of the output's gradient over images and pixels.
pub fn conv2d_bias_gradient(shape: Conv2dShape, output_gradient: &[f32], bias_gradient: &mut [f32]) -> Result<()> {
    let shape = shape.checked()?;
    shape.check_output("output gradient", output_gradient)?;
    check_length("bias gradient", shape.out_channels, bias_gradient.len())?;
    let (plane, image) = (shape.out_height() * shape.out_width(), shape.output_length() / shape.batch.max(1));
    let level = Level::current();
    let shared = Shared::new(bias_gradient);
    for_each(shape.out_channels, output_gradient.len(), |channel| {
        let total: f64 = vectorize(
            level,
            #[inline(always)]
            || {
                let mut total = Sums::default();
                for n in 0..shape.batch {
                    total.add([&output_gradient[n * image + channel * plane..][..plane]], |x| x);
                }
                total.finish()[0]
            },
        );
        // SAFETY: tasks own different channels.
        unsafe { shared.range(channel, 1)[0] = total as f32 };
    });
    Ok(())
}

/// Gradient of the weight, from the input and the gradient of the output.
pub fn conv2d_weight_gradient(shape: Conv2dShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) -> Result<()> {
    let shape = shape.checked()?;
    shape.check_input(input)?;
    shape.check_output("output gradient", output_gradient)?;
    shape.check_weight(weight_gradient)?;
    let level = Level::current();
    if let Some(form) = choice::winograd_weight_gradient(&shape) {
        winograd::weight_gradient::run(level, form, &shape, input, output_gradient, weight_gradient);
    } else {
        weight_gradient::direct(level, &shape, input, output_gradient, weight_gradient);
    }
    Ok(())
}
