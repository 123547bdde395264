//! Numbers and findings in words, the same in every format.

use super::analysis::{
    AvailableRun, Difference, FEW_SAMPLES, GroupReport, GroupScores, Headline, OverSeeds, Report, SeverityRun, Standing, Value,
};
use crate::result::Measured;
use mm_core::statistics::{EffectSize, Interval};

/// How the scores of a data set are written.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// In percent, with differences in points; otherwise as they are.
    share: bool,
    higher_is_better: bool,
}

impl From<&Measured> for Words {
    fn from(measure: &Measured) -> Self {
        Self { share: measure.share, higher_is_better: measure.higher_is_better }
    }
}

/// Intervals narrower than this share of 1 are shown with one decimal more.
const NARROW: f64 = 0.003;
/// As many decimals as an end of an interval may need not to look like 0.
const MOST_DECIMALS: usize = 4;
/// Digits of a score that is no share.
const DIGITS: i32 = 3;
/// A score that needs more decimals has an exponent.
const LONGEST: usize = 9;
/// What is smaller is rounding.
const ROUNDING: f64 = 1e-15;

impl Words {
    /// Of shares.
    pub fn share() -> Self {
        Self { share: true, higher_is_better: true }
    }

    /// Behind the name of a score: `, %`.
    pub fn unit(&self) -> &'static str {
        if self.share { ", %" } else { "" }
    }

    /// Behind the name of a difference: `, points`.
    pub fn points(&self) -> &'static str {
        if self.share { ", points" } else { "" }
    }

    /// What is shown for 1.
    fn factor(&self) -> f64 {
        if self.share { 100.0 } else { 1.0 }
    }

    /// Decimals of numbers as large as this.
    fn decimals(&self, size: f64) -> usize {
        match self.share {
            true => 1,
            false if size.abs() < ROUNDING || !size.is_finite() => DIGITS as usize - 1,
            false => (DIGITS - 1 - size.abs().log10().floor() as i32).max(0) as usize,
        }
    }

    fn with_decimals(&self, score: f64, decimals: usize) -> String {
        match score.is_finite() {
            true => self.digits(score, decimals).replace('-', "−"),
            false => "–".into(),
        }
    }

    fn digits(&self, score: f64, decimals: usize) -> String {
        match score {
            _ if decimals <= LONGEST => format!("{:.decimals$}", self.factor() * score),
            score if score.abs() < ROUNDING => "0".into(),
            score => format!("{:.*e}", DIGITS as usize - 1, self.factor() * score),
        }
    }

    /// `97.1`, or `0.731`.
    pub fn score(&self, score: f64) -> String {
        self.with_decimals(score, self.decimals(score))
    }

    /// Without decimals, for narrow cells.
    pub fn short(&self, score: f64) -> String {
        if self.share { self.with_decimals(score, 0) } else { self.with_decimals(score, self.decimals(score).saturating_sub(1)) }
    }

    /// `+0.4`, with a real minus sign; differences that round to nothing have no sign.
    pub fn difference_of(&self, difference: f64) -> String {
        self.signed(difference, self.decimals(difference))
    }

    /// The same for narrow cells: `+4`.
    pub fn short_difference(&self, difference: f64) -> String {
        self.signed(difference, self.decimals(difference).saturating_sub(1))
    }

    fn signed(&self, difference: f64, decimals: usize) -> String {
        let text = self.digits(difference.abs(), decimals).replace('-', "−");
        match text.bytes().any(|c| (b'1'..=b'9').contains(&c)) {
            true if difference > 0.0 => format!("+{text}"),
            true => format!("−{text}"),
            false => text,
        }
    }

    /// `97.1 [96.6, 97.6]`.
    pub fn interval(&self, value: &Interval) -> String {
        format!("{} {}", self.score(value.estimate), self.range(value))
    }

    /// `[96.6, 97.6]`.
    pub fn range(&self, value: &Interval) -> String {
        let decimals = self.decimals(value.estimate);
        format!("[{}, {}]", self.with_decimals(value.low, decimals), self.with_decimals(value.high, decimals))
    }

    /// `± 0.3`, or nothing with one seed.
    pub fn spread(&self, sd: Option<f64>) -> String {
        sd.map(|sd| format!("± {}", self.score(sd))).unwrap_or_default()
    }

    /// `97.1 ± 0.3`, or without spread with one seed.
    pub fn value(&self, value: &Value) -> String {
        format!("{}{} {}", self.score(value.interval.estimate), mark(value.few), self.spread(value.sd)).trim_end().to_string()
    }

    /// `97.1 ± 0.3 [96.6, 97.6]`.
    pub fn with_range(&self, of: &Value) -> String {
        format!("{} {}", self.value(of), self.range(&of.interval))
    }

    /// `+0.4 [−0.1, +0.9]`.
    pub fn difference(&self, value: &Difference) -> String {
        self.points_interval(&value.interval)
    }

    /// `+0.4 [−0.1, +0.9]`, with as many decimals as it takes to show that the interval leaves out 0, if it does.
    pub fn points_interval(&self, value: &Interval) -> String {
        let nearest = if value.low > 0.0 { Some(value.low) } else { Some(value.high).filter(|high| *high < 0.0) };
        let enough = |decimals: &usize| nearest.is_none_or(|end| self.signed(end, *decimals).starts_with(['+', '−']));
        let usual = self.decimals(value.low.abs().max(value.high.abs()));
        let least = if self.share && value.high - value.low < NARROW { 2 } else { usual };
        let most = MOST_DECIMALS.max(least + 2);
        let decimals = (least..most).find(enough).unwrap_or(most);
        let [estimate, low, high] = [value.estimate, value.low, value.high].map(|x| self.signed(x, decimals));
        format!("{estimate} [{low}, {high}]")
    }

    /// The finding of a headline, one or two sentences.
    pub fn sentence(&self, headline: &Headline, reference: &str) -> String {
        let best = if self.higher_is_better { "highest" } else { "lowest" };
        let first = match &headline.compared {
            Some(c) => format!("{} is {best}; against {reference}: {}.", headline.best, self.finding(c)),
            None if headline.best == reference => format!("{reference}, the run the others are compared with, is {best} itself."),
            None => format!("{} is {best}; it could not be compared with {reference}.", headline.best),
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
    pub fn finding(&self, compared: &Difference) -> String {
        let points = if self.share { " points" } else { "" };
        format!("{}{points}, {}", self.difference(compared), compared.verdict)
    }
}

/// A number with three digits.
pub fn plain_number(x: f64) -> String {
    Words { share: false, higher_is_better: true }.score(x)
}

/// `97.1`: a share in percent.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1}", 100.0 * share) } else { "–".into() }
}

/// `± 0.3`: the spread of a share, or nothing with one seed.
pub fn spread(sd: Option<f64>) -> String {
    sd.map(|sd| format!("± {}", percent(sd))).unwrap_or_default()
}

/// Title of the section on what samples have.
pub const WITH_AVAILABLE: &str = "With the sensors that each sample has";

/// What that is; an interval of AUROC is told where one is shown.
pub fn available_note(runs: &[AvailableRun]) -> String {
    let note = "Every test sample is predicted from the sensors that it has; some lack one or more. When more go, a sample loses that many of those it has, \
     the same ones in all runs and seeds, and keeps one at least; scores are means over several draws of which.";
    let of_auroc =
        if runs.iter().any(|run| run.auroc.is_some()) { " The interval of AUROC is over the choice of test samples (DeLong)." } else { "" };
    format!("{note}{of_auroc}")
}

/// `85.4 ± 0.3` of a share, `0.321 ± 0.004` of anything else.
pub fn over_seeds(value: Option<&OverSeeds>, share: bool) -> String {
    let Some(OverSeeds { mean, sd }) = value else { return "–".into() };
    let words = Words { share, higher_is_better: true };
    format!("{} {}", words.score(*mean), words.spread(*sd)).trim_end().to_string()
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

/// In what scores are, once.
pub fn scale_in_words(report: &Report) -> &'static str {
    let (mut shares, mut others) = (false, false);
    report.data.iter().for_each(|data| if data.measure.share { shares = true } else { others = true });
    match (shares, others) {
        (true, false) => "Scores in percent, differences in percentage points.",
        (false, true) => "Scores as they are.",
        _ => "Shares in percent and their differences in percentage points, other scores as they are.",
    }
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

/// The score at the most severe level, and that: `61.2 [58.0, 64.4] (5)`.
pub fn most_severe(run: &SeverityRun, words: Words) -> String {
    run.points.last().map_or("–".into(), |(severity, score)| format!("{} ({severity})", words.interval(score)))
}

/// Behind a score of a group: a mark where it stands on few samples, and how many were evaluated where that is not all.
pub fn standing_in_group(report: &GroupReport, run: &GroupScores, group: usize) -> (&'static str, String) {
    let Some((&samples, (_, all))) = run.samples.get(group).zip(report.groups.get(group)) else { return ("", String::new()) };
    (mark(samples < FEW_SAMPLES), if samples == *all { String::new() } else { format!("({samples})") })
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
