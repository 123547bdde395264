//! From which probability on the second of two classes is predicted.

use super::available::odds;
use super::{argmax, evaluation_batch};
use crate::data::Source;
use crate::error::{Error, Result};
use crate::model::{Model, check_prediction};
use crate::task::Target;

/// Scores that a threshold can be chosen by: those of decisions, and not of probabilities.
pub(crate) const DECIDED: [&str; 3] = ["accuracy", "macro_f1", "balanced_accuracy"];

/// A threshold that was chosen on some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChosenThreshold {
    /// The second class is predicted from this probability on.
    pub probability: f64,
    /// What the samples that it was chosen on reach with it.
    pub score: f64,
    /// How many they were.
    pub samples: usize,
}

/// Refuses a score that no threshold can be chosen by, and data that have no two classes.
pub(crate) fn check_threshold_by(by: Option<&str>, target: &Target) -> Result<()> {
    let Some(by) = by else { return Ok(()) };
    let problem = if !DECIDED.contains(&by) {
        format!("no threshold is chosen by `{by}`; there are: {}", DECIDED.join(", "))
    } else if !target.is_two_classes() {
        format!("a threshold decides between two classes of a sample, and this data has {}", target.in_words())
    } else {
        return Ok(());
    };
    Err(Error::config("train.threshold_by", problem))
}

/// The threshold with which a score (`accuracy`, `macro_f1` or `balanced_accuracy`) is largest on `rows`, each predicted from the sensors that
/// it has; of equals the one nearest to one half. Samples that the model cannot predict from are left out. `None` where the rest are of one
/// class: nothing can be chosen by them.
pub fn choose_threshold(model: &dyn Model, source: &dyn Source, rows: &[usize], by: &str) -> Result<Option<ChosenThreshold>> {
    let (schema, device) = (source.schema(), model.parameters().device());
    check_threshold_by(Some(by), &schema.target)?;
    let mut ranked: Vec<(f32, bool)> = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(evaluation_batch(schema)) {
        let batch = source.batch(chunk, device)?;
        let (has, truths) = (batch.presence().subsets(), schema.target.task().values(batch.targets())?);
        let usable: Vec<usize> = (0..chunk.len()).filter(|&i| model.supports(has[i])).collect();
        if usable.is_empty() {
            continue;
        }
        let values = model.predict(&batch.inputs().select(&usable)?)?.prediction.flatten_all()?.to_vec1::<f32>()?;
        for (&i, logits) in usable.iter().zip(values.chunks_exact(2)) {
            check_prediction(logits, chunk[i], || schema.modalities.format(has[i]))?;
            ranked.extend(odds(logits, &truths[i]));
        }
    }
    Ok(best(ranked, by))
}

/// The best threshold of samples with the log-odds of the second class, and whether they are of it.
fn best(mut ranked: Vec<(f32, bool)>, by: &str) -> Option<ChosenThreshold> {
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ranked.iter().filter(|(_, second)| *second).count();
    let negatives = ranked.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // Below the threshold lie so many of each.
    let (mut first_below, mut second_below) = (0, 0);
    let mut best: Option<(f64, f64)> = None;
    for i in 0..=ranked.len() {
        let between = match (i.checked_sub(1).map(|before| ranked[before].0), ranked.get(i).map(|of| of.0)) {
            (Some(below), Some(above)) if below == above => None,
            (Some(below), Some(above)) => Some((f64::from(below) + f64::from(above)) / 2.0),
            // Beyond all samples: as far from the last as the unit of odds.
            (None, Some(above)) => Some(f64::from(above) - 1.0),
            (Some(below), None) => Some(f64::from(below) + 1.0),
            (None, None) => None,
        };
        if let Some(odds) = between {
            let score = score(by, [first_below, negatives - first_below], [second_below, positives - second_below]);
            let nearer = |(of_best, at): (f64, f64)| score > of_best || score == of_best && odds.abs() < at.abs();
            if best.is_none_or(nearer) {
                best = Some((score, odds));
            }
        }
        if let Some((_, second)) = ranked.get(i) {
            if *second { second_below += 1 } else { first_below += 1 }
        }
    }
    best.map(|(score, odds)| ChosenThreshold { probability: 1.0 / (1.0 + (-odds).exp()), score, samples: ranked.len() })
}

/// From how many of each class are predicted as the first and as the second.
fn score(by: &str, first: [usize; 2], second: [usize; 2]) -> f64 {
    let [first, second] = [first, second].map(|counts| counts.map(|n| n as f64));
    match by {
        "macro_f1" => {
            let f1 = |right: f64, wrong: f64| 2.0 * right / (2.0 * right + wrong).max(1.0);
            let wrong = first[1] + second[0];
            (f1(first[0], wrong) + f1(second[1], wrong)) / 2.0
        }
        "balanced_accuracy" => (first[0] / (first[0] + first[1]) + second[1] / (second[0] + second[1])) / 2.0,
        _ => (first[0] + second[1]) / (first[0] + first[1] + second[0] + second[1]),
    }
}

/// The class that logits decide for: the likeliest, of equals the first; of two classes with a threshold the second from that probability on.
pub fn decide(logits: &[f32], threshold: Option<f64>) -> usize {
    match (threshold, logits) {
        (Some(threshold), &[first, second]) => usize::from(f64::from(second) - f64::from(first) >= (threshold / (1.0 - threshold)).ln()),
        _ => argmax(logits),
    }
}
