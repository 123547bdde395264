//! The report of made-up results: whole, escaped, self-contained, and robust to what real plans lack.

use super::analysis::{Report, analyse};
use super::synthetic::Synthetic;
use super::*;
use crate::result::{Excluded, Measured, NotEvaluated};
use crate::rows::Rows;
use mm_core::statistics::{Estimate, Verdict, simultaneous};
use proptest::prelude::*;

fn quick() -> Settings {
    Settings { bootstrap: Bootstrap { resamples: 120, seed: 0 }, ..Settings::default() }
}

fn report(results: &[CellResult]) -> Report {
    analyse("plan", "", results, &[], &quick()).expect("analysis")
}

fn page(results: &[CellResult]) -> String {
    let report = report(results);
    let page = html::page(&report).expect("page");
    check_html(&page);
    let markdown = markdown::text(&report);
    assert!(markdown.contains("## Provenance"));
    for run in report.data.iter().flat_map(|data| &data.runs).filter(|run| !run.meaning.is_empty()) {
        assert!(page.contains(&run.meaning) && markdown.contains(&format!("{}: {}", run.run, run.meaning)), "{}", run.run);
    }
    page
}

/// Tags close in order, no attribute holds markup, nothing is loaded from elsewhere: pictures are in the page.
pub fn check_html(page: &str) {
    const VOID: [&str; 5] = ["meta", "input", "br", "hr", "img"];
    const PICTURE: &str = "src=\"data:image/png;base64,";
    let mut open: Vec<&str> = Vec::new();
    let body = page.replace('\n', " ");
    let (before, after) = body.split_once("<style>").expect("style");
    let (style, after) = after.split_once("</style>").expect("style end");
    assert!(!style.contains("url(") && !style.contains("@import"));
    // Letters that stand for bytes may spell anything.
    let mut parts = after.split(PICTURE);
    let pictures = |part: &str| part.split_once('"').expect("an end").1.to_string();
    let text = [before.to_string(), parts.next().expect("a page").to_string()].into_iter().chain(parts.map(pictures)).collect::<String>();
    let mut rest = text.as_str();
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        assert!(!tag.contains('<'), "markup in a tag: {tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().expect("name");
        match tag {
            t if t.starts_with('!') || t.ends_with('/') || VOID.contains(&name) => {}
            t if t.starts_with('/') => assert_eq!(open.pop(), Some(name), "near {tag}"),
            _ => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} never closed");
    for forbidden in ["http:", "https:", "src=", "<script", "<link", "NaN", "#FE00", "#FD00"] {
        assert!(!text.contains(forbidden), "{forbidden} in the page");
    }
}

#[test]
fn three_files_are_written_and_the_json_reads_back() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("deep/er");
    let results = Synthetic::small().results();
    let notes = ["a cell failed".to_string()];
    let paths = write(&out, "plan", "what for", &results, &notes, &quick()).expect("written");
    let json: Report = serde_json::from_slice(&std::fs::read(&paths.json).expect("json")).expect("parsed");
    assert_eq!(json, analyse("plan", "what for", &results, &notes, &quick()).expect("analysis"));
    check_html(&std::fs::read_to_string(&paths.html).expect("html"));
    assert!(std::fs::read_to_string(&paths.markdown).expect("markdown").contains("a cell failed"));
    assert_eq!(std::fs::read_dir(&out).expect("folder").count(), 3, "temporary files are gone");
    // Over an older report.
    write(&out, "plan", "", &results, &[], &quick()).expect("written again");
}

#[test]
fn a_difference_that_is_there_is_found() {
    let report = report(&Synthetic { seeds: vec![0, 1, 2, 3, 4], ..Synthetic::small() }.results());
    let data = &report.data[0];
    assert_eq!(data.reference, "modality-dropout");
    assert_eq!(data.headlines[0].best, "better");
    let comparison = data.runs[1].comparison.as_ref().expect("compared");
    assert_eq!(comparison.mean.expect("mean").verdict, Verdict::Better);
    assert!(data.runs[0].comparison.is_none());
    let shapley = data.runs[0].shapley.as_ref().expect("complete table");
    let [low, full] = [1.0 / 3.0, data.runs[0].full.expect("full").interval.estimate];
    let sum: f64 = shapley.iter().map(|s| s.estimate).sum();
    assert!((sum - (full - low)).abs() < 0.01, "{sum} {full}");
}

#[test]
fn identical_runs_do_not_differ() {
    let mut results = Synthetic::small().results();
    let twins: Vec<CellResult> =
        results.iter().filter(|r| r.run == "modality-dropout").cloned().map(|r| CellResult { run: "twin".into(), ..r }).collect();
    results.extend(twins);
    let report = report(&results);
    let twin = report.data[0].runs[2].comparison.as_ref().expect("compared");
    let mean = twin.mean.expect("mean");
    assert_eq!((mean.verdict, mean.interval.low, mean.interval.high), (Verdict::NoDifferenceFound, 0.0, 0.0));
    assert!(html::page(&report).expect("page").contains("no difference found"));
}

#[test]
fn one_seed_is_said() {
    let page = page(&Synthetic { seeds: vec![7], ..Synthetic::small() }.results());
    // Nor is there a column that nothing can be in.
    assert!(!page.contains("Effect\u{a0}d"));
    assert!(self::page(&Synthetic { seeds: vec![7, 8], ..Synthetic::small() }.results()).contains("Effect\u{a0}d"));
    assert!(page.contains("One seed (7)"));
}

#[test]
fn one_run_without_reference_is_said() {
    let page = page(&Synthetic { runs: vec![("alone", "mmanet", 0.0)], ..Synthetic::small() }.results());
    assert!(page.contains("compared with the first run, alone"));
}

#[test]
fn unequal_seeds_are_paired_on_the_common_ones() {
    let mut results = Synthetic { seeds: vec![0, 1, 2], ..Synthetic::small() }.results();
    results.retain(|r| r.run != "better" || r.seed != 0);
    let seeds = report(&results).data[0].runs[1].comparison.as_ref().expect("compared").seeds.clone();
    assert_eq!(seeds, [1, 2]);
    assert!(page(&results).contains("compared on the common seeds 1, 2"));
}

#[test]
fn nothing_in_common_is_said() {
    let mut results = Synthetic::small().results();
    results.retain(|r| (r.run == "better") == (r.seed == 0));
    assert!(page(&results).contains("not compared"));
}

#[test]
fn a_run_on_few_combinations_is_compared_on_these() {
    let runs = vec![("modality-dropout", "modality-dropout", 0.0), ("upper", "per-combination", 0.0)];
    let modalities: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
    let results = Synthetic { runs, modalities, corruptions: vec![("gaussian", "a".into())], ..Synthetic::small() }.results();
    let report = report(&results);
    let upper = &report.data[0].runs[1];
    assert!(!upper.complete && upper.shapley.is_none() && upper.combinations.iter().filter(|c| c.is_none()).count() == 3);
    assert_eq!(upper.comparison.as_ref().expect("compared").combinations, 4);
    assert!(page(&results).contains("not evaluated"));
}

#[test]
fn samples_that_lack_a_sensor_are_left_out() {
    let mut results = Synthetic::small().results();
    for r in &mut results {
        for c in r.combinations.iter_mut().filter(|c| c.subset != "rgb") {
            c.correct.replace_range(..10, "----------");
        }
    }
    page(&results);
    results[0].combinations[1].correct = "-".repeat(80);
    assert!(!report(&results).data[0].runs[0].complete);
}

#[test]
fn a_model_that_supports_few_combinations_fills_no_table() {
    let mut results = Synthetic::small().results();
    for r in results.iter_mut().filter(|r| r.run == "better") {
        r.combinations.retain(|c| c.subset != "rgb");
        let excluded = Excluded { absent: 0, non_finite: 0, unusable: 80 };
        r.not_evaluated = vec![NotEvaluated { subset: "rgb".into(), excluded, undefined: false }];
    }
    let report = report(&results);
    assert_eq!((report.data[0].incomplete.len(), report.data[0].incomplete[0].standing.excluded.unusable), (1, 160));
    assert!(
        page(&results).contains("every combination stands on all of them") && markdown::text(&report).contains("stands on all of them")
    );
    assert!(!report.data[0].remarks.iter().any(|r| r.contains("No test sample")), "{:?}", report.data[0].remarks);
}

/// Combinations by name without an evaluated sample, as a cell writes it.
fn without(cell: &mut CellResult, names: &[&str]) {
    cell.combinations.retain(|c| !names.contains(&c.subset.as_str()));
    let excluded = Excluded { absent: 70, non_finite: 10, unusable: 0 };
    cell.not_evaluated = names.iter().map(|name| NotEvaluated { subset: name.to_string(), excluded, undefined: false }).collect();
}

#[test]
fn a_combination_that_no_seed_has_is_said_not_to_be_shown() {
    for seeds in [vec![0], vec![0, 1]] {
        let mut results = Synthetic { seeds, ..Synthetic::small() }.results();
        results.iter_mut().for_each(|r| without(r, &["rgb+depth"]));
        let remarks = report(&results).data.remove(0).remarks.join("\n");
        assert!(remarks.contains("has rgb+depth: nothing is shown of it.") && !remarks.contains("other seeds"), "{remarks}");
    }
}

#[test]
fn a_combination_that_one_seed_lacks_is_said_and_the_rest_shown() {
    let mut results = Synthetic { seeds: vec![0, 1, 2, 3], ..Synthetic::small() }.results();
    results.iter_mut().filter(|r| r.seed == 2).for_each(|r| without(r, &["rgb+depth"]));
    let report = report(&results);
    let data = &report.data[0];
    assert!(data.remarks.iter().any(|r| r.contains("No test sample of seed 2 has rgb+depth")), "{:?}", data.remarks);
    let run = &data.runs[0];
    assert!(run.complete && run.evaluated == 2 && run.seeds == [0, 1, 2, 3]);
    let both = run.combinations[2].expect("of the other seeds");
    assert_eq!((both.interval, both.standing.excluded.absent, both.standing.excluded.non_finite), (None, 70, 10));
    assert!(data.headlines.iter().any(|h| !h.better.is_empty() || !h.no_difference.is_empty()));
    let page = page(&results);
    assert!(page.contains("No test sample of seed 2 has rgb+depth") && page.contains("Combinations that leave samples out"));
    assert!(markdown::text(&report).contains("| rgb+depth | all | "));
}

#[test]
fn seeds_without_any_combination_are_left_out() {
    // As with `combinations = ["rgb+depth"]` where samples that have both are rare.
    let only = |mut r: CellResult, lacking: &[u64]| {
        r.combinations.retain(|c| c.subset == "rgb+depth");
        r.corruptions.clear();
        if lacking.contains(&r.seed) {
            without(&mut r, &["rgb+depth"]);
            r.summary = None;
        }
        r
    };
    let results: Vec<CellResult> = Synthetic { seeds: vec![0, 1, 2, 3], ..Synthetic::small() }.results();
    let some: Vec<CellResult> = results.iter().cloned().map(|r| only(r, &[0, 3])).collect();
    let first = report(&some);
    let data = &first.data[0];
    assert!(data.remarks.iter().any(|r| r.contains("No test sample of seeds 0, 3 has rgb+depth")), "{:?}", data.remarks);
    assert!(data.runs.iter().all(|r| r.seeds == [1, 2] && r.combinations[0].is_some_and(|c| c.standing.excluded.absent == 140)));
    page(&some);
    // No seed has any: there is nothing to rank, and that is said.
    let none: Vec<CellResult> = results.into_iter().map(|r| only(r, &[0, 1, 2, 3])).collect();
    let second = report(&none);
    assert!(second.data[0].runs.is_empty() && second.data[0].remarks.iter().any(|r| r.contains("better has no test sample")));
    assert!(page(&none).contains("No test sample of seeds 0, 1, 2, 3 has rgb+depth"));
}

#[test]
fn what_stands_on_few_samples_is_marked() {
    let mut results = Synthetic::small().results();
    for r in &mut results {
        let c = r.combinations.iter_mut().find(|c| c.subset == "depth").expect("depth");
        c.correct = format!("{}{}", "1".repeat(5), "-".repeat(75));
        (c.metrics.samples, c.metrics.score) = (5, 1.0);
        c.excluded = Excluded { absent: 60, non_finite: 15, unusable: 0 };
        (r.readings[1].present, r.readings[1].absent, r.readings[1].non_finite) = (5, 60, 15);
    }
    let report = report(&results);
    let depth = report.data[0].runs[0].combinations[1].expect("evaluated");
    // The two seeds have different rows: ten distinct samples.
    assert_eq!((depth.standing.samples, depth.standing.few, depth.standing.excluded.non_finite), (10, true, 30));
    assert!(!report.data[0].runs[0].combinations[0].expect("rgb").standing.few);
    // What it is part of is marked as well, and says no more than it knows.
    assert!(report.data[0].runs[0].mean.few && report.data[0].runs[0].worst.few && !report.data[0].runs[0].full.expect("full").few);
    assert_eq!(report.data[0].readings[1].non_finite, 30);
    let page = page(&results);
    assert!(page.contains("class=\"few\"") && page.contains("10 test samples (left out: 120 absent, 30 not finite)") && page.contains("†"));
    let markdown = markdown::text(&report);
    assert!(markdown.contains("| depth | all | 10† | 120 | 30 | 0 |") && markdown.contains("| depth | 10 | 120 | 30 |"), "{markdown}");
    let json = serde_json::to_string(&report).expect("json");
    assert!(json.contains("\"standing\":{\"samples\":10,\"few\":true,\"excluded\":{\"absent\":120,\"non_finite\":30,\"unusable\":0}}"));
    assert!(
        html::page(&super::analysis::analyse("plan", "", &Synthetic::small().results(), &[], &quick()).expect("analysis"))
            .expect("page")
            .contains("every combination stands on all of them")
    );
}

#[test]
fn seeds_that_share_their_test_samples_do_not_pass_for_more() {
    let mut results = Synthetic { seeds: vec![0, 1, 2, 3, 4], ..Synthetic::small() }.results();
    // Five copies of the first seed on the same rows, then on rows of their own.
    for i in 0..results.len() {
        let (first, seed) = (results[i / 5 * 5].clone(), results[i].seed);
        results[i] = CellResult { seed, ..first };
    }
    let width =
        |results: &[CellResult]| report(results).data[0].runs[0].mean.interval.high - report(results).data[0].runs[0].mean.interval.low;
    let one: Vec<CellResult> = results.iter().filter(|r| r.seed == 0).cloned().collect();
    assert!((width(&results) - width(&one)).abs() < 1e-12);
    for r in &mut results {
        r.test_rows = Some(Rows::new((0..80).map(|i| i + 80 * r.seed as usize).collect()));
    }
    assert!(width(&results) < 0.7 * width(&one));
}

#[test]
fn failure_rates_weigh_the_combinations() {
    let results = Synthetic { seeds: vec![0, 1, 2, 3, 4], ..Synthetic::small() }.results();
    let given = |rates: &[(&str, f64)]| Settings {
        failure: BTreeMap::from([("tiny".to_string(), rates.iter().map(|(n, r)| (n.to_string(), *r)).collect())]),
        ..quick()
    };
    let settings = given(&[("rgb", 0.1), ("depth", 0.3)]);
    let report = analyse("plan", "", &results, &[], &settings).expect("analysis");
    let data = &report.data[0];
    let (run, [rgb, depth, both]) = (&data.runs[1], [0, 1, 2].map(|i| data.runs[1].combinations[i].expect("evaluated").accuracy));
    let failure = run.failure.expect("given");
    let expected = (0.27 * rgb + 0.07 * depth + 0.63 * both) / 0.97;
    assert!((failure.value.interval.estimate - expected).abs() < 1e-12 && failure.covered > 0.999 && failure.value.sd.is_some());
    let difference = run.comparison.as_ref().and_then(|c| c.failure).expect("compared");
    assert!((difference.interval.estimate - (expected - data.runs[0].failure.expect("given").value.interval.estimate)).abs() < 1e-12);
    assert_eq!(data.headlines.len(), 4);
    let page = html::page(&report).expect("page");
    check_html(&page);
    assert!(page.contains("Rates: rgb 0.1, depth 0.3") && page.contains("Under failure"));
    let markdown = markdown::text(&report);
    assert!(markdown.contains("### Under failure") && markdown.contains(&words::percent(expected)));
    let refused = |rates: &[(&str, f64)]| analyse("plan", "", &results, &[], &given(rates)).expect_err("refused").to_string();
    assert!(refused(&[("sonar", 0.1)]).contains("names the sensor `sonar`, but the data has rgb, depth"));
    assert!(refused(&[("rgb", 1.0)]).contains("`rgb` is 1; a rate is at least 0 and below 1"));
    assert!(refused(&[("rgb", -0.1)]).contains("-0.1") && refused(&[("rgb", f64::NAN)]).contains("NaN"));
}

#[test]
fn every_severity_is_on_the_same_samples() {
    let mut results = Synthetic { seeds: vec![0], ..Synthetic::small() }.results();
    for r in &mut results {
        // The clean sensor is right everywhere; at severity 3 half of the samples have no reading left.
        r.clean.as_mut().expect("clean").correct = format!("{}{}", "1".repeat(40), "0".repeat(40));
        let third = r.corruptions.iter_mut().find(|c| c.severity == 3).expect("severity 3");
        third.correct = format!("{}{}", "-".repeat(40), "1".repeat(40));
    }
    let report = report(&results);
    let points = &report.data[0].severity[0].runs[0].points;
    assert_eq!(points.iter().map(|p| p.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!((points[0].1.estimate, points[3].1.estimate), (0.0, 1.0));
    // Without clean outcomes, as older results have none, the curve starts at 1.
    results.iter_mut().for_each(|r| r.clean = None);
    assert_eq!(super::tests::report(&results).data[0].severity[0].runs[0].points[0].0, 1);
}

#[test]
fn results_of_an_older_version_are_read_and_told_apart() {
    let mut results = Vec::new();
    for result in Synthetic::small().results() {
        let mut json = serde_json::to_value(&result).expect("json");
        let object = json.as_object_mut().expect("object");
        ["test_rows", "truths", "readings", "data_remarks", "not_evaluated", "clean"].iter().for_each(|field| _ = object.remove(*field));
        for record in ["combinations", "corruptions"] {
            object[record]
                .as_array_mut()
                .expect("array")
                .iter_mut()
                .for_each(|c| _ = c.as_object_mut().expect("object").remove("excluded"));
        }
        results.push(serde_json::from_value(json).expect("an older result"));
    }
    assert!(page(&results).contains("do not say which samples they were tested on"));
}

proptest! {
    #[test]
    fn what_is_shown_of_an_interval_agrees_with_its_verdict(
        size in -14i32..0, sign in prop::bool::ANY, relative in 0.0f64..3.0, freedom in 1.0f64..200.0, others in 0usize..30,
    ) {
        let value = 2f64.powi(size) * if sign { 1.0 } else { -1.0 };
        let variance = (value * relative / 2.0).powi(2);
        let one = Estimate { value, variance, freedom, within: variance / 2.0, samples: 400, few: vec![] };
        let difference = simultaneous(&vec![one; others + 1])[0];
        let shown = words::Words::from(&Measured::default()).difference(&difference);
        let (_, ends) = shown.split_once('[').expect("an interval");
        let (low, high) = ends.trim_end_matches(']').split_once(", ").expect("two ends");
        let excludes = low.starts_with('+') || high.starts_with('−');
        prop_assert_eq!(excludes, difference.verdict != Verdict::NoDifferenceFound, "{} {:?}", shown, difference);
        prop_assert!(!excludes || (difference.verdict == Verdict::Better) == low.starts_with('+'));
    }
}

#[test]
fn pairs_are_compared_by_themselves_and_what_is_not_known_is_said() {
    let mut results = Synthetic { seeds: vec![0, 1, 2], ..Synthetic::small() }.results();
    results.iter_mut().filter(|r| r.run == "better").for_each(|r| (r.cost, r.epochs, r.provenance) = (None, Vec::new(), None));
    let settings = Settings { pairs: vec![("better".into(), "modality-dropout".into())], ..quick() };
    let report = analyse("plan", "", &results, &[], &settings).expect("analysis");
    let data = &report.data[0];
    // One pair and one run beside the reference are the same question.
    assert!(data.pairs[0].comparison == data.runs[1].comparison && data.pairs[0].comparison.is_some());
    let page = html::page(&report).expect("page");
    check_html(&page);
    assert!(page.contains("<h3>Pairs</h3>") && page.contains("not given"));
    let markdown = markdown::text(&report);
    assert!(markdown.contains("### Pairs") && markdown.contains("| better | not given |"), "{markdown}");
    assert!(data.remarks.iter().any(|r| r.contains("another program wrote: better.")));
    let unknown = Settings { pairs: vec![("better".into(), "modality-dropuot".into())], ..quick() };
    let error = analyse("plan", "", &results, &[], &unknown).expect_err("refused").to_string();
    assert!(error.contains("`modality-dropuot`; did you mean `modality-dropout`?"), "{error}");
}

#[test]
fn two_classes_have_error_rates_of_attacks() {
    let classes = vec!["attack".into(), "live".into()];
    assert!(page(&Synthetic { classes, ..Synthetic::small() }.results()).contains("APCER"));
}

#[test]
fn one_modality_many_modalities_many_classes_many_runs() {
    let one = Synthetic { modalities: vec!["rgb".into()], ..Synthetic::small() };
    page(&one.results());
    let many: Vec<String> = (0..8).map(|i| format!("m{i}")).collect();
    let classes = (0..30).map(|i| format!("class {i}")).collect();
    let runs = (0..14).map(|i| (["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"][i], "mmanet", 0.0)).collect();
    let many =
        Synthetic { modalities: many, classes, runs, seeds: vec![0], corruptions: vec![], epochs: 0, samples: 60, ..Synthetic::small() };
    let page = page(&many.results());
    assert!(page.contains("There are 255 combinations") && page.contains("most confused pairs"));
}

#[test]
fn names_are_escaped() {
    let evil = "<script>alert(1)</script>\"'&|*[x](y)";
    let mut results = Synthetic::small().results();
    for r in &mut results {
        (r.data, r.classes[0], r.notes[0]) = (evil.into(), evil.into(), evil.into());
        r.provenance.as_mut().expect("made here").machine = evil.into();
        let sensor = "<b>\"&'x</b>";
        r.modalities[0] = sensor.into();
        r.combinations.iter_mut().for_each(|c| c.subset = c.subset.replace("rgb", sensor));
        r.corruptions.iter_mut().for_each(|c| (c.subset, c.corruption) = (sensor.into(), evil.into()));
        if r.run == "better" {
            r.run = evil.into();
        }
    }
    let report = analyse(evil, evil, &results, &[evil.to_string()], &quick()).expect("analysis");
    let page = html::page(&report).expect("page");
    check_html(&page);
    assert!(!page.contains("<script>") && !page.contains("<b>\"") && page.contains("&lt;script&gt;"));
    let markdown = markdown::text(&report);
    assert!(!markdown.contains("<script>") && !markdown.contains("[x](y)"));
}

#[test]
fn markdown_tables_have_a_row_a_run_and_equal_columns() {
    let results = Synthetic::realistic().results();
    let markdown = markdown::text(&report(&results));
    for run in ["full-only", "modality-dropout", "udml"] {
        let rows = markdown.lines().filter(|l| l.starts_with(&format!("| {run} |"))).count();
        assert_eq!(rows, 2 * 2, "{run}: summary and cost for each of two data entries");
    }
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    for pair in markdown.lines().collect::<Vec<_>>().windows(2).filter(|p| p[0].starts_with('|') && p[1].starts_with('|')) {
        assert_eq!(columns(pair[0]), columns(pair[1]), "{pair:?}");
    }
}

#[test]
fn what_does_not_hold_together_is_an_error() {
    let failed = |results: &[CellResult]| analyse("plan", "", results, &[], &quick()).expect_err("refused").to_string();
    assert!(failed(&[]).contains("no results"));
    let change = |f: &dyn Fn(&mut CellResult)| {
        let mut results = Synthetic::small().results();
        f(&mut results[3]);
        failed(&results)
    };
    assert!(change(&|r| r.combinations[0].correct.push('1')).contains("tiny / better / seed 1"));
    assert!(change(&|r| r.combinations[0].subset = "sonar".into()).contains("sonar"));
    assert!(change(&|r| r.combinations[0].correct = "x".repeat(80)).contains("'x'"));
    assert!(change(&|r| r.test_rows = Some(Rows::new(vec![1, 2]))).contains("which rows"));
    assert!(change(&|r| r.modalities.reverse()).contains("modalities differ"));
    assert!(change(&|r| r.corruptions[0].correct = "1".into()).contains("gaussian"));
}

/// `REPORT_SAMPLE=folder cargo test --release -p xtask sample_page -- --ignored` writes pages to look at.
#[test]
#[ignore = "for looking at"]
fn sample_page() {
    let folder = std::path::PathBuf::from(std::env::var_os("REPORT_SAMPLE").expect("REPORT_SAMPLE names a folder"));
    let started = std::time::Instant::now();
    let results = Synthetic::realistic().results();
    println!("made up in {:?}", started.elapsed());
    let started = std::time::Instant::now();
    write(
        &folder.join("realistic"),
        "default",
        "Six views of handwritten numerals, many and few training samples.",
        &results,
        &[],
        &Settings::default(),
    )
    .expect("written");
    println!("written in {:?}", started.elapsed());
    let many = (0..10).map(|i| format!("sensor-{i}")).collect();
    let many = Synthetic { modalities: many, seeds: vec![0], data: vec!["many"], corruptions: vec![], ..Synthetic::realistic() };
    let results = many.results();
    let started = std::time::Instant::now();
    write(&folder.join("many"), "many", "", &results, &["cell x failed".into()], &Settings::default()).expect("written");
    println!("1,023 combinations written in {:?}", started.elapsed());
    let small = Synthetic { classes: vec!["attack".into(), "live".into()], ..Synthetic::small() };
    write(&folder.join("small"), "small", "", &small.results(), &[], &Settings::default()).expect("written");
}
