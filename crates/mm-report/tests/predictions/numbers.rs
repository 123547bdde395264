//! Tables of numbers.

use super::*;
use mm_testing::parquet;

/// As [`birds`], with two numbers. The run `good` is off by little, `poor` says the same of every sample.
pub fn doses() -> String {
    rows(&header("true:age,true:dose,predicted:age,predicted:dose"), |run, sample| {
        let (age, dose) = (20 + 5 * sample, 0.5 * (sample % 3) as f64);
        match run {
            "good" => format!("{age},{dose},{}.25,{}", age + sample % 2, dose + 0.125),
            _ => format!("{age},{dose},40,0.5"),
        }
    })
}

fn changed(from: &str, to: &str) -> String {
    Tables::empty().with("birds.csv", replaced(&doses(), from, to)).refused()
}

#[test]
fn the_scores_are_those_by_hand() {
    let columns = "run,seed,combination,sample,true:age,true:dose,predicted:dose,predicted:age\n";
    let lines = "r,0,x,0,10,1,1,12\nr,0,x,1,20,2,2.5,19\nr,0,x,2,30,3,3,33\n";
    let read = |settings: &str| {
        let tables = Tables::empty().with("t.csv", format!("{columns}{lines}")).with("predictions.toml", settings);
        tables.read().expect("read").remove(0)
    };
    let cell = read("");
    assert_eq!((cell.outputs.join(" "), cell.predicts(), cell.measure.name.as_str()), ("age dose".into(), "2 numbers".into(), "r2"));
    let found = &cell.combinations[0];
    // Errors of the age are 2, -1 and 3, of the dose 0, 1/2 and 0; the truths are 10 and 1 apart.
    let (age, dose) = (&found.outputs[0], &found.outputs[1]);
    close(age["mae"], 2.0);
    close(age["rmse"], (14.0f64 / 3.0).sqrt());
    close(age["r2"], 1.0 - 14.0 / 200.0);
    close(dose["mae"], 0.5 / 3.0);
    close(dose["rmse"], (0.25f64 / 3.0).sqrt());
    close(found.metrics.score, (0.93 + 0.875) / 2.0);
    close(found.metrics.get("mae"), (2.0 + 0.5 / 3.0) / 2.0);
    // The predictions are 64/3 on average; squares of the distances sum to 686/3, products to 210.
    close(age["pearson"], 210.0 / (200.0f64 * 686.0 / 3.0).sqrt());
    close(age["concordance"], 2.0 * 210.0 / (200.0 + 686.0 / 3.0 + 3.0 * (4.0f64 / 3.0).powi(2)));
    // Intervals are made from the same.
    let measure = &cell.measure;
    close(measure.score.of_all(&found.sums), found.metrics.score);
    let errors = read("score = \"mae\"");
    close(errors.combinations[0].metrics.score, (2.0 + 0.5 / 3.0) / 2.0);
    assert!(!errors.measure.higher_is_better);
    errors.combinations[0].sums.iter().zip([1.0, 0.75, 1.5]).for_each(|(found, expected)| close(f64::from(*found), expected));
}

#[test]
fn small_errors_of_large_numbers_are_found() {
    let table = "run,seed,combination,sample,true:time,predicted:time\n\
                 r,0,x,0,1700000000,1700000000.5\nr,0,x,1,1700000001,1700000001\nr,0,x,2,1700000002,1700000001.5\n";
    let found = &Tables::empty().with("t.csv", table).read().expect("read")[0].combinations[0];
    close(found.metrics.get("mae"), 1.0 / 3.0);
    close(found.metrics.score, 1.0 - 0.5 / 2.0);
}

#[test]
fn every_way_of_writing_gives_the_same() {
    let text = |tables: Tables| serde_json::to_string(&tables.read().expect("read")).expect("json");
    let plain = text(Tables::empty().with("birds.csv", doses()));
    assert_eq!(text(Tables::empty().with("birds.parquet", parquet(&doses()))), plain);
    // With the index that pandas writes: first and without a name in CSV, last and called by its level in Parquet.
    let indexed = |name: &str, line: fn(&str, String) -> String| -> String {
        let number = |(i, text): (usize, &str)| line(text, if i == 0 { name.into() } else { (7 * i).to_string() }) + "\n";
        doses().lines().enumerate().map(number).collect()
    };
    for name in ["", "Unnamed: 0"] {
        assert_eq!(text(Tables::empty().with("birds.csv", indexed(name, |text, index| format!("{index},{text}")))), plain, "{name}");
    }
    let last = indexed("__index_level_0__", |text, index| format!("{text},{index}"));
    assert_eq!(text(Tables::empty().with("birds.parquet", parquet(&last))), plain);
    assert_eq!(text(Tables::empty().with("birds.csv", last)), plain);
    let (mut numbers, mut index): (Vec<u8>, String) = Default::default();
    for (i, line) in doses().lines().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        index += &(fields[..10].join(",") + "\n");
        if i > 0 {
            fields[10..].iter().for_each(|x| numbers.extend(x.parse::<f64>().expect("number").to_le_bytes()));
        }
    }
    let matrix = npy("<f8", "False", &format!("({}, 2)", index.lines().count() - 1), &numbers);
    let tables = Tables::empty().with("birds.csv", index).with("birds.npy", matrix).with("predictions.toml", "task = \"numbers\"");
    assert_eq!(text(tables), plain);
    // A truth of 32 bits is that of 64.
    let other = replaced(&doses(), ",0.5,26.25", ",0.50000001,26.25").replace("good,", "fair,").replace("poor,", "bad,");
    let cells = Tables::empty().with("a.csv", doses()).with("b.csv", other).read().expect("the same truth");
    assert_eq!(cells.len(), 8);
}

#[test]
fn numbers_stand_beside_finished_cells() {
    let (tables, ours) = (Tables::empty().with("birds.csv", doses()), finished(&doses()));
    let theirs = tables.read_beside("", &ours).expect("read");
    let (report, page, text) = report(&[ours.clone(), theirs].concat(), "poor");
    let data = &report["data"][0];
    assert_eq!((data["runs"].as_array().map(Vec::len), data["predicts"].as_str()), (Some(3), Some("2 numbers")));
    let mean = |run: usize| data["runs"][run]["mean"]["interval"]["estimate"].as_f64().expect("known");
    close(mean(0), mean(1));
    assert!(mean(1) > 0.9 && mean(2) < 0.1, "{} {}", mean(1), mean(2));
    assert!(text.contains("### Each by itself: ") && text.contains("| dose |") && page.contains("Mean absolute error"));
    // The score of the finished cells counts.
    let by_error: Vec<CellResult> = {
        let tables = Tables::empty().with("birds.csv", doses()).with("predictions.toml", "score = \"mae\"");
        tables
            .read()
            .expect("read")
            .into_iter()
            .filter(|cell| cell.run == "good")
            .map(|cell| CellResult { run: "ours".into(), ..cell })
            .collect()
    };
    assert!(tables.read_beside("", &by_error).expect("read").iter().all(|cell| cell.measure.name == "mae"));
    says(
        Tables::empty().with("birds.csv", labels::wards()).refused_beside(&ours),
        &["this table is of labels, but data birds is of numbers in the finished cells"],
    );
    // The ages of two samples in one another's place.
    let shuffled = doses().replace(",s3,35,", ",s3,40,").replace(",s4,40,", ",s4,35,");
    says(
        Tables::empty().with("birds.csv", shuffled).refused_beside(&ours),
        &["birds.csv:5: sample `s3`", "true:age is `40` here and `35` in the finished cell of ours, seed 0"],
    );
}

#[test]
fn a_score_that_is_not_defined_is_left_out() {
    let table = "run,seed,combination,sample,true:age,predicted:age\n\
                 r,0,a,0,5,4\nr,0,a,1,5,6\nr,0,a,2,7,7\nr,0,b,0,5,4\nr,0,b,1,5,5\nr,0,a+b,0,5,5\nr,0,a+b,1,5,5\n";
    let cell = Tables::empty().with("t.csv", table).read().expect("read").remove(0);
    assert_eq!(cell.combinations.iter().map(|c| c.subset.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!((cell.not_evaluated[0].subset.as_str(), cell.not_evaluated[0].excluded.unusable), ("b", 2));
    assert!(cell.data_remarks[0].starts_with("the R² of b is not defined on its 2 test samples"), "{:?}", cell.data_remarks);
    assert!(report(&[cell], "r").2.contains("the R² of a+b is not defined"));
}

#[test]
fn true_values_that_are_all_the_same_define_no_score() {
    for constant in ["0.1", "7.7", "1000000.3", "3.0"] {
        let line = |seed: u64, combination: &str, i: usize| format!("r,{seed},{combination},{i},{constant},{}\n", 3.0 + 0.5 * i as f64);
        let lines = (0..120).map(|i| line(i / 60, ["a", "b", "a+b"][i as usize % 60 / 20], i as usize % 20));
        let table = format!("run,seed,combination,sample,true:age,predicted:age\n{}", lines.collect::<String>());
        let cells = Tables::empty().with("t.csv", table).read().expect("read");
        assert!(cells.iter().all(|cell| cell.combinations.is_empty() && cell.not_evaluated.len() == 3), "{constant}");
        let text = report(&cells, "r").2;
        assert!(text.contains("The R² of r is not defined on its test samples, in any combination"), "{text}");
    }
}

#[test]
fn the_seed_without_a_score_is_named() {
    let line = |seed: u64, i: usize| format!("r,{seed},a,{i},{},{}\n", if seed == 1 { 7.7 } else { i as f64 }, i as f64 + 0.5);
    let lines: String = (0..20).map(|i| line(0, i)).chain((20..40).map(|i| line(1, i))).collect();
    let cells = Tables::empty().with("t.csv", format!("run,seed,combination,sample,true:age,predicted:age\n{lines}")).read().expect("read");
    let text = report(&cells, "r").2;
    assert!(text.contains("seed 1: the R² of a is not defined on its 20 test samples"), "{text}");
}

#[test]
fn a_table_without_rows_is_named() {
    let empty = format!("{}\n", doses().lines().next().expect("a header"));
    says(Tables::empty().with("birds.csv", empty).refused(), &["birds.csv: there is no row below the names of the columns"]);
}

#[test]
fn what_is_no_number_is_refused() {
    says(changed("predicted:dose", "predicted:doze"), &["there is no column `predicted:dose`; is it `predicted:doze`?"]);
    says(changed("predicted:dose", "predcted:dose"), &["`predcted:dose` means nothing here; did you mean `predicted:dose`?"]);
    says(changed("true:age,", "age,"), &["the column `age` means nothing here"]);
    says(changed("s0,20,0,20.25", "s0,20,0,x"), &["birds.csv:2: column `predicted:age`: `x` is no number"]);
    says(changed("s0,20,0,20.25", "s0,20,0,"), &["birds.csv:2: column `predicted:age`: is empty, which is no number"]);
    says(
        changed("s0,20,0,20.25", "s0,20,0,nan"),
        &["birds.csv:2: sample `s0` (birds, run good, seed 0, rgb): NaN is no finite number of 32 bits"],
    );
    says(changed("s0,20,0,", "s0,inf,0,"), &["birds.csv:2: column `true:age`: `inf` is no finite number"]);
    says(
        changed("s0,20,0,20.25", "s0,20,0,1e30"),
        &["birds.csv:2: sample `s0` (birds, run good, seed 0, rgb): the prediction is so far from the truth"],
    );
    says(
        changed("depth,,,,s0,20,", "depth,,,,s0,20.5,"),
        &["sample `s0` (birds, run good, seed 0, depth): true:age is `20.5` here and `20` in birds.csv:2"],
    );
    let lacking = without(&doses(), "good,0,depth,,,,s3,");
    says(Tables::empty().with("birds.csv", lacking).refused(), &["sample `s3` (birds, run good, seed 0, depth) is not predicted"]);
    let other = doses().replace("dose", "mass").replace("good,", "fair,");
    says(
        Tables::empty().with("a.csv", doses()).with("b.csv", other).refused(),
        &["the numbers of data birds differ: `mass` is in this table and not in"],
    );
}
