//! Runs beside their peers.

use super::parts::{compared, table};
use crate::analysis::DataReport;
use crate::words::Words;
use maud::{Markup, html};

/// The table of pairs; nothing where none was asked for.
pub fn section(data: &DataReport) -> Markup {
    if data.pairs.is_empty() {
        return html! {};
    }
    let words = Words::from(&data.measure);
    let mean = |run: &str| data.runs.iter().find(|r| r.run == run).map(|r| r.mean.interval);
    html! {
        h3 { "Pairs" }
        p.note { "Each run against its peer on the same samples and seeds, run minus peer. All pairs of a measure are judged together." }
        (table("Pairs", html! {
            thead {
                tr { th scope="col" rowspan="2" { "Run" } th scope="col" rowspan="2" { "Peer" } th scope="colgroup" colspan="2" { "Mean " (data.measure.title) (words.unit()) } th scope="colgroup" colspan="3" { "Difference" (words.points()) } }
                tr { th scope="col" { "Run" } th scope="col" { "Peer" } th scope="col" { "Mean" } th scope="col" { "Worst" } th scope="col" { "Full" } }
            }
            tbody { @for pair in &data.pairs { tr {
                th scope="row" { (pair.run) } td { (pair.peer) }
                @for value in [mean(&pair.run), mean(&pair.peer)] {
                    td.number { @if let Some(v) = value { (words.score(v.estimate)) " " small { span.range { (words.range(&v)) } } } }
                }
                @match &pair.comparison {
                    Some(c) => { (compared(c.mean.as_ref(), words)) (compared(c.worst.as_ref(), words)) (compared(c.full.as_ref(), words)) }
                    None => td.muted colspan="3" { "not compared" },
                }
            } } }
        }))
    }
}
