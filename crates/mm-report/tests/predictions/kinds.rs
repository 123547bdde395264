//! What a table predicts is seen from its columns; a mixture is refused.

use super::*;

fn of_columns(columns: &str) -> String {
    Tables::empty().with("t.csv", format!("run,seed,combination,sample,{columns}\n")).refused()
}

#[test]
fn columns_of_two_kinds_are_no_table() {
    for (columns, found) in [
        ("truth,tp:road,fp:road,fn:road", "`truth` and `tp:road`"),
        ("truth,true:fever,p:fever", "`truth` and `true:fever`"),
        ("true:age,predicted:age,p:age", "`p:age` and `predicted:age`"),
        ("true:age,predicted:age,fn:road", "`true:age` and `fn:road`"),
        ("truth,p:wren,p:robin,predicted:age", "`truth` and `predicted:age`"),
    ] {
        let expected = format!("t.csv:1: the columns {found} are of different kinds of predictions: classes have `truth`");
        says(of_columns(columns), &[&expected, "numbers `true:<name>` and `predicted:<name>`"]);
    }
}

#[test]
fn what_is_missing_is_named() {
    for (columns, missing) in [
        ("p:wren,p:robin", "there is no column `truth`; classes have `truth`"),
        (
            "true:fever",
            "there is no column `p:<label>`; a column for each label is needed, or `logit:<label>`; numbers have `predicted:<name>`",
        ),
        ("predicted:age", "there is no column `true:age`; `predicted:age` needs one"),
        ("fp:road,fn:road", "there is no column `tp:road`; `fp:road` needs one"),
        ("tp:road", "there is no column `fp:road`; `tp:road` needs one"),
        ("true:,p:", "the column `true:` means nothing here; a name follows the colon"),
        ("true:a,true: a,p:a", "the column `true:a` is there twice"),
        ("truth,p:a", "there is only one; two classes have two"),
    ] {
        says(of_columns(columns), &["t.csv:1: ", missing]);
    }
}

#[test]
fn a_data_set_has_one_kind() {
    let tables = Tables::empty().with("a.csv", birds()).with("b.csv", labels::wards());
    says(tables.refused(), &["b.csv:2: this table is of labels, but data birds is of classes in", "a.csv; a data set has one kind"]);
    // Two data sets in one folder have a kind each.
    let other = pixels::fields().replace("birds", "land");
    let cells = Tables::empty().with("a.csv", birds()).with("b.csv", other).read().expect("two data sets");
    assert_eq!(cells.iter().map(|cell| cell.measure.name.as_str()).collect::<Vec<_>>(), [["accuracy"; 4], ["miou"; 4]].concat());
    let said = Tables::empty().with("a.csv", numbers::doses()).with("predictions.toml", "task = \"labels\"");
    says(said.refused(), &["`predicted:age` is a column of numbers, but predictions.toml says `task = \"labels\"`"]);
    for (task, table) in [("classes", birds()), ("labels", labels::wards()), ("numbers", numbers::doses()), ("pixels", pixels::fields())] {
        let said = Tables::empty().with("a.csv", table).with("predictions.toml", format!("task = \"{task}\""));
        assert_eq!(said.read().expect(task).len(), 4);
    }
}
