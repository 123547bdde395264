//! A model as it is shipped: saved, loaded by name, asked with what is alive.

use candle_core::Device;
use mm_baselines::FusionConfig;
use mm_bench::{Registry, from_pretrained};
use mm_core::data::kinds::Series;
use mm_core::data::{Array, FileSource, Manifest, ShortRecording, Source, Split, TableDataset, Windows};
use mm_core::encoder::{EncoderConfig, TemporalConfig, TransformerConfig};
use mm_core::fusion::NetworkConfig;
use mm_core::pipeline::{ModelPlace, Readings, Reason};
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Error, ModalityError, Pipeline, Presence, Subset};
use mm_testing::{clear_to_weak, clear_to_weak_schema};
use mmanet::MmanetConfig;
use std::path::Path;
use udml::UdmlConfig;

fn trainer() -> Trainer {
    Trainer::new(TrainConfig { epochs: 8, batch_size: 16, seed: 3, ..TrainConfig::default() })
}

/// Every ninth sample lacks the last sensor.
fn data() -> (TableDataset, Split) {
    let whole = clear_to_weak(180, 1);
    let presence = (0..180).map(|i| if i % 9 == 8 { Subset::from_bits(0b011).unwrap() } else { Subset::full(3) });
    let columns = (0..3).map(|m| whole.column(m).to_vec()).collect();
    let data = TableDataset::new(clear_to_weak_schema(), columns, Presence::new(presence.collect()), whole.labels().to_vec()).unwrap();
    let part = |from: usize| (0..180).filter(|row| row % 6 == from).collect::<Vec<_>>();
    let split = Split { train: (0..180).filter(|row| row % 6 > 1).collect(), validation: part(0), test: part(1) };
    (data, split)
}

/// The readings of a row by name.
fn readings(data: &dyn Source, row: usize) -> Readings {
    let sample = data.read(row).unwrap();
    let named = data.schema().modalities.names().iter().zip(sample.readings);
    named.fold(Readings::new(), |readings, (name, array)| match array {
        Some(array) => readings.array(name, array),
        None => readings.absent(name),
    })
}

fn teacher(data: &TableDataset, split: &Split) -> Pipeline {
    trainer().fit(FusionConfig::full_only(), data, split).unwrap()
}

fn mmanet(data: &TableDataset, split: &Split) -> Pipeline {
    trainer().fit_taught(MmanetConfig { begin_epoch: 3, ..MmanetConfig::default() }, teacher(data, split), data, split).unwrap()
}

fn options(method: &str) -> toml::Table {
    let options = match method {
        "mod-distill" => "available = ['strong']",
        "mmanet" => "begin_epoch = 3",
        _ => "",
    };
    options.parse().unwrap()
}

#[test]
fn every_method_is_saved_and_loaded_and_answers_the_same() {
    let (data, split) = data();
    for method in Registry::default().methods() {
        let name = method.name();
        let recipe = method.recipe(&options(name)).unwrap();
        let needs_teacher = recipe.teacher_sees(&data.schema().modalities).unwrap().is_some();
        let taught = needs_teacher.then(|| teacher(&data, &split));
        let mut model = trainer().fit_any(&*recipe, taught, &data, &split).unwrap_or_else(|e| panic!("{name}: {e}"));
        let full = model.evaluate(&data, &split.test).unwrap().score("strong+middle+weak").unwrap();
        assert!(full > 0.8, "{name}: {full}");
        let folder = tempfile::tempdir().unwrap();
        model.save_pretrained(folder.path()).unwrap();
        // Saving again replaces what we wrote.
        model.save_pretrained(folder.path()).unwrap();
        let loaded = from_pretrained(folder.path()).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert_eq!(loaded.config(), model.config());
        let samples: Vec<Readings> = split.test.iter().map(|&row| readings(&data, row)).collect();
        let (before, after) = (model.predict_all(&samples).unwrap(), loaded.predict_all(&samples).unwrap());
        assert_eq!(before, after, "{name}");
        let right = split.test.iter().zip(&after).filter(|(row, a)| a.class == ["a", "b", "c"][data.labels()[**row] as usize]).count();
        assert!(right as f64 > 0.8 * split.test.len() as f64, "{name}: {right}");
        assert!(after.iter().all(|a| (a.probabilities.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9));
        assert_eq!(after[0].trust.is_some(), name == "udml", "{name}");
        let card = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
        assert!(card.contains("| strong+middle+weak |") && card.contains("95 % interval"), "{card}");
    }
}

/// The published weights are in the saved model: the file that they were read from is needed no more.
#[test]
fn a_model_with_a_pretrained_encoder_needs_only_its_folder() {
    use mm_core::encoder::{EncoderConfig, MlpEncoder};
    use mm_core::fusion::NetworkConfig;
    let (data, split) = data();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("published.safetensors");
    let published = mm_core::nn::Parameters::new(9, &candle_core::Device::Cpu);
    MlpEncoder::new(data.schema().inputs[0].elements(), &[8], published.builder()).unwrap();
    published.save(&path, |_| true).unwrap();
    let mut strong = EncoderConfig::mlp([8]).pretrained(path.to_str().unwrap()).frozen();
    let cache = mm_core::encoder::FeatureCache::open(&folder.path().join("features"), 1 << 20).unwrap();
    strong.cache_features(&std::sync::Arc::new(cache));
    let network = NetworkConfig { encoders: [("strong".to_string(), strong)].into(), ..NetworkConfig::default() };
    let recipe = FusionConfig { network, ..FusionConfig::modality_dropout() };
    let model = trainer().fit(recipe, &data, &split).unwrap();
    model.save_pretrained(folder.path().join("model")).unwrap();
    std::fs::remove_file(&path).unwrap();
    let loaded = from_pretrained(folder.path().join("model")).unwrap();
    let samples: Vec<Readings> = split.test.iter().map(|&row| readings(&data, row)).collect();
    let classes = |pipeline: &Pipeline| pipeline.predict_all(&samples).unwrap().into_iter().map(|a| a.class).collect::<Vec<_>>();
    assert_eq!(classes(&loaded), classes(&model));
    let weight = |pipeline: &Pipeline| mm_testing::bits(&pipeline.model().parameters().get("encoders.strong.0.linear.weight").unwrap());
    assert_eq!(weight(&loaded), mm_testing::bits(&published.get("0.linear.weight").unwrap()));
}

/// `examples/ask.rs`, a process of its own in a folder that holds the saved model alone.
#[test]
fn another_program_asks_a_saved_model() {
    let tests = std::env::current_exe().unwrap();
    let ask = tests.ancestors().nth(2).unwrap().join("examples").join(format!("ask{}", std::env::consts::EXE_SUFFIX));
    if !ask.exists() {
        println!("skipped: the example `ask` is not built; `cargo test` without `--tests` builds it");
        return;
    }
    let (data, split) = data();
    let folder = tempfile::tempdir().unwrap();
    mmanet(&data, &split).save_pretrained(folder.path().join("model")).unwrap();
    let row = split.test[0];
    let texts: Vec<String> = data.read(row).unwrap().readings[0].as_ref().unwrap().values.to_f64().iter().map(f64::to_string).collect();
    let asked = |sensor: &str| {
        let reading = format!("{sensor}={}", texts.join(","));
        let output = std::process::Command::new(&ask).current_dir(folder.path()).args(["model", &reading]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let (answered, said) = asked("strong");
    assert!(answered, "{said}");
    let class = ["a", "b", "c"][data.labels()[row] as usize];
    assert!(said.contains(&format!("class: {class}")) && said.contains("used: strong\n"), "{said}");
    assert!(said.contains("ignored: middle (absent)") && said.contains("ignored: weak (absent)"), "{said}");
    let (answered, said) = asked("strung");
    assert!(!answered && said.contains("did you mean \"strong\"?"), "{said}");
}

#[test]
fn sensors_that_take_no_part_are_named_with_the_reason() {
    let (data, split) = data();
    let model = mmanet(&data, &split);
    let array = |m: usize| data.read(split.test[0]).unwrap().readings[m].clone().unwrap();
    let broken = Array::exact([5], vec![0.1, f64::NAN, 0.0, 0.0, 1.0]);
    let answer = model.predict(&Readings::new().array("strong", array(0)).array("middle", broken).vector("weak", [0.25; 4])).unwrap();
    let ignored: Vec<(&str, Reason)> = answer.ignored.iter().map(|i| (i.modality.as_str(), i.reason)).collect();
    assert_eq!(ignored, [("middle", Reason::NonFinite), ("weak", Reason::Dead)]);
    assert_eq!(answer.used, ["strong"]);
    // The same as if they had not been named.
    let alone = model.predict(&Readings::new().array("strong", array(0))).unwrap();
    assert_eq!((&alone.class, &alone.probabilities), (&answer.class, &answer.probabilities));
    assert_eq!(alone.ignored.iter().map(|i| i.reason).collect::<Vec<_>>(), [Reason::Absent; 2]);
    // A batch of samples with different sensors gives what each gives alone, up to rounding.
    let together = model.predict_all(&[readings(&data, 8), Readings::new().array("strong", array(0))]).unwrap();
    assert_eq!(together[1].class, alone.class);
    assert!(together[1].probabilities.iter().zip(&alone.probabilities).all(|((_, a), (_, b))| (a - b).abs() < 1e-5));

    let said = |readings: Readings| model.predict(&readings).unwrap_err().to_string();
    assert!(said(Readings::new()).contains("no sensor is left"));
    assert!(said(Readings::new().array("stong", array(0))).contains("no modality is called \"stong\" (did you mean \"strong\"?)"));
    assert!(said(Readings::new().vector("strong", [1.0, 2.0])).contains("expected shape [6]"));
    assert!(said(Readings::new().file("strong", "a.csv")).contains("does not say what its files hold"));
}

#[test]
fn a_sample_without_sensors_leaves_the_others_their_answers() {
    let (data, split) = data();
    let mut model = trainer().fit(UdmlConfig::default(), &data, &split).unwrap();
    let whole = readings(&data, split.test[0]);
    let file = Readings::new().file("strong", "nowhere.csv");
    let answers = model.predict_each(&[whole.clone(), Readings::new(), whole.clone(), file]).unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false]);
    assert!(matches!(&answers[1], Err(Error::Modality(ModalityError::NoSensor { ignored })) if ignored.len() == 3));
    let alone = model.predict(&whole).unwrap();
    assert_eq!(answers[0].as_ref().unwrap().class, alone.class);
    // Class and trust come from one pass, and are those of two.
    let sensors: Vec<&str> = alone.trust.as_ref().unwrap().iter().map(|trust| trust.modality.as_str()).collect();
    assert_eq!(sensors, alone.used);
    assert!(model.predict_each(&[]).unwrap().is_empty());

    // How long it takes, by combination, is kept with the model.
    model.evaluate(&data, &split.test).unwrap();
    let latency = model.measure_latency(&data, &split.test, "a machine").unwrap().clone();
    assert_eq!(latency.combinations.len(), 7);
    assert!(!latency.from_files && latency.combinations.iter().all(|c| 0.0 < c.median_ms && c.median_ms <= c.p90_ms));
    let folder = tempfile::tempdir().unwrap();
    model.save_pretrained(folder.path()).unwrap();
    assert_eq!(from_pretrained(folder.path()).unwrap().config().latency.as_ref(), Some(&latency));
    let card = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(card.contains("milliseconds for one sample | 9 of 10 within |") && card.contains("on a machine"), "{card}");
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    let (data, split) = data();
    let model = mmanet(&data, &split);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    model.save_pretrained(&path).unwrap();
    let config = std::fs::read_to_string(path.join("config.json")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        std::fs::write(path.join("config.json"), config.replace(from, to)).unwrap();
        format!("{:#}", from_pretrained(&path).err().expect("refused"))
    };
    let newer = with("\"format\": 1", "\"format\": 2");
    assert!(newer.contains("format 2") && newer.contains("reads format 1"), "{newer}");
    assert!(with("\"family\": \"mmanet\"", "\"family\": \"own\"").contains("model of `own`"));
    assert!(with("\"lambda_mad\"", "\"lambda_mud\"").contains("lambda_mud"));
    assert!(with("{", "").contains("config.json"));
    std::fs::write(path.join("config.json"), &config).unwrap();
    assert!(from_pretrained(&path).is_ok());
    assert!(Pipeline::from_pretrained_as::<MmanetConfig>(&path).is_ok());
    let other = Pipeline::from_pretrained_as::<FusionConfig>(&path).err().unwrap().to_string();
    assert!(other.contains("model of `mmanet`") && other.contains("loads fusion"), "{other}");
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
    assert!(from_pretrained(&path).is_err());
    assert!(from_pretrained(folder.path()).is_err());
    // A folder of somebody's files stays as it is.
    std::fs::write(folder.path().join("thesis.tex"), "mine").unwrap();
    assert!(model.save_pretrained(folder.path()).unwrap_err().to_string().contains("other files"));
    assert!(!folder.path().join("config.json").exists());
}

/// Files of two saves are no model, and what a killed save left is no other's file.
#[test]
fn what_a_killed_save_leaves_is_refused_and_replaced() {
    let (data, split) = data();
    let model = trainer().fit(FusionConfig::full_only(), &data, &split).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let file = |name: &str| path.join(name);
    model.save_pretrained(&path).unwrap();
    let (weights, _) = mm_core::weights::load(&file("model.safetensors"), &Device::Cpu).unwrap();
    let others = weights.into_iter().map(|(name, tensor)| (name, tensor.neg().unwrap())).collect();
    mm_core::weights::save(&file("model.safetensors"), &others, None).unwrap();
    let problem = format!("{:#}", from_pretrained(&path).err().expect("refused"));
    assert!(problem.contains("model.safetensors: is not the file that config.json was written with"), "{problem}");
    // Older versions wrote no checksum.
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(file("config.json")).unwrap()).unwrap();
    assert!(config.as_object_mut().unwrap().remove("weights_sha256").is_some());
    std::fs::write(file("config.json"), config.to_string()).unwrap();
    assert!(from_pretrained(&path).is_ok());
    // Killed while it replaced a model, beside a file of the user.
    std::fs::create_dir(file(".saving")).unwrap();
    [".saving/config.json", ".saving/.tmpAb12Cd", "notes.txt"].iter().for_each(|name| std::fs::write(file(name), "half").unwrap());
    model.save_pretrained(&path).unwrap();
    assert_eq!(from_pretrained(&path).unwrap().config(), model.config());
    assert!(!file(".saving").exists() && file("notes.txt").exists());
    // Killed in a new folder, before the configuration was in its place.
    ["notes.txt", "config.json"].iter().for_each(|name| std::fs::remove_file(file(name)).unwrap());
    assert_eq!(ModelPlace::of(&path).unwrap(), ModelPlace::Other, "without the mark they may be anybody's");
    std::fs::create_dir(file(".saving")).unwrap();
    assert_eq!(ModelPlace::of(&path).unwrap(), ModelPlace::Free);
    model.save_pretrained(&path).unwrap();
    assert!(from_pretrained(&path).is_ok() && !file(".saving").exists());
}

#[test]
fn a_teacher_of_other_samples_is_refused() {
    let (data, split) = data();
    let other = Split { train: split.train[1..].to_vec(), ..split.clone() };
    let error = trainer().fit_taught(MmanetConfig::default(), teacher(&data, &other), &data, &split).err().unwrap().to_string();
    assert!(error.contains("same training part"), "{error}");
    let alone = trainer().fit(MmanetConfig::default(), &data, &split).err().unwrap().to_string();
    assert!(alone.contains("teacher"), "{alone}");
}

/// Folders of two runs below one folder do not meet, and a finished run is taken up as it is.
#[test]
fn runs_with_checkpoints_are_taken_up() {
    let (data, split) = data();
    let folder = tempfile::tempdir().unwrap();
    let train = || {
        let trainer = trainer().checkpoints(folder.path().to_path_buf());
        let teacher = trainer.fit(FusionConfig::full_only(), &data, &split).unwrap();
        trainer.fit_taught(MmanetConfig { begin_epoch: 3, ..MmanetConfig::default() }, teacher, &data, &split).unwrap()
    };
    let bytes = |model: &Pipeline, path: &Path| {
        model.save_pretrained(path).unwrap();
        std::fs::read(path.join("model.safetensors")).unwrap()
    };
    let out = tempfile::tempdir().unwrap();
    let first = bytes(&train(), &out.path().join("a"));
    assert_eq!(first, bytes(&train(), &out.path().join("b")));
    assert_eq!(first, bytes(&mmanet(&data, &split), &out.path().join("c")));
}

/// Recordings of two movements, slow and fast, each cut into windows; the last window of a recording is short.
fn movements(folder: &Path) -> FileSource {
    let mut table = String::from("id,motion,turn,label\n");
    for i in 0..24usize {
        let rate = if i % 2 == 0 { 0.25 } else { 0.9 };
        for (name, phase) in [("motion", 0.0), ("turn", 1.0)] {
            let line = |t: usize| format!("{},{}\n", (rate * t as f64 + phase + i as f64).sin(), (rate * t as f64 - phase).cos());
            let lines: String = (0..30 + i % 5 * 8).map(line).collect();
            std::fs::write(folder.join(format!("{name}{i}.csv")), format!("x,y\n{lines}")).unwrap();
        }
        table += &format!("r{i},motion{i}.csv,turn{i}.csv,{}\n", if i % 2 == 0 { "slow" } else { "fast" });
    }
    std::fs::write(folder.join("samples.csv"), table).unwrap();
    let sensor = || Series::new(2, 40).unwrap();
    let windows = Windows::new(40).stride(10).short(ShortRecording::Pad);
    Manifest::new(folder.join("samples.csv")).modality("motion", sensor()).modality("turn", sensor()).windows(windows).open().unwrap()
}

#[test]
fn encoders_of_series_are_saved_and_loaded_and_answer_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let data = movements(folder.path());
    let of = |keep: &dyn Fn(usize) -> bool| -> Vec<usize> {
        let number = |row: &usize| data.meta(*row).group.unwrap()[1..].parse::<usize>().unwrap();
        (0..data.len()).filter(|row| keep(number(row))).collect()
    };
    let split = Split { train: of(&|i| i < 16), validation: Vec::new(), test: of(&|i| i >= 16) };
    let encoders = [
        EncoderConfig::temporal(TemporalConfig { widths: vec![8, 16], ..TemporalConfig::default() }),
        EncoderConfig::transformer(TransformerConfig { width: 16, heads: 2, ..TransformerConfig::default() }),
    ];
    for encoder in encoders {
        let network = NetworkConfig { encoder: Some(encoder), ..NetworkConfig::default() };
        let recipe = FusionConfig { network, ..FusionConfig::modality_dropout() };
        let mut model = trainer().fit(recipe, &data, &split).unwrap();
        model.evaluate(&data, &split.test).unwrap();
        let saved = folder.path().join("model");
        model.save_pretrained(&saved).unwrap();
        let loaded = from_pretrained(&saved).unwrap();
        assert_eq!(loaded.config(), model.config());
        let samples: Vec<Readings> = split.test.iter().map(|&row| readings(&data, row)).collect();
        assert_eq!(model.predict_all(&samples).unwrap(), loaded.predict_all(&samples).unwrap());
    }
}
