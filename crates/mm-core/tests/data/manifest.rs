//! Tables of samples: what is read, what is told, what is refused and where.

use mm_core::data::kinds::{Image, Series, Vector};
use mm_core::data::{FileCard, FileSource, Manifest, OnCorrupt, Part, Source, Unusable, concat_parts};
use mm_core::{Error, Result};
use mm_testing::{noisy_picture, parquet};
use std::path::Path;

/// Four pictures and a table of three numbers beside them.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c", "d"] {
        noisy_picture(&folder.path().join(format!("rgb/{name}.png")), 6, 4);
    }
    folder
}

const HEADER: &str = "id,rgb,gps.north,gps.east,label,part,group\n";
const ROWS: &str = "one,rgb/a.png,5400123.25,1.5,cat,train,x\n\
                    two,rgb/b.png,,,dog,val,y\n\
                    three,,5400124.5,2.5,cat,test,w\n\
                    four,rgb/d.png,nan,3.5,dog,train,z\n";

fn manifest(path: impl AsRef<Path>) -> Manifest {
    Manifest::new(path.as_ref()).modality("rgb", Image::rgb(8)).modality("gps", Vector::new(2))
}

fn open(folder: &Path, name: &str, text: &str) -> Result<FileSource> {
    std::fs::write(folder.join(name), text).unwrap();
    manifest(folder.join(name)).open()
}

fn check(data: &FileSource) {
    let meta: Vec<_> = (0..data.len()).map(|row| data.meta(row)).collect();
    assert_eq!(meta.iter().map(|m| m.id.unwrap()).collect::<Vec<_>>(), ["one", "two", "three", "four"]);
    assert_eq!(meta.iter().map(|m| m.presence.bits()).collect::<Vec<_>>(), [3, 1, 2, 1]);
    assert_eq!(meta.iter().map(|m| m.class.unwrap()).collect::<Vec<_>>(), [0, 1, 0, 1]);
    assert_eq!(meta.iter().map(|m| m.part.unwrap()).collect::<Vec<_>>(), [Part::Train, Part::Validation, Part::Test, Part::Train]);
    assert_eq!(meta.iter().map(|m| m.group.unwrap()).collect::<Vec<_>>(), ["x", "y", "w", "z"]);
    assert_eq!(data.schema().target.class_names(), ["cat", "dog"]);
    let sample = data.read(0).unwrap();
    assert_eq!(sample.readings[0].as_ref().unwrap().shape, [3, 8, 8]);
    // All digits: a large offset costs none.
    assert_eq!(sample.readings[1].as_ref().unwrap().values.to_f64(), [5400123.25, 1.5]);
    assert!(data.read(1).unwrap().readings[1].is_none());
    let remarks = data.remarks().join("\n");
    assert!(remarks.contains("1 readings hold a value that is not finite"), "{remarks}");
}

#[test]
fn csv_json_lines_and_parquet_are_read_alike() {
    let folder = folder();
    check(&open(folder.path(), "samples.csv", &format!("{HEADER}{ROWS}")).unwrap());
    // Too large for 32 bits is not finite either.
    check(&open(folder.path(), "samples.csv", &format!("{HEADER}{ROWS}").replace("nan,", "1e39,")).unwrap());
    check(&open(folder.path(), "samples.tsv", &format!("{HEADER}{ROWS}").replace(',', "\t")).unwrap());
    let names: Vec<&str> = HEADER.trim().split(',').collect();
    let line = |row: &str| {
        let pairs = names.iter().zip(row.split(',')).filter(|(_, value)| !value.is_empty());
        let quoted = |(name, value): (&&str, &str)| match value.parse::<f64>() {
            Ok(number) if number.is_finite() => format!("{name:?}: {value}"),
            _ => format!("{name:?}: {value:?}"),
        };
        format!("{{{}}}\n", pairs.map(quoted).collect::<Vec<_>>().join(", "))
    };
    let lines: String = ROWS.lines().map(line).collect();
    check(&open(folder.path(), "samples.jsonl", &format!("\n{lines}\n")).unwrap());
    std::fs::write(folder.path().join("samples.parquet"), parquet(&format!("{HEADER}{ROWS}"))).unwrap();
    check(&manifest(folder.path().join("samples.parquet")).open().unwrap());
}

#[test]
fn columns_may_have_other_names() {
    let folder = folder();
    let text = "photo,digit,who\nrgb/a.png,10,x\nrgb/b.png,9,y\n,9,z\n";
    std::fs::write(folder.path().join("t.csv"), text).unwrap();
    let open = || Manifest::new(folder.path().join("t.csv")).modality("rgb", Image::gray(4)).column("photo").label("digit").group("who");
    let data = open().open().unwrap();
    assert_eq!(data.len(), 2, "a row without any reading is no sample");
    assert!(data.remarks()[0].contains("1 of 3 rows have no reading of any sensor"), "{:?}", data.remarks());
    // Numbers in the order of numbers.
    assert_eq!(data.schema().target.class_names(), ["9", "10"]);
    assert_eq!((data.meta(0).id.unwrap(), data.meta(1).group.unwrap()), ("line 2", "y"));
    assert_eq!(open().classes(["10", "9", "8"]).open().unwrap().schema().target.class_names(), ["10", "9", "8"]);
    let error = open().classes(["10", "8"]).open().err().unwrap().to_string();
    assert!(error.contains("t.csv:3:2") && error.contains("none of the classes"), "{error}");
}

#[test]
fn a_column_that_is_named_has_to_be_there() {
    let folder = folder();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, format!("{HEADER}{ROWS}")).unwrap();
    let said = |named: Manifest| named.open().err().unwrap().to_string();
    for (error, expected) in [
        (said(manifest(&path).id("name")), "there is no column `name` for the name of each sample"),
        (said(manifest(&path).group("groups")), "there is no column `groups` for the group of each sample; did you mean `group`?"),
        (said(manifest(&path).part("Part")), "there is no column `Part` for the part of each sample; did you mean `part`?"),
    ] {
        assert!(error.contains(expected), "{error}");
    }
    // Those that nobody named may be lacking; one that was probably meant is told.
    std::fs::write(&path, format!("{}{ROWS}", HEADER.replace("id,", "ID,").replace("part,group", "Split,Group"))).unwrap();
    let data = manifest(&path).open().unwrap();
    assert_eq!((data.meta(0).id.unwrap(), data.meta(0).part, data.meta(0).group), ("line 2", None, None));
    let told = data.remarks().join("\n");
    for (column, usual) in [("ID", "id"), ("Group", "group"), ("Split", "part")] {
        let advice = format!("call it `{usual}`, or write {usual} = \"{column}\" in the card");
        assert!(told.contains(&format!("column `{column}` is not read as the")) && told.contains(&advice), "{told}");
    }
    let told = manifest(&path).id("ID").group("Group").part("Split").open().unwrap().remarks().join("\n");
    assert!(!told.contains("is not read"), "{told}");
    // A column of that name that holds no parts is something else.
    std::fs::write(&path, "id,rgb,label,split\na,rgb/a.png,cat,3\nb,rgb/b.png,dog,4\n").unwrap();
    let data = Manifest::new(&path).modality("rgb", Image::rgb(8)).open().unwrap();
    assert!(data.remarks().is_empty(), "{:?}", data.remarks());
}

#[test]
fn what_may_be_misread_is_refused_with_its_place() {
    let folder = folder();
    let said = |header: &str, rows: &str| match open(folder.path(), "bad.csv", &format!("{header}{rows}")) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("taken: {rows}"),
    };
    let cases = [
        (HEADER, ROWS.replace("rgb/b.png", "rgb/bb.png"), "bad.csv:3:2: there is no file"),
        (HEADER, ROWS.replace("5400123.25", ""), "bad.csv:2:3: 1 of 2 columns of the modality are empty"),
        (HEADER, ROWS.replace("5400123.25", "north"), "bad.csv:2:3: `north` is no number"),
        (HEADER, ROWS.replace("dog,val", ",val"), "bad.csv:3:5: the label is empty"),
        (HEADER, ROWS.replace("val", "vol"), "bad.csv:3:6: `vol` is no part"),
        (HEADER, ROWS.replace("train,x", "train,\"x"), "bad.csv:2:7: a quote opened here is never closed"),
        (HEADER, ROWS.replace("one,", "one,extra,"), "bad.csv:2:8: 8 fields, but the header has 7"),
        (HEADER, String::new(), "has no rows"),
    ];
    for (header, rows, expected) in cases {
        let error = said(header, &rows);
        assert!(error.contains(expected), "{error}\nexpected {expected}");
    }
    // Published parts may be so on purpose.
    let torn = open(folder.path(), "torn.csv", &format!("{HEADER}{}", ROWS.replace("test,w", "test,x"))).unwrap().remarks().join("\n");
    assert!(torn.contains("torn.csv:4: group `x` is in two parts: test here, train in ") && torn.contains("torn.csv:2;"), "{torn}");
    let error = said(&HEADER.replace("label", "lable"), ROWS);
    assert!(error.contains("no column `label`") && error.contains("did you mean `lable`?"), "{error}");
    let error = said(&HEADER.replace("rgb", "rbg"), ROWS);
    assert!(error.contains("no column `rgb`") && error.contains("there are: id, rbg"), "{error}");
    let error = said(&HEADER.replace("gps.north", "gps.height,gps.north"), &ROWS.replace("png,", "png,1,").replace("three,,", "three,,1,"));
    assert!(error.contains("3 columns `gps.*`, but the modality `gps` has 2 numbers"), "{error}");
    std::fs::write(folder.path().join("bad.csv"), "rgb,litres\nrgb/a.png,1.5\nrgb/b.png,\"1,37\"\n").unwrap();
    let numbers = Manifest::new(folder.path().join("bad.csv")).modality("rgb", Image::rgb(8)).numbers(["litres"]);
    let error = numbers.open().err().unwrap().to_string();
    let advice = "bad.csv:3:2: `1,37` is not a number; write a point for the decimal comma";
    assert!(error.contains(advice) && !error.contains("card"), "{error}");
    let error = said(&HEADER.replace("group", "label"), ROWS);
    assert!(error.contains("two columns are called `label`"), "{error}");
    let error = open(folder.path(), "bad.jsonl", "{\"rgb\": \"rgb/a.png\", \"label\": [1]}\n").err().unwrap().to_string();
    assert!(error.contains("there are: rgb, label.1"), "{error}");
    let listed = |label: &str| {
        let path = folder.path().join("bad.jsonl");
        std::fs::write(&path, format!("{{\"rgb\": \"rgb/a.png\", \"signs\": {label}}}\n")).unwrap();
        Manifest::new(path).modality("rgb", Image::rgb(8)).labels(["signs"]).open().err().unwrap().to_string()
    };
    let error = listed("[\"cough\", \"fever\"]");
    assert!(error.contains("labels are listed in one text") && error.contains("separator = \"|\""), "{error}");
    assert!(listed("\"cough;fever\"").contains("name its column as `label` and write separator = \";\""));
    assert!(listed("\"cough\"").contains("such as separator = \"|\"") && !listed("2").contains("separator"));
    let error = open(folder.path(), "bad.jsonl", "{\"rgb\": \"rgb/a.png\"\n").err().unwrap().to_string();
    assert!(error.contains("bad.jsonl:1:") && error.contains("JSON object"), "{error}");
    assert!(matches!(manifest(folder.path().join("none.csv")).open(), Err(Error::Io { .. })));
}

#[test]
fn what_cannot_be_used_is_left_out_where_that_is_asked_for() {
    let folder = folder();
    std::fs::write(folder.path().join("rgb/b.png"), b"no picture").unwrap();
    let text = format!("{HEADER}{}", ROWS.replace("rgb/d.png", "rgb/gone.png").replace("two,rgb/b.png,,", "two,rgb/b.png,1,2"));
    let text = text.replace("nan,3.5", "7,3.5") + "five,rgb/c.png,1,2,,train,z\n";
    std::fs::write(folder.path().join("t.csv"), &text).unwrap();
    let open = || manifest(folder.path().join("t.csv")).unlabelled(Unusable::Drop);
    assert!(open().open().err().unwrap().to_string().contains("rgb/gone.png"));
    let data = open().on_corrupt(OnCorrupt::Absent).open().unwrap();
    assert_eq!((data.len(), data.meta(3).presence.bits()), (4, 2), "the file that is not there is known before it is read");
    let remarks = data.remarks().join("\n");
    assert!(remarks.contains("1 of 5 rows have no label") && remarks.contains("1 files are not there"), "{remarks}");
    // What cannot be decoded is found when it is read.
    let sample = data.read(1).unwrap();
    assert!(sample.readings[0].is_none() && sample.readings[1].is_some());
    assert_eq!(data.corrupt(), 1);
    std::fs::write(folder.path().join("rgb/a.png"), b"no picture").unwrap();
    let alone = Manifest::new(folder.path().join("t.csv")).modality("rgb", Image::rgb(8)).unlabelled(Unusable::Drop);
    let data = alone.on_corrupt(OnCorrupt::Absent).open().unwrap();
    let error = data.read(0).unwrap_err().to_string();
    assert!(error.contains("none of the readings of sample `one` can be decoded"), "{error}");
}

/// A card of series in files beside two numbers of the table; `setting` is a line of it.
fn series(root: &Path, setting: &str, rows: &str) -> Result<FileSource> {
    std::fs::write(root.join("s.csv"), format!("id,x,y.a,y.b,label\n{rows}")).unwrap();
    let sensors = "[[modality]]\nname = \"x\"\nkind = \"series\"\nchannels = 2\nsteps = 3\n\
                   [[modality]]\nname = \"y\"\nkind = \"vector\"\nfeatures = 2\n";
    let card = format!("name = \"s\"\nmanifest = \"s.csv\"\n{setting}\n{sensors}");
    FileCard::from_str(&card, root.join("card.toml")).unwrap().open()
}

const ABSENT: &str = "on_corrupt = \"absent\"";

#[test]
fn a_file_with_a_value_that_is_not_finite_is_named_or_known_to_be_absent() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let files = [("1", "1,2\n3,4\n5,6\n"), ("2", "1,2\n1,nan\n1,2\n1,2\n1,2\n1,2\n1,2\n"), ("3", "inf,2\n1,2\n1,2\n"), ("4", "1,2\n1,x\n")];
    files.iter().for_each(|(name, text)| std::fs::write(root.join(format!("{name}.csv")), text).unwrap());
    let rows = "one,1.csv,1,2,p\ntwo,2.csv,3,4,q\nthree,3.csv,,,p\nfour,4.csv,1,5,q\nfive,1.csv,7,8,p\n";
    // By name, also where it is not among the steps that a model would get.
    let data = series(root, "", rows).unwrap();
    assert!(data.read(0).is_ok() && data.remarks().is_empty());
    let error = data.read(1).unwrap_err().to_string();
    assert!(
        error.contains("2.csv holds a value that is not finite: NaN at [1, 1] of the shape [2, 7]") && error.contains(ABSENT),
        "{error}"
    );
    assert!(data.read(2).unwrap_err().to_string().contains("3.csv holds a value that is not finite: inf at [0, 0]"));
    // Absent before anything is read, and told.
    let data = series(root, ABSENT, rows).unwrap();
    let known: Vec<_> = (0..data.len()).map(|row| (data.meta(row).id.unwrap(), data.meta(row).presence.bits())).collect();
    assert_eq!(known, [("one", 3), ("two", 2), ("four", 2), ("five", 3)]);
    let told = data.remarks();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("1 readings cannot be read: their sensors count as absent") && told[0].contains("4.csv:2:2: `x`"), "{told:?}");
    assert!(told[1].contains("2 readings hold a value that is not finite") && told[1].ends_with("2.csv"), "{told:?}");
    assert!(told[2].contains("1 samples have no other reading and are left out: three"), "{told:?}");
    assert!((0..4).all(|row| data.read(row).is_ok()) && data.corrupt() == 0);
    let error = series(root, ABSENT, "two,2.csv,,,q\nthree,3.csv,,,p\n").err().unwrap().to_string();
    assert!(error.contains("leaves no sample") && error.contains("2.csv"), "{error}");
    // Who reads without having read before takes it for absent all the same.
    let manifest = Manifest::new(root.join("s.csv")).modality("x", Series::new(2, 3).unwrap()).modality("y", Vector::new(2));
    std::fs::write(root.join("s.csv"), format!("id,x,y.a,y.b,label\n{rows}")).unwrap();
    let data = manifest.on_corrupt(OnCorrupt::Absent).open().unwrap();
    assert!(data.read(1).unwrap().readings[0].is_none() && data.corrupt() == 1);
}

#[test]
fn cells_that_are_no_numbers_count_as_absent_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("1.csv"), "1,2\n3,4\n5,6\n").unwrap();
    let rows = "one,1.csv,1,2,p\ntwo,1.csv,abc,2,q\nthree,,1,,p\nfour,1.csv,\"1,5\",2,q\n";
    assert!(series(root, "", rows).err().unwrap().to_string().contains("s.csv:3:3: `abc` is no number"));
    let data = series(root, ABSENT, rows).unwrap();
    let known: Vec<_> = (0..data.len()).map(|row| (data.meta(row).id.unwrap(), data.meta(row).presence.bits())).collect();
    assert_eq!(known, [("one", 3), ("two", 1), ("four", 1)]);
    let told = data.remarks().join("\n");
    assert!(told.contains("3 readings cannot be used and count as absent, the first:") && told.contains("s.csv:3:3: `abc`"), "{told}");
    assert!(told.contains("1 samples have no other reading and are left out"), "{told}");
}

#[test]
fn tables_of_parts_become_one() {
    let folder = folder();
    let root = folder.path();
    let file = |name: &str, text: &str| {
        std::fs::write(root.join(name), text).unwrap();
        root.join(name)
    };
    let train = file("train.csv", "id,rgb,gps.north,gps.east,label\n007,rgb/a.png,1.50,\"2\",\"cat, grey\"\n1e5,rgb/b.png,,,dog\n");
    let test = file("dev.jsonl", "{\"label\":\"dog\",\"rgb\":\"rgb/c.png\",\"gps\":{\"north\":3,\"east\":4.25},\"id\":9}\n");
    for out in ["all.csv", "all.jsonl"] {
        let out = root.join(out);
        assert_eq!(concat_parts(&[(Part::Train, train.clone()), (Part::Validation, test.clone())], &out).unwrap(), [2, 1]);
        let data = manifest(&out).open().unwrap();
        let meta: Vec<_> = (0..3).map(|row| data.meta(row)).collect();
        assert_eq!(meta.iter().map(|m| m.id.unwrap()).collect::<Vec<_>>(), ["007", "1e5", "9"]);
        assert_eq!(meta.iter().map(|m| m.part.unwrap()).collect::<Vec<_>>(), [Part::Train, Part::Train, Part::Validation]);
        assert_eq!(meta.iter().map(|m| m.presence.bits()).collect::<Vec<_>>(), [3, 1, 3]);
        assert_eq!(data.schema().target.class_names(), ["cat, grey", "dog"]);
        assert_eq!(data.read(2).unwrap().readings[1].as_ref().unwrap().values.to_f64(), [3.0, 4.25]);
    }
    let said = |other: &str, out: &str| {
        concat_parts(&[(Part::Train, train.clone()), (Part::Test, root.join(other))], &root.join(out)).unwrap_err().to_string()
    };
    assert!(said("dev.jsonl", "all.csv").contains("is there already"));
    assert!(said("dev.jsonl", "all.xlsx").contains("ends in .csv or .jsonl"));
    file("lacks.csv", "id,rgb,gps.north,gps.east\n1,rgb/a.png,1,2\n");
    assert!(said("lacks.csv", "new.csv").contains("lacks.csv: has no column `label`"), "{}", said("lacks.csv", "new.csv"));
    file("more.csv", "id,rgb,gps.north,gps.east,label,RGB\n1,rgb/a.png,1,2,cat,x\n");
    assert!(said("more.csv", "new.csv").contains("has a column `RGB`"));
    file("part.csv", "id,rgb,gps.north,gps.east,label,part\n1,rgb/a.png,1,2,cat,test\n");
    assert!(said("part.csv", "new.csv").contains("has a column `part` already"));
    file("rgb/far.csv", "id,rgb,gps.north,gps.east,label\n1,a.png,1,2,cat\n");
    assert!(said("rgb/far.csv", "new.csv").contains("lies in another folder"));
    assert!(!root.join("new.csv").exists());
}
