//! The cross translation network: features of several modalities, each expressed in the space of all.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::nn::{BatchNorm, Linear, Mode, at_every_position, batch_norm, linear};
use mm_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Form of the cross translation; the published one for large images has all of it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranslationConfig {
    /// Adds the mean of the features before the last ReLU (and before the normalisation).
    pub residual: bool,
    /// Batch normalisation before the last ReLU.
    pub norm: bool,
    /// Channels of translators that are 3x3 convolutions of stride 2, as published for small patches (128): a
    /// [`crate::ConvTranslation`]. `residual` and `norm` do not apply then, and nothing is reconstructed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convolution: Option<usize>,
}

impl Default for TranslationConfig {
    /// What costs no accuracy with vectors and few samples.
    fn default() -> Self {
        Self { residual: true, norm: false, convolution: None }
    }
}

impl TranslationConfig {
    /// The published form, which is for image-like features.
    pub fn published() -> Self {
        Self { residual: false, norm: false, convolution: None }
    }
}

/// What a [`CrossTranslation`] of two features gives; each of the shape of the features.
#[derive(Debug, Clone)]
pub struct Translated {
    /// The fused feature.
    pub fused: Tensor,
    /// The restored feature in both spaces, `[T1(r), T2(r)]` along the channels.
    pub joint_restored: Tensor,
    /// The available feature in both spaces, `[T1(a), T2(a)]`.
    pub joint_available: Tensor,
}

/// What a [`CrossTranslation`] of any number of features gives.
#[derive(Debug, Clone)]
pub struct TranslatedAll {
    /// The fused feature, of the shape of the features.
    pub fused: Tensor,
    /// Each feature in the space of all, in order: `M ⌈C/M⌉` channels.
    pub joints: Vec<Tensor>,
}

/// `M` translators `T_k: Linear(C → ⌈C/M⌉) + ReLU`, each applied to all `M` features (this is the parameter sharing), and
///
/// `fused = ReLU(Linear(concat_k(mean_m T_k(feature_m))))`, to `C`. The method has `M = 2`: restored and available.
///
/// Image-like features: every linear layer acts on the channels of each pixel (a 1 x 1 convolution). Parameters:
/// `translate_1.*` to `translate_M.*`, `fuse.*`, and `norm.*` where configured.
#[derive(Debug, Clone)]
pub struct CrossTranslation {
    translators: Vec<Linear>,
    fuse: Linear,
    norm: Option<BatchNorm>,
    residual: bool,
}

impl CrossTranslation {
    /// A cross translation of so many features of `channels` channels (vectors: of that width).
    pub fn new(channels: usize, features: usize, config: &TranslationConfig, vb: VarBuilder) -> Result<Self> {
        if features < 2 || channels == 0 {
            return Err(Error::config(
                "translation",
                format!("{features} features of {channels} channels: two features or more are fused"),
            ));
        }
        let width = channels.div_ceil(features);
        let translators = (1..=features).map(|k| linear(channels, width, vb.pp(format!("translate_{k}"))));
        let translators = translators.collect::<candle_core::Result<_>>()?;
        let norm = config.norm.then(|| batch_norm(channels, vb.pp("norm"))).transpose()?;
        Ok(Self { translators, fuse: linear(features * width, channels, vb.pp("fuse"))?, norm, residual: config.residual })
    }

    /// The published form from its layers: the translators, and the layer that fuses their concatenation.
    pub fn from_layers(translators: Vec<Linear>, fuse: Linear) -> Self {
        Self { translators, fuse, norm: None, residual: false }
    }

    /// Fuses two features of one shape, `[batch, C]` or `[batch, C, height, width]`.
    pub fn forward(&self, restored: &Tensor, available: &Tensor, mode: Mode) -> Result<Translated> {
        let TranslatedAll { fused, joints } = self.forward_all(&[restored, available], mode)?;
        match <[Tensor; 2]>::try_from(joints) {
            Ok([joint_restored, joint_available]) => Ok(Translated { fused, joint_restored, joint_available }),
            Err(joints) => Err(Error::config("translation", format!("{} features were fused, not 2", joints.len()))),
        }
    }

    /// Fuses as many features of one shape as there are translators.
    pub fn forward_all(&self, features: &[&Tensor], mode: Mode) -> Result<TranslatedAll> {
        let count = self.translators.len();
        let first = match features {
            [first, ..] if features.len() == count => *first,
            _ => return Err(Error::config("translation", format!("{} features for {count} translators", features.len()))),
        };
        if let Some(other) = features.iter().find(|f| f.dims() != first.dims()) {
            return Err(Error::shape("feature", format!("{:?}, as the others", other.dims()), first.dims()));
        }
        let batch = first.dim(0)?;
        // All features go through a translator in one product.
        let together = Tensor::cat(features, 0)?;
        let spaces = self.translators.iter().map(|t| Ok(over_channels(t, &together)?.relu()?)).collect::<Result<Vec<_>>>()?;
        let joint = Tensor::cat(&spaces, 1)?;
        let joints = (0..count).map(|m| joint.narrow(0, m * batch, batch)).collect::<candle_core::Result<Vec<_>>>()?;
        let mut fused = over_channels(&self.fuse, &mean(&joints)?)?;
        if self.residual {
            let features: Vec<Tensor> = features.iter().map(|f| (*f).clone()).collect();
            fused = (fused + mean(&features)?)?;
        }
        let fused = match &self.norm {
            Some(norm) => norm.forward_relu(&fused, mode)?,
            None => fused.relu()?,
        };
        Ok(TranslatedAll { fused, joints })
    }
}

fn mean(tensors: &[Tensor]) -> Result<Tensor> {
    let mut sum = tensors[0].clone();
    for tensor in &tensors[1..] {
        sum = (sum + tensor)?;
    }
    Ok((sum * (1.0 / tensors.len() as f64))?)
}

/// A linear layer over the channels: of vectors, or of every pixel.
fn over_channels(layer: &Linear, input: &Tensor) -> Result<Tensor> {
    at_every_position(input, |pixels| Ok(layer.forward(pixels)?))
}

/// `mean((joint_r - r)²) + mean((joint_a - a)²)`, a scalar; the features have no gradient. It keeps the translated pair able to
/// express each modality. Where `C` is odd the joint has one channel more than the feature, which is left out.
pub fn reconstruction(translated: &Translated, restored: &Tensor, available: &Tensor) -> Result<Tensor> {
    let term = |joint: &Tensor, feature: &Tensor| -> Result<Tensor> {
        let joint = joint.narrow(1, 0, feature.dim(1)?)?;
        Ok((joint - feature.detach())?.sqr()?.mean_all()?)
    };
    Ok((term(&translated.joint_restored, restored)? + term(&translated.joint_available, available)?)?)
}
