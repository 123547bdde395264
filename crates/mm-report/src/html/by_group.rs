//! Scores by group of the test samples.

use super::parts::{number, table};
use crate::analysis::{DataReport, GroupReport};
use crate::words::{Words, mark_in_words, standing_in_group};
use maud::{Markup, html};

/// The section; nothing where test samples have no groups.
pub fn section(data: &DataReport) -> Markup {
    let words = Words::from(&data.measure);
    html! {
        @if !data.by_group.is_empty() {
            h3 { "By group" }
            p.note { "Of the test samples of each group, mean over the seeds. Groups are small samples of their own: what differs between them may be chance. A number in brackets is how many of the samples were evaluated. " (mark_in_words()) }
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
                @for (at, score) in run.scores.iter().enumerate() {
                    @match score {
                        Some(score) => {
                            @let (mark, of) = standing_in_group(report, run, at);
                            (number(&format!("{}{mark}", words.score(score.mean)), format!("{} {of}", words.spread(score.sd)).trim()))
                        }
                        None => td.muted { "–" },
                    }
                }
            } } }
        },
    )
}
