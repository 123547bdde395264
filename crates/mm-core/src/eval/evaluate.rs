//! One pass over the samples, every combination.

use super::{ClassificationMetrics, SpoofMetrics, classification_metrics, confusion_matrix, spoof_metrics};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::modality::{Modalities, Subset};
use crate::predict::{Predictor, check_logits};
use candle_core::Device;
use rayon::prelude::*;

/// Bins of the calibration error.
const ECE_BINS: usize = 15;
/// Above this many modalities, all combinations are too many to evaluate by default.
const ALL_COMBINATIONS_UP_TO: usize = 10;
/// How many combinations are sampled then, next to the single modalities and the full set.
const SAMPLED_COMBINATIONS: usize = 256;

/// How one combination did.
#[derive(Debug, Clone)]
pub struct CombinationEvaluation {
    /// The combination.
    pub subset: Subset,
    /// Its metrics, over the samples that have all its modalities.
    pub metrics: ClassificationMetrics,
    /// Error rates of two-class tasks.
    pub spoof: Option<SpoofMetrics>,
    /// Whether each sample was predicted right; `None` if it lacks one of the modalities.
    pub correct: Vec<Option<bool>>,
    /// `confusion[true][predicted]`.
    pub confusion: Vec<Vec<u32>>,
}

/// How all combinations did.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// In the order asked for; combinations that the model does not support or that no sample has are left out.
    pub combinations: Vec<CombinationEvaluation>,
    /// Encoder runs over all batches.
    pub encoder_passes: usize,
    /// Batches.
    pub batches: usize,
}

impl Evaluation {
    /// Mean accuracy over the combinations.
    pub fn mean_accuracy(&self) -> f64 {
        self.combinations.iter().map(|c| c.metrics.accuracy).sum::<f64>() / self.combinations.len() as f64
    }

    /// The combination with the lowest accuracy, the first of equals.
    pub fn worst(&self) -> Option<&CombinationEvaluation> {
        self.combinations.iter().min_by(|a, b| a.metrics.accuracy.total_cmp(&b.metrics.accuracy))
    }
}

/// All combinations up to 10 modalities; above, the single ones, 256 random ones (seeded) and the full one.
pub fn default_combinations(modalities: usize, seed: u64) -> Vec<Subset> {
    if modalities <= ALL_COMBINATIONS_UP_TO {
        return Subset::all_non_empty(modalities).collect();
    }
    use rand::seq::IteratorRandom;
    let mut rng = crate::rng::stream(seed, "evaluated-combinations", &[]);
    let inner: Vec<Subset> = Subset::all_non_empty(modalities).filter(|s| s.len() > 1 && s.len() < modalities).collect();
    let sampled = inner.iter().copied().sample(&mut rng, SAMPLED_COMBINATIONS);
    let mut all: Vec<Subset> = (0..modalities).map(Subset::single).chain(sampled).chain([Subset::full(modalities)]).collect();
    all.sort_by_key(|s| (s.len(), std::cmp::Reverse(s.bits().reverse_bits())));
    all
}

/// Evaluates a model on `rows` of a data set for each of `subsets`, in batches of `batch_size`.
pub fn evaluate_combinations(
    predictor: &dyn Predictor,
    dataset: &dyn Dataset,
    rows: &[usize],
    subsets: &[Subset],
    batch_size: usize,
    device: &Device,
) -> Result<Evaluation> {
    let classes = dataset.schema().target.classes();
    let subsets: Vec<Subset> = subsets.iter().copied().filter(|&s| predictor.supports(s)).collect();
    if rows.is_empty() || subsets.is_empty() || batch_size == 0 {
        return Err(Error::Data("nothing to evaluate: no sample, no combination that the model supports, or a batch size of 0".into()));
    }
    let mut logits: Vec<Vec<f32>> = vec![Vec::with_capacity(rows.len() * classes); subsets.len()];
    let (mut encoder_passes, mut batches) = (0, 0);
    for chunk in rows.chunks(batch_size) {
        let batch = dataset.batch(chunk, device)?;
        let predictions = predictor.predict_combinations(&batch, &subsets)?;
        let expected = [subsets.len(), chunk.len(), classes];
        if predictions.logits.dims() != expected {
            return Err(Error::shape("predicted logits", format!("{expected:?}"), predictions.logits.dims()));
        }
        let flat = predictions.logits.flatten_all()?.to_vec1::<f32>()?;
        for (all, part) in logits.iter_mut().zip(flat.chunks_exact(chunk.len() * classes)) {
            all.extend_from_slice(part);
        }
        encoder_passes += predictions.encoder_passes;
        batches += 1;
    }
    let presence: Vec<Subset> = rows.iter().map(|&row| dataset.presence(row)).collect();
    let labels: Vec<u32> = rows.iter().map(|&row| dataset.label(row)).collect();
    let pairs: Vec<_> = subsets.into_iter().zip(logits).collect();
    let modalities = &dataset.schema().modalities;
    let combinations = pairs.into_par_iter().map(|(subset, logits)| {
        check_kept(subset, &logits, classes, &presence, rows, modalities)?;
        evaluate_one(subset, &logits, classes, &presence, &labels)
    });
    let combinations: Vec<Option<CombinationEvaluation>> = combinations.collect::<Result<_>>()?;
    Ok(Evaluation { combinations: combinations.into_iter().flatten().collect(), encoder_passes, batches })
}

/// Refuses NaN among the predictions that count: those of samples that have all of `subset`.
fn check_kept(subset: Subset, logits: &[f32], classes: usize, presence: &[Subset], rows: &[usize], modalities: &Modalities) -> Result<()> {
    let name = modalities.format(subset);
    let mut samples = logits.chunks_exact(classes).zip(presence).zip(rows).filter(|((_, has), _)| subset.is_subset_of(**has));
    samples.try_for_each(|((logits, _), &row)| check_logits(logits, classes, &name, [row as u64]))
}

fn evaluate_one(
    subset: Subset,
    logits: &[f32],
    classes: usize,
    presence: &[Subset],
    labels: &[u32],
) -> Result<Option<CombinationEvaluation>> {
    let has_all: Vec<bool> = presence.iter().map(|p| subset.is_subset_of(*p)).collect();
    let samples = || has_all.iter().zip(logits.chunks_exact(classes)).zip(labels).filter(|((has, _), _)| **has);
    let kept_labels: Vec<u32> = samples().map(|(_, &label)| label).collect();
    if kept_labels.is_empty() {
        return Ok(None);
    }
    let kept: Vec<f32> = samples().flat_map(|((_, row), _)| row.iter().copied()).collect();
    let mut right = kept.chunks_exact(classes).zip(&kept_labels).map(|(row, &label)| {
        let label = label as usize;
        // The first of equal logits wins, as in the confusion matrix.
        row.iter().enumerate().all(|(k, x)| if k < label { *x < row[label] } else { *x <= row[label] })
    });
    let correct = has_all.iter().map(|&has| if has { right.next() } else { None }).collect();
    Ok(Some(CombinationEvaluation {
        subset,
        metrics: classification_metrics(&kept, classes, &kept_labels, ECE_BINS)?,
        spoof: (classes == 2).then(|| spoof_metrics(&kept, &kept_labels)).transpose()?,
        correct,
        confusion: confusion_matrix(&kept, classes, &kept_labels)?,
    }))
}
