//! Columns of words in tables of numbers: each category is a number that is 1 or 0.

use crate::refused::fails;
use mm_core::data::kinds::Origin;
use mm_core::data::{DatasetCard, LoadedData, ManifestColumns, ManifestRows, OnCorrupt, RowSensor, Source};
use mm_core::data::{InputSpec, Partial};
use mm_core::{Error, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;

const TABLE: &str = "age,sex,ward,kind\n30, F ,icu,oak\n40,M,2.0,elm\n50,,3,oak\n,,,elm\n60,M,icu,oak\n";

/// A table as a view with these lines reads it.
fn load(view: &str, table: &str) -> Result<LoadedData> {
    let card = format!("name = 't'\nlabel = 'kind'\nno_reading = 'drop'\n[[view]]\nmodality = 'a'\nfile = 'a.csv'\n{view}\n");
    DatasetCard::from_str(&card, "t.toml")?.load(|name| match name {
        "a.csv" => Ok(Cow::Owned(table.as_bytes().to_vec())),
        _ => Err(Error::io(name)(std::io::ErrorKind::NotFound.into())),
    })
}

#[test]
fn each_category_is_a_number() {
    let view = "columns = ['age', 'sex', 'ward']\npartial = 'indicate'\ncategories = { ward = ['icu', '2', '3'], sex = ['F', 'M'] }";
    let loaded = load(view, TABLE).unwrap();
    assert_eq!(loaded.report[0].features, ["age", "sex=F", "sex=M", "ward=icu", "ward=2", "ward=3"]);
    // Numbers are equal as numbers; an unknown sex is neither; a row of nothing is left out.
    let rows: Vec<&[f32]> = loaded.data.column(0).chunks_exact(6).collect();
    assert_eq!(rows[0], [30.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(rows[1], [40.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(rows[2], [50.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!((loaded.data.len(), loaded.data.column(0).len()), (4, 24));
    // Without `columns`, beside all numbers; a column of words that is not listed is left out as ever.
    let loaded =
        load("partial = 'indicate'\ncategories = { sex = ['M', 'F'] }", &TABLE.replace("2.0", "two").replace(",3,", ",three,")).unwrap();
    assert_eq!(loaded.report[0].features, ["age", "sex=M", "sex=F"]);
    assert_eq!(loaded.report[0].ignored, ["ward"]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let listed = "columns = ['age', 'sex']\npartial = 'indicate'\ncategories = { sex = ['F', 'M'] }";
    fails(
        load(listed, "age,sex,kind\n1,F,oak\n2,X,elm\n"),
        &["a.csv:3:2: `X` is none of the categories of `sex` (F, M)", "missing = [\"X\"]"],
    );
    fails(load("columns = ['age', 'sex']", TABLE), &["a.csv:2:2: `F` is not a number", "`categories` of the view"]);
    let some_empty = load("columns = ['age', 'sex']\ncategories = { sex = ['F', 'M'] }", TABLE);
    fails(some_empty, &["a.csv:4:2: this cell is empty", "partial = \"absent\""]);
    fails(load("columns = ['age']\ncategories = { sex = ['F', 'M'] }", TABLE), &["column `sex` has `categories` and is not in `columns`"]);
    fails(load("categories = { sxe = ['F', 'M'] }", TABLE), &["there is no column `sxe`", "age, sex, ward"]);
    fails(load("ignore = ['sex']\ncategories = { sex = ['F', 'M'] }", TABLE), &["column `sex` is in `categories` and in `ignore`"]);
    for wrong in ["[]", "['F', 'F']", "['F', ' ']"] {
        fails(load(&format!("categories = {{ sex = {wrong} }}"), TABLE), &["view.categories in t.toml", "those of `sex`"]);
    }
}

#[test]
fn rows_to_predict_have_the_words_too() {
    let folder = tempfile::tempdir().unwrap();
    let open = |table: &str, on_corrupt: OnCorrupt| {
        let path = folder.path().join("new.csv");
        std::fs::write(&path, table).unwrap();
        let mut columns = ManifestColumns::default();
        let names = ["age", "sex=F", "sex=M", "a=b=c", "a=b=d"].map(String::from);
        columns.variables = BTreeMap::from([("a".to_string(), names.to_vec())]);
        columns.partial = BTreeMap::from([("a".to_string(), Partial::Indicate)]);
        let rows = ManifestRows::open(path, vec![RowSensor::new("a", &InputSpec::vector(5), None)], &columns, on_corrupt)?;
        rows.map(|row| Ok(row?.origins[0].clone())).collect::<Result<Vec<Option<Origin>>>>()
    };
    let strict = |table: &str| {
        let path = folder.path().join("strict.csv");
        std::fs::write(&path, table).unwrap();
        let mut columns = ManifestColumns::default();
        columns.variables = BTreeMap::from([("a".to_string(), ["age", "sex=F", "sex=M"].map(String::from).to_vec())]);
        let rows = ManifestRows::open(path, vec![RowSensor::new("a", &InputSpec::vector(3), None)], &columns, OnCorrupt::Error)?;
        rows.map(|row| Ok(row?.origins[0].clone())).collect::<Result<Vec<Option<Origin>>>>()
    };
    fails(strict("age,sex\n7,\n"), &["strict.csv:2:2: 1 of 2 columns of the modality are empty here"]);
    let numbers = |values: [f64; 5]| Some(Origin::Numbers(values.to_vec()));
    let found = open("sex,a=b,age\nM,c,7\nF,d,8\n,d,9\n,,\n", OnCorrupt::Error).unwrap();
    assert_eq!(found[..2], [numbers([7.0, 0.0, 1.0, 1.0, 0.0]), numbers([8.0, 1.0, 0.0, 0.0, 1.0])]);
    assert_eq!(found[2..], [numbers([9.0, 0.0, 0.0, 0.0, 1.0]), None]);
    // The numbers themselves, as a program may have them.
    let found = open("age,sex=F,sex=M,a=b=c,a=b=d\n7,0,1,1,0\n", OnCorrupt::Error).unwrap();
    assert_eq!(found, [numbers([7.0, 0.0, 1.0, 1.0, 0.0])]);
    fails(
        open("age,sex,a=b\n7,X,c\n", OnCorrupt::Error),
        &["new.csv:2:2: `X` is none of the categories of `sex` (F, M)", "leave the cell empty"],
    );
    assert_eq!(open("age,sex,a=b\n7,X,c\n", OnCorrupt::Absent).unwrap(), [None]);
    fails(open("age,gender,a=b\n7,F,c\n", OnCorrupt::Error), &["there is no column `sex`"]);
}
