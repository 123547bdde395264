//! Regression imputation: an absent sensor's feature is its mean given the features that are there, as if all were normal together.
//!
//! With mean `μ` and covariance `Σ` of all features over the training samples, that of the absent ones `b` given the present ones `a` is
//! `μ_b + Σ_ba (Σ_aa + λ I)⁻¹ (x_a - μ_a)`: ridge regression from the present ones, for every combination from one covariance. Where fewer are absent
//! than present, the same comes cheaper from the inverse of the covariance.

use crate::conditional::{Given, Normal};
use crate::imputed::{Features, Imputer, Imputing, Widths};
use candle_core::{Tensor, Var};
use candle_nn::Init;
use mm_core::fusion::NetworkConfig;
use mm_core::missing::MissingPattern;
use mm_core::nn::Parameters;
use mm_core::{Error, Result, Subset};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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

/// Memory for what is kept of combinations.
const KNOWN_BYTES: usize = 128 << 20;

/// The mean of absent features given the present ones.
struct ConditionalMean {
    widths: Widths,
    ridge: f64,
    mean: Var,
    covariance: Var,
    known: Mutex<Known>,
}

/// What was computed from statistics, and what these were.
#[derive(Default)]
struct Known {
    of: u64,
    /// `None` before anything was fitted.
    normal: Option<Arc<Normal>>,
    given: BTreeMap<Subset, Arc<Given>>,
    bytes: usize,
}

/// The distribution of all features, and what each combination says of the rest.
type Solved = (Arc<Normal>, BTreeMap<Subset, Arc<Given>>);

impl ConditionalMean {
    /// The distribution, and what each of some combinations takes; computed once as long as the statistics are the same. Nothing before they
    /// were fitted.
    fn known(&self, wanted: BTreeSet<Subset>) -> Result<Option<Solved>> {
        let mean = self.mean.as_tensor().to_vec1::<f32>()?;
        let covariance = self.covariance.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        let of = content(&mean).wrapping_add(content(&covariance).rotate_left(1));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.of != of {
            *known = Known { of, normal: Normal::new(&mean, &covariance, self.ridge).map(Arc::new), ..Known::default() };
        }
        let Some(normal) = known.normal.clone() else { return Ok(None) };
        // One after another: a thread that waits for others must not hold a lock that these may ask for.
        let missing: Vec<Subset> = wanted.iter().copied().filter(|subset| !known.given.contains_key(subset)).collect();
        let solved = missing.into_iter().map(|subset| (subset, Arc::new(normal.given(self.widths.of_all(subset)))));
        let solved: Vec<(Subset, Arc<Given>)> = solved.collect();
        let old = wanted.iter().filter_map(|subset| Some((*subset, known.given.get(subset)?.clone())));
        let given: BTreeMap<Subset, Arc<Given>> = old.chain(solved.iter().cloned()).collect();
        let bytes: usize = solved.iter().map(|(_, given)| given.bytes()).sum();
        if known.bytes + bytes > KNOWN_BYTES {
            (known.given, known.bytes) = (BTreeMap::new(), 0);
        }
        known.bytes += bytes;
        known.given.extend(solved);
        Ok(Some((normal, given)))
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
        let Some((normal, given)) = self.known(presence.iter().copied().collect())? else {
            for (row, subset) in values.chunks_exact_mut(self.widths.total()).zip(presence) {
                let absent = (0..self.widths.sensors()).filter(|m| !subset.contains(*m));
                absent.for_each(|m| row[self.widths.of(m)].fill(0.0));
            }
            return Ok(());
        };
        let rows = values.par_chunks_exact_mut(self.widths.total()).zip(presence);
        rows.for_each(|(row, subset)| normal.fill(row, &given[subset]));
        Ok(())
    }
}

/// A number that other values most likely do not have.
fn content(values: &[f32]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |hash, x| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0000_0100_0000_01b3))
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
        // From the third alone.
        let mut row = [f32::NAN, f32::NAN, 2.0];
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
}
