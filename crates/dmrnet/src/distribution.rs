//! The divergence of decoupled representations (Eq. 9).

use candle_core::Tensor;
use mm_core::Result;

/// KL from N(mean, exp(log_var)) to N(0, 1), summed over all elements of a sample, mean over samples: a scalar (Eq. 9).
///
/// `½ Σ (exp(log_var) + mean² - log_var - 1)`; `mean` and `log_var` are `[batch, ..]`.
pub fn gaussian_kl(mean: &Tensor, log_var: &Tensor) -> Result<Tensor> {
    mm_core::loss::gaussian_kl(mean, log_var, None)
}
