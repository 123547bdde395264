//! Numbers and findings in words, the same in every format. Scores are in percent, differences in percentage points.

use super::analysis::{Difference, FEW_SAMPLES, Headline, OverSeeds, Standing, Value};
use mm_core::statistics::{EffectSize, Interval};

/// `97.1`.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1}", 100.0 * share) } else { "–".into() }
}

/// Intervals narrower than this many points are shown with two decimals.
const NARROW: f64 = 0.3;
/// As many decimals as an end of an interval may need not to look like 0.
const MOST_DECIMALS: usize = 4;

/// Title of the section on what samples have.
pub const WITH_AVAILABLE: &str = "With the sensors that each sample has";

/// What that is.
pub fn available_note() -> String {
    "Every test sample is predicted from the sensors that it has; some lack one or more. When more go, a sample loses that many of those it has, \
     the same ones in all runs and seeds, and keeps one at least; scores are means over several draws of which. The interval of AUROC is over the \
     choice of test samples (DeLong)."
        .into()
}

/// `85.4 ± 0.3` of a share, `0.321 ± 0.004` of anything else.
pub fn over_seeds(value: Option<&OverSeeds>, share: bool) -> String {
    let Some(OverSeeds { mean, sd }) = value else { return "–".into() };
    match share {
        true => format!("{} {}", percent(*mean), spread(*sd)).trim_end().to_string(),
        false => sd.map_or(format!("{mean:.3}"), |sd| format!("{mean:.3} ± {sd:.3}")),
    }
}

/// `+0.4`, with a real minus sign; differences that round to nothing have no sign.
pub fn points(difference: f64) -> String {
    signed(difference, 1)
}

fn signed(difference: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", 100.0 * difference.abs());
    match text.bytes().any(|c| (b'1'..=b'9').contains(&c)) {
        true if difference > 0.0 => format!("+{text}"),
        true => format!("−{text}"),
        false => text,
    }
}

/// `97.1 [96.6, 97.6]`.
pub fn interval(value: &Interval) -> String {
    format!("{} {}", percent(value.estimate), range(value))
}

/// `[96.6, 97.6]`.
pub fn range(value: &Interval) -> String {
    format!("[{}, {}]", percent(value.low), percent(value.high))
}

/// `± 0.3`, or nothing with one seed.
pub fn spread(sd: Option<f64>) -> String {
    sd.map(|sd| format!("± {}", percent(sd))).unwrap_or_default()
}

/// `97.1 ± 0.3`, or without spread with one seed.
pub fn value(value: &Value) -> String {
    format!("{}{} {}", percent(value.interval.estimate), mark(value.few), spread(value.sd)).trim_end().to_string()
}

/// `97.1 ± 0.3 [96.6, 97.6]`.
pub fn with_range(of: &Value) -> String {
    format!("{} {}", value(of), range(&of.interval))
}

/// `+0.4 [−0.1, +0.9]`.
pub fn difference(value: &Difference) -> String {
    points_interval(&value.interval)
}

/// `+0.4 [−0.1, +0.9]`, with as many decimals as it takes to show that the interval leaves out 0, if it does.
pub fn points_interval(value: &Interval) -> String {
    let nearest = if value.low > 0.0 { Some(value.low) } else { Some(value.high).filter(|high| *high < 0.0) };
    let enough = |decimals: &usize| nearest.is_none_or(|end| signed(end, *decimals).starts_with(['+', '−']));
    let least = if 100.0 * (value.high - value.low) < NARROW { 2 } else { 1 };
    let decimals = (least..MOST_DECIMALS).find(enough).unwrap_or(MOST_DECIMALS);
    let [estimate, low, high] = [value.estimate, value.low, value.high].map(|x| signed(x, decimals));
    format!("{estimate} [{low}, {high}]")
}

/// `0.012`, `< 0.001`.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// Cohen's d.
pub fn effect(effect: &EffectSize) -> String {
    match effect.cohens_d {
        None => "–".into(),
        Some(d) => format!("{}{:.1}", if d < 0.0 { "−" } else { "" }, d.abs()),
    }
}

/// The finding of a headline, one or two sentences.
pub fn sentence(headline: &Headline, reference: &str) -> String {
    let first = match &headline.compared {
        Some(c) => format!("{} is highest; against {reference}: {}.", headline.best, finding(c)),
        None if headline.best == reference => format!("{reference}, the run the others are compared with, is highest itself."),
        None => format!("{} is highest; it could not be compared with {reference}.", headline.best),
    };
    let group = |what: &str, runs: &[String]| if runs.is_empty() { String::new() } else { format!(" {what}: {}.", runs.join(", ")) };
    let others = |runs: &[String]| runs.iter().filter(|r| **r != headline.best).cloned().collect::<Vec<_>>();
    [
        first,
        group("Also better", &others(&headline.better)),
        group("No difference found", &others(&headline.no_difference)),
        group("Worse", &others(&headline.worse)),
    ]
    .concat()
}

/// `+0.4 [+0.1, +0.9] points, better`.
pub fn finding(compared: &Difference) -> String {
    format!("{} points, {}", difference(compared), compared.verdict)
}

/// What is to be said of intervals and verdicts, once.
pub fn intervals(resamples: usize) -> String {
    format!(
        "a 95 % interval from a paired bootstrap over test samples ({} resamples) with seeds as a random effect. Intervals of differences are \
         simultaneous: those of all runs in one measure (for degraded sensors, of all runs and corruptions) hold at once in 95 % of the cases. \
         A difference is called better or worse where its interval leaves out 0. “No difference found” is not a proof of equality.",
        thousands(resamples)
    )
}

/// `12 test samples (3 absent, 1 not finite, 2 that the model cannot use)`.
pub fn standing(standing: &Standing) -> String {
    let e = &standing.excluded;
    let left_out = [(e.absent, "absent"), (e.non_finite, "not finite"), (e.unusable, "of no use to the model")];
    let left_out: Vec<String> = left_out.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{n} {why}")).collect();
    let left_out = if left_out.is_empty() { String::new() } else { format!(" (left out: {})", left_out.join(", ")) };
    format!("{}{left_out}", count(standing.samples, "test sample"))
}

/// A mark on what stands on few samples.
pub fn mark(few: bool) -> &'static str {
    if few { "†" } else { "" }
}

/// What the mark means.
pub fn mark_in_words() -> String {
    format!("† fewer than {FEW_SAMPLES} distinct test samples, which say little.")
}

/// `rgb 0.1, depth 0.3`.
pub fn rates(rates: &[(String, f64)]) -> String {
    rates.iter().map(|(name, rate)| format!("{name} {rate}")).collect::<Vec<_>>().join(", ")
}

/// `of 93 % of the cases` where some combinations were not evaluated.
pub fn covered(share: f64) -> String {
    if share > 0.9995 { String::new() } else { format!("of {:.0} % of the cases", 100.0 * share) }
}

/// From the first to the last, where they are known.
pub fn between(ends: &[String; 2]) -> String {
    ends.iter().filter(|end| !end.is_empty()).cloned().collect::<Vec<_>>().join(" to ")
}

/// With a large letter at the beginning.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `1 seed`, `3 seeds`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `12.3 s`, `0.123 s`, `4 min`.
pub fn seconds(s: f64) -> String {
    match s {
        s if !s.is_finite() => "–".into(),
        s if s < 1.0 => format!("{s:.3} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.1} min", s / 60.0),
    }
}

/// `123,456`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

/// `104 MB`.
pub fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or("–".into(), |b| format!("{:.0} MB", b as f64 / 1e6))
}
