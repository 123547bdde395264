//! Files that are taken for weights and are something else: each is named, with what to do instead.

use candle_core::Device;
use mm_core::Error;
use mm_core::nn::{Parameters, linear};
use mm_core::weights::{NameMap, from_pretrained, load, save};
use std::path::Path;

fn model() -> Parameters {
    let parameters = Parameters::new(1, &Device::Cpu);
    linear(3, 2, parameters.builder().pp("head")).unwrap();
    parameters
}

fn problem(path: &Path) -> String {
    let error = from_pretrained(&model(), path, &NameMap::new()).unwrap_err();
    assert!(matches!(error, Error::Weights { .. }), "{error:?}");
    assert!(load(path, &Device::Cpu).is_err());
    error.to_string()
}

/// A zip archive's first local entry.
fn zip_entry(name: &str) -> Vec<u8> {
    [b"PK\x03\x04".as_slice(), &[0; 22], &(name.len() as u16).to_le_bytes(), &[0; 2], name.as_bytes(), &[0; 64]].concat()
}

#[test]
fn what_is_not_safetensors_is_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 46807446\n";
    let cases: [(&str, &[u8], &[&str]); 11] = [
        ("empty.safetensors", b"", &["empty"]),
        ("pointer.safetensors", pointer.as_bytes(), &["git LFS", "git lfs pull"]),
        ("page.safetensors", b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title>", &["HTML page", "/resolve/"]),
        ("latin.safetensors", b"<html><title>Acc\xe8s</title></html>", &["HTML page"]),
        ("denied.safetensors", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", &["XML text"]),
        ("message.safetensors", b"Entry not found", &["`Entry not found`"]),
        ("config.json", b"{\"architectures\": [\"ResNet\"]}", &["JSON text", "configuration"]),
        ("net.npz", &zip_entry("weight.npy"), &["NumPy"]),
        ("net.zip", &zip_entry("model.safetensors"), &["zip archive", "unpack"]),
        ("net.safetensors.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\x06\0", &["gzip", "gunzip"]),
        ("net.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0", &["HDF5"]),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, parts) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let problem = problem(&path);
        assert!(problem.contains(name) && parts.iter().all(|part| problem.contains(part)), "{problem}");
    }
    // Nothing is known of these, so it is said what the header lacks.
    for bytes in [b"\x80\x09 none".as_slice(), b"\0\0\0\0\0\0\0\0\0", b"\x05\0\0\0\0\0\0\0{}  "] {
        let path = folder.path().join("unknown");
        std::fs::write(&path, bytes).unwrap();
        assert!(problem(&path).contains("unknown: ") && !problem(&path).contains("PyTorch"), "{}", problem(&path));
    }
}

/// Damaged, these are still what they are: a checkpoint of PyTorch in either container, and an index without its files.
#[test]
fn damaged_checkpoints_and_indices_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let legacy = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    for (name, bytes) in [("net.pth", zip_entry("archive/data.pkl").as_slice()), ("net.th", legacy)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = from_pretrained(&model(), &path, &NameMap::new()).unwrap_err();
        assert!(
            matches!(error, Error::Pth { .. })
                && error.to_string().contains("fetch the file again") | error.to_string().contains("fetch it again"),
            "{error}"
        );
    }
    let path = folder.path().join("net.safetensors.index.json");
    std::fs::write(&path, r#"{"weight_map": {"a": "m-1.safetensors"}}"#).unwrap();
    let error = from_pretrained(&model(), &path, &NameMap::new()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("m-1.safetensors"), "{error}");
}

/// A good file whose first bytes look like those of a gzip file is read.
#[test]
fn a_good_file_is_never_taken_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, &model().snapshot().unwrap(), None).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, tensors) = bytes[8..].split_at(length);
    // The length of the header comes first, and spaces may follow the header.
    let padded = [&0x8b1fu64.to_le_bytes(), header, &vec![b' '; 0x8b1f - length], tensors].concat();
    assert!(padded.starts_with(b"\x1f\x8b"));
    std::fs::write(&path, padded).unwrap();
    from_pretrained(&model(), &path, &NameMap::new()).unwrap().complete(&path).unwrap();
}

#[test]
fn a_folder_where_a_file_is_meant_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("folder"), "{error}");
}
