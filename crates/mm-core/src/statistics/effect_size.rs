//! How large a difference is beside the variation between seeds.

use serde::{Deserialize, Serialize};

/// Below this number of seeds an effect size says little.
pub const FEW_SEEDS: usize = 5;

/// Effect sizes of a difference between two methods over the same seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EffectSize {
    /// Cohen's d: the difference of the means in pooled standard deviations over seeds. `None` with one seed or no variation.
    pub cohens_d: Option<f64>,
    /// The mean of the paired differences in their own standard deviations (d_z). `None` with one seed or no variation.
    pub paired_d: Option<f64>,
    /// Seeds behind it.
    pub seeds: usize,
}

impl EffectSize {
    /// Whether there are too few seeds to rely on it.
    pub fn too_few_seeds(&self) -> bool {
        self.seeds < FEW_SEEDS
    }
}

/// Effect sizes of `a - b`, one value a seed, in the same order.
pub fn effect_size(a: &[f64], b: &[f64]) -> EffectSize {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let seeds = differences.len();
    let (a, b) = (&a[..seeds], &b[..seeds]);
    let pooled = standard_deviation(a).zip(standard_deviation(b)).map(|(a, b)| ((a * a + b * b) / 2.0).sqrt());
    let in_units_of = |sd: Option<f64>| sd.filter(|sd| *sd > 1e-12).map(|sd| mean(&differences) / sd);
    EffectSize { cohens_d: in_units_of(pooled), paired_d: in_units_of(standard_deviation(&differences)), seeds }
}

/// Arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation (`n - 1`); `None` below two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
