//! How well predictions rank samples: exactly, and of very many samples in steps of the odds for three classes or more and for labels.

use mm_core::data::{Target, TargetValue};
use mm_core::rng;
use mm_core::task::{Labels, area_under_roc, average_precision};
use rand::RngExt;

/// scikit-learn's `roc_auc_score` and `average_precision_score`.
#[test]
fn areas_are_those_of_scikit_learn() {
    let scores = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
    assert_eq!(area_under_roc(&scores), Some(0.75));
    assert!((average_precision(&scores).unwrap() - 0.8333333333333333).abs() < 1e-12);
    let tied = [(0.5, true), (0.5, false), (0.5, false), (0.9, true), (0.1, false)];
    assert!((area_under_roc(&tied).unwrap() - 0.8333333333333334).abs() < 1e-12);
    assert!((average_precision(&tied).unwrap() - 0.75).abs() < 1e-12);
    assert_eq!(area_under_roc(&[(0.3, true)]), None);
}

/// `ln(p / (1 - p))` of one class.
fn log_odds(logits: &[f32], class: usize) -> f32 {
    let others = logits.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, z)| z.exp()).sum::<f32>();
    logits[class] - others.ln()
}

#[test]
fn many_classes_are_ranked_exactly_and_very_many_samples_closely() {
    are_ranked(600, 1e-6, 1e-6);
    are_ranked(9000, 1e-3, 5e-3);
}

fn are_ranked(samples: usize, of_roc: f64, of_pr: f64) {
    let mut random = rng::stream(3, "ranking", &[]);
    let target = Target::of_classes(["a", "b", "c"]);
    let (mut scores, mut exact) = (target.task().scores("auroc"), vec![Vec::new(); 3]);
    for i in 0..samples {
        let label = i % 3;
        let logits: Vec<f32> = (0..3).map(|k| 2.0 * random.random::<f32>() + f32::from(u8::from(k == label))).collect();
        scores.add(&logits, &TargetValue::Class(label as u32), &mut Vec::new()).unwrap();
        exact.iter_mut().enumerate().for_each(|(k, scores)| scores.push((log_odds(&logits, k), k == label)));
    }
    let mean = |area: fn(&[(f32, bool)]) -> Option<f64>| exact.iter().map(|s| area(s).unwrap()).sum::<f64>() / 3.0;
    let scored = scores.finish();
    let (roc, pr) = (scored.get("auroc"), scored.get("auprc"));
    assert!((roc - mean(area_under_roc)).abs() < of_roc, "{roc} {}", mean(area_under_roc));
    assert!((pr - mean(average_precision)).abs() < of_pr, "{pr} {}", mean(average_precision));
}

/// 1 where samples that have a label rank above those that do not, 1/2 where they are equals, from their logits; so many that they are counted in
/// steps.
fn ranked(without: f32, with: f32) -> f64 {
    let target = Target::Labels(Labels::new(["a"]));
    let mut scores = target.task().scores("auroc");
    for (logit, holds) in [(without, false), (with, true)].repeat(4100) {
        scores.add(&[logit], &TargetValue::Labels(vec![holds]), &mut Vec::new()).unwrap();
    }
    scores.finish().get("auroc")
}

#[test]
fn steps_grow_with_the_odds_and_end_at_either_side() {
    let of_odds = |without: f64, with: f64| ranked(without.ln() as f32, with.ln() as f32);
    let logits: Vec<f32> = (-400..400).map(|i| i as f32 * 0.04).collect();
    assert!(logits.windows(2).all(|pair| ranked(pair[0], pair[1]) == 1.0));
    // An octave has 32 steps: who is in one is equal, who is in the next is above.
    for step in 0..32 {
        let odds = [0.25, 0.75, 1.25].map(|at| 1.0 + (f64::from(step) + at) / 32.0);
        assert_eq!((of_odds(odds[0], odds[1]), of_odds(odds[1], odds[2])), (0.5, 1.0), "{odds:?}");
    }
    // 24 octaves below even odds and 24 above; what is beyond counts as the last step.
    let (lowest, highest) = (2f64.powi(-24), 2f64.powi(24));
    assert_eq!((of_odds(lowest / 4.0, 1.02 * lowest), of_odds(1.02 * lowest, 1.04 * lowest)), (0.5, 1.0));
    assert_eq!((of_odds(0.98 * highest, 0.99 * highest), of_odds(0.99 * highest, 4.0 * highest)), (1.0, 0.5));
    // Also odds that are 0 or infinite.
    assert_eq!((ranked(-f32::MAX, 1e-30f32.ln()), ranked(1e30f32.ln(), f32::MAX)), (0.5, 0.5));
}
