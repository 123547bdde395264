//! What tells the class by itself: a threshold of one number, and whether a sensor is there.

use super::made::*;
use mm_core::data::check::{Check, Level};
use std::path::Path;

/// The check of a table of 200 rows, of which every other is sick. Two columns are a sensor `lab`.
fn checked(root: &Path, row: &dyn Fn(usize, bool) -> [String; 3]) -> Check {
    let line = |i: usize| {
        let is_sick = i % 2 == 1;
        let [pulse, first, second] = row(i, is_sick);
        format!("{pulse},{first},{second},{}\n", if is_sick { "sick" } else { "well" })
    };
    write(root, "table.csv", format!("watch.pulse,lab.a,lab.b,label\n{}", (0..200).map(line).collect::<String>()));
    check_guess(&root.join("table.csv"), root).0
}

/// A number that says nothing of the class.
fn any(i: usize) -> String {
    format!("{}.{}", i * 37 % 101, i * 7 % 10)
}

#[test]
fn a_threshold_that_tells_the_class_is_remarked() {
    let folder = tempfile::tempdir().unwrap();
    let lab = |i: usize, wrong: usize, is_sick: bool| format!("{}.{}", if is_sick == (i >= wrong) { 60 } else { 20 } + i % 13, i % 7);
    // Three of 200 are on the other side.
    let check = checked(folder.path(), &|i, is_sick| [any(i), lab(i, 3, is_sick), any(i + 1)]);
    tells(&check, Level::Remark, &["lab: a threshold of one variable tells a class in 98 % of samples or more: lab.a (`", "take it out"]);
    // Twelve are: a sensor of some use, and no more.
    let check = checked(folder.path(), &|i, is_sick| [any(i), lab(i, 12, is_sick), any(i + 1)]);
    assert!(!said(&check).contains("threshold"), "{}", said(&check));
}

#[test]
fn a_sensor_that_is_there_in_one_class_only_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let lab = |there: bool, i: usize| if there { [any(i), any(i + 1), any(i + 2)] } else { [any(i), String::new(), String::new()] };
    let check = checked(folder.path(), &|i, is_sick| lab(is_sick != (i < 4), i));
    tells(&check, Level::Warning, &["lab: ", "% of the samples of the class `", "98 % of the", "2 % of the", "will that be so"]);
    // Half of one class and all of the other: natural enough.
    let check = checked(folder.path(), &|i, is_sick| lab(is_sick || i.is_multiple_of(4), i));
    assert!(!said(&check).contains("of the others"), "{}", said(&check));
}
