//! Regression imputation: an absent sensor's feature is its mean given the features that are there, as if all were normal together.
//!
//! With mean `μ` and covariance `Σ` of all features over the training samples, that of the absent ones `b` given the present ones `a` is
//! `μ_b + Σ_ba (Σ_aa + λ I)⁻¹ (x_a - μ_a)`: ridge regression from the present ones, for every combination from one covariance.

use crate::imputed::{Features, Imputer, Imputing, Widths};
use candle_core::{Tensor, Var};
use candle_nn::Init;
use mm_core::fusion::NetworkConfig;
use mm_core::missing::MissingPattern;
use mm_core::nn::Parameters;
use mm_core::{Error, Result, Subset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Settings of regression imputation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegressionConfig {
    /// The network.
    pub network: NetworkConfig,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
    /// Added to the variance of each present feature, in mean variances: the less is known for sure, the nearer to the mean.
    pub ridge: f64,
}

impl Default for RegressionConfig {
    fn default() -> Self {
        Self { network: NetworkConfig::default(), missing: MissingPattern::Natural, ridge: 0.1 }
    }
}

impl RegressionConfig {
    pub(crate) fn check(&self) -> Result<()> {
        match self.ridge > 0.0 && self.ridge.is_finite() {
            true => Ok(()),
            false => Err(Error::config("options.ridge", format!("is {}; it is a number above 0", self.ridge))),
        }
    }
}

impl Imputing for RegressionConfig {
    fn missing(&self) -> &MissingPattern {
        &self.missing
    }

    fn imputer(&self, widths: Widths, parameters: &Parameters) -> Result<Box<dyn Imputer>> {
        let (vb, width) = (parameters.builder().pp("imputer"), widths.total());
        vb.get_with_hints(width, "mean", Init::Const(0.0))?;
        vb.get_with_hints((width, width), "covariance", Init::Const(0.0))?;
        let variable = |name: &str| parameters.variable(name).ok_or_else(|| Error::config("imputer", format!("has no `{name}`")));
        let (mean, covariance) = (variable("imputer.mean")?, variable("imputer.covariance")?);
        Ok(Box::new(ConditionalMean { widths, ridge: self.ridge, mean, covariance, known: Mutex::default() }))
    }
}

/// Memory for the weights of combinations.
const KNOWN_BYTES: usize = 128 << 20;

/// The mean of absent features given the present ones.
struct ConditionalMean {
    widths: Widths,
    ridge: f64,
    mean: Var,
    covariance: Var,
    known: Mutex<Known>,
}

/// Weights by combination, of the statistics that they were made from.
#[derive(Default)]
struct Known {
    of: u64,
    weights: BTreeMap<Subset, Arc<Weights>>,
}

/// `x_b = offset + x_a weights`.
struct Weights {
    present: Vec<usize>,
    absent: Vec<usize>,
    /// `[present, absent]`.
    weights: Vec<f32>,
    offset: Vec<f32>,
}

impl ConditionalMean {
    /// Those of a combination, computed once as long as the statistics are the same.
    fn weights(&self, subset: Subset, mean: &[f32], covariance: &[f32], of: u64) -> Arc<Weights> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.of != of {
            *known = Known { of, weights: BTreeMap::new() };
        }
        if let Some(weights) = known.weights.get(&subset) {
            return weights.clone();
        }
        let weights = Arc::new(self.solve(subset, mean, covariance));
        let each = 4 * self.widths.total().pow(2) / 4;
        if known.weights.len() * each > KNOWN_BYTES {
            known.weights.clear();
        }
        known.weights.insert(subset, weights.clone());
        weights
    }

    fn solve(&self, subset: Subset, mean: &[f32], covariance: &[f32]) -> Weights {
        let width = self.widths.total();
        let present = self.widths.of_all(subset);
        let absent: Vec<usize> = (0..width).filter(|i| present.binary_search(i).is_err()).collect();
        let at = |i: usize, j: usize| f64::from(covariance[i * width + j]);
        let scale = (0..width).map(|i| at(i, i)).sum::<f64>() / width as f64;
        let (n, count) = (present.len(), absent.len());
        let mut weights = vec![0.0; n * count];
        let mut ridge = self.ridge * scale;
        // Covariances of samples that lack sensors, each of the samples that have both, need not be those of any samples: more ridge makes them so.
        while scale > 0.0 && ridge.is_finite() {
            let mut factor: Vec<f64> = present.iter().flat_map(|&i| present.iter().map(move |&j| at(i, j))).collect();
            (0..n).for_each(|i| factor[i * n + i] += ridge);
            if cholesky(&mut factor, n) {
                for (column, &b) in absent.iter().enumerate() {
                    let mut x: Vec<f64> = present.iter().map(|&a| at(a, b)).collect();
                    substitute(&factor, n, &mut x);
                    x.iter().enumerate().for_each(|(row, x)| weights[row * count + column] = *x as f32);
                }
                break;
            }
            ridge *= 10.0;
        }
        let offset = absent.iter().enumerate().map(|(column, &b)| {
            let of_mean: f64 =
                present.iter().enumerate().map(|(row, &a)| f64::from(mean[a]) * f64::from(weights[row * count + column])).sum();
            (f64::from(mean[b]) - of_mean) as f32
        });
        let offset = offset.collect();
        Weights { present, absent, weights, offset }
    }
}

impl Imputer for ConditionalMean {
    /// The mean of each number over the samples that have it, and the covariance of each two over those that have both.
    fn fit(&self, features: &Features) -> Result<()> {
        let (width, sensors) = (self.widths.total(), self.widths.sensors());
        let (mut sums, mut counts) = (vec![0.0f64; width], vec![0.0f64; sensors]);
        let rows = || features.values.chunks_exact(width).zip(&features.presence);
        for (row, has) in rows() {
            for m in has.indices() {
                counts[m] += 1.0;
                self.widths.of(m).for_each(|i| sums[i] += f64::from(row[i]));
            }
        }
        let mean: Vec<f64> =
            (0..sensors).flat_map(|m| self.widths.of(m).map(move |i| (m, i))).map(|(m, i)| sums[i] / counts[m].max(1.0)).collect();
        let (mut products, mut both) = (vec![0.0f64; width * width], vec![0.0f64; sensors * sensors]);
        let mut centred = vec![0.0f64; width];
        for (row, has) in rows() {
            let columns = self.widths.of_all(*has);
            columns.iter().for_each(|&i| centred[i] = f64::from(row[i]) - mean[i]);
            for &i in &columns {
                let (x, products) = (centred[i], &mut products[i * width..][..width]);
                has.indices().for_each(|m| self.widths.of(m).for_each(|j| products[j] += x * centred[j]));
            }
            has.indices().for_each(|a| has.indices().for_each(|b| both[a * sensors + b] += 1.0));
        }
        for a in 0..sensors {
            for b in 0..sensors {
                let count = both[a * sensors + b].max(1.0);
                self.widths.of(a).for_each(|i| self.widths.of(b).for_each(|j| products[i * width + j] /= count));
            }
        }
        let device = self.mean.device();
        let narrow = |values: &[f64]| values.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        self.mean.set(&Tensor::from_vec(narrow(&mean), width, device)?)?;
        self.covariance.set(&Tensor::from_vec(narrow(&products), (width, width), device)?)?;
        Ok(())
    }

    fn fill(&self, values: &mut [f32], presence: &[Subset]) -> Result<()> {
        let mean = self.mean.as_tensor().to_vec1::<f32>()?;
        let covariance = self.covariance.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        let of = content(&mean).wrapping_add(content(&covariance).rotate_left(1));
        for (row, &subset) in values.chunks_exact_mut(self.widths.total()).zip(presence) {
            let Weights { present, absent, weights, offset } = &*self.weights(subset, &mean, &covariance, of);
            let mut filled = offset.clone();
            for (&a, weights) in present.iter().zip(weights.chunks_exact(absent.len().max(1))) {
                let x = row[a];
                filled.iter_mut().zip(weights).for_each(|(filled, weight)| *filled += x * weight);
            }
            absent.iter().zip(filled).for_each(|(&b, filled)| row[b] = filled);
        }
        Ok(())
    }
}

/// A number that other values most likely do not have.
fn content(values: &[f32]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |hash, x| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Replaces a symmetric matrix `[n, n]` by its lower Cholesky factor; whether it is positive definite.
fn cholesky(matrix: &mut [f64], n: usize) -> bool {
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - dot;
            match i == j {
                true if !(rest > 0.0 && rest.is_finite()) => return false,
                true => matrix[i * n + i] = rest.sqrt(),
                false => matrix[i * n + j] = rest / matrix[j * n + j],
            }
        }
    }
    true
}

/// Solves `L Lᵀ x = b` in place.
fn substitute(factor: &[f64], n: usize, x: &mut [f64]) {
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| factor[i * n + k] * x[k]).sum();
        x[i] = (x[i] - dot) / factor[i * n + i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| factor[k * n + i] * x[k]).sum();
        x[i] = (x[i] - dot) / factor[i * n + i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn subset(bits: u16) -> Subset {
        Subset::from_bits(bits).expect("subset")
    }

    fn imputer(widths: &[usize], ridge: f64) -> Box<dyn Imputer> {
        let config = RegressionConfig { ridge, ..RegressionConfig::default() };
        config.imputer(Widths::new(widths), &Parameters::new(0, &Device::Cpu)).expect("imputer")
    }

    /// Three sensors, `c = 2 a - b + 1`: known exactly from both, from one alone as far as the samples tie them.
    #[test]
    fn a_linear_relation_is_found_and_absent_numbers_are_not_read() {
        let imputer = imputer(&[1, 1, 1], 1e-9);
        let of = |i: usize| [(i % 5) as f32, (i * i % 7) as f32];
        let rows = (0..70).flat_map(|i| of(i).into_iter().chain([2.0 * of(i)[0] - of(i)[1] + 1.0]));
        let features = Features { values: rows.collect(), presence: vec![subset(0b111); 70], ids: (0..70).collect() };
        // Before it is fitted, zeros.
        let mut row = [9.0, 9.0, f32::NAN];
        imputer.fill(&mut row, &[subset(0b011)]).expect("filled");
        assert_eq!(row, [9.0, 9.0, 0.0]);
        imputer.fit(&features).expect("fitted");
        let mut row = [3.0, 2.0, f32::NAN];
        imputer.fill(&mut row, &[subset(0b011)]).expect("filled");
        assert!((row[2] - 5.0).abs() < 1e-3 && row[..2] == [3.0, 2.0], "{row:?}");
        // From the third alone: the mean of the first is 2, that of the third 1 more than twice that less the mean of the second.
        let mut row = [f32::NAN, f32::NAN, 5.0 - 18.0 / 7.0 + 0.0];
        imputer.fill(&mut row, &[subset(0b100)]).expect("filled");
        assert!(row.iter().all(|x| x.is_finite()), "{row:?}");
    }

    /// A large ridge gives the mean; what few samples have still is positive definite.
    #[test]
    fn with_much_ridge_it_is_the_mean_and_gaps_in_training_do_no_harm() {
        let values = vec![1.0, 10.0, 3.0, 0.0, 0.0, 30.0, 5.0, 20.0];
        let presence = vec![subset(0b11), subset(0b01), subset(0b10), subset(0b11)];
        let features = Features { values, presence, ids: (0..4).collect() };
        let careful = imputer(&[1, 1], 1e9);
        careful.fit(&features).expect("fitted");
        let mut row = [100.0, f32::NAN];
        careful.fill(&mut row, &[subset(0b01)]).expect("filled");
        assert!((row[1] - 20.0).abs() < 1e-3, "{row:?}");
        let bold = imputer(&[1, 1], 1e-6);
        bold.fit(&features).expect("fitted");
        let mut row = [5.0, f32::NAN];
        bold.fill(&mut row, &[subset(0b01)]).expect("filled");
        assert!(row[1].is_finite());
    }

    #[test]
    fn a_system_by_hand() {
        let mut matrix = [4.0, 2.0, 2.0, 3.0];
        assert!(cholesky(&mut matrix, 2));
        let mut x = [10.0, 8.0];
        substitute(&matrix, 2, &mut x);
        assert!((x[0] - 1.75).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
        assert!(!cholesky(&mut [1.0, 2.0, 2.0, 1.0], 2));
    }
}
