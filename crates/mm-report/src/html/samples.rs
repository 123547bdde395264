//! What the test samples have, and what each combination stands on.

use super::parts::table;
use crate::analysis::{CombinationSamples, DataReport};
use crate::words::{mark, mark_in_words};
use maud::{Markup, html};

/// More rows than this are folded up.
const OPEN_UP_TO: usize = 20;

/// Readings by modality, and the combinations that leave samples out; one sentence where nothing is missing.
pub fn section(data: &DataReport) -> Markup {
    // Combinations that a model does not support are blank in the map and named in a remark.
    let incomplete: Vec<&CombinationSamples> = data.incomplete.iter().filter(|c| !c.standing.is_unsupported()).collect();
    let missing = data.readings.iter().any(|r| r.absent + r.non_finite > 0);
    html! {
        h3 { "Test samples" }
        @if !missing && incomplete.is_empty() {
            p.note { "Every test sample has a reading of every modality, and every combination stands on all of them." }
        } @else {
            @if data.readings.iter().any(|r| r.present + r.absent + r.non_finite > 0) {
                p.note { "Readings in the test parts of all seeds together. A reading with a value that is not finite counts as absent." }
                (table("Readings of the test samples", html! {
                    thead { tr { th scope="col" { "Modality" } th scope="col" { "Present" } th scope="col" { "Absent" } th scope="col" { "Not finite" } } }
                    tbody { @for r in &data.readings { tr {
                        th scope="row" { (r.modality) } td.number { (r.present) } td.number { (r.absent) } td.number { (r.non_finite) }
                    } } }
                }))
            }
            @if !incomplete.is_empty() { (combinations(&incomplete)) }
        }
    }
}

fn combinations(incomplete: &[&CombinationSamples]) -> Markup {
    let runs = incomplete.iter().any(|c| !c.runs.is_empty());
    html! {
        details open[incomplete.len() <= OPEN_UP_TO] {
            summary { "Combinations that leave samples out or stand on few" }
            p.note { "Samples are distinct ones, of all seeds together; what is left out is summed over the seeds. " (mark_in_words()) }
            (table("Samples behind the combinations", html! {
                thead { tr {
                    th scope="col" { "Combination" }
                    @if runs { th scope="col" { "Runs" } }
                    th scope="col" { "Samples" }
                    th scope="col" title="Samples without a reading of one of its modalities" { "Left out: absent" }
                    th scope="col" title="Samples with all readings, one of which is not finite" { "not finite" }
                    th scope="col" title="Samples that the model cannot predict from" { "of no use to the model" }
                } }
                tbody { @for c in incomplete { @let e = &c.standing.excluded; tr {
                    th scope="row" { (c.combination) }
                    @if runs { td { (if c.runs.is_empty() { "all".into() } else { c.runs.join(", ") }) } }
                    td.number { (c.standing.samples) (mark(c.standing.few)) }
                    td.number { (e.absent) } td.number { (e.non_finite) } td.number { (e.unusable) }
                } } }
            }))
        }
    }
}
