//! Tables of labels.

use super::*;
use mm_testing::parquet;

const COLUMNS: &str = "run,seed,combination,sample,true:fever,true:cough,p:fever,p:cough\n";

/// As [`birds`], with two labels of which any may hold. The run `good` is right on all, `poor` always says fever.
pub fn wards() -> String {
    rows(&header("true:fever,true:cough,p:fever,p:cough"), |run, sample| {
        let (fever, cough) = (sample % 2, usize::from(sample % 4 < 2));
        let p = |holds: usize| ["0.125", "0.875"][holds];
        format!("{fever},{cough},{},{}", if run == "poor" { "0.75" } else { p(fever) }, p(cough))
    })
}

fn changed(from: &str, to: &str) -> String {
    Tables::empty().with("birds.csv", replaced(&wards(), from, to)).refused()
}

#[test]
fn the_scores_are_those_by_hand() {
    let lines = "r,0,x,0,1,0,0.9,0.2\nr,0,x,1,1,1,0.6,0.4\nr,0,x,2,0,1,0.7,0.8\nr,0,x,3,0,0,0.1,0.3\n";
    let read = |settings: &str| {
        let tables = Tables::empty().with("t.csv", format!("{COLUMNS}{lines}")).with("predictions.toml", settings);
        tables.read().expect("read").remove(0)
    };
    let cell = read("");
    assert_eq!((cell.outputs.join(" "), cell.classes.len(), cell.predicts()), ("fever cough".into(), 0, "2 labels".into()));
    assert!(cell.truths.is_none() && cell.measure.name == "macro_f1");
    let found = &cell.combinations[0];
    // Fever is called for three samples, of which two have it; cough for one of two that have it.
    close(found.metrics.score, (4.0 / 5.0 + 2.0 / 3.0) / 2.0);
    close(found.metrics.get("micro_f1"), 6.0 / 8.0);
    close(found.metrics.get("exact_match"), 0.5);
    close(found.metrics.get("hamming"), 2.0 / 8.0);
    // One without fever has more of it than one with.
    close(found.metrics.get("map"), ((1.0 + 2.0 / 3.0) / 2.0 + 1.0) / 2.0);
    close(found.metrics.get("auroc"), (3.0 / 4.0 + 1.0) / 2.0);
    let nll: f64 = [0.9, 0.8, 0.6, 0.4, 0.3, 0.8, 0.9, 0.7].iter().map(|p: &f64| -p.ln() / 8.0).sum();
    close(found.metrics.get("nll"), nll);
    let of_cough = &found.outputs[1];
    assert!(found.outputs.len() == 2 && of_cough["map"] == 1.0 && found.outputs[0]["f1"] == 0.8, "{:?}", found.outputs);
    assert_eq!((found.correct.as_str(), &found.sums[..6]), ("1111", &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0][..]), "right, called, actual");
    let ranked = read("score = \"map\"");
    close(ranked.combinations[0].metrics.score, 11.0 / 12.0);
    assert_eq!((ranked.measure.title.as_str(), ranked.combinations[0].sums.len()), ("mean average precision", 4 * 4));
}

#[test]
fn areas_tell_close_probabilities_apart() {
    let columns = "run,seed,combination,sample,true:fever,p:fever\n";
    let tables = Tables::empty().with("t.csv", format!("{columns}r,0,x,0,1,0.5005\nr,0,x,1,0,0.5001\n"));
    let cell = tables.with("predictions.toml", "score = \"auroc\"").read().expect("read").remove(0);
    close(cell.combinations[0].metrics.score, 1.0);
}

#[test]
fn every_way_of_writing_gives_the_same() {
    let text = |tables: Tables| {
        let mut cells = tables.read().expect("read");
        // Logits in CSV have digits of their own.
        cells.iter_mut().for_each(|cell| cell.key.clear());
        cells.iter().flat_map(|c| &c.combinations).for_each(|c| assert!(c.metrics.samples > 0));
        serde_json::to_string(&cells).expect("json")
    };
    let plain = text(Tables::empty().with("birds.csv", wards()));
    assert_eq!(text(Tables::empty().with("birds.parquet", parquet(&wards()))), plain);
    let logit = |p: &str| p.replace("0.125", &(1f64 / 7.0).ln().to_string()).replace("0.875", &7f64.ln().to_string());
    let logits = logit(&wards()).replace("0.75", &3f64.ln().to_string()).replace(",p:", ",logit:");
    assert_eq!(text(Tables::empty().with("birds.csv", logits)), plain);
    // Booleans, and the labels of one half in another order.
    let booleans: String = wards()
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let truth = |text: &str| match text {
                "1" => "True".to_string(),
                "0" => "False".to_string(),
                name => name.to_string(),
            };
            format!("{},{},{},{},{}\n", fields[..8].join(","), truth(fields[8]), truth(fields[9]), fields[11], fields[10])
        })
        .collect();
    assert_eq!(text(Tables::empty().with("birds.csv", booleans)), plain);
    // An index beside a NumPy file, whose columns are those of the truths.
    let (mut numbers, mut index): (Vec<u8>, String) = Default::default();
    for (i, line) in wards().lines().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        index += &(fields[..10].join(",") + "\n");
        if i > 0 {
            fields[10..].iter().for_each(|p| numbers.extend(p.parse::<f32>().expect("number").to_le_bytes()));
        }
    }
    let matrix = npy("<f4", "False", &format!("({}, 2)", index.lines().count() - 1), &numbers);
    let with = |settings: &str| {
        let tables = Tables::empty().with("birds.csv", &index).with("birds.npy", &matrix);
        tables.with("predictions.toml", settings)
    };
    assert_eq!(text(with("task = \"labels\"")), plain);
    says(with("").refused(), &["birds.csv:1: the column `true:fever`", "`task = \"labels\"` or `task = \"numbers\"` in predictions.toml"]);
    let narrow = npy("<f4", "False", &format!("({}, 1)", index.lines().count() - 1), &numbers[..numbers.len() / 2]);
    let narrow = Tables::empty().with("birds.csv", &index).with("birds.npy", narrow).with("predictions.toml", "task = \"labels\"");
    says(narrow.refused(), &["birds.csv:2: the NumPy file has 1 numbers a line for the 2 labels of its index"]);
}

#[test]
fn labels_stand_beside_finished_cells() {
    let (tables, ours) = (Tables::empty().with("birds.csv", wards()), finished(&wards()));
    let theirs = tables.read_beside("", &ours).expect("read");
    let (report, page, text) = report(&[ours.clone(), theirs].concat(), "poor");
    let data = &report["data"][0];
    assert_eq!((data["runs"].as_array().map(Vec::len), data["predicts"].as_str()), (Some(3), Some("2 labels")));
    assert_eq!(data["runs"][0]["comparison"]["mean"]["verdict"], data["runs"][1]["comparison"]["mean"]["verdict"]);
    assert!(data["runs"][1]["comparison"]["mean"]["interval"]["estimate"].as_f64().expect("compared") > 0.1, "{data}");
    assert!(text.contains("### Each by itself: ") && text.contains("| fever |") && page.contains("Macro F1"));
    assert_eq!(data["severity"].as_array().map(Vec::len), Some(1));
    let refused = |table: String| Tables::empty().with("birds.csv", table).refused_beside(&ours);
    // In results of an older version, what the cells add up says which labels hold.
    let older: Vec<CellResult> = ours.iter().map(|cell| CellResult { true_outputs: Vec::new(), ..cell.clone() }).collect();
    for finished in [&ours, &older] {
        says(
            Tables::empty().with("birds.csv", wards().replace(",s4,0,1,", ",s4,1,1,")).refused_beside(finished),
            &[
                "birds.csv:6: sample `s4` (birds, run good, seed 0, rgb): true:fever is `1` here and `0` in the finished cell of ours, seed 0",
            ],
        );
    }
    says(
        refused(wards().replace("fever", "pain")),
        &["the labels of data birds differ: `pain` is in this table and not in the finished cells"],
    );
    says(
        refused(birds()),
        &["birds.csv:2: this table is of classes, but data birds is of labels in the finished cells; a data set has one kind"],
    );
}

#[test]
fn what_is_no_label_is_refused() {
    says(changed("p:cough", "p:cuogh"), &["birds.csv:1: there is no column `p:cough`; is it `p:cuogh`?"]);
    says(changed(",p:cough", ",p:rash"), &["there is no column `p:cough`; `true:cough` needs one"]);
    says(changed("p:fever", "logit:fever"), &["probabilities and of logits"]);
    says(changed(",true:cough", ",ture:cough"), &["the column `ture:cough` means nothing here; did you mean `true:cough`?"]);
    says(changed("true:cough,p:fever,p:cough", "true:cough,x,y"), &["the column `x` means nothing here"]);
    says(changed("s0,0,1,", "s0,0,2,"), &["birds.csv:2: column `true:cough`: `2` is neither 1 (the label holds) nor 0"]);
    says(
        changed("s0,0,1,", "s0,0,,"),
        &["column `true:cough`: is empty, which is neither 1", "leave out a sample of which a label is not known"],
    );
    says(
        changed("s0,0,1,0.125", "s0,0,1,1.25"),
        &["birds.csv:2: sample `s0` (birds, run good, seed 0, rgb): the probability 1.25 of `fever` is not from 0 to 1", "`logit:<label>`"],
    );
    says(changed("s0,0,1,0.125", "s0,0,1,inf"), &["sample `s0`", "inf is no finite number"]);
    says(
        changed("depth,,,,s0,0,1,", "depth,,,,s0,1,1,"),
        &["sample `s0` (birds, run good, seed 0, depth): true:fever is `1` here and `0` in birds.csv:2; a sample has one truth"],
    );
    says(changed("depth,,,,s3,1,0,0.875,0.125\n", "depth,,,,s2,0,0,0.875,0.125\n"), &["is predicted here and in birds.csv:"]);
    let lacking = without(&wards(), "good,0,depth,,,,s3,");
    says(
        Tables::empty().with("birds.csv", lacking).refused(),
        &["sample `s3` (birds, run good, seed 0, depth) is not predicted, but birds.csv:"],
    );
    let other = wards().replace("cough", "rash").replace("good,", "fair,");
    says(
        Tables::empty().with("a.csv", wards()).with("b.csv", other).refused(),
        &["b.csv:2: the labels of data birds differ: `rash` is in this table and not in", "a.csv"],
    );
    let tables = Tables::empty().with("birds.csv", wards()).with("predictions.toml", "classes = [\"fever\", \"cough\"]");
    says(tables.refused(), &["`classes` in predictions.toml names classes"]);
}
