//! Tables of numbers.

use super::made::*;
use mm_core::data::check::{Check, Level};

/// Of twenty samples of two sensors, eight are for training, four for validation and eight for the test; `b` is what is given for a row.
fn parted(b: impl Fn(usize) -> String) -> Check {
    let folder = tempfile::tempdir().unwrap();
    let part = |i: usize| ["train", "train", "validation", "test", "test"][i / 4];
    let rows: String = (0..20).map(|i| format!("{},{},{},{}\n", i * i, b(i), ["low", "high"][i % 2], part(i))).collect();
    write(folder.path(), "t.csv", format!("a,b,label,part\n{rows}"));
    let views = ["a", "b"].map(|name| format!("[[view]]\nmodality = \"{name}\"\nfile = \"t.csv\"\ncolumns = [\"{name}\"]\n")).concat();
    check_card(folder.path(), &format!("name = \"t\"\nlabel = \"label\"\npart = \"part\"\n{views}"))
}

#[test]
fn sensors_that_a_part_tells_nothing_of_are_told() {
    let number = |i: usize| (3 * i + 1).to_string();
    silent(&parted(number), Level::Warning);
    let check = parted(|i| if i < 8 { "5".into() } else { number(i) });
    tells(&check, Level::Warning, &["b: all 8 readings of training samples are the same"]);
    let check = parted(|i| if i > 0 && i < 8 { String::new() } else { number(i) });
    tells(&check, Level::Warning, &["b: a single training sample has a reading"]);
    let check = parted(|i| if i >= 12 { String::new() } else { number(i) });
    tells(&check, Level::Warning, &["b: no test sample has a reading", "no combination with it is tested"]);
    assert_eq!(check.count(Level::Warning), 1, "{}", said(&check));
}

#[test]
fn numbers_that_say_nothing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| format!("{},{},7,0,{}\n", i as f64 * 0.5, i * i, ["low", "high"][i % 2]);
    let mut rows: String = (0..20).map(row).collect();
    rows += &row(3);
    write(root, "n.csv", format!("a.x,a.y,a.z,b.x,label\n{rows}"));
    let (check, card) = check_guess(&root.join("n.csv"), root);
    assert!(
        card.contains("[[view]]") && card.contains("modality = \"a\"") && card.contains("columns = [\"a.x\", \"a.y\", \"a.z\"]"),
        "{card}"
    );
    tells(&check, Level::Remark, &["a: 1 of 3 variables never change: a.z (7)"]);
    tells(&check, Level::Error, &["b: all 21 readings are the same"]);
    tells(&check, Level::Warning, &["2 samples are the same in all readings", "row 4 (high)", "row 21 (high)"]);
}

/// What is told before a training, a check tells, too.
#[test]
fn what_the_score_hardly_counts_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row =
        |i: usize| format!("{},{},{}e-6,{},{}\n", i as f64 * 0.5, i * 1_000_000, i % 7, i * 20_000, ["ill", "well", "well", "well"][i % 4]);
    write(root, "n.csv", format!("x,cost,tiny,near,state\n{}", (0..40).map(row).collect::<String>()));
    let check = |lines: &str| {
        let view = "[[view]]\nmodality = \"a\"\nfile = \"n.csv\"\ncolumns = [\"x\"]\n";
        check_card(root, &format!("name = \"t\"\n{lines}\n{view}"))
    };
    let of = |targets: &str, score: &str| {
        check(&format!("task = \"numbers\"\ntargets = [{targets}]\nscore = \"{score}\"\nignore = [\"state\"]"))
    };
    let told = "in which `tiny` hardly count: the standard deviation of `cost` is more than 100 times theirs; write score = \"r2\"";
    tells(&of("\"cost\", \"tiny\"", "mae"), Level::Remark, &["the mean absolute error is a mean over numbers in their own units", told]);
    assert!(!said(&of("\"cost\", \"tiny\"", "r2")).contains("hardly count"));
    assert!(!said(&of("\"cost\", \"near\"", "rmse")).contains("hardly count"));
    let classes = |score: &str| check(&format!("label = \"state\"\nscore = \"{score}\"\nignore = [\"cost\", \"tiny\", \"near\"]"));
    tells(&classes("auprc"), Level::Remark, &["the AUPRC is that of the second class, `well`, which most samples have"]);
    assert!(!said(&classes("auroc")).contains("AUPRC"));
}

/// A number to predict that stands for none.
#[test]
fn codes_among_numbers_to_predict_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let table = |code: &str| -> String {
        let row = |i: usize| format!("{},{}\n", i * 37 % 101, if i.is_multiple_of(8) { code.into() } else { (3 + i * 7 % 29).to_string() });
        "x,days\n".to_string() + &(0..80).map(row).collect::<String>()
    };
    let card = "name = \"t\"\ntask = \"numbers\"\ntargets = [\"days\"]\n[[view]]\nmodality = \"a\"\nfile = \"n.csv\"\ncolumns = [\"x\"]\n";
    write(root, "n.csv", table("-999"));
    tells(
        &check_card(root, card),
        Level::Warning,
        &["numbers: one and the same number", "-999 of days in 10 of 80 rows", "a code for no value"],
    );
    write(root, "n.csv", table("9"));
    silent(&check_card(root, card), Level::Warning);
}
