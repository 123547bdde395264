//! What test samples have: a section of the report by itself.

use super::analysis::{Report, analyse};
use super::synthetic::Synthetic;
use super::tests::check_html;
use super::*;
use crate::result::{AvailableResult, CellResult, Excluded, RemovedResult};
use crate::rows::Rows;
use mm_core::statistics::Bootstrap;

fn report(results: &[CellResult]) -> Report {
    let settings = Settings { bootstrap: Bootstrap { resamples: 120, seed: 0 }, ..Settings::default() };
    analyse("plan", "", results, &[], &settings).expect("analysis")
}

fn page(results: &[CellResult]) -> String {
    let page = html::page(&report(results)).expect("page");
    check_html(&page);
    page
}

/// Two classes, two seeds on the same samples, some of which lack a sensor.
fn with_absence() -> Vec<CellResult> {
    let mut results = Synthetic { classes: vec!["well".into(), "ill".into()], corruptions: Vec::new(), ..Synthetic::small() }.results();
    for result in &mut results {
        let full = result.combinations.last().expect("combinations").clone();
        let mut metrics = full.metrics.clone();
        metrics.values.insert("auroc".into(), 0.8 + 0.01 * result.seed as f64);
        let mut fewer = metrics.clone();
        fewer.score -= 0.1;
        fewer.values.insert("auroc".into(), 0.7);
        let removed = vec![RemovedResult { count: 1, metrics: fewer, left_out: 0 }];
        result.test_rows = Some(Rows::new((0..result.test_samples).collect()));
        result.available = Some(AvailableResult {
            placements: (0..result.test_samples).map(|i| 0.6 + 0.4 * (i % 2) as f32).collect(),
            sums: Vec::new(),
            excluded: Excluded::default(),
            correct: full.correct,
            metrics,
            removed,
        });
    }
    results
}

#[test]
fn what_samples_have_is_a_section_of_its_own() {
    let results = with_absence();
    let report = report(&results);
    let available = report.data[0].available.as_ref().expect("a section");
    assert_eq!(available.runs.len(), 2);
    let better = &available.runs[1];
    assert!(better.comparison.is_some() && available.runs[0].comparison.is_none());
    assert_eq!(better.curve.iter().map(|point| point.removed).collect::<Vec<_>>(), [0, 1]);
    // The positives are every second sample, each on the right side of all others.
    let auroc = better.auroc.expect("the same samples for all seeds");
    assert!((auroc.estimate - 1.0).abs() < 1e-9, "{auroc:?}");
    assert!((better.values["auroc"].mean - 0.805).abs() < 1e-9);
    let page = page(&results);
    assert!(
        page.contains("With the sensors that each sample has")
            && page.contains("AUROC when more sensors go")
            && page.contains("1 more gone")
    );
    let text = markdown::text(&report);
    assert!(text.contains("### With the sensors that each sample has") && text.contains("| AUROC | 0 more gone | 1 more gone |"), "{text}");
    // Other samples for each seed: no interval of one sample of samples.
    let other: Vec<CellResult> = Synthetic { classes: vec!["well".into(), "ill".into()], ..Synthetic::small() }
        .results()
        .into_iter()
        .zip(&results)
        .map(|(own, with)| CellResult { available: with.available.clone(), ..own })
        .collect();
    assert!(self::report(&other).data[0].available.as_ref().expect("a section").runs.iter().all(|run| run.auroc.is_none()));
    // A seed without it: nothing is said of that run.
    let mut some = results.clone();
    some[0].available = None;
    assert_eq!(self::report(&some).data[0].available.as_ref().expect("a section").runs.len(), 1);
    assert!(self::report(&Synthetic::small().results()).data[0].available.is_none());
}
