//! A trunk for maps that treats every position alike and alone.

use super::Trunk;
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, ConcatConv2d, Conv2dConfig, ConvNorm, Mode, batch_norm, check_widths, concat_conv2d, conv_norm};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// 1x1 convolution, batch normalisation and ReLU per width, behind the concatenation of maps of one size.
///
/// Parameters of layer `i`: `i.conv.weight`, `i.norm.*`.
pub struct PointwiseTrunk {
    first: ConcatConv2d,
    first_norm: BatchNorm,
    layers: Vec<ConvNorm>,
    feature_shape: [usize; 3],
}

impl PointwiseTrunk {
    /// Builds the layers for features of the given shapes; `names` of the modalities are for the errors.
    pub fn new(names: &[String], feature_shapes: &[&[usize]], widths: &[usize], vb: VarBuilder) -> Result<Self> {
        check_widths("trunk.widths", widths)?;
        let map = |(name, &shape): (&String, &&[usize])| match (shape, feature_shapes[0]) {
            (&[channels, height, width], &[_, h, w]) if (height, width) == (h, w) => Ok([channels, height, width]),
            (_, first) => {
                let problem = format!("a pointwise trunk reads maps of one size, but the feature of `{name}` has shape {shape:?}");
                Err(Error::config("trunk.kind", format!("{problem}, the first {first:?}; choose another encoder for it, or an MLP trunk")))
            }
        };
        let maps = names.iter().zip(feature_shapes).map(map).collect::<Result<Vec<[usize; 3]>>>()?;
        let Some(&[_, height, width]) = maps.first() else {
            return Err(Error::config("modalities", "a trunk needs at least one modality"));
        };
        let channels: Vec<usize> = maps.iter().map(|map| map[0]).collect();
        let (mut from, config) = (widths[0], Conv2dConfig::square(1, 0));
        let first = concat_conv2d(&channels, from, 1, config, vb.pp("0.conv"))?;
        let first_norm = batch_norm(from, vb.pp("0.norm"))?;
        let mut layers = Vec::with_capacity(widths.len() - 1);
        for (i, &outputs) in widths.iter().enumerate().skip(1) {
            let vb = vb.pp(i);
            layers.push(conv_norm((from, outputs), (1, 1), config, vb.pp("conv"), vb.pp("norm"))?);
            from = outputs;
        }
        Ok(Self { first, first_norm, layers, feature_shape: [from, height, width] })
    }
}

impl Trunk for PointwiseTrunk {
    fn part(&self, index: usize, feature: &Tensor) -> Result<Tensor> {
        Ok(self.first.part(index, feature)?)
    }

    fn finish(&self, sum: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.first_norm.forward_relu(sum, mode)?;
        self.layers.iter().try_fold(x, |x, layer| Ok(layer.forward_relu(&x, mode)?))
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
