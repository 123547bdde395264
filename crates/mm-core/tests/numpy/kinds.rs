//! Kinds whose files may be arrays of NumPy.

use super::{npy, npz};
use mm_core::data::audio::Length;
use mm_core::data::kinds::{Kind, Numpy, Origin, Raw, SavedKind, Series, Vector};
use mm_core::data::{Array, InputKind};
use mm_core::rng::stream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn opened(kind: &str, settings: serde_json::Value) -> Result<Arc<dyn Kind>, String> {
    SavedKind { kind: kind.into(), settings }.open().map(Option::unwrap).map_err(|error| error.to_string())
}

fn shown(array: Array) -> (Vec<usize>, Vec<f64>, Option<usize>) {
    (array.shape.clone(), array.values.to_f64(), array.length)
}

#[test]
fn vectors_are_texts_or_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let array = npy("<f4", false, "(1, 3)", &floats([1.0, 2.0, 4.0]));
    let text = file(folder.path(), "a.csv", b"1, 2\n4");
    let binary = file(folder.path(), "a.npy", &array);
    let archive = file(folder.path(), "a.npz", &npz(&[("gps", array), ("t", npy("<f4", false, "()", &floats([5.0])))], true));
    let kind = Vector::new(3).entry("gps");
    assert_eq!(kind.read(&text).unwrap().values.to_f64(), [1.0, 2.0, 4.0]);
    assert_eq!(kind.read(&archive).unwrap().values.to_f64(), [1.0, 2.0, 4.0]);
    assert_eq!(Vector::new(3).read(&binary).unwrap().values.to_f64(), [1.0, 2.0, 4.0]);
    assert!(Vector::new(3).read(&archive).unwrap_err().to_string().contains("a.npz: has 2 entries"));
    assert!(Vector::new(2).read(&binary).unwrap_err().to_string().contains("2 numbers"));
    assert_eq!(Vector::new(2).settings(), serde_json::json!({"features": 2}));
}

/// Maps of another size than the other sensors'.
#[test]
fn maps_are_brought_to_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = [1e9, 1e9 + 2.0, 1e9 + 4.0, 1e9 + 6.0, -3.0, -3.0, -3.0, -3.0];
    let bytes: Vec<u8> = numbers.iter().flat_map(|x: &f64| x.to_le_bytes()).collect();
    let path = file(folder.path(), "radar.npy", &npy("<f8", false, "(2, 2, 2)", &bytes));
    let kind = Numpy::new([2, 2, 2]).unwrap().sized(1, 1).unwrap();
    assert_eq!(kind.input().shape, [2, 1, 1]);
    assert_eq!(shown(kind.read(&path).unwrap()), (vec![2, 1, 1], vec![1e9 + 3.0, -3.0], None));
    let larger = Numpy::new([2, 2, 2]).unwrap().sized(4, 6).unwrap().read(&path).unwrap();
    let values = larger.values.to_f64();
    assert!(values[..24].iter().all(|x| (1e9..=1e9 + 6.0).contains(x)) && values[24..].iter().all(|x| *x == -3.0));
    assert_eq!((larger.shape, values[0], values[23]), (vec![2, 4, 6], 1e9, 1e9 + 6.0));
    assert_eq!(opened("array", kind.settings()).unwrap().input().shape, [2, 1, 1]);
    assert!(Numpy::new([2, 2]).unwrap().sized(4, 4).is_err() && Numpy::new([2, 2, 2]).unwrap().sized(0, 4).is_err());
}

#[test]
fn arrays_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let last = npy("<f4", false, "(2, 2, 3)", &floats((0..12).map(|x| x as f32)));
    let path = file(folder.path(), "a.npy", &last);
    let kind = Numpy::new([3, 2, 2]).unwrap().channels_last();
    let values = [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0];
    assert_eq!(shown(kind.read(&path).unwrap()), (vec![3, 2, 2], values.to_vec(), None));
    let wrong = Numpy::new([3, 2, 2]).unwrap().read(&path).unwrap_err().to_string();
    assert!(
        wrong.contains("expected shape [3, 2, 2]") && wrong.contains("channels_last = true") && wrong.ends_with("found [2, 2, 3]"),
        "{wrong}"
    );
    let forms = [InputKind::Vector, InputKind::Series, InputKind::Image, InputKind::Video];
    for (sides, form) in (1..=4).zip(forms) {
        assert_eq!(Numpy::new(vec![2; sides]).unwrap().input().kind, form);
    }
    for shape in [vec![], vec![0], vec![2; 5], vec![usize::MAX, 2]] {
        assert!(Numpy::new(shape).is_err());
    }
    let again = opened("array", kind.settings()).unwrap();
    assert_eq!((again.settings(), again.read(&path).unwrap()), (kind.settings(), kind.read(&path).unwrap()));
    assert!(opened("array", serde_json::json!({"shape": [2], "sise": 1})).err().unwrap().contains("sise"));
}

#[test]
fn series_of_all_files_have_channels_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Series::new(2, 3).unwrap();
    let expected = (vec![2, 3], vec![1.0, 2.0, 3.0, 10.0, 20.0, 30.0], Some(3));
    let (first, turned) = (floats([1.0, 2.0, 3.0, 10.0, 20.0, 30.0]), floats([1.0, 10.0, 2.0, 20.0, 3.0, 30.0]));
    for (name, bytes) in [
        ("a.npy", npy("<f4", false, "(2, 3)", &first)),
        ("f.npy", npy("<f4", true, "(2, 3)", &turned)),
        ("a.npz", npz(&[("x", npy("<f4", false, "(2, 3)", &first))], true)),
        ("plain.csv", b"1,10\n2,20\n3,30".to_vec()),
        ("header.csv", b"\xef\xbb\xbf\"x\",\"y\"\r\n1,10\r\n2,20\r\n\r\n3,30\r\n".to_vec()),
        ("semicolon.csv", b"1;10\n2;20\n3;30\n".to_vec()),
        ("white.txt", b"1 10\n2\t20\n3   30\n".to_vec()),
    ] {
        // White space and tabs in one file are white space.
        let bytes = if name == "white.txt" { b"1 10\n2 20\n3   30\n".to_vec() } else { bytes };
        assert_eq!(shown(kind.read(&file(folder.path(), name, &bytes)).unwrap()), expected, "{name}");
    }
    let turned = file(folder.path(), "t.npy", &npy("<f4", false, "(3, 2)", &turned));
    assert_eq!(shown(Series::new(2, 3).unwrap().time_first().read(&turned).unwrap()), expected);
    assert!(kind.read(&turned).unwrap_err().to_string().contains("time_first = true"));
    let named = Series::new(2, 3).unwrap().columns(["y", "t"]).unwrap();
    let table = file(folder.path(), "table.csv", b"t,x,y\n1,7,4\n2,8,5\n3,9,6\n");
    assert_eq!(named.read(&table).unwrap().values.to_f64(), [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
    assert!(kind.read(&table).unwrap_err().to_string().contains("3 columns for 2 channels"));
    // One channel needs no axis.
    let one = file(folder.path(), "one.npy", &npy("<f4", false, "(3,)", &floats([1.0, 2.0, 3.0])));
    assert_eq!(Series::new(1, 3).unwrap().read(&one).unwrap().shape, [1, 3]);
    // A value that was not measured stays one.
    let gap = file(folder.path(), "gap.csv", b"1,10\nnan,20\n3,30\n");
    assert!(kind.read(&gap).unwrap().values.to_f64()[1].is_nan());
    for (bytes, expected) in [
        (&b"1,10\n2\n"[..], "broken.csv:2:1: there are 1 columns, and 2 in the first line"),
        (b"1,10\n2,x\n", "broken.csv:2:2: `x` is no number"),
        (b"1,10\n,20\n", "broken.csv:2:1: `` is no number; where there was no value write nan"),
        (b"a,b\n", "there are no values below the names"),
        (b"\n\n", "the file is empty"),
        (b"", "the file is empty"),
        (b"\xff\xfe", "UTF-8"),
    ] {
        let problem = kind.read(&file(folder.path(), "broken.csv", bytes)).unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem}");
    }
    assert!(named.read(&file(folder.path(), "other.csv", b"a,b\n1,2\n")).unwrap_err().to_string().contains("there is no column `y`"));
}

#[test]
fn series_are_cut_padded_or_repeated() {
    let raw = |time: usize| Raw::Array(Array::exact([2, time], (0..2 * time).map(|x| x as f64).collect()));
    let of = |length: Length, time| Series::new(2, 4).unwrap().length(length).features(raw(time)).map(shown);
    assert_eq!(of(Length::Pad, 2).unwrap(), (vec![2, 4], vec![0.0, 1.0, 0.0, 0.0, 2.0, 3.0, 0.0, 0.0], Some(2)));
    assert_eq!(of(Length::Repeat, 2).unwrap(), (vec![2, 4], vec![0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0], None));
    assert!(of(Length::Crop, 3).unwrap_err().to_string().contains("length = \"crop\""));
    // The middle of a longer one; in training of a kind that crops, any part.
    assert_eq!(of(Length::Crop, 6).unwrap(), (vec![2, 4], vec![1.0, 2.0, 3.0, 4.0, 7.0, 8.0, 9.0, 10.0], None));
    let kind = Series::new(2, 4).unwrap().length(Length::Crop);
    let first = |id| match kind.augment(raw(100), &mut stream(0, "test", &[id]), &mut stream(0, "own", &[id])).unwrap() {
        Raw::Array(array) => (array.values.to_f64()[0], array.shape),
        Raw::Text(_) => unreachable!(),
    };
    assert!(kind.augments() && (0..50).map(|id| first(id).0 as i64).collect::<std::collections::BTreeSet<_>>().len() > 20);
    assert_eq!(first(3), first(3));
    assert_eq!(first(3).1, [2, 4]);
    // A part of a file, as a manifest names it.
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "long.csv", (0..50).map(|x| format!("{x},{}\n", -x)).collect::<String>().as_bytes());
    let part = |from, to| Origin::File { path: path.clone(), part: Some(from..to) };
    let kind = Series::new(2, 3).unwrap();
    let read = |from, to| kind.features(kind.raw(&part(from, to))?).map(shown);
    assert_eq!(read(10, 13).unwrap().1, [10.0, 11.0, 12.0, -10.0, -11.0, -12.0]);
    assert_eq!(read(48, u64::MAX).unwrap(), (vec![2, 3], vec![48.0, 49.0, 0.0, -48.0, -49.0, 0.0], Some(2)));
    for (from, to) in [(49, 51), (50, 50), (60, u64::MAX)] {
        assert!(read(from, to).unwrap_err().to_string().contains("has 50 steps"));
    }
    for settings in [
        serde_json::json!({"channels": 0, "steps": 3}),
        serde_json::json!({"channels": 1, "steps": 0}),
        serde_json::json!({"channels": 1u64 << 40, "steps": 1u64 << 40}),
        serde_json::json!({"channels": 2, "steps": 3, "columns": ["x"]}),
        serde_json::json!({"channels": 2, "steps": 3, "lenght": "pad"}),
    ] {
        assert!(opened("series", settings.clone()).is_err(), "{settings}");
    }
    let saved = opened("series", kind.settings()).unwrap();
    assert_eq!((saved.settings(), saved.input().kind), (kind.settings(), InputKind::Series));
}
