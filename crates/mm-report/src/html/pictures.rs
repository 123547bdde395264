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
                "Test samples chosen by the " (data.measure.title) " of each alone with " (all.subset) ": the best, the median, the worst, and the one that loses most "
                "with another combination. Below each prediction is where it is wrong, and its own score in percent. One training each."
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

#[cfg(test)]
mod tests {
    use crate::analysis::analyse;
    use crate::pictured::{FOLDER, Picture, Pictured, PicturedPrediction, Reason};
    use crate::result::{CellResult, Measured};
    use crate::synthetic::Synthetic;
    use crate::tests::check_html;
    use crate::{Settings, html, markdown};
    use mm_core::data::PixelLabels;
    use mm_core::statistics::{Bootstrap, Score};
    use std::path::Path;

    /// Made-up results as those of a segmentation, with pictures of one sample each.
    fn results(folder: &Path) -> Vec<CellResult> {
        let mut results = Synthetic::small().results();
        for cell in &mut results {
            cell.measure =
                Measured { name: "miou".into(), title: "mean IoU".into(), score: Score::MeanIou { classes: 3 }, ..Measured::default() };
            cell.combinations.iter_mut().for_each(|c| c.sums = sums(&c.correct));
            cell.clean.iter_mut().for_each(|c| c.sums = sums(&c.correct));
            cell.corruptions.iter_mut().for_each(|c| c.sums = sums(&c.correct));
            let predictions = ["rgb+depth", "rgb"].map(|name| PicturedPrediction { subset: name.into(), score: 0.75 });
            cell.pictures = vec![Pictured {
                sample: 3,
                reasons: vec![Reason::Best, Reason::LargestDrop("rgb".into())],
                sensors: vec!["rgb".into()],
                predictions: predictions.to_vec(),
            }];
            let at = folder.join(&cell.key);
            std::fs::create_dir_all(at.join(FOLDER)).expect("made");
            let png = PixelLabels::new(2, 3, vec![0, 1, 2, 3, 1, 2]).and_then(|map| map.to_png()).expect("a picture");
            let of_predictions = (0..2).flat_map(|c| [Picture::Prediction(c), Picture::Errors(c)]);
            for picture in [Picture::Sensor(0), Picture::Truth].into_iter().chain(of_predictions) {
                std::fs::write(picture.path(&at, 0), &png).expect("written");
            }
            cell.folder = Some(at);
        }
        results
    }

    /// Each image has ten pixels of each of two classes, right or taken for the other.
    fn sums(correct: &str) -> Vec<f32> {
        let of = |mark| if mark == '1' { [10.0, 10.0, 0.0] } else { [0.0; 3] };
        correct.chars().flat_map(|mark| of(mark).into_iter().chain([10.0, 10.0, 0.0, 10.0, 10.0, 0.0])).collect()
    }

    fn analysed(results: &[CellResult]) -> (crate::analysis::Report, String) {
        let settings = Settings { bootstrap: Bootstrap { resamples: 50, seed: 0 }, ..Settings::default() };
        let report = analyse("plan", "", results, &[], &settings).expect("analysis");
        let page = html::page(&report).expect("page");
        check_html(&page);
        (report, page)
    }

    #[test]
    fn pictures_and_scores_of_classes_are_in_the_page() {
        let folder = tempfile::tempdir().expect("folder");
        let mut results = results(folder.path());
        let (report, page) = analysed(&results);
        let data = &report.data[0];
        let runs: Vec<(&str, u64)> = data.pictures.iter().map(|run| (run.run.as_str(), run.seed)).collect();
        assert_eq!(runs, [("better", 0), ("modality-dropout", 0)], "the best run first, its first seed");
        let id = &results[0].sample_ids().expect("ids")[3];
        assert_eq!(page.matches("<img ").count(), 2 * 6);
        assert!(page.contains(&format!("Best, largest drop (with rgb): sample {id}")) && page.contains("void (not labelled)"));
        assert!(page.contains("errors with rgb+depth") && page.contains("IoU of the class"));
        assert_eq!((data.pixels[0].run.as_str(), data.pixels[0].combinations.len()), ("better", 3));
        assert!(data.pixels[0].combinations.iter().all(|scores| scores.classes.len() == 3 && scores.classes[0].is_some()));
        assert!(markdown::text(&report).contains("| Combination | Mean IoU |"));
        // A page without any of it: results of a folder that lost its pictures, and of an older version.
        std::fs::remove_dir_all(folder.path().join(&results[0].key).join(FOLDER)).expect("removed");
        results[1..].iter_mut().for_each(|cell| cell.pictures.clear());
        let (report, page) = analysed(&results);
        assert!(report.data[0].pictures.is_empty() && !page.contains("<img") && page.contains("IoU of the class"));
        let (report, page) = analysed(&Synthetic::small().results());
        assert!(report.data[0].pixels.is_empty() && !page.contains("IoU of the class"));
    }
}
