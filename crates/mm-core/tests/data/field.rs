//! Tables as people have them: what is read as it is meant, what is refused, and what is said about it.

use crate::refused::fails;
use candle_core::Device;
use mm_core::data::{DatasetCard, LoadedData, Source, Standardized, Standardizer, TableDataset};
use mm_core::{Error, Result};
use std::borrow::Cow;

/// A card with lines of its own and a view for each file named `a.csv` and so on; other files are given to be named in `card`.
fn load(card: &str, files: &[(&str, &str)]) -> Result<LoadedData> {
    let bytes: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    load_bytes(card, &bytes)
}

fn load_bytes(card: &str, files: &[(&str, &[u8])]) -> Result<LoadedData> {
    let mut text = format!("name = \"t\"\n{card}\n");
    for (file, _) in files.iter().filter(|(file, _)| file.len() == 5) {
        text += &format!("[[view]]\nmodality = {:?}\nfile = {file:?}\n", &file[..1]);
    }
    DatasetCard::from_str(&text, "t.toml")?.load(|name| {
        let found = files.iter().find(|(n, _)| *n == name).map(|(_, bytes)| Cow::Owned(bytes.to_vec()));
        found.ok_or_else(|| Error::io(name)(std::io::ErrorKind::NotFound.into()))
    })
}

const BY_ID: &str = "join = \"id\"\nid = \"id\"\nlabel = \"kind\"";

#[track_caller]
fn remarks(loaded: &LoadedData, expected: &[&str]) {
    for part in expected {
        assert!(loaded.remarks.iter().any(|r| r.contains(part)), "{:?} lacks {part:?}", loaded.remarks);
    }
}

#[test]
fn a_large_offset_costs_no_digits() {
    let rows = |offset: f64| (0..90).fold("x,kind\n".to_string(), |t, i| format!("{t}{:.3},{}\n", offset + f64::from(i % 3) * 0.13, i % 3));
    let standardized = |offset: f64| {
        let mut loaded = load("label = \"kind\"", &[("a.csv", &rows(offset))]).unwrap();
        assert_eq!(loaded.remarks, Vec::<String>::new());
        let train: Vec<usize> = (0..60).collect();
        let standardizer = Standardizer::fit(&loaded.data, &train).unwrap();
        let raw = [offset + 0.13];
        let one = standardizer.apply_values("a", &raw).unwrap()[0];
        standardizer.apply(&mut loaded.joined.data).unwrap();
        let column = loaded.data.column(0).to_vec();
        assert!((one - column[1]).abs() < 1e-4, "{one} at prediction, {} in training", column[1]);
        column
    };
    let plain = standardized(0.0);
    // A map coordinate, a time since 1970 in seconds, a Julian date.
    for offset in [5_812_345.0, 1_732_000_000.0, 2_460_000.0] {
        for (x, y) in standardized(offset).iter().zip(&plain) {
            assert!((x - y).abs() < 1e-4, "offset {offset}: {x} instead of {y}");
        }
    }
    // The same from numbers of a program's own.
    let loaded = load("label = \"kind\"", &[("a.csv", &rows(5_812_345.0))]).unwrap();
    let numbers = (0..90).map(|i| 5_812_345.0 + f64::from(i % 3) * 0.13).collect();
    let (schema, presence) = (loaded.data.schema().clone(), loaded.data.presences().clone());
    let mut own = TableDataset::from_f64(schema, vec![numbers], presence, loaded.data.labels().to_vec()).unwrap();
    Standardizer::fit(&own, &[0, 1, 2]).unwrap().apply(&mut own).unwrap();
    assert!(own.column(0).iter().zip(&plain).all(|(x, y)| (x - y).abs() < 1e-4));
    // Without the standardizer, a batch holds the numbers themselves, as far as f32 can.
    let batch = loaded.data.batch(&[0], &candle_core::Device::Cpu).unwrap();
    assert_eq!(batch.inputs().at(0).unwrap().values.to_vec2::<f32>().unwrap(), [[5_812_345.0]]);
}

/// Near 1e15 the deviation of whole numbers is small beside them, and no rounding; that of fractions may be nothing else.
#[test]
fn large_whole_numbers_that_hardly_differ_are_standardized() {
    let statistics = |number: &dyn Fn(u64) -> String| {
        let rows = (0..90).fold("x,kind\n".to_string(), |t, i| format!("{t}{},{}\n", number(i), i % 2));
        let loaded = load("label = \"kind\"", &[("a.csv", &rows)]).unwrap();
        let fitted = Standardizer::fit(&loaded.data, &(0..90).collect::<Vec<_>>()).unwrap();
        (fitted.views()[0].mean[0], fitted.views()[0].std[0])
    };
    let (mean, std) = statistics(&|i| (1_000_000_000_000_000 + i % 5).to_string());
    assert!(mean == 1_000_000_000_000_002.0 && (std - 2f64.sqrt()).abs() < 1e-12, "{mean} {std}");
    assert_eq!(statistics(&|i| ["0.3", "0.30000000000000004"][i as usize % 2].into()).1, 1.0);
}

#[test]
fn numbers_that_collapse_are_told() {
    // Two places far apart, each with metres of signal: no offset serves both.
    let rows = (0..80)
        .fold("x,kind\n".to_string(), |t, i| format!("{t}{:.4},{}\n", if i < 40 { 1e9 } else { -1e9 } + f64::from(i % 7) * 0.001, i % 2));
    remarks(&load("label = \"kind\"", &[("a.csv", &rows)]).unwrap(), &["different numbers become equal in 32 bits in the columns x"]);
}

#[test]
fn ids_that_do_not_match() {
    let a = "id,kind,x\n0,oak,1\n1,elm,2\n2,oak,3\n";
    for (b, hint) in [
        ("id,y\n000,1\n001,2\n002,3\n", "3 ids would match as numbers, such as `0` and `000`"),
        ("id,y\n0.0,1\n1.0,2\n2.0,3\n", "3 ids would match as numbers, such as `0` and `0.0`"),
    ] {
        for loose in ["", "\nallow_unmatched = true"] {
            let result = load(&format!("{BY_ID}{loose}"), &[("a.csv", a), ("b.csv", b)]);
            let message = result.as_ref().unwrap_err().to_string();
            assert!(!message.contains("allow_unmatched"), "{message}");
            fails(result, &["a.csv:1:1: no id of this file is in another file: here 0, 1, 2, elsewhere", hint]);
        }
    }
    let names = "id,kind,x\nA1,oak,1\nB1,elm,2\n";
    let hint = "1 ids would match without regard to case and spaces, such as `B1` and `b1`";
    fails(load(BY_ID, &[("a.csv", names), ("b.csv", "id,y\nA1,1\nb1 ,2\n")]), &["a.csv lacks ids that other files have: b1", hint]);
    let loose = format!("{BY_ID}\nallow_unmatched = true\nmissing_label = \"drop\"");
    let loaded = load(&loose, &[("a.csv", names), ("b.csv", "id,y\nA1,1\nb1 ,2\n")]).unwrap();
    remarks(&loaded, &[hint, "1 samples without a label are left out"]);
    let counts: Vec<_> = loaded.files.iter().map(|f| (f.file.as_str(), f.rows, f.matched, f.unmatched, f.lacking)).collect();
    assert_eq!(counts, [("a.csv", 2, 1, 1, 1), ("b.csv", 2, 1, 1, 1)]);
    // Views of one file match each other, and yet no other file.
    let card = format!("{BY_ID}\nallow_unmatched = true\n[[view]]\nmodality = \"z\"\nfile = \"a.csv\"\ncolumns = [\"w\"]");
    let a = "id,kind,x,w\n0,oak,1,4\n1,elm,2,5\n2,oak,3,6\n";
    fails(load(&card, &[("a.csv", a), ("b.csv", "id,y\n7,1\n8,2\n")]), &["no id of this file is in another file"]);
    // A sample without label names its id, the files and the hint.
    let result = load(&format!("{BY_ID}\nallow_unmatched = true"), &[("a.csv", names), ("b.csv", "id,y\nA1,1\nb1,2\n")]);
    fails(result, &["b.csv:3:1: no file has the label of the id `b1`; those with a label are a.csv", "such as `b1` and `B1`"]);
}

#[test]
fn labels_that_are_none() {
    for token in ["NaN", "N/A", "None", "null", "?", "NA", ""] {
        let text = format!("x,kind\n1,oak\n2,{token}\n3,elm\n");
        fails(load("label = \"kind\"", &[("a.csv", &text)]), &["a.csv:3:2: ", "missing_label = \"drop\""]);
        let loaded = load("label = \"kind\"\nmissing_label = \"drop\"", &[("a.csv", &text)]).unwrap();
        assert_eq!((loaded.data.column(0), loaded.data.labels()), ([1.0, 3.0].as_slice(), [1, 0].as_slice()));
        remarks(&loaded, &["1 samples without a label are left out"]);
    }
    let text = "x,kind\n1,oak\n2,None\n3,oak\n";
    fails(load("label = \"kind\"", &[("a.csv", text)]), &["`None` says that there is no label", "classes = [...] if it is a class"]);
    let loaded = load("label = \"kind\"\nclasses = [\"oak\", \"None\"]", &[("a.csv", text)]).unwrap();
    assert_eq!(loaded.data.labels(), [0, 1, 0]);
    let listed = "label = \"kind\"\nclasses = [\"elm\", \"oak\", \"yew\"]";
    fails(load(listed, &[("a.csv", "x,kind\n1,oak\n2,elms\n")]), &["a.csv:3:2: `elms` is none of the classes", "did you mean `elm`?"]);
    // Numbers and truths as other programs write them; what could be two classes is neither.
    let written = |classes: &str, labels: [&str; 2]| {
        let text = format!("x,kind\n1,{}\n2,{}\n", labels[0], labels[1]);
        load(&format!("label = \"kind\"\nclasses = {classes}"), &[("a.csv", &text)])
    };
    assert_eq!(written("[\"0\", \"1\"]", ["1.0", "0.0"]).unwrap().data.labels(), [1, 0]);
    assert_eq!(written("[\"False\", \"True\"]", ["true", "False"]).unwrap().data.labels(), [1, 0]);
    assert_eq!(written("[\"01\", \"1\"]", ["01", "1"]).unwrap().data.labels(), [0, 1]);
    fails(written("[\"01\", \"1\"]", ["1.0", "1"]), &["`1.0` is none of the classes"]);
    remarks(&load(listed, &[("a.csv", "x,kind\n1,oak\n2,elm\n")]).unwrap(), &["no sample has the class `yew`"]);
    fails(load("label = \"kind\"\nclasses = [\"a\", \"a\"]", &[("a.csv", text)]), &["classes in t.toml", "`a` is listed twice"]);
}

#[test]
fn labels_that_look_like_a_mistake() {
    let labels = |labels: &[&str]| {
        let text = labels.iter().enumerate().fold("x,kind\n".to_string(), |t, (i, l)| format!("{t}{i},{l}\n"));
        load("label = \"kind\"", &[("a.csv", &text)])
    };
    remarks(&labels(&["1", "2", "1.0", "01", "2"]).unwrap(), &["the labels `01`, `1`, `1.0` are different classes"]);
    remarks(&labels(&["Oak", "elm", "oak", "o ak"]).unwrap(), &["`Oak`, `o ak`, `oak` are different classes"]);
    fails(labels(&["oak", "oak"]), &["a.csv:2:2: every sample has the label `oak`: there is nothing to tell apart"]);
    let numbers: Vec<String> = (0..30).map(|i| format!("{}.5", i)).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    fails(labels(&numbers), &["a.csv:2:2: the label looks continuous: 30 different numbers in 30 samples", "classes = [...]"]);
    let names: Vec<String> = (0..30).map(|i| format!("n{i}")).collect();
    fails(labels(&names.iter().map(String::as_str).collect::<Vec<_>>()), &["30 different values in 30 samples", "is it an id?"]);
    assert_eq!(labels(&["0.5", "1.5", "0.5", "1.5"]).unwrap().remarks, Vec::<String>::new());
    // The last column of every file, where only one has the label there.
    let card = "join = \"id\"\nid = \"id\"\nlabel = -1";
    let result = load(card, &[("a.csv", "id,z,y\n1,4,5\n2,4,6\n"), ("b.csv", "id,x,kind\n1,5,oak\n2,6,elm\n")]);
    fails(result, &["b.csv:2:3: ", "label = -1 in the card is meant for every file: `y` of a.csv, `kind` of b.csv", "name the column"]);
}

#[test]
fn labels_in_a_file_of_their_own() {
    let card = "join = \"id\"\nid = \"id\"\nlabels = { file = \"diet.csv\", column = \"diet\" }";
    let a = ("a.csv", "id,x\np,1\nq,2\n");
    let loaded = load(card, &[a, ("b.csv", "id,y\nq,4\np,3\n"), ("diet.csv", "id;diet\nr;meat\nq;meat\np;fish\n")]).unwrap();
    assert_eq!((loaded.data.column(1), loaded.data.labels()), ([3.0, 4.0].as_slice(), [0, 1].as_slice()));
    remarks(&loaded, &["diet.csv: labels of 1 ids that no file with readings has: r", "diet.csv: read with the delimiter ';'"]);
    assert_eq!(loaded.files.iter().map(|f| f.matched).collect::<Vec<_>>(), [2, 2, 2]);
    // By row; with part and group beside the labels.
    let card = "part = \"fold\"\nlabels = { file = \"meta.csv\", column = -1 }";
    let loaded = load(card, &[("a.csv", "x\n1\n2\n3\n"), ("meta.csv", "fold,kind\nTrain,oak\ntest,elm\ntrain,elm\n")]).unwrap();
    assert_eq!(loaded.split(0).unwrap().train, [0, 2]);
    fails(load("label = \"kind\"\nlabels = { column = \"kind\" }", &[a]), &["labels.file in t.toml"]);
    fails(load("labels = { file = \"diet.csv\" }", &[a, ("diet.csv", "")]), &["labels.column in t.toml"]);
    let short = "labels = { file = \"diet.csv\", column = \"diet\" }";
    fails(load(short, &[a, ("diet.csv", "diet\nfish\n")]), &["a.csv has 2 rows, diet.csv has 1"]);
    let by_id = format!("join = \"id\"\nid = \"id\"\n{short}");
    let lacking = ("diet.csv", "id,diet\np,fish\nQ,meat\n");
    fails(load(&by_id, &[a, lacking]), &["a.csv:3:1: no file has the label of the id `q`", "such as `q` and `Q`"]);
}

#[test]
fn cells_of_missing_are_no_labels_and_no_targets() {
    let text = "x,kind,wet\n1,oak,1\n2,unknown,-999.0\n3,elm,0\n";
    let of = |card: &str| load(&format!("missing = [\"unknown\", \"-999\"]\n{card}"), &[("a.csv", text)]);
    fails(of("label = \"kind\"\nignore = [\"wet\"]"), &["a.csv:3:2: `unknown` says that there is no label, as `missing` in the card says"]);
    let loaded = of("label = \"kind\"\nignore = [\"wet\"]\nmissing_label = \"drop\"").unwrap();
    assert_eq!((loaded.data.column(0), loaded.data.labels()), ([1.0, 3.0].as_slice(), [1, 0].as_slice()));
    remarks(&loaded, &["1 samples without a label are left out"]);
    let listed = of("label = \"kind\"\nignore = [\"wet\"]\nclasses = [\"elm\", \"oak\", \"unknown\"]").unwrap();
    assert_eq!(listed.data.labels(), [1, 2, 0]);
    for task in ["numbers", "labels"] {
        let card = format!("task = \"{task}\"\ntargets = [\"wet\"]\nignore = [\"kind\"]");
        fails(of(&card), &["a.csv:3:3: `-999.0` is no value, as `missing` in the card says"]);
        assert_eq!(of(&format!("{card}\nmissing_label = \"drop\"")).unwrap().data.column(0), [1.0, 3.0]);
    }
    // What a view says is of its readings alone.
    let card = "label = \"wet\"\n[[view]]\nmodality = \"z\"\nfile = \"other.txt\"\nmissing = [\"0\"]";
    let loaded = load(card, &[("a.csv", "x\n1\n2\n"), ("other.txt", "z,wet\n0,0\n7,1\n")]).unwrap();
    assert_eq!((loaded.data.labels(), loaded.data.meta(0).presence.bits()), ([0, 1].as_slice(), 0b10));
}

#[test]
fn weights_may_have_a_decimal_comma() {
    let card = "label = \"kind\"\nweight = \"w\"\n";
    let files = [("a.csv", "x;kind;w\n1;oak;0,35\n2;elm;2\n")];
    let loaded = load(&format!("{card}decimal = \",\""), &files).unwrap();
    assert_eq!((loaded.data.meta(0).weight, loaded.data.meta(1).weight), (0.35, 2.0));
    fails(load(card, &files), &["a.csv:2:3: `0,35` is no weight of a sample; if its comma is a decimal comma"]);
}

#[test]
fn an_id_that_stands_twice_is_refused_by_row_too() {
    let text = "pid,x,kind\np,1,oak\nq,2,elm\np,3,oak\n";
    let expected = ["a.csv:4:1: ids that appear twice: p; an id is one sample", "write group = \"pid\" in place of `id`"];
    fails(load("id = \"pid\"\nlabel = \"kind\"", &[("a.csv", text)]), &expected);
    assert_eq!(load("group = \"pid\"\nlabel = \"kind\"", &[("a.csv", text)]).unwrap().data.len(), 3);
}

#[test]
fn columns_to_ignore_are_in_one_of_the_files() {
    let card = "label = \"kind\"\nignore = [\"nr\"]";
    let files = [("a.csv", "x,kind\n1,oak\n2,elm\n"), ("b.csv", "y,nr\n3,1\n4,2\n")];
    assert_eq!(load(card, &files).unwrap().report[1].features, ["y"]);
    fails(load(&card.replace("nr", "nrr"), &files), &["a.csv:1:1: there is no column `nrr`", "(in none of the files)"]);
    fails(load(&card.replace("nr", "xx"), &files), &["did you mean `x`? (in none of the files)"]);
    // Data that a model is asked about need not have them.
    let text = format!("name = \"t\"\n{card}\n[[view]]\nmodality = \"a\"\nfile = \"a.csv\"\n");
    let new = DatasetCard::from_str(&text, "t.toml").unwrap().of_new_data();
    assert_eq!(new.load(|_| Ok(files[0].1.as_bytes().into())).unwrap().data.len(), 2);
}

#[test]
fn columns_of_other_views_of_the_file_are_theirs() {
    let view = |name: &str, more: &str| format!("[[view]]\nmodality = \"{name}\"\nfile = \"table.txt\"\n{more}\n");
    let card = format!("label = \"kind\"\n{}{}", view("s", ""), view("t", "columns = [\"z\", 4]"));
    let loaded = load(&card, &[("table.txt", "x,y,z,q,kind\n1,2,3,4,oak\n5,6,7,8,elm\n")]).unwrap();
    assert_eq!(loaded.report[0].features, ["x", "y"]);
    assert_eq!(loaded.report[1].features, ["z", "q"]);
    fails(load(&card, &[("table.txt", "z,kind,w,q\n1,oak,,2\n2,elm,,3\n")]), &["no column of modality `s` holds numbers"]);
    let text = ("table.txt", "z,kind,q,r\n1,oak,2,3\n2,elm,4,5\n");
    fails(
        load(&card.replace("4]", "\"q\", \"r\"]"), &[text]),
        &["no column is left for modality `s`", "other views of the file name theirs"],
    );
}

#[test]
fn groups_and_labels_that_look_alike_are_told() {
    let told = |groups: [&str; 4], kinds: [&str; 2]| {
        let rows: String = (0..4).map(|i| format!("{i},{},{}\n", kinds[i % 2], groups[i])).collect();
        load("label = \"kind\"\ngroup = \"who\"", &[("a.csv", &format!("x,kind,who\n{rows}"))]).unwrap().remarks.join("\n")
    };
    let alike = told(["7", "007", "Ann", "ann"], ["oak", "elm"]);
    assert!(alike.contains("groups that look alike: 007 and 7, Ann and ann; a split may tear them apart"), "{alike}");
    assert_eq!(told(["1", "2", "10000000000000001", "10000000000000002"], ["oak", "elm"]), "");
    let alike = told(["1", "2", "3", "4"], ["1", "yes"]);
    assert!(alike.contains("`1`, `yes` are different classes"), "{alike}");
    assert_eq!(told(["1", "2", "3", "4"], ["yes", "no"]), "");
    let alike = told(["1", "2", "3", "4"], ["oak", "oak\u{200b}"]);
    assert!(alike.contains("`oak`, `oak\\u{200b}` are different classes"), "{alike}");
}

#[test]
fn a_group_in_two_parts_is_refused() {
    let card = "label = \"kind\"\npart = \"part\"\ngroup = \"who\"";
    let text = "x,kind,part,who\n1,oak,train,ann\n2,elm,train,bob\n3,oak,test,cyd\n4,elm,test,bob\n";
    fails(load(card, &[("a.csv", text)]), &["a.csv:5:4: group `bob` is in two parts: test here, train in a.csv:3"]);
    let apart = text.replace("test,bob", "test,dan");
    assert_eq!(load(card, &[("a.csv", &apart)]).unwrap().split(3).unwrap().test, [2, 3]);
}

#[test]
fn classes_that_a_part_lacks() {
    let text = "x,kind,part\n1,oak,train\n2,elm,train\n3,oak,test\n4,ash,test\n5,oak,validation\n";
    let loaded = load("label = \"kind\"\npart = \"part\"", &[("a.csv", text)]).unwrap();
    let remarks = loaded.split(0).unwrap().remarks(&loaded.data).join("\n");
    assert!(remarks.contains("no training sample has the class `ash`"), "{remarks}");
    assert!(remarks.contains("no test sample has the class `elm`"), "{remarks}");
}

/// The average precision of the common class says nothing of the rare one.
#[test]
fn the_class_that_average_precision_is_of_is_told_where_it_is_the_common_one() {
    let rows: String = (0..12).map(|i| format!("{i},{}\n", if i % 4 == 0 { "ill" } else { "well" })).collect();
    let remarks = |card: &str| {
        let loaded = load(&format!("label = \"kind\"\n{card}"), &[("a.csv", &format!("x,kind\n{rows}"))]).unwrap();
        loaded.split(0).unwrap().remarks(&loaded.data).join("\n")
    };
    let found = remarks("score = \"auprc\"");
    assert!(found.contains("`well`, which most samples have") && found.contains("classes = [\"well\", \"ill\"]"), "{found}");
    let listed = remarks("score = \"auprc\"\nclasses = [\"well\", \"ill\"]");
    assert!(!listed.contains("AUPRC") && !remarks("score = \"auroc\"").contains("AUPRC"), "{listed}");
}

#[test]
fn delimiters_and_decimal_marks() {
    let expected = [0.5, 2.0, -1.25, 4.0];
    for (text, card) in [
        ("x;y;kind\n0.5;2;oak\n-1.25;4;elm\n", ""),
        ("x\ty\tkind\n0.5\t2\toak\n-1.25\t4\telm\n", ""),
        ("x|y|kind\n0.5|2|oak\n-1.25|4|elm\n", ""),
        ("x y kind\n0.5 2 oak\n-1.25 4 elm\n", "\ndelimiter = \" \""),
        ("sep=;\r\nx;y;kind\r\n0,5;2;oak\r\n-1,25;4;elm\r\n", "\ndecimal = \",\""),
        ("x;y;kind\n0,5;2;oak\n-1,25;4;elm\n", "\ndecimal = \",\""),
        ("x,y,kind\n\"0,5\",2,oak\n\"-1,25\",4,elm\n", "\ndecimal = \",\""),
        ("# a\n#b,c,d,e\nx,y,kind\n# c\n0.5,2,oak\n\n-1.25,4,elm\n", "\ncomment = \"#\""),
        ("\u{feff}x;y;kind\n0.5;2;oak\n-1.25;4;elm", ""),
    ] {
        let loaded = load(&format!("label = \"kind\"{card}"), &[("a.csv", text)]).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!((loaded.data.column(0), loaded.data.labels()), (expected.as_slice(), [1, 0].as_slice()), "{text:?}");
    }
    let named = |text: &str, expected: &[&str]| fails(load("label = \"kind\"", &[("a.csv", text)]), expected);
    named("x;y;kind\n0,5;2;oak\n1;4;elm\n", &["a.csv:2:1: `0,5` is not a number", "decimal = \",\""]);
    named("x,y,kind\n1,\"0,5\",oak\n2,\"1,5\",elm\n", &["a.csv:2:2: `0,5` is not a number", "decimal = \",\""]);
    let thousands = ["a.csv:2:2: `1,234` is not a number", "decimal = \",\"", "leave the comma out if it stands between thousands"];
    named("x,y,kind\n1,\"1,234\",oak\n2,3,elm\n", &thousands);
    named("x,y,kind\n1,\"1,234.5\",oak\n2,3,elm\n", &["a.csv:2:2: `1,234.5` is not a number", "separators between thousands"]);
    named("# exported 2024\nx,kind\n1,oak\n2,elm\n", &["a.csv:1:1: the first line looks like a comment", "comment = \"#\""]);
    named("# exported, 2024\nx,kind\n1,oak\n2,elm\n", &["a.csv:1:1: the first line looks like a comment", "comment = \"#\""]);
    named("x,kind\n1,oak\n# gap\n2,elm\n", &["a.csv:3:2: the line has 1 fields, the header has 2", "comment = \"#\""]);
    named("x y kind\n1 2 oak\n", &["a.csv:1:1: no column of modality `a` holds numbers", "delimiter = \"...\""]);
    let mixed = load("label = \"kind\"\ndecimal = \",\"", &[("a.csv", "x;kind\n1.234;oak\n1,5;elm\n")]);
    fails(mixed, &["a.csv:3:1: `1,5`: this column has numbers with a decimal comma and numbers with a point"]);
    let points = load("label = \"kind\"\ndecimal = \",\"", &[("a.csv", "x;y;kind\n1.2;1,5;oak\n1.5;2,5;elm\n")]).unwrap();
    remarks(&points, &["decimal = \",\", but the points of columns 1 are read as decimal points"]);
    fails(load("label = \"kind\"\ndecimal = \";\"", &[("a.csv", "")]), &["decimal in t.toml", "must be \".\" or \",\""]);
    fails(load("label = \"kind\"\ndelimiter = \"x\"", &[("a.csv", "")]), &["delimiter in t.toml"]);
}

#[test]
fn lines_are_counted_as_an_editor_does() {
    let named = |text: &str, place: &str| fails(load("label = \"kind\"\ncomment = \"#\"", &[("a.csv", text)]), &[place]);
    named("# one\n\nx,kind\n\n# two\n1,oak\n\n\nred,elm\n", "a.csv:9:1: `red`");
    named("# one\r\nx,kind\r\n\r\n1,oak\r\n\r\nred,elm\r\n", "a.csv:6:1: `red`");
    named("x,kind\r1,oak\rred,elm\r", "a.csv:3:1: `red`");
    named("sep=,\nx,\"ki\nnd\",kind\n1,2,oak\nred,2,elm\n", "a.csv:5:1: `red`");
    let blank = load("label = \"kind\"", &[("a.csv", "x,kind\n\n1,oak\n\n2,elm\n\n")]).unwrap();
    remarks(&blank, &["blank lines are skipped: 2, the first is line 2"]);
}

#[test]
fn cells_that_stand_for_no_reading() {
    let text = "x,y,kind\n1,2,oak\nNA,-999.0,elm\n?,?,oak\n-999,?,elm\n4,5,elm\n";
    let loaded =
        load("label = \"kind\"\nmissing = [\"NA\", \"?\", \"-999\"]", &[("a.csv", text), ("b.csv", "z\n1\n2\n3\n4\n5\n")]).unwrap();
    assert_eq!((0..5).map(|r| loaded.data.meta(r).presence.bits()).collect::<Vec<_>>(), [0b11, 0b10, 0b10, 0b10, 0b11]);
    assert_eq!(loaded.report[0].absent, 3);
    fails(load("label = \"kind\"", &[("a.csv", "x,kind\n1,oak\nNA,elm\n")]), &["a.csv:3:1: `NA` is not a number", "missing = [\"NA\"]"]);
    // Some cells of a line.
    let half = [("a.csv", "x,y,kind\n1,2,oak\n,2,elm\n3,4,elm\n"), ("b.csv", "z\n1\n2\n3\n")];
    fails(load("label = \"kind\"", &half), &["a.csv:3:1: this cell is empty", "partial = \"absent\""]);
    let loaded = load("label = \"kind\"\npartial = \"absent\"", &half).unwrap();
    assert_eq!((loaded.data.meta(1).presence.bits(), loaded.report[0].partial, loaded.report[0].absent), (0b10, 1, 1));
    remarks(&loaded, &["modality `a` counts as missing in 1 lines: some of its cells are empty"]);
    // A column that has gaps gets another one that says so; a line without any number is absent as ever.
    let gaps = [("a.csv", "x,y,kind\n1,2,oak\n,4,elm\n3,4,elm\n,,oak\n"), ("b.csv", "z\n1\n2\n3\n4\n")];
    let loaded = load("label = \"kind\"\npartial = \"indicate\"", &gaps).unwrap();
    assert_eq!((0..4).map(|r| loaded.data.meta(r).presence.bits()).collect::<Vec<_>>(), [0b11, 0b11, 0b11, 0b10]);
    assert_eq!(loaded.report[0].features, ["x", "y", "x.measured"]);
    remarks(&loaded, &["modality `a` has empty cells in 1 lines: they become the training mean"]);
    // The mean and deviation are those of the numbers that are there: x is 1 and 3 in training.
    let standardizer = Standardizer::fit(&loaded.data, &[0, 1, 2]).unwrap();
    let (x, measured) = (&standardizer.views()[0].mean, &standardizer.views()[0].std);
    assert_eq!((x[0], x[2], measured[0], measured[2]), (2.0, 0.0, 1.0, 1.0));
    let standardized = Standardized::new(&loaded.data, &standardizer).unwrap();
    let batch = standardized.source().batch(&[0, 1, 2, 3], &Device::Cpu).unwrap();
    let values = batch.inputs().at(0).unwrap().values.to_vec2::<f32>().unwrap();
    assert_eq!(values.iter().map(|row| row[0]).collect::<Vec<_>>(), [-1.0, 0.0, 1.0, 0.0]);
    // What says whether it was measured stays 1 or 0.
    assert!(values[1][2] == 0.0 && values[0][2] == 1.0 && values.iter().flatten().all(|x| x.is_finite()));
    // Samples without any reading: all are named, and may be left out.
    let nothing = [("a.csv", "id,x,kind\np,,oak\nq,,elm\nr,1,elm\ns,2,oak\n")];
    let by_id = "id = \"id\"\nlabel = \"kind\"";
    fails(load(by_id, &nothing), &["a.csv:2:1: 2 samples have no reading at all: `p`, `q`", "no_reading = \"drop\""]);
    let loaded = load(&format!("{by_id}\nno_reading = \"drop\""), &nothing).unwrap();
    assert_eq!((loaded.data.ids().unwrap(), loaded.data.labels()), (["r".to_string(), "s".into()].as_slice(), [0, 1].as_slice()));
    remarks(&loaded, &["2 samples without any reading are left out"]);
    // Values that are not finite are known sample by sample.
    let loaded = load("label = \"kind\"", &[("a.csv", "x,kind\nnan,p\n1,q\n"), ("b.csv", "z\n1\ninf\n")]).unwrap();
    assert_eq!(loaded.non_finite, [0b01, 0b10]);
}

#[test]
fn columns_that_programs_add() {
    let text = ",id,kind,x,\n0,p,oak,1,\n1,q,elm,2,\n";
    let loaded = load("id = \"id\"\nlabel = \"kind\"", &[("a.csv", text)]).unwrap();
    assert_eq!((loaded.data.column(0), loaded.report[0].features.as_slice()), ([1.0, 2.0].as_slice(), ["x".to_string()].as_slice()));
    remarks(&loaded, &["columns without use are left out: (column 1, without a name), (column 5, without a name)"]);
    let loaded = load("label = \"kind\"", &[("a.csv", "Unnamed: 0,kind,x\n0,oak,7\n1,elm,8\n")]).unwrap();
    assert_eq!(loaded.report[0].features, ["x"]);
    let loaded = load("label = \"kind\"", &[("a.csv", "kind,x\noak,7,\nelm,8,\n")]).unwrap();
    remarks(&loaded, &["a delimiter at the end of the line is ignored, in 2 lines"]);
    fails(load("label = \"kind\"", &[("a.csv", "x,,kind\n1,2,oak\n")]), &["a.csv:1:2: this column has no name"]);
    // A column without any value; a flag; names that are numbers, below a label that shows that they are names.
    let loaded = load("label = \"kind\"", &[("a.csv", "9.99,-0.04,wet,memo,kind\n1,2,True,,oak\n3,4,False,,elm\n")]).unwrap();
    assert_eq!(loaded.report[0].features, ["9.99", "-0.04", "wet"]);
    assert_eq!(loaded.data.column(0), [1.0, 2.0, 1.0, 3.0, 4.0, 0.0]);
    remarks(&loaded, &["left out: memo"]);
    let text = "x,note,kind\n1,ok,oak\n2,nan,elm\n3,ok,elm\n";
    fails(
        load("label = \"kind\"", &[("a.csv", text)]),
        &["a.csv:2:2: column `note` holds text (`ok` here)", "line 3 is no number", "ignore"],
    );
    assert_eq!(load("label = \"kind\"\nignore = [\"note\"]", &[("a.csv", text)]).unwrap().report[0].features, ["x"]);
}

#[test]
fn files_that_are_no_tables() {
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("x,kind\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for (bytes, expected) in [
        (utf16.as_slice(), "UTF-16; save it as UTF-8"),
        (&utf16[2..], "no text in UTF-8"),
        (b"PK\x03\x04abc", "a ZIP archive (an .xlsx is one too)"),
        (b"PAR1abc", "a Parquet file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!doctype html><html>", "a web page"),
    ] {
        fails(load_bytes("label = \"kind\"", &[("a.csv", bytes)]), &["a.csv:1:1: ", expected]);
    }
}

/// Files that are joined line by line, whose ids say that the lines are in another order.
#[test]
fn files_in_another_order_are_told_by_ids_that_nobody_named() {
    let files = |ids: [&str; 3]| {
        let lines = ids.map(|id| format!("{id},{}\n", id.len())).concat();
        [("a.csv", "id,x,kind\nf1,1,oak\nf2,2,elm\nf3,3,oak\n".to_string()), ("b.csv", format!("sample_id,y\n{lines}"))]
    };
    let read = |card: &str, ids| {
        let files = files(ids);
        load(card, &[(files[0].0, files[0].1.as_str()), (files[1].0, files[1].1.as_str())])
    };
    let told = "column `sample_id` holds the names of a.csv in another order, and the files are joined line by line: write id = \"id\" and join = \"id\"";
    fails(read("label = \"kind\"", ["f2", "f1", "f3"]), &["b.csv:1:1: ", told]);
    assert_eq!(read("label = \"kind\"", ["f1", "f2", "f3"]).unwrap().data.len(), 3);
    // Other names are another thing.
    assert_eq!(read("label = \"kind\"", ["u2", "u1", "u3"]).unwrap().data.len(), 3);
}

#[test]
fn a_plan_is_no_card() {
    let plan = "name = \"p\"\n[[data]]\nname = \"d\"\ncard = \"d.toml\"\n[[runs]]\nmethod = \"udml\"\n";
    let error = DatasetCard::from_str(plan, "p.toml").unwrap_err().to_string();
    assert!(error.contains("p.toml") && error.contains("is a plan of a bench, and a card of data is expected"), "{error}");
}
