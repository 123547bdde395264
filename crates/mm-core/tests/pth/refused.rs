//! What is refused: programs, damaged files, and files of another kind. Each says what it is and what to do.

use super::writer::{File, MAGIC, Py, counting, dict, floats, legacy, pickle, system, text, zip, zip_of};
use super::{numbers, problem, read};
use mm_core::weights::{PthError, ReadOptions};
use mm_core::{Error, Result};

fn open(bytes: &[u8]) -> Result<Vec<String>> {
    let file = File::new("net.pth", bytes);
    read(file.path(), &ReadOptions::default()).map(|tensors| tensors.into_keys().collect())
}

/// The problem with this pickle, in either container.
#[track_caller]
fn refused(value: &Py) -> PthError {
    let pickle = pickle(value);
    let found = problem(open(&zip(&pickle, &[("0", counting(4))])));
    let other = problem(open(&legacy(&pickle, &[("0", 4, counting(4))])));
    assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&other), "{found:?}, {other:?}");
    found
}

#[test]
fn a_class_or_function_that_is_not_known_is_named_and_never_called() {
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let command = format!("touch {}", touched.display());
    let calls = [
        ("posix", "system", vec![text(&command)]),
        ("os", "system", vec![text(&command)]),
        ("builtins", "eval", vec![text("1")]),
        ("__builtin__", "getattr", vec![]),
        ("torch.storage", "_load_from_bytes", vec![text("")]),
        ("torch", "load", vec![]),
        ("numpy", "load", vec![]),
        ("collections", "OrderedDict.fromkeys", vec![]),
        ("torchvision.models.resnet", "ResNet", vec![]),
    ];
    for (module, name, arguments) in calls {
        // As a call, and merely named, by either instruction.
        let stacked = [b"X\x06\0\0\0".as_slice(), b"weight", &instructions(&text(module)), &instructions(&text(name)), b"\x93"].concat();
        let values = [Py::Call(module, name, arguments), Py::Global(module, name), Py::Raw([b"}", stacked.as_slice(), b"s"].concat())];
        for value in values {
            let found = refused(&dict(vec![("w", floats("0", &[4])), ("x", value)]));
            let PthError::Global { name: found_name } = &found else { panic!("{found:?}") };
            assert_eq!(found_name, &format!("{module}.{name}"));
            // Two lines of Python.
            assert!(found.to_string().contains("save_file(") && found.to_string().lines().count() == 4, "{found}");
        }
    }
    assert!(!touched.exists());
}

#[test]
fn numbers_that_are_not_read_are_said_to_be_numbers() {
    let cases = [
        ("torch._utils", "_rebuild_tensor_v3", "float8", "(v.float()).contiguous()"),
        ("torch._utils", "_rebuild_sparse_tensor", "sparse tensors", "(v.to_dense()).contiguous()"),
        ("torch._utils", "_rebuild_qtensor", "quantized numbers", "(v.dequantize()).contiguous()"),
        ("torch", "ComplexFloatStorage", "complex numbers", "torch.view_as_real(v)"),
    ];
    for (module, name, what, plain) in cases {
        let found = refused(&dict(vec![("w", floats("0", &[4])), ("x", Py::Global(module, name))]));
        assert!(matches!(&found, PthError::Numbers { name: found, .. } if *found == format!("{module}.{name}")), "{found:?}");
        let text = found.to_string();
        assert!(text.contains(what) && text.contains(plain) && !text.contains("program"), "{text}");
    }
}

fn instructions(value: &Py) -> Vec<u8> {
    let bytes = pickle(value);
    bytes[2..bytes.len() - 1].to_vec()
}

#[test]
fn instructions_that_torch_save_never_writes_are_refused() {
    // INST, OBJ, EXT1, PERSID, INT, LONG, FLOAT, STRING, UNICODE, DUP, POP, GET, NEWOBJ_EX, NEXT_BUFFER.
    for code in [b'i', b'o', 0x82, b'P', b'I', b'L', b'F', b'S', b'V', b'2', b'0', b'g', 0x92, 0x97] {
        let found = refused(&Py::Raw(vec![b'N', code, b'\n', b'\n']));
        assert!(matches!(found, PthError::Instruction { code: found, .. } if found == code), "{found:?}");
    }
    assert!(matches!(refused(&Py::Raw(vec![0x80, 6])), PthError::Protocol { found: 6 }));
}

#[test]
fn a_pickle_that_contradicts_itself_is_refused() {
    let cases: [&[u8]; 24] = [
        b"",
        b"t",
        b"(",
        b"\x85",
        b"N(\x85t",
        b"a",
        b"Na",
        b"N)a",
        b"}Ns",
        b"}(Nu",
        b"N(NNu",
        b"](K\x01u",
        b"h\x00",
        b"Nq\x00h\x01",
        b"j\xff\xff\xff\xff",
        b"Nr\xff\xff\xff\xff",
        b"q\x00",
        b"NNR",
        b"N)R",
        b"K\x01}b",
        b"NQ",
        b"NN\x93",
        b"}(K\x01\x90",
        b"X\x01\0\0\0\xff",
    ];
    for case in cases {
        let found = refused(&Py::Raw(case.to_vec()));
        assert!(matches!(found, PthError::Pickle { .. }), "{case:?}: {found:?}");
        assert!(found.to_string().contains("at byte"), "{found}");
    }
    // Lengths that the file does not have.
    for case in [
        b"X\xff\xff\xff\x7f".as_slice(),
        b"T\xff\xff\xff\xff",
        b"\x8d\0\0\0\0\0\0\0\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"B\xff\xff\xff\xff",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert!(matches!(refused(&Py::Raw(case.to_vec())), PthError::Truncated { .. }), "{case:?}");
    }
    let endless = [b"c".as_slice(), &[b'x'; 5000]].concat();
    assert!(matches!(refused(&Py::Raw(endless)), PthError::Pickle { .. }));
}

#[test]
fn entries_without_an_end_and_names_without_number_are_refused() {
    let tensor = instructions(&floats("0", &[4]));
    // A dictionary in itself.
    let own = [b"}q\x00(U\x01ah\x00U\x01w", tensor.as_slice(), b"u"].concat();
    assert!(matches!(refused(&Py::Raw(own)), PthError::TooDeep { .. }));
    // Forty dictionaries, each twice in the next: a trillion names.
    let mut twice = [tensor.as_slice(), b"q\x00"].concat();
    for i in 0..40 {
        twice.extend([b"}(U\x01ah".as_slice(), &[i], b"U\x01bh", &[i], b"uq", &[i + 1]].concat());
    }
    assert!(matches!(refused(&Py::Raw(twice)), PthError::TooLarge { .. }));
    // One number as a terabyte of them.
    let expanded = super::writer::view(super::writer::storage("FloatStorage", "0", 4), 0, &[1 << 38], &[0]);
    assert!(matches!(refused(&expanded), PthError::TooLarge { .. }));
}

#[test]
fn numbers_that_are_missing_or_too_few_are_refused() {
    let pickled = pickle(&dict(vec![("w", floats("0", &[4]))]));
    let storage = |bytes: &[u8]| {
        let found = problem(open(bytes));
        assert!(matches!(&found, PthError::Storage { key, .. } if key == "0") && found.to_string().contains("numbers `0`"), "{found:?}");
    };
    storage(&zip(&pickled, &[]));
    storage(&zip(&pickled, &[("1", counting(4))]));
    storage(&zip(&pickled, &[("0", counting(3))]));
    storage(&zip(&pickled, &[("0", counting(5))]));
    storage(&legacy(&pickled, &[]));
    storage(&legacy(&pickled, &[("0", 3, counting(3))]));
    storage(&legacy(&pickled, &[("0", u64::MAX, counting(4))]));
    storage(&legacy(&pickled, &[("0", 4, counting(4)), ("0", 4, counting(4))]));
    for bytes in [counting(3), vec![]] {
        assert!(matches!(problem(open(&legacy(&pickled, &[("0", 4, bytes)]))), PthError::Truncated { .. }));
    }
    assert!(matches!(problem(open(&legacy(&pickled, &[("0", 4, counting(4)), ("1", 4, counting(4))]))), PthError::Pickle { .. }));
    // More numbers than any machine has.
    let huge = pickle(&dict(vec![("w", super::writer::view(super::writer::storage("LongStorage", "0", i64::MAX), 0, &[1], &[1]))]));
    assert!(matches!(problem(open(&zip(&huge, &[("0", counting(4))]))), PthError::Storage { .. }));
    assert!(matches!(problem(open(&legacy(&huge, &[("0", i64::MAX as u64, counting(4))]))), PthError::Storage { .. }));
}

#[test]
fn archives_are_checked() {
    let pickled = pickle(&dict(vec![("w", floats("0", &[4]))]));
    let files = |numbers: Vec<u8>| vec![("net/data.pkl", pickled.clone()), ("net/byteorder", b"little".to_vec()), ("net/data/0", numbers)];
    // Deflated, as other programs pack archives again.
    for deflated in [false, true] {
        let file = File::new("net.pth", &zip_of(&files(counting(4)), deflated));
        assert_eq!(numbers(&read(file.path(), &ReadOptions::default()).unwrap()["w"]), [0.0, 1.0, 2.0, 3.0]);
    }
    // One bit of the numbers, or of the pickle's name of the tensor: the archive has checksums.
    let good = zip_of(&files(counting(4)), false);
    for piece in [counting(4), b"X\x01\0\0\0w".to_vec()] {
        let mut bad = good.clone();
        let at = bad.windows(piece.len()).position(|window| window == piece).unwrap();
        bad[at + piece.len() - 1] ^= 1;
        assert!(matches!(problem(open(&bad)), PthError::Archive { .. }));
    }
    let mut bomb = files(vec![0; 64 << 20]);
    bomb[0].1 = pickle(&dict(vec![("w", floats("0", &[16 << 20]))]));
    assert!(matches!(problem(open(&zip_of(&bomb, true))), PthError::TooLarge { .. }));

    let mut big = files(counting(4));
    big[1].1 = b"big".to_vec();
    assert!(matches!(problem(open(&zip_of(&big, false))), PthError::BigEndian));
    let mut script = files(counting(4));
    script.push(("net/constants.pkl", pickle(&Py::Tuple(vec![]))));
    let found = problem(open(&zip_of(&script, false)));
    assert!(matches!(found, PthError::TorchScript) && found.to_string().contains("torch.jit.load"), "{found}");
    let mut two = files(counting(4));
    two.push(("other/data.pkl", pickled.clone()));
    assert!(matches!(problem(open(&zip_of(&two, false))), PthError::NoPickle));
    assert!(matches!(problem(open(&good[..good.len() - 30])), PthError::Archive { .. }));
    let followed = zip(&[pickled.as_slice(), b"more"].concat(), &[("0", counting(4))]);
    assert!(matches!(problem(open(&followed)), PthError::Archive { .. }));
}

#[test]
fn other_pickles_and_machines_are_named() {
    assert!(matches!(problem(open(&pickle(&dict(vec![("a", Py::Int(1))])))), PthError::NotPyTorch));
    assert!(matches!(problem(open(&pickle(&Py::Call("sklearn.svm", "SVC", vec![])))), PthError::NotPyTorch));
    let parts = |version: i64, little: bool| [MAGIC, &pickle(&Py::Int(version)), &system(little), &pickle(&Py::None)].concat();
    assert!(matches!(problem(open(&parts(1001, false))), PthError::BigEndian));
    assert!(matches!(problem(open(&parts(1000, true))), PthError::Pickle { .. }));
    assert!(matches!(problem(open(&parts(1001, true))), PthError::Truncated { .. }));
    assert!(matches!(problem(open(MAGIC)), PthError::Truncated { .. }));
}

#[test]
fn what_is_no_checkpoint_at_all_says_what_it_is() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 46807446\n".to_vec();
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let cases = [(pointer, "git lfs pull"), (tar, "tar archive"), (b"<html>Sign in</html>".to_vec(), "HTML page"), (vec![], "empty")];
    for (bytes, part) in cases {
        let error = open(&bytes).unwrap_err();
        assert!(matches!(error, Error::Weights { .. }) && error.to_string().contains(part), "{error}");
    }
    let missing = read("no-such-file.pth".as_ref(), &ReadOptions::default()).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing:?}");
}
