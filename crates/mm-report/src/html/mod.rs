//! The report as one HTML file: inline SVG and CSS, nothing loaded from elsewhere, no scripts.

mod address;
mod available;
mod by_group;
mod confusion;
mod cost;
mod heat_map;
mod outputs;
mod pairs;
mod parts;
mod pictures;
mod pixels;
mod samples;
mod sensors;
mod severity;
mod summary;
mod training;

use super::Error;
use super::analysis::{DataReport, Report};
use super::chart::{Ink, SERIES};
use super::words::{between, count, intervals, scale_in_words};
pub(crate) use address::address;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use parts::list;
pub(crate) use parts::table;

pub(crate) const STYLE: &str = include_str!("style.css");

/// In every page, and the end of its title.
pub(crate) const MARK: &str = " – bench report</title><style>";

/// The colour of each run, the same on the whole page.
struct Inks(Vec<String>);

impl Inks {
    fn new(report: &Report) -> Self {
        let mut names: Vec<String> = Vec::new();
        let references = report.data.iter().map(|d| &d.reference);
        for name in references.chain(report.data.iter().flat_map(|d| d.runs.iter().map(|r| &r.run))) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Self(names)
    }

    fn of(&self, run: &str) -> Ink {
        Ink::Series(self.0.iter().position(|n| n == run).unwrap_or(0))
    }
}

/// The page.
pub fn page(report: &Report) -> Result<String, Error> {
    let inks = Inks::new(report);
    let sections = report.data.iter().enumerate().map(|(i, data)| data_section(i, data, &inks)).collect::<Result<Vec<_>, _>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.plan) " – bench report" }
                style { (PreEscaped(STYLE)) (PreEscaped(toggles())) }
            }
            body {
                header {
                    h1 { (report.plan) }
                    @if !report.description.is_empty() { p.lead { (report.description) } }
                    p.note {
                        (scale_in_words(report)) " "
                        b { "±" } " is the standard deviation over seeds, " b { "[low, high]" } " " (intervals(report.resamples))
                    }
                    @if !report.notes.is_empty() { div.warning { (list(&report.notes)) } }
                    nav aria-label="Data sets" { @for (i, data) in report.data.iter().enumerate() { a href={ "#data-" (i) } { (data.name) } } a href="#provenance" { "Provenance" } }
                }
                main {
                    @for section in &sections { (section) }
                    (provenance(report))
                }
            }
        }
    };
    Ok(page.into_string())
}

fn data_section(index: usize, data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    Ok(html! {
        section.data id={ "data-" (index) } aria-labelledby={ "title-" (index) } {
            h2 id={ "title-" (index) } { (data.name) }
            p.facts {
                (count(data.modalities.len(), "modality").replace("modalitys", "modalities")) " (" (data.modalities.join(", ")) ") · "
                (data.predicts) " · "
                (data.test_samples.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")) " test samples · "
                (count(data.combinations.len(), "combination")) " · "
                (count(data.seeds.len(), "seed")) " (" (data.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")) ")"
            }
            @if !data.remarks.is_empty() { div.remarks { (list(&data.remarks)) } }
            @if !data.data_remarks.is_empty() { details { summary { "Remarks on the data as read" } (list(&data.data_remarks)) } }
            @if data.runs.is_empty() {
                (samples::section(data))
            } @else {
                (summary::headlines(data))
                (summary::legend(data, inks))
                (summary::section(data))
                (available::section(data, inks)?)
                (meanings(data))
                (pairs::section(data))
                (heat_map::section(data, inks)?)
                (outputs::section(data))
                (by_group::section(data))
                (pixels::section(data))
                (pictures::section(data))
                (samples::section(data))
                (severity::section(data, inks)?)
                (sensors::section(data, inks)?)
                (confusion::section(data, inks)?)
                (training::section(data, inks)?)
                (cost::section(data))
                (notes(data))
            }
        }
    })
}

/// What each run is, where that is known.
fn meanings(data: &DataReport) -> Markup {
    html! {
        @if data.runs.iter().any(|r| !r.meaning.is_empty()) {
            details {
                summary { "What the methods do" }
                dl { @for run in data.runs.iter().filter(|r| !r.meaning.is_empty()) {
                    dt { (run.run) @if run.run != run.method { " " span.muted { "(" (run.method) ")" } } }
                    dd { (run.meaning) }
                } }
            }
        }
    }
}

fn notes(data: &DataReport) -> Markup {
    let any = data.runs.iter().any(|r| !r.notes.is_empty());
    html! {
        @if any {
            details {
                summary { "Notes of the runs" }
                dl {
                    @for run in data.runs.iter().filter(|r| !r.notes.is_empty()) {
                        dt { (run.run) }
                        @for (note, seeds) in &run.notes {
                            dd { (note) " " span.muted { "(" (if seeds.len() == 1 { "seed" } else { "seeds" }) " " (seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")) ")" } }
                        }
                    }
                }
            }
        }
    }
}

fn provenance(report: &Report) -> Markup {
    let p = &report.provenance;
    let rows = [
        ("Version", p.versions.join(", ")),
        ("Plan hash", p.plan_hash.clone()),
        ("Cells", p.cells.to_string()),
        ("Data hash", p.data_hashes.iter().map(|(data, hash)| format!("{data}: {hash}")).collect::<Vec<_>>().join("; ")),
        ("Machine", p.machines.join("; ")),
        ("Threads a cell", p.threads.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
        ("Cells finished", between(&p.finished)),
    ];
    html! {
        section id="provenance" {
            h2 { "Provenance" }
            (table("Provenance", html! { tbody.plain { @for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) { tr { th scope="row" { (name) } td { (value) } } } } }))
        }
    }
}

/// Rules that hide a run's marks when its box in the legend is not checked.
fn toggles() -> String {
    let rule = |i: usize| {
        format!(
            ".data:has(input.t{i}:not(:checked)) .chart :is([stroke=\"var(--s{i})\"],[fill=\"var(--s{i})\"]){{visibility:hidden}}\n.k{i}{{--k:var(--s{i})}}\n"
        )
    };
    (0..SERIES).map(rule).collect()
}
