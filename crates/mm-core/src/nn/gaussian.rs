//! Features that are diagonal Gaussians: a mean for what the input says, a variance for how noisy it is.

use super::cpu::with_slices;
use super::{BatchNorm, Linear, Mode, at_every_position, batch_norm, linear, linear_no_bias, runs_on_cpu_kernels};
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
    ///
    /// Above 10, where the standard deviation is 150 times that of the prior, the log-variance goes on as a logarithm, so that the
    /// variance is linear in what the head says: an exponential there is infinite after one step too many.
    pub fn forward(&self, feature: &Tensor, mode: Mode) -> Result<GaussianFeature> {
        Ok(GaussianFeature { mean: self.mean.forward(feature, mode)?, log_var: tame(&self.log_var.forward(feature, mode)?)? })
    }

    /// The mean alone: all that prediction needs.
    pub fn predicted_mean(&self, feature: &Tensor) -> Result<Tensor> {
        self.mean.forward(feature, Mode::Eval)
    }
}

/// Up to here the variance is the exponential of what the head says. Far above what training with more than a few rows in a batch
/// reaches (7), so that nothing but runs that would diverge is changed.
const EXPONENTIAL_UP_TO: f64 = 10.0;

/// `x` up to the limit L, bit for bit; above, `L + ln(1 + x - L)`: the slope is 1 at the limit and never 0.
fn tame(log_var: &Tensor) -> Result<Tensor> {
    let calm = |x: &Tensor| with_slices([x], |[x]| Ok(x.iter().all(|x| *x <= EXPONENTIAL_UP_TO as f32)));
    if runs_on_cpu_kernels(log_var) && calm(log_var)? {
        return Ok(log_var.clone());
    }
    let excess = (log_var - EXPONENTIAL_UP_TO)?.relu()?;
    Ok((log_var.minimum(EXPONENTIAL_UP_TO)? + (excess + 1.0)?.log()?)?)
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
                None => mode.result(mapped),
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
    use candle_core::{Device, Var};

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

    #[test]
    fn large_log_variances_are_tamed_and_small_ones_untouched() {
        let input = [-1e30f32, -5.5, 0.0, 9.99, 10.0, 10.5, 30.0, 1e4, 3e38];
        let x = Var::new(&input, &Device::Cpu).unwrap();
        let y = tame(x.as_tensor()).unwrap();
        let expected = |x: f64| if x <= 10.0 { x } else { 10.0 + (x - 9.0).ln() };
        let values = y.to_vec1::<f32>().unwrap();
        assert_eq!(values[..5], input[..5]);
        assert!(values.iter().zip(input).all(|(y, x)| (f64::from(*y) - expected(f64::from(x))).abs() < 1e-4), "{values:?}");
        // What trains: a slope of 1 up to the limit, then 1 / (1 + x - L), never 0; and a variance that f32 can hold.
        let slopes = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
        for (x, slope) in input.iter().zip(slopes).filter(|(x, _)| **x != 10.0 && **x < 1e30) {
            let expected = if *x <= 10.0 { 1.0 } else { 1.0 / (f64::from(*x) - 9.0) };
            assert!((f64::from(slope) / expected - 1.0).abs() < 1e-4, "{x}: {slope}");
        }
        assert!(y.narrow(0, 0, 8).unwrap().exp().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| v.is_finite()));
        // Nothing above the limit: the very tensor.
        let calm = x.as_tensor().narrow(0, 0, 5).unwrap();
        assert_eq!(tame(&calm).unwrap().id(), calm.id());
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
