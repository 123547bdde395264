//! The shared part behind the concatenation of features.

use super::{PointwiseTrunk, ResNetTrunk, ResNetTrunkConfig, SumTrunk};
use crate::error::{ModalityError, Result};
use crate::nn::{BatchNorm, ConcatLinear, Linear, Mode, batch_norm, check_widths, concat_linear, linear_no_bias, mean_of_map};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// The shared part of a network: features of all modalities in, one fused feature out.
///
/// Its first layer is linear in the concatenation of the features, so it splits into one part a modality, and the parts
/// of a batch serve all combinations: `forward(features) == finish(Σ part(m, feature_m))`, up to rounding.
pub trait Trunk: Send + Sync {
    /// The share of modality `index` in the first layer, from its feature `[batch, ..]`.
    fn part(&self, index: usize, feature: &Tensor) -> Result<Tensor>;

    /// Everything behind the sum of the parts: `[batch, ..feature_shape]`.
    fn finish(&self, sum: &Tensor, mode: Mode) -> Result<Tensor>;

    /// The whole trunk; `None` stands for a modality that no sample has.
    fn forward(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (m, feature) in features.iter().enumerate() {
            let Some(feature) = feature else { continue };
            let part = self.part(m, feature)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        let sum = sum.ok_or(ModalityError::NothingInBatch)?;
        self.finish(&sum, mode)
    }

    /// Shape of one sample's fused feature.
    fn feature_shape(&self) -> &[usize];
}

/// A trunk as written in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TrunkConfig {
    /// Linear, batch normalisation and ReLU per width; image-like features are pooled to vectors first.
    Mlp {
        /// Width of each layer.
        widths: Vec<usize>,
    },
    /// 1x1 convolution, batch normalisation and ReLU per width, on maps of one size.
    Pointwise {
        /// Channels of each layer.
        widths: Vec<usize>,
    },
    /// The sum of features of one shape, without parameters; of one modality, its feature.
    Sum,
    /// Residual stages behind the concatenation of maps `[channels, height, width]`.
    #[serde(rename = "resnet")]
    ResNet(ResNetTrunkConfig),
}

impl Default for TrunkConfig {
    fn default() -> Self {
        Self::Mlp { widths: vec![256, 128] }
    }
}

impl TrunkConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Mlp { widths } | Self::Pointwise { widths } => check_widths("trunk.widths", widths),
            Self::Sum => Ok(()),
            Self::ResNet(config) => config.validate(),
        }
    }

    /// Builds the trunk for features of the given shapes, one a modality; errors name the modality.
    pub fn build(&self, names: &[String], feature_shapes: &[&[usize]], vb: VarBuilder) -> Result<Box<dyn Trunk>> {
        match self {
            Self::Mlp { widths } => {
                let inputs: Vec<usize> = feature_shapes.iter().map(|shape| shape[0]).collect();
                Ok(Box::new(MlpTrunk::new(&inputs, widths, vb)?))
            }
            Self::Pointwise { widths } => Ok(Box::new(PointwiseTrunk::new(names, feature_shapes, widths, vb)?)),
            Self::Sum => Ok(Box::new(SumTrunk::new(names, feature_shapes)?)),
            Self::ResNet(config) => Ok(Box::new(ResNetTrunk::new(config, names, feature_shapes, vb)?)),
        }
    }
}

/// Mean over height and width of `[batch, channels, height, width]`; a vector stays as it is.
pub fn pool(feature: &Tensor) -> Result<Tensor> {
    match feature.rank() {
        4 => Ok(mean_of_map(feature)?),
        _ => Ok(feature.clone()),
    }
}

/// Trunk for vectors: parameters of layer `i` are `i.linear.weight` and `i.norm.*`.
pub struct MlpTrunk {
    first: ConcatLinear,
    first_norm: BatchNorm,
    layers: Vec<(Linear, BatchNorm)>,
    feature_shape: [usize; 1],
}

impl MlpTrunk {
    /// Builds the layers for features of the given widths.
    pub fn new(inputs: &[usize], widths: &[usize], vb: VarBuilder) -> Result<Self> {
        check_widths("trunk.widths", widths)?;
        let (first_width, rest) = (widths[0], &widths[1..]);
        let first = concat_linear(inputs, first_width, vb.pp("0.linear"))?;
        let first_norm = batch_norm(first_width, vb.pp("0.norm"))?;
        let mut from = first_width;
        let mut layers = Vec::with_capacity(rest.len());
        for (i, &width) in rest.iter().enumerate() {
            let vb = vb.pp(i + 1);
            layers.push((linear_no_bias(from, width, vb.pp("linear"))?, batch_norm(width, vb.pp("norm"))?));
            from = width;
        }
        Ok(Self { first, first_norm, layers, feature_shape: [from] })
    }
}

impl Trunk for MlpTrunk {
    fn part(&self, index: usize, feature: &Tensor) -> Result<Tensor> {
        Ok(self.first.part(index, &pool(feature)?)?)
    }

    fn finish(&self, sum: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut x = self.first_norm.forward_relu(sum, mode)?;
        for (linear, norm) in &self.layers {
            x = norm.forward_relu(&linear.forward(&x)?, mode)?;
        }
        Ok(x)
    }

    fn forward(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Tensor> {
        let pooled: Vec<Option<Tensor>> = features.iter().map(|f| f.as_ref().map(pool).transpose()).collect::<Result<_>>()?;
        self.finish(&self.first.forward(&pooled)?, mode)
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
