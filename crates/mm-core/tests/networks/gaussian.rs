//! Features that are diagonal Gaussians.

use candle_core::{DType, Device, Tensor, Var};
use mm_core::loss::gaussian_kl;
use mm_core::nn::{GaussianFeature, GaussianHeads, GaussianHeadsConfig, Mode, Parameters, linear};
use mm_core::{Error, rng};
use mm_testing::bits;

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

/// The log-variance of heads that pass on what they are given, one number a row.
fn log_var(x: &Tensor) -> Tensor {
    let parameters = Parameters::new(1, &Device::Cpu);
    let heads = GaussianHeads::new(1, GaussianHeadsConfig { bias: false, norm: false }, parameters.builder()).unwrap();
    parameters.variable("log_var.linear.weight").unwrap().set(&Tensor::ones((1, 1), DType::F32, &Device::Cpu).unwrap()).unwrap();
    heads.forward(x, Mode::Train).unwrap().log_var
}

#[test]
fn large_log_variances_are_tamed_and_small_ones_untouched() {
    let input = [-1e30f32, -5.5, 0.0, 9.99, 10.0, 10.5, 30.0, 1e4, 3e38];
    let x = Var::from_vec(input.to_vec(), (9, 1), &Device::Cpu).unwrap();
    let y = log_var(x.as_tensor());
    let expected = |x: f64| if x <= 10.0 { x } else { 10.0 + (x - 9.0).ln() };
    let values = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values[..5], input[..5]);
    assert!(values.iter().zip(input).all(|(y, x)| (f64::from(*y) - expected(f64::from(x))).abs() < 1e-4), "{values:?}");
    // What trains: a slope of 1 up to the limit, then 1 / (1 + x - L), never 0; and a variance that f32 can hold.
    let slopes = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (x, slope) in input.iter().zip(slopes).filter(|(x, _)| **x != 10.0 && **x < 1e30) {
        let expected = if *x <= 10.0 { 1.0 } else { 1.0 / (f64::from(*x) - 9.0) };
        assert!((f64::from(slope) / expected - 1.0).abs() < 1e-4, "{x}: {slope}");
    }
    assert!(y.narrow(0, 0, 8).unwrap().exp().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| v.is_finite()));
    // The same where nothing in the batch is above the limit.
    assert_eq!(bits(&log_var(&x.narrow(0, 0, 5).unwrap())), input[..5].iter().map(|x| x.to_bits()).collect::<Vec<_>>());
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
    // A builder gives the variables that are there.
    let layer = linear(3, 3, parameters.builder().pp("mean.linear")).unwrap();
    let expected = layer.forward(&input).unwrap().to_vec2::<f32>().unwrap();
    for mode in [Mode::Train, Mode::Eval] {
        assert_eq!(heads.forward(&input, mode).unwrap().mean.to_vec2::<f32>().unwrap(), expected);
    }
}
