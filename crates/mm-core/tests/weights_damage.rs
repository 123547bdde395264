//! Damaged files of weights and of what lies beside them: read or refused, within the memory that is promised, without a panic.

#[path = "damage/mod.rs"]
mod damage;
mod word_pieces;

use candle_core::{DType, Device, Tensor};
use cap::Cap;
use damage::damage;
use mm_core::encoder::BertConfig;
use mm_core::rng::stream;
use mm_core::text::Tokenizer;
use mm_core::weights::{ReadOptions, WeightsFile, save};
use std::alloc::System;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// An allocation above the limit ends the test with `memory allocation of N bytes failed`.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const VARIANTS: u64 = 10_000;

/// Runs `work` with room for 32 MiB and `factor` times the size of a file.
fn within<T>(bytes: &[u8], factor: usize, work: impl FnOnce() -> T) -> T {
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + (32 << 20) + factor * bytes.len()).unwrap();
    let outcome = work();
    ALLOCATOR.set_limit(usize::MAX).unwrap();
    outcome
}

fn tensors(prefix: &str) -> BTreeMap<String, Tensor> {
    let numbers = |count: usize| (0..count).map(|i| i as f32).collect::<Vec<_>>();
    let tensor =
        |shape: &[usize], dtype| Tensor::from_vec(numbers(shape.iter().product()), shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    [("conv.weight", &[4, 3, 2][..], DType::F32), ("steps", &[2], DType::I64), ("scale", &[], DType::F16), ("mask", &[0, 5], DType::U8)]
        .map(|(name, shape, dtype)| (format!("{prefix}{name}"), tensor(shape, dtype)))
        .into()
}

/// Whether a file of these bytes is read; everything it says is asked for.
fn reads(path: &Path, bytes: &[u8]) -> bool {
    // Some file systems write what is overwritten to the disk at once, thousands of times; a new file may go before it gets there.
    std::fs::remove_file(path).ok();
    std::fs::write(path, bytes).unwrap();
    within(bytes, 16, || {
        let outcome = WeightsFile::open(path, &ReadOptions::default()).and_then(|file| {
            file.tensors();
            file.read(&Device::Cpu, |_| true)
        });
        if let Err(error) = &outcome {
            assert!(error.to_string().contains(path.parent().unwrap().to_str().unwrap()), "{error}");
        }
        outcome.is_ok()
    })
}

/// With checksums, and as other programs write them.
fn safetensors(folder: &Path) {
    let path = folder.join("net.safetensors");
    save(&path, &tensors(""), Some("a text")).unwrap();
    let ours = std::fs::read(&path).unwrap();
    let foreign = safetensors::serialize(tensors("").iter(), None).unwrap();
    let mut read = [0; 2];
    for number in 0..VARIANTS {
        let which = (number % 2) as usize;
        let bytes = damage([&ours, &foreign][which], &mut stream(31, "safetensors", &[number]));
        read[which] += usize::from(reads(&path, &bytes));
    }
    println!("of {VARIANTS} damaged safetensors files {} with checksums and {} without are read", read[0], read[1]);
    assert!(read[0] < read[1], "{read:?}");
}

fn index(folder: &Path) {
    let mut map = serde_json::Map::new();
    for part in ["a.", "b."] {
        let file = format!("{part}safetensors");
        save(&folder.join(&file), &tensors(part), None).unwrap();
        map.extend(tensors(part).into_keys().map(|name| (name, file.clone().into())));
    }
    let text = serde_json::json!({ "metadata": { "total_size": 1 }, "weight_map": map }).to_string().into_bytes();
    let path = folder.join("model.safetensors.index.json");
    assert!(reads(&path, &text));
    let read = (0..VARIANTS).filter(|number| reads(&path, &damage(&text, &mut stream(32, "index", &[*number])))).count();
    println!("{read} of {VARIANTS} damaged indices are read");
    assert!(read < VARIANTS as usize / 2);
}

/// The tokenizer's library may panic: that does not come through.
fn tokenizer() {
    let file = serde_json::to_vec(&word_pieces::json()).unwrap();
    // The messages of panics that are caught would fill the output.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let reads = |number: &u64| {
            let bytes = damage(&file, &mut stream(33, "tokenizer", &[*number]));
            within(&bytes.clone(), 64, || {
                let tokenizer = Tokenizer::from_bytes(bytes, 8, Path::new("tokenizer.json"));
                tokenizer.is_ok_and(|tokenizer| tokenizer.encode("A robot lost its cameras.").is_ok())
            })
        };
        (0..VARIANTS).filter(reads).count()
    }));
    std::panic::set_hook(hook);
    println!("{} of {VARIANTS} damaged tokenizers are read", outcome.expect("no panic comes through"));
}

fn configuration() {
    let text = serde_json::json!({
        "model_type": "bert", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 12, "max_position_embeddings": 6, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    });
    let text = text.to_string().into_bytes();
    for number in 0..VARIANTS {
        let bytes = damage(&text, &mut stream(34, "config", &[number]));
        let config = within(&bytes, 16, || BertConfig::from_bytes(&bytes, Path::new("config.json")));
        if let Ok(config) = config {
            config.validate().unwrap();
        }
    }
}

/// What is made to take much memory or time.
fn hostile(folder: &Path) {
    let path = folder.join("net.safetensors");
    let file = |header: &[u8], numbers: usize| [&(header.len() as u64).to_le_bytes(), header, &vec![0; numbers]].concat();
    let many = |count: usize, one: &dyn Fn(usize) -> String| format!("{{{}}}", (0..count).map(one).collect::<Vec<_>>().join(","));
    let empty = |i: usize| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let nested = [b"{\"a\":".repeat(200_000), b"1".to_vec()].concat();
    for (what, bytes, good) in [
        ("a hundred thousand tensors without numbers", file(many(100_000, &empty).as_bytes(), 0), true),
        ("a shape beyond any machine", file(br#"{"w":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}"#, 4), false),
        (
            "offsets that overlap",
            file(br#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#, 6),
            false,
        ),
        ("offsets that go back", file(br#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[8,4]}}"#, 8), false),
        (
            "offsets beyond the file",
            file(br#"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#, 8),
            false,
        ),
        ("a header as long as no file", [&u64::MAX.to_le_bytes()[..], b"{}"].concat(), false),
        ("a header that is deep", file(&nested, 0), false),
        ("a text that is deep", nested, false),
        (
            "an index of many files",
            format!(r#"{{"weight_map":{}}}"#, many(100_000, &|i| format!(r#""{i}":"{i}.safetensors""#))).into_bytes(),
            false,
        ),
        ("an index of itself", br#"{"weight_map":{"w":"net.safetensors"}}"#.to_vec(), false),
    ] {
        assert_eq!(reads(&path, &bytes), good, "{what}");
    }
}

/// One test, so that no other allocates beside it.
#[test]
fn damaged_and_hostile_files_are_read_or_refused_within_the_promised_memory() {
    let folder = tempfile::tempdir().unwrap();
    safetensors(folder.path());
    index(folder.path());
    tokenizer();
    configuration();
    hostile(folder.path());
}
