//! Probabilistic features (section 2.1): a mean for what the input says, a variance for how noisy it is.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::nn::{BatchNorm, Linear, Mode, batch_norm, linear, linear_no_bias};
use mm_core::{Error, Result};

/// Mean and log-variance of a feature, each `[rows, features]` or `[rows, channels, height, width]`.
#[derive(Debug, Clone)]
pub struct GaussianFeature {
    /// What prediction uses.
    pub mean: Tensor,
    /// Logarithm of the variance.
    pub log_var: Tensor,
}

impl GaussianFeature {
    /// `exp(log_var / 2)`.
    pub fn spread(&self) -> Result<Tensor> {
        Ok((&self.log_var / 2.0)?.exp()?)
    }
}

/// Heads from an encoder's feature to a [`GaussianFeature`] of the same shape: linear over the channels (a 1x1 convolution
/// where there are positions) and batch normalisation. Biases of the linear layers, which the normalisation cancels, are optional.
///
/// Parameters: `{mean, log_var}.{linear.weight, norm.*}`, and `{mean, log_var}.linear.bias` where configured.
pub(crate) struct DistributionHeads {
    mean: (Linear, BatchNorm),
    log_var: (Linear, BatchNorm),
}

impl DistributionHeads {
    pub fn new(channels: usize, bias: bool, vb: VarBuilder) -> Result<Self> {
        let layer = if bias { linear } else { linear_no_bias };
        let head =
            |vb: VarBuilder| -> Result<_> { Ok((layer(channels, channels, vb.pp("linear"))?, batch_norm(channels, vb.pp("norm"))?)) };
        Ok(Self { mean: head(vb.pp("mean"))?, log_var: head(vb.pp("log_var"))? })
    }

    pub fn forward(&self, feature: &Tensor, mode: Mode) -> Result<GaussianFeature> {
        Ok(GaussianFeature { mean: apply(&self.mean, feature, mode)?, log_var: apply(&self.log_var, feature, mode)? })
    }
}

fn apply((linear, norm): &(Linear, BatchNorm), feature: &Tensor, mode: Mode) -> Result<Tensor> {
    match *feature.dims() {
        [_, _] => Ok(norm.forward(&linear.forward(feature)?, mode)?),
        [batch, channels, height, width] => {
            let positions = feature.permute((0, 2, 3, 1))?.reshape((batch * height * width, channels))?;
            let mapped = norm.forward(&linear.forward(&positions)?, mode)?;
            Ok(mapped.reshape((batch, height, width, channels))?.permute((0, 3, 1, 2))?.contiguous()?)
        }
        _ => Err(Error::shape("feature", "[batch, features] or [batch, channels, height, width]", feature.dims())),
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
        let heads = DistributionHeads::new(3, false, Parameters::new(1, &Device::Cpu).builder()).unwrap();
        let maps = normal(&[4, 3, 2, 5]);
        let vectors = maps.permute((0, 2, 3, 1)).unwrap().reshape((40, 3)).unwrap();
        for mode in [Mode::Train, Mode::Eval] {
            let (maps, vectors) = (heads.forward(&maps, mode).unwrap(), heads.forward(&vectors, mode).unwrap());
            for (map, vector) in [(maps.mean, vectors.mean), (maps.log_var, vectors.log_var)] {
                assert_eq!(map.dims(), [4, 3, 2, 5]);
                let rows = map.permute((0, 2, 3, 1)).unwrap().reshape((40, 3)).unwrap();
                let difference = (rows - vector).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                // The second training pass meets running statistics that the first one moved, which it does not use.
                assert!(difference < 1e-5, "{difference}");
            }
        }
        assert!(heads.forward(&normal(&[4, 3, 2]), Mode::Eval).is_err());
    }

    /// The log-variance has unit variance at the start, so its mean spread is E exp(z / 2) = exp(1 / 8).
    #[test]
    fn the_first_spread_is_known() {
        let heads = DistributionHeads::new(16, false, Parameters::new(1, &Device::Cpu).builder()).unwrap();
        let spread = heads.forward(&normal(&[2000, 16]), Mode::Train).unwrap().spread().unwrap();
        let mean = spread.mean_all().unwrap().to_scalar::<f32>().unwrap();
        assert!((mean - 0.125f32.exp()).abs() < 0.01, "{mean}");
    }
}
