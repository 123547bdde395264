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
