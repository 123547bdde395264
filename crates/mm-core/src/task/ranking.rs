//! Areas under curves: how well predictions rank the samples of a class above the others.

use crate::statistics::Areas;

/// Classes above which nothing is ranked: a histogram for each would take more memory than all else.
const MOST_CLASSES: usize = 20;
/// The same for labels.
const MOST_LABELS: usize = 100;
/// Samples of a class that are kept one by one; more are counted in histograms, or they would take more memory than all else.
const MOST_EXACT: usize = 8192;
/// Bits of the fraction that a step of a histogram looks at: 32 steps an octave of the odds.
const FRACTION_BITS: u32 = 5;
/// Odds beyond this power of two, either way, count as equal.
const OCTAVES: u32 = 24;
/// Steps of a histogram.
const STEPS: usize = (2 * OCTAVES as usize) << FRACTION_BITS;

/// What is kept to rank the samples of one combination.
#[derive(Debug, Clone)]
pub(super) enum Ranking {
    /// Two classes: the log-odds of the second of each sample, and whether it is of the second; exact.
    Two(Vec<(f32, bool)>),
    /// More classes, or labels: each against the rest.
    Many(Vec<Odds>),
    /// Too many classes.
    Off,
}

/// The odds of one class, and which samples are its own.
#[derive(Debug, Clone)]
pub(super) enum Odds {
    /// Rounded, so that odds which are equal but for the order of a sum stay equal.
    Exact(Vec<(f32, bool)>),
    /// How many of the others and of its own are in each step. Pairs within a step, 3 % apart at most, count as ties.
    Steps([Vec<u32>; 2]),
}

impl Odds {
    fn add(&mut self, odds: f64, own: bool) {
        match self {
            Self::Exact(scores) if scores.len() < MOST_EXACT => scores.push((odds as f32, own)),
            Self::Exact(scores) => {
                let mut steps = [vec![0; STEPS], vec![0; STEPS]];
                scores.drain(..).chain([(odds as f32, own)]).for_each(|(odds, own)| steps[usize::from(own)][step(odds)] += 1);
                *self = Self::Steps(steps);
            }
            Self::Steps(steps) => steps[usize::from(own)][step(odds as f32)] += 1,
        }
    }

    fn areas(&self) -> Option<(f64, f64)> {
        match self {
            Self::Exact(scores) => areas(steps(scores).into_iter()),
            Self::Steps([others, own]) => areas(others.iter().zip(own).rev().map(|(n, p)| (f64::from(*n), f64::from(*p)))),
        }
    }
}

impl Ranking {
    pub fn new(classes: usize) -> Self {
        match classes {
            2 => Self::Two(Vec::new()),
            3..=MOST_CLASSES => Self::Many(vec![Odds::Exact(Vec::new()); classes]),
            _ => Self::Off,
        }
    }

    /// Of labels, each a matter of its own.
    pub fn of_labels(labels: usize) -> Self {
        if labels <= MOST_LABELS { Self::Many(vec![Odds::Exact(Vec::new()); labels]) } else { Self::Off }
    }

    /// Adds one label of a sample.
    pub fn add_label(&mut self, label: usize, logit: f32, holds: bool) {
        if let Self::Many(all) = self {
            all[label].add(f64::from(logit).exp(), holds);
        }
    }

    /// Both areas of each label, where some samples have it and others do not.
    pub fn areas_of_labels(&self) -> Vec<Option<(f64, f64)>> {
        match self {
            Self::Many(all) => all.iter().map(Odds::areas).collect(),
            Self::Two(_) | Self::Off => Vec::new(),
        }
    }

    /// Adds a sample from its logits and their shares, `exp(logit - largest)`, with the sum of these.
    pub fn add(&mut self, logits: &[f32], shares: &[f64], sum: f64, label: usize) {
        match self {
            Self::Two(scores) => scores.push((logits[1] - logits[0], label == 1)),
            Self::Many(all) => {
                for (class, (odds, share)) in all.iter_mut().zip(shares).enumerate() {
                    odds.add(share / (sum - share), class == label);
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
            Self::Many(all) => {
                let all: Vec<(f64, f64)> = all.iter().filter_map(Odds::areas).collect();
                let mean = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
                (!all.is_empty()).then(|| (mean(|a| a.0), mean(|a| a.1)))
            }
            Self::Off => None,
        }
    }
}

/// The step of a histogram for odds `p / (1 - p)`. The exponent and the first bits of the fraction of a positive float are a number that
/// grows with it: a logarithm that costs nothing.
fn step(odds: f32) -> usize {
    const DROPPED: u32 = f32::MANTISSA_DIGITS - 1 - FRACTION_BITS;
    let lowest = 2f32.powi(-(OCTAVES as i32)).to_bits() >> DROPPED;
    // Infinite odds, and the NaN of none of either, are beyond the last octave.
    let place = (odds.max(0.0).to_bits() >> DROPPED).saturating_sub(lowest);
    (place as usize).min(STEPS - 1)
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
    let mut areas = Areas::default();
    steps.for_each(|(n, p)| areas.step(n, p));
    areas.finish()
}
