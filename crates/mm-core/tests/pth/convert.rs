//! Checkpoints as safetensors files, and weights in several files.

use super::writer::{File, Py, counting, dict, floats, pickle, storage, view, zip};
use super::{numbers, read};
use candle_core::{DType, Device, Tensor};
use mm_core::Error;
use mm_core::nn::{Parameters, linear};
use mm_core::weights::{ImportOptions, NameMap, ReadOptions, WeightsFile, convert, from_pretrained, inspect, load, save};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn checkpoint() -> File {
    let weights = dict(vec![
        ("module.bias", view(storage("HalfStorage", "1", 2), 0, &[2], &[1])),
        ("module.weight", view(storage("FloatStorage", "0", 6), 0, &[3, 2], &[1, 3])),
        ("module.tied", view(storage("FloatStorage", "0", 6), 0, &[3, 2], &[1, 3])),
        ("module.mask", view(storage("BoolStorage", "2", 3), 0, &[3], &[1])),
        ("module.small", view(storage("CharStorage", "3", 1), 0, &[], &[])),
        ("module.none", view(storage("LongStorage", "4", 0), 0, &[0, 3], &[3, 1])),
    ]);
    let numbers = [("0", counting(6)), ("1", vec![0, 0x3C, 0, 0xC0]), ("2", vec![1, 0, 1]), ("3", vec![0xFF]), ("4", vec![])];
    File::new("net.pth", &zip(&pickle(&dict(vec![("epoch", Py::Int(3)), ("model", weights)])), &numbers))
}

/// The header of a safetensors file.
fn header(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    serde_json::from_slice(&bytes[8..8 + length]).unwrap()
}

#[test]
fn a_converted_checkpoint_has_the_same_tensors_and_says_where_it_is_from() {
    let file = checkpoint();
    let target = file.folder().join("new/net.safetensors");
    let done = convert(file.path(), &target, &ReadOptions::default(), false).unwrap();
    assert_eq!((done.tensors, done.bytes), (6, std::fs::metadata(&target).unwrap().len()));
    assert_eq!(
        (done.entry.as_deref(), done.prefix.as_str(), &done.shared),
        (Some("model"), "module.", &vec![vec!["tied".to_string(), "weight".into()]])
    );

    // Every type is as it was.
    let header = header(&target);
    let dtypes: Vec<(&str, &str)> =
        ["bias", "weight", "tied", "mask", "small", "none"].map(|name| (name, header[name]["dtype"].as_str().unwrap())).to_vec();
    assert_eq!(dtypes, [("bias", "F16"), ("weight", "F32"), ("tied", "F32"), ("mask", "BOOL"), ("small", "I8"), ("none", "I64")]);
    assert_eq!(header["__metadata__"]["format"], "pt");

    let (tensors, text) = load(&target, &Device::Cpu).unwrap();
    let before = read(file.path(), &ReadOptions::default()).unwrap();
    assert_eq!(before.keys().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>());
    for (name, tensor) in &tensors {
        assert_eq!(
            (tensor.dims(), tensor.dtype(), numbers(tensor)),
            (before[name].dims(), before[name].dtype(), numbers(&before[name])),
            "{name}"
        );
    }
    assert_eq!(numbers(&tensors["weight"]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!((numbers(&tensors["small"]), numbers(&tensors["mask"])), (vec![-1.0], vec![1.0, 0.0, 1.0]));

    let from = &serde_json::from_str::<Value>(&text.unwrap()).unwrap()["converted_from"];
    assert_eq!((&from["file"], &from["entry"], &from["prefix"]), (&"net.pth".into(), &"model".into(), &"module.".into()));
    assert_eq!((&from["shared"][0][1], &from["ignored"][0][0]), (&"weight".into(), &"epoch".into()));
    assert_eq!(from["bytes"], std::fs::metadata(file.path()).unwrap().len());
    assert_eq!(from["sha256"].as_str().unwrap().len(), 64);

    // The same file gives the same bytes, and so does the converted one's conversion but for where it is from.
    let again = file.folder().join("again.safetensors");
    convert(file.path(), &again, &ReadOptions::default(), false).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&target).unwrap());
    convert(&target, &file.folder().join("third.safetensors"), &ReadOptions::default(), false).unwrap();

    // It checks itself: the last byte is a number's.
    let mut bytes = std::fs::read(&again).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&again, bytes).unwrap();
    assert!(load(&again, &Device::Cpu).unwrap_err().to_string().contains("checksum"));
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let file = checkpoint();
    let target = file.folder().join("net.safetensors");
    std::fs::write(&target, "mine").unwrap();
    let refused = convert(file.path(), &target, &ReadOptions::default(), false).unwrap_err();
    assert!(matches!(&refused, Error::File { path, problem } if *path == target && problem.contains("--force")), "{refused}");
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
    convert(file.path(), &target, &ReadOptions::default(), true).unwrap();
    assert!(load(&target, &Device::Cpu).is_ok());
    // Nor is the file itself, whatever is asked for.
    let before = std::fs::read(file.path()).unwrap();
    for overwrite in [false, true] {
        assert!(convert(file.path(), file.path(), &ReadOptions::default(), overwrite).is_err());
    }
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
    // A conversion that fails leaves nothing behind, and the old file as it was.
    let broken = File::new("broken.pth", &before[..before.len() - 40]);
    assert!(convert(broken.path(), &target, &ReadOptions::default(), true).is_err());
    assert!(load(&target, &Device::Cpu).is_ok());
    let reserved = zip(&pickle(&dict(vec![("__metadata__", floats("0", &[1]))])), &[("0", counting(1))]);
    let reserved = File::new("reserved.pth", &reserved);
    assert!(convert(reserved.path(), &reserved.folder().join("x"), &ReadOptions::default(), false).is_err());
    assert_eq!(std::fs::read_dir(reserved.folder()).unwrap().count(), 1);
}

#[test]
fn an_inspection_sums_every_type_up() {
    let file = checkpoint();
    let summaries = inspect(WeightsFile::open(file.path(), &ReadOptions::default()).unwrap()).unwrap();
    let found: Vec<(&str, &str, &[usize], Option<f64>)> =
        summaries.iter().map(|s| (s.tensor.name.as_str(), s.tensor.dtype.as_str(), s.tensor.shape.as_slice(), s.sum)).collect();
    let expected: [(&str, &str, &[usize], Option<f64>); 6] = [
        ("bias", "F16", &[2], Some(-1.0)),
        ("mask", "BOOL", &[3], Some(2.0)),
        ("none", "I64", &[0, 3], Some(0.0)),
        ("small", "I8", &[], Some(-1.0)),
        ("tied", "F32", &[3, 2], Some(15.0)),
        ("weight", "F32", &[3, 2], Some(15.0)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn numbers_of_8_bits_are_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quarter.safetensors");
    let numbers = Tensor::new(&[1f32, 2.0, 0.5, -0.25], &Device::Cpu).unwrap().to_dtype(DType::F8E4M3).unwrap();
    save(&path, &BTreeMap::from([("w".to_string(), numbers)]), None).unwrap();
    let found = inspect(WeightsFile::open(&path, &ReadOptions::default()).unwrap()).unwrap();
    assert_eq!((found[0].tensor.dtype.as_str(), found[0].sum), ("F8_E4M3", Some(3.25)));
}

fn model() -> Parameters {
    let parameters = Parameters::new(0, &Device::Cpu);
    linear(2, 3, parameters.builder().pp("head")).unwrap();
    parameters
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
}

#[test]
fn a_model_in_several_files_is_read_through_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, tensors: &[(&str, Tensor)]| {
        let tensors: BTreeMap<String, Tensor> = tensors.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
        save(&folder.path().join(name), &tensors, None).unwrap();
    };
    put("model-1.safetensors", &[("head.weight", tensor(&[1.0; 6], &[3, 2])), ("unmapped", tensor(&[1.0], &[1]))]);
    put("model-2.safetensors", &[("head.bias", tensor(&[1.0, 2.0, 3.0], &[3]))]);
    let index = folder.path().join("model.safetensors.index.json");
    let write = |map: &str| std::fs::write(&index, format!(r#"{{"metadata": {{"total_size": 9}}, "weight_map": {{{map}}}}}"#)).unwrap();
    write(r#""head.weight": "model-1.safetensors", "head.bias": "model-2.safetensors""#);

    let (tensors, _) = load(&index, &Device::Cpu).unwrap();
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["head.bias", "head.weight"]);
    let parameters = model();
    from_pretrained(&parameters, folder.path(), &NameMap::new()).unwrap().complete(folder.path()).unwrap();
    assert_eq!(numbers(&parameters.snapshot().unwrap()["head.bias"]), [1.0, 2.0, 3.0]);
    assert_eq!(inspect(WeightsFile::open(&index, &ReadOptions::default()).unwrap()).unwrap()[0].sum, Some(6.0));
    let one = folder.path().join("one.safetensors");
    assert_eq!(convert(&index, &one, &ReadOptions::default(), false).unwrap().tensors, 2);
    assert_eq!(load(&one, &Device::Cpu).unwrap().0.len(), 2);

    for (map, part) in [
        (r#""head.weight": "model-3.safetensors""#, "model-3.safetensors"),
        (r#""gone": "model-1.safetensors""#, "`gone` is not in `model-1.safetensors`"),
        (r#""head.weight": "../model-1.safetensors""#, "does not lie beside"),
        (r#""head.weight": "/etc/passwd""#, "does not lie beside"),
        (r#""head.weight": "model.safetensors.index.json""#, "an index"),
    ] {
        write(map);
        let problem = load(&index, &Device::Cpu).unwrap_err().to_string();
        assert!(problem.contains(part), "{problem}");
    }
}

#[test]
fn weights_enter_a_model_from_a_checkpoint() {
    let head = |key: &'static str, other: &'static str| {
        dict(vec![("module.head.weight", floats(key, &[3, 2])), ("module.head.bias", floats(other, &[3]))])
    };
    let numbers_of = [("0", counting(6)), ("1", counting(3)), ("2", counting(6)), ("3", vec![0; 12])];
    let both = zip(&pickle(&dict(vec![("model", head("0", "1")), ("ema", head("2", "3"))])), &numbers_of);
    let file = File::new("pytorch_model.bin", &both);
    let problem = from_pretrained(&model(), file.folder(), &NameMap::new()).unwrap_err();
    assert!(problem.to_string().contains("`model`, `ema`"), "{problem}");
    for (entry, bias) in [("model", [0.0, 1.0, 2.0]), ("ema", [0.0; 3])] {
        let parameters = model();
        let options = ImportOptions::default().entry(entry);
        from_pretrained(&parameters, file.folder(), options).unwrap().complete(file.folder()).unwrap();
        let values = parameters.snapshot().unwrap();
        assert_eq!((numbers(&values["head.bias"]), values["head.bias"].dtype()), (bias.to_vec(), DType::F32));
    }
    // A safetensors file has no entries.
    let plain = file.folder().join("model.safetensors");
    model().save(&plain, |_| true).unwrap();
    let problem = read(&plain, &ReadOptions { entry: Some("ema".into()), ..ReadOptions::default() }).unwrap_err().to_string();
    assert!(problem.contains("`ema`"), "{problem}");
}
