//! What predictions come to.

use super::*;
use mm_testing::parquet;

#[test]
fn the_numbers_are_those_of_the_table() {
    let cells = Tables::empty().with("birds.csv", birds()).read().expect("read");
    let names: Vec<(&str, u64)> = cells.iter().map(|c| (c.run.as_str(), c.seed)).collect();
    assert_eq!(names, [("good", 0), ("good", 1), ("poor", 0), ("poor", 1)]);
    let poor = &cells[2];
    assert_eq!((poor.data.as_str(), poor.modalities.join(" "), poor.classes.join(" ")), ("birds", "rgb depth".into(), "wren robin".into()));
    assert_eq!(poor.sample_ids().expect("ids"), ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"]);
    assert_eq!(poor.truths.as_deref(), Some(&[0, 1, 0, 1, 0, 1, 0, 1][..]));
    let subsets: Vec<&str> = poor.combinations.iter().map(|c| c.subset.as_str()).collect();
    assert_eq!(subsets, ["rgb", "depth", "rgb+depth"]);
    let [rgb, depth, _] = &poor.combinations[..] else { panic!("three") };
    assert_eq!((rgb.correct.as_str(), rgb.excluded.absent, &rgb.confusion), ("10101010", 0, &vec![vec![4, 0], vec![4, 0]]));
    assert_eq!((depth.correct.as_str(), depth.excluded.absent, depth.metrics.samples), ("1010101-", 1, 7));
    // By hand: half of the probabilities of the truth are 3/4, half 1/4.
    let nll = -(0.75f64.ln() + 0.25f64.ln()) / 2.0;
    assert!(
        (rgb.metrics.get("nll") - nll).abs() < 1e-6 && (rgb.metrics.get("brier") - (0.125 + 1.125) / 2.0).abs() < 1e-6,
        "{:?}",
        rgb.metrics
    );
    assert_eq!(poor.readings.iter().map(|r| (r.present, r.absent)).collect::<Vec<_>>(), [(8, 0), (7, 1)]);
    let corrupted: Vec<(&str, u8)> = poor.corruptions.iter().map(|c| (c.correct.as_str(), c.severity)).collect();
    assert_eq!(corrupted, [("1010101-", 1), ("1010101-", 2)]);
    assert_eq!(poor.clean.as_ref().map(|c| c.correct.as_str()), Some("1010101-"));
    assert!(poor.cost.is_none() && poor.provenance.is_none() && cells[0].key != cells[1].key);
}

#[test]
fn every_way_of_writing_gives_the_same() {
    let plain = Tables::empty().with("birds.csv", birds()).read().expect("read");
    let text = serde_json::to_string(&plain).expect("json");
    let same = |tables: Tables| assert_eq!(serde_json::to_string(&tables.read().expect("read")).expect("json"), text);
    same(Tables::empty().with("birds.csv.gz", gzip(birds().as_bytes())));
    same(Tables::empty().with("birds.csv", format!("\u{feff}{}", birds().replace('\n', "\r\n"))));
    same(Tables::empty().with("birds.parquet", parquet(&birds())));
    // Columns in another order, an empty line.
    let turned = birds().lines().map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n").collect::<String>();
    let turned_classes = "classes = [\"wren\", \"robin\"]";
    same(Tables::empty().with("birds.csv", turned.replacen('\n', "\n\n", 1)).with("predictions.toml", turned_classes));
    // Several files.
    let lines: Vec<String> = birds().lines().map(|line| format!("{line}\n")).collect();
    let (first, rest) = lines[1..].split_at(5);
    same(Tables::empty().with("a.csv", lines[0].clone() + &first.concat()).with("b.csv", lines[0].clone() + &rest.concat()));
    // An index beside a NumPy file.
    let mut numbers: Vec<u8> = Vec::new();
    let mut index = String::new();
    for (i, line) in birds().lines().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        index += &(fields[..9].join(",") + "\n");
        if i > 0 {
            fields[9..].iter().for_each(|p| numbers.extend(p.parse::<f32>().expect("number").to_le_bytes()));
        }
    }
    let matrix = npy("<f4", "False", &format!("({}, 2)", index.lines().count() - 1), &numbers);
    same(Tables::empty().with("birds.csv", index).with("birds.npy", matrix).with("predictions.toml", turned_classes));
}

#[test]
fn logits_and_probabilities_of_zero() {
    let table = "run,seed,combination,sample,truth,logit:a,logit:b\nr,0,x,0,a,2.5,-1\nr,0,x,1,b,0.5,-1\n";
    let cells = Tables::empty().with("t.csv", table).read().expect("read");
    assert_eq!((cells[0].data.as_str(), cells[0].combinations[0].correct.as_str()), ("data", "10"));
    let zero = "run,seed,combination,sample,truth,p:a,p:b\nr,0,x,0,a,0,1\n";
    let nll = Tables::empty().with("t.csv", zero).read().expect("read")[0].combinations[0].metrics.get("nll");
    assert!((nll - 1e12f64.ln()).abs() < 1e-3, "{nll}");
}

#[test]
fn ids_are_the_same_samples_in_all_seeds() {
    let table = |ids: [&str; 2], seed: u64| {
        let row = |id: &str, truth: &str| format!("r,{seed},x,{id},{truth},0.5,0.5\n");
        row(ids[0], "a") + &row(ids[1], "b")
    };
    let of = |text: String| {
        let cells = Tables::empty().with("t.csv", format!("run,seed,combination,sample,truth,p:a,p:b\n{text}")).read().expect("read");
        cells.iter().map(|c| c.test_rows.as_ref().expect("rows").numbers().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(of(table(["17", "4"], 0) + &table(["5", "4"], 1)), [[4, 17], [4, 5]]);
    // Text is numbered in its order.
    assert_eq!(of(table(["owl", "elk"], 0) + &table(["yak", "elk"], 1)), [[0, 1], [0, 2]]);
}

#[test]
fn predictions_stand_beside_finished_cells_on_the_same_samples() {
    let tables = Tables::empty().with("birds.csv", birds());
    let ours = finished(&birds());
    let theirs = tables.read_beside("their-", &ours).expect("read");
    assert_eq!(theirs[0].run, "their-good");
    assert!(theirs.iter().all(|cell| cell.test_rows == ours[0].test_rows));
    let settings = Settings {
        bootstrap: Bootstrap { resamples: 200, seed: 0 },
        reference: Some("their-poor".into()),
        pairs: vec![("ours".into(), "their-good".into()), ("ours".into(), "their-poor".into())],
        ..Settings::default()
    };
    let folder = tempfile::tempdir().expect("folder");
    let paths = write(folder.path(), "both", "", &[ours, theirs].concat(), &[], &settings).expect("written");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(paths.json).expect("json")).expect("parsed");
    let data = &report["data"][0];
    assert_eq!((data["reference"].as_str(), data["runs"].as_array().map(Vec::len)), (Some("their-poor"), Some(3)));
    let mean = |i: usize| data["pairs"][i]["comparison"]["mean"]["interval"]["estimate"].as_f64().expect("compared");
    assert!(mean(0) == 0.0 && mean(1) > 0.4, "{} {}", mean(0), mean(1));
    assert!(data["remarks"].to_string().contains("another program wrote: their-good, their-poor"), "{}", data["remarks"]);
    let page = std::fs::read_to_string(paths.html).expect("html");
    assert!(page.contains("Pairs") && !page.contains("Cost of one cell"));
    let unknown = Settings { reference: Some("god".into()), ..Settings::default() };
    let error = write(folder.path(), "both", "", &tables.read().expect("read"), &[], &unknown).expect_err("refused").to_string();
    assert!(error.contains("`god`; did you mean `good`?"), "{error}");
}

#[test]
fn what_differs_from_finished_cells_is_refused() {
    let ours = finished(&birds());
    let refused = |table: String| Tables::empty().with("birds.csv", table).refused_beside(&ours);
    let truth = refused(birds().replace(",s4,wren,", ",s4,robin,"));
    assert!(
        truth.starts_with(
            "birds.csv:6: sample `s4` (birds, run good, seed 0, rgb) is `robin` here and `wren` in the finished cell of ours, seed 0"
        ),
        "{truth}"
    );
    let other = refused(birds().replace(",s4,", ",s9,"));
    assert!(other.contains("seed 0: run ours was not tested on sample `s9`, but run good (birds.csv:6) was"), "{other}");
    let fewer = refused(without(&birds(), ",s4,"));
    assert!(fewer.contains("run good was not tested on sample `s4`, but run ours (the finished cell of ours, seed 0) was"), "{fewer}");
    let same = Tables::empty().with("birds.csv", birds().replace(",good,", ",ours,")).refused_beside(&ours);
    assert!(same.contains("`ours` is among the predictions and among the finished cells") && same.contains("--prefix"), "{same}");
    let classes = refused(birds().replace("robin", "kite"));
    assert!(classes.contains("`kite` is in this table and not in the finished cells"), "{classes}");
    let by_row: Vec<CellResult> = ours.iter().cloned().map(|cell| CellResult { test_ids: None, ..cell }).collect();
    let id = Tables::empty().with("birds.csv", birds()).refused_beside(&by_row);
    assert!(id.starts_with("birds.csv:2: ") && id.contains("`s0` is no number"), "{id}");
    let old: Vec<CellResult> = by_row.iter().cloned().map(|cell| CellResult { test_rows: None, ..cell }).collect();
    assert!(Tables::empty().with("birds.csv", birds()).refused_beside(&old).contains("run its bench again"));
}

#[test]
fn a_folder_says_what_tables_cannot() {
    let settings = "modalities = [\"depth\", \"rgb\"]\n[runs.good]\nmethod = \"modality-dropout\"\ntrain_seconds = 90.0\nparameters = 12345\nnote = \"two cards\"\n";
    let cells = Tables::empty().with("birds.csv", birds()).with("predictions.toml", settings).read().expect("read");
    assert_eq!((cells[0].modalities.join(" "), cells[0].method.as_str()), ("depth rgb".into(), "modality-dropout"));
    assert_eq!(cells[0].notes, ["training took 90.0 s", "12,345 parameters deployed", "two cards"]);
    assert_eq!(cells[2].method, "poor");
    let refused = |settings: &str| Tables::empty().with("birds.csv", birds()).with("predictions.toml", settings).refused();
    assert!(refused("modality = []").contains("predictions.toml:1:1: unknown field `modality`"));
    assert!(refused("[runs.goood]").contains("no table has the run `goood`; did you mean `good`?"));
    assert!(refused("modalities = [\"rgb\", \"sonar\"]").contains("no modality is called \"depth\""));
    assert!(refused("classes = [\"wren\"]").contains("`robin` is in this table and not in `predictions.toml`"));
    assert!(refused("classes = [\"wren\", \"wren\"]").contains("`wren` is there twice"));
}

#[test]
fn attack_rates_are_for_face_anti_spoofing_alone() {
    let with = |settings: &str| Tables::empty().with("birds.csv", birds()).with("predictions.toml", settings);
    let plain = with("").read().expect("read");
    assert!(plain.iter().flat_map(|c| &c.combinations).all(|c| c.metrics.spoof.is_none()));
    // The robin is called a wren by `poor`, always.
    let faces = with("task = \"face_anti_spoofing\"\nclasses = [\"robin\", \"wren\"]").read().expect("read");
    let rates = faces[2].combinations[0].metrics.spoof.expect("rates");
    assert_eq!((rates.apcer, rates.bpcer, rates.acer), (1.0, 0.0, 0.5));
    assert!(with("task = \"face_anti_spoofing\"").refused().contains("needs its two classes in order, the attack first"));
}

#[test]
fn the_score_is_that_of_the_finished_cells_or_of_the_folder() {
    let with = |settings: &str| Tables::empty().with("birds.csv", birds()).with("predictions.toml", settings);
    let plain = with("").read().expect("read");
    let recall = with("score = \"balanced_accuracy\"").read().expect("read");
    // Of `poor` on one sensor, all four wrens are right and no robin.
    close(recall[2].combinations[0].metrics.score, 0.5);
    assert_eq!((recall[2].measure.title.as_str(), recall[2].combinations[0].sums.len()), ("balanced accuracy", 8 * 4));
    close(recall[2].combinations[1].metrics.score, plain[2].combinations[1].metrics.get("balanced_accuracy"));
    let mut ours = recall.clone();
    ours.retain(|cell| cell.run == "good");
    ours.iter_mut().for_each(|cell| cell.run = "ours".into());
    let beside = with("").read_beside("", &ours).expect("read");
    assert!(beside.iter().all(|cell| cell.measure == ours[0].measure));
    says(
        with("score = \"accuracy\"").refused_beside(&ours),
        &["predictions.toml: `score = \"accuracy\"`, but the finished cells have `balanced_accuracy` for data birds"],
    );
    says(with("score = \"acuracy\"").refused(), &["is no score of classes that a report can have; did you mean `accuracy`?"]);
    says(with("score = \"ece\"").refused(), &["there are: accuracy, macro_f1, "]);
}
