//! The convolution behind a concatenation of modalities, as a sum of one part a modality.

use super::{Conv2d, Conv2dConfig, conv2d_no_bias};
use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;

/// `conv(concat_m(x_m)) = Σ_m conv_m(x_m)`: stored as the one `weight [outputs, Σ channels, kernel, kernel]`.
#[derive(Debug, Clone)]
pub struct ConcatConv2d {
    whole: Conv2d,
    weight: Tensor,
    channels: Vec<usize>,
    config: Conv2dConfig,
}

/// A square convolution without bias behind the concatenation of maps of the given channels.
pub fn concat_conv2d(channels: &[usize], outputs: usize, kernel: usize, config: Conv2dConfig, vb: VarBuilder) -> Result<ConcatConv2d> {
    let inputs = channels.iter().sum();
    let whole = conv2d_no_bias(inputs, outputs, (kernel, kernel), config, vb.clone())?;
    let weight = vb.get((outputs, inputs, kernel, kernel), "weight")?;
    Ok(ConcatConv2d { whole, weight, channels: channels.to_vec(), config })
}

impl ConcatConv2d {
    /// Applies it to the concatenation, `[batch, Σ channels, height, width]`.
    pub fn forward(&self, concatenation: &Tensor) -> Result<Tensor> {
        self.whole.forward(concatenation)
    }

    /// The share of modality `index` in the output, from its map `[batch, channels[index], height, width]`.
    pub fn part(&self, index: usize, map: &Tensor) -> Result<Tensor> {
        let Some(&channels) = self.channels.get(index) else {
            bail!("modality {index} of a convolution for {} modalities", self.channels.len());
        };
        let start = self.channels[..index].iter().sum();
        Conv2d::new(self.weight.narrow(1, start, channels)?, None, self.config).forward(map)
    }
}
