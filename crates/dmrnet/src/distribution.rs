//! Decoupled representations: two heads that turn the fused feature into a diagonal Gaussian, and its KL term (Eq. 9).

use candle_core::{D, Tensor};
use candle_nn::VarBuilder;
use mm_core::nn::{BatchNorm, Linear, Mode, batch_norm, linear};
use mm_core::{Error, Result};

/// Mean and log-variance of a fused feature, each `[batch, features]` or `[batch, channels, height, width]`.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// What prediction uses.
    pub mean: Tensor,
    /// Logarithm of the variance.
    pub log_var: Tensor,
}

impl Distribution {
    /// Mean predicted variance of each sample: `[batch]`.
    pub fn mean_variance(&self) -> Result<Tensor> {
        Ok(self.log_var.flatten_from(1)?.exp()?.mean(D::Minus1)?)
    }
}

/// KL from N(mean, exp(log_var)) to N(0, 1), summed over all elements of a sample, mean over samples: a scalar (Eq. 9).
///
/// `½ Σ (exp(log_var) + mean² - log_var - 1)`; `mean` and `log_var` are `[batch, ..]`.
pub fn gaussian_kl(mean: &Tensor, log_var: &Tensor) -> Result<Tensor> {
    mm_core::loss::gaussian_kl(mean, log_var, None)
}

/// The two heads, each a linear layer over the channels (at every position, where there are positions: a 1x1 convolution)
/// and batch normalisation, unless it is turned off.
///
/// Parameters: `{mean, log_var}.{linear.{weight, bias}, norm.*}`. The bias is kept, as published, though the normalisation
/// cancels it.
pub(crate) struct DistributionHeads {
    mean: Head,
    log_var: Head,
}

impl DistributionHeads {
    /// Heads from features of `channels` channels to the same shape.
    pub fn new(channels: usize, normalised: bool, vb: VarBuilder) -> Result<Self> {
        let head = |name| Head::new(channels, normalised, vb.pp(name));
        Ok(Self { mean: head("mean")?, log_var: head("log_var")? })
    }

    /// Both heads.
    pub fn forward(&self, feature: &Tensor, mode: Mode) -> Result<Distribution> {
        Ok(Distribution { mean: self.mean.forward(feature, mode)?, log_var: self.log_var.forward(feature, mode)? })
    }

    /// The mean alone: all that prediction needs.
    pub fn predicted_mean(&self, feature: &Tensor) -> Result<Tensor> {
        self.mean.forward(feature, Mode::Eval)
    }
}

struct Head {
    linear: Linear,
    norm: Option<BatchNorm>,
}

impl Head {
    fn new(channels: usize, normalised: bool, vb: VarBuilder) -> Result<Self> {
        let norm = normalised.then(|| batch_norm(channels, vb.pp("norm"))).transpose()?;
        Ok(Self { linear: linear(channels, channels, vb.pp("linear"))?, norm })
    }

    fn forward(&self, feature: &Tensor, mode: Mode) -> Result<Tensor> {
        match *feature.dims() {
            [_, _] => {
                let mapped = self.linear.forward(feature)?;
                Ok(match &self.norm {
                    Some(norm) => norm.forward(&mapped, mode)?,
                    None => mapped,
                })
            }
            [batch, channels, height, width] => {
                let positions = feature.permute((0, 2, 3, 1))?.reshape((batch * height * width, channels))?;
                let mapped = self.forward(&positions, mode)?;
                Ok(mapped.reshape((batch, height, width, channels))?.permute((0, 3, 1, 2))?.contiguous()?)
            }
            _ => Err(Error::shape("fused feature", "[batch, features] or [batch, channels, height, width]", feature.dims())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use mm_core::nn::Parameters;
    use mm_core::rng;

    fn normal(shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        Tensor::from_vec(rng::standard_normal(&mut rng::stream(4, "x", &[]), count), shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn maps_are_vectors_at_every_position() {
        let heads = DistributionHeads::new(3, true, Parameters::new(1, &Device::Cpu).builder()).unwrap();
        let maps = normal(&[4, 3, 2, 5]);
        let rows = |map: &Tensor| map.permute((0, 2, 3, 1)).unwrap().reshape((40, 3)).unwrap();
        for mode in [Mode::Train, Mode::Eval] {
            let (map, vector) = (heads.forward(&maps, mode).unwrap(), heads.forward(&rows(&maps), mode).unwrap());
            for (map, vector) in [(&map.mean, &vector.mean), (&map.log_var, &vector.log_var)] {
                assert_eq!(map.dims(), [4, 3, 2, 5]);
                let difference = (rows(map) - vector).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(difference < 1e-5, "{difference}");
            }
            // Summed over all elements of a sample: 10 positions count ten times as much as one.
            let of_map = gaussian_kl(&map.mean, &map.log_var).unwrap().to_scalar::<f32>().unwrap();
            let of_rows = gaussian_kl(&vector.mean, &vector.log_var).unwrap().to_scalar::<f32>().unwrap();
            assert!((of_map - 10.0 * of_rows).abs() < 1e-3 * of_map, "{of_map} {of_rows}");
        }
        assert!(matches!(heads.forward(&normal(&[4, 3, 2]), Mode::Eval), Err(Error::Shape { .. })));
    }

    /// Both outputs are about N(0, 1) at the start, so the KL is ½ (E exp(x) + E x² - E x - 1) = ½ exp(½) an element.
    #[test]
    fn fresh_heads_have_the_known_divergence() {
        let heads = DistributionHeads::new(64, true, Parameters::new(1, &Device::Cpu).builder()).unwrap();
        let Distribution { mean, log_var } = heads.forward(&normal(&[2000, 64]), Mode::Train).unwrap();
        let kl = gaussian_kl(&mean, &log_var).unwrap().to_scalar::<f32>().unwrap() / 64.0;
        assert!((kl - 0.824).abs() < 0.01, "{kl}");
    }

    #[test]
    fn heads_without_normalisation_are_their_linear_layers() {
        let parameters = Parameters::new(1, &Device::Cpu);
        let heads = DistributionHeads::new(3, false, parameters.builder()).unwrap();
        let names: Vec<String> = parameters.variables().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["log_var.linear.bias", "log_var.linear.weight", "mean.linear.bias", "mean.linear.weight"]);
        let input = normal(&[4, 3]);
        let expected = heads.mean.linear.forward(&input).unwrap().to_vec2::<f32>().unwrap();
        for mode in [Mode::Train, Mode::Eval] {
            assert_eq!(heads.forward(&input, mode).unwrap().mean.to_vec2::<f32>().unwrap(), expected);
        }
    }
}
