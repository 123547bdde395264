//! `mm report`: finished cells, and predictions as another framework would write them.

use super::birds;
use super::program::{bench, mm, results, said};
use mm_report::result::CellResult;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

const PLAN: &str = "name = 'p'\nseeds = [0, 1]\ndata = [{ name = 'birds', card = 'birds.toml' }]\ntrain = { epochs = 4 }\n\
    runs = [{ method = 'full-only' }, { method = 'modality-dropout' }]\n[[corruptions]]\nfamilies = ['gaussian']\nmodalities = 'song'\n";

/// A finished bench, the same for all tests.
static BENCH: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let plan = birds::write(folder.path(), 90, PLAN);
    let output = bench(&plan, &folder.path().join("out")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    folder
});

fn bench_folder() -> PathBuf {
    BENCH.path().join("out")
}

/// What a model that is right where our run is would have written, line by line.
fn table(run: &str) -> Vec<String> {
    let cells = results(&bench_folder()).into_values().map(|bytes| serde_json::from_slice::<CellResult>(&bytes).unwrap());
    let mut lines = Vec::new();
    for cell in cells.filter(|cell| cell.run == run) {
        let (ids, truths) = (cell.sample_ids().unwrap(), cell.truths.as_ref().unwrap());
        for combination in &cell.combinations {
            for (i, outcome) in combination.correct.bytes().enumerate().filter(|(_, c)| *c != b'-') {
                let truth = truths[i] as usize;
                let said = if outcome == b'1' { truth } else { (truth + 1) % 3 };
                let p: Vec<&str> = (0..3).map(|k| if k == said { "0.8" } else { "0.1" }).collect();
                let (seed, sample, class) = (cell.seed, &ids[i], &cell.classes[truth]);
                lines.push(format!("birds,{run},{seed},{},{sample},{class},{}", combination.subset, p.join(",")));
            }
        }
    }
    let classes: Vec<String> = ["kite", "robin", "wren"].map(|class| format!("p:{class}")).to_vec();
    lines.insert(0, format!("data,run,seed,combination,sample,truth,{}", classes.join(",")));
    lines
}

fn write(folder: &Path, lines: &[String]) -> PathBuf {
    let predictions = folder.join("theirs");
    std::fs::create_dir_all(&predictions).unwrap();
    let mut text = String::new();
    // Writing to a string cannot fail.
    lines.iter().for_each(|line| _ = writeln!(text, "{line}"));
    std::fs::write(predictions.join("birds.csv"), text).unwrap();
    predictions
}

fn report(out: &Path, arguments: &[&str]) -> Output {
    mm().arg("report").args(arguments).arg("--out").arg(out).output().unwrap()
}

fn written(out: &Path, arguments: &[&str]) -> Value {
    let output = report(out, arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert!(out.join("report.html").exists() && out.join("report.md").exists());
    serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap()
}

fn run<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["data"][0]["runs"].as_array().unwrap().iter().find(|run| run["run"] == name).unwrap_or_else(|| panic!("{name} in {report}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn finished_cells_are_reported_again() {
    let folder = tempfile::tempdir().unwrap();
    let report = written(&folder.path().join("out"), &["--results", text(&bench_folder())]);
    let before: Value = serde_json::from_slice(&std::fs::read(bench_folder().join("report.json")).unwrap()).unwrap();
    for name in ["full-only", "modality-dropout"] {
        assert_eq!(run(&report, name), run(&before, name));
    }
    assert_eq!(report["data"][0]["reference"], "modality-dropout");
}

#[test]
fn theirs_stand_beside_ours_on_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let predictions = write(folder.path(), &table("modality-dropout"));
    let bench = bench_folder();
    let arguments = ["--predictions", text(&predictions), "--results", text(&bench)];
    let out = folder.path().join("out");
    // The same name on both sides is no name.
    assert!(said(&report(&out, &arguments)).contains("`modality-dropout` is among the predictions and among the finished cells"));
    let both = written(&out, &[&arguments[..], &["--prefix", "their-", "--pairs", "--reference", "full-only"]].concat());
    let (ours, theirs) = (run(&both, "modality-dropout"), run(&both, "their-modality-dropout"));
    for part in ["mean", "worst", "full", "combinations", "seeds", "worst_combination"] {
        assert_eq!(ours[part], theirs[part], "{part}");
    }
    assert!(theirs["cost"].is_null() && ours["cost"]["train_seconds"].as_f64().unwrap() > 0.0);
    let data = &both["data"][0];
    assert_eq!(data["reference"], "full-only");
    assert_eq!(ours["comparison"]["mean"], theirs["comparison"]["mean"]);
    let pair = &data["pairs"][0];
    assert_eq!((&pair["run"], &pair["peer"]), (&"modality-dropout".into(), &"their-modality-dropout".into()));
    for measure in ["mean", "worst", "full"] {
        let interval = &pair["comparison"][measure]["interval"];
        assert_eq!([&interval["low"], &interval["high"]].map(|end| end.as_f64().unwrap()), [0.0, 0.0], "{measure}");
    }
    assert!(data["remarks"].to_string().contains("Read from predictions that another program wrote: their-modality-dropout."));
    // Data of another name stands alone, and that is said.
    let elsewhere: Vec<String> = table("modality-dropout").iter().map(|line| line.replacen("birds,", "bords,", 1)).collect();
    let predictions_of_bords = write(&folder.path().join("other"), &elsewhere);
    let apart = written(&out, &["--predictions", text(&predictions_of_bords), "--results", text(&bench)]);
    assert!(apart["notes"][0].as_str().unwrap().contains("No finished cell is of the data `bords`"), "{}", apart["notes"]);
    // Theirs alone, over the report before.
    let alone = written(&out, &["--predictions", text(&predictions)]);
    assert_eq!(run(&alone, "modality-dropout")["mean"]["interval"]["estimate"], ours["mean"]["interval"]["estimate"]);
    let no_prefix = report(&out, &["--predictions", text(&predictions), "--results", text(&bench), "--pairs"]);
    assert!(no_prefix.status.code() == Some(2) && said(&no_prefix).contains("--prefix"), "{}", said(&no_prefix));
    let nothing = report(&out, &[]);
    let asked = said(&nothing);
    assert!(nothing.status.code() == Some(2) && asked.contains("<--predictions <DIR>|--results <DIR>>"), "{asked}");
    let misspelt = report(&out, &["--predictions", text(&predictions), "--reference", "modality-dropuot"]);
    assert!(said(&misspelt).contains("did you mean `modality-dropout`?"), "{}", said(&misspelt));
}

#[test]
fn what_does_not_fit_is_refused_with_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, bench) = (table("full-only"), bench_folder());
    let refused = |lines: &[String]| {
        let predictions = write(folder.path(), lines);
        let arguments = ["--predictions", text(&predictions), "--results", text(&bench), "--prefix", "their-"];
        let output = report(&folder.path().join("out"), &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(!folder.path().join("out").exists());
        said(&output)
    };
    let fields = |line: &str| line.split(',').map(String::from).collect::<Vec<_>>();
    let sample = |line: &str| fields(line)[4].clone();

    // Two samples of different classes in each other's place.
    let (a, b) = (1, (2..).find(|&b| fields(&lines[b])[5] != fields(&lines[1])[5]).unwrap());
    let mut swapped = lines.clone();
    (swapped[a], swapped[b]) = (lines[a].replace(&format!(",{},", sample(&lines[a])), &format!(",{},", sample(&lines[b]))), String::new());
    swapped[b] = lines[b].replace(&format!(",{},", sample(&lines[b])), &format!(",{},", sample(&lines[a])));
    let message = refused(&swapped);
    let expected = format!("birds.csv:2: sample `{}` (birds, run their-full-only, seed", sample(&lines[b]));
    assert!(message.contains(&expected) && message.contains("in the finished cell of"), "{expected}: {message}");

    // One line less: the sample has the sensor in the other cell.
    let at = lines.iter().position(|line| line.contains(",song,")).unwrap();
    let mut missing = lines.clone();
    let line = missing.remove(at);
    let message = refused(&missing);
    assert!(message.contains(&format!("sample `{}`", sample(&line))) && message.contains("song) is not predicted"), "{message}");

    // Another truth.
    let other = |line: &String| line.replacen(",kite,", ",wren,", 1);
    let at = lines.iter().position(|line| line.contains(",kite,")).unwrap();
    let mut truths = lines.clone();
    truths[at] = other(&lines[at]);
    let message = refused(&truths);
    assert!(message.contains(&format!("sample `{}`", sample(&lines[at]))) && message.contains("is `wren` here and `kite` in"), "{message}");
}

#[test]
fn nothing_of_others_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench_folder();
    let results = ["--results", text(&bench)];
    std::fs::write(folder.path().join("report.md"), "mine").unwrap();
    assert!(said(&report(folder.path(), &results)).contains("report.md was not written by `mm report`"));
    assert!(said(&report(&bench, &results)).contains("is the folder of a bench"));
    assert_eq!(report(folder.path(), &[]).status.code(), Some(2));
    // Each file by itself: what a killed run lacks is written, and the user's own among ours stays.
    let out = folder.path().join("ours");
    written(&out, &results);
    ["report.md", "report.json"].iter().for_each(|name| std::fs::remove_file(out.join(name)).unwrap());
    written(&out, &results);
    for name in ["report.html", "report.md", "report.json"] {
        let ours = std::fs::read(out.join(name)).unwrap();
        std::fs::write(out.join(name), "{\"mine\": 1}").unwrap();
        assert!(said(&report(&out, &results)).contains(&format!("{name} was not written by `mm report`")));
        std::fs::write(out.join(name), ours).unwrap();
    }
    let nowhere = report(&folder.path().join("out"), &["--results", text(folder.path())]);
    assert!(said(&nowhere).contains("`--results` names the folder of a bench"), "{}", said(&nowhere));
}
