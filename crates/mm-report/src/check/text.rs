//! Findings as text for a terminal.

use super::{share, short, word};
use crate::words::{count, plain_number};
use mm_core::data::check::{Check, Counted, Level, Pixels, Predicted, Sensor, Spread, Verdict};
use std::fmt::Write;

/// Classes, combinations and places that are listed.
const CLASSES: usize = 30;
const PLACES: usize = 8;
/// Values of a form that are listed.
const VALUES: usize = 4;

/// The findings: what there is, then what to do, the worst first.
pub fn text(check: &Check) -> String {
    let mut text = String::new();
    let total: usize = check.samples.iter().sum();
    let parts: Vec<String> = check.parts.iter().zip(&check.samples).map(|(part, n)| format!("{part} {n}")).collect();
    let parts = if check.parts.len() > 1 { format!(" ({})", parts.join(", ")) } else { String::new() };
    let groups = check.groups.map(|groups| format!(", {}", count(groups, "group"))).unwrap_or_default();
    let classes = super::classes(check);
    let head = format!("{}: {}{parts}, {classes}{groups}, {}", check.name, count(total, "sample"), count(check.sensors.len(), "sensor"));
    line(&mut text, &head);
    line(&mut text, &format!("  {}", check.place));
    for sensor in &check.sensors {
        of_sensor(&mut text, sensor);
    }
    check.pixels.iter().for_each(|pixels| of_pixels(&mut text, &check.parts, pixels));
    match &check.predicted {
        Some(Predicted::Labels(labels)) => counts(&mut text, "samples with the label", &check.parts, labels),
        Some(Predicted::Numbers(numbers)) => spreads(&mut text, numbers),
        _ => {}
    }
    if !check.classes.is_empty() {
        counts(&mut text, "classes", &check.parts, &check.classes);
    }
    if check.sensors.len() > 1 && !check.combinations.is_empty() {
        counts(&mut text, "sensors that samples have", &check.parts, &check.combinations);
    }
    line(&mut text, "");
    check.verdicts.iter().for_each(|verdict| of_verdict(&mut text, verdict));
    let levels = [Level::Error, Level::Warning, Level::Remark];
    let told: Vec<String> = levels.iter().map(|&level| count(check.count(level), word(level))).collect();
    line(&mut text, &told.join(", "));
    text
}

fn of_sensor(text: &mut String, sensor: &Sensor) {
    let shape: Vec<String> = sensor.shape.iter().map(usize::to_string).collect();
    let unreadable = match sensor.unreadable.len() {
        0 => String::new(),
        n => format!(", {n} cannot be read"),
    };
    line(text, "");
    let readings = format!("{}, {} absent{unreadable}", count(sensor.present, "reading"), sensor.absent);
    line(text, &format!("{}  {} [{}]  {readings}", sensor.name, sensor.kind, shape.join(", ")));
    for form in sensor.forms.iter().filter(|form| form.what != "shape" || form.values.len() > 1) {
        let values: Vec<String> = form.values.iter().take(VALUES).map(|(value, n)| format!("{value} ({n})")).collect();
        let more = if form.values.len() > VALUES { format!(" and {} more", form.values.len() - VALUES) } else { String::new() };
        line(text, &format!("  {:9} {}{more}", form.what, values.join(", ")));
    }
    if let Some(lengths) = sensor.lengths {
        let [least, median, most] = [lengths.least, lengths.median, lengths.most].map(short);
        line(text, &format!("  {:9} {least} to {most} {}, half of them below {median}", "length", lengths.unit));
    }
}

/// What label maps hold, and shares of the labelled pixels by class and part.
fn of_pixels(text: &mut String, parts: &[String], pixels: &Pixels) {
    let unreadable = match pixels.unreadable.len() {
        0 => String::new(),
        n => format!(", {n} cannot be read"),
    };
    line(text, "");
    line(text, &format!("label maps  {}{unreadable}", count(pixels.maps, "map")));
    let sizes: Vec<String> = pixels.sizes.values.iter().take(VALUES).map(|(value, n)| format!("{value} ({n})")).collect();
    line(text, &format!("  {:9} {}", pixels.sizes.what, sizes.join(", ")));
    line(text, "");
    let title = "% of labelled pixels";
    let names: Vec<String> = pixels.classes.iter().map(|class| format!("{} ({})", class.name, class.number)).collect();
    let width = names.iter().map(|name| name.chars().count()).chain([title.len()]).max().unwrap_or(0).min(40);
    let row = |text: &mut String, name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("  {cell:>10}")).collect();
        line(text, &format!("{name:width$}{cells}"));
    };
    row(text, title, parts.iter().cloned().chain(["in maps".into()]).collect());
    let labelled = pixels.labelled();
    for (class, name) in pixels.classes.iter().zip(&names) {
        let shares = class.pixels.iter().zip(&labelled).map(|(n, all)| share(*n, *all));
        row(text, name, shares.chain([class.maps.to_string()]).collect());
    }
    let void = pixels.void.iter().zip(&labelled).map(|(n, labelled)| share(*n, n + labelled));
    row(text, "void, % of all pixels", void.collect());
}

/// A table of counts by part.
fn counts(text: &mut String, title: &str, parts: &[String], rows: &[Counted]) {
    line(text, "");
    let shown = &rows[..rows.len().min(CLASSES)];
    let width = shown.iter().map(|row| row.name.chars().count()).chain([title.chars().count()]).max().unwrap_or(0).min(40);
    let head: String = parts.iter().map(|part| format!("  {part:>10}")).collect();
    line(text, &format!("{title:width$}{head}"));
    for row in shown {
        let numbers: String = row.samples.iter().map(|n| format!("  {n:>10}")).collect();
        line(text, &format!("{:width$}{numbers}", row.name));
    }
    if rows.len() > CLASSES {
        line(text, &format!("and {} more", rows.len() - CLASSES));
    }
}

fn spreads(text: &mut String, numbers: &[Spread]) {
    line(text, "");
    let width = numbers.iter().map(|number| number.name.chars().count()).chain(["number".len()]).max().unwrap_or(0).min(40);
    let row = |name: &str, cells: [String; 4]| {
        let cells: String = cells.iter().map(|cell| format!("  {cell:>10}")).collect();
        format!("{name:width$}{cells}")
    };
    line(text, &row("number", ["mean", "deviation", "lowest", "highest"].map(String::from)));
    for Spread { name, mean, std, lowest, highest } in numbers {
        line(text, &row(name, [mean, std, lowest, highest].map(|x| plain_number(*x))));
    }
}

fn of_verdict(text: &mut String, verdict: &Verdict) {
    line(text, &format!("{:8} {}: {}", word(verdict.level), verdict.about, verdict.found));
    verdict.places.iter().take(PLACES).for_each(|place| line(text, &format!("         - {place}")));
    if verdict.places.len() > PLACES {
        line(text, &format!("         - and {} more (all: --json)", verdict.places.len() - PLACES));
    }
    if !verdict.advice.is_empty() {
        line(text, &format!("         {}", verdict.advice));
    }
}

/// A line without what could move the cursor: names of files may hold anything.
fn line(text: &mut String, line: &str) {
    let clean: String = line.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", clean.trim_end());
}
