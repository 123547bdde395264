//! The method as a whole: who is read, what is learnt, what is shipped.

use candle_core::{Device, Tensor};
use mm_baselines::{Fusion, FusionConfig};
use mm_core::data::{Batch, Dataset, InputSpec, Schema, TableDataset, Target};
use mm_core::encoder::EncoderConfig;
use mm_core::eval::evaluate_combinations;
use mm_core::fusion::{Fused, NetworkConfig, TrunkConfig};
use mm_core::nn::{Parameters, is_running_statistic};
use mm_core::predict::{Predictions, Predictor};
use mm_core::teacher::Teacher;
use mm_core::train::{CheckpointConfig, HeldOut, Losses, Method, Progress, Step, TrainConfig, fit};
use mm_core::{Error, Modalities, Presence, Result, Subset, rng};
use mm_testing::spoilt;
use mod_distill::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const WIDTHS: [usize; 3] = [6, 5, 4];

fn schema() -> Schema {
    let inputs = WIDTHS.iter().map(|&w| InputSpec::vector(w)).collect();
    Schema::new(Modalities::new(["a", "b", "c"]).unwrap(), inputs, Target::Classes(vec!["x".into(), "y".into(), "z".into()])).unwrap()
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
    NetworkConfig {
        encoder: Some(EncoderConfig::Mlp { widths: vec![16] }),
        trunk: TrunkConfig::Mlp { widths: vec![12] },
        ..Default::default()
    }
}

fn config(available: &[&str]) -> ModDistillConfig {
    let trunk = TrunkConfig::Mlp { widths: vec![12] };
    ModDistillConfig { network: network(), trunk, ..ModDistillConfig::available(available.iter().copied()) }
}

fn train_config(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, batch_size: 20, ..TrainConfig::default() }
}

fn trained_teacher(data: &TableDataset) -> Fusion {
    let mut teacher = Fusion::new(FusionConfig { network: network(), ..FusionConfig::full_only() }, &schema(), 5, &Device::Cpu).unwrap();
    let rows: Vec<usize> = (0..data.len()).collect();
    fit(&mut teacher, data, &rows, &[], &train_config(3), None, &Progress::hidden()).unwrap();
    teacher
}

/// A teacher of fixed outputs that writes down which samples it saw, and with which modalities.
#[derive(Clone, Default)]
struct Watched {
    seen: Arc<Mutex<Vec<(u64, Subset)>>>,
}

impl Teacher for Watched {
    fn teach(&self, batch: &Batch) -> Result<Fused> {
        self.seen.lock().unwrap().extend(batch.rows.iter().copied().zip(batch.presence.subsets().iter().copied()));
        let of = |width: usize| -> Result<Tensor> {
            let values: Vec<f32> = batch.rows.iter().flat_map(|r| (0..width).map(move |d| ((r * 7 + d as u64 * 3) % 5) as f32)).collect();
            Ok(Tensor::from_vec(values, (batch.len(), width), &Device::Cpu)?)
        };
        Ok(Fused { feature: of(12)?, logits: of(3)? })
    }
}

fn step(epoch: usize) -> Step {
    Step { seed: 0, epoch, epochs: 4, step: 1, steps: 2 }
}

fn model(config: ModDistillConfig) -> ModDistill {
    ModDistill::builder(schema()).config(config).seed(1).build_with_teacher(Watched::default()).unwrap()
}

fn term(losses: &Losses, name: &str) -> Option<f32> {
    losses.terms().find(|(n, _)| *n == name).map(|(_, v)| v.to_scalar().unwrap())
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn snapshot(model: &ModDistill) -> BTreeMap<String, Vec<f32>> {
    model.parameters().snapshot().unwrap().into_iter().map(|(n, t)| (n, flat(&t))).collect()
}

#[test]
fn privileged_inputs_are_not_read_at_prediction() {
    let batch = data(12, false).batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let model = model(config(&["a"]));
    let with_all = flat(&model.predict(&batch).unwrap());
    assert!(with_all.iter().any(|x| *x != 0.0) && with_all.iter().all(|x| x.is_finite()));
    let alone = batch.with_presence(Presence::uniform(Subset::single(0), 12)).unwrap();
    assert_eq!(with_all, flat(&model.predict(&alone).unwrap()));
    assert_eq!(with_all, flat(&model.predict(&spoilt(&batch, f32::NAN, |_, m| m == 1)).unwrap()));
}

/// NaN where a privileged modality is absent reaches neither the loss nor a gradient.
#[test]
fn absent_privileged_values_do_not_train() {
    let clean = data(18, true).batch(&(0..18).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let dirty = spoilt(&clean, f32::NAN, |row, m| m == 2 && row % 9 < 3);
    let schema = schema();
    let gradients = |batch: &Batch| -> Vec<Vec<f32>> {
        let teacher = Fusion::new(FusionConfig { network: network(), ..FusionConfig::full_only() }, &schema, 5, &Device::Cpu).unwrap();
        let mut model = ModDistill::builder(schema.clone()).config(config(&["a"])).build_with_teacher(teacher.into_network()).unwrap();
        let total = model.loss(batch, &step(1)).unwrap().total().unwrap();
        let store = total.backward().unwrap();
        let trained = model.parameters().variables().into_iter().filter(|(n, _)| !is_running_statistic(n));
        trained.map(|(n, v)| flat(store.get(&v).unwrap_or_else(|| panic!("{n} has no gradient")))).collect()
    };
    let (clean, dirty) = (gradients(&clean), gradients(&dirty));
    assert!(clean == dirty && clean.iter().flatten().all(|g| g.is_finite()));
}

#[test]
fn only_samples_with_all_that_the_teacher_sees_are_aligned() {
    let data = data(18, true);
    let batch = data.batch(&(0..18).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    for (view, sees) in [(TeacherView::Full, 0b111), (TeacherView::Privileged, 0b110)] {
        let teacher = Watched::default();
        let config = ModDistillConfig { teacher: view, ..config(&["a"]) };
        let mut model = ModDistill::builder(schema()).config(config).build_with_teacher(teacher.clone()).unwrap();
        assert!(term(&model.loss(&batch, &step(1)).unwrap(), "ja").unwrap() > 0.0);
        let seen = teacher.seen.lock().unwrap().clone();
        let expected: Vec<(u64, Subset)> = (0..18).filter(|i| i % 9 >= 3).map(|i| (i, Subset::from_bits(sees).unwrap())).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_batch_without_privileged_modalities_is_legal() {
    let data = data(18, true);
    let batch = data.batch(&[0, 1, 2, 9, 10, 11], &Device::Cpu).unwrap();
    let mut model = model(config(&["a"]));
    let losses = model.loss(&batch, &step(1)).unwrap();
    assert_eq!(losses.terms().map(|(n, _)| n).collect::<Vec<_>>(), ["task"]);
    assert!(term(&losses, "task").unwrap() > 0.0 && losses.total().unwrap().backward().is_ok());
    let held_out = HeldOut { dataset: &data, rows: &[], batch_size: 8, device: &Device::Cpu };
    let notes = model.end_of_epoch(0, &held_out).unwrap();
    assert!(notes.len() == 1 && notes[0].contains("1 batches"), "{notes:?}");
    assert!(model.end_of_epoch(1, &held_out).unwrap().is_empty());
}

#[test]
fn terms_follow_the_settings() {
    let batch = data(18, false).batch(&(0..18).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let names = |config: ModDistillConfig, epoch: usize| -> Vec<&str> {
        model(config).loss(&batch, &step(epoch)).unwrap().terms().map(|(n, _)| n).collect()
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
    let batch = data(18, false).batch(&(0..18).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let base = || ModDistillConfig { warm_up: 0.0, lambda_ja: 0.7, lambda_rec: 0.3, lambda_r: 0.2, ..config(&["a"]) };
    let mut seen = Vec::new();
    for adaptation in [Adaptation::Factorised, Adaptation::Joint] {
        let losses = model(ModDistillConfig { adaptation, ..base() }).loss(&batch, &step(0)).unwrap();
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
    impl Predictor for Recorded {
        fn predict(&self, batch: &Batch) -> Result<Tensor> {
            self.0.predict(batch)
        }
        fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
            self.0.predict_combinations(batch, subsets)
        }
    }
    impl Method for Recorded {
        fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
            self.0.loss(batch, step)
        }
        fn end_of_epoch(&mut self, _: usize, _: &HeldOut) -> Result<Vec<String>> {
            self.1.push(snapshot(&self.0));
            Ok(Vec::new())
        }
        fn parameters(&self) -> &Parameters {
            self.0.parameters()
        }
    }
    let data = data(60, false);
    let rows: Vec<usize> = (0..60).collect();
    let start = model(ModDistillConfig { two_stage: true, ..config(&["a"]) });
    let mut recorded = Recorded(start, Vec::new());
    let before = snapshot(&recorded.0);
    fit(&mut recorded, &data, &rows, &[], &train_config(4), None, &Progress::hidden()).unwrap();
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
    let mut model = model(config(&["a"]));
    fit(&mut model, &data, &rows, &[], &train_config(2), None, &Progress::hidden()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    model.parameters().save(&file, |name| model.is_deployed(name)).unwrap();
    let deployed = ModDistill::builder(schema()).config(config(&["a"])).seed(9).build().unwrap();
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
    let batch = data.batch(&rows, &Device::Cpu).unwrap();
    assert_eq!(flat(&model.predict(&batch).unwrap()), flat(&deployed.predict(&batch).unwrap()));
}

#[test]
fn combinations_that_hold_the_available_modalities_share_one_prediction() {
    let batch = data(12, false).batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let model = model(config(&["a", "c"]));
    let subset = |bits| Subset::from_bits(bits).unwrap();
    let supported: Vec<Subset> = Subset::all_non_empty(3).filter(|s| model.supports(*s)).collect();
    assert_eq!(supported, [subset(0b101), subset(0b111)]);
    let predictions = model.predict_combinations(&batch, &supported).unwrap();
    assert_eq!((predictions.logits.dims(), predictions.encoder_passes), (&[2, 12, 3][..], 4));
    let alone = flat(&model.predict(&batch).unwrap());
    for i in 0..2 {
        let logits = flat(&predictions.logits.get(i).unwrap());
        assert!(logits.iter().zip(&alone).all(|(x, y)| (x - y).abs() < 1e-5));
    }
    let error = model.predict_combinations(&batch, &[subset(0b011)]).unwrap_err().to_string();
    assert!(error.contains("a+c") && error.contains("a+b"), "{error}");
}

#[test]
fn robust_mode_predicts_from_what_is_left() {
    let batch = data(12, false).batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let mut model = model(ModDistillConfig { robust: true, ..config(&[]) });
    let all: Vec<Subset> = Subset::all_non_empty(3).collect();
    assert!(all.iter().all(|s| model.supports(*s)));
    let predictions = model.predict_combinations(&batch, &all).unwrap();
    for (i, subset) in all.iter().enumerate() {
        let alone = flat(&model.predict(&batch.with_presence(Presence::uniform(*subset, 12)).unwrap()).unwrap());
        let together = flat(&predictions.logits.get(i).unwrap());
        assert!(alone.iter().zip(&together).all(|(x, y)| (x - y).abs() < 1e-5));
    }
    let [first, full] = [0, 6].map(|i| flat(&predictions.logits.get(i).unwrap()));
    assert!(first.iter().zip(&full).any(|(a, b)| (a - b).abs() > 1e-3), "{first:?} {full:?}");
    // The teacher sees all, whatever was drawn.
    assert!(term(&model.loss(&batch, &step(1)).unwrap(), "ja").unwrap() > 0.0);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let data = data(60, true);
    let rows: Vec<usize> = (0..60).collect();
    let run = |seed: u64| {
        let mut model = ModDistill::builder(schema()).config(ModDistillConfig { robust: true, ..config(&["a", "b"]) }).seed(seed);
        model = model.device(&Device::Cpu);
        let mut model = model.build_with_teacher(trained_teacher(&data).into_network()).unwrap();
        fit(&mut model, &data, &rows, &[], &TrainConfig { seed, ..train_config(3) }, None, &Progress::hidden()).unwrap();
        snapshot(&model)
    };
    let (first, again, other) = (run(1), run(1), run(2));
    assert!(first == again && first != other);
}

/// Stops with an error at the beginning of an epoch, as a killed process would.
struct Stops(ModDistill, usize);

impl Predictor for Stops {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        self.0.predict(batch)
    }
    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        self.0.predict_combinations(batch, subsets)
    }
}

impl Method for Stops {
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        match step.epoch == self.1 {
            true => Err(Error::Data("stopped".into())),
            false => self.0.loss(batch, step),
        }
    }
    fn parameters(&self) -> &Parameters {
        self.0.parameters()
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
    // (two stages, cache, samples that lack c, epoch at which the first run stops)
    for case in [(false, true, true, 3), (false, false, true, 3), (false, true, false, 3), (true, true, true, 1), (true, true, true, 3)] {
        let (two_stage, cache_teacher, holes, stop) = case;
        let data = data(60, holes);
        let fresh = || {
            let config = ModDistillConfig { two_stage, cache_teacher, ..config(&["a"]) };
            ModDistill::builder(schema()).config(config).build_with_teacher(trained_teacher(&data).into_network()).unwrap()
        };
        let mut uninterrupted = fresh();
        fit(&mut uninterrupted, &data, &rows, &[], &train_config(5), None, &Progress::hidden()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "f".into() };
        let mut stopped = Stops(fresh(), stop);
        assert!(fit(&mut stopped, &data, &rows, &[], &train_config(5), Some(&checkpoints), &Progress::hidden()).is_err());
        let mut resumed = fresh();
        let outcome = fit(&mut resumed, &data, &rows, &[], &train_config(5), Some(&checkpoints), &Progress::hidden()).unwrap();
        assert_eq!(outcome.history.len(), 5);
        assert!(snapshot(&resumed) == snapshot(&uninterrupted), "{case:?}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused =
        |config: ModDistillConfig, field: &str| match ModDistill::builder(schema()).config(config).build_with_teacher(Watched::default()) {
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
        let result = ModDistill::builder(schema()).config(config(names)).build();
        assert!(matches!(result, Err(Error::Modality(_))));
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let data = data(12, false);
    let batch = data.batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let wide = NetworkConfig { trunk: TrunkConfig::Mlp { widths: vec![20] }, ..network() };
    let error = model(ModDistillConfig { network: wide, ..config(&["a"]) }).loss(&batch, &step(1)).unwrap_err();
    assert!(matches!(&error, Error::Shape { expected, found, .. } if expected.contains("[12]") && found.contains("[20]")), "{error}");
    let lacking = batch.with_presence(Presence::uniform(Subset::single(1), 12)).unwrap();
    let error = model(config(&["a"])).predict(&lacking).unwrap_err().to_string();
    assert!(error.contains("sample 0") && error.contains("reads a"), "{error}");
    // Before training, the same samples are told by their number.
    let (names, half) = (schema().modalities, Presence::new([0b001, 0b010, 0b110, 0b011].map(|s| Subset::from_bits(s).unwrap()).to_vec()));
    let error = config(&["a"]).check_samples(&names, &half).unwrap_err();
    assert!(matches!(&error, Error::Config { field, problem } if field == "available" && problem.starts_with("2 of 4 ")), "{error}");
    let robust = ModDistillConfig { robust: true, ..config(&["a", "c"]) };
    assert!(robust.check_samples(&names, &half).unwrap_err().to_string().contains("1 of 4 training samples have none of a+c"));
    // Robust mode reads them all, but not one of them can be taught.
    let robust = ModDistillConfig { robust: true, ..config(&[]) };
    let error = robust.check_samples(&names, &half).unwrap_err().to_string();
    assert!(error.contains("sees a+b+c, which none of the 4 training samples has"), "{error}");
    assert!(ModDistillConfig { no_ja: true, ..robust.clone() }.check_samples(&names, &half).is_ok());
    assert!(robust.check_samples(&names, &Presence::new([half.subsets(), &[Subset::full(3)]].concat())).is_ok());
    let untaught = ModDistill::builder(schema()).config(config(&["a"])).build().unwrap().loss(&batch, &step(0));
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
    let mut model = ModDistill::builder(schema()).config(config(&["a"])).build_with_teacher(trained_teacher(&data).into_network()).unwrap();
    let outcome = fit(&mut model, &data, &train, &[], &train_config(15), None, &Progress::hidden()).unwrap();
    let evaluation = evaluate_combinations(&model, &data, &test, &[Subset::single(0)], 64, &Device::Cpu).unwrap();
    assert!(evaluation.mean_accuracy() > 0.75, "{}", evaluation.mean_accuracy());
    let ja = |epoch: usize| outcome.history[epoch].losses["ja"];
    assert!(ja(14) < 0.7 * ja(0), "the restored branch comes closer to the teacher: {} to {}", ja(0), ja(14));
}
