//! What a segmentation shows to the eye: a few test samples with what each sensor saw, the truth, and each combination's prediction and errors.

use super::address;
use crate::analysis::{DataReport, RunPictures, SamplePictures};
use crate::pictured::{Picture, Reason};
use crate::words::{capitalized, percent};
use maud::{Markup, html};
use mm_core::data::pictures::{RIGHT, WRONG};
use mm_core::data::{VOID_COLOUR, class_colour};

/// The section; nothing where no result has pictures.
pub fn section(data: &DataReport) -> Markup {
    let all = data.pictures.iter().flat_map(|run| &run.samples).find_map(|sample| sample.about.predictions.first());
    html! {
        @if let Some(all) = all {
            h3 { "Pictures" }
            p.note {
                "Test samples that the " (data.measure.title) " of the sample alone with " (all.subset) " chose: the best, the median, the worst, and the one that loses "
                "most with another combination. Under each prediction is where it is wrong, and its own score in percent. One training each."
            }
            (legend(&data.classes))
            @for (i, run) in data.pictures.iter().enumerate() {
                details open[i == 0] {
                    summary { (run.run) ", seed " (run.seed) @if i == 0 && data.runs.len() > 1 { " (best by mean)" } }
                    @for sample in &run.samples { (of_sample(sample, run)) }
                }
            }
        }
    }
}

/// What the colours mean.
fn legend(classes: &[String]) -> Markup {
    let void = [("void (not labelled)", VOID_COLOUR)];
    let named = classes.iter().enumerate().map(|(class, name)| (name.as_str(), class_colour(class))).chain(void);
    let errors = [("right", RIGHT), ("wrong", WRONG), ("void", VOID_COLOUR)];
    html! {
        p.colours { b { "Classes" } @for (name, colour) in named { span { (swatch(colour)) (name) } } }
        p.colours { b { "Errors" } @for (name, colour) in errors { span { (swatch(colour)) (name) } } }
    }
}

fn swatch([r, g, b]: [u8; 3]) -> Markup {
    html! { i style={ "background:rgb(" (r) "," (g) "," (b) ")" } {} }
}

fn of_sample(sample: &SamplePictures, run: &RunPictures) -> Markup {
    let title = format!("{}: sample {}", reasons(sample), sample.id);
    let sensors = sample.about.sensors.iter().enumerate().map(|(m, name)| (Picture::Sensor(m), name.as_str()));
    html! {
        h4 { (title) }
        div.scroll role="region" aria-label={ (title) ", " (run.run) } tabindex="0" {
            div.strip {
                @for (picture, name) in sensors.chain([(Picture::Truth, "truth")]) {
                    figure { (image(sample, picture, name)) figcaption { (name) } }
                }
            }
            div.strip {
                @for (c, prediction) in sample.about.predictions.iter().enumerate() {
                    figure {
                        (image(sample, Picture::Prediction(c), &format!("prediction from {}", prediction.subset)))
                        (image(sample, Picture::Errors(c), &format!("errors with {}", prediction.subset)))
                        figcaption { (prediction.subset) " " b { (percent(prediction.score)) } }
                    }
                }
            }
        }
    }
}

/// Why it was chosen, as the beginning of a title.
fn reasons(sample: &SamplePictures) -> String {
    let word = |reason: &Reason| match reason {
        Reason::Best => "best".into(),
        Reason::Median => "median".into(),
        Reason::Worst => "worst".into(),
        Reason::LargestDrop(subset) => format!("largest drop (with {subset})"),
    };
    let text = sample.about.reasons.iter().map(word).collect::<Vec<String>>().join(", ");
    capitalized(&text)
}

fn image(sample: &SamplePictures, picture: Picture, what: &str) -> Markup {
    html! {
        @if let Some(bytes) = sample.file(picture) { img alt={ (what) ", sample " (sample.id) } src=(address(bytes)); }
    }
}
