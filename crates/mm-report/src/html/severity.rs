//! Sensors that degrade.

use super::Inks;
use super::parts::{compared, table};
use crate::Error;
use crate::analysis::{DataReport, SeverityReport};
use crate::chart::{LineChart, Series, lines};
use crate::result::Measured;
use crate::words::{Words, most_severe};
use maud::{Markup, html};

/// More tables than this are folded up.
const OPEN_UP_TO: usize = 4;

/// Curves and areas; nothing without corruptions.
pub fn section(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    if data.severity.is_empty() {
        return Ok(html! {});
    }
    let charts = data.severity.iter().map(|r| chart(r, &data.measure, inks)).collect::<Result<Vec<_>, _>>()?;
    let words = Words::from(&data.measure);
    let non_finite = data.severity.iter().flat_map(|s| &s.runs).any(|r| r.non_finite > 0);
    let columns = if non_finite { "5" } else { "4" };
    Ok(html! {
        h3 { "Degraded sensors" }
        p.note { "Each sample with everything it has, some of it corrupted at test time. Severity 0 is the same samples with clean sensors; bands are 95 % intervals." }
        div.charts { @for chart in &charts { (chart) } }
        details open[data.severity.len() <= OPEN_UP_TO] {
            summary { "Area under the curve: " (data.measure.title) " averaged from clean to the most severe (trapezoid)" }
            (table("Area under the severity curves", html! {
                thead { tr {
                    th scope="col" { "Method" } th scope="col" { "Area" (words.unit()) } th scope="col" { "Most severe" (words.unit()) }
                    th scope="col" { "Difference to " (data.reference) (words.points()) }
                    @if non_finite { th scope="col" title="Sample-modality pairs treated as absent, over all severities and seeds" { "Non-finite readings" } }
                } }
                @for report in &data.severity { tbody {
                    tr.group { th scope="rowgroup" colspan=(columns) { (title(report)) } }
                    @for run in &report.runs { tr {
                        th scope="row" { (run.run) }
                        td.number { (run.area.as_ref().map_or("–".into(), |area| words.interval(area))) }
                        td.number { (most_severe(run, words)) }
                        (compared(run.comparison.as_ref(), words))
                        @if non_finite { td.number { (run.non_finite) } }
                    } }
                } }
            }))
        }
    })
}

fn title(report: &SeverityReport) -> String {
    format!("{} on {}", report.condition.corruption.replace('_', " "), report.condition.subset)
}

fn chart(report: &SeverityReport, measure: &Measured, inks: &Inks) -> Result<Markup, Error> {
    let series = report.runs.iter().map(|run| Series {
        ink: inks.of(&run.run),
        points: run.points.iter().map(|(severity, v)| (f64::from(*severity), v.estimate, Some((v.low, v.high)))).collect(),
    });
    let title = title(report);
    let description = format!("{} against severity under {title}, one line a run; the table below has the areas", measure.heading());
    lines(&LineChart {
        title: &title,
        description: &description,
        x: "severity",
        y: &format!("{}{}", measure.title, Words::from(measure).unit()),
        percent: measure.share,
        whole: true,
        series: series.collect(),
    })
}
