//! Scores of each label or number alone.

use super::parts::{number, table};
use crate::analysis::{DataReport, OutputReport};
use crate::words::plain_number;
use maud::{Markup, html};

/// The section; nothing where one class is predicted.
pub fn section(data: &DataReport) -> Markup {
    html! {
        @if !data.outputs.is_empty() {
            h3 { "Each by itself" }
            p.note { "Of the best method by mean, mean over its seeds; errors are in the unit of the number." }
            @for report in &data.outputs { (of_combination(report)) }
        }
    }
}

fn of_combination(report: &OutputReport) -> Markup {
    let label = format!("{}, {}", report.run, report.combination);
    table(
        &label,
        html! {
            caption { (label) }
            thead { tr { th scope="col" { "" } @for measure in &report.measures { th scope="col" { (measure) } } } }
            tbody { @for output in &report.outputs { tr {
                th scope="row" { (output.name) }
                @for score in &output.scores {
                    @match score {
                        Some(score) => (number(&plain_number(score.mean), &score.sd.map(|sd| format!("± {}", plain_number(sd))).unwrap_or_default())),
                        None => td.muted { "–" },
                    }
                }
            } } }
        },
    )
}
