//! Weights, head, dependence and losses against numbers computed elsewhere, by hand and by finite differences.
//!
//! Numbers of `golden_*` are those of `make_ops.py` (PyTorch, f64); inputs are its integer-hash fills.

use candle_core::{Device, Result, Tensor, Var};
use mm_core::{Error, ModalityError};
use mm_testing::{assert_close, fill, gradient_error};
use udml::*;

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn check_gradient(x: &Tensor, f: impl Fn(&Tensor) -> mm_core::Result<Tensor>) {
    let error = gradient_error(x, f);
    assert!(error < 1e-6, "{error}");
}

/// c = Case("udml_weights", "dynamic"): w = 3 * (-x - d.log()).softmax(1); static = 3 * (-d.log()).softmax(0); (w ** 2).sum().backward()
#[test]
fn golden_weights() -> Result<()> {
    let (x, d) = (Var::from_tensor(&fill(1301, &[5, 3], 2.0, 0.0))?, fill(1302, &[3], 1.0, 1.5));
    let w = udml_weights(x.as_tensor(), &d, None).unwrap();
    #[rustfmt::skip]
    let expected = [0.153665734, 0.312557502, 2.53377676, 1.46341933, 0.210969834, 1.32561084, 2.13966936, 0.746395853, 0.113934784, 1.82798761, 0.346561299, 0.825451091, 0.35743295, 1.47776688, 1.16480017];
    assert_close(&w, &expected, 1e-6);
    assert_close(&static_weights(&d).unwrap(), &[0.916038169, 0.92306486, 1.16089697], 1e-6);
    let gradient = w.sqr()?.sum_all()?.backward()?.get(&x).unwrap().clone();
    #[rustfmt::skip]
    let expected = [0.622892538, 1.16764347, -1.79053601, -0.436010656, 0.465601844, -0.0295911877, -1.81263545, 1.44755282, 0.365082636, -1.63415986, 0.71699583, 0.917164026, 0.618600593, -0.75364923, 0.135048638];
    assert_close(&gradient, &expected, 1e-6);
    Ok(())
}

/// c = Case("udml_weights", "absent_modality"): (-x - d.log()).masked_fill(m == 0, -inf).softmax(1) * m.sum(1, keepdim=True)
#[test]
fn golden_weights_with_absent_modalities() {
    let (x, d) = (fill(1401, &[4, 3], 2.0, 0.0), fill(1402, &[3], 1.0, 1.5));
    let present = tensor(&[1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0], &[4, 3]);
    let w = udml_weights(&x, &d, Some(&present)).unwrap();
    let expected = [0.145873136, 0.0205044691, 2.83362239, 0.156426101, 0.0, 1.8435739, 0.0, 0.0, 1.0, 1.44265275, 0.557347246, 0.0];
    assert_close(&w, &expected, 1e-6);
    // What an absent modality's log-level holds is never used.
    let nan = (present.gt(0.0).unwrap()).where_cond(&x, &(x.zeros_like().unwrap() / 0.0).unwrap()).unwrap();
    assert_close(&udml_weights(&nan, &d, Some(&present)).unwrap(), &expected, 1e-6);
}

/// c = Case("udml_head", "concat"): torch.cat([(1 + w_a) f_a, (1 + w_v) f_v], 1) @ W.T + b, and with the other modality at zero
#[test]
fn golden_head() {
    let features = [fill(1501, &[3, 4], 1.0, 0.0), fill(1502, &[3, 4], 1.0, 0.0)];
    let (weights, weight, bias) = (fill(1503, &[3, 2], 0.5, 1.0), fill(1504, &[5, 8], 1.0, 0.0), fill(1505, &[5], 1.0, 0.0));
    let head = ConcatHead::new(weight, bias.clone(), vec![4, 4]).unwrap();
    let parts: Vec<Tensor> = (0..2).map(|m| head.part(m, &features[m]).unwrap()).collect();
    let parts = Tensor::stack(&parts, 1).unwrap();
    #[rustfmt::skip]
    let expected = [0.155776131, 0.823199922, 0.395106383, -1.52758165, 2.22509236, 0.243529198, 1.20379493, -1.29894166, -1.43807924, 1.5744055, 2.79596167, -0.54196833, -0.877588009, 1.29755183, 1.87333891];
    let logits = fused_logits(&parts, &weights, &bias, true).unwrap();
    assert_close(&logits, &expected, 1e-6);
    let unimodal = unimodal_logits(&parts, &weights, &bias, true).unwrap();
    #[rustfmt::skip]
    let expected = [-1.22109474, 1.08081848, 0.540137768, -2.37501955, 1.55353675, 0.168713089, 0.277379961, -0.344181617, -1.69175781, 1.52935584, 0.763609564, -0.0632990034, 0.388981761, -1.66039463, 1.22349595];
    assert_close(&unimodal.narrow(1, 0, 1).unwrap(), &expected, 1e-6);
    #[rustfmt::skip]
    let expected = [0.447876332, 0.644164907, 0.808976003, -0.111757355, 1.12172184, -0.854178428, 1.82819843, -0.000752655215, -0.705516681, 0.49521589, 1.10335757, 0.42311414, -0.312562383, 1.9987512, 1.10000919];
    assert_close(&unimodal.narrow(1, 1, 1).unwrap(), &expected, 1e-6);
    assert_close(&leave_one_out_dependence(&parts, None).unwrap(), &[2.00881459, 2.46290187], 1e-6);
    // Head identity: Σ_m out_m - (M - 1) b = out.
    let sum = unimodal.sum(1).unwrap().broadcast_sub(&bias).unwrap();
    assert_close(&sum, &logits.flatten_all().unwrap().to_vec1::<f64>().unwrap(), 1e-9);
}

/// c = Case("noise_level_loss", "detached_spread"): (((q / 2).exp() - y) ** 2).mean(0).sum()
#[test]
fn golden_noise_level_loss() {
    let (x, level) = (fill(1601, &[4, 2], 1.0, 0.0), fill(1602, &[4, 2], 4.0, 5.0));
    assert_close(&noise_level_loss(&x, &level, None).unwrap(), &[36.3794467], 1e-6);
    let ones = x.ones_like().unwrap();
    assert_close(&noise_level_loss(&x, &level, Some(&ones)).unwrap(), &[36.3794467], 1e-6);
}

#[test]
fn known_weights() {
    let of_levels = |t: &[f64], d: &[f64]| {
        let x: Vec<f64> = t.iter().map(|t| 2.0 * t.ln()).collect();
        udml_weights(&tensor(&x, &[1, t.len()]), &tensor(d, &[d.len()]), None).unwrap()
    };
    assert_close(&of_levels(&[1.0, 2.0], &[1.0, 1.0]), &[1.6, 0.4], 1e-6);
    assert_close(&of_levels(&[2.0, 4.0], &[4.0, 1.0]), &[1.0, 1.0], 1e-6);
    assert_close(&of_levels(&[1.0, 1.0], &[32.0, 10.0]), &[0.476190, 1.523810], 1e-6);
    assert_close(&of_levels(&[1.0, 2.0], &[32.0, 10.0]), &[1.111111, 0.888889], 1e-6);
    assert_close(&of_levels(&[1.0, 2.0, 3.0], &[1.0; 3]), &[2.204082, 0.551020, 0.244898], 1e-6);
    // The scale of levels and dependence cancels.
    assert_close(&of_levels(&[7.0, 14.0, 21.0], &[5.0; 3]), &[2.204082, 0.551020, 0.244898], 1e-6);
    let x = tensor(&[0.3, -1.2, 2.0], &[1, 3]);
    let w = udml_weights(&x, &tensor(&[1.0, 3.0, 0.5], &[3]), None).unwrap();
    assert_close(&w, &[1.049221, 1.567428, 0.383351], 1e-6);
    // By 2.3 and 2.5: r = 3 t^-2 / sum, u = r / d.
    let u: Vec<f64> = [(0.3f64, 1.0), (-1.2, 3.0), (2.0, 0.5)].iter().map(|(x, d)| (x / 2.0).exp().powi(-2) / d).collect();
    let direct: Vec<f64> = u.iter().map(|v| 3.0 * v / u.iter().sum::<f64>()).collect();
    assert_close(&w, &direct, 1e-12);
}

#[test]
fn weights_do_not_overflow_and_fall_in_level_and_dependence() {
    let d = tensor(&[1.0, 1.0], &[2]);
    let extreme = udml_weights(&tensor(&[200.0, 800.0, -900.0, 3.0], &[2, 2]), &d, None).unwrap();
    assert_close(&extreme, &[2.0, 0.0, 2.0, 0.0], 1e-12);
    let first = |x: f64, d: f64| {
        let w = udml_weights(&tensor(&[x, 0.4, -0.3], &[1, 3]), &tensor(&[d, 2.0, 1.0], &[3]), None).unwrap();
        let w = w.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert!((w.iter().sum::<f64>() - 3.0).abs() < 1e-12);
        w[0]
    };
    let by_level: Vec<f64> = (-5..5).map(|x| first(f64::from(x), 1.0)).collect();
    let by_dependence: Vec<f64> = (1..10).map(|d| first(0.0, f64::from(d))).collect();
    assert!(by_level.windows(2).all(|w| w[0] > w[1]) && by_dependence.windows(2).all(|w| w[0] > w[1]));
}

/// Spec: iterating the published dependence with unimodal sizes (10, 1) ends at w = (1/3, 5/3); the unscaled form at once at
/// (0.181818, 1.818182).
#[test]
fn the_published_dependence_corrects_too_little() {
    let parts = tensor(&[10.0, 1.0], &[1, 2, 1]);
    let (bias, x) = (tensor(&[0.0], &[1]), tensor(&[0.0, 0.0], &[1, 2]));
    let mut d = tensor(&[32.0, 10.0], &[2]);
    for _ in 0..200 {
        let w = udml_weights(&x, &d, None).unwrap();
        let next = lone_modality_dependence(&unimodal_logits(&parts, &w, &bias, true).unwrap(), None).unwrap();
        // Half steps: the plain iteration swings around its fixed point.
        d = ((d + next).unwrap() / 2.0).unwrap();
    }
    assert_close(&udml_weights(&x, &d, None).unwrap(), &[1.0 / 3.0, 5.0 / 3.0], 1e-6);
    let d = leave_one_out_dependence(&parts, None).unwrap();
    assert_close(&udml_weights(&x, &d, None).unwrap(), &[0.181818, 1.818182], 1e-6);
}

#[test]
fn dependence_counts_only_samples_that_have_the_modality() {
    let parts = tensor(&[1.0, -2.0, 4.0, 4.0, 0.0, 0.0, 1.0, 1.0], &[2, 2, 2]);
    let present = tensor(&[1.0, 1.0, 0.0, 1.0], &[2, 2]);
    assert_close(&leave_one_out_dependence(&parts, Some(&present)).unwrap(), &[3.0, 5.0], 1e-12);
}

#[test]
fn softened_weights() {
    let present = tensor(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0], &[4, 2]);
    let w = tensor(&[1.6, 0.4, 1.6, 0.4, 1.6, 0.4, 0.0, 1.0], &[4, 2]);
    let level = |t: f64| 2.0 * t.ln();
    // One clean; the cleanest at 5.5 of 10 (contrast 1/2); both beyond the training; one alone, the other's x is not read.
    let x = tensor(&[level(9.0), 0.0, level(5.5), level(11.0), level(16.0), level(12.0), -50.0, level(3.0)], &[4, 2]);
    assert_close(&soften(&w, &x, &present, 10.0, 1.0).unwrap(), &[1.6, 0.4, 1.3, 0.7, 1.0, 1.0, 0.0, 1.0], 1e-9);
    assert_close(&soften(&w, &x, &present, 10.0, 2.0).unwrap(), &[1.6, 0.4, 1.15, 0.85, 1.0, 1.0, 0.0, 1.0], 1e-9);
}

#[test]
fn kl_by_hand() {
    let kl = |mean: f64, variance: f64, prior: f64| {
        let (m, v) = (tensor(&[mean; 6], &[2, 3]), tensor(&[variance.ln(); 6], &[2, 3]));
        gaussian_kl(&m, &v, Some(&tensor(&[prior; 2], &[2]))).unwrap()
    };
    // Three features, so three times the value of an element.
    assert_close(&kl(0.0, 1.0, 1.0), &[0.0], 1e-9);
    assert_close(&kl(1.0, 1.0, 1.0), &[1.5], 1e-9);
    assert_close(&kl(0.0, 2.0, 4.0), &[3.0 * 0.0965736], 1e-6);
    assert_close(&kl(3.0, 4.0, 2.0), &[3.0 * 2.4034264], 1e-6);
    let (m, v) = (fill(1, &[4, 7], 1.0, 0.0), fill(2, &[4, 7], 1.0, 0.0));
    let ones = tensor(&[1.0; 4], &[4]);
    let standard = gaussian_kl(&m, &v, None).unwrap().to_scalar::<f64>().unwrap();
    assert_close(&gaussian_kl(&m, &v, Some(&ones)).unwrap(), &[standard], 1e-12);
}

#[test]
fn gradients_match_finite_differences() {
    let (d, present) = (tensor(&[1.0, 3.0, 0.5], &[3]), tensor(&[1.0, 1.0, 1.0, 1.0, 0.0, 1.0], &[2, 3]));
    let (x, up) = (fill(3, &[2, 3], 1.0, 1.0), fill(4, &[2, 3], 1.0, 0.0));
    let level = fill(5, &[2, 3], 2.0, 4.0);
    check_gradient(&x, |x| Ok(udml_weights(x, &d, Some(&present))?.mul(&up)?.sum_all()?));
    check_gradient(&x, |x| Ok(soften(&udml_weights(x, &d, Some(&present))?, x, &present, 10.0, 2.0)?.mul(&up)?.sum_all()?));
    check_gradient(&x, |x| noise_level_loss(x, &level, Some(&present)));
    check_gradient(&x, |x| log_noise_level_loss(x, &level, Some(&present)));
    let (mean, log_var, prior) = (fill(6, &[2, 3], 1.0, 0.0), fill(7, &[2, 3], 1.0, 0.0), tensor(&[2.0, 5.0], &[2]));
    check_gradient(&mean, |m| gaussian_kl(m, &log_var, Some(&prior)));
    check_gradient(&log_var, |v| gaussian_kl(&mean, v, Some(&prior)));
    check_gradient(&log_var, |v| Ok(reparameterize(&mean, v, &up)?.sqr()?.sum_all()?));
    let (parts, bias) = (fill(8, &[2, 3, 4], 1.0, 0.0), fill(9, &[4], 1.0, 0.0));
    check_gradient(&parts, |p| Ok(fused_logits(p, &x, &bias, true)?.sqr()?.sum_all()?));
    check_gradient(&x, |w| Ok(unimodal_logits(&parts, w, &bias, false)?.sqr()?.sum_all()?));
}

#[test]
fn wrong_shapes_are_typed_errors() {
    assert!(udml_weights(&tensor(&[0.0; 4], &[2, 2]), &tensor(&[1.0; 3], &[3]), None).is_err());
    assert!(ConcatHead::new(tensor(&[0.0; 10], &[2, 5]), tensor(&[0.0; 2], &[2]), vec![2, 2]).is_err());
    let head = ConcatHead::new(tensor(&[0.0; 8], &[2, 4]), tensor(&[0.0; 2], &[2]), vec![2, 2]).unwrap();
    assert!(matches!(
        head.part(2, &tensor(&[0.0; 2], &[1, 2])),
        Err(Error::Modality(ModalityError::Position { position: 2, modalities: 2 }))
    ));
}
