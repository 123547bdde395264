//! Cross translation by convolutions: the published form for small patches.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::nn::{Conv2dConfig, ConvNorm, Mode, conv_norm};
use mm_core::{Error, Result};

/// `M` translators `T_k: ReLU(BatchNorm(Conv 3x3, stride 2))`, each applied to all `M` features (this is the parameter sharing).
///
/// A feature in the space of all is its joint, `concat_k T_k(feature)`; the fusion is the mean of the joints, for the trunk behind
/// it to reduce. In training every feature is normalised by its own statistics, as published. Parameters:
/// `translate_1.{conv.weight, norm.*}` to `translate_M.*`.
#[derive(Debug, Clone)]
pub struct ConvTranslation {
    translators: Vec<ConvNorm>,
    joint_shape: [usize; 3],
}

impl ConvTranslation {
    /// For so many features of a shape `[channels, height, width]`, with translators of `width` channels each.
    pub fn new(feature_shape: &[usize], features: usize, width: usize, vb: VarBuilder) -> Result<Self> {
        let &[channels, rows, columns] = feature_shape else {
            let problem = format!("translators that convolve read maps [channels, height, width], not features of shape {feature_shape:?}");
            return Err(Error::config("translation.convolution", problem));
        };
        if features == 0 || width == 0 {
            let problem = format!("{features} translators of {width} channels: there must be one at least, and each needs channels");
            return Err(Error::config("translation.convolution", problem));
        }
        let config = Conv2dConfig::square(2, 1);
        let translator = |k: usize| {
            let vb = vb.pp(format!("translate_{k}"));
            conv_norm((channels, width), (3, 3), config, vb.pp("conv"), vb.pp("norm"))
        };
        let translators = (1..=features).map(translator).collect::<candle_core::Result<_>>()?;
        Ok(Self { translators, joint_shape: [features * width, rows.div_ceil(2), columns.div_ceil(2)] })
    }

    /// Shape of one sample's joint, and of the fusion: `[M width, ⌈height/2⌉, ⌈width/2⌉]`.
    pub fn joint_shape(&self) -> &[usize] {
        &self.joint_shape
    }

    /// `concat_k T_k(feature)`: `[rows, channels, height, width]` to `[rows, ..joint_shape]`.
    pub fn joint(&self, feature: &Tensor, mode: Mode) -> Result<Tensor> {
        let spaces = self.translators.iter().map(|t| t.forward_relu(feature, mode)).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&spaces, 1)?)
    }

    /// The fusion of a restored and an available feature: the mean of their joints.
    pub fn forward(&self, restored: &Tensor, available: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(((self.joint(restored, mode)? + self.joint(available, mode)?)? * 0.5)?)
    }
}
