//! Findings as one HTML file, in the style of the reports.

use super::{share, short, word};
use crate::Error;
use crate::chart::{Bar, BarGroup, Ink, bars};
use crate::html::{STYLE, address, table};
use crate::words::{count, plain_number};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use mm_core::data::check::{
    Check, Counted, GENERATOR, Level, Member, PixelClass, Pixels, Predicted, Sensor, Shown, Spread, Twins, Unreadable, Verdict,
};
use mm_core::statistics::Interval;

/// Classes in the chart.
const CHARTED: usize = 40;
/// Readings that are listed one by one.
const LISTED: usize = 200;

/// What this page has besides the reports' style.
const OWN_STYLE: &str = "
.shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,190px),1fr));gap:.9rem;margin:1rem 0}
.shots img,td img{display:block;max-width:100%;min-width:56px;max-height:120px;image-rendering:pixelated;border:1px solid var(--line);border-radius:4px;margin:.3rem 0}
.chip.error{background:var(--bad-bg);color:var(--bad)}
.chip.warning{background:var(--warn-bg);color:var(--warn)}
.verdict{border-left:4px solid var(--line);padding:.1rem .9rem;margin:1rem 0}
.verdict.error{border-color:var(--bad)}
.verdict.warning{border-color:var(--warn)}
.keys{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.88rem}
.keys span{display:inline-flex;align-items:center;gap:.35rem}
";

/// The page; the pictures are in it, nothing is loaded from elsewhere.
pub fn page(check: &Check) -> Result<String, Error> {
    let total: usize = check.samples.iter().sum();
    let balance = balance(check)?;
    let title = if check.predicted.is_some() { "What is predicted" } else { "Classes" };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(GENERATOR);
                title { (check.name) " – data check" }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body {
                header {
                    h1 { (check.name) }
                    p.lead {
                        (count(total, "sample")) " · " (super::classes(check)) " · " (count(check.sensors.len(), "sensor"))
                        @if let Some(groups) = check.groups { " · " (count(groups, "group")) }
                    }
                    p.note { "Listed in " (check.place) ". Every reading was read once." }
                    nav aria-label="Sections" { a href="#verdicts" { "What to do" } a href="#sensors" { "Sensors" } a href="#classes" { (title) } a href="#samples" { "Samples" } }
                }
                main {
                    section id="verdicts" {
                        h2 { "What to do" }
                        p { @for level in [Level::Error, Level::Warning, Level::Remark] {
                            span class={ "chip " (word(level)) } { (count(check.count(level), word(level))) } " "
                        } }
                        @if check.verdicts.is_empty() { p { "Nothing was found that you need to know." } }
                        @for verdict in &check.verdicts { (of_verdict(verdict)) }
                    }
                    section id="sensors" {
                        h2 { "Sensors" }
                        (sensors(check))
                        @if check.sensors.len() > 1 { h3 { "Which sensors samples have" } (counts("Sensors of the samples", "Sensors", check, &check.combinations)) }
                        @for sensor in check.sensors.iter().filter(|sensor| !sensor.unreadable.is_empty()) {
                            (unreadable(&format!("Readings of {}", sensor.name), &sensor.unreadable))
                        }
                    }
                    section id="classes" {
                        h2 { (title) }
                        (balance)
                        @match &check.pixels {
                            Some(pixels) => (label_maps(check, pixels)),
                            None => @match &check.predicted {
                                Some(Predicted::Labels(labels)) => (counts("Samples by label", "Label", check, labels)),
                                Some(Predicted::Numbers(numbers)) => (spreads(numbers)),
                                _ => (counts("Samples by class", "Class", check, &check.classes)),
                            },
                        }
                    }
                    section id="samples" {
                        h2 { "Samples" }
                        (examples(check))
                        (twins(check))
                    }
                }
            }
        }
    };
    Ok(page.into_string())
}

fn of_verdict(verdict: &Verdict) -> Markup {
    html! {
        div class={ "verdict " (word(verdict.level)) } {
            p { span class={ "chip " (word(verdict.level)) } { (word(verdict.level)) } " " b { (verdict.about) } ": " (verdict.found) }
            @if !verdict.advice.is_empty() { p { (verdict.advice) } }
            @if !verdict.places.is_empty() {
                details open[verdict.places.len() <= 4] { summary { "Where" } ul { @for place in verdict.places.iter().take(LISTED) { li { (place) } } } }
            }
        }
    }
}

fn sensors(check: &Check) -> Markup {
    let range = |sensor: &Sensor| {
        sensor
            .lengths
            .map(|l| format!("{} to {} {}, median {}", short(l.least), short(l.most), l.unit, short(l.median)))
            .unwrap_or_default()
    };
    let forms = |sensor: &Sensor| -> Vec<String> {
        let form = |form: &mm_core::data::check::Form| {
            let values: Vec<String> = form.values.iter().take(4).map(|(value, n)| format!("{value} ({n})")).collect();
            format!("{}: {}{}", form.what, values.join(", "), if form.values.len() > 4 { ", …" } else { "" })
        };
        sensor.forms.iter().filter(|form| form.what != "shape").map(form).collect()
    };
    table(
        "Sensors",
        html! {
            thead { tr {
                th scope="col" { "Sensor" } th scope="col" { "Kind" } th scope="col" { "A model gets" } th scope="col" { "Readings" } th scope="col" { "Absent" }
                th scope="col" { "Unreadable" } th scope="col" { "Seen" }
            } }
            tbody { @for sensor in &check.sensors { tr {
                th scope="row" { (sensor.name) } td { (sensor.kind) }
                td.number { (sensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")) }
                td.number { (sensor.present) } td.number { (sensor.absent) } td.number { (sensor.unreadable.len()) }
                td { @for form in forms(sensor) { div { (form) } } @if sensor.lengths.is_some() { div { "length: " (range(sensor)) } } }
            } } }
        },
    )
}

fn unreadable(what: &str, unreadable: &[Unreadable]) -> Markup {
    let more = unreadable.len().saturating_sub(LISTED);
    html! {
        details {
            summary { (what) " that cannot be read (" (unreadable.len()) ")" }
            (table(&format!("{what} that cannot be read"), html! {
                thead { tr { th scope="col" { "Sample" } th scope="col" { "Where" } th scope="col" { "What is wrong" } } }
                tbody { @for one in unreadable.iter().take(LISTED) { tr { th scope="row" { (one.sample) } td { (one.place) } td { (one.problem) } } } }
            }))
            @if more > 0 { p.note { "And " (more) " more." } }
        }
    }
}

fn counts(label: &str, head: &str, check: &Check, rows: &[Counted]) -> Markup {
    table(
        label,
        html! {
            thead { tr { th scope="col" { (head) } @for part in &check.parts { th scope="col" { (part) } } } }
            tbody { @for row in rows { tr { th scope="row" { (row.name) } @for n in &row.samples { td.number { @if *n == 0 { span.muted { "0" } } @else { (n) } } } } } }
        },
    )
}

/// How numbers are spread.
fn spreads(numbers: &[Spread]) -> Markup {
    table(
        "Numbers",
        html! {
            thead { tr { th scope="col" { "Number" } @for head in ["Mean", "Standard deviation", "Lowest", "Highest"] { th scope="col" { (head) } } } }
            tbody { @for number in numbers { tr {
                th scope="row" { (number.name) }
                @for x in [number.mean, number.std, number.lowest, number.highest] { td.number { (plain_number(x)) } }
            } } }
        },
    )
}

/// What label maps hold.
fn label_maps(check: &Check, pixels: &Pixels) -> Markup {
    let labelled = pixels.labelled();
    let sizes: Vec<String> = pixels.sizes.values.iter().take(4).map(|(value, n)| format!("{value} ({n})")).collect();
    html! {
        p.note {
            (count(pixels.maps, "label map")) ", sizes of the files: " (sizes.join(", "))
            @if let Some([height, width]) = pixels.size { "; brought to " (height) " × " (width) }
        }
        (table("Pixels by class", html! {
            thead { tr {
                th scope="col" { "Class" } th scope="col" { "Number" }
                @for part in &check.parts { th scope="col" { (part) ", % of labelled pixels" } }
                th scope="col" { "In maps" }
            } }
            tbody {
                @for class in &pixels.classes { tr {
                    th scope="row" { span.keys { span { span.swatch style={ "--k:" (colour(class.colour)) } {} (class.name) } } }
                    td.number { (class.number) }
                    @for (n, all) in class.pixels.iter().zip(&labelled) { td.number { @if *n == 0 { span.muted { "0" } } @else { (share(*n, *all)) } } }
                    td.number { (class.maps) }
                } }
                tr {
                    th scope="row" { "void, % of all pixels" } td {}
                    @for (n, labelled) in pixels.void.iter().zip(&labelled) { td.number { (share(*n, n + labelled)) } }
                    td {}
                }
            }
        }))
        @if !pixels.unreadable.is_empty() { (unreadable("Label maps", &pixels.unreadable)) }
    }
}

fn colour([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Shares of the classes in each part, as bars.
fn balance(check: &Check) -> Result<Markup, Error> {
    let shares = |counts: &mut dyn Iterator<Item = (u64, u64)>| counts.map(|(n, all)| n as f64 / all.max(1) as f64).collect::<Vec<f64>>();
    let (classes, of): (Vec<(&String, Vec<f64>)>, _) = match &check.pixels {
        Some(pixels) => {
            let labelled = pixels.labelled();
            let class = |class: &PixelClass| shares(&mut class.pixels.iter().copied().zip(labelled.iter().copied()));
            (pixels.classes.iter().map(|c| (&c.name, class(c))).collect(), "labelled pixels")
        }
        None => {
            let class = |class: &Counted| shares(&mut class.samples.iter().zip(&check.samples).map(|(n, all)| (*n as u64, *all as u64)));
            (check.classes.iter().map(|c| (&c.name, class(c))).collect(), "samples")
        }
    };
    if classes.is_empty() || classes.len() > CHARTED {
        return Ok(html! {});
    }
    let bar =
        |(part, &share): (usize, &f64)| Bar { ink: Ink::Series(part + 1), value: Interval { estimate: share, low: share, high: share } };
    let group =
        |(name, shares): &(&String, Vec<f64>)| BarGroup { name: name.to_string(), bars: shares.iter().enumerate().map(bar).collect() };
    let groups: Vec<BarGroup> = classes.iter().map(group).collect();
    let title = format!("{} of each class in percent of all of the part", if of == "samples" { "Samples" } else { "Pixels" });
    let chart = bars("Share of each class", &title, &format!("percent of the {of}"), true, &groups)?;
    Ok(html! {
        @if check.parts.len() > 1 {
            p.keys { @for (part, name) in check.parts.iter().enumerate() {
                span { span.swatch style={ "--k:" (Ink::Series(part + 1).variable()) } {} (name) }
            } }
        }
        div.charts { (chart) }
    })
}

fn examples(check: &Check) -> Markup {
    html! {
        @if !check.examples.is_empty() {
            p.note { @if check.pixels.is_some() { "Some samples; label maps in the colours of the table above, void is black. " } @else { "Some samples of each class. " } "Sounds are shown as spectrograms: time to the right, frequency upwards, 70 dB from black to white." }
            (table("Some samples", html! {
                thead { tr { th scope="col" { "Sample" } @if check.pixels.is_some() { th scope="col" { "Label map" } } @else { th scope="col" { "Class" } } @for sensor in &check.sensors { th scope="col" { (sensor.name) } } } }
                tbody { @for example in &check.examples { tr {
                    th scope="row" { (example.sample) @if let Some(part) = &example.part { br; small { (part) } } }
                    @if check.pixels.is_some() { (reading(example.map.as_ref())) } @else { td { (example.label.as_deref().unwrap_or("–")) } }
                    @for shown in &example.readings { (reading(shown.as_ref())) }
                } } }
            }))
        }
    }
}

fn reading(shown: Option<&Shown>) -> Markup {
    html! {
        @match shown {
            Some(shown) => td {
                @if let Some(picture) = &shown.picture { img alt="" src=(address(picture)); }
                @if let Some(text) = &shown.text { div { (text) } }
                small { (shown.form) }
            },
            None => td.muted { "–" },
        }
    }
}

fn twins(check: &Check) -> Markup {
    let kinds = [("Readings that are there more than once", false), ("Images that look alike", true)];
    html! {
        @for (title, near) in kinds {
            @let sets: Vec<&Twins> = check.twins.iter().filter(|set| set.near == near).collect();
            @if !sets.is_empty() {
                h3 { (title) }
                div.shots { @for set in sets {
                    article.card {
                        h3 { (set.sensor.as_deref().unwrap_or("all sensors")) @if set.count > set.members.len() { " (" (set.count) ")" } }
                        @for member in &set.members { (of_member(member)) }
                    }
                } }
            }
        }
    }
}

fn of_member(member: &Member) -> Markup {
    html! {
        div {
            @if let Some(picture) = &member.picture { img alt="" src=(address(picture)); }
            small { (member.sample) @if let Some(part) = &member.part { " · " (part) } @if let Some(label) = &member.label { " · " (label) } br; (member.place) }
        }
    }
}
