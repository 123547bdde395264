//! From the numbers of a line to those that are scored.

use super::kind::Kind;

/// How far probabilities of classes may be from a sum of 1.
const TOLERANCE: f64 = 1e-3;
/// Smaller probabilities count as this.
const SMALLEST: f64 = 1e-12;

/// What is scored: of classes and labels logits, of numbers how far they are from the truth, which keeps the digits of a small error, of
/// pixels those of [`mm_core::statistics::Score::MeanIou`]. An error says what is wrong with the numbers.
pub fn scored(kind: Kind, are_logits: bool, names: &[String], values: &[f64], truths: &[f64]) -> Result<Vec<f32>, String> {
    let scored: Vec<f64> = match kind {
        Kind::Pixels => counts(values, truths),
        Kind::Numbers => values.iter().zip(truths).map(|(value, truth)| value - truth).collect(),
        Kind::Classes | Kind::Labels => values.to_vec(),
    };
    if let Some(i) = scored.iter().position(|x| !(*x as f32).is_finite()) {
        return Err(format!("{} is no finite number of 32 bits", values[i]));
    }
    let scored = match kind {
        Kind::Classes if !are_logits => of_probabilities(&scored)?,
        Kind::Labels if !are_logits => names.iter().zip(&scored).map(|(name, p)| log_odds(name, *p)).collect::<Result<_, _>>()?,
        _ => scored,
    };
    Ok(scored.iter().map(|x| *x as f32).collect())
}

/// Logits of the probabilities of classes.
fn of_probabilities(values: &[f64]) -> Result<Vec<f64>, String> {
    if let Some(value) = values.iter().find(|v| **v < 0.0) {
        return Err(format!("the probability {value} is negative; columns of logits are named `logit:<class>`"));
    }
    let sum: f64 = values.iter().sum();
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(format!("the probabilities sum to {sum:.4}, not to 1; columns of logits are named `logit:<class>`"));
    }
    // Rounded to 0, a probability is unknown but not impossible: one wrong sample would make the log-likelihood infinite.
    Ok(values.iter().map(|p| (p / sum).max(SMALLEST).ln()).collect())
}

/// The logit of the probability of one label.
fn log_odds(name: &str, p: f64) -> Result<f64, String> {
    if !(0.0..=1.0).contains(&p) {
        return Err(format!("the probability {p} of `{name}` is not from 0 to 1; columns of logits are named `logit:<label>`"));
    }
    Ok(p.max(SMALLEST).ln() - (1.0 - p).max(SMALLEST).ln())
}

/// From all tp, all fp, all fn: of each class the pixels that are right, then those that are called so, then those that are of it.
fn counts(values: &[f64], truths: &[f64]) -> Vec<f64> {
    let (right, wrongly) = values.split_at(truths.len());
    let called = right.iter().zip(wrongly).map(|(right, wrongly)| right + wrongly);
    right.iter().copied().chain(called).chain(truths.iter().copied()).collect()
}

/// The pixels of each class, from all tp, all fp, all fn.
pub fn true_pixels(values: &[f64], classes: usize) -> Vec<f64> {
    values.iter().zip(values.iter().skip(2 * classes)).take(classes).map(|(right, missed)| right + missed).collect()
}

/// Whether the classes can be all there are: every pixel that one of them lacks is called another one, and the other way round. Else pixels
/// are called something that is not listed, and how many are right of all is not known.
pub fn is_complete(values: &[f64], classes: usize) -> bool {
    let (wrongly, missed) = values[classes..].split_at(classes);
    let all: f64 = wrongly.iter().sum();
    classes > 1 && all == missed.iter().sum::<f64>() && wrongly.iter().zip(missed).all(|(wrongly, missed)| wrongly + missed <= all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_score() {
        // Of class a: 6 right, 1 wrongly called, 2 missed; of b: 3 right, 2 wrongly called, 1 missed.
        let values = [6.0, 3.0, 1.0, 2.0, 2.0, 1.0];
        let truths = true_pixels(&values, 2);
        assert_eq!(truths, [8.0, 4.0]);
        let names = ["a", "b"].map(String::from);
        assert_eq!(scored(Kind::Pixels, false, &names, &values, &truths), Ok(vec![6.0, 3.0, 7.0, 5.0, 8.0, 4.0]));
    }

    #[test]
    fn only_counts_that_add_up_are_of_all_pixels() {
        assert!(is_complete(&[6.0, 3.0, 1.0, 2.0, 2.0, 1.0], 2));
        // One is called b, and no class lacks it.
        assert!(!is_complete(&[6.0, 3.0, 1.0, 3.0, 2.0, 1.0], 2));
        // One of a is lacking that is called b by nobody, though the sums are equal.
        assert!(!is_complete(&[6.0, 3.0, 1.0, 0.0, 1.0, 0.0], 2));
        assert!(!is_complete(&[6.0, 1.0, 1.0], 1), "of one class nothing else is known");
    }

    #[test]
    fn labels_are_probabilities_by_themselves() {
        let names = ["a", "b"].map(String::from);
        let found = scored(Kind::Labels, false, &names, &[0.9, 0.75], &[]).expect("need not sum to 1");
        assert!((found[0] - 9f32.ln()).abs() < 1e-6 && (found[1] - 3f32.ln()).abs() < 1e-6, "{found:?}");
        let ends = scored(Kind::Labels, false, &names, &[0.0, 1.0], &[]).expect("known for sure");
        assert!(ends[0].is_finite() && ends[0] == -ends[1] && ends[1] > 27.0, "{ends:?}");
        let wrong = scored(Kind::Labels, false, &names, &[0.5, 1.25], &[]).expect_err("refused");
        assert!(wrong.starts_with("the probability 1.25 of `b` is not from 0 to 1"), "{wrong}");
    }

    #[test]
    fn a_small_error_of_a_large_number_keeps_its_digits() {
        let names = ["time".to_string()];
        assert_eq!(scored(Kind::Numbers, false, &names, &[1_700_000_000.25], &[1_700_000_000.0]), Ok(vec![0.25]));
        assert_eq!(scored(Kind::Numbers, false, &names, &[f64::NAN], &[1.0]), Err("NaN is no finite number of 32 bits".into()));
    }
}
