//! Methods x combinations in colour, and accuracy by number of modalities.
//!
//! Drawn as two pictures side by side: the names stay while the cells scroll.

use super::Inks;
use super::parts::table;
use crate::Error;
use crate::analysis::{Combination, CombinationValue, DataReport, RunReport};
use crate::chart::{LineChart, Series, lines};
use crate::words::{Words, mark, mark_in_words, standing as in_words};
use maud::{Markup, html};

/// Colours span at least so much.
const LEAST: f64 = 1e-3;
const ROW: usize = 24;
const DOT: usize = 13;
const HEAD: usize = 20;
const SIZE_GAP: usize = 5;
/// Width that the cells should fill.
const FILLED: usize = 980;
/// Longest name beside the cells.
const NAME: usize = 20;

/// Ten steps of viridis, dark to light: readable in either theme and with any colour vision.
const SEQUENTIAL: [[u8; 3]; 10] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 74, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [109, 205, 89],
    [180, 222, 44],
    [253, 231, 37],
];
/// Orange to blue through nearly white.
const DIVERGING: [[u8; 3]; 7] =
    [[179, 88, 6], [224, 130, 20], [253, 184, 99], [242, 242, 242], [146, 197, 222], [67, 147, 195], [33, 102, 172]];

/// What the colours show.
#[derive(Clone, Copy)]
enum Shown {
    /// Between what has the colour of the worst and that of the best.
    Score { worst: f64, best: f64 },
    /// Up to this on either side; less is worse where more is better.
    Difference { largest: f64, higher_is_better: bool },
}

/// What the colours show, and how it is written.
#[derive(Clone, Copy)]
struct Scale {
    shown: Shown,
    words: Words,
}

impl Scale {
    fn color(self, value: f64) -> ([u8; 3], bool) {
        let (stops, share): (&[[u8; 3]], f64) = match self.shown {
            Shown::Score { worst, best } => (&SEQUENTIAL, (value - worst) / (best - worst)),
            Shown::Difference { largest, higher_is_better } => {
                (&DIVERGING, (if higher_is_better { value } else { -value } / largest + 1.0) / 2.0)
            }
        };
        let position = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let at = (position as usize).min(stops.len() - 2);
        let mix = |i: usize| f64::from(stops[at][i]) + (f64::from(stops[at + 1][i]) - f64::from(stops[at][i])) * (position - at as f64);
        let rgb = [mix(0), mix(1), mix(2)].map(|c| c.round() as u8);
        let light = 0.299 * mix(0) + 0.587 * mix(1) + 0.114 * mix(2) > 140.0;
        (rgb, light)
    }

    fn text(self, value: f64) -> String {
        match self.shown {
            Shown::Score { .. } => self.words.score(value),
            Shown::Difference { .. } => self.words.difference_of(value),
        }
    }
}

/// The middle of the runs' extremes: where colours end, so that one run far from the others does not make these look alike.
fn median(extremes: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = extremes.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The section: both heat maps, accuracy by size, all numbers.
pub fn section(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    let shown: Vec<usize> = (0..data.combinations.len()).filter(|&i| data.combinations[i].shown).collect();
    let accuracies = |r: &RunReport| shown.iter().filter_map(|&i| r.combinations[i].map(|v| v.accuracy)).collect::<Vec<_>>();
    let (words, measure) = (Words::from(&data.measure), &data.measure);
    let goodness = |score: f64| measure.goodness(score);
    let best = data.runs.iter().flat_map(&accuracies).map(goodness).fold(f64::NEG_INFINITY, f64::max);
    let worst = median(data.runs.iter().map(|r| accuracies(r).into_iter().map(goodness).fold(best, f64::min)));
    let scale =
        Scale { words, shown: Shown::Score { worst: goodness(worst), best: goodness(best.max(worst + LEAST * worst.abs().max(LEAST))) } };
    let reference = data.runs.iter().find(|r| r.run == data.reference);
    let to_reference = |run: &RunReport, i: usize| Some(run.combinations[i]?.accuracy - reference?.combinations[i]?.accuracy);
    let others: Vec<&RunReport> = data.runs.iter().filter(|r| r.run != data.reference).collect();
    let all: Vec<&RunReport> = data.runs.iter().collect();
    let largest = median(others.iter().map(|r| shown.iter().filter_map(|&i| to_reference(r, i)).fold(0.0, |m: f64, d| m.max(d.abs()))));
    let shown_difference = Shown::Difference { largest: largest.max(LEAST * LEAST), higher_is_better: measure.higher_is_better };
    let differences = Scale { words, shown: shown_difference };
    let hidden = data.combinations.len() - shown.len();
    Ok(html! {
        h3 { "Every combination" }
        @if hidden > 0 {
            p.note { "There are " (data.combinations.len()) " combinations. Shown are the single modalities, the full set and the worst on average; the chart below covers all by size." }
        }
        @if data.runs.iter().flat_map(|r| r.combinations.iter().flatten()).any(|c| c.standing.few) {
            p.note { "Dashed cells: " (mark_in_words()) }
        }
        (heat_map(&format!("{}{}", data.measure.heading(), words.unit()), data, &shown, &all, scale, &|run, i| run.combinations[i].map(|v| v.accuracy)))
        @if !others.is_empty() {
            details open {
                summary { "Difference to " (data.reference) (words.points()) }
                (heat_map(&format!("Difference to {}{}", data.reference, words.points()), data, &shown, &others, differences, &to_reference))
            }
        }
        div.charts { (by_size(data, inks)?) (super::training::ece_by_size(data, inks)?) }
        (numbers(data, &shown))
    })
}

fn heat_map(
    title: &str,
    data: &DataReport,
    shown: &[usize],
    runs: &[&RunReport],
    scale: Scale,
    value: &dyn Fn(&RunReport, usize) -> Option<f64>,
) -> Markup {
    let cell = (FILLED / shown.len().max(1)).clamp(15, 64);
    let size = |i: usize| data.combinations[shown[i]].modalities.len();
    // Combinations of different size stand a little apart.
    let mut lefts = Vec::with_capacity(shown.len());
    let mut left = 0;
    for i in 0..shown.len() {
        left += if i > 0 && size(i) != size(i - 1) { SIZE_GAP } else { 0 };
        lefts.push(left);
        left += cell;
    }
    let dots_top = HEAD + runs.len() * ROW + 8;
    let height = dots_top + data.modalities.len() * DOT + 6;
    let firsts: Vec<usize> = (0..shown.len()).filter(|&i| i == 0 || size(i) != size(i - 1)).collect();
    let description = format!("{} runs by {} combinations; rows of dots show which modalities are present", runs.len(), shown.len());
    html! {
        figure.heat {
            figcaption { (title) (gradient(scale)) }
            div.scroll.pair role="region" aria-label=(title) tabindex="0" {
                (names(runs, &data.modalities, dots_top, height))
                svg width=(left + 2) height=(height) viewBox={ "0 0 " (left + 2) " " (height) } role="img" {
                    title { (title) } desc { (description) }
                    @for &i in &firsts {
                        text.size x=(lefts[i]) y=(HEAD - 7) { (size(i)) @if i == 0 { (if size(i) == 1 { " modality" } else { " modalities" }) } }
                    }
                    @for (r, run) in runs.iter().enumerate() {
                        @for (k, &i) in shown.iter().enumerate() {
                            (square(run, &data.combinations[i], run.combinations[i].zip(value(run, i)), scale, (lefts[k], HEAD + r * ROW), cell))
                        }
                    }
                    @for (k, &i) in shown.iter().enumerate() {
                        @for m in 0..data.modalities.len() {
                            @let present = data.combinations[i].modalities.contains(&m);
                            circle.dot.on[present] cx=(lefts[k] + cell / 2) cy=(dots_top + m * DOT + DOT / 2) r=(if present { 4 } else { 2 }) {}
                        }
                    }
                }
            }
        }
    }
}

fn square(
    run: &RunReport,
    combination: &Combination,
    value: Option<(CombinationValue, f64)>,
    scale: Scale,
    (x, y): (usize, usize),
    width: usize,
) -> Markup {
    let Some((CombinationValue { standing, .. }, v)) = value else {
        return html! { rect.blank x=(x) y=(y) width=(width - 1) height=(ROW - 1) { title { (run.run) ", " (combination.name) ": not evaluated" } } };
    };
    let ([r, g, b], light) = scale.color(v);
    // Narrow cells have no room for tenths.
    let label = match scale.shown {
        Shown::Score { .. } if width < 26 => scale.words.short(v),
        Shown::Difference { .. } if width < 26 => scale.words.short_difference(v),
        _ => scale.text(v),
    };
    let squeezed = width < 26 && label.chars().count() > 2;
    html! {
        g {
            title { (run.run) ", " (combination.name) ": " (scale.text(v)) " on " (in_words(&standing)) }
            rect.few[standing.few] x=(x) y=(y) width=(width - 1) height=(ROW - 1) fill={ "rgb(" (r) "," (g) "," (b) ")" } {}
            text.cell.light[light] x=(x + width / 2) y=(y + ROW / 2 + 3) textLength=[squeezed.then_some(width - 3)] lengthAdjust=[squeezed.then_some("spacingAndGlyphs")] { (label) }
        }
    }
}

fn names(runs: &[&RunReport], modalities: &[String], dots_top: usize, height: usize) -> Markup {
    let short =
        |name: &str| if name.chars().count() <= NAME { name.to_string() } else { name.chars().take(NAME - 1).chain(['…']).collect() };
    let longest = runs.iter().map(|r| &r.run).chain(modalities).map(|n| n.chars().count().min(NAME)).max().unwrap_or(1);
    let width = longest * 15 / 2 + 16;
    html! {
        svg.names width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } aria-hidden="true" {
            @for (i, run) in runs.iter().enumerate() {
                text x=(width - 8) y=(HEAD + i * ROW + ROW / 2 + 4) { title { (run.run) } (short(&run.run)) }
            }
            @for (m, modality) in modalities.iter().enumerate() {
                text.modality x=(width - 8) y=(dots_top + m * DOT + DOT / 2 + 4) { title { (modality) } (short(modality)) }
            }
        }
    }
}

/// The colour scale with its ends; what lies beyond has the colour of the end.
fn gradient(scale: Scale) -> Markup {
    let (low, high) = match scale.shown {
        Shown::Score { worst, best } => (worst.min(best), worst.max(best)),
        Shown::Difference { largest, .. } => (-largest, largest),
    };
    let stops = (0..=8).map(|i| scale.color(low + (high - low) * f64::from(i) / 8.0).0).map(|[r, g, b]| format!("rgb({r},{g},{b})"));
    let background = format!("background:linear-gradient(90deg,{})", stops.collect::<Vec<_>>().join(","));
    // Only the end of the best is reached and not passed.
    let (below, above) = match scale.shown {
        Shown::Score { worst, best } if worst > best => ("", "≥ "),
        Shown::Score { .. } => ("≤ ", ""),
        Shown::Difference { .. } => ("≤ ", "≥ "),
    };
    html! { span.scale { (below) (scale.text(low)) span.ramp style=(background) {} (above) (scale.text(high)) } }
}

fn by_size(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    if data.modalities.len() < 2 {
        return Ok(html! {});
    }
    let series = data.runs.iter().filter(|r| r.complete).map(|r| Series {
        ink: inks.of(&r.run),
        points: r.by_size.iter().map(|(size, accuracy)| (*size as f64, *accuracy, None)).collect(),
    });
    let title = format!("{} by number of modalities present", data.measure.heading());
    let description =
        format!("Mean of the {} over all combinations of each size, one line a run that evaluated all combinations", data.measure.title);
    let y = format!("{}{}", data.measure.title, Words::from(&data.measure).unit());
    lines(&LineChart {
        title: &title,
        description: &description,
        x: "modalities present",
        y: &y,
        percent: data.measure.share,
        whole: true,
        series: series.collect(),
    })
}

/// The same as a table, for reading and copying.
fn numbers(data: &DataReport, shown: &[usize]) -> Markup {
    let words = Words::from(&data.measure);
    let text = |v: &CombinationValue| {
        let range = v.interval.as_ref().map_or_else(|| words.spread(v.sd), |interval| words.range(interval));
        format!("{}{} {range}", words.score(v.accuracy), mark(v.standing.few))
    };
    html! {
        details {
            summary { "All numbers, with 95 % intervals" }
            (table(&format!("{} of every combination", data.measure.heading()), html! {
                thead { tr { th scope="col" { "Combination" } @for run in &data.runs { th scope="col" { (run.run) } } } }
                tbody {
                    @for &i in shown {
                        tr { th scope="row" { (data.combinations[i].name) } @for run in &data.runs { td.number { (run.combinations[i].as_ref().map(text).unwrap_or_default()) } } }
                    }
                }
            }))
        }
    }
}
