//! Analytic gradients against central differences, in f64.

use candle_core::{DType, Device, Tensor};
use dmrnet::{HardLoss, gaussian_kl, reparameterize};
use mm_core::{Result, rng};
use mm_testing::gradient_error;

/// From logits and labels, as the cases have them.
fn hard_combination_loss(logits: &Tensor, labels: &Tensor, hard: &Tensor, form: HardLoss) -> mm_core::Result<Tensor> {
    dmrnet::hard_combination_loss(&mm_core::loss::cross_entropy_per_sample(logits, labels)?, hard, form)
}

fn normal(purpose: &str, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let draws = rng::standard_normal(&mut rng::stream(5, purpose, &[]), count);
    Tensor::from_vec(draws, shape, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
}

fn check(input: &Tensor, loss: impl Fn(&Tensor) -> Result<Tensor>) {
    let error = gradient_error(input, loss);
    assert!(error < 1e-7, "{error}");
}

#[test]
fn divergence_of_vectors_and_maps() {
    for shape in [&[4, 7][..], &[3, 2, 2, 5]] {
        let (mean, log_var) = (normal("mean", shape), normal("log_var", shape));
        check(&mean, |mean| gaussian_kl(mean, &log_var));
        check(&log_var, |log_var| gaussian_kl(&mean, log_var));
    }
}

#[test]
fn sample_by_mean_and_spread() {
    let [mean, log_var, noise, weight] = ["mean", "log_var", "noise", "weight"].map(|purpose| normal(purpose, &[3, 5]));
    let total = |sample: Tensor| -> Result<Tensor> { Ok(sample.sqr()?.mul(&weight)?.sum_all()?) };
    check(&mean, |mean| total(reparameterize(mean, &log_var, &noise)?));
    check(&log_var, |log_var| total(reparameterize(&mean, log_var, &noise)?));
}

#[test]
fn extra_loss_in_both_forms() -> Result<()> {
    let labels = Tensor::new(&[0u32, 1, 2, 3, 0, 1], &Device::Cpu)?;
    let hard = Tensor::new(&[1f64, 0.0, 0.0, 1.0, 1.0, 0.0], &Device::Cpu)?;
    for form in [HardLoss::PerSample, HardLoss::ReferenceBroadcast] {
        check(&normal("logits", &[6, 4]), |logits| hard_combination_loss(logits, &labels, &hard, form));
    }
    Ok(())
}
