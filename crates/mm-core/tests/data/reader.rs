//! Reading tables: what is accepted, and the message for everything that is not.

use crate::refused::fails;
use flate2::{Compression, write::GzEncoder};
use mm_core::data::{DatasetCard, InputSpec, LoadedData, Source};
use mm_core::{Error, Result};
use std::borrow::Cow;
use std::io::Write;

const CARD: &str = "name = \"t\"\nlabel = \"kind\"\nsplit.train = 0.5\nsplit.test = 0.5\nsplit.validation = 0.0\n";

/// A card with extra lines and one view a file, `a` from `a.csv` and so on; files are given by name.
fn load(extra: &str, files: &[(&str, &[u8])]) -> Result<LoadedData> {
    let mut card = format!("{CARD}{extra}\n");
    for (file, _) in files {
        let modality = &file[..file.find('.').unwrap()];
        card += &format!("[[view]]\nmodality = {modality:?}\nfile = {file:?}\n");
    }
    load_card(&card, files)
}

fn load_card(card: &str, files: &[(&str, &[u8])]) -> Result<LoadedData> {
    DatasetCard::from_str(card, "cards/t.toml")?.load(|name| {
        let found = files.iter().find(|(n, _)| *n == name).map(|(_, bytes)| Cow::Owned(bytes.to_vec()));
        found.ok_or_else(|| Error::io(name)(std::io::ErrorKind::NotFound.into()))
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn one(text: &str, expected: &[&str]) {
    fails(load("", &[("a.csv", text.as_bytes())]), expected);
}

#[test]
fn a_small_file() {
    let text = "x,kind,note,y\n 1.5 ,dog,first,2\n\"3\",cat,,-4e1\n+5,dog,last,.5\n";
    let loaded = load("", &[("a.csv", text.as_bytes())]).unwrap();
    assert_eq!(loaded.data.column(0), [1.5, 2.0, 3.0, -40.0, 5.0, 0.5]);
    assert_eq!(loaded.data.schema().target.class_names(), ["cat", "dog"]);
    assert_eq!(loaded.data.labels(), [1, 0, 1]);
    assert_eq!(loaded.report[0].features, ["x", "y"]);
    assert_eq!(loaded.report[0].ignored, ["note"]);
    let windows = text.replace('\n', "\r\n");
    for same in [format!("\u{feff}{text}").into_bytes(), windows.into_bytes(), text.trim_end().into()] {
        assert_eq!(load("", &[("a.csv", &same)]).unwrap().data.content_hash().unwrap(), loaded.data.content_hash().unwrap());
    }
    for name in ["a.csv.gz", "a.csv"] {
        assert_eq!(load("", &[(name, &gzip(text.as_bytes()))]).unwrap().data.column(0), loaded.data.column(0));
    }
}

#[test]
fn class_names_are_sorted_as_numbers_if_they_are() {
    let classes = |labels: &[&str]| {
        let text = labels.iter().fold("x,kind\n".to_string(), |text, l| format!("{text}1,{l}\n"));
        load("", &[("a.csv", text.as_bytes())]).unwrap().data.schema().target.class_names().to_vec()
    };
    assert_eq!(classes(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
    assert_eq!(classes(&["10", "9", "x"]), ["10", "9", "x"]);
}

#[test]
fn cells_that_cannot_be_used() {
    one("x,y,kind\n1,2,a\n1,b\n", &["cards/a.csv:3:3: ", "2 fields, the header has 3"]);
    one("x,y,kind\n1,2,a\n1,2,b,4\n", &["cards/a.csv:3:4: ", "4 fields, the header has 3"]);
    one("x,y,kind\n1,2,a\n1,2;5,b\n", &["cards/a.csv:3:2: `2;5` is not a number", "leave all cells of modality `a` empty"]);
    one("x,y,kind\n1,NA,a\n1,2,b\n", &["a.csv:2:2: `NA` is not a number"]);
    one("x,y,kind\n1,2,a\n,2,b\n", &["a.csv:3:1: this cell is empty, but modality `a` has other values in this line", "empty all 2 cells"]);
    one("x,y,kind\n1,2,a\n1,2,\n", &["a.csv:3:3: the label is empty"]);
    one("x,kind\n1,a\n1,\"b\n1,a\"\n", &["a.csv:3:2: the label spans lines; is a closing quote missing?"]);
    one("x,kind\n1,a\n,b\n", &["a.csv:3:1: 1 samples have no reading at all: line 3"]);
    one("x,kind\nred,a\nblue,b\n", &["a.csv:1:1: no column of modality `a` holds numbers"]);
    fails(load("", &[("a.csv", b"x,y,kind\n1,2,a\n1,2,\xe9t\xe9\n")]), &["a.csv:3:3: byte 0xe9 is not valid UTF-8"]);
}

/// It takes in all lines below, which then are missing without a word where it stands in the last column.
#[test]
fn a_quote_that_is_never_closed() {
    let open = "a quote opened here is never closed";
    one("x,kind\n1,a\n1,\"b\n1,a\n", &["a.csv:3:2: ", open]);
    one("x,kind,note\n1,a,n\n\n2,b,\"n\n3,a,n\n", &["a.csv:4:3: ", open]);
    one("x;kind;note\r\n1;a;\"two\r\nlines, of \"\"text\"\"\"\r\n2;b;\"n\r\n", &["a.csv:4:3: ", open]);
    one("x,kind,\"note\n1,a,n\n2,b,n\n", &["a.csv:1:3: ", open]);
    one("x,kind,note\n1,a,n\n2,b,\"", &["a.csv:3:3: ", open]);
    for closed in ["\"n\"", "\"two\nlines\"", "\"he said \"\"n\"\"\"", "5\" pipe", "\"\"", "\"a\"b\""] {
        let loaded = load("", &[("a.csv", format!("x,kind,note\n1,a,n\n2,b,{closed}").as_bytes())]).unwrap();
        assert_eq!(loaded.data.column(0), [1.0, 2.0], "{closed}");
    }
}

#[test]
fn headers_that_cannot_be_used() {
    one("", &["a.csv:1:1: the file is empty; a header line"]);
    one("x,kind\n", &["a.csv:2:1: there are no samples"]);
    one("x,x,kind\n1,2,a\n", &["a.csv:1:2: columns 1 and 2 are both called `x`"]);
    one("x,,kind\n1,2,a\n", &["a.csv:1:2: this column has no name"]);
    let nameless = |text: &'static str| {
        let card = "name = \"t\"\nlabel = -1\n[[view]]\nmodality = \"a\"\nfile = \"a.csv\"\n";
        load_card(card, &[("a.csv", text.as_bytes())])
    };
    fails(nameless("1.5,2,x\n1,2,a\n1,2,b\n"), &["a.csv:1:1: `1.5` looks like data", "header = true"]);
    fails(nameless("7,2,5,x\n1,2,3,a\n1,2,3,b\n"), &["a.csv:1:1: the first line looks like data", "header = true"]);
    one("x,kin\n1,a\n", &["a.csv:1:1: there is no column `kind`; did you mean `kin`?"]);
    one("x,species\n1,a\n", &["there is no column `kind`; there are: x, species"]);
    one("kind\na\n", &["no column is left for modality `a`"]);
}

#[test]
fn gzip_that_is_cut_off_or_damaged() {
    let whole = gzip((0..500).fold("x,kind\n".to_string(), |t, i| format!("{t}{i}.25,{}\n", i % 3)).as_bytes());
    for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
        fails(load("", &[("a.csv.gz", &whole[..cut])]), &["cards/a.csv.gz:", "the gzip data is cut off or damaged here"]);
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    fails(load("", &[("a.csv.gz", &flipped)]), &["the gzip data is cut off or damaged"]);
    fails(load("", &[("a.csv.gz", b"x,kind\n1,a\n")]), &["a.csv.gz:1:1: the gzip data is cut off or damaged"]);
}

#[test]
fn chosen_columns() {
    let text = b"x,y,z,kind\n1,2,u,a\n3,4,v,b\n".as_slice();
    let card = |view: &str| format!("{CARD}[[view]]\nmodality = \"a\"\nfile = \"a.csv\"\n{view}\n");
    let loaded = load_card(&card("columns = [\"y\", 1]"), &[("a.csv", text)]).unwrap();
    assert_eq!(
        (loaded.report[0].features.as_slice(), loaded.data.column(0)),
        (["x".to_string(), "y".into()].as_slice(), [1.0, 2.0, 3.0, 4.0].as_slice())
    );
    for (view, expected) in [
        ("columns = [\"yy\"]", "there is no column `yy`; did you mean `y`?"),
        ("columns = [9]", "column 9 was asked for, but the file has 4"),
        ("columns = [\"z\"]", "a.csv:2:3: `u` is not a number"),
        ("columns = [\"x\", \"kind\"]", "column `kind` is both a feature and the label"),
        ("columns = []", "no column is left for modality `a`"),
        ("id = \"kind\"", "column `kind` is both label and id"),
        ("sha256 = \"00\"", "but the card says 00; get the file again"),
    ] {
        fails(load_card(&card(view), &[("a.csv", text)]), &[expected]);
    }
}

#[test]
fn values_that_are_not_finite() {
    let files: [(&str, &[u8]); 2] = [("a.csv", b"x,y,kind\n1,nan,p\n1,2,q\n1,inf,p\n"), ("b.csv", b"z\n1\n1e99\n2\n")];
    let loaded = load("", &files).unwrap();
    assert_eq!((0..3).map(|r| loaded.data.meta(r).presence.bits()).collect::<Vec<_>>(), [0b10, 0b01, 0b10]);
    assert_eq!(loaded.report.iter().map(|r| (r.non_finite, r.absent)).collect::<Vec<_>>(), [(2, 0), (1, 0)]);
    fails(load("non_finite = \"error\"", &files), &["cards/a.csv:2:2: `nan` is not finite", "non_finite = \"absent\""]);
    fails(load("", &[("a.csv", b"x,kind\nnan,p\n1,q\n")]), &["a.csv:2:1: 1 samples have no reading at all: line 2"]);
}

#[test]
fn constant_and_absent_modalities() {
    let loaded = load("", &[("a.csv", b"x,kind\n1,p\n2,q\n"), ("b.csv", b"z\n5\n5\n")]).unwrap();
    assert_eq!(loaded.report.iter().map(|r| r.constant).collect::<Vec<_>>(), [false, true]);
    let result = load("", &[("a.csv", b"x,kind\n1,p\n2,q\n"), ("b.csv", b"z,w\nnan,1\nnan,1\n")]);
    fails(result, &["modality `b` (cards/b.csv) is absent in every sample"]);
}

#[test]
fn joined_by_row() {
    fails(load("", &[("a.csv", b"x,kind\n1,p\n2,q\n"), ("b.csv", b"z\n1\n")]), &["a.csv has 2 rows, cards/b.csv has 1", "join = \"id\""]);
    fails(
        load("", &[("a.csv", b"x,kind\n1,p\n2,q\n"), ("b.csv", b"z,kind\n1,p\n2,p\n")]),
        &["cards/b.csv:3:2: the label is `p`, but `q` in cards/a.csv:3"],
    );
    fails(
        load("id = \"id\"", &[("a.csv", b"id,x,kind\n1,1,p\n2,2,q\n"), ("b.csv", b"id,z\n2,1\n1,2\n")]),
        &["cards/b.csv:2:1: the id is `2`, but `1` in cards/a.csv:2", "join = \"id\""],
    );
    fails(load("", &[("a.csv", b"x\n1\n")]), &["there is no column `kind`"]);
    let names: Vec<String> = (0..17).map(|i| format!("m{i}.csv")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), b"x,kind\n1,p\n2,q\n".as_slice())).collect();
    fails(load("", &files), &["1 to 16 modalities are possible, found 17"]);
    let loaded = load("", &files[..16]).unwrap();
    assert_eq!(loaded.data.meta(0).presence.len(), 16);
}

#[test]
fn joined_by_id() {
    let join = "join = \"id\"\nid = \"who\"";
    let a: (&str, &[u8]) = ("a.csv", b"who,x,kind\nann,1,p\nbob,2,q\ncyd,3,p\n");
    let loaded = load(join, &[a, ("b.csv", b"z,who\n30,cyd\n10,ann\n20,bob\n")]).unwrap();
    assert_eq!(loaded.data.column(1), [10.0, 20.0, 30.0]);
    assert_eq!(loaded.data.ids().unwrap(), ["ann", "bob", "cyd"]);
    fails(
        load(join, &[a, ("b.csv", b"z,who\n1,ann\n2,bob\n3,ann\n4,bob\n5,ann\n")]),
        &["cards/b.csv:4:2: ids that appear twice: ann, bob; an id is one sample"],
    );
    let more = b"z,who\n1,ann\n1,d\n1,e\n1,f\n1,g\n1,h\n1,i\n1,bob\n1,cyd\n".as_slice();
    fails(
        load(join, &[a, ("b.csv", more)]),
        &["cards/a.csv lacks ids that other files have: d, e, f, g, h and 1 more", "allow_unmatched = true"],
    );
    fails(load(join, &[a, ("b.csv", b"z\n1\n2\n3\n")]), &["cards/b.csv:1:1: files joined by id need an id column"]);
    fails(load(join, &[a, ("b.csv", b"z,who\n1,\n")]), &["b.csv:2:2: the id is empty"]);
    let loose = format!("{join}\nallow_unmatched = true");
    let loaded = load(&loose, &[a, ("b.csv", b"z,who,kind\n7,dan,q\n10,ann,p\n")]).unwrap();
    assert_eq!(loaded.data.ids().unwrap(), ["ann", "bob", "cyd", "dan"]);
    assert_eq!((0..4).map(|r| loaded.data.meta(r).presence.bits()).collect::<Vec<_>>(), [0b11, 0b01, 0b01, 0b10]);
    assert_eq!(loaded.data.column(1), [10.0, 0.0, 0.0, 7.0]);
    fails(
        load(&loose, &[a, ("b.csv", b"z,who\n7,dan\n1,bob\n")]),
        &["cards/b.csv:2:2: no file has the label of the id `dan`; those with a label are cards/a.csv; add it", "missing_label = \"drop\""],
    );
}

#[test]
fn a_label_never_becomes_a_feature() {
    let view = |name: &str, more: &str| format!("[[view]]\nmodality = {name:?}\nfile = \"{name}.csv\"\n{more}\n");
    let card = format!("name = \"t\"\n{}{}", view("a", "label = \"kind\""), view("b", ""));
    let files: [(&str, &[u8]); 2] = [("a.csv", b"x,kind\n1,0\n2,1\n"), ("b.csv", b"z,kind\n1,0\n2,1\n")];
    fails(load_card(&card, &files), &["cards/b.csv:1:1: column `kind` is the label in another file"]);
}

#[test]
fn cards_that_cannot_be_used() {
    let view = "[[view]]\nmodality = \"a\"\nfile = \"a.csv\"\n";
    for (card, expected) in [
        (format!("name = \"t\"\nlable = \"kind\"\n{view}"), "cards/t.toml:2:1: unknown field `lable`"),
        (format!("name = \"t\"\nlable = \"kind\"\n{view}"), "did you mean `label`?"),
        (format!("{CARD}{view}fiel = 3\n"), "did you mean `file`?"),
        (format!("{CARD}join = \"row\"\n{view}"), "did you mean `rows`?"),
        (format!("name = \"t\"\nlabel = 0\n{view}"), "cards/t.toml:2:9: invalid value: integer `0`, expected a column"),
        (format!("name = \"t\"\nlabel = 1.5\n{view}"), "expected a column: its name in quotes, or its position"),
        (format!("name = \"t\"\n{view}"), "no label column is named"),
        (format!("{CARD}join = \"id\"\n{view}"), "join = \"id\" needs an id column"),
        (format!("{CARD}allow_unmatched = true\n{view}"), "only has a meaning with join = \"id\""),
        (format!("{CARD}part = \"p\"\n{view}"), "the split is fixed by the column `part`"),
        (format!("{CARD}{view}{view}"), "the name \"a\" appears twice"),
        (format!("{CARD}task = \"numbers\"\ntargets = [\"age\"]\n{view}"), "`kind` is not predicted, as `targets` say"),
        (CARD.to_string(), "missing field `view`"),
        (format!("{CARD}view = []"), "1 to 16 modalities are possible, found 0"),
        (format!("name = \"t\"\nsplit.train = -1\n{view}"), "expected a number of samples per class (140) or a share"),
        (format!("name = \"t\"\nsplit.train = 1.5\n{view}"), "expected a number of samples per class (140) or a share"),
        ("name = \"t".into(), "cards/t.toml:1:"),
    ] {
        fails(load_card(&card, &[]), &[expected]);
    }
    fails(load_card(&format!("{CARD}{view}"), &[]), &["a.csv: entity not found"]);
    let missing = DatasetCard::from_path("no/such.toml").unwrap_err().to_string();
    assert!(missing.contains("no/such.toml"), "{missing}");
}

#[test]
fn a_view_may_be_an_image() {
    let files: [(&str, &[u8]); 1] = [("a.csv", b"p0,p1,p2,p3,p4,p5,kind\n1,2,3,4,5,6,x\n7,8,9,10,11,12,y\n")];
    let card = |shape: &str| format!("{CARD}[[view]]\nmodality = \"a\"\nfile = \"a.csv\"\nshape = {shape}\n");
    let loaded = load_card(&card("[1, 2, 3]"), &files).unwrap();
    assert_eq!(loaded.data.schema().inputs, [InputSpec::image([1, 2, 3])]);
    let batch = loaded.data.batch(&[1], &candle_core::Device::Cpu).unwrap();
    let image = batch.inputs().at(0).unwrap().values.get(0).unwrap().get(0).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(image, [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]);
    fails(load_card(&card("[1, 3, 3]"), &files), &["a.csv:1:1", "`a` has 6 feature columns", "[1, 3, 3]` needs 9"]);
    fails(load_card(&card("[0, 2, 3]"), &files), &["view.shape in cards/t.toml", "the shape of `a` has a 0"]);
    fails(load_card(&card("[2, 3]"), &files), &["cards/t.toml:9:9", "an array of length 3"]);
    // Too large to multiply.
    fails(load_card(&card("[9223372036854775807, 2, 3]"), &files), &["has 6 feature columns"]);
}
