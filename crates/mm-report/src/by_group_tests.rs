//! Scores by group of the test samples.

use super::analysis::{GroupReport, analyse};
use super::scores_tests::{as_errors, settings};
use super::synthetic::Synthetic;
use super::write;
use crate::result::CellResult;

/// Every third sample is of the group `north`.
fn group_of(i: usize) -> &'static str {
    if i.is_multiple_of(3) { "north" } else { "south" }
}

fn grouped(mut results: Vec<CellResult>) -> Vec<CellResult> {
    for result in &mut results {
        result.test_groups = Some((0..result.test_samples).map(|i| group_of(i).to_string()).collect());
    }
    results
}

fn reports(results: &[CellResult]) -> Vec<GroupReport> {
    analyse("plan", "", results, &[], &settings()).expect("analysed").data.remove(0).by_group
}

#[test]
fn a_group_has_the_score_of_its_samples() {
    let results = grouped(Synthetic { seeds: vec![0, 1], ..Synthetic::small() }.results());
    let (shares, errors) = (reports(&results), reports(&as_errors(&results)));
    assert!(!shares.is_empty() && shares.len() == errors.len());
    let first = &results[0];
    let north = (0..first.test_samples).filter(|i| group_of(*i) == "north").count();
    // Each of the two seeds has test samples of its own.
    assert_eq!(shares[0].groups, [("north".to_string(), 2 * north), ("south".to_string(), 2 * (first.test_samples - north))]);
    for (report, as_errors) in shares.iter().zip(&errors) {
        for (run, of_errors) in report.runs.iter().zip(&as_errors.runs) {
            for (at, group) in ["north", "south"].into_iter().enumerate() {
                let of_seed = |result: &CellResult| {
                    let marks = &result.combinations.iter().find(|c| c.subset == report.combination).expect("evaluated").correct;
                    let marks: Vec<u8> = marks.bytes().enumerate().filter(|(i, _)| group_of(*i) == group).map(|(_, mark)| mark).collect();
                    let evaluated = marks.iter().filter(|mark| **mark != b'-').count();
                    marks.iter().filter(|mark| **mark == b'1').count() as f64 / evaluated as f64
                };
                let seeds = results.iter().filter(|r| r.data == first.data && r.run == run.run).map(of_seed).collect::<Vec<_>>();
                let expected = seeds.iter().sum::<f64>() / seeds.len() as f64;
                let found = [run, of_errors].map(|run| run.scores[at].expect("known").mean);
                assert!((found[0] - expected).abs() < 1e-12 && (found[1] - (1.0 - expected)).abs() < 1e-6, "{found:?} {expected}");
            }
        }
    }
}

#[test]
fn there_is_a_table_where_samples_have_groups_that_differ() {
    let results = Synthetic::small().results();
    assert!(reports(&results).is_empty());
    let one = |results: Vec<CellResult>, groups: usize| -> Vec<CellResult> {
        let of = |result: &CellResult| Some((0..result.test_samples).map(|i| format!("g{}", i % groups)).collect());
        results.into_iter().map(|result| CellResult { test_groups: of(&result), ..result }).collect()
    };
    assert!(reports(&one(results.clone(), 1)).is_empty() && reports(&one(results.clone(), 25)).is_empty());
    assert_eq!(reports(&one(results.clone(), 24))[0].groups.len(), 24);
    // A result of an older version does not say its groups: no table mixes it in.
    let mut mixed = grouped(results.clone());
    mixed[0].test_groups = None;
    assert!(reports(&mixed).is_empty());
    // Nor is one read that says them of other samples than it has.
    mixed[0].test_groups = Some(vec!["north".into(); mixed[0].test_samples + 1]);
    let error = analyse("plan", "", &mixed, &[], &settings()).expect_err("refused").to_string();
    assert!(error.contains("which groups its test samples are of"), "{error}");
    let folder = tempfile::tempdir().expect("folder");
    let paths = write(folder.path(), "plan", "", &grouped(results), &[], &settings()).expect("written");
    let (page, text) = (std::fs::read_to_string(paths.html).expect("page"), std::fs::read_to_string(paths.markdown).expect("text"));
    assert!(page.contains("By group") && text.contains("### By group: "), "{text}");
}

#[test]
fn a_number_says_how_many_samples_of_the_group_it_stands_on() {
    let mut results = grouped(Synthetic { seeds: vec![0], ..Synthetic::small() }.results());
    results.iter_mut().flat_map(|r| &mut r.combinations).filter(|c| c.subset == "depth").for_each(|c| {
        c.correct.replace_range(40.., &"-".repeat(40));
    });
    let report = analyse("plan", "", &results, &[], &settings()).expect("analysed");
    let of = |name: &str| report.data[0].by_group.iter().find(|group| group.combination == name).expect("shown").runs[0].samples.clone();
    assert_eq!((of("rgb"), of("depth")), (vec![27, 53], vec![14, 26]));
    let (page, text) = (crate::html::page(&report).expect("page"), crate::markdown::text(&report));
    let depth = text.split("### By group: depth").nth(1).expect("a table").split("###").next().expect("its end");
    assert!(depth.contains("† (14) |") && depth.contains("† (26) |") && depth.contains("† fewer than 30"), "{depth}");
    assert!(page.contains("(14)") && !text.contains("(53) †"), "{text}");
}
