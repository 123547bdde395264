//! From own and restored feature to the prediction.

use crate::branch::Pair;
use crate::{ConvTranslation, CrossTranslation, ModDistillConfig, Translated};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::Result;
use mm_core::fusion::{Trunk, pool};
use mm_core::model::Output;
use mm_core::nn::{ConcatLinear, Linear, Mode, concat_linear, linear};

/// Fusion of the two features, the trunk behind it and the head: `fusion.*`, `trunk.*`, `head.*`.
pub(crate) struct Fusion {
    join: Join,
    trunk: Box<dyn Trunk>,
    head: Linear,
}

enum Join {
    Translation(CrossTranslation),
    Convolution(ConvTranslation),
    /// The ablation: concatenation of the pooled features, linear, ReLU.
    Concat(ConcatLinear),
}

/// What the fusion gives.
pub(crate) struct FusedPair {
    /// The prediction, and the feature behind the trunk.
    pub output: Output,
    /// For the reconstruction, where there is a translation.
    pub translated: Option<Translated>,
}

impl Fusion {
    /// For features of this shape (without the batch).
    pub fn new(config: &ModDistillConfig, shape: &[usize], outputs: usize, vb: VarBuilder) -> Result<Self> {
        let channels = shape[0];
        let (vb_fusion, vb_trunk) = (vb.pp("fusion"), vb.pp("trunk"));
        let join = match config.translation.convolution {
            _ if config.no_ctn => Join::Concat(concat_linear(&[channels, channels], channels, vb_fusion)?),
            Some(width) => Join::Convolution(ConvTranslation::new(shape, 2, width, vb_fusion)?),
            None => Join::Translation(CrossTranslation::new(channels, 2, &config.translation, vb_fusion)?),
        };
        let fused_shape = match &join {
            Join::Translation(_) => shape,
            Join::Convolution(translation) => translation.joint_shape(),
            Join::Concat(_) => &[channels],
        };
        let trunk = config.trunk.build(&["fused".to_string()], &[fused_shape], vb_trunk)?;
        let head = linear(trunk.feature_shape()[0], outputs, vb.pp("head"))?;
        Ok(Self { join, trunk, head })
    }

    /// Prediction from both features, `[batch, ..]` of one shape.
    pub fn forward(&self, restored: &Tensor, own: &Tensor, mode: Mode) -> Result<FusedPair> {
        let (fused, translated) = match &self.join {
            Join::Translation(translation) => {
                let translated = translation.forward(restored, own, mode)?;
                (translated.fused.clone(), Some(translated))
            }
            Join::Convolution(translation) => (translation.forward(restored, own, mode)?, None),
            Join::Concat(layer) => (layer.forward(&[Some(pool(restored)?), Some(pool(own)?)])?.relu()?, None),
        };
        let feature = self.trunk.forward(&[Some(fused)], mode)?;
        let prediction = self.head.forward(&pool(&feature)?)?;
        Ok(FusedPair { output: Output::with_feature(prediction, feature), translated })
    }

    /// The prediction and the feature behind it, without a graph for gradients.
    pub fn predict(&self, pair: &Pair, mode: Mode) -> Result<Output> {
        let FusedPair { output, .. } = self.forward(&pair.restored.detach(), &pair.own.detach(), mode)?;
        Ok(output.detach())
    }
}
