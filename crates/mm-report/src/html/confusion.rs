//! Calibration, confusion of the best method, and error rates of two-class tasks.

use super::Inks;
use super::parts::table;
use super::pixels::{plain, share};
use crate::Error;
use crate::analysis::{Confusion, DataReport, SpoofRates};
use crate::words::percent;
use maud::{Markup, html};

/// Above this many classes, the most confused pairs are listed instead of the matrix.
const MATRIX_UP_TO: usize = 20;
/// How many pairs.
const PAIRS: usize = 15;

/// The section.
pub fn section(data: &DataReport, _inks: &Inks) -> Result<Markup, Error> {
    let brier = data.runs.iter().any(|run| run.calibration.brier_mean.is_some());
    let of_pixels = !data.pixels.is_empty();
    let calibrated = data.runs.iter().any(|run| run.calibration.ece_mean.is_some());
    Ok(html! {
        @if calibrated {
        h3 { "Calibration" }
        p.note { "Expected calibration error (15 bins): how far the predicted probability is from the share of right answers. Lower is better." }
        (table("Calibration", html! {
            thead { tr {
                th scope="col" { "Method" } th scope="col" { "ECE mean, %" } th scope="col" { "ECE worst, %" } th scope="col" { "ECE full, %" }
                th scope="col" { "Negative log-likelihood" } @if brier { th scope="col" { "Brier score" } }
            } }
            tbody { @for run in &data.runs { @let c = &run.calibration; tr {
                th scope="row" { (run.run) }
                (share(c.ece_mean)) (share(c.ece_worst)) (share(c.ece_full)) (plain(c.nll_mean)) @if brier { (plain(c.brier_mean)) }
            } } }
        }))
        }
        (spoof(data))
        @if !data.confusion.is_empty() {
            h3 { "Confusion" }
            p.note { "Of the best method by mean, summed over its seeds; rows are true classes, columns predicted ones." @if of_pixels { " In percent of the pixels of the true class." } }
            div.charts { @for confusion in &data.confusion { (matrix(confusion, &data.classes, of_pixels)) } }
        }
    })
}

fn spoof(data: &DataReport) -> Markup {
    let cells = |rates: Option<SpoofRates>| {
        let rates = rates.map_or([None; 3], |r| [r.apcer, r.bpcer, r.acer].map(Some));
        html! { @for rate in rates { (share(rate)) } }
    };
    html! {
        @if data.runs.iter().any(|r| r.spoof.is_some()) {
            h3 { "Presentation attacks" }
            p.note { "APCER: attacks called live. BPCER: live called attack. ACER: their mean. In percent, lower is better." }
            (table("Presentation-attack error rates", html! {
                thead {
                    tr { th scope="col" rowspan="2" { "Method" } @for what in ["Mean over combinations", "Worst combination", "All modalities"] { th scope="colgroup" colspan="3" { (what) } } }
                    tr { @for _ in 0..3 { th scope="col" { "APCER" } th scope="col" { "BPCER" } th scope="col" { "ACER" } } }
                }
                tbody { @for run in &data.runs { @if let Some(s) = &run.spoof { tr { th scope="row" { (run.run) } (cells(Some(s.mean))) (cells(Some(s.worst))) (cells(s.full)) } } } }
            }))
        }
    }
}

/// Samples are counted, and of pixels the share is told: there are millions.
fn matrix(confusion: &Confusion, classes: &[String], of_pixels: bool) -> Markup {
    let title = format!("{} with {}", confusion.run, confusion.combination);
    if classes.len() > MATRIX_UP_TO {
        return pairs(&title, confusion, classes, if of_pixels { "Pixels" } else { "Samples" });
    }
    let share = |row: &[u64], n: u64| n as f64 / row.iter().sum::<u64>().max(1) as f64;
    html! {
        figure.chart {
            figcaption { (title) }
            (table(&title, html! {
                thead { tr { th scope="col" { "" } @for class in classes { th scope="col" { (class) } } } }
                tbody.matrix { @for (i, row) in confusion.counts.iter().enumerate() { tr {
                    th scope="row" { (classes[i]) }
                    @for (j, &n) in row.iter().enumerate() {
                        td.right[i == j].wrong[i != j] style={ "--a:" (format!("{:.2}", share(row, n).sqrt() * 0.8)) } title={ (classes[i]) " called " (classes[j]) ": " (n) } {
                            @if n > 0 { @if of_pixels { (percent(share(row, n))) } @else { (n) } }
                        }
                    }
                } } }
            }))
        }
    }
}

fn pairs(title: &str, confusion: &Confusion, classes: &[String], counted: &str) -> Markup {
    let wrong = confusion
        .counts
        .iter()
        .enumerate()
        .flat_map(|(i, row)| row.iter().enumerate().filter(move |(j, n)| i != *j && **n > 0).map(move |(j, n)| (*n, i, j)));
    let mut wrong: Vec<(u64, usize, usize)> = wrong.collect();
    wrong.sort_by_key(|(n, i, j)| (std::cmp::Reverse(*n), *i, *j));
    wrong.truncate(PAIRS);
    html! {
        figure.chart {
            figcaption { (title) ": most confused pairs" }
            (table(title, html! {
                thead { tr { th scope="col" { "True" } th scope="col" { "Predicted" } th scope="col" { (counted) } } }
                tbody { @for (n, i, j) in &wrong { tr { td { (classes[*i]) } td { (classes[*j]) } td.number { (n) } } } }
            }))
        }
    }
}
