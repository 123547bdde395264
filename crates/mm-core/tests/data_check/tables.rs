//! Tables of numbers.

use super::made::*;
use mm_core::data::check::Level;

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
