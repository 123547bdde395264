//! Shapley values, and which sensors are worth their cost.

use super::Inks;
use super::parts::table;
use crate::Error;
use crate::analysis::{CombinationValue, DataReport, SensorReport};
use crate::chart::{Bar, BarGroup, Point, bars, front};
use crate::words::Words;
use maud::{Markup, html};

/// Sets in the table before it is folded.
const SETS_SHOWN: usize = 12;

/// The section; nothing with one modality.
pub fn section(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    let Some(report) = &data.sensors else { return Ok(html! {}) };
    let on_front: Vec<String> = report.sets.iter().filter(|s| s.front).map(|s| s.name.clone()).collect();
    let marks: Vec<Point> = report
        .sets
        .iter()
        .map(|s| Point { sensors: s.sensors, accuracy: s.value.accuracy, front: s.front.then(|| s.name.clone()) })
        .collect();
    let title = format!("{} against number of sensors, {}", data.measure.heading(), report.run);
    let description = format!("Each point is a set of sensors; the line is the Pareto front: {}", on_front.join(", "));
    let words = Words::from(&data.measure);
    let (first, rest) = report.sets.split_at(report.sets.len().min(SETS_SHOWN));
    let rest_front: Vec<_> = rest.iter().filter(|s| s.front).collect();
    Ok(html! {
        h3 { "Which sensors are worth their cost" }
        div.charts { (shapley(data, inks)?) (front(&title, &description, &format!("{}{}", data.measure.title, words.unit()), data.measure.share, inks.of(&report.run), &marks)?) }
        (sensors(report, words))
        p.note {
            "Sets of sensors by " (data.measure.title) " with " b { (report.run) } ". A set on the Pareto front (◆) is not reached by any other of as many or fewer sensors; "
            "its gain is over the next smaller set of the front. The front picks the best of many estimates, so its values are a little optimistic."
        }
        (sets(data, first.iter().chain(rest_front.iter().copied())))
        @if rest.len() > rest_front.len() { details { summary { "All " (report.sets.len()) " sets" } (sets(data, report.sets.iter())) } }
    })
}

fn shapley(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    let with: Vec<_> = data.runs.iter().filter_map(|r| Some((inks.of(&r.run), r.shapley.as_ref()?))).collect();
    if with.is_empty() {
        return Ok(
            html! { p.note { "Shapley values need every combination evaluated, and a score of which it is known what a guess reaches." } },
        );
    }
    let group = |(m, name): (usize, &String)| BarGroup {
        name: name.clone(),
        bars: with.iter().map(|(ink, values)| Bar { ink: *ink, value: values[m] }).collect(),
    };
    let groups: Vec<BarGroup> = data.modalities.iter().enumerate().map(group).collect();
    let title = &data.measure.title;
    let description = format!("One bar a run for each modality, with its 95 % interval: the modality's share of the {title} above a guess");
    bars(
        "Shapley value of each modality",
        &description,
        &format!("{}{title} above a guess", if data.measure.share { "points of " } else { "" }),
        data.measure.share,
        &groups,
    )
}

fn sensors(report: &SensorReport, words: Words) -> Markup {
    let value = |v: &CombinationValue| v.interval.as_ref().map_or_else(|| words.score(v.accuracy), |i| words.interval(i));
    table(
        "What each sensor is worth",
        html! {
            thead { tr {
                th scope="col" { "Sensor (" (report.run) ")" } th scope="col" { "Alone" (words.unit()) }
                th scope="col" { "Shapley value" (words.points()) } th scope="col" { "Lost without it" (words.points()) }
            } }
            tbody { @for sensor in &report.sensors { tr {
                th scope="row" { (sensor.modality) }
                td.number { (sensor.alone.as_ref().map_or("–".into(), value)) }
                td.number { (sensor.shapley.as_ref().map_or("–".into(), |value| words.points_interval(value))) }
                td.number { (sensor.missed.map_or("–".into(), |missed| words.difference_of(missed))) }
            } } }
        },
    )
}

fn sets<'a>(data: &DataReport, sets: impl Iterator<Item = &'a crate::analysis::SensorSet>) -> Markup {
    let words = Words::from(&data.measure);
    table(
        &format!("Sets of sensors by {}", data.measure.title),
        html! {
            thead { tr { th scope="col" { "Sensors" } th scope="col" { "Number" } th scope="col" { (data.measure.heading()) (words.unit()) } th scope="col" { "Pareto front, gain" (words.points()) } } }
            tbody { @for set in sets { tr {
                th scope="row" { (set.name) }
                td.number { (set.sensors) }
                td.number { (words.score(set.value.accuracy)) " " small { (words.spread(set.value.sd)) " " (set.value.interval.as_ref().map(|i| words.range(i)).unwrap_or_default()) } }
                td { @if set.front { "◆ " (set.gain.map(|gain| words.difference_of(gain)).unwrap_or_default()) } }
            } } }
        },
    )
}
