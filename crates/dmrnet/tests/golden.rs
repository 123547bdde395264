//! Values computed with PyTorch in f64 (`cargo xtask golden` checks the same operations on fresh inputs).

use candle_core::{DType, Device, Tensor, Var};
use dmrnet::{HardLoss, gaussian_kl, reparameterize};
use mm_core::Result;
use mm_testing::assert_close;

/// From logits and labels, as the cases have them.
fn hard_combination_loss(logits: &Tensor, labels: &Tensor, hard: &Tensor, form: HardLoss) -> mm_core::Result<Tensor> {
    dmrnet::hard_combination_loss(&mm_core::loss::cross_entropy_per_sample(logits, labels)?, hard, form)
}

fn fill(key: u64, shape: &[usize], scale: f64) -> Var {
    Var::from_tensor(&mm_testing::fill(key, shape, scale, 0.0).to_dtype(DType::F32).unwrap()).unwrap()
}

fn close(found: &Tensor, expected: &[f64]) {
    assert_close(found, expected, 2e-6);
}

/// `0.5 * (lv.exp() + mu ** 2 - lv - 1).sum(1).mean()`
#[test]
fn gaussian_kl_standard() -> Result<()> {
    let (mean, log_var) = (fill(901, &[4, 7], 1.0), fill(902, &[4, 7], 2.0));
    let loss = gaussian_kl(&mean, &log_var)?;
    close(&loss, &[4.36972786]);
    let gradients = loss.backward()?;
    #[rustfmt::skip]
    close(gradients.get(&mean).unwrap(), &[
        0.158407152, 0.241073132, -0.195201606, -0.00161543489, -0.0391743481, 0.21066317, -0.167008549, 0.237272859, -0.124213696,
        -0.0277474821, 0.183768272, 0.169005901, -0.0663964748, 0.164356619, 0.0788105726, -0.0249144137, 0.174239874, 0.118007779,
        0.00740873814, -0.156231314, 0.206374615, -0.0516032279, 0.235407531, 0.181248665, -0.122250706, 0.0644268692, -0.0187891722,
        -0.0690639913,
    ]);
    #[rustfmt::skip]
    close(gradients.get(&log_var).unwrap(), &[
        -0.0402560403, -0.0604577889, -0.0977392363, -0.084225852, 0.211663876, -0.0318734299, -0.104336293, 0.531679527, -0.0845456088,
        0.27612672, -0.0913158939, -0.0874605244, 0.237681585, 0.202574507, -0.0715313061, 0.450315113, -0.102641992, 0.791392906,
        -0.105991534, 0.788153268, -0.0140161617, -0.0872624029, -0.07267709, -0.0248356689, 0.133544402, 0.217009019, 0.205675048,
        -0.0535638884,
    ]);
    Ok(())
}

/// By hand: ½ (¼ + 0) + ½ (1 + 4 - ln 4 - 1) and so on; mean over two rows.
#[test]
fn gaussian_kl_by_hand() -> Result<()> {
    let mean = Var::new(&[[0.5f32, -1.0], [0.0, 2.0]], &Device::Cpu)?;
    let log_var = Var::new(&[[0.0, 4f32.ln()], [0.25f32.ln(), 0.0]], &Device::Cpu)?;
    let loss = gaussian_kl(&mean, &log_var)?;
    close(&loss, &[1.875]);
    let gradients = loss.backward()?;
    close(gradients.get(&mean).unwrap(), &[0.25, -0.5, 0.0, 1.0]);
    close(gradients.get(&log_var).unwrap(), &[0.0, 0.75, -0.1875, 0.0]);
    let zero = Tensor::zeros((3, 2, 2, 2), DType::F32, &Device::Cpu)?;
    close(&gaussian_kl(&zero, &zero)?, &[0.0]);
    Ok(())
}

/// `z = mu + e * (lv / 2).exp()`, gradients of `(z ** 2).sum()`
#[test]
fn reparameterize_given_noise() -> Result<()> {
    let (mean, log_var, noise) = (fill(1001, &[3, 5], 1.0), fill(1002, &[3, 5], 1.0), fill(1003, &[3, 5], 2.0));
    let sample = reparameterize(&mean, &log_var, &noise)?;
    #[rustfmt::skip]
    close(&sample, &[
        0.500725392, -1.15275572, 0.334049765, 1.51644143, -1.40191202, -1.23529043, -0.487800408, 1.0972455, -0.992242408, 0.15509857,
        1.48522394, -0.850890893, 0.402231882, -0.793155813, -0.236546762,
    ]);
    let gradients = sample.sqr()?.sum_all()?.backward()?;
    #[rustfmt::skip]
    close(gradients.get(&mean).unwrap(), &[
        1.00145078, -2.30551145, 0.668099529, 3.03288285, -2.80382404, -2.47058086, -0.975600817, 2.19449101, -1.98448482, 0.310197141,
        2.97044787, -1.70178179, 0.804463763, -1.58631163, -0.473093525,
    ]);
    #[rustfmt::skip]
    close(gradients.get(&log_var).unwrap(), &[
        0.0311844925, 1.65505514, -0.138730173, 2.77030002, 2.72204883, 1.22298218, 0.540981593, 1.79679403, 0.135140482, 0.156786044,
        2.49032461, 0.979559251, 0.457809009, 0.246064164, 0.151862393,
    ]);
    Ok(())
}

/// `ce = cross_entropy(reduction="none")`; `(ce * m).sum() / 6`, and `(ce[None, :] * m[:, None]).sum() / 6`
#[test]
fn hard_combination_loss_both_forms() -> Result<()> {
    let labels = Tensor::new(&[0u32, 1, 2, 3, 0, 1], &Device::Cpu)?;
    let hard = Tensor::new(&[1f32, 0.0, 0.0, 1.0, 1.0, 0.0], &Device::Cpu)?;
    let logits = fill(1101, &[6, 4], 2.0);
    let loss = hard_combination_loss(&logits, &labels, &hard, HardLoss::PerSample)?;
    close(&loss, &[0.505650606]);
    #[rustfmt::skip]
    close(loss.backward()?.get(&logits).unwrap(), &[
        -0.104149085, 0.0809363674, 0.0186627355, 0.00454998173, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0551598591, 0.0429201609,
        0.0207336161, -0.118813636, -0.0921888356, 0.0690577813, 0.0186119791, 0.0045190753, 0.0, 0.0, 0.0, 0.0,
    ]);
    let logits = fill(1201, &[6, 4], 2.0);
    let loss = hard_combination_loss(&logits, &labels, &hard, HardLoss::ReferenceBroadcast)?;
    close(&loss, &[4.36153391]);
    #[rustfmt::skip]
    close(loss.backward()?.get(&logits).unwrap(), &[
        -0.279847443, 0.223585176, 0.0232432265, 0.0330190411, 0.0171449833, -0.213134473, 0.0116097495, 0.18437974, 0.036587986,
        0.0208173853, -0.48249606, 0.425090689, 0.254133491, 0.0622477182, 0.084691735, -0.401072944, -0.198650431, 0.0369119098,
        0.0137124696, 0.148026052, 0.083073524, -0.422817962, 0.227160855, 0.112583583,
    ]);
    Ok(())
}

#[test]
fn hard_combination_loss_by_hand() -> Result<()> {
    let logits = Var::new(&[[2f32, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 3.0]], &Device::Cpu)?;
    let (labels, hard) = (Tensor::new(&[0u32, 0, 1, 1], &Device::Cpu)?, Tensor::new(&[1f32, 0.0, 1.0, 0.0], &Device::Cpu)?);
    close(&hard_combination_loss(&logits, &labels, &hard, HardLoss::PerSample)?, &[0.205019]);
    close(&hard_combination_loss(&logits, &labels, &hard, HardLoss::ReferenceBroadcast)?, &[1.090962]);
    // Next to the task loss, hard samples weigh 1 + beta.
    let (beta, by_sample) = (0.7, mm_core::loss::cross_entropy_per_sample(&logits, &labels)?);
    let hard_loss = hard_combination_loss(&logits, &labels, &hard, HardLoss::PerSample)?;
    let total = (by_sample.mean_all()? + (hard_loss * beta)?)?;
    let weighted = by_sample.mul(&((&hard * beta)? + 1.0)?)?.mean_all()?;
    let expected = weighted.backward()?.get(&logits).unwrap().flatten_all()?.to_vec1::<f32>()?;
    close(total.backward()?.get(&logits).unwrap(), &expected.into_iter().map(f64::from).collect::<Vec<_>>());
    assert!(hard_combination_loss(&logits, &labels, &hard.unsqueeze(1)?, HardLoss::PerSample).is_err());
    Ok(())
}

/// Pooling comes after sampling: 16 independent draws average to a variance of 1 / 16.
#[test]
fn noise_is_drawn_at_every_position() -> Result<()> {
    let zero = Tensor::zeros((60, 1000, 4, 4), DType::F32, &Device::Cpu)?;
    let draws = mm_core::rng::standard_normal(&mut mm_core::rng::stream(3, "noise", &[]), zero.elem_count());
    let sample = reparameterize(&zero, &zero, &Tensor::from_vec(draws, zero.shape(), &Device::Cpu)?)?;
    let pooled = mm_core::fusion::pool(&sample)?.flatten_all()?.to_vec1::<f32>()?;
    let variance = pooled.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / pooled.len() as f64;
    assert!((variance / 0.0625 - 1.0).abs() < 0.02, "{variance}");
    Ok(())
}

/// The learning rate of the published NYUv2 runs, stepped once an epoch: `OneCycleLR(max_lr=0.01, total_steps=300, pct_start=0.1)`.
#[test]
fn learning_rate_of_the_published_segmentation() -> Result<()> {
    use mm_core::optim::{Schedule, ScheduleConfig};
    let config = ScheduleConfig::OneCycle { pct_start: 0.1, div_factor: 25.0, final_div_factor: 1e4 };
    let schedule = Schedule::new(config, 0.01, 300, 1)?;
    for (epoch, expected) in [(0, 4e-4), (10, 2.951639e-3), (29, 1e-2), (150, 5.810907e-3), (299, 4e-8)] {
        let found = schedule.rate(epoch);
        assert!((found - expected).abs() < 1e-6 * expected, "epoch {epoch}: {found}, expected {expected}");
    }
    Ok(())
}
