//! With the sensors that each sample has, and with fewer.

use super::{escape, table};
use crate::analysis::{AvailableRun, DataReport};
use crate::words::{WITH_AVAILABLE, Words, available_note, over_seeds};

/// Scores as available and curves; nothing where every sample has every sensor.
pub fn section(data: &DataReport) -> String {
    let Some(report) = &data.available else { return String::new() };
    let words = Words::from(&data.measure);
    let left_out = report.runs.iter().any(|run| run.left_out > 0);
    let heading = data.measure.heading();
    let reference = format!("Δ to {}", escape(&data.reference));
    let measures = report.measures.iter().map(|measure| measure.title.as_str());
    let head = ["Method", &heading, &reference, "Verdict"].into_iter().chain(measures).chain(left_out.then_some("Left out"));
    let row = |run: &AvailableRun| {
        let judged = run.comparison.as_ref().map_or(["–".into(), "–".into()], |d| [words.difference(d), d.verdict.to_string()]);
        let of_measures = report.measures.iter().map(|measure| match &run.auroc {
            Some(auroc) if measure.name == "auroc" => Words::share().interval(auroc),
            _ => over_seeds(run.values.get(&measure.name), measure.percent),
        });
        let begin = [escape(&run.run), words.with_range(&run.score)].into_iter().chain(judged);
        begin.chain(of_measures).chain(left_out.then(|| run.left_out.to_string())).collect()
    };
    let mut out = format!(
        "\n### {WITH_AVAILABLE}\n\n{}\n\n{}",
        available_note(&report.runs),
        table(&head.collect::<Vec<_>>(), report.runs.iter().map(row).collect())
    );
    let most = report.runs.iter().map(|run| run.curve.len()).max().unwrap_or(0);
    let counts: Vec<String> = (0..most).map(|count| format!("{count} more gone")).collect();
    for (name, title) in report.drawn(&data.measure.title) {
        let share = report.is_share(name, &data.measure);
        let row = |run: &AvailableRun| {
            let at = |i: usize| over_seeds(run.curve.get(i).and_then(|point| point.values.get(name)), share);
            std::iter::once(escape(&run.run)).chain((0..most).map(at)).collect()
        };
        let head: Vec<&str> = std::iter::once(title).chain(counts.iter().map(String::as_str)).collect();
        out += &format!("\n{}", table(&head, report.runs.iter().map(row).collect()));
    }
    out
}
