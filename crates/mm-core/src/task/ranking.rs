//! Areas under curves: how well predictions rank the samples of a class above the others.

/// Classes above which nothing is ranked: a histogram for each would take more memory than all else.
const MOST_CLASSES: usize = 20;
/// Steps of a histogram for one unit of log-odds.
const STEPS: f32 = 32.0;
/// Log-odds beyond this, either way, count as equal.
const FURTHEST: f32 = 16.0;

/// What is kept to rank the samples of one combination.
#[derive(Debug, Clone)]
pub(super) enum Ranking {
    /// Two classes: the log-odds of the second of each sample, and whether it is of the second; exact.
    Two(Vec<(f32, bool)>),
    /// More classes: for each, how many of its samples and of the others have log-odds of it in each step. Pairs within a step of a 32nd
    /// count as ties.
    Many(Vec<[Vec<u32>; 2]>),
    /// Too many classes.
    Off,
}

impl Ranking {
    pub fn new(classes: usize) -> Self {
        match classes {
            2 => Self::Two(Vec::new()),
            3..=MOST_CLASSES => Self::Many(vec![[Vec::new(), Vec::new()]; classes]),
            _ => Self::Off,
        }
    }

    pub fn add(&mut self, logits: &[f32], label: usize) {
        match self {
            Self::Two(scores) => scores.push((logits[1] - logits[0], label == 1)),
            Self::Many(histograms) => {
                let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut shares = [0f32; MOST_CLASSES];
                shares.iter_mut().zip(logits).for_each(|(share, z)| *share = (z - largest).exp());
                for (class, histogram) in histograms.iter_mut().enumerate() {
                    let counts = &mut histogram[usize::from(class == label)];
                    if counts.is_empty() {
                        counts.resize((2.0 * FURTHEST * STEPS) as usize + 1, 0);
                    }
                    // ln(p / (1 - p)), without the rounding of 1 - p.
                    let others = shares[..class].iter().chain(&shares[class + 1..logits.len()]).sum::<f32>();
                    let odds = (logits[class] - largest - others.ln()).clamp(-FURTHEST, FURTHEST);
                    counts[((odds + FURTHEST) * STEPS).round() as usize] += 1;
                }
            }
            Self::Off => {}
        }
    }

    /// Areas under the ROC and the precision-recall curve, with more than two classes their means over those that have samples and
    /// others; `None` where there are none.
    pub fn areas(&self) -> Option<(f64, f64)> {
        match self {
            Self::Two(scores) => Some((area_under_roc(scores)?, average_precision(scores)?)),
            Self::Many(histograms) => {
                let of_class =
                    |[others, own]: &[Vec<u32>; 2]| areas(others.iter().zip(own).rev().map(|(n, p)| (f64::from(*n), f64::from(*p))));
                let all: Vec<(f64, f64)> = histograms.iter().filter_map(of_class).collect();
                let mean = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
                (!all.is_empty()).then(|| (mean(|a| a.0), mean(|a| a.1)))
            }
            Self::Off => None,
        }
    }
}

/// Probability that a positive sample scores higher than a negative one, ties counted half; `None` without either.
pub fn area_under_roc(scores: &[(f32, bool)]) -> Option<f64> {
    areas(steps(scores).into_iter()).map(|(roc, _)| roc)
}

/// `Σ (R_n - R_{n-1}) P_n` over the thresholds, from the highest: average precision, without interpolation; `None` where all samples are
/// of one kind.
pub fn average_precision(scores: &[(f32, bool)]) -> Option<f64> {
    areas(steps(scores).into_iter()).map(|(_, pr)| pr)
}

/// Negatives and positives at each score, from the highest.
fn steps(scores: &[(f32, bool)]) -> Vec<(f64, f64)> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let count = |tied: &[(f32, bool)], kind: bool| tied.iter().filter(|(_, positive)| *positive == kind).count() as f64;
    sorted.chunk_by(|a, b| a.0 == b.0).map(|tied| (count(tied, false), count(tied, true))).collect()
}

/// Both areas from the (negatives, positives) at each score, from the highest.
fn areas(steps: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    let (mut negatives, mut positives, mut pairs, mut precision) = (0.0, 0.0, 0.0, 0.0);
    for (n, p) in steps {
        // A positive beats what comes after it: each negative of this step is beaten by all before and half of its own.
        pairs += n * (positives + p / 2.0);
        negatives += n;
        positives += p;
        if p > 0.0 {
            precision += p * positives / (positives + negatives);
        }
    }
    (negatives > 0.0 && positives > 0.0).then(|| (pairs / (negatives * positives), precision / positives))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn histograms_of_many_classes_come_close() {
        use rand::RngExt;
        let mut random = crate::rng::stream(3, "ranking", &[]);
        let (mut ranking, mut exact) = (Ranking::new(3), vec![Vec::new(); 3]);
        for i in 0..600 {
            let label = i % 3;
            let logits: Vec<f32> = (0..3).map(|k| 2.0 * random.random::<f32>() + f32::from(u8::from(k == label))).collect();
            ranking.add(&logits, label);
            exact.iter_mut().enumerate().for_each(|(k, scores)| scores.push((log_odds(&logits, k), k == label)));
        }
        let mean = |area: fn(&[(f32, bool)]) -> Option<f64>| exact.iter().map(|s| area(s).unwrap()).sum::<f64>() / 3.0;
        let (roc, pr) = ranking.areas().unwrap();
        assert!((roc - mean(area_under_roc)).abs() < 1e-3, "{roc} {}", mean(area_under_roc));
        assert!((pr - mean(average_precision)).abs() < 5e-3, "{pr} {}", mean(average_precision));
    }
}
