//! The method as a whole: who is read, what is learnt, what is shipped.

use candle_core::{Device, Tensor};
use mm_baselines::{Fusion, FusionConfig};
use mm_core::data::{Batch, InputSpec, Inputs, Schema, Source, TableDataset, Target};
use mm_core::encoder::EncoderConfig;
use mm_core::eval::evaluate;
use mm_core::fusion::{NetworkConfig, TrunkConfig};
use mm_core::model::Output;
use mm_core::nn::{Parameters, is_running_statistic};
use mm_core::recipe::{Recipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{CheckpointConfig, HeldOut, Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Error, Modalities, Model, Presence, Result, Subset, rng};
use mm_testing::{spoilt, with_presence};
use mod_distill::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const WIDTHS: [usize; 3] = [6, 5, 4];

fn schema() -> Schema {
    let inputs = WIDTHS.iter().map(|&w| InputSpec::vector(w)).collect();
    Schema::new(Modalities::new(["a", "b", "c"]).unwrap(), inputs, Target::of_classes(["x", "y", "z"])).unwrap()
}

/// Class means plus noise: a is noisy, b and c are clean; a third of the samples lacks c where `holes`.
fn data(samples: usize, holes: bool) -> TableDataset {
    let labels: Vec<u32> = (0..samples as u32).map(|i| i % 3).collect();
    let column = |m: usize, noise: f32| -> Vec<f32> {
        let z = rng::standard_normal(&mut rng::stream(3, "column", &[m as u64]), samples * WIDTHS[m]);
        z.iter().enumerate().map(|(i, z)| noise * z + if (i % WIDTHS[m]) as u32 == labels[i / WIDTHS[m]] { 2.0 } else { 0.0 }).collect()
    };
    let lacks = |i: usize| holes && i % 9 < 3;
    let subsets = (0..samples).map(|i| Subset::from_bits(if lacks(i) { 0b011 } else { 0b111 }).unwrap()).collect();
    TableDataset::new(schema(), vec![column(0, 1.0), column(1, 0.3), column(2, 0.3)], Presence::new(subsets), labels).unwrap()
}

fn network() -> NetworkConfig {
    NetworkConfig { encoder: Some(EncoderConfig::mlp([16])), trunk: TrunkConfig::Mlp { widths: vec![12] }, ..Default::default() }
}

fn config(available: &[&str]) -> ModDistillConfig {
    let trunk = TrunkConfig::Mlp { widths: vec![12] };
    ModDistillConfig { network: network(), trunk, ..ModDistillConfig::available(available.iter().copied()) }
}

fn train_config(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, batch_size: 20, ..TrainConfig::default() }
}

fn teacher() -> Fusion {
    Fusion::new(FusionConfig { network: network(), ..FusionConfig::full_only() }, &Setup::new(&schema()).seed(5)).unwrap()
}

fn trained_teacher(data: &TableDataset) -> impl Teacher + 'static {
    let mut teacher = teacher();
    let rows: Vec<usize> = (0..data.len()).collect();
    Trainer::new(train_config(3)).run(&mut teacher, data, &rows, &[]).unwrap();
    teacher.into_deployed()
}

/// A teacher of fixed outputs that writes down which samples it saw, and with which modalities.
#[derive(Clone, Default)]
struct Watched {
    seen: Arc<Mutex<Vec<(u64, Subset)>>>,
}

impl Teacher for Watched {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        self.seen.lock().unwrap().extend(inputs.ids().iter().copied().zip(inputs.presence().subsets().iter().copied()));
        let of = |width: usize| -> Result<Tensor> {
            let values: Vec<f32> = inputs.ids().iter().flat_map(|r| (0..width).map(move |d| ((r * 7 + d as u64 * 3) % 5) as f32)).collect();
            Ok(Tensor::from_vec(values, (inputs.len(), width), &Device::Cpu)?)
        };
        Ok(Output::with_feature(of(3)?, of(12)?))
    }
}

fn step(epoch: usize) -> Step {
    Step { seed: 0, epoch, epochs: 4, step: 1, steps: 2 }
}

fn method(config: ModDistillConfig) -> ModDistill {
    ModDistill::new(config, &Setup::new(&schema()).seed(1), Watched::default()).unwrap()
}

fn batch(samples: usize, holes: bool) -> Batch {
    data(samples, holes).batch(&(0..samples).collect::<Vec<_>>(), &Device::Cpu).unwrap()
}

fn predict(model: &dyn Model, batch: &Batch) -> Vec<f32> {
    flat(&model.predict(batch.inputs()).unwrap().prediction)
}

fn term(losses: &Losses, name: &str) -> Option<f32> {
    losses.terms().find(|(n, _)| *n == name).map(|(_, v)| v.to_scalar().unwrap())
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn snapshot(method: &ModDistill) -> BTreeMap<String, Vec<f32>> {
    method.parameters().snapshot().unwrap().into_iter().map(|(n, t)| (n, flat(&t))).collect()
}

#[test]
fn privileged_inputs_are_not_read_at_prediction() {
    let (batch, method) = (batch(12, false), method(config(&["a"])));
    let model = method.deployed();
    let with_all = predict(model, &batch);
    assert!(with_all.iter().any(|x| *x != 0.0) && with_all.iter().all(|x| x.is_finite()));
    let alone = with_presence(&batch, Presence::uniform(Subset::single(0), 12));
    assert_eq!(with_all, predict(model, &alone));
    assert_eq!(with_all, predict(model, &spoilt(&batch, f32::NAN, |_, m| m == 1)));
}

/// NaN where a privileged modality is absent reaches neither the loss nor a gradient.
#[test]
fn absent_privileged_values_do_not_train() {
    let clean = batch(18, true);
    let dirty = spoilt(&clean, f32::NAN, |row, m| m == 2 && row % 9 < 3);
    let gradients = |batch: &Batch| -> Vec<Vec<f32>> {
        let mut method = ModDistill::new(config(&["a"]), &Setup::new(&schema()), teacher().into_deployed()).unwrap();
        let total = method.loss(batch, &step(1)).unwrap().total().unwrap();
        let store = total.backward().unwrap();
        let trained = method.parameters().variables().into_iter().filter(|(n, _)| !is_running_statistic(n));
        trained.map(|(n, v)| flat(store.get(&v).unwrap_or_else(|| panic!("{n} has no gradient")))).collect()
    };
    let (clean, dirty) = (gradients(&clean), gradients(&dirty));
    assert!(clean == dirty && clean.iter().flatten().all(|g| g.is_finite()));
}

#[test]
fn only_samples_with_all_that_the_teacher_sees_are_aligned() {
    let batch = batch(18, true);
    for (view, sees) in [(TeacherView::Full, 0b111), (TeacherView::Privileged, 0b110)] {
        let teacher = Watched::default();
        let config = ModDistillConfig { teacher: view, ..config(&["a"]) };
        let mut method = ModDistill::new(config, &Setup::new(&schema()), teacher.clone()).unwrap();
        assert!(term(&method.loss(&batch, &step(1)).unwrap(), "ja").unwrap() > 0.0);
        let seen = teacher.seen.lock().unwrap().clone();
        let expected: Vec<(u64, Subset)> = (0..18).filter(|i| i % 9 >= 3).map(|i| (i, Subset::from_bits(sees).unwrap())).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_batch_without_privileged_modalities_is_legal() {
    let data = data(18, true);
    let batch = data.batch(&[0, 1, 2, 9, 10, 11], &Device::Cpu).unwrap();
    let mut method = method(config(&["a"]));
    let losses = method.loss(&batch, &step(1)).unwrap();
    assert_eq!(losses.terms().map(|(n, _)| n).collect::<Vec<_>>(), ["task"]);
    assert!(term(&losses, "task").unwrap() > 0.0 && losses.total().unwrap().backward().is_ok());
    let held_out = HeldOut { source: &data, rows: &[], batch_size: 8, device: &Device::Cpu };
    let notes = method.end_of_epoch(0, &held_out).unwrap();
    assert!(notes.len() == 1 && notes[0].contains("1 batches"), "{notes:?}");
    assert!(method.end_of_epoch(1, &held_out).unwrap().is_empty());
}

#[test]
fn terms_follow_the_settings() {
    let batch = batch(18, false);
    let names = |config: ModDistillConfig, epoch: usize| -> Vec<&str> {
        method(config).loss(&batch, &step(epoch)).unwrap().terms().map(|(n, _)| n).collect()
    };
    let base = || config(&["a", "b"]);
    assert_eq!(names(base(), 0), ["task", "rec", "ja"]);
    assert_eq!(names(ModDistillConfig { no_ctn: true, ..base() }, 0), ["task", "ja"]);
    assert_eq!(names(ModDistillConfig { no_ja: true, ..base() }, 0), ["task", "rec"]);
    assert_eq!(names(ModDistillConfig { lambda_r: 0.5, lambda_rec: 0.0, ..base() }, 0), ["task", "ja", "restored_task"]);
    let two_stage = || ModDistillConfig { two_stage: true, ..base() };
    assert_eq!(names(two_stage(), 0), ["ja"]);
    assert_eq!(names(two_stage(), 2), ["task", "rec"]);
}

/// Without warm-up and reconstruction the total is CE + lambda_ja · JA; with the joint form another JA.
#[test]
fn weights_enter_the_total() {
    let batch = batch(18, false);
    let base = || ModDistillConfig { warm_up: 0.0, lambda_ja: 0.7, lambda_rec: 0.3, lambda_r: 0.2, ..config(&["a"]) };
    let mut seen = Vec::new();
    for adaptation in [Adaptation::Factorised, Adaptation::Joint] {
        let losses = method(ModDistillConfig { adaptation, ..base() }).loss(&batch, &step(0)).unwrap();
        let value = |name| term(&losses, name).unwrap();
        let expected = value("task") + 0.7 * value("ja") + 0.3 * value("rec") + 0.2 * value("restored_task");
        assert!((losses.total().unwrap().to_scalar::<f32>().unwrap() - expected).abs() < 1e-5);
        seen.push(value("ja"));
    }
    assert!((seen[0] - seen[1]).abs() > 1e-3 && seen.iter().all(|x| *x > 1e-3), "{seen:?}");
}

/// Trains two-stage for one stage, or for both, and says which parameters moved in the second.
#[test]
fn the_second_stage_freezes_the_restored_branch() {
    struct Recorded(ModDistill, Vec<BTreeMap<String, Vec<f32>>>);
    impl Method for Recorded {
        fn model(&self) -> &dyn Model {
            self.0.model()
        }
        fn into_model(self: Box<Self>) -> Box<dyn Model> {
            Box::new(self.0).into_model()
        }
        fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
            self.0.loss(batch, step)
        }
        fn end_of_epoch(&mut self, _: usize, _: &HeldOut) -> Result<Vec<String>> {
            self.1.push(snapshot(&self.0));
            Ok(Vec::new())
        }
        fn training_parameters(&self) -> Option<&Parameters> {
            self.0.training_parameters()
        }
    }
    let data = data(60, false);
    let rows: Vec<usize> = (0..60).collect();
    let start = method(ModDistillConfig { two_stage: true, ..config(&["a"]) });
    let mut recorded = Recorded(start, Vec::new());
    let before = snapshot(&recorded.0);
    Trainer::new(train_config(4)).run(&mut recorded, &data, &rows, &[]).unwrap();
    for name in before.keys() {
        let restored = name.starts_with("restored");
        let moved_first = before[name] != recorded.1[1][name];
        let moved_second = recorded.1[1][name] != recorded.1[3][name];
        assert_eq!((moved_first, moved_second), (restored, !restored), "{name}");
    }
}

#[test]
fn deployed_file_holds_neither_teacher_nor_restored_head() {
    let data = data(30, false);
    let rows: Vec<usize> = (0..30).collect();
    let mut method = method(config(&["a"]));
    Trainer::new(train_config(2)).run(&mut method, &data, &rows, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    method.model().parameters().save(&file, |_| true).unwrap();
    let deployed = config(&["a"]).model(&Setup::new(&schema()).for_loading()).unwrap();
    deployed.parameters().load(&file).unwrap();
    let norm = |at: &str| ["bias", "running_mean", "running_var", "weight"].map(|n| format!("{at}.norm.{n}")).to_vec();
    let mut expected: Vec<String> = Vec::new();
    for branch in ["own", "restored"] {
        for layer in ["encoders.a.0", "trunk.0"] {
            expected.push(format!("{branch}.{layer}.linear.weight"));
            expected.extend(norm(&format!("{branch}.{layer}")));
        }
    }
    expected.extend(norm("trunk.0"));
    expected.push("trunk.0.linear.weight".into());
    for layer in ["fusion.translate_1", "fusion.translate_2", "fusion.fuse", "head"] {
        expected.extend([format!("{layer}.bias"), format!("{layer}.weight")]);
    }
    expected.sort();
    assert_eq!(deployed.parameters().names(), expected);
    let training = ["restored_head.bias", "restored_head.weight"].map(String::from).to_vec();
    assert_eq!(method.training_parameters().unwrap().names(), training);
    let mut all = [expected, training].concat();
    all.sort();
    assert_eq!(method.parameters().names(), all);
    let batch = data.batch(&rows, &Device::Cpu).unwrap();
    assert_eq!(predict(method.deployed(), &batch), predict(&deployed, &batch));
    assert_eq!(predict(&*Box::new(method).into_model(), &batch), predict(&deployed, &batch));
}

#[test]
fn combinations_that_hold_the_available_modalities_share_one_prediction() {
    let (batch, method) = (batch(12, false), method(config(&["a", "c"])));
    let (model, inputs) = (method.deployed(), batch.inputs());
    let subset = |bits| Subset::from_bits(bits).unwrap();
    let supported: Vec<Subset> = Subset::all_non_empty(3).filter(|s| model.supports(*s)).collect();
    assert_eq!(supported, [subset(0b101), subset(0b111)]);
    let predictions = model.predict_combinations(inputs, &supported).unwrap();
    assert_eq!((predictions.dims(), model.encode(inputs).unwrap().encoder_passes), (&[2, 12, 3][..], 4));
    let alone = predict(model, &batch);
    for i in 0..2 {
        let prediction = flat(&predictions.get(i).unwrap());
        assert!(prediction.iter().zip(&alone).all(|(x, y)| (x - y).abs() < 1e-5));
    }
    let error = model.predict_combinations(inputs, &[subset(0b011)]).unwrap_err().to_string();
    assert!(error.contains("a+c") && error.contains("a+b"), "{error}");
}

#[test]
fn robust_mode_predicts_from_what_is_left() {
    let (batch, mut method) = (batch(12, false), method(ModDistillConfig { robust: true, ..config(&[]) }));
    let model = method.deployed();
    let all: Vec<Subset> = Subset::all_non_empty(3).collect();
    assert!(all.iter().all(|s| model.supports(*s)));
    let predictions = model.predict_combinations(batch.inputs(), &all).unwrap();
    for (i, subset) in all.iter().enumerate() {
        let alone = predict(model, &with_presence(&batch, Presence::uniform(*subset, 12)));
        let together = flat(&predictions.get(i).unwrap());
        assert!(alone.iter().zip(&together).all(|(x, y)| (x - y).abs() < 1e-5));
    }
    let [first, full] = [0, 6].map(|i| flat(&predictions.get(i).unwrap()));
    assert!(first.iter().zip(&full).any(|(a, b)| (a - b).abs() > 1e-3), "{first:?} {full:?}");
    // The teacher sees all, whatever was drawn.
    assert!(term(&method.loss(&batch, &step(1)).unwrap(), "ja").unwrap() > 0.0);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let data = data(60, true);
    let rows: Vec<usize> = (0..60).collect();
    let run = |seed: u64| {
        let config = ModDistillConfig { robust: true, ..config(&["a", "b"]) };
        let (schema, teacher) = (schema(), trained_teacher(&data));
        let mut method = ModDistill::new(config, &Setup::new(&schema).seed(seed).device(&Device::Cpu), teacher).unwrap();
        Trainer::new(TrainConfig { seed, ..train_config(3) }).run(&mut method, &data, &rows, &[]).unwrap();
        snapshot(&method)
    };
    let (first, again, other) = (run(1), run(1), run(2));
    assert!(first == again && first != other);
}

/// Stops with an error at the beginning of a step, as a killed process would.
struct Stops(ModDistill, [usize; 2]);

impl Method for Stops {
    fn model(&self) -> &dyn Model {
        self.0.model()
    }
    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.0).into_model()
    }
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        match [step.epoch, step.step] == self.1 {
            true => Err(Error::config("epochs", "stopped")),
            false => self.0.loss(batch, step),
        }
    }
    fn training_parameters(&self) -> Option<&Parameters> {
        self.0.training_parameters()
    }
    fn end_of_epoch(&mut self, epoch: usize, held_out: &HeldOut) -> Result<Vec<String>> {
        self.0.end_of_epoch(epoch, held_out)
    }
    fn state(&self) -> serde_json::Value {
        self.0.state()
    }
    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.0.restore(state)
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let rows: Vec<usize> = (0..60).collect();
    // (two stages, cache, samples that lack c, epoch and step at which the first run stops)
    for case in [
        (false, true, true, [3, 0]),
        (false, false, true, [3, 0]),
        (false, true, false, [3, 0]),
        (true, true, true, [1, 0]),
        (true, true, true, [3, 0]),
        // Within epochs, of which the first counts thin batches for its remark.
        (false, true, true, [0, 6]),
        (true, false, true, [2, 1]),
    ] {
        let (two_stage, cache_teacher, holes, stop) = case;
        let data = data(60, holes);
        let fresh = || {
            let config = ModDistillConfig { two_stage, cache_teacher, ..config(&["a"]) };
            ModDistill::new(config, &Setup::new(&schema()), trained_teacher(&data)).unwrap()
        };
        let trainer = Trainer::new(TrainConfig { batch_size: 8, ..train_config(5) });
        let mut uninterrupted = fresh();
        let whole = trainer.run(&mut uninterrupted, &data, &rows, &[]).unwrap();
        assert_eq!(whole.notes.iter().any(|note| note.contains("batches had fewer than 8 samples")), holes, "{:?}", whole.notes);
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "f".into() };
        let trainer = trainer.checkpoints(checkpoints);
        assert!(trainer.run(&mut Stops(fresh(), stop), &data, &rows, &[]).is_err());
        let mut resumed = fresh();
        let outcome = trainer.run(&mut resumed, &data, &rows, &[]).unwrap();
        assert_eq!((outcome.history.len(), &outcome.history, &outcome.notes), (5, &whole.history, &whole.notes));
        assert!(snapshot(&resumed) == snapshot(&uninterrupted), "{case:?}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let schema = schema();
    let setup = Setup::new(&schema);
    let refused = |config: ModDistillConfig, field: &str| match ModDistill::new(config, &setup, Watched::default()) {
        Err(Error::Config { field: found, .. }) => assert_eq!(found, field),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{field} was accepted"),
    };
    let base = || config(&["a"]);
    refused(config(&[]), "available");
    refused(config(&["c", "a", "b"]), "available");
    refused(ModDistillConfig { robust: true, teacher: TeacherView::Privileged, ..config(&[]) }, "teacher");
    refused(ModDistillConfig { temperature: 0.0, ..base() }, "temperature");
    refused(ModDistillConfig { lambda_ja: f64::NAN, ..base() }, "lambda_ja");
    refused(ModDistillConfig { warm_up: 1.5, ..base() }, "warm_up");
    refused(ModDistillConfig { two_stage: true, no_ja: true, ..base() }, "two_stage");
    for names in [&["d"][..], &["a", "a"]] {
        assert!(matches!(config(names).model(&setup), Err(Error::Modality(_))));
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let batch = batch(12, false);
    let wide = NetworkConfig { trunk: TrunkConfig::Mlp { widths: vec![20] }, ..network() };
    let error = method(ModDistillConfig { network: wide, ..config(&["a"]) }).loss(&batch, &step(1)).unwrap_err();
    assert!(matches!(&error, Error::Shape { expected, found, .. } if expected.contains("[12]") && found.contains("[20]")), "{error}");
    let lacking = with_presence(&batch, Presence::uniform(Subset::single(1), 12));
    let error = method(config(&["a"])).deployed().predict(lacking.inputs()).unwrap_err().to_string();
    assert!(error.contains("sample 0 of the batch (counted from 0) has b") && error.contains("reads a"), "{error}");
    // Before training, the same samples are told by their number.
    let (names, half) = (schema().modalities, Presence::new([0b001, 0b010, 0b110, 0b011].map(|s| Subset::from_bits(s).unwrap()).to_vec()));
    let none = Presence::new(Vec::new());
    let error = config(&["a"]).check_samples(&names, &half, &none).unwrap_err();
    assert!(matches!(&error, Error::Config { field, problem } if field == "available" && problem.starts_with("2 of 4 ")), "{error}");
    let robust = ModDistillConfig { robust: true, ..config(&["a", "c"]) };
    assert!(robust.check_samples(&names, &half, &none).unwrap_err().to_string().contains("1 of 4 training samples have none of a+c"));
    // Robust mode reads them all, but not one of them can be taught.
    let robust = ModDistillConfig { robust: true, ..config(&[]) };
    let error = robust.check_samples(&names, &half, &none).unwrap_err().to_string();
    assert!(error.contains("sees a+b+c, which none of the 4 training samples has"), "{error}");
    assert!(ModDistillConfig { no_ja: true, ..robust.clone() }.check_samples(&names, &half, &none).is_ok());
    assert!(robust.check_samples(&names, &Presence::new([half.subsets(), &[Subset::full(3)]].concat()), &none).is_ok());
    let untaught = config(&["a"]).method(&Setup::new(&schema()), None);
    assert!(matches!(untaught, Err(Error::Config { field, .. }) if field == "teacher"));
}

#[test]
fn settings_survive_a_round_trip_and_unknown_ones_are_refused() {
    let config = ModDistillConfig { adaptation: Adaptation::Joint, teacher: TeacherView::Privileged, no_ctn: true, ..config(&["a"]) };
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains("\"joint\"") && text.contains("\"privileged\""));
    assert_eq!(serde_json::from_str::<ModDistillConfig>(&text).unwrap(), config);
    assert_eq!(serde_json::from_str::<ModDistillConfig>("{}").unwrap(), ModDistillConfig::default());
    assert!(serde_json::from_str::<ModDistillConfig>("{\"lambda_jan\": 1}").is_err());
}

/// Noise of one standard deviation at a distance of two between class means: the best possible accuracy from a is about 0.86.
#[test]
fn learns_the_task_from_the_available_sensor() {
    let data = data(600, true);
    let (train, test): (Vec<usize>, Vec<usize>) = (0..600).partition(|i| i % 4 != 0);
    let mut method = ModDistill::new(config(&["a"]), &Setup::new(&schema()), trained_teacher(&data)).unwrap();
    let outcome = Trainer::new(train_config(15)).run(&mut method, &data, &train, &[]).unwrap();
    let evaluation = evaluate(method.deployed(), &data, &test, &[Subset::single(0)], 64, &Device::Cpu).unwrap();
    assert!(evaluation.mean("accuracy") > 0.75, "{}", evaluation.mean("accuracy"));
    let ja = |epoch: usize| outcome.history[epoch].losses["ja"];
    assert!(ja(14) < 0.7 * ja(0), "the restored branch comes closer to the teacher: {} to {}", ja(0), ja(14));
}
