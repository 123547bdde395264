//! Tables of segmentation counts.

use super::*;
use mm_testing::parquet;

const COLUMNS: &str = "tp:road,tp:grass,fp:road,fp:grass,fn:road,fn:grass";

/// As [`birds`], with pixels counted. The run `good` is wrong on few, `poor` misses a third of the road.
pub fn fields() -> String {
    rows(&header(COLUMNS), |run, sample| match run {
        "good" => format!("{},30,2,1,1,2", 60 + sample),
        _ => format!("{},30,2,21,21,2", 40 + sample),
    })
}

fn changed(from: &str, to: &str) -> String {
    Tables::empty().with("birds.csv", replaced(&fields(), from, to)).refused()
}

#[test]
fn the_scores_are_those_by_hand() {
    let table = |first: &str| format!("run,seed,combination,sample,{COLUMNS}\nr,0,x,0,{first}\nr,0,x,1,4,0,0,0,0,0\n");
    let read = |first: &str, settings: &str| {
        let tables = Tables::empty().with("t.csv", table(first)).with("predictions.toml", settings);
        tables.read().expect("read").remove(0)
    };
    let cell = read("6,3,1,2,2,1", "");
    assert_eq!(
        (cell.classes.join(" "), cell.predicts(), cell.measure.name.as_str()),
        ("road grass".into(), "2 classes of each pixel".into(), "miou")
    );
    assert!(cell.truths.is_none() && cell.outputs.is_empty());
    let found = &cell.combinations[0];
    close(found.metrics.score, (10.0 / 13.0 + 3.0 / 6.0) / 2.0);
    close(found.metrics.get("mean_dice"), (20.0 / 23.0 + 6.0 / 9.0) / 2.0);
    close(found.metrics.get("pixel_accuracy"), 13.0 / 16.0);
    assert_eq!(found.sums, [6.0, 3.0, 7.0, 5.0, 8.0, 4.0, 4.0, 0.0, 4.0, 0.0, 4.0, 0.0], "right, called, actual");
    assert!(found.metrics.samples == 2 && found.confusion.is_empty());
    // A pixel that is called something else without being missed by another class: there is a class that is not listed.
    let partial = read("6,3,1,3,2,1", "");
    assert!(partial.combinations[0].metrics.get("pixel_accuracy").is_nan());
    close(partial.combinations[0].metrics.score, (10.0 / 13.0 + 3.0 / 7.0) / 2.0);
    let of_road = read("6,3,1,2,2,1", "of_interest = \"road\"");
    assert_eq!(of_road.measure.name, "iou");
    close(of_road.combinations[0].metrics.score, 10.0 / 13.0);
    close(of_road.combinations[0].metrics.get("dice"), 20.0 / 23.0);
    close(of_road.combinations[0].metrics.get("miou"), found.metrics.score);
}

#[test]
fn every_way_of_writing_gives_the_same() {
    let text = |tables: Tables| serde_json::to_string(&tables.read().expect("read")).expect("json");
    let plain = text(Tables::empty().with("birds.csv", fields()));
    assert_eq!(text(Tables::empty().with("birds.parquet", parquet(&fields()))), plain);
    assert_eq!(text(Tables::empty().with("birds.csv", fields().replace(",30,", ",30.0,"))), plain);
    let turned = fields().lines().map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n").collect::<String>();
    let in_order = Tables::empty().with("birds.csv", turned).with("predictions.toml", "classes = [\"road\", \"grass\"]");
    assert_eq!(text(in_order), plain);
}

#[test]
fn counts_stand_beside_finished_cells() {
    let (tables, ours) = (Tables::empty().with("birds.csv", fields()), finished(&fields()));
    let theirs = tables.read_beside("", &ours).expect("read");
    let (report, page, text) = report(&[ours.clone(), theirs].concat(), "poor");
    let data = &report["data"][0];
    let mean = |run: usize| data["runs"][run]["mean"]["interval"]["estimate"].as_f64().expect("known");
    close(mean(0), mean(1));
    assert!(
        mean(1) > mean(2) + 0.1
            && data["runs"][1]["mean"]["interval"]["low"].as_f64() < data["runs"][1]["mean"]["interval"]["high"].as_f64()
    );
    // Of each class, too: on `rgb`, of the road 8 times 60 and 0 to 7 are right, 3 wrong.
    let grass = data["pixels"][0]["combinations"][0]["classes"][1]["mean"].as_f64().expect("known");
    let road = data["pixels"][0]["combinations"][0]["classes"][0]["mean"].as_f64().expect("known");
    close(grass, 30.0 / 33.0);
    close(road, 508.0 / (508.0 + 8.0 * 3.0));
    // A guess says road everywhere: of one sensor and of both, there is a worth.
    assert!(data["runs"][1]["shapley"].is_array(), "{}", data["runs"][1]);
    assert!(text.contains("### Classes of pixels: ") && text.contains("IoU grass") && page.contains("Mean IoU"));
    let refused = |table: String| Tables::empty().with("birds.csv", table).refused_beside(&ours);
    says(
        refused(fields().replace("s4,64,30,2,1,1,2", "s4,65,30,2,1,1,2").replace("s4,44,30,2,21,21,2", "s4,45,30,2,21,21,2")),
        &["sample `s4`", "the number of its pixels that are of road (tp + fn) is `66` here and `65` in the finished cell of ours, seed 0"],
    );
    says(refused(fields().replace("road", "path")), &["the classes of data birds differ: `path` is in this table and not in"]);
    // The class of interest is that of the finished cells.
    let with = |settings: &str| Tables::empty().with("birds.csv", fields()).with("predictions.toml", settings);
    let mut of_grass = with("of_interest = \"grass\"").read().expect("read");
    of_grass.retain(|cell| cell.run == "good");
    of_grass.iter_mut().for_each(|cell| cell.run = "ours".into());
    let beside = tables.read_beside("", &of_grass).expect("read");
    close(beside[0].combinations[0].metrics.score, 30.0 / 33.0);
    says(with("of_interest = \"road\"").refused_beside(&of_grass), &["`of_interest = \"road\"`, but that of data birds is `grass`"]);
    says(with("of_interest = \"road\"").refused_beside(&ours), &["the score of data birds is of all classes"]);
}

#[test]
fn what_is_no_count_is_refused() {
    says(changed(",fn:grass", ",fn:gras"), &["birds.csv:1: there is no column `fn:grass`; is it `fn:gras`?"]);
    says(changed(",fp:grass", ",fp:sky"), &["there is no column `fp:grass`; `tp:grass` needs one"]);
    says(changed("s0,60,30,2,1,1,2", "s0,-60,30,2,1,1,2"), &["birds.csv:2: column `tp:road`: `-60` is no count of pixels"]);
    says(
        changed("s0,60,30,2,1,1,2", "s0,60,30,2,1,1,2.5"),
        &["birds.csv:2: column `fn:grass`: `2.5` is no count of pixels, a whole number"],
    );
    says(changed("s0,60,30,2,1,1,2", "s0,60,30,nan,1,1,2"), &["column `fp:road`: `nan` is no count"]);
    says(changed("s0,60,30,2,1,1,2", "s0,60,30,1e300,1,1,2"), &["`1e300` is no count"]);
    says(
        changed("depth,,,,s0,60,30,2,1,1,2", "depth,,,,s0,60,30,2,1,0,3"),
        &["sample `s0` (birds, run good, seed 0, depth): the number of its pixels that are of road (tp + fn) is `60` here and `61` in \
             birds.csv:2"],
    );
    let lacking = without(&fields(), "good,0,depth,,,,s3,");
    says(Tables::empty().with("birds.csv", lacking).refused(), &["sample `s3` (birds, run good, seed 0, depth) is not predicted"]);
    let with = |settings: &str| Tables::empty().with("birds.csv", fields()).with("predictions.toml", settings);
    says(with("of_interest = \"rood\"").refused(), &["data birds has no such class; did you mean `road`?"]);
    says(with("score = \"pixel_accuracy\"").refused(), &["is no score of a segmentation that a report can have", "miou"]);
    let matrix = npy("<f4", "False", "(1, 1)", &1f32.to_le_bytes());
    says(
        Tables::empty().with("birds.csv", fields()).with("birds.npy", matrix).refused(),
        &["`tp:road` means nothing here; counts of pixels are in the table alone"],
    );
}
