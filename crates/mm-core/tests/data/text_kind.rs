//! Texts as the readings of a modality: from a table or files, trained on, saved.

use candle_core::Device;
use mm_core::data::kinds::{Kind, Origin, SavedKind, Standardization, Text};
use mm_core::data::{Batch, FileCard, FileRow, FileSource, InputKind, Source, Target, TargetValue};
use mm_core::encoder::{BertConfig, EncoderConfig};
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::nn::{Mode, Parameters};
use mm_core::rng::stream;
use mm_core::train::{Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Modalities, Model, Result, Subset};
use rand::RngExt;
use std::sync::Arc;

fn tokens(length: usize) -> (tempfile::TempDir, Text) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, crate::word_pieces::json().to_string()).unwrap();
    let kind = Text::tokens(&path, length).unwrap();
    (folder, kind)
}

fn read(kind: &dyn Kind, text: &str) -> mm_core::data::Array {
    kind.features(kind.raw(&Origin::Text(text.into())).unwrap()).unwrap()
}

#[test]
fn a_text_is_read_from_a_table_or_a_file() {
    let (folder, kind) = tokens(8);
    assert_eq!((kind.input().kind, kind.input().shape), (InputKind::Tokens, vec![8]));
    assert_eq!(kind.standardization(), Standardization::None);
    let array = read(&kind, "A robot lost its cameras");
    assert_eq!((array.length, array.values.clone().into_f32()), (Some(8), vec![2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 3.0]));
    assert_eq!(read(&kind, "").length, Some(2));
    let path = folder.path().join("note.txt");
    std::fs::write(&path, "a robot\n").unwrap();
    assert_eq!(kind.read(&path).unwrap(), read(&kind, "a robot"));
    assert_eq!(Text::hashed(64).read(&path).unwrap(), read(&Text::hashed(64), "a robot"));
    std::fs::write(&path, b"a \xff robot").unwrap();
    assert!(kind.read(&path).unwrap_err().to_string().contains("UTF-8"));
    let part = Origin::File { path: path.clone(), part: Some(0..4) };
    assert!(kind.raw(&part).unwrap_err().to_string().contains("leave out start and length"));
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(kind.read(&path).unwrap_err().to_string().contains("split it"));
}

/// As the table of the samples does.
#[test]
fn a_tokenizer_of_a_card_is_named_from_the_folder_of_the_card() {
    let (folder, kind) = tokens(8);
    std::fs::write(folder.path().join("samples.csv"), "note,label\na robot,x\nits cameras,y\n").unwrap();
    let modality = "[[modality]]\nname = 'note'\nkind = 'text'\nfeatures = 'tokens'\nlength = 8\n";
    let card = |tokenizer: &str| {
        let text = format!("name = 't'\nmanifest = 'samples.csv'\n{modality}tokenizer = '{tokenizer}'\n");
        FileCard::from_str(&text, folder.path().join("card.toml")).unwrap().open()
    };
    assert_eq!(card("tokenizer.json").unwrap().schema().inputs, [kind.input()]);
    card(folder.path().join("tokenizer.json").to_str().unwrap()).unwrap();
    let problem = card("no-such-file.json").map(drop).unwrap_err().to_string();
    assert!(problem.contains(&*folder.path().join("no-such-file.json").to_string_lossy()), "{problem}");
}

/// A saved model needs no file of a tokenizer.
#[test]
fn settings_are_enough_to_read_the_same() {
    let (folder, kind) = tokens(8);
    let kinds = [kind.with_drop_words(0.25).unwrap(), Text::hashed(32), Text::hashed(16).with_drop_words(0.5).unwrap()];
    drop(folder);
    for kind in kinds {
        let saved = SavedKind::of(&kind);
        let text = serde_json::to_string(&saved).unwrap();
        let opened = serde_json::from_str::<SavedKind>(&text).unwrap().open().unwrap().expect("a kind that is known");
        assert_eq!(SavedKind::of(opened.as_ref()), saved);
        assert_eq!((opened.input(), opened.augments()), (kind.input(), kind.augments()));
        assert_eq!(read(opened.as_ref(), "A robot lost its depth camera."), read(&kind, "A robot lost its depth camera."));
    }
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let cases = [
        (r#"{"features": "hashed", "length": 8}"#, "features = \"tokens\""),
        (r#"{"features": "hashed", "tokenizer": "t.json"}"#, "features = \"tokens\""),
        (r#"{"features": "tokens", "length": 8, "dimension": 5}"#, "features = \"hashed\""),
        (r#"{"features": "tokens", "length": 8, "pieces": [1, 2]}"#, "features = \"hashed\""),
        (r#"{"features": "tokens", "tokenizer": "t.json"}"#, "length"),
        (r#"{"features": "tokens", "length": 8}"#, "tokenizer.json"),
        (r#"{"features": "tokens", "length": 8, "tokenizer": "no-such-file.json"}"#, "no-such-file.json"),
        (r#"{"dimension": 0}"#, "dimension"),
        (r#"{"drop_words": 1.0}"#, "drop_words"),
        (r#"{"words": 3}"#, "words"),
    ];
    for (settings, part) in cases {
        let saved = SavedKind { kind: "text".into(), settings: serde_json::from_str(settings).unwrap() };
        let problem = saved.open().err().unwrap_or_else(|| panic!("{settings}")).to_string();
        assert!(problem.contains(part), "{settings}: {problem}");
    }
    let default = SavedKind { kind: "text".into(), settings: serde_json::json!({}) }.open().unwrap().unwrap();
    assert_eq!(default.input().shape, [1024]);
}

#[test]
fn words_are_dropped_in_training_only() {
    let kind = Text::hashed(64).with_drop_words(0.5).unwrap();
    let raw = || kind.raw(&Origin::Text("a b c d e f g h i j k l m n o p".into())).unwrap();
    let drawn = |seed| kind.augment(raw(), &mut stream(seed, "test", &[]), &mut stream(seed, "own", &[])).unwrap();
    assert_eq!(drawn(1), drawn(1));
    assert!(drawn(1) != drawn(2) && drawn(1) != raw());
    assert!(kind.augments() && !Text::hashed(64).augments());
}

struct Plain(FusionModel);

impl Method for Plain {
    fn model(&self) -> &dyn Model {
        &self.0
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.0)
    }

    fn loss(&mut self, batch: &Batch, _: &Step) -> Result<Losses> {
        let output = self.0.network().forward(batch.inputs(), batch.presence(), Mode::Train)?;
        Ok(Losses::new("task", self.0.schema().target.task().loss(&output.prediction, batch.targets())?))
    }
}

/// Whether the robot lost or has its camera; texts differ in length, and every fifth sample has none of the second modality.
fn notes(kinds: Vec<Arc<dyn Kind>>) -> FileSource {
    let row = |i: usize| {
        let mut random = stream(0, "notes", &[i as u64]);
        let mut text = String::new();
        for _ in 0..random.random_range(0..4) {
            text += ["a ", "its ", "depth ", ". "][random.random_range(0..4)];
        }
        text += ["robot lost camera", "camera lost robot"][i % 2];
        let second = (i % 5 != 4).then(|| Origin::Text(["zwolf robots", "its cameras"][i % 2].into()));
        FileRow::new(format!("n{i}"), vec![Some(Origin::Text(text)), second], TargetValue::Class((i % 2) as u32)).unwrap()
    };
    FileSource::new(Modalities::new(["note", "reply"]).unwrap(), kinds, Target::of_classes(["fine", "lost"]), (0..240).map(row).collect())
        .unwrap()
}

/// The order of words tells the classes of the notes apart: only the encoder of tokens can learn it from them.
#[test]
fn a_model_learns_from_texts() {
    let (_folder, kind) = tokens(12);
    let data = notes(vec![Arc::new(kind), Arc::new(Text::hashed(64))]);
    let bert = BertConfig {
        vocab_size: 14,
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 32,
        max_position_embeddings: 12,
        ..BertConfig::default()
    };
    let mut network = NetworkConfig::default();
    network.encoders.insert("note".into(), EncoderConfig::new("bert", bert));
    network.encoders.insert("reply".into(), EncoderConfig::mlp([16]));
    let parameters = Parameters::new(0, &Device::Cpu);
    let mut method = Plain(FusionModel::new(&network, data.schema(), parameters).unwrap());
    let (train, test): (Vec<usize>, Vec<usize>) = (0..data.len()).partition(|row| row % 8 > 1);
    let trainer = Trainer::new(TrainConfig { epochs: 15, batch_size: 20, learning_rate: 0.01, ..TrainConfig::default() });
    trainer.run(&mut method, &data, &train, &[]).unwrap();
    let both = Subset::full(2);
    for subset in [Subset::single(0), Subset::single(1), both] {
        let evaluation = mm_core::eval::evaluate(method.model(), &data, &test, &[subset], 32, &Device::Cpu).unwrap();
        assert!(evaluation.mean_score() > 0.9, "{subset:?}: {}", evaluation.mean_score());
    }
}
