//! Numbers, labels and rare classes: from tables to a report, a model and answers.

use super::program::{bench, mm, results, said};
use mm_core::rng;
use mm_report::result::CellResult;
use std::path::Path;

const SAMPLES: usize = 96;

/// Two sensors that show a hidden quantity, and a file of what is to be predicted from it.
fn write(folder: &Path) {
    let hidden = rng::standard_normal(&mut rng::stream(2, "hidden", &[]), SAMPLES);
    let mut files =
        [String::from("id,warm,cold\n"), String::from("id,tone\n"), String::from("id,litres,hours,wet,loud,tags,alarm,part,trust\n")];
    for (i, x) in hidden.iter().enumerate() {
        let noise = rng::standard_normal(&mut rng::stream(2, "noise", &[i as u64]), 3);
        files[0] += &format!("s{i},{:.4},{:.4}\n", x + 0.2 * noise[0], 0.2 * noise[1] - x);
        files[1] += &format!("s{i},{:.4}\n", x + 0.6 * noise[2]);
        let (wet, loud) = (*x > 0.0, *x < -0.5);
        let tags = [(wet, "wet"), (loud, "loud")].into_iter().filter(|(holds, _)| *holds).map(|(_, tag)| tag).collect::<Vec<_>>().join(";");
        let litres = if i == 5 { String::new() } else { format!("{:.2}", 5000.0 + 300.0 * x) };
        let part = ["train", "train", "train", "test"][i % 4];
        let alarm = if *x > 0.8 { "yes" } else { "no" };
        files[2] += &format!("s{i},{litres},{:.3},{},{},{tags},{alarm},{part},{}\n", 0.1 * x, u8::from(wet), u8::from(loud), 1 + i % 2);
    }
    for (name, text) in ["heat.csv", "sound.csv", "truth.csv"].iter().zip(&files) {
        std::fs::write(folder.join(name), text).unwrap();
    }
    // The same in one table.
    let rows: Vec<Vec<&str>> = files.iter().map(|text| text.lines().collect()).collect();
    let mut table = String::from("id,heat.warm,heat.cold,sound.tone,litres,hours,wet,loud,tags,alarm,part,trust\n");
    for ((heat, sound), truth) in rows[0].iter().zip(&rows[1]).zip(&rows[2]).skip(1) {
        let rest = |line: &&str| line.split_once(',').unwrap().1.to_string();
        table += &format!("{heat},{},{}\n", rest(sound), rest(truth));
    }
    std::fs::write(folder.join("all.csv"), table).unwrap();
    let plan = |score: &str| {
        format!(
            "name = 'p'\nseeds = [0, 1]\n{score}\n[train]\nepochs = 20\nbatch_size = 16\n[[data]]\nname = 'd'\ncard = 'card.toml'\n
            [[corruptions]]\nfamilies = ['gaussian']\nmodalities = 'sound'\nseverities = [1, 3]\n
            [[runs]]\nmethod = 'modality-dropout'\n[[runs]]\nmethod = 'late-fusion'\n[[runs]]\nmethod = 'udml'\n"
        )
    };
    std::fs::write(folder.join("plan.toml"), plan("")).unwrap();
    std::fs::write(folder.join("mae.toml"), plan("score = 'mae'")).unwrap();
}

const TABLES: &str = "name = 'd'\njoin = 'id'\nid = 'id'\npart = 'part'\nlabels = { file = 'truth.csv' }\nmissing_label = 'drop'\n
    [[view]]\nmodality = 'heat'\nfile = 'heat.csv'\n[[view]]\nmodality = 'sound'\nfile = 'sound.csv'\n";
const MANIFEST: &str = "name = 'd'\nmanifest = 'all.csv'\nmissing_label = 'drop'\n
    [[modality]]\nname = 'heat'\nkind = 'vector'\nfeatures = 2\n[[modality]]\nname = 'sound'\nkind = 'vector'\nfeatures = 1\n";

/// A card with these lines before its sensors.
fn card(folder: &Path, lines: &str, form: &str) {
    std::fs::write(folder.join("card.toml"), format!("{lines}\n{form}")).unwrap();
}

fn report(folder: &Path, plan: &str, out: &str) -> (Vec<CellResult>, String) {
    let out = folder.join(out);
    let output = bench(&folder.join(plan), &out).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let cells = results(&out).into_values().map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect();
    (cells, std::fs::read_to_string(out.join("report.html")).unwrap())
}

fn refused(folder: &Path, plan: &str) -> String {
    let output = bench(&folder.join(plan), &folder.join("refused")).output().unwrap();
    assert!(!output.status.success());
    said(&output)
}

/// What a check of the card says.
fn checked(folder: &Path) -> String {
    let page = folder.join("check.html");
    let output = mm().args(["data", "check"]).arg(folder.join("card.toml")).arg("--html").arg(&page).output().unwrap();
    assert!(std::fs::read_to_string(page).unwrap().contains("What is predicted"), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Trains a model on the card and asks it about the table of all sensors; the answers as lines.
fn answers(folder: &Path, file: &str) -> Vec<String> {
    let model = folder.join("model");
    let output = mm()
        .arg("train")
        .arg(folder.join("card.toml"))
        .arg("--plan")
        .arg(folder.join("plan.toml"))
        .args(["--method", "modality-dropout", "--overwrite", "--out"])
        .arg(&model)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let out = folder.join(file);
    let manifest = folder.join("all.csv");
    let output = mm().arg("predict").arg("--model").arg(&model).arg("--manifest").arg(manifest).arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    std::fs::read_to_string(out).unwrap().lines().map(String::from).collect()
}

#[test]
fn numbers_of_tables_become_a_report_in_their_unit_and_answers() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    write(folder);
    card(folder, "task = 'numbers'\ntargets = ['litres', 'hours']\nweight = 'trust'\nignore = ['wet', 'loud', 'tags', 'alarm']", TABLES);
    let check = checked(folder);
    assert!(check.contains("2 numbers") && check.contains("deviation") && check.contains("litres"), "{check}");
    let (cells, page) = report(folder, "mae.toml", "out");
    for cell in &cells {
        assert_eq!((cell.measure.name.as_str(), cell.measure.higher_is_better, cell.outputs.len()), ("mae", false, 2));
        // One of the training samples has no volume.
        assert_eq!((cell.test_samples, cell.predicts.as_deref()), (24, Some("2 numbers")));
        let full = cell.combinations.iter().find(|c| c.subset == "heat+sound").unwrap();
        // In litres: the standard deviation is 300, and both numbers are averaged.
        assert!(full.metrics.score > 1.0 && full.metrics.score < 150.0, "{} {:?}", cell.run, full.metrics);
        assert!(full.outputs[0]["mae"] > 2.0 && full.outputs[1]["mae"] < 0.1 && full.outputs[1]["pearson"] > 0.5, "{:?}", full.outputs);
        let summary = cell.summary.as_ref().unwrap();
        assert!(cell.combinations.iter().all(|c| c.metrics.score <= summary.worst) && summary.worst > full.metrics.score);
    }
    assert!(page.contains("Mean absolute error") && !page.contains("Mean absolute error, %") && page.contains("is lowest"));
    assert!(page.contains("Each by itself") && page.contains("2 numbers ·") && !page.contains("Calibration"));

    let lines = answers(folder, "answers.csv");
    assert_eq!((lines.len(), lines[0].as_str()), (SAMPLES + 1, "id,predicted.litres,predicted.hours,used,ignored"));
    let fields: Vec<&str> = lines[1].split(',').collect();
    assert!(fields[1].parse::<f64>().unwrap() > 3000.0 && fields[2].parse::<f64>().unwrap().abs() < 1.0 && fields[3] == "heat+sound");
    let json = answers(folder, "answers.jsonl");
    assert!(json[0].contains("\"numbers\":{") && !json[0].contains("class"), "{}", json[0]);

    // What is no number is named with its place, and what cannot be is refused.
    card(folder, "task = 'numbers'\ntargets = ['alarm']\nignore = ['litres', 'hours', 'wet', 'loud', 'tags']", TABLES);
    let error = refused(folder, "plan.toml");
    assert!(error.contains("truth.csv:2:7") && error.contains("`no` is not a number"), "{error}");
    card(folder, "task = 'numbers'\ntargets = ['litre']\nignore = ['alarm', 'hours', 'wet', 'loud', 'tags']", TABLES);
    assert!(
        refused(folder, "plan.toml").contains("there is no column `litre`, which is to be predicted, in any file; did you mean `litres`?")
    );
    card(folder, "targets = ['litres']", TABLES);
    assert!(refused(folder, "plan.toml").contains("write task = \"labels\" or task = \"numbers\" too"));
}

#[test]
fn labels_in_columns_and_in_lists_are_the_same_labels() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    write(folder);
    card(folder, "task = 'labels'\ntargets = ['loud', 'wet']", MANIFEST);
    let check = checked(folder);
    assert!(check.contains("2 labels") && check.contains("samples with the label"), "{check}");
    let (columns, page) = report(folder, "plan.toml", "columns");
    assert!(page.contains("Macro F1, %") && page.contains("2 labels ·") && page.contains("Each by itself"));
    for cell in &columns {
        let full = cell.combinations.iter().find(|c| c.subset == "heat+sound").unwrap();
        assert!(full.metrics.score > 0.7 && full.metrics.get("map") > 0.8, "{} {:?}", cell.run, full.metrics);
    }
    card(folder, "task = 'labels'\nlabel = 'tags'\nseparator = ';'", MANIFEST);
    let (lists, _) = report(folder, "plan.toml", "lists");
    let scores = |cells: &[CellResult]| {
        let mut all: Vec<String> =
            cells.iter().flat_map(|c| c.combinations.iter().map(|of| format!("{} {} {:?}", c.run, c.seed, of.sums))).collect();
        all.sort();
        all
    };
    // A row of the table without litres counts here: nothing is missing of labels.
    assert_eq!(scores(&columns), scores(&lists));
    let lines = answers(folder, "answers.csv");
    assert_eq!(lines[0], "id,labels,probability.loud,probability.wet,used,ignored");

    card(folder, "task = 'labels'\ntargets = ['loud', 'litres']", MANIFEST);
    let error = refused(folder, "plan.toml");
    assert!(error.contains("all.csv:2:5") && error.contains("does not say whether the label holds"), "{error}");
    card(folder, "task = 'labels'\nlabel = 'tags'\nseparator = ';'\nclasses = ['wett', 'loud']", MANIFEST);
    assert!(refused(folder, "plan.toml").contains("`wet` is none of the labels that the card lists; did you mean `wett`?"));
}

#[test]
fn a_rare_class_is_reported_by_the_area_under_its_curve() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    write(folder);
    card(folder, "label = 'alarm'\nscore = 'auroc'", MANIFEST);
    let (cells, page) = report(folder, "plan.toml", "out");
    for cell in &cells {
        assert_eq!((cell.measure.name.as_str(), cell.measure.share), ("auroc", true));
        let full = cell.combinations.iter().find(|c| c.subset == "heat+sound").unwrap();
        assert!(full.metrics.score > 0.85 && full.sums.len() == 2 * cell.test_samples, "{} {:?}", cell.run, full.metrics);
        assert!((cell.measure.score.of_all(&full.sums) - full.metrics.score).abs() < 1e-9);
        assert!(full.metrics.get("accuracy") > 0.6);
    }
    assert!(page.contains("AUROC, %"));
    card(folder, "label = 'alarm'\nscore = 'aurok'", MANIFEST);
    assert!(refused(folder, "plan.toml").contains("did you mean `auroc`?"));
}
