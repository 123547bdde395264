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
