//! Degraded sensors of which some runs or seeds lack something: what is left out is named.

use super::analysis::{DataReport, analyse};
use super::scores_tests::settings;
use super::synthetic::Synthetic;
use crate::result::CellResult;

/// The report on results of which those of the run `better` are changed, its page and its text.
fn changed(change: impl Fn(&mut CellResult)) -> (DataReport, String, String) {
    let mut results = Synthetic { seeds: vec![0, 1, 2], ..Synthetic::small() }.results();
    results.iter_mut().filter(|r| r.run == "better").for_each(change);
    let mut report = analyse("plan", "", &results, &[], &settings()).expect("analysed");
    let (page, text) = (crate::html::page(&report).expect("page"), crate::markdown::text(&report));
    (report.data.remove(0), page, text)
}

#[track_caller]
fn says(data: &DataReport, remark: &str) {
    assert!(data.remarks.iter().any(|found| found.contains(remark)), "{remark}: {:?}", data.remarks);
}

fn runs(data: &DataReport) -> Vec<&str> {
    data.severity[0].runs.iter().map(|run| run.run.as_str()).collect()
}

#[test]
fn an_area_goes_from_clean_to_the_most_severe() {
    let (data, page, text) = changed(|_| {});
    assert!(!data.remarks.iter().any(|remark| remark.contains("gaussian")), "{:?}", data.remarks);
    let run = &data.severity[0].runs[0];
    let heights: Vec<f64> = run.points.iter().map(|(_, score)| score.estimate).collect();
    let trapezoid = (heights[0] / 2.0 + heights[1..5].iter().sum::<f64>() + heights[5] / 2.0) / 5.0;
    assert!((run.area.expect("known").estimate - trapezoid).abs() < 1e-9);
    assert!(text.contains("averaged from clean to the most severe (trapezoid)") && text.contains("| Area | Most severe |"), "{text}");
    assert!(text.contains("] (5) |") && page.contains("averaged from clean to the most severe") && page.contains("] (5)</td>"));
}

#[test]
fn a_run_or_a_seed_without_a_corruption_is_named() {
    let (data, ..) = changed(|r| r.corruptions.clear());
    says(&data, "better has no result under gaussian on rgb: it is not shown there.");
    let (data, ..) = changed(|r| r.corruptions.retain(|_| r.seed != 1));
    says(&data, "better has no result under gaussian on rgb with seed 1: it is not shown there.");
    assert_eq!(runs(&data), ["modality-dropout"]);
    // At one severity nothing could be evaluated: there is no sample that all severities share.
    let (data, ..) = changed(|r| r.corruptions[4].correct = "-".repeat(80));
    says(&data, "better has no test sample that was evaluated at every severity under gaussian on rgb: it is not shown there.");
    let (data, ..) = changed(|r| r.corruptions.retain(|c| usize::from(c.severity) == r.seed as usize + 1));
    says(&data, "The seeds of better have no severity of gaussian on rgb in common: it is not shown there.");
}

#[test]
fn other_severities_are_not_compared() {
    let (data, ..) = changed(|r| r.corruptions.retain(|c| c.severity != 3));
    says(&data, "better has the severities 0, 1, 2, 4, 5 of gaussian on rgb, others have 0, 1, 2, 3, 4, 5: its area is left out");
    let areas: Vec<bool> = data.severity[0].runs.iter().map(|run| run.area.is_some()).collect();
    assert_eq!((runs(&data), areas), (vec!["modality-dropout", "better"], vec![true, false]));
    assert!(data.severity[0].runs[1].comparison.is_some(), "over the severities of both");
    let (data, ..) = changed(|r| r.corruptions.retain(|c| r.seed != 2 || c.severity != 3));
    says(&data, "of gaussian on rgb (seeds 0, 1 more, which other seeds lack), others have 0, 1, 2, 3, 4, 5");
}
