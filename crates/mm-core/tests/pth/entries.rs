//! Which entry of a checkpoint is read, and under which names.

use super::writer::{File, Py, counting, dict, floats, ints, ordered_dict, pickle, text, view, zip};
use super::{numbers, problem, read};
use mm_core::weights::{PthError, ReadOptions, WHOLE, WeightsFile};

/// A checkpoint whose storages `0` to `3` hold four numbers each.
fn file(value: &Py) -> File {
    let storages: Vec<(&str, Vec<u8>)> = ["0", "1", "2", "3"].iter().map(|key| (*key, counting(4))).collect();
    File::new("checkpoint.pth", &zip(&pickle(value), &storages))
}

fn names(value: &Py, entry: Option<&str>) -> Vec<String> {
    let options = ReadOptions { entry: entry.map(String::from), ..ReadOptions::default() };
    read(file(value).path(), &options).unwrap().into_keys().collect()
}

fn w(key: &str) -> Py {
    floats(key, &[4])
}

fn state(key: &str) -> Py {
    dict(vec![("w", w(key))])
}

#[test]
fn a_state_dict_is_read_as_it_is() {
    assert_eq!(names(&dict(vec![("b", w("0")), ("a.weight", w("1"))]), None), ["a.weight", "b"]);
    // Modules within modules, lists of tensors, numbers as keys.
    let modules = dict(vec![
        ("encoder", dict(vec![("conv", dict(vec![("weight", w("0"))]))])),
        ("head", Py::Dict(vec![(Py::Int(0), w("1"))])),
        ("scales", Py::List(vec![w("2"), Py::Tuple(vec![w("3")])])),
    ]);
    assert_eq!(names(&modules, None), ["encoder.conv.weight", "head.0", "scales.0", "scales.1.0"]);
    assert_eq!(names(&w("0"), None), ["tensor"]);
    assert_eq!(names(&Py::List(vec![w("0"), w("1")]), None), ["0", "1"]);
}

/// A checkpoint of a training, as several programs write it.
fn training() -> Py {
    let optimizer =
        dict(vec![("state", Py::Dict(vec![(Py::Int(0), dict(vec![("exp_avg", w("1"))]))])), ("param_groups", Py::List(vec![]))]);
    let scalar = Py::Call(
        "numpy.core.multiarray",
        "scalar",
        vec![
            Py::Call("numpy", "dtype", vec![text("f8"), Py::Int(0), Py::Int(1)]),
            Py::Call("_codecs", "encode", vec![text("\u{1}"), text("latin1")]),
        ],
    );
    dict(vec![
        ("epoch", Py::Int(7)),
        ("arch", text("resnet\u{1b}[2J")),
        ("state_dict", dict(vec![("module.w", w("0")), ("module.version", Py::None)])),
        ("optimizer", optimizer),
        ("best_acc1", view(super::writer::storage("FloatStorage", "2", 4), 1, &[], &[])),
        ("best_prec1", scalar),
        ("args", Py::Call("argparse", "Namespace", vec![])),
        ("callbacks", dict(vec![("best", floats("3", &[4]))])),
        ("shape", Py::Call("torch", "Size", vec![ints(&[1, 2])])),
        ("device", Py::Call("torch", "device", vec![text("cuda")])),
        ("dtype", Py::Global("torch", "float16")),
        ("lr", Py::Float(0.125)),
        ("done", Py::Bool(true)),
    ])
}

#[test]
fn the_weights_are_found_beside_the_state_of_a_training() {
    let file = file(&training());
    let open = |options| WeightsFile::open(file.path(), &options).unwrap();
    let opened = open(ReadOptions::default());
    assert_eq!((opened.entry(), opened.prefix()), (Some("state_dict"), "module."));
    let tensors: Vec<String> = opened.tensors().into_iter().map(|tensor| tensor.name).collect();
    assert_eq!(tensors, ["w"]);
    let ignored: Vec<String> = opened.ignored().into_iter().map(|ignored| format!("{}: {}", ignored.name, ignored.what)).collect();
    let expected = [
        "epoch: 7",
        "arch: \"resnet\\u{1b}[2J\"",
        "optimizer: 2 entries, 1 tensor",
        "best_acc1: a tensor of shape []",
        "best_prec1: a number of NumPy",
        "args: settings (argparse.Namespace)",
        "callbacks: 1 entry, 1 tensor",
        "shape: 2 elements",
        "device: a device",
        "dtype: a type of numbers",
        "lr: 0.125",
        "done: true",
        "module.version: None",
    ];
    assert_eq!(ignored, expected);
    // With its prefix, and everything.
    assert_eq!(open(ReadOptions { keep_prefix: true, ..ReadOptions::default() }).tensors()[0].name, "module.w");
    let whole = ["best_acc1", "callbacks.best", "optimizer.state.0.exp_avg", "state_dict.module.w"];
    assert_eq!(names(&training(), Some(WHOLE)), whole);
    assert_eq!(names(&training(), Some("optimizer.state")), ["0.exp_avg"]);
}

#[test]
fn several_candidates_are_an_error_that_lists_them() {
    for (one, other) in
        [("model", "ema"), ("state_dict", "state_dict_ema"), ("params", "params_ema"), ("net", "head"), ("net_g", "g_state_dict")]
    {
        let both = dict(vec![(one, state("0")), ("epoch", Py::Int(1)), (other, state("1")), ("optimizer", state("2"))]);
        let found = problem(read(file(&both).path(), &ReadOptions::default()));
        let PthError::Entries { candidates } = &found else { panic!("{found:?}") };
        assert_eq!(candidates, &[one, other]);
        assert!(found.to_string().contains(&format!("`{one}`, `{other}`")), "{found}");
        for entry in [one, other] {
            assert_eq!(names(&both, Some(entry)), ["w"]);
        }
        let nowhere = problem(read(file(&both).path(), &ReadOptions { entry: Some("teacher".into()), ..ReadOptions::default() }));
        assert!(matches!(&nowhere, PthError::NoEntry { entry, there } if entry == "teacher" && there.len() == 4), "{nowhere:?}");
        assert!(nowhere.to_string().contains(one) && nowhere.to_string().contains("`epoch`"), "{nowhere}");
    }
    // An entry without weights is no candidate, and modules that no program calls weights are read together.
    assert_eq!(names(&dict(vec![("model", state("0")), ("ema", Py::None), ("model_ema", dict(vec![]))]), None), ["w"]);
    assert_eq!(
        names(&dict(vec![("encoder", state("0")), ("decoder", state("1")), ("optim", state("2"))]), None),
        ["decoder.w", "encoder.w"]
    );
    // An entry may lie within another, and have a dot in its name.
    let deep = dict(vec![("run.1", dict(vec![("ema", state("0"))])), ("model", state("1"))]);
    assert_eq!(names(&deep, Some("run.1")), ["ema.w"]);
    assert_eq!(names(&dict(vec![("a", dict(vec![("b", dict(vec![("c", state("0"))]))]))]), Some("a.b.c")), ["w"]);
}

#[test]
fn a_prefix_is_taken_off_only_where_all_names_have_it() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["module.a", "module.b"], &["a", "b"]),
        (&["module.a", "b"], &["b", "module.a"]),
        (&["module._orig_mod.a", "module._orig_mod.b"], &["a", "b"]),
        (&["module.module.a", "module.b"], &["b", "module.a"]),
        (&["module.modules", "module.moduli"], &["modules", "moduli"]),
        (&["_orig_mod.module.a"], &["a"]),
    ];
    for (written, expected) in cases {
        let entries = written.iter().zip(["0", "1"]).map(|(name, key)| (*name, w(key))).collect();
        assert_eq!(names(&dict(entries), None), expected, "{written:?}");
    }
}

#[test]
fn nothing_to_read_and_two_of_a_name_are_errors() {
    let none = dict(vec![("epoch", Py::Int(3)), ("state_dict", ordered_dict())]);
    let found = problem(read(file(&none).path(), &ReadOptions::default()));
    assert!(matches!(found, PthError::NoTensors { .. }) && found.to_string().contains("`epoch: 3`, `state_dict: 0 entries`"), "{found}");
    let entry = Some("w".to_string());
    assert!(matches!(problem(read(file(&w("0")).path(), &ReadOptions { entry, ..ReadOptions::default() })), PthError::NoEntry { .. }));
    let twice = dict(vec![("a.w", w("0")), ("a", state("1"))]);
    assert!(matches!(problem(read(file(&twice).path(), &ReadOptions::default())), PthError::Duplicate { name } if name == "a.w"));
}

#[test]
fn tied_weights_are_told_and_share_their_numbers() {
    let storage = || super::writer::storage("FloatStorage", "0", 4);
    let rows = |first: i64| view(storage(), 2 * first, &[1, 2], &[2, 1]);
    let tied = dict(vec![
        ("embedding", w("0")),
        ("head", w("0")),
        ("first", rows(0)),
        ("apart", w("1")),
        ("none", view(storage(), 0, &[0], &[1])),
    ]);
    let file = file(&tied);
    let opened = WeightsFile::open(file.path(), &ReadOptions::default()).unwrap();
    assert_eq!(opened.shared(), [["embedding", "first", "head"]]);
    let tensors = read(file.path(), &ReadOptions::default()).unwrap();
    assert_eq!((numbers(&tensors["head"]), numbers(&tensors["first"])), (vec![0.0, 1.0, 2.0, 3.0], vec![0.0, 1.0]));
    // Views that lie beside each other share nothing.
    let beside = super::entries::file(&dict(vec![("a", rows(0)), ("b", rows(1))]));
    assert!(WeightsFile::open(beside.path(), &ReadOptions::default()).unwrap().shared().is_empty());
}
