//! What each run costs.

use super::parts::table;
use crate::analysis::DataReport;
use crate::words::{megabytes, seconds, thousands};
use maud::{Markup, html};

/// The table; nothing where no run says what it cost.
pub fn section(data: &DataReport) -> Markup {
    if data.runs.iter().all(|run| run.cost.is_none()) {
        return html! {};
    }
    html! {
        h3 { "Cost" }
        p.note { "Of one cell, mean over the seeds; memory is the highest peak. An encoder pass is one modality's encoder run over one test batch, for all combinations together." }
        (table("Cost of one cell", html! {
            thead { tr {
                th scope="col" { "Method" } th scope="col" { "Training" } th scope="col" { "Evaluation" } th scope="col" { "Whole process" }
                th scope="col" { "Encoder passes a batch" } th scope="col" { "Parameters trained" } th scope="col" { "Parameters deployed" } th scope="col" { "Peak memory" }
            } }
            tbody { @for run in &data.runs { tr {
                th scope="row" { (run.run) }
                @if let Some(c) = &run.cost {
                td.number { (seconds(c.train_seconds)) }
                td.number { (seconds(c.evaluation_seconds)) }
                td.number { (seconds(c.total_seconds)) }
                td.number { (format!("{:.1}", c.encoder_passes_per_batch)) }
                td.number { (thousands(c.trained_parameters)) }
                td.number { (thousands(c.deployed_parameters)) }
                td.number { (megabytes(c.peak_memory_bytes)) }
                } @else { td.muted colspan="7" { "not given" } }
            } } }
        }))
    }
}
