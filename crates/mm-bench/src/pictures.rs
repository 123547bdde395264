//! Pictures of a few test samples of a segmentation, beside the result of a cell. Which ones is known after the evaluation, which keeps no
//! predictions: the chosen samples are predicted once more, one by one.

use anyhow::Result;
use mm_core::data::image::smaller;
use mm_core::data::pictures::{error_picture, sensor_picture};
use mm_core::data::{InputKind, PixelLabels, Source, TargetValue};
use mm_core::eval::Evaluation;
use mm_core::weights::write_atomically;
use mm_core::{Model, Subset};
use mm_report::pictured::{FOLDER, Picture, Pictured, PicturedPrediction, Reason, SIDE};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Up to this many combinations, all are shown.
const ALL_UP_TO: usize = 8;
/// Of more: all sensors, each alone, and all but each; so many of them.
const MOST: usize = 12;

/// The samples that a cell was tested on.
#[derive(Clone, Copy)]
pub struct Tested<'a> {
    /// As the model sees them.
    pub standardized: &'a dyn Source,
    /// As they are read.
    pub raw: &'a dyn Source,
    /// Their rows.
    pub rows: &'a [usize],
}

/// Chooses samples, writes their pictures into the folder of a cell, and says which they are; nothing where pixels have no class.
pub fn write(folder: &Path, model: &dyn Model, tested: Tested, evaluation: &Evaluation) -> Result<Vec<Pictured>> {
    let schema = tested.raw.schema();
    if !schema.target.is_dense() {
        return Ok(Vec::new());
    }
    let subsets = shown(&evaluation.combinations.iter().map(|c| c.subset).collect::<Vec<_>>(), schema.modalities.full());
    let score = schema.score();
    let of_sample = |numbers: &[f32]| score.of(&numbers.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), 1.0);
    let of_combination = |subset: &Subset| {
        let found = evaluation.combinations.iter().find(|c| c.subset == *subset);
        let outcomes = found.map(|c| c.outcomes.as_slice()).unwrap_or_default();
        Scores { name: schema.modalities.format(*subset), of_samples: outcomes.chunks_exact(score.width()).map(of_sample).collect() }
    };
    let scores: Vec<Scores> = subsets.iter().map(of_combination).collect();
    std::fs::create_dir_all(folder.join(FOLDER))?;
    let mut pictured = Vec::new();
    for (position, (sample, reasons)) in choose(&scores).into_iter().enumerate() {
        // What the sample lacks, is not predicted from.
        let there: Vec<usize> = (0..subsets.len()).filter(|&c| scores[c].of_samples[sample].is_finite()).collect();
        let asked: Vec<Subset> = there.iter().map(|&c| subsets[c]).collect();
        let row = tested.rows[sample];
        let read = tested.raw.read(row)?;
        let TargetValue::Pixels(truth) = &read.target else { continue };
        let [height, width] = smaller([truth.height(), truth.width()], SIDE);
        let truth = truth.resized(height, width)?;
        let save = |picture: Picture, bytes: &[u8]| write_atomically(&picture.path(folder, position), bytes);
        let mut sensors = Vec::new();
        for ((name, input), reading) in schema.modalities.names().iter().zip(&schema.inputs).zip(&read.readings) {
            let Some(reading) = reading.as_ref().filter(|_| input.kind == InputKind::Image) else { continue };
            if let Some(bytes) = sensor_picture(reading, SIDE)? {
                save(Picture::Sensor(sensors.len()), &bytes)?;
                sensors.push(name.clone());
            }
        }
        save(Picture::Truth, &truth.to_png()?)?;
        for (c, prediction) in predict(model, tested.standardized, row, &asked)?.iter().enumerate() {
            let prediction = prediction.resized(height, width)?;
            save(Picture::Prediction(c), &prediction.to_png()?)?;
            save(Picture::Errors(c), &error_picture(&prediction, &truth)?)?;
        }
        let prediction = |&c: &usize| PicturedPrediction { subset: scores[c].name.clone(), score: scores[c].of_samples[sample] };
        pictured.push(Pictured { sample, reasons, sensors, predictions: there.iter().map(prediction).collect() });
    }
    Ok(pictured)
}

/// The class of each pixel of a row, from each combination.
fn predict(model: &dyn Model, data: &dyn Source, row: usize, subsets: &[Subset]) -> Result<Vec<PixelLabels>> {
    let batch = data.batch(&[row], model.parameters().device())?;
    let found = Mutex::new(vec![None; subsets.len()]);
    model.visit_combinations(batch.inputs(), subsets, &|c, output| {
        let (_, _, height, width) = output.prediction.dims4()?;
        let labels = PixelLabels::of_logits(&output.prediction.flatten_all()?.to_vec1::<f32>()?, height, width)?;
        found.lock().unwrap_or_else(PoisonError::into_inner)[c] = Some(labels);
        Ok(())
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect())
}

/// The combinations of which there are pictures, the largest first: that of all sensors, if it was evaluated.
fn shown(evaluated: &[Subset], full: Subset) -> Vec<Subset> {
    let Some(&all) = evaluated.iter().rev().max_by_key(|subset| subset.len()) else { return Vec::new() };
    let others = evaluated.iter().copied().filter(|&subset| subset != all);
    let few = evaluated.len() <= ALL_UP_TO;
    let others = others.filter(|subset| few || subset.len() == 1 || subset.len() + 1 == full.len());
    std::iter::once(all).chain(others).take(MOST).collect()
}

/// What each sample reaches with one combination.
struct Scores {
    /// The combination as text.
    name: String,
    /// By sample; not finite where it has no score.
    of_samples: Vec<f64>,
}

/// The best, the median and the worst sample with the first combination, and the one that loses most with another; each once, with all its
/// reasons. Of equals the first; with an even number the median is the worse of the two in the middle.
fn choose(scores: &[Scores]) -> Vec<(usize, Vec<Reason>)> {
    let Some((all, others)) = scores.split_first() else { return Vec::new() };
    let score = |sample: usize| all.of_samples[sample];
    let mut ranked: Vec<usize> = (0..all.of_samples.len()).filter(|&sample| score(sample).is_finite()).collect();
    ranked.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let (Some(&best), Some(&last)) = (ranked.first(), ranked.last()) else { return Vec::new() };
    let worst = ranked.iter().copied().find(|&sample| score(sample) == score(last)).unwrap_or(last);
    let mut chosen = vec![(best, Reason::Best), (ranked[ranked.len() / 2], Reason::Median), (worst, Reason::Worst)];
    let lost = others.iter().flat_map(|other| {
        let drop = |&sample: &usize| (score(sample) - other.of_samples[sample], sample, &other.name);
        ranked.iter().map(drop).filter(|(drop, ..)| *drop > 0.0)
    });
    let most = lost.reduce(|most, next| if (next.0, most.1) > (most.0, next.1) { next } else { most });
    chosen.extend(most.map(|(_, sample, name)| (sample, Reason::LargestDrop(name.clone()))));
    let mut samples: Vec<(usize, Vec<Reason>)> = Vec::new();
    for (sample, reason) in chosen {
        match samples.iter_mut().find(|(other, _)| *other == sample) {
            Some((_, reasons)) => reasons.push(reason),
            None => samples.push((sample, vec![reason])),
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(of: &[(&str, &[f64])]) -> Vec<Scores> {
        of.iter().map(|(name, of_samples)| Scores { name: (*name).into(), of_samples: of_samples.to_vec() }).collect()
    }

    #[test]
    fn the_best_the_median_the_worst_and_the_largest_drop_are_chosen() {
        let nan = f64::NAN;
        // Sample 0 lacks a sensor, of sample 4 nothing is labelled.
        let all: &[f64] = &[nan, 0.9, 0.5, 0.7, nan, 0.2, 0.8];
        let found = choose(&scores(&[
            ("rgb+depth", all),
            ("rgb", &[0.1, 0.8, 0.5, 0.6, nan, 0.1, 0.1]),
            ("depth", &[nan, 0.5, 0.9, 0.1, nan, 0.3, 0.6]),
        ]));
        let drop = Reason::LargestDrop("rgb".into());
        assert_eq!(found, [(1, vec![Reason::Best]), (3, vec![Reason::Median]), (5, vec![Reason::Worst]), (6, vec![drop])]);
        // One sample may be several; nothing is lost with a combination that is better.
        assert_eq!(choose(&scores(&[("rgb", &[0.5]), ("depth", &[0.6])])), [(0, vec![Reason::Best, Reason::Median, Reason::Worst])]);
        // Equals: the first, and for the median the middle of their order.
        let equal = choose(&scores(&[("a+b", &[0.5; 3]), ("a", &[0.5, 0.1, 0.1])]));
        let drop = Reason::LargestDrop("a".into());
        assert_eq!(equal, [(0, vec![Reason::Best, Reason::Worst]), (1, vec![Reason::Median, drop])]);
        assert_eq!(choose(&scores(&[("a", &[nan, nan])])), []);
        assert_eq!(choose(&[]), []);
    }

    #[test]
    fn of_many_combinations_some_are_shown() {
        let few: Vec<Subset> = Subset::all_non_empty(3).collect();
        let found = shown(&few, Subset::full(3));
        assert_eq!((found.len(), found[0]), (7, Subset::full(3)));
        for sensors in [4, 6] {
            let all: Vec<Subset> = Subset::all_non_empty(sensors).collect();
            let found = shown(&all, Subset::full(sensors));
            assert_eq!((found.len(), found[0]), ((1 + 2 * sensors).min(MOST), Subset::full(sensors)));
            assert!(found[1..].iter().all(|subset| [1, sensors - 1].contains(&subset.len())), "{found:?}");
        }
        // A model that lacks the combination of all: the first of the largest stands for it.
        assert_eq!(shown(&few[..6], Subset::full(3))[0].len(), 2);
        assert_eq!(shown(&[], Subset::full(3)), []);
    }
}
