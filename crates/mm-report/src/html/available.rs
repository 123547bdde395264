//! With the sensors that each sample has, and with fewer.

use super::Inks;
use super::parts::{compared, table};
use crate::Error;
use crate::analysis::{AvailableReport, AvailableRun, DataReport, OverSeeds, ShownMeasure};
use crate::chart::{LineChart, Series, lines};
use crate::words::{WITH_AVAILABLE, Words, available_note, over_seeds};
use maud::{Markup, html};

/// Scores as available and curves; nothing where every sample has every sensor.
pub fn section(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    let Some(report) = &data.available else { return Ok(html! {}) };
    let words = Words::from(&data.measure);
    let charts =
        report.drawn(&data.measure.title).map(|(name, title)| chart(data, report, (name, title), inks)).collect::<Result<Vec<_>, _>>()?;
    let left_out = report.runs.iter().any(|run| run.left_out > 0);
    Ok(html! {
        h3 { (WITH_AVAILABLE) }
        p.note { (available_note(&report.runs)) }
        (table(WITH_AVAILABLE, html! {
            thead { tr {
                th scope="col" { "Method" } th scope="col" { (data.measure.heading()) (words.unit()) }
                th scope="col" { "Difference to " (data.reference) (words.points()) }
                @for measure in &report.measures { th scope="col" { (measure.title) } }
                @if left_out { th scope="col" title="Samples that the model cannot predict from, of all seeds together" { "Left out" } }
            } }
            tbody { @for run in &report.runs { tr.reference[run.run == data.reference] {
                th scope="row" { (run.run) }
                td.number { (words.value(&run.score)) " " span.muted { (words.range(&run.score.interval)) } }
                (compared(run.comparison.as_ref(), words))
                @for measure in &report.measures { td.number { (of_measure(run, measure)) } }
                @if left_out { td.number { (run.left_out) } }
            } } }
        }))
        div.charts { @for chart in &charts { (chart) } }
        details {
            summary { "When more sensors go, in numbers" }
            @for (name, title) in report.drawn(&data.measure.title) { (removed(data, report, (name, title))) }
        }
    })
}

fn of_measure(run: &AvailableRun, measure: &ShownMeasure) -> String {
    match &run.auroc {
        Some(auroc) if measure.name == "auroc" => Words::share().interval(auroc),
        _ => over_seeds(run.values.get(&measure.name), measure.percent),
    }
}

fn removed(data: &DataReport, report: &AvailableReport, (name, title): (&str, &str)) -> Markup {
    let share = report.is_share(name, &data.measure);
    let most = report.runs.iter().map(|run| run.curve.len()).max().unwrap_or(0);
    let at = |run: &AvailableRun, i: usize| over_seeds(run.curve.get(i).and_then(|point| point.values.get(name)), share);
    table(
        &format!("{title} when more sensors go"),
        html! {
            thead { tr { th scope="col" { (title) } @for count in 0..most { th scope="col" { (count) " more gone" } } } }
            tbody { @for run in &report.runs { tr { th scope="row" { (run.run) } @for i in 0..most { td.number { (at(run, i)) } } } } }
        },
    )
}

fn chart(data: &DataReport, report: &AvailableReport, (name, title): (&str, &str), inks: &Inks) -> Result<Markup, Error> {
    let share = report.is_share(name, &data.measure);
    let band = |v: &OverSeeds| v.sd.map(|sd| (v.mean - sd, v.mean + sd));
    let series = report.runs.iter().map(|run| Series {
        ink: inks.of(&run.run),
        points: run.curve.iter().filter_map(|p| p.values.get(name).map(|v| (p.removed as f64, v.mean, band(v)))).collect(),
    });
    let heading = format!("{title} when more sensors go");
    let description = format!("{heading}, one line a run; bands are one standard deviation over seeds. The table below has the numbers");
    lines(&LineChart {
        title: &heading,
        description: &description,
        x: "further sensors gone",
        y: &if share { format!("{title}, %") } else { title.to_string() },
        percent: share,
        whole: true,
        series: series.collect(),
    })
}
