//! Headline, legend and the table of all methods.

use super::Inks;
use super::parts::{chip, compared, number, table};
use crate::analysis::{DataReport, Difference, Headline, RunReport, Value};
use crate::chart::SERIES;
use crate::words::{Words, covered, effect, mark, p_value, rates};
use maud::{Markup, html};

/// The finding of each measure.
pub fn headlines(data: &DataReport) -> Markup {
    html! { div.cards { @for headline in &data.headlines { (card(headline, &data.reference, Words::from(&data.measure))) } } }
}

fn card(headline: &Headline, reference: &str, words: Words) -> Markup {
    html! {
        article.card {
            h3 { (headline.measure) }
            p.figure { (words.score(headline.value.interval.estimate)) (mark(headline.value.few)) " " small { (words.range(&headline.value.interval)) } }
            p.who { (headline.best) @if let Some(c) = &headline.compared { " " (chip(c, words)) } }
            p { (words.sentence(headline, reference)) }
        }
    }
}

/// Colours of the runs; each can be hidden in the charts.
pub fn legend(data: &DataReport, inks: &Inks) -> Markup {
    html! {
        fieldset.legend {
            legend { "Runs in the charts" }
            @for run in &data.runs {
                @let class = inks.0.iter().position(|n| *n == run.run).unwrap_or(0) % SERIES;
                label class={ "k" (class) } {
                    input type="checkbox" class={ "t" (class) } checked;
                    span.swatch {} (run.run)
                    @if run.run == data.reference { span.muted { " (reference)" } }
                }
            }
        }
    }
}

/// The table of all methods.
pub fn section(data: &DataReport) -> Markup {
    let words = Words::from(&data.measure);
    let gap = data.runs.iter().any(|r| r.gap.is_some());
    let failure = data.failure_rates.is_some();
    let accuracies = 2 + 2 * usize::from(gap) + usize::from(failure);
    let effects = has_effects(data);
    let differences = 2 + usize::from(gap) + usize::from(failure) + usize::from(effects);
    html! {
        h3 { "Summary" }
        @if let Some(given) = &data.failure_rates {
            p.note {
                "Under failure: the mean over the combinations as often as each is left where sensors fail independently, given that not all do. "
                "Rates: " (rates(given)) "."
            }
        }
        (table("Summary of the methods", html! {
            thead {
                tr {
                    th scope="col" rowspan="2" { "Method" }
                    th scope="colgroup" colspan=(accuracies) { (data.measure.heading()) (words.unit()) }
                    th scope="colgroup" colspan=(differences) { "Difference to " (data.reference) (words.points()) }
                }
                tr {
                    th scope="col" { "Mean" } th scope="col" { "Worst" }
                    @if gap { th scope="col" { "Full" } th scope="col" { "Gap" } }
                    @if failure { th scope="col" { "Under failure" } }
                    th scope="col" { "Mean" } th scope="col" { "Worst" }
                    @if gap { th scope="col" { "Full" } }
                    @if failure { th scope="col" { "Under failure" } }
                    @if effects { th scope="col" title="Cohen's d of the mean: the difference in standard deviations over seeds" { "Effect\u{a0}d" } }
                }
            }
            tbody { @for run in &data.runs { (row(run, data, gap, differences)) } }
        }))
        details {
            summary { "Intervals and p-values" }
            (table("Intervals and p-values", html! {
                thead { tr {
                    th scope="col" { "Method" } th scope="col" { "Mean" } th scope="col" { "Worst" } th scope="col" { "Worst combination" }
                    th scope="col" { "Full" } th scope="col" { "p, mean" } th scope="col" { "p, worst" } th scope="col" { "p, full" }
                    @if failure { th scope="col" { "p, under failure" } }
                } }
                tbody { @for run in &data.runs { tr {
                    th scope="row" { (run.run) }
                    td.number { (words.interval(&run.mean.interval)) }
                    td.number { (words.interval(&run.worst.interval)) }
                    td { (run.worst_combination) }
                    td.number { (run.full.as_ref().map_or("–".into(), |v| words.interval(&v.interval))) }
                    @let c = run.comparison.as_ref();
                    @let p = |d: Option<Difference>| d.map_or("–".into(), |d| p_value(d.adjusted_p));
                    @for one in [c.and_then(|c| c.mean), c.and_then(|c| c.worst), c.and_then(|c| c.full)] { td.number { (p(one)) } }
                    @if failure { td.number { (p(c.and_then(|c| c.failure))) } }
                } } }
            }))
        }
    }
}

/// With one seed there is no deviation to measure a difference by.
fn has_effects(data: &DataReport) -> bool {
    data.runs.iter().filter_map(|run| run.comparison.as_ref()).any(|comparison| comparison.effect.cohens_d.is_some())
}

fn row(run: &RunReport, data: &DataReport, gap: bool, differences: usize) -> Markup {
    let (reference, failure, words) = (run.run == data.reference, data.failure_rates.is_some(), Words::from(&data.measure));
    html! {
        tr.reference[reference] {
            th scope="row" { (run.run) @if !run.complete { span.muted title="Evaluated on fewer combinations: mean and worst are not ranked" { " *" } } }
            (value(Some(&run.mean), words))
            (value(Some(&run.worst), words))
            @if gap { (value(run.full.as_ref(), words)) (value(run.gap.as_ref(), words)) }
            @if failure { (under_failure(run, words)) }
            @match &run.comparison {
                Some(c) => {
                    (compared(c.mean.as_ref(), words)) (compared(c.worst.as_ref(), words))
                    @if gap { (compared(c.full.as_ref(), words)) }
                    @if failure { (compared(c.failure.as_ref(), words)) }
                    @if has_effects(data) { (number(&effect(&c.effect), "")) }
                }
                None => td.muted colspan=(differences) { (if reference { "reference" } else { "not compared" }) },
            }
        }
    }
}

fn under_failure(run: &RunReport, words: Words) -> Markup {
    let Some(failure) = &run.failure else { return value(None, words) };
    html! {
        td.number {
            (words.score(failure.value.interval.estimate)) (mark(failure.value.few)) " "
            small { (words.spread(failure.value.sd)) " " span.range { (words.range(&failure.value.interval)) " " (covered(failure.covered)) } }
        }
    }
}

fn value(value: Option<&Value>, words: Words) -> Markup {
    match value {
        Some(v) => {
            html! { td.number { (words.score(v.interval.estimate)) (mark(v.few)) " " small { (words.spread(v.sd)) " " span.range { (words.range(&v.interval)) } } } }
        }
        None => html! { td.muted { "–" } },
    }
}
