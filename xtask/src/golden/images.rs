//! The cases of image layers and of segmentation.

use super::case::{Case, Outputs};
use super::layers::forward_backward;
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use mm_core::eval::segmentation_metrics;
use mm_core::nn::{self, Conv2d, Conv2dConfig, Linear, SqueezeExcite};

/// Refuses a case whose output has not the shape that windows of this size leave of the input.
fn expect_windows(case: &Case, channels: usize, kernel: (usize, usize), stride: usize, padding: usize) -> Result<()> {
    let (batch, _, height, width) = case.tensor("input")?.dims4()?;
    let count = |size: usize, kernel: usize| {
        let places = (size + 2 * padding).checked_sub(kernel).and_then(|last| last.checked_div(stride));
        places.map(|places| places + 1).with_context(|| format!("kernel {kernel}, stride {stride} and padding {padding} for {size} pixels"))
    };
    case.expect_shape("output", &[batch, channels, count(height, kernel.0)?, count(width, kernel.1)?])
}

/// Refuses a case whose output is not the input resized to `size`.
fn expect_resized(case: &Case, (height, width): (usize, usize)) -> Result<()> {
    let (batch, channels, ..) = case.tensor("input")?.dims4()?;
    case.expect_shape("output", &[batch, channels, height, width])
}

/// Convolutions of several kernels, with the gradients of input and weight.
pub fn conv2d(case: &Case) -> Result<Outputs> {
    let (input, weight) = (case.variable("input")?, case.variable("weight")?);
    let (stride, padding) = (case.param("stride")?, case.param("padding")?);
    let (channels, _, height, width) = weight.dims4()?;
    expect_windows(case, channels, (height, width), stride, padding)?;
    let config = Conv2dConfig::square(stride, padding);
    let output = Conv2d::new(weight.as_tensor().clone(), None, config).forward(&input)?;
    let gradients = output.mul(&case.tensor("upstream")?)?.sum_all()?.backward()?;
    let outputs = Outputs::default().tensor("output", &output)?;
    outputs.gradient("input", &input, &gradients)?.gradient("weight", &weight, &gradients)
}

/// Max and average pooling.
pub fn pool2d(case: &Case) -> Result<Outputs> {
    let (kernel, stride, padding) = (case.param("kernel")?, case.param("stride")?, case.param("padding")?);
    let (_, channels, ..) = case.tensor("input")?.dims4()?;
    expect_windows(case, channels, (kernel, kernel), stride, padding)?;
    let pool = if case.op == "max_pool2d" { nn::max_pool2d } else { nn::avg_pool2d };
    forward_backward(case, |x| Ok(pool(x, kernel, stride, padding)?))
}

/// Average over a grid of parts.
pub fn adaptive_avg_pool2d(case: &Case) -> Result<Outputs> {
    let size = case.param("size")?;
    expect_resized(case, size)?;
    forward_backward(case, |x| Ok(nn::adaptive_avg_pool2d(x, size)?))
}

/// Bilinear resize.
pub fn upsample_bilinear2d(case: &Case) -> Result<Outputs> {
    let (size, align_corners) = (case.param("size")?, case.param("align_corners")?);
    expect_resized(case, size)?;
    forward_backward(case, |x| Ok(nn::upsample_bilinear2d(x, size, align_corners)?))
}

/// Nearest resize, several times in a row.
pub fn upsample_nearest2d(case: &Case) -> Result<Outputs> {
    let (factor, times): (usize, u32) = (case.param("factor")?, case.param("times")?);
    let (_, _, height, width) = case.tensor("input")?.dims4()?;
    let whole = factor.saturating_pow(times);
    expect_resized(case, (height.saturating_mul(whole), width.saturating_mul(whole)))?;
    forward_backward(case, |x| {
        let mut x = x.clone();
        for _ in 0..times {
            let (_, _, height, width) = x.dims4()?;
            x = nn::upsample_nearest2d(&x, (height * factor, width * factor))?;
        }
        Ok(x)
    })
}

/// Channels gated by what the whole image says.
pub fn squeeze_excite(case: &Case) -> Result<Outputs> {
    let layer = |name: &str| {
        Ok::<_, anyhow::Error>(Linear::new(case.tensor(&format!("{name}.weight"))?, Some(case.tensor(&format!("{name}.bias"))?)))
    };
    let gate = SqueezeExcite::new(layer("fc.0")?, layer("fc.2")?);
    let input = case.variable("input")?;
    let output = gate.forward(&input)?;
    let gradients = output.sqr()?.sum_all()?.backward()?;
    Outputs::default().tensor("output", &output)?.gradient("input", &input, &gradients)
}

/// Weighted cross entropy of pixels, void ignored.
pub fn segmentation_cross_entropy(case: &Case) -> Result<Outputs> {
    void_is_zero(case)?;
    let logits = case.variable("logits")?;
    let loss = mm_core::loss::pixel_cross_entropy(&logits, &case.labels("labels")?, Some(&case.tensor("class_weight")?))?.mean_all()?;
    Outputs::default().tensor("loss", &loss)?.gradient("logits", &logits, &loss.backward()?)
}

/// Intersection over union.
pub fn metrics(case: &Case) -> Result<Outputs> {
    void_is_zero(case)?;
    let flat = |t: Tensor| -> Result<Vec<u32>> { Ok(t.flatten_all()?.to_vec1::<u32>()?) };
    let m = segmentation_metrics(&flat(case.labels("prediction")?)?, &flat(case.labels("labels")?)?, case.param("classes")?)?;
    let count = m.iou.len();
    Ok(Outputs::default().numbers("iou", &[count], m.iou).scalar("mean_iou", m.mean_iou).scalar("pixel_accuracy", m.pixel_accuracy))
}

fn void_is_zero(case: &Case) -> Result<()> {
    match case.param::<u32>("void")? {
        0 => Ok(()),
        void => bail!("void is label 0 here, not {void}"),
    }
}
