//! Rows of a manifest one after another are those that the whole table has; what is wrong with them is said where it stands.

use mm_core::data::kinds::{Origin, Text, Vector};
use mm_core::data::{InputSpec, kinds::Kind};
use mm_core::data::{Manifest, ManifestColumns, ManifestRow, ManifestRows, OnCorrupt, ParquetTable, Partial, RowSensor};
use mm_core::rng;
use rand::RngExt;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

fn sensors() -> Vec<RowSensor> {
    let text = Text::hashed(64);
    vec![RowSensor::new("note", &text.input(), Some(&text)), RowSensor::new("gauge", &InputSpec::vector(2), None)]
}

fn open(path: &Path) -> mm_core::Result<ManifestRows> {
    ManifestRows::open(path.into(), sensors(), &ManifestColumns::default(), OnCorrupt::Error)
}

fn rows(path: &Path) -> mm_core::Result<Vec<ManifestRow>> {
    open(path)?.collect()
}

/// A table of more than a block, with commas, quotes and line ends within fields.
fn table(samples: usize) -> String {
    let mut table = String::from("id,note,gauge.a,gauge.b,label\r\n");
    for i in 0..samples {
        let note = match i % 5 {
            0 => "\"hums, then \"\"squeals\"\"\"".into(),
            1 => "\"two\nlines\"".to_string(),
            2 => String::new(),
            3 => "5\" pipe".into(),
            _ => "plain ".repeat(i % 40 + 1),
        };
        writeln!(table, "s{i},{note},{i},0.5,{}", ["cat", "dog"][i % 2]).unwrap();
    }
    table
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn rows_are_those_of_the_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let text = table(20_000);
    assert!(text.len() > 3 << 18);
    let csv = write(folder.path(), "t.csv", text.as_bytes());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let packed = write(folder.path(), "t.csv.gz", &gzip.finish().unwrap());
    let whole = Manifest::new(&csv).modality("note", Text::hashed(64)).modality("gauge", Vector::new(2)).open().unwrap();
    for path in [csv, packed] {
        let rows = rows(&path).unwrap();
        assert_eq!(rows.len(), 20_000);
        for (row, expected) in rows.iter().zip(whole.rows()) {
            assert_eq!((&row.id, &row.origins), (&expected.id, &expected.origins));
        }
        // Rows 1, 6, .. take two lines.
        assert_eq!([rows[0].line, rows[1].line, rows[2].line, rows[7].line], [2, 3, 5, 11]);
        assert_eq!(rows[0].origins[0], Some(Origin::Text("hums, then \"squeals\"".into())));
        assert_eq!(rows[19_999].label.as_deref(), Some("dog"));
    }
}

#[test]
fn json_lines_may_name_columns_late_and_parquet_has_types() {
    let folder = tempfile::tempdir().unwrap();
    let json = "{\"note\": \"hum\"}\n\n{\"gauge.b\": 2, \"gauge.a\": 1, \"id\": \"x\"}\n";
    let rows_of_json = rows(&write(folder.path(), "t.jsonl", json.as_bytes())).unwrap();
    assert_eq!(rows_of_json[0].id, "line 1");
    assert_eq!(rows_of_json[1].line, 3);
    // In the order in which the names stand, as for training; a model that knows the names sorts them.
    assert_eq!(rows_of_json[1].origins, [None, Some(Origin::Numbers(vec![2.0, 1.0]))]);
    let mut columns = ManifestColumns::default();
    columns.variables.insert("gauge".into(), vec!["a".into(), "b".into()]);
    let named = ManifestRows::open(folder.path().join("t.jsonl"), sensors(), &columns, OnCorrupt::Error).unwrap();
    let named: Vec<ManifestRow> = named.collect::<mm_core::Result<_>>().unwrap();
    assert_eq!(named[1].origins[1], Some(Origin::Numbers(vec![1.0, 2.0])));

    let parquet = mm_testing::parquet("id,note,gauge.a,gauge.b\n7,hum,1,0.5\n8,,,\n");
    let rows_of_parquet = rows(&write(folder.path(), "t.parquet", &parquet)).unwrap();
    assert_eq!(rows_of_parquet[0].id, "7");
    assert_eq!(rows_of_parquet[0].origins, [Some(Origin::Text("hum".into())), Some(Origin::Numbers(vec![1.0, 0.5]))]);
    assert_eq!(rows_of_parquet[1].origins, [None, None]);
}

#[test]
fn parts_of_objects_and_lists_are_numbers_of_a_sensor_in_the_order_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let gauges = |json: &str| -> Vec<Option<Origin>> {
        let rows = rows(&write(folder.path(), "t.jsonl", json.as_bytes())).unwrap();
        rows.into_iter().map(|row| row.origins.into_iter().nth(1).unwrap()).collect()
    };
    let numbers = |a: f64, b: f64| Some(Origin::Numbers(vec![a, b]));
    assert_eq!(
        gauges("{\"note\":\"a\",\"gauge\":{\"z\":1.5,\"b\":-2}}\n{\"gauge\":{\"b\":3,\"z\":4}}\n"),
        [numbers(1.5, -2.0), numbers(4.0, 3.0)]
    );
    // Nothing first, and nothing later; true is 1 in a typed table.
    assert_eq!(
        gauges("{\"note\":\"a\",\"gauge\":null}\n{\"gauge\":[7,true]}\n{\"note\":\"b\",\"gauge\":[]}\n"),
        [None, numbers(7.0, 1.0), None]
    );
    let said = |json: &str| rows(&write(folder.path(), "t.jsonl", json.as_bytes())).unwrap_err().to_string();
    assert!(said("{\"note\":\"a\",\"note\":\"b\"}\n").contains("t.jsonl:1:1: `note` stands twice in this line"));
    assert!(said("{\"gauge\":{\"a\":1},\"gauge.a\":2}\n").contains("`gauge.a` stands twice"));
    assert!(said("{\"gauge\":1}\n{\"gauge\":[1]}\n").contains("t.jsonl:2:1: `gauge` is a list or an object here"));
    assert!(said("{\"gauge\":[1]}\n{\"gauge\":1}\n").contains("t.jsonl:2:1: `gauge` is a list or an object in another line"));
    assert!(said("[1]\n").contains("t.jsonl:1:1: each line is a JSON object"));
    for number in ["NaN", "-Infinity"] {
        let said = said(&format!("{{\"gauge.a\": {number}}}\n"));
        assert!(said.contains("t.jsonl:1:") && said.contains("write null"), "{said}");
    }
}

/// A list has no names, and is in the order of the training.
#[test]
fn numbers_that_the_model_has_names_for_may_be_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let mut columns = ManifestColumns::default();
    columns.variables.insert("gauge".into(), vec!["north".into(), "east".into()]);
    let read = |name: &str, text: &str| -> mm_core::Result<Vec<ManifestRow>> {
        let path = write(folder.path(), name, text.as_bytes());
        ManifestRows::open(path, sensors(), &columns, OnCorrupt::Error)?.collect()
    };
    let gauges =
        [("l.jsonl", "{\"gauge\": [1, 2]}\n"), ("t.csv", "id,gauge.2,gauge.1\na,2,1\n"), ("n.csv", "gauge.east,gauge.north\n2,1\n")];
    for (name, text) in gauges {
        assert_eq!(read(name, text).unwrap()[0].origins[1], Some(Origin::Numbers(vec![1.0, 2.0])), "{text}");
    }
    for (name, text, place) in [
        ("o.csv", "id,gauge.lat,gauge.lon\na,1,2\n", "o.csv:1:2: column `gauge.lat`"),
        ("m.csv", "gauge.1,gauge.2,gauge.3\n1,2,3\n", "m.csv:1:1: column `gauge.1`"),
        ("s.jsonl", "{\"gauge\": [1]}\n", "s.jsonl:1:1: column `gauge.1`"),
        ("z.csv", "gauge.0,gauge.1\n1,2\n", "z.csv:1:1: column `gauge.0`"),
    ] {
        let error = read(name, text).unwrap_err().to_string();
        let names = "the 2 numbers of the sensor `gauge` are called gauge.north, gauge.east in the model";
        assert!(error.contains(place) && error.contains(names) && error.contains("`gauge.1` to `gauge.2`"), "{error}");
    }
}

/// An answer from half of the sensors would say nothing of the column that was meant.
#[test]
fn names_in_another_case_and_numbers_in_place_of_files_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut columns = ManifestColumns::default();
    columns.variables.insert("g".into(), vec!["a".into(), "b".into()]);
    columns.variables.insert("h".into(), vec!["q".into()]);
    columns.modalities.insert("note".into(), "text".into());
    let (one, text) = (Vector::new(1), Text::hashed(64));
    let sensors = vec![
        RowSensor::new("g", &InputSpec::vector(2), None),
        RowSensor::new("h", &one.input(), Some(&one)),
        RowSensor::new("note", &text.input(), Some(&text)),
    ];
    let read = |name: &str, text: &str| -> mm_core::Result<Vec<ManifestRow>> {
        let path = write(folder.path(), name, text.as_bytes());
        ManifestRows::open(path, sensors.clone(), &columns, OnCorrupt::Error)?.collect()
    };
    for (name, text, told) in [
        ("case.csv", "A,B,h.q\n1,2,3\n", "case.csv:1:1: column `A`: the sensor `g` was read from `a` in the training; write the name so"),
        ("case.jsonl", "{\"G\": {\"a\": 1, \"b\": 2}, \"h.q\": 3}\n", "column `G.a`: the model has no such sensor; did you mean `g`?"),
        ("column.csv", "a,b,Text\n1,2,hums\n", "column.csv:1:3: column `Text`: the sensor `note` was read from `text` in the training"),
        ("one.csv", "x,y,b\n1,2,3\n", "there is no column `a` for the sensor `g`, which has 2 numbers; there are: x, y, b"),
        ("whole.csv", "x,g.b\n1,3\n", "there is no column `g.a` for the sensor `g`"),
        ("number.csv", "a,b,h\n1,2,3\n", "; if it is a number of the sensor, call the column `h.q`"),
    ] {
        let error = read(name, text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    assert_eq!(read("right.csv", "a,b,h.q,W\n1,2,3,4\n").unwrap()[0].origins[1], Some(Origin::Numbers(vec![3.0])));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let said = |name: &str, text: &str| {
        let path = write(folder.path(), name, text.as_bytes());
        rows(&path).expect_err(name).to_string()
    };
    assert!(said("empty.csv", "").contains("is empty; its first line names the columns"));
    assert!(said("twice.csv", "note,note\na,b\n").contains("two columns are called `note`"));
    assert!(
        said("near.csv", "nots,label\na,b\n").contains("near.csv:1:1: column `nots`: the model has no such sensor; did you mean `note`?")
    );
    assert!(said("none.csv", "what,label\na,b\n").contains("no column holds readings of the model's sensors"));
    assert!(said("count.csv", "gauge.a,gauge.b,gauge.c\n1,2,3\n").contains("3 columns `gauge.*`, but the modality `gauge` has 2 numbers"));
    let late = table(6000) + "s,hum,one,2,cat\n";
    let lines = late.lines().count();
    assert!(said("late.csv", &late).contains(&format!("late.csv:{lines}:3: `one` is no number")), "{}", said("late.csv", &late));
    for (row, field) in [("s,\"hum,1,2,cat\n", 2), ("s,hum,1,2,\"cat\nt,hum,1,2,dog\n", 5)] {
        let open_quote = said("quote.csv", &(table(6000) + row));
        assert!(open_quote.contains(&format!("quote.csv:{lines}:{field}: a quote opened here is never closed")), "{open_quote}");
    }
    let open_quote = said("quote.tsv", "note\tlabel\nhum\t\"cat\nhum\tdog\n");
    assert!(open_quote.contains("quote.tsv:2:2: a quote opened here is never closed"), "{open_quote}");
    let latin = [b"note,label\n".as_slice(), &b"plain,cat\n".repeat(40_000), b"caf\xe9,cat\n"].concat();
    let error = rows(&write(folder.path(), "latin.csv", &latin)).unwrap_err().to_string();
    assert!(error.contains("latin.csv:40002:1: byte 0xe9 is not valid UTF-8"), "{error}");
    assert!(said("bad.jsonl", "{\"note\": \"a\"}\n{\"note\": [1]}\n").contains("bad.jsonl:2:1: `note` is a list or an object here"));
    assert!(said("a.xlsx", "PK\u{3}\u{4}....").contains("ZIP archive"));
    assert!(rows(&folder.path().join("nowhere.csv")).is_err());
    // A row that never ends is refused before it fills the memory.
    let endless = format!("note,label\n\"{}", "x".repeat(17 << 20));
    assert!(said("endless.csv", &endless).contains("endless.csv:2:1: a row of more than"), "{}", said("endless.csv", &endless));
}

/// Only the delimiter of the table makes a quote behind it open a field, wherever a block of rows ends.
#[test]
fn quotes_behind_other_delimiters_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: usize| format!("s{i},hum;\"{i},\"two\nlines, {}\"\n", "of text ".repeat(i % 9));
    let text = format!("id,note,label\n{}", (0..20_000).map(row).collect::<String>());
    assert!(text.len() > 3 << 18);
    let rows = rows(&write(folder.path(), "t.csv", text.as_bytes())).unwrap();
    assert_eq!((rows.len(), rows[19_999].line), (20_000, 40_000));
    assert!(rows.iter().all(|row| row.label.as_ref().is_some_and(|label| label.starts_with("two\nlines"))));
}

/// Whatever bytes there are, there are rows or an error.
#[test]
fn damaged_tables_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let json = "{\"note\": \"hum\", \"gauge.a\": 1, \"gauge.b\": 2, \"id\": \"x\"}\n".repeat(20);
    let parquet = mm_testing::parquet("id,note,gauge.a,gauge.b\n7,hum,1,0.5\n8,squeal,2,0.25\n");
    let mut random = rng::stream(0, "damage", &[]);
    for (name, whole) in [("t.csv", table(40).into_bytes()), ("t.jsonl", json.into_bytes()), ("t.parquet", parquet)] {
        for _ in 0..700 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..3) {
                    0 => bytes[at] = random.random(),
                    1 => bytes.truncate(at.max(1)),
                    _ => _ = bytes.remove(at),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            let path = write(folder.path(), name, &bytes);
            if let Ok(rows) = open(&path) {
                _ = rows.take_while(Result::is_ok).count();
            }
        }
    }
}

/// A Parquet file with a text, a boolean, a list of numbers and bytes in each of two rows.
fn typed() -> Vec<u8> {
    use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType};
    let columns =
        "required binary note (UTF8); required boolean pulse_a; required double pulse_b; repeated double scan; required binary blob;";
    let schema = parquet::schema::parser::parse_message_type(&format!("message t {{ {columns} }}")).unwrap().into();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts = ["hum", "squeal"].map(ByteArray::from);
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<BoolType>().write_batch(&[true, false], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[-0.5, 2.0], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[1.0, 2.0, 3.0], Some(&[1, 1, 1]), Some(&[0, 1, 0])).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn booleans_are_texts_and_lists_are_left_out_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "t.parquet", &typed());
    let table = ParquetTable::open(&path, std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(table.columns(), ["note", "pulse_a", "pulse_b"]);
    let left: Vec<(String, String)> = table.left_out().iter().map(|left| (left.column.clone(), left.why.clone())).collect();
    assert!(
        left[0].0 == "scan" && left[0].1.contains("`scan.1`, `scan.2`") && left[1].0 == "blob" && left[1].1.contains("bytes"),
        "{left:?}"
    );
    let cells: Vec<Vec<String>> = table.collect::<mm_core::Result<_>>().unwrap();
    assert_eq!(cells, [["hum", "true", "-0.5"], ["squeal", "false", "2"]]);
    let told = open(&path).unwrap();
    assert!(told.remarks().iter().any(|remark| remark.contains("column `scan` is left out")), "{:?}", told.remarks());
    // A sensor that it would be is refused.
    let scan = Vector::new(2);
    let sensors = vec![RowSensor::new("scan", &scan.input(), Some(&scan))];
    let error = ManifestRows::open(path.clone(), sensors, &ManifestColumns::default(), OnCorrupt::Error).err().unwrap().to_string();
    assert!(error.contains("column `scan` cannot be the sensor `scan`: it holds lists"), "{error}");
    let error = Manifest::new(&path).modality("scan", Vector::new(2)).label("note").open().err().unwrap().to_string();
    assert!(error.contains("column `scan`") && error.contains("it holds lists"), "{error}");
}

/// pandas writes nanoseconds, which without their unit are a whole number.
#[test]
fn times_of_parquet_files_are_dates() {
    use parquet::data_type::Int64Type;
    let folder = tempfile::tempdir().unwrap();
    let columns = "optional int64 ns (TIMESTAMP(NANOS,false)); optional int64 us (TIMESTAMP(MICROS,true)); optional int64 count;";
    let schema = parquet::schema::parser::parse_message_type(&format!("message t {{ {columns} }}")).unwrap().into();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for at in [1_711_843_200_500_000_000, 1_711_843_200_500_000, 7] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[at], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    let path = write(folder.path(), "t.parquet", &writer.into_inner().unwrap());
    let table = ParquetTable::open(&path, std::fs::File::open(&path).unwrap()).unwrap();
    let cells: Vec<Vec<String>> = table.collect::<mm_core::Result<_>>().unwrap();
    assert_eq!(cells, [["2024-03-31T00:00:00.5Z", "2024-03-31 00:00:00.500000 +00:00", "7"], ["", "", ""]]);
}

/// A cell of a text sensor that names a file is the text in it; numbers are read as the training's tables had them.
#[test]
fn texts_may_be_files_and_commas_may_be_decimal() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a day.txt"), "it hums").unwrap();
    let table = "note;gauge.a;gauge.b\na day.txt;0,5;2\nsee notes.txt;NA;NA\n";
    let mut columns = ManifestColumns::default();
    (columns.decimal_comma, columns.missing) = (true, vec!["NA".into()]);
    let path = write(folder.path(), "t.csv", table.as_bytes());
    let read = ManifestRows::open(path.clone(), sensors(), &columns, OnCorrupt::Error).unwrap();
    let read: Vec<ManifestRow> = read.collect::<mm_core::Result<_>>().unwrap();
    assert_eq!(read[0].origins, [Some(Origin::file(folder.path().join("a day.txt"))), Some(Origin::Numbers(vec![0.5, 2.0]))]);
    assert_eq!(read[1].origins, [Some(Origin::Text("see notes.txt".into())), None]);
    let error = rows(&path).unwrap_err().to_string();
    assert!(error.contains("t.csv:2:2: `0,5` is no number; write a point for the decimal comma"), "{error}");
    let gone = rows(&write(folder.path(), "lost.csv", b"note\ngone.txt\n")).unwrap_err().to_string();
    assert!(gone.contains("lost.csv:2:1: there is no file") && gone.contains("--on-corrupt absent"), "{gone}");
}

/// Rows in which some numbers are empty are what the card of the training said; a saved model that knows of no card refuses them.
#[test]
fn numbers_of_which_some_are_empty_are_absent_where_the_training_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "t.csv", b"note,gauge.a,gauge.b\nhum,1,2\nhum,NA,2\nhum,NA,NA\n");
    let before: ManifestColumns = serde_json::from_str(r#"{"missing": ["NA"]}"#).unwrap();
    assert_eq!(serde_json::to_string(&before).unwrap(), r#"{"missing":["NA"]}"#);
    let read = |columns: &ManifestColumns| -> mm_core::Result<Vec<ManifestRow>> {
        ManifestRows::open(path.clone(), sensors(), columns, OnCorrupt::Error)?.collect()
    };
    let error = read(&before).unwrap_err().to_string();
    assert!(error.contains("t.csv:3:2: 1 of 2 columns of the modality are empty here"), "{error}");
    let mut columns = before.clone();
    columns.partial.insert("gauge".into(), Partial::Absent);
    let saved = serde_json::to_string(&columns).unwrap();
    assert_eq!(saved, r#"{"missing":["NA"],"partial":{"gauge":"absent"}}"#);
    let gauges: Vec<_> = read(&serde_json::from_str(&saved).unwrap()).unwrap().into_iter().map(|row| row.origins[1].clone()).collect();
    assert_eq!(gauges, [Some(Origin::Numbers(vec![1.0, 2.0])), None, None]);
    // What is no number is none all the same.
    write(folder.path(), "t.csv", b"note,gauge.a,gauge.b\nhum,NA,two\n");
    let error = read(&columns).unwrap_err().to_string();
    assert!(error.contains("t.csv:2:3: `two` is no number"), "{error}");
}

/// Two sensors with a number of one name, and one column of it.
#[test]
fn a_column_that_two_sensors_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut columns = ManifestColumns::default();
    let sensors = ["cam", "scale"].map(|name| RowSensor::new(name, &InputSpec::vector(1), None)).to_vec();
    ["cam", "scale"].iter().for_each(|name| _ = columns.variables.insert((*name).into(), vec!["value".into()]));
    let told = |text: &str| {
        let path = write(folder.path(), "t.csv", text.as_bytes());
        ManifestRows::open(path, sensors.clone(), &columns, OnCorrupt::Error).unwrap().remarks().join("\n")
    };
    let twice = told("value\n1\n");
    assert!(twice.contains("column `value` is read for cam and scale") && twice.contains("`cam.value` and `scale.value`"), "{twice}");
    assert_eq!(told("cam.value,scale.value\n1,2\n"), "");
}
