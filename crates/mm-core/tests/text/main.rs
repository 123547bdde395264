//! Texts: token ids, hashed counts, corruptions, damaged files.

#[path = "../damage/mod.rs"]
mod damage;
#[path = "../word_pieces/mod.rs"]
mod word_pieces;

use damage::damage;
use mm_core::corrupt::{Corruption, Family, Severity};
use mm_core::encoder::BertConfig;
use mm_core::rng::stream;
use mm_core::text::{HashedText, TEXT_FAMILIES, TextError, Tokenizer, corrupt, drop_words};
use mm_core::{Error, Result};
use mm_testing::{minilm, peak_memory};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

/// A byte-level BPE tokenizer with a regular expression that only `fancy-regex` reads, as GPT-2's.
fn byte_pairs() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"String": "  "}, "content": " "}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": r"\s+(?!\S)|\s?\p{L}+|\s?\p{N}+"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "Ġ": 5, "Ġab": 6}, "merges": [["a", "b"], ["ab", "c"], ["Ġ", "ab"]]},
    })
}

fn open(tokenizer: &Value, length: usize) -> Result<Tokenizer> {
    Tokenizer::from_bytes(serde_json::to_vec(tokenizer).unwrap(), length, Path::new("tokenizer.json"))
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<f32> {
    let tokens = tokenizer.encode(text).unwrap();
    assert_eq!(tokens.values.len(), tokenizer.length());
    assert!(tokens.values[tokens.length..].iter().all(|id| *id == 0.0), "{tokens:?}");
    tokens.values[..tokens.length].to_vec()
}

#[test]
fn texts_become_ids_of_one_length() {
    let tokenizer = open(&word_pieces::json(), 8).unwrap();
    assert_eq!(ids(&tokenizer, "A robot lost its cameras."), [2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 3.0]);
    assert_eq!(ids(&tokenizer, "  A\tROBOT  "), [2.0, 4.0, 5.0, 3.0]);
    assert_eq!(ids(&tokenizer, "Zwölfer 犬"), [2.0, 12.0, 13.0, 1.0, 3.0]);
    assert_eq!(ids(&tokenizer, ""), [2.0, 3.0]);
    // What is cut off is the end; the special tokens stay, whatever the file says of truncation.
    let short = open(&word_pieces::json(), 4).unwrap();
    assert_eq!(ids(&short, "a robot lost its depth camera"), [2.0, 4.0, 5.0, 3.0]);
    assert_eq!(ids(&short, &"robot ".repeat(1_000_000)), [2.0, 5.0, 5.0, 3.0]);
    assert_eq!(tokenizer.json(), serde_json::to_vec(&word_pieces::json()).unwrap());
}

#[test]
fn byte_pairs_and_expressions_that_look_ahead_are_read() {
    let tokenizer = open(&byte_pairs(), 5).unwrap();
    assert_eq!(ids(&tokenizer, "abc ab"), [4.0, 6.0]);
    assert_eq!(ids(&tokenizer, "ab  abab"), [3.0, 6.0, 3.0]);
    assert_eq!(tokenizer.encode("").unwrap().length, 0);
}

#[test]
fn what_cannot_be_used_is_named() {
    let problem = |tokenizer: &Value, length: usize| match open(tokenizer, length).unwrap_err() {
        Error::Text(problem) => problem,
        other => panic!("{other}"),
    };
    assert!(matches!(problem(&word_pieces::json(), 2), TextError::Length { length: 2, special: 2, .. }));
    assert!(matches!(problem(&json!({"model": 3}), 8), TextError::NotATokenizer { .. }));
    let mut random = byte_pairs();
    random["model"]["dropout"] = json!(0.1);
    assert!(matches!(problem(&random, 8), TextError::Dropout { rate: 0.1, .. }));
    let mut growing = byte_pairs();
    let step = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"});
    growing["normalizer"] = json!({"type": "Sequence", "normalizers": [step, step, step]});
    assert!(matches!(problem(&growing, 8), TextError::Growth { factor: 512.0, .. }));
    growing["normalizer"] = json!({"type": "Replace", "pattern": {"Regex": "x*"}, "content": "y".repeat(64)});
    assert!(matches!(problem(&growing, 8), TextError::Growth { factor: 65.0, .. }));
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n".to_vec();
    let text = Tokenizer::from_bytes(pointer, 8, Path::new("tokenizer.json")).unwrap_err().to_string();
    assert!(text.contains("git lfs pull"), "{text}");
    // Ids that f32 would round.
    let mut large = word_pieces::json();
    large["post_processor"]["special_tokens"]["[SEP]"]["ids"] = json!([16_777_216]);
    assert!(matches!(problem(&large, 8), TextError::Tokenize { .. }));
    for length in [0, 1 << 20] {
        assert!(matches!(open(&word_pieces::json(), length), Err(Error::Config { .. })));
    }
    let missing = Tokenizer::open(Path::new("no-such-folder/tokenizer.json"), 8);
    assert!(matches!(missing, Err(Error::Io { .. })));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(matches!(Tokenizer::open(&path, 8), Err(Error::Text(TextError::TokenizerSize { .. }))));
}

/// 10,000 damaged tokenizers, each read or refused and then asked: no panic comes through, and memory stays bounded.
#[test]
fn damaged_tokenizers_are_read_or_refused() {
    // The messages of panics that are caught would fill the output of this test.
    let (this, hook) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != this {
            hook(panic)
        }
    }));
    let files = [word_pieces::json(), byte_pairs()].map(|file| serde_json::to_vec(&file).unwrap());
    let texts = ["A robot lost its cameras.", "", "abc  ab\u{301} 犬 \u{1f916}\0 x", &"ab".repeat(400)];
    let (mut read, mut encoded) = (0, 0);
    let result = std::panic::catch_unwind(move || {
        for number in 0..10_000u64 {
            let bytes = damage(&files[number as usize % 2], &mut stream(22, "tokenizer", &[number]));
            let Ok(tokenizer) = Tokenizer::from_bytes(bytes, 8, Path::new("tokenizer.json")) else { continue };
            read += 1;
            for text in texts {
                if let Ok(tokens) = tokenizer.encode(text) {
                    assert!(tokens.values.len() == 8 && tokens.length <= 8, "{tokens:?}");
                    encoded += 1;
                }
            }
        }
        (read, encoded)
    });
    drop(std::panic::take_hook());
    let (read, encoded) = result.expect("no panic comes through");
    println!("{read} of 10000 damaged tokenizers are read, {encoded} texts encoded");
    assert!(read > 100 && encoded > read, "{read} {encoded}");
    assert!(peak_memory().is_none_or(|bytes| bytes < 1 << 30), "{:?}", peak_memory());
}

const CONFIG: &str = r#"{"_name_or_path": "x", "architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
 "hidden_dropout_prob": 0.1, "hidden_size": 384, "initializer_range": 0.02, "intermediate_size": 1536, "layer_norm_eps": 1e-12,
 "max_position_embeddings": 512, "model_type": "bert", "num_attention_heads": 12, "num_hidden_layers": 6, "pad_token_id": 0,
 "position_embedding_type": "absolute", "type_vocab_size": 2, "vocab_size": 30522}"#;

#[test]
fn configurations_of_checkpoints_are_read_or_refused_by_name() {
    let read = |text: &str| BertConfig::from_bytes(text.as_bytes(), Path::new("config.json"));
    assert_eq!(read(CONFIG).unwrap(), BertConfig::default());
    let refused = [
        (r#""model_type": "bert""#, r#""model_type": "roberta""#, "roberta"),
        (r#""model_type": "bert","#, "", "model_type"),
        (r#""hidden_act": "gelu""#, r#""hidden_act": "gelu_new""#, "gelu_new"),
        ("\"absolute\"", "\"relative_key\"", "relative_key"),
        (r#""pad_token_id": 0"#, r#""is_decoder": true"#, "is_decoder"),
        (r#""pad_token_id": 0"#, r#""add_cross_attention": true"#, "add_cross_attention"),
        (r#""pad_token_id": 0"#, r#""quantization_config": {"bits": 4}"#, "quantized"),
        (r#""num_attention_heads": 12"#, r#""num_attention_heads": 7"#, "do not divide"),
        (r#""hidden_size": 384"#, r#""hidden_size": -1"#, "invalid value: integer `-1`"),
        (r#""hidden_size": 384"#, r#""hidden_size": 49152"#, "numbers"),
        (r#""vocab_size": 30522"#, r#""vocab_size": 99999999999"#, "vocab_size"),
        (r#""vocab_size": 30522"#, r#""words": 30522"#, "vocab_size"),
    ];
    for (from, to, part) in refused {
        assert!(CONFIG.contains(from), "{from}");
        let problem = read(&CONFIG.replace(from, to)).unwrap_err().to_string();
        assert!(problem.contains(part) && problem.contains("config.json"), "{to}: {problem}");
    }
    let mut read_damaged = 0;
    for number in 0..10_000 {
        let bytes = damage(CONFIG.as_bytes(), &mut stream(23, "config", &[number]));
        if let Ok(config) = BertConfig::from_bytes(&bytes, Path::new("config.json")) {
            config.validate().unwrap();
            read_damaged += 1;
        }
    }
    assert!(read_damaged > 1000, "{read_damaged}");
}

#[test]
fn hashed_counts_are_the_same_everywhere() {
    let vector = |text: &str, dimension: usize, pieces| HashedText { dimension, pieces }.vector(text);
    // xxhash.xxh3_64_intdigest(b"<ab>") of Python is 15332203881297839832, place 0 of 8 and negative; "<abc>" 7414068685596328207.
    let half = 0.5f32.sqrt();
    assert_eq!(vector("AB, abc", 8, [0, 0]), [-half, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, half]);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let default = HashedText::default();
    for text in ["x", "A robot lost its depth camera.", "Zwölf Boxkämpfer jagen Viktor", "犬が走る"] {
        let v = default.vector(text);
        assert!((dot(&v, &v) - 1.0).abs() < 1e-5, "{text}");
    }
    // Alike when written alike.
    let [a, b, c] = ["the robots moved", "the robot moves", "bread is baked"].map(|text| default.vector(text));
    assert!(dot(&a, &b) > dot(&a, &c) + 0.2, "{} {}", dot(&a, &b), dot(&a, &c));
    assert!(default.vector("?! ,").iter().all(|x| *x == 0.0) && default.vector("").len() == 1024);
    for wrong in
        [HashedText { dimension: 0, ..default }, HashedText { pieces: [4, 3], ..default }, HashedText { pieces: [0, 2], ..default }]
    {
        assert!(wrong.validate().is_err(), "{wrong:?}");
    }
    default.validate().unwrap();
}

/// Whether the characters of `part` are among those of `whole`, in order.
fn is_part(part: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    part.chars().all(|c| rest.any(|other| other == c))
}

proptest! {
    /// Any text of Unicode: corruption is repeated exactly, and a higher severity takes what a lower one takes and more.
    #[test]
    fn corruptions_are_repeatable_and_nested(text in "\\PC{0,40}|[a-z ]{0,60}|\\s{0,4}", seed: u64) {
        for &family in TEXT_FAMILIES {
            let at = |severity| corrupt(&text, Corruption { family, severity }, &mut stream(seed, "test", &[])).unwrap();
            let all: Vec<String> = Severity::all().map(at).collect();
            prop_assert_eq!(&all, &Severity::all().map(at).collect::<Vec<_>>());
            for pair in all.windows(2) {
                if family != Family::CharacterNoise {
                    prop_assert!(is_part(&pair[1], &pair[0]), "{:?} of {:?}", &pair[1], &pair[0]);
                }
            }
            for corrupted in &all {
                prop_assert!(corrupted.chars().count() <= text.chars().count());
                if family == Family::CharacterNoise {
                    let spaces = |text: &str| text.chars().filter(|c| c.is_whitespace()).collect::<String>();
                    prop_assert_eq!(spaces(corrupted), spaces(&text));
                }
            }
        }
        prop_assert_eq!(drop_words(&text, 0.0, &mut stream(seed, "test", &[])), text.clone());
    }
}

#[test]
fn corruptions_have_the_strength_of_the_table() {
    let text = "robot ".repeat(4000);
    for &family in TEXT_FAMILIES {
        for (severity, strength) in Severity::all().zip(family.strengths()) {
            let corrupted = corrupt(&text, Corruption { family, severity }, &mut stream(1, "strength", &[])).unwrap();
            let lost = match family {
                Family::WordDrop => 1.0 - corrupted.split_whitespace().count() as f32 / 4000.0,
                Family::Truncation => 1.0 - corrupted.len() as f32 / text.len() as f32,
                // A third of the characters that are hit is left out.
                _ => (text.len() - corrupted.len()) as f32 / 20_000.0 * 3.0,
            };
            assert!((lost - strength).abs() < 0.03, "{family:?}: {lost}, {strength}");
        }
    }
    // The start of the text stays, whole characters.
    assert_eq!(corrupt("äöü", Corruption::new(Family::Truncation, 5).unwrap(), &mut stream(0, "t", &[])).unwrap(), "ä");
    let kept = drop_words("  Zwölf Boxkämpfer\tjagen\nViktor", 0.5, &mut stream(4, "t", &[]));
    assert!(kept.starts_with("  ") && kept.split_whitespace().all(|word| "Zwölf Boxkämpfer jagen Viktor".contains(word)), "{kept}");
}

#[test]
fn a_real_tokenizer_is_read() {
    let Some(folder) = minilm() else { return };
    let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"), 6).unwrap();
    assert_eq!(ids(&tokenizer, "A robot lost its depth camera."), [101.0, 1037.0, 8957.0, 2439.0, 2049.0, 102.0]);
}
