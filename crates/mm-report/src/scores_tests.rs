//! Scores that are no shares of right answers: errors, of which less is better, and areas, which hang on ranks.

use super::analysis::{Report, analyse};
use super::synthetic::Synthetic;
use super::*;
use crate::result::{CellResult, Measured};
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
