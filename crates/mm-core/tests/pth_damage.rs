//! Damaged checkpoints and such as are made to harm: read or refused, within the memory that is promised, without a panic.

#[path = "damage/mod.rs"]
mod damage;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "pth/writer.rs"]
mod writer;

use candle_core::Device;
use cap::Cap;
use mm_core::weights::{PthError, ReadOptions, WHOLE, WeightsFile};
use mm_core::{Error, rng};
use rand::RngExt;
use std::alloc::System;
use std::path::Path;
use writer::{Py, counting, dict, floats, legacy, ordered_dict, pickle, storage, text, view, zip, zip_of};

/// An allocation above the limit ends the test with `memory allocation of N bytes failed`.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What reading a file of this many bytes may take: see `weights/pth/budget.rs`. The tensors of candle are in it.
fn promised(length: usize) -> usize {
    (32 << 20) + 16 * length
}

/// What a file of these bytes turns out to be, within the memory that is promised.
fn outcome(path: &Path, bytes: &[u8]) -> Result<usize, Error> {
    // Some file systems write what is overwritten to the disk at once, thousands of times; a new file may go before it gets there.
    std::fs::remove_file(path).ok();
    std::fs::write(path, bytes).unwrap();
    let options = ReadOptions { entry: Some(WHOLE.into()), keep_prefix: false };
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + promised(bytes.len())).unwrap();
    let outcome = WeightsFile::open(path, &options).and_then(|file| {
        file.shared();
        file.ignored();
        file.read(&Device::Cpu, |_| true)
    });
    let outcome = outcome.map(|tensors| tensors.len());
    ALLOCATOR.set_limit(usize::MAX).unwrap();
    outcome
}

/// A small checkpoint with everything in it.
fn checkpoint() -> Py {
    let tensor = |class, key, elements, shape: &[i64], strides: &[i64]| view(storage(class, key, elements), 0, shape, strides);
    dict(vec![
        (
            "state_dict",
            dict(vec![
                ("module.conv.weight", tensor("FloatStorage", "0", 24, &[4, 6], &[1, 4])),
                ("module.conv.bias", tensor("FloatStorage", "0", 24, &[2, 3], &[12, 2])),
                ("module.scale", tensor("HalfStorage", "1", 4, &[], &[])),
                ("module.steps", tensor("LongStorage", "2", 2, &[2], &[1])),
                ("module.head", Py::Call("torch._utils", "_rebuild_parameter", vec![floats("3", &[3, 2]), Py::Bool(true), ordered_dict()])),
            ]),
        ),
        ("lists", Py::List(vec![Py::Int(1), Py::Float(0.5), Py::Tuple(vec![Py::Bool(true), Py::None, text("name")])])),
        ("best", Py::Call("numpy.core.multiarray", "scalar", vec![Py::Call("numpy", "dtype", vec![text("f8")]), text("x")])),
    ])
}

fn damaged_variants(path: &Path) {
    let pickled = pickle(&checkpoint());
    let small = vec![0x42; 16];
    let files = [
        legacy(&pickled, &[("0", 24, counting(24)), ("1", 4, small[..8].to_vec()), ("2", 2, small.clone()), ("3", 6, counting(6))]),
        zip(&pickled, &[("0", counting(24)), ("1", small[..8].to_vec()), ("2", small.clone()), ("3", counting(6))]),
    ];
    for (kind, whole) in files.iter().enumerate() {
        assert_eq!(outcome(path, whole).unwrap(), 5);
        let (mut read, mut refused) = (0, 0);
        for number in 0..10_000u64 {
            let mut rng = rng::stream(23, "pth", &[kind as u64, number]);
            let mut bytes = damage::damage(whole, &mut rng);
            if number % 4 == 0 && bytes.len() > 8 {
                // A length or offset as large as can be.
                let (at, size) = (rng.random_range(0..bytes.len() - 8), [1, 2, 4, 8][rng.random_range(0..4)]);
                bytes[at..at + size].fill(0xFF);
                bytes[at + size - 1] = [0xFF, 0x7F][rng.random_range(0..2)];
            }
            match outcome(path, &bytes) {
                Ok(_) => read += 1,
                Err(Error::Pth { problem, .. }) => {
                    refused += 1;
                    assert!(problem.to_string().len() < 4000, "{problem}");
                }
                // No longer a checkpoint by its first bytes.
                Err(Error::Weights { .. }) => refused += 1,
                Err(other) => panic!("variant {number}: {other:?}"),
            }
        }
        println!("{read} read, {refused} refused");
        assert!(read > 100 && refused > 5000, "{read} {refused}");
    }
}

/// A file that is nothing but instructions: `count` times the same.
fn repeated(instructions: &[u8], count: usize, start: &[u8], end: &[u8]) -> Vec<u8> {
    zip(&[b"\x80\x02", start, &instructions.repeat(count), end, b"."].concat(), &[])
}

fn hostile_files(path: &Path) {
    const MANY: usize = 1_000_000;
    let files = [
        ("empty lists", repeated(b"]", MANY, b"(", b"t")),
        ("empty dictionaries", repeated(b"}", MANY, b"(", b"t")),
        ("marks", repeated(b"(", MANY, b"", b"")),
        ("empty tuples", repeated(b")", MANY, b"(", b"t")),
        ("what is remembered", repeated(b"N\x94", MANY, b"(", b"t")),
        ("tuples in tuples", repeated(b"\x85", MANY, b"N", b"")),
        ("texts", repeated(b"U\0", MANY, b"(", b"t")),
        (
            "a large list, often",
            repeated(b"U\x01ah\x01", MANY / 5, &[b"}q\0(U\x01b](".as_slice(), &vec![b'N'; MANY], b"eq\x01"].concat(), b"u"),
        ),
        (
            "a large text, often",
            repeated(b"h\x01N", MANY / 5, &[b"}(T\x00\x00\x01\x00".as_slice(), &[b'k'; 1 << 16], b"q\x01N"].concat(), b"u"),
        ),
        ("a tall pickle, deflated", zip_of(&[("a/data.pkl", [b"\x80\x02(".as_slice(), &vec![b'N'; 50 * MANY]].concat())], true)),
        ("a long text, deflated", {
            let text = [b"\x80\x02T".as_slice(), &(50 * MANY as u32).to_le_bytes(), &vec![b'N'; 50 * MANY], b"."].concat();
            zip_of(&[("a/data.pkl", text)], true)
        }),
    ];
    for (what, bytes) in files {
        let outcome = outcome(path, &bytes);
        assert!(matches!(outcome, Err(Error::Pth { .. })), "{what}: {outcome:?}");
    }
    // A thousand views of the same megabytes.
    let shift = |i: i64| (format!("{i}"), view(storage("FloatStorage", "0", 1 << 20), i, &[(1 << 20) - 1000], &[1]));
    let views = Py::Dict((0..1000).map(|i| (text(&shift(i).0), shift(i).1)).collect());
    let bytes = zip(&pickle(&views), &[("0", vec![0; 4 << 20])]);
    assert!(matches!(outcome(path, &bytes), Err(Error::Pth { problem: PthError::TooLarge { .. }, .. })));
    // One number as many: as many as are allowed, and more, with what the types are made from.
    for (class, elements, allowed) in
        [("FloatStorage", 7, true), ("ByteStorage", 15, true), ("ByteStorage", 20, false), ("CharStorage", 12, false)]
    {
        let expanded = pickle(&dict(vec![("w", view(storage(class, "0", 1), 0, &[elements << 20], &[0]))]));
        let bytes = zip(&expanded, &[("0", vec![0; if class == "FloatStorage" { 4 } else { 1 }])]);
        let outcome = outcome(path, &bytes);
        assert!(if allowed { outcome.is_ok() } else { matches!(outcome, Err(Error::Pth { problem: PthError::TooLarge { .. }, .. })) });
    }
}

/// One test, so that no other allocates beside it.
#[test]
fn damaged_and_hostile_files_are_read_or_refused_within_the_promised_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    damaged_variants(&path);
    hostile_files(&path);
}
