//! Scores that are no shares of right answers: errors, of which less is better, and areas, which hang on ranks.

use super::analysis::{Report, analyse};
use super::synthetic::Synthetic;
use super::*;
use crate::result::{AvailableResult, CellResult, CleanResult, Measured};
use mm_core::statistics::{Bootstrap, Score};

pub fn settings() -> Settings {
    Settings { bootstrap: Bootstrap { resamples: 300, seed: 0 }, ..Settings::default() }
}

fn report(results: &[CellResult]) -> Report {
    analyse("plan", "", results, &[], &settings()).expect("analysed")
}

/// The same results by how often they are wrong: an error that is not shown in percent.
pub fn as_errors(results: &[CellResult]) -> Vec<CellResult> {
    let measure =
        Measured { name: "mae".into(), title: "mean absolute error".into(), score: Score::Mean, higher_is_better: false, share: false };
    let sums = |marks: &str| marks.bytes().map(|mark| f32::from(u8::from(mark == b'0'))).collect::<Vec<f32>>();
    let evaluated = |marks: &str| marks.replace('0', "1");
    let mut results = results.to_vec();
    for result in &mut results {
        result.measure = measure.clone();
        result.classes.clear();
        result.predicts = Some("1 number".into());
        for c in &mut result.combinations {
            (c.sums, c.metrics.score) = (sums(&c.correct), 1.0 - c.metrics.score);
            c.correct = evaluated(&c.correct);
            c.confusion.clear();
        }
        for c in &mut result.corruptions {
            (c.sums, c.metrics.score) = (sums(&c.correct), 1.0 - c.metrics.score);
            c.correct = evaluated(&c.correct);
        }
        if let Some(c) = &mut result.clean {
            (c.sums, c.metrics.score) = (sums(&c.correct), 1.0 - c.metrics.score);
            c.correct = evaluated(&c.correct);
        }
    }
    results
}

#[test]
fn of_errors_less_is_better() {
    let results = Synthetic { seeds: vec![0, 1, 2], ..Synthetic::small() }.results();
    let (shares, errors) = (report(&results), report(&as_errors(&results)));
    for (shares, errors) in shares.data.iter().zip(&errors.data) {
        for (a, b) in shares.runs.iter().zip(&errors.runs) {
            assert!((a.mean.interval.estimate + b.mean.interval.estimate - 1.0).abs() < 1e-9);
            assert!((a.worst.interval.estimate + b.worst.interval.estimate - 1.0).abs() < 1e-9);
            assert_eq!(a.worst_combination, b.worst_combination);
            let gap = |run: &crate::analysis::RunReport| run.gap.map(|gap| (1e9 * gap.interval.estimate).round());
            assert_eq!(gap(a), gap(b), "how much worse the worst is");
            let verdicts = |run: &crate::analysis::RunReport| {
                run.comparison.as_ref().map(|c| [c.mean, c.worst, c.full].map(|judged| judged.map(|judged| judged.verdict)))
            };
            assert_eq!(verdicts(a), verdicts(b));
        }
        let best = |data: &crate::analysis::DataReport| data.headlines.iter().map(|h| h.best.clone()).collect::<Vec<_>>();
        assert_eq!(best(shares), best(errors));
        let sets = |data: &crate::analysis::DataReport| {
            data.sensors.as_ref().map(|sensors| sensors.sets.iter().map(|set| (set.name.clone(), set.front)).collect::<Vec<_>>())
        };
        assert_eq!(sets(shares), sets(errors));
        for (a, b) in shares.severity.iter().flat_map(|s| &s.runs).zip(errors.severity.iter().flat_map(|s| &s.runs)) {
            assert_eq!(a.comparison.map(|c| c.verdict), b.comparison.map(|c| c.verdict));
        }
    }
    let (page, text) = (crate::html::page(&errors).expect("page"), crate::markdown::text(&errors));
    assert!(page.contains("is lowest") && !page.contains("is highest") && text.contains("Scores as they are."));
    assert!(page.contains("Mean absolute error") && !page.contains("Mean absolute error, %") && page.contains("1 number ·"));
}

#[test]
fn areas_have_intervals_from_the_scores_of_the_samples() {
    let mut results = Synthetic { seeds: vec![0, 1], ..Synthetic::small() }.results();
    let measure =
        Measured { name: "auroc".into(), title: "AUROC".into(), score: Score::AreaUnderRoc { outputs: 1 }, ..Measured::default() };
    for result in &mut results {
        result.measure = measure.clone();
        result.corruptions.clear();
        result.clean = None;
        for c in &mut result.combinations {
            // Every second sample is positive; one that was right scores on its side.
            let numbers = |(i, mark): (usize, u8)| {
                let positive = i % 2 == 0;
                [if (mark == b'1') == positive { 1.0 } else { -1.0 }, f32::from(u8::from(positive))]
            };
            c.sums = c.correct.bytes().enumerate().flat_map(numbers).collect();
            c.metrics.score = measure.score.of_all(&c.sums);
            c.correct = c.correct.replace('0', "1");
        }
    }
    let report = report(&results);
    for run in &report.data[0].runs {
        let mean = run.mean.interval;
        assert!(mean.low < mean.estimate && mean.estimate < mean.high && mean.high <= 1.0, "{mean:?}");
        let each = run.combinations.iter().flatten().map(|c| c.accuracy).sum::<f64>() / run.combinations.len() as f64;
        assert!((each - mean.estimate).abs() < 1e-9, "{each} {mean:?}");
        assert!(run.shapley.is_some(), "a guess reaches one half");
    }
    assert!(crate::html::page(&report).expect("page").contains("AUROC, %"));
}

/// Areas of which all test samples of one seed with one sensor are of one class, and so are all under a corruption and with what samples have.
#[test]
fn what_samples_do_not_define_is_written_and_read_without_it() {
    let measure =
        Measured { name: "auroc".into(), title: "AUROC".into(), score: Score::AreaUnderRoc { outputs: 1 }, ..Measured::default() };
    let mut results = Synthetic { seeds: vec![0, 1], ..Synthetic::small() }.results();
    for result in &mut results {
        result.measure = measure.clone();
        let seed = result.seed;
        let scored = |marks: &mut String, is_one_class: bool| {
            let of = |(i, mark): (usize, u8)| [f32::from(mark), f32::from(u8::from(is_one_class || i % 2 == 0))];
            let sums: Vec<f32> = marks.bytes().enumerate().flat_map(of).collect();
            *marks = marks.replace('0', "1");
            (measure.score.of_all(&sums), sums)
        };
        for c in &mut result.combinations {
            (c.metrics.score, c.sums) = scored(&mut c.correct, seed == 1 && c.subset == "depth");
            if c.metrics.score.is_nan() {
                // As a program wrote it that took the rounding of sums for a spread.
                c.metrics.score = -1e37;
            }
        }
        for c in &mut result.corruptions {
            (c.metrics.score, c.sums) = scored(&mut c.correct, c.severity == 5);
        }
        let clean = result.clean.as_mut().expect("clean");
        (clean.metrics.score, clean.sums) = scored(&mut clean.correct, true);
        let CleanResult { metrics, correct, sums, excluded } = clean.clone();
        result.available = Some(AvailableResult { metrics, correct, sums, excluded, placements: Vec::new(), removed: Vec::new() });
    }
    let read = |result: &CellResult| -> CellResult {
        let bytes = serde_json::to_vec(&result.clone().with_defined_scores()).expect("json");
        serde_json::from_slice(&bytes).expect("read")
    };
    let results: Vec<CellResult> = results.iter().map(read).collect();
    let cell = &results[1];
    assert!(cell.clean.is_none() && cell.available.is_none() && cell.corruptions.len() == 4, "{:?}", cell.data_remarks);
    assert!(cell.not_evaluated[0].undefined && cell.summary.as_ref().is_some_and(|summary| summary.worst >= 0.0));
    let data = report(&results).data.remove(0);
    assert!(data.runs.iter().all(|run| run.evaluated == 2 && run.combinations[1].is_some_and(|depth| depth.interval.is_none())));
    let says = |remark: &str| data.data_remarks.iter().any(|found| found.starts_with(remark));
    assert!(says("seed 1: the AUROC of depth is not defined on its 80 test samples"), "{:?}", data.data_remarks);
    assert!(says("the AUROC under gaussian on rgb, severity 5, is not defined on the test samples"), "{:?}", data.data_remarks);
}

#[test]
fn the_best_with_all_modalities_is_the_best_of_all_that_have_them() {
    let mut results = Synthetic { seeds: vec![0, 1], ..Synthetic::small() }.results();
    results.iter_mut().filter(|r| r.run == "modality-dropout").for_each(|r| {
        r.combinations.retain(|c| c.subset != "rgb");
        r.combinations.iter_mut().for_each(|c| (c.correct, c.metrics.score) = ("1".repeat(80), 1.0));
    });
    let best: Vec<String> = report(&results).data[0].headlines.iter().map(|headline| headline.best.clone()).collect();
    assert_eq!(best, ["better", "better", "modality-dropout"]);
}

#[test]
fn small_scores_have_an_exponent() {
    let words = crate::words::Words::from(&Measured { share: false, ..Measured::default() });
    assert_eq!(
        [1.5e-11, -2e-8, 0.0, 1e-17, 1.234e-7, 0.5].map(|x| words.score(x)),
        ["1.50e−11", "−2.00e−8", "0.00", "0.00", "0.000000123", "0.500"]
    );
    let interval = mm_core::statistics::Interval { estimate: 2e-11, low: 0.0, high: 4e-11 };
    assert_eq!(words.interval(&interval), "2.00e−11 [0, 4.00e−11]");
    assert_eq!(words.points_interval(&interval), "+2.00e−11 [0, +4.00e−11]");
}
