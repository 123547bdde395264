//! What a segmentation reaches with each combination, class by class.

use super::parts::{number, table};
use crate::analysis::{DataReport, OverSeeds, PixelReport, PixelScores};
use crate::words::{percent, spread};
use maud::{Markup, html};

/// The section; nothing where the target is another.
pub fn section(data: &DataReport) -> Markup {
    html! {
        @if !data.pixels.is_empty() {
            h3 { "Classes of pixels" }
            p.note {
                "In percent, of all test images together, mean over the seeds. Boundary IoU is the mean IoU of the pixels within 2 pixels of a boundary between two "
                "classes; log loss (nats a pixel) and calibration error: lower is better. Behind them the IoU of each class."
            }
            @for (i, run) in data.pixels.iter().enumerate() {
                details open[i == 0] { summary { (run.run) @if i == 0 && data.pixels.len() > 1 { " (best by mean)" } } (of_run(run, &data.classes)) }
            }
        }
    }
}

fn of_run(run: &PixelReport, classes: &[String]) -> Markup {
    let shares = |scores: &PixelScores| [scores.miou, scores.dice, scores.pixel_accuracy, scores.boundary_miou];
    let dice = run.of_interest.and_then(|class| classes.get(class)).map_or("Mean Dice".into(), |class| format!("Dice of {class}"));
    let heads = ["Mean IoU", &dice, "Pixel accuracy", "Boundary IoU", "Log loss", "Calibration error"];
    table(
        &format!("Classes of pixels, {}", run.run),
        html! {
            thead {
                tr {
                    th scope="col" rowspan="2" { "Combination" }
                    @for head in heads { th scope="col" rowspan="2" { (head) } }
                    th scope="colgroup" colspan=(classes.len()) { "IoU of the class" }
                }
                tr { @for class in classes { th scope="col" { (class) } } }
            }
            tbody { @for scores in &run.combinations { tr {
                th scope="row" { (scores.combination) }
                @for value in shares(scores) { (share(value)) }
                (plain(scores.nll))
                (share(scores.ece))
                @for value in &scores.classes { (share(*value)) }
            } } }
        },
    )
}

/// A share in percent, with its deviation over seeds.
pub fn share(value: Option<OverSeeds>) -> Markup {
    value.map_or(html! { td.muted { "–" } }, |v| number(&percent(v.mean), &spread(v.sd)))
}

/// A number with its deviation over seeds.
pub fn plain(value: Option<OverSeeds>) -> Markup {
    let spread = |v: OverSeeds| v.sd.map(|sd| format!("± {sd:.3}")).unwrap_or_default();
    value.map_or(html! { td.muted { "–" } }, |v| number(&format!("{:.3}", v.mean), &spread(v)))
}
