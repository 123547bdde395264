//! The report of made-up results: whole, escaped, self-contained, and robust to what real plans lack.

use super::analysis::{Report, analyse};
use super::synthetic::Synthetic;
use super::*;
use mm_core::statistics::Verdict;

fn quick() -> Settings {
    Settings { bootstrap: Bootstrap { resamples: 120, seed: 0 } }
}

fn report(results: &[CellResult]) -> Report {
    analyse("plan", "", results, &[], &quick()).expect("analysis")
}

fn page(results: &[CellResult]) -> String {
    let report = report(results);
    let page = html::page(&report).expect("page");
    check_html(&page);
    assert!(markdown::text(&report).contains("## Provenance"));
    page
}

/// Tags close in order, no attribute holds markup, nothing is loaded from elsewhere.
fn check_html(page: &str) {
    const VOID: [&str; 4] = ["meta", "input", "br", "hr"];
    let mut open: Vec<&str> = Vec::new();
    let body = page.replace('\n', " ");
    let (before, after) = body.split_once("<style>").expect("style");
    let (style, after) = after.split_once("</style>").expect("style end");
    assert!(!style.contains("url(") && !style.contains("@import"));
    let text = format!("{before}{after}");
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
    for forbidden in ["http:", "https:", "src=", "<script", "<link", "<img", "NaN", "#FE00", "#FD00"] {
        assert!(!text.contains(forbidden), "{forbidden} in the page");
    }
}

#[test]
fn three_files_are_written_and_the_json_reads_back() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("deep/er");
    let results = Synthetic::small().results();
    let notes = ["a cell failed".to_string()];
    let paths = write_with(&out, "plan", "what for", &results, &notes, &quick()).expect("written");
    let json: Report = serde_json::from_slice(&std::fs::read(&paths.json).expect("json")).expect("parsed");
    assert_eq!(json, analyse("plan", "what for", &results, &notes, &quick()).expect("analysis"));
    check_html(&std::fs::read_to_string(&paths.html).expect("html"));
    assert!(std::fs::read_to_string(&paths.markdown).expect("markdown").contains("a cell failed"));
    assert_eq!(std::fs::read_dir(&out).expect("folder").count(), 3, "temporary files are gone");
    // Over an older report.
    write_with(&out, "plan", "", &results, &[], &quick()).expect("written again");
}

#[test]
fn a_difference_that_is_there_is_found() {
    let report = report(&Synthetic::small().results());
    let data = &report.data[0];
    assert_eq!(data.reference, "modality-dropout");
    assert_eq!(data.headlines[0].best, "better");
    let comparison = data.runs[1].comparison.as_ref().expect("compared");
    assert_eq!(comparison.mean.verdict, Verdict::Better);
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
    assert_eq!(twin.mean.verdict, Verdict::NoDifferenceFound);
    assert_eq!((twin.mean.difference.interval.low, twin.mean.difference.interval.high), (0.0, 0.0));
    assert!(html::page(&report).expect("page").contains("no difference found"));
}

#[test]
fn one_seed_is_said() {
    let page = page(&Synthetic { seeds: vec![7], ..Synthetic::small() }.results());
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
        r.provenance.machine = evil.into();
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
    assert!(change(&|r| r.combinations.clear()).contains("no combination"));
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
    write(&folder.join("realistic"), "default", "Six views of handwritten numerals, many and few training samples.", &results, &[])
        .expect("written");
    println!("written in {:?}", started.elapsed());
    let many = (0..10).map(|i| format!("sensor-{i}")).collect();
    let many = Synthetic { modalities: many, seeds: vec![0], data: vec!["many"], corruptions: vec![], ..Synthetic::realistic() };
    let results = many.results();
    let started = std::time::Instant::now();
    write(&folder.join("many"), "many", "", &results, &["cell x failed".into()]).expect("written");
    println!("1,023 combinations written in {:?}", started.elapsed());
    let small = Synthetic { classes: vec!["attack".into(), "live".into()], ..Synthetic::small() };
    write(&folder.join("small"), "small", "", &small.results(), &[]).expect("written");
}
