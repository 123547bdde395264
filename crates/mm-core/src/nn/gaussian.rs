//! Features that are diagonal Gaussians: a mean for what the input says, a variance for how noisy it is.

use super::{BatchNorm, Linear, Mode, at_every_position, batch_norm, linear, linear_no_bias};
use crate::error::Result;
use candle_core::{D, Tensor};
use candle_nn::VarBuilder;

/// Mean and log-variance of a feature, each `[batch, features]` or `[batch, channels, height, width]`.
///
/// [`crate::loss::reparameterize`] draws from it, [`crate::loss::gaussian_kl`] compares it with a prior.
#[derive(Debug, Clone)]
pub struct GaussianFeature {
    /// What prediction uses.
    pub mean: Tensor,
    /// Logarithm of the variance.
    pub log_var: Tensor,
}

impl GaussianFeature {
    /// Standard deviation of every element, `exp(log_var / 2)`.
    pub fn spread(&self) -> Result<Tensor> {
        Ok((&self.log_var / 2.0)?.exp()?)
    }

    /// Mean predicted variance of each sample: `[batch]`.
    pub fn mean_variance(&self) -> Result<Tensor> {
        Ok(self.log_var.flatten_from(1)?.exp()?.mean(D::Minus1)?)
    }
}

/// Which parts the heads of a [`GaussianHeads`] have besides the weights.
#[derive(Debug, Clone, Copy)]
pub struct GaussianHeadsConfig {
    /// A bias in the linear layer, which a normalisation behind it cancels; published networks have it all the same.
    pub bias: bool,
    /// Batch normalisation behind the linear layer.
    pub norm: bool,
}

/// Two heads from a feature to a [`GaussianFeature`] of the same shape: linear over the channels (a 1x1 convolution where
/// there are positions), then batch normalisation.
///
/// Parameters: `{mean, log_var}.linear.weight`, and where configured `{mean, log_var}.{linear.bias, norm.*}`.
#[derive(Debug, Clone)]
pub struct GaussianHeads {
    mean: Head,
    log_var: Head,
}

impl GaussianHeads {
    /// Heads for features of `channels` channels (vectors: of that width).
    pub fn new(channels: usize, config: GaussianHeadsConfig, vb: VarBuilder) -> Result<Self> {
        Ok(Self { mean: Head::new(channels, config, vb.pp("mean"))?, log_var: Head::new(channels, config, vb.pp("log_var"))? })
    }

    /// Both heads on `[batch, features]` or `[batch, channels, height, width]`.
    pub fn forward(&self, feature: &Tensor, mode: Mode) -> Result<GaussianFeature> {
        Ok(GaussianFeature { mean: self.mean.forward(feature, mode)?, log_var: self.log_var.forward(feature, mode)? })
    }

    /// The mean alone: all that prediction needs.
    pub fn predicted_mean(&self, feature: &Tensor) -> Result<Tensor> {
        self.mean.forward(feature, Mode::Eval)
    }
}

#[derive(Debug, Clone)]
struct Head {
    linear: Linear,
    norm: Option<BatchNorm>,
}

impl Head {
    fn new(channels: usize, config: GaussianHeadsConfig, vb: VarBuilder) -> Result<Self> {
        let layer = if config.bias { linear } else { linear_no_bias };
        let norm = config.norm.then(|| batch_norm(channels, vb.pp("norm"))).transpose()?;
        Ok(Self { linear: layer(channels, channels, vb.pp("linear"))?, norm })
    }

    fn forward(&self, feature: &Tensor, mode: Mode) -> Result<Tensor> {
        at_every_position(feature, |rows| {
            let mapped = self.linear.forward(rows)?;
            Ok(match &self.norm {
                Some(norm) => norm.forward(&mapped, mode)?,
                None => mapped,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::gaussian_kl;
    use crate::nn::Parameters;
    use crate::{Error, rng};
    use candle_core::Device;

    const BOTH: GaussianHeadsConfig = GaussianHeadsConfig { bias: true, norm: true };

    fn normal(shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        Tensor::from_vec(rng::standard_normal(&mut rng::stream(4, "x", &[]), count), shape, &Device::Cpu).unwrap()
    }

    fn heads(channels: usize, config: GaussianHeadsConfig) -> GaussianHeads {
        GaussianHeads::new(channels, config, Parameters::new(1, &Device::Cpu).builder()).unwrap()
    }

    fn number(tensor: Tensor) -> f32 {
        tensor.to_scalar().unwrap()
    }

    #[test]
    fn maps_are_vectors_at_every_position() {
        let maps = normal(&[4, 3, 2, 5]);
        let rows = |map: &Tensor| map.permute((0, 2, 3, 1)).unwrap().reshape((40, 3)).unwrap();
        for config in [BOTH, GaussianHeadsConfig { bias: false, ..BOTH }, GaussianHeadsConfig { norm: false, ..BOTH }] {
            let heads = heads(3, config);
            for mode in [Mode::Train, Mode::Eval] {
                let (map, vector) = (heads.forward(&maps, mode).unwrap(), heads.forward(&rows(&maps), mode).unwrap());
                for (map, vector) in [(&map.mean, &vector.mean), (&map.log_var, &vector.log_var)] {
                    assert_eq!(map.dims(), [4, 3, 2, 5]);
                    // The second training pass meets running statistics that the first one moved, which it does not use.
                    let difference = number((rows(map) - vector).unwrap().abs().unwrap().max_all().unwrap());
                    assert!(difference < 1e-5, "{difference}");
                }
                // Summed over all elements of a sample: 10 positions count ten times as much as one.
                let of_map = number(gaussian_kl(&map.mean, &map.log_var, None).unwrap());
                let of_rows = number(gaussian_kl(&vector.mean, &vector.log_var, None).unwrap());
                assert!((of_map - 10.0 * of_rows).abs() < 1e-3 * of_map, "{of_map} {of_rows}");
            }
        }
        assert!(matches!(heads(3, BOTH).forward(&normal(&[4, 3, 2]), Mode::Eval), Err(Error::Shape { .. })));
    }

    /// Both outputs are about N(0, 1) at the start, so the KL is ½ (E exp(x) + E x² - E x - 1) = ½ exp(½) an element.
    #[test]
    fn fresh_heads_have_the_known_divergence() {
        let GaussianFeature { mean, log_var } = heads(64, BOTH).forward(&normal(&[2000, 64]), Mode::Train).unwrap();
        let kl = number(gaussian_kl(&mean, &log_var, None).unwrap()) / 64.0;
        assert!((kl - 0.824).abs() < 0.01, "{kl}");
    }

    /// The log-variance has unit variance at the start, so its mean spread is E exp(z / 2) = exp(1 / 8).
    #[test]
    fn the_first_spread_is_known() {
        let heads = heads(16, GaussianHeadsConfig { bias: false, ..BOTH });
        let spread = heads.forward(&normal(&[2000, 16]), Mode::Train).unwrap().spread().unwrap();
        let mean = number(spread.mean_all().unwrap());
        assert!((mean - 0.125f32.exp()).abs() < 0.01, "{mean}");
    }

    #[test]
    fn heads_without_normalisation_are_their_linear_layers() {
        let parameters = Parameters::new(1, &Device::Cpu);
        let heads = GaussianHeads::new(3, GaussianHeadsConfig { norm: false, ..BOTH }, parameters.builder()).unwrap();
        assert_eq!(parameters.names(), ["log_var.linear.bias", "log_var.linear.weight", "mean.linear.bias", "mean.linear.weight"]);
        let input = normal(&[4, 3]);
        let expected = heads.mean.linear.forward(&input).unwrap().to_vec2::<f32>().unwrap();
        for mode in [Mode::Train, Mode::Eval] {
            assert_eq!(heads.forward(&input, mode).unwrap().mean.to_vec2::<f32>().unwrap(), expected);
        }
    }
}
