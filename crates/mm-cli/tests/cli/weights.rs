//! `mm weights`, by running it.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../../mm-core/tests/pth/writer.rs"]
mod writer;

use std::path::Path;
use std::process::Command;
use writer::{File, Py, counting, dict, floats, pickle, zip};

/// Whether the program succeeds, and what it says.
fn mm(arguments: &[&str], files: &[&Path]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mm")).arg("weights").args(arguments).args(files).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn checkpoint() -> File {
    let weights = |key: &str| dict(vec![("module.conv.weight", floats(key, &[2, 3])), ("module.conv.tied", floats(key, &[2, 3]))]);
    let value = dict(vec![("epoch", Py::Int(3)), ("model", weights("0")), ("ema", weights("1"))]);
    File::new("net.pth", &zip(&pickle(&value), &[("0", counting(6)), ("1", vec![0; 24])]))
}

#[test]
fn a_checkpoint_is_listed() {
    let file = checkpoint();
    let (listed, text) = mm(&["inspect"], &[file.path()]);
    assert!(!listed && text.contains("`model`, `ema`"), "{text}");
    let (listed, text) = mm(&["inspect", "--entry", "model"], &[file.path()]);
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        &format!("{}: PyTorch checkpoint, entry `model`, without `module.` before the names", file.path().display()),
        "name         dtype  shape   sum",
        "conv.tied    F32    [2, 3]  15",
        "conv.weight  F32    [2, 3]  15",
        "2 tensors, 12 numbers",
        "the same numbers: conv.tied, conv.weight",
        "not read: epoch (3)",
        "not read: ema (2 entries, 2 tensors)",
    ];
    assert!(listed && lines == expected, "{text}");
    let (_, text) = mm(&["inspect", "--entry", ".", "--keep-prefix"], &[file.path()]);
    assert!(text.contains("ema.module.conv.weight") && text.contains("4 tensors, 24 numbers"), "{text}");
}

#[test]
fn a_checkpoint_is_converted_once() {
    let file = checkpoint();
    let target = file.folder().join("net.safetensors");
    let convert = |more: &[&str]| mm(&[&["convert", "--entry", "model"], more].concat(), &[file.path(), &target]);
    let (done, text) = convert(&[]);
    assert!(done && text.contains("net.safetensors: 2 tensors, ") && text.contains("once for each name: conv.tied, conv.weight"), "{text}");
    let before = std::fs::read(&target).unwrap();
    let (done, text) = convert(&[]);
    assert!(!done && text.contains("net.safetensors: it exists") && text.contains("--force"), "{text}");
    let (done, text) = convert(&["--force"]);
    assert!(done && std::fs::read(&target).unwrap() == before, "{text}");
    let (listed, text) = mm(&["inspect"], &[&target]);
    assert!(listed && text.contains("net.safetensors: safetensors") && text.contains("conv.weight  F32    [2, 3]  15"), "{text}");
}

/// A name that would clear the screen of a terminal, and a program in a pickle.
#[test]
fn a_file_that_is_made_to_harm_does_none() {
    let name = dict(vec![("\u{1b}[2Jw", floats("0", &[1])), ("\u{1b}[2J", Py::Int(1))]);
    let file = File::new("net.pth", &zip(&pickle(&name), &[("0", counting(1))]));
    let (listed, text) = mm(&["inspect"], &[file.path()]);
    assert!(listed && !text.contains('\u{1b}') && text.contains("\\u{1b}[2Jw"), "{text}");
    let touched = file.folder().join("touched");
    let call = Py::Call("os", "system", vec![writer::text(&format!("touch {}", touched.display()))]);
    let file = File::new("net.pth", &zip(&pickle(&call), &[]));
    let (listed, text) = mm(&["inspect"], &[file.path()]);
    assert!(!listed && text.contains("`os.system`") && text.contains("save_file(") && !touched.exists(), "{text}");
}
