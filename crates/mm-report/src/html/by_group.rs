//! Scores by group of the test samples.

use super::parts::{number, table};
use crate::analysis::{DataReport, GroupReport};
use crate::words::Words;
use maud::{Markup, html};

/// The section; nothing where test samples have no groups.
pub fn section(data: &DataReport) -> Markup {
    let words = Words::from(&data.measure);
    html! {
        @if !data.by_group.is_empty() {
            h3 { "By group" }
            p.note { "Of the test samples of each group, mean over the seeds. Groups are small samples of their own: what differs between them may be chance." }
            @for report in &data.by_group { (of_combination(report, words)) }
        }
    }
}

fn of_combination(report: &GroupReport, words: Words) -> Markup {
    table(
        &format!("By group, {}", report.combination),
        html! {
            caption { (report.combination) }
            thead { tr {
                th scope="col" { "Method" }
                @for (group, samples) in &report.groups { th scope="col" { (group) br; small { (samples) " samples" } } }
            } }
            tbody { @for run in &report.runs { tr {
                th scope="row" { (run.run) }
                @for score in &run.scores {
                    @match score {
                        Some(score) => (number(&words.score(score.mean), &words.spread(score.sd))),
                        None => td.muted { "–" },
                    }
                }
            } } }
        },
    )
}
