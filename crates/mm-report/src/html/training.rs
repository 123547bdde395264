//! Training curves, and calibration by size.

use super::Inks;
use crate::Error;
use crate::analysis::{DataReport, EpochMean};
use crate::chart::{LineChart, Series, lines};
use crate::words::Words;
use maud::{Markup, html};

/// Loss and validation accuracy by epoch, where recorded.
pub fn section(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    let loss = curve(data, inks, |e| e.loss);
    let title = &data.measure.title;
    let scores = curve(data, inks, |e| e.validation_score);
    if loss.is_empty() && scores.is_empty() {
        return Ok(html! {});
    }
    let chart = |title: &str, y: &str, percent, series: Vec<Series>| {
        let description = "Mean over the seeds by epoch, one line a run";
        if series.is_empty() {
            Ok(html! {})
        } else {
            lines(&LineChart { title, description, x: "epoch", y, percent, whole: false, series })
        }
    };
    Ok(html! {
        h3 { "Training" }
        p.note { "Means over the seeds. Losses of different methods have different terms: compare their course, not their height." }
        div.charts {
            (chart("Training loss (weighted sum of all terms)", "loss", false, loss)?)
            (chart(&format!("Validation {title}, mean over combinations"), &format!("{title}{}", Words::from(&data.measure).unit()), data.measure.share, scores)?)
        }
    })
}

fn curve(data: &DataReport, inks: &Inks, of: fn(&EpochMean) -> Option<f64>) -> Vec<Series> {
    let series = data.runs.iter().map(|run| Series {
        ink: inks.of(&run.run),
        points: run.training.iter().filter_map(|e| Some((e.epoch as f64 + 1.0, of(e)?, None))).collect(),
    });
    series.filter(|s| !s.points.is_empty()).collect()
}

/// Calibration error by number of modalities.
pub fn ece_by_size(data: &DataReport, inks: &Inks) -> Result<Markup, Error> {
    if data.modalities.len() < 2 || data.runs.iter().all(|r| r.calibration.ece_by_size.is_empty()) {
        return Ok(html! {});
    }
    let series = data.runs.iter().filter(|r| r.complete).map(|r| Series {
        ink: inks.of(&r.run),
        points: r.calibration.ece_by_size.iter().map(|(size, ece)| (*size as f64, *ece, None)).collect(),
    });
    let title = "Calibration error by number of modalities present";
    let description = "Mean expected calibration error over all combinations of each size, one line a run";
    lines(&LineChart { title, description, x: "modalities present", y: "ECE, %", percent: true, whole: true, series: series.collect() })
}
