//! Weights files: what is written, who may read it, what is checked.

use candle_core::{Device, Tensor};
use mm_core::weights::{load, save, write_atomically};
use std::collections::BTreeMap;

fn tensors() -> BTreeMap<String, Tensor> {
    let values: Vec<f32> = (0..6).map(|i| i as f32).collect();
    BTreeMap::from([("w".to_string(), Tensor::from_vec(values, (2, 3), &Device::Cpu).unwrap())])
}

/// The message of reading a file in which `from` is replaced by `to`, of the same length.
fn message_with(from: &str, to: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, &tensors(), Some("width = 3")).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("it is there");
    let changed = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
    std::fs::write(&path, changed).unwrap();
    load(&path, &Device::Cpu).expect_err("changed").to_string()
}

#[test]
fn tensors_and_text_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, &tensors(), Some("width = 3")).unwrap();
    let (read, text) = load(&path, &Device::Cpu).unwrap();
    assert_eq!(read["w"].to_vec2::<f32>().unwrap(), tensors()["w"].to_vec2::<f32>().unwrap());
    assert_eq!(text.as_deref(), Some("width = 3"));
}

#[test]
fn another_shape_or_type_of_the_same_bytes_is_found() {
    for (from, to) in [("[2,3]", "[3,2]"), ("\"F32\"", "\"I32\""), ("\"F32\"", "\"U32\"")] {
        let message = message_with(from, to);
        assert!(message.contains("model.safetensors") && message.contains("tensor `w`"), "{message}");
    }
}

#[test]
fn a_changed_text_is_found() {
    let message = message_with("width = 3", "width = 4");
    assert!(message.contains("model.safetensors") && message.contains("text in the header"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_new_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    std::fs::write(folder.path().join("plain"), b"x").unwrap();
    write_atomically(&folder.path().join("ours"), b"x").unwrap();
    assert_eq!(format!("{:o}", mode("ours")), format!("{:o}", mode("plain")));
    if mode("plain") == 0o600 {
        println!("the umask of this machine hides the difference from a temporary file");
    }
}
