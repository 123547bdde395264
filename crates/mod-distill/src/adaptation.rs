//! The transfer task: how the restored branch is aligned with the teacher, and how fast.

use crate::discrepancy::{joint_mmd, maximum_mean_discrepancy};
use crate::{Adaptation, ModDistillConfig};
use candle_core::Tensor;
use mm_core::Result;
use mm_core::loss::softened_kl;
use mm_core::model::Output;
use mm_core::task::Task;

/// Ratio of neighbouring bandwidths of the kernel on features.
pub(crate) const KERNEL_MUL: f64 = 2.0;
/// How many Gaussians the kernel on features sums.
pub(crate) const KERNEL_NUM: usize = 5;

/// The factorised joint adaptation: `alpha · MMD²(F_r, F_p) + beta · T² · KL(softmax(z_p / T) ‖ softmax(z_r / T))`, a scalar.
///
/// Features `[batch, ..]` of one shape, logits `[batch, classes]`; the privileged side has no gradient.
pub fn joint_adaptation(
    restored: &Tensor,
    privileged: &Tensor,
    restored_logits: &Tensor,
    privileged_logits: &Tensor,
    alpha: f64,
    beta: f64,
    temperature: f64,
) -> Result<Tensor> {
    let discrepancy = maximum_mean_discrepancy(restored, privileged, KERNEL_MUL, KERNEL_NUM)?;
    let divergence = softened_kl(restored_logits, privileged_logits, temperature)?;
    Ok(((discrepancy * alpha)? + (divergence * beta)?)?)
}

/// The configured form, of pooled features.
pub(crate) fn adapt(config: &ModDistillConfig, task: &dyn Task, restored: &Output, privileged: &Output) -> Result<Tensor> {
    let (r, p, z_r, z_p) = (restored.feature()?, privileged.feature()?, &restored.prediction, &privileged.prediction);
    match config.adaptation {
        Adaptation::Factorised => {
            let discrepancy = maximum_mean_discrepancy(r, p, KERNEL_MUL, KERNEL_NUM)?;
            let divergence = task.distillation(z_r, z_p, config.temperature)?;
            let weighted: candle_core::Result<Tensor> = (discrepancy * config.alpha)? + (divergence * config.beta)?;
            Ok(weighted?)
        }
        Adaptation::Joint => joint_mmd(r, p, z_r, z_p, KERNEL_MUL, KERNEL_NUM, config.prediction_bandwidth),
    }
}

/// `2 / (1 + exp(-10 p)) - 1` with `p` the progress through the first `share` of the run (0 to 1); 1 where `share` is 0.
pub fn warm_up(progress: f64, share: f64) -> f64 {
    if share <= 0.0 {
        return 1.0;
    }
    2.0 / (1.0 + (-10.0 * (progress / share).min(1.0)).exp()) - 1.0
}
