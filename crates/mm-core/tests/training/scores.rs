//! The scores of a task, with answers that are known.

use candle_core::Device;
use mm_core::data::{DatasetCard, InputSpec, Inputs, LoadedData, Schema, Source, TableDataset, Target, TaskKind};
use mm_core::eval::{CombinationEvaluation, Evaluation, evaluate};
use mm_core::fusion::zero_where_absent;
use mm_core::model::{Encoded, Output};
use mm_core::nn::Parameters;
use mm_core::task::FaceAntiSpoofing;
use mm_core::train::{Selection, TrainConfig, Trainer};
use mm_core::{Modalities, Model, Presence, Result, Subset};
use mm_testing::{Dropout, clear_to_weak};

/// A model that predicts what a sensor reads, of a combination what its first one does: readings are logits.
pub struct Reading {
    schema: Schema,
    parameters: Parameters,
}

impl Reading {
    pub fn new(schema: Schema) -> Self {
        Self { schema, parameters: Parameters::new(0, &Device::Cpu) }
    }
}

impl Model for Reading {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        let tensors = zero_where_absent(mm_testing::tensors(inputs))?;
        Ok(Encoded { tensors, presence: inputs.presence().clone(), encoder_passes: 1 })
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        let first = presence.subsets()[0].indices().next().unwrap();
        Ok(Output::new(encoded.tensors[first].clone().unwrap()))
    }

    fn freeze(&mut self) {}
}

/// Evaluates logits of samples with these labels: a sensor reads them, and a second one those of `second`, where it is there.
fn scores(target: Target, logits: &[f32], second: &[Option<f32>], labels: &[u32]) -> Evaluation {
    let (samples, classes) = (labels.len(), target.classes());
    let inputs = vec![InputSpec::vector(classes); 2];
    let schema = Schema::new(Modalities::new(["first", "second"]).unwrap(), inputs, target).unwrap();
    let has = |x: &Option<f32>| if x.is_some() { Subset::full(2) } else { Subset::single(0) };
    let presence = Presence::new(second.iter().map(has).collect());
    let second = second.iter().flat_map(|x| (0..classes).map(|k| if k == 1 { x.unwrap_or(f32::NAN) } else { 0.0 })).collect();
    let data = TableDataset::new(schema.clone(), vec![logits.to_vec(), second], presence, labels.to_vec()).unwrap();
    let model = Reading::new(schema);
    let rows: Vec<usize> = (0..samples).collect();
    // In several batches: scores add up.
    evaluate(&model, &data, &rows, &[Subset::single(0), Subset::single(1)], 2, &Device::Cpu).unwrap()
}

/// Of two classes, with these log-odds of the second.
fn two_classes(odds: &[f32], second: &[Option<f32>], labels: &[u32]) -> Evaluation {
    let logits: Vec<f32> = odds.iter().flat_map(|&x| [0.0, x]).collect();
    scores(Target::of_classes(["no", "yes"]), &logits, second, labels)
}

#[track_caller]
fn is(combination: &CombinationEvaluation, measure: &str, expected: f64) {
    let found = combination.scored.get(measure);
    assert!((found - expected).abs() < 1e-6, "{measure} is {found} instead of {expected}");
}

/// The numbers are scikit-learn's `roc_auc_score` and `average_precision_score`.
#[test]
fn areas_under_curves_of_two_classes() {
    let labels = [0, 0, 1, 1, 0];
    let tied = [0.5, 0.5, 0.5, 0.9, 0.1].map(Some);
    let evaluation = two_classes(&[0.1, 0.4, 0.35, 0.8, -3.0], &tied, &labels);
    let [first, second] = evaluation.combinations.as_slice() else { panic!("two combinations") };
    // Of six pairs of a positive and a negative one is the wrong way round.
    is(first, "auroc", 5.0 / 6.0);
    is(first, "auprc", 5.0 / 6.0);
    // Of six pairs two are ties.
    is(second, "auroc", 5.0 / 6.0);
    is(second, "auprc", 0.75);
    assert!((evaluation.mean("auroc") - 5.0 / 6.0).abs() < 1e-12);
    is(first, "accuracy", 0.6);
    assert_eq!(first.scored.confusion, [[1, 2], [0, 2]]);
    assert_eq!((evaluation.measure.name, evaluation.batches, evaluation.encoder_passes), ("accuracy", 3, 3));
    let perfect = two_classes(&[-1.0, -2.0, 3.0, 4.0, 2.0], &[None; 5], &labels);
    assert_eq!(perfect.combinations.len(), 1, "no sample has the second sensor");
    is(&perfect.combinations[0], "auroc", 1.0);
    is(&perfect.combinations[0], "auprc", 1.0);
}

#[test]
fn a_measure_that_the_samples_do_not_define_is_left_out() {
    // Those that have the second sensor are all of one class.
    let second = [Some(1.0), None, Some(-1.0)];
    let evaluation = two_classes(&[-1.0, 1.0, -2.0], &second, &[0, 1, 0]);
    let [first, second] = evaluation.combinations.as_slice() else { panic!("two combinations") };
    is(first, "auroc", 1.0);
    assert!(second.scored.get("auroc").is_nan() && !second.scored.values.contains_key("auprc"));
    assert_eq!((second.scored.samples, second.scored.confusion.as_slice()), (2, [vec![1, 1], vec![0, 0]].as_slice()));
    assert!(second.outcomes[1].is_nan());
    assert_eq!((second.outcomes[0], second.outcomes[2]), (0.0, 1.0));
}

/// Each class against the others, and their mean; a class without samples has no area.
#[test]
fn areas_under_curves_of_more_classes() {
    let of = |logits: &[[f32; 4]], labels: &[u32]| {
        let evaluation = scores(Target::of_classes(["a", "b", "c", "d"]), logits.as_flattened(), &vec![None; labels.len()], labels);
        let scored = evaluation.combinations[0].scored.clone();
        (scored.get("auroc"), scored.get("auprc"))
    };
    let right = [[3.0, 0.0, 0.0, -9.0], [0.0, 3.0, 0.0, -9.0], [0.0, 0.0, 3.0, -9.0], [2.0, 0.0, 0.0, -9.0]];
    assert_eq!(of(&right, &[0, 1, 2, 0]), (1.0, 1.0));
    // Class `a` and `b` are told the wrong way round, `c` is above all others.
    assert!((of(&right[..3], &[1, 0, 2]).0 - (0.25 + 0.25 + 1.0) / 3.0).abs() < 1e-12);
}

#[test]
fn the_rates_of_face_anti_spoofing() {
    let target = || Target::FaceAntiSpoofing(FaceAntiSpoofing::new(["attack", "live"].map(String::from)));
    // Predictions 0, 1, 1, 0, 1 for labels 0, 1, 0, 0, 1; the second sensor knows live faces only.
    let logits = [1.0, 0.0, 0.0, 1.0, 0.0, 0.5, 1.0, 0.0, 0.0, 2.0];
    let labels = [0, 1, 0, 0, 1];
    let second = [None, Some(1.0), None, None, Some(-1.0)];
    let evaluation = scores(target(), &logits, &second, &labels);
    let [first, second] = evaluation.combinations.as_slice() else { panic!("two combinations") };
    is(first, "apcer", 1.0 / 3.0);
    is(first, "bpcer", 0.0);
    is(first, "acer", 1.0 / 6.0);
    is(first, "accuracy", 0.8);
    is(first, "auroc", 1.0);
    // Without attacks none is called live.
    is(second, "apcer", 0.0);
    is(second, "bpcer", 0.5);
    is(second, "acer", 0.25);
    let schema = target();
    let measures = schema.task().measures();
    assert_eq!(measures.iter().map(|m| m.name).collect::<Vec<_>>(), ["accuracy", "acer", "apcer", "bpcer", "auroc", "ece"]);
    assert!(measures.iter().all(|m| m.higher_is_better == ["accuracy", "auroc"].contains(&m.name)));
    let text = serde_json::to_string(&schema).unwrap();
    assert_eq!((text.as_str(), serde_json::from_str::<Target>(&text).unwrap()), (r#"{"face_anti_spoofing":["attack","live"]}"#, schema));
    let [one, three] = [r#"["live"]"#, r#"["paper", "mask", "live"]"#].map(|names| {
        let target = serde_json::from_str(&format!(r#"{{"face_anti_spoofing":{names}}}"#)).unwrap();
        Schema::new(Modalities::new(["camera"]).unwrap(), vec![InputSpec::vector(1)], target).unwrap_err().to_string()
    });
    assert!(one.contains("two classes") && three.contains("found 3"), "{one} {three}");
}

fn card(lines: &str, labels: [&str; 3]) -> Result<LoadedData> {
    let card = format!("name = \"faces\"\nlabel = \"kind\"\n{lines}\n[[view]]\nmodality = \"camera\"\nfile = \"a.csv\"\n");
    let text = labels.iter().fold("x,kind\n".to_string(), |text, label| format!("{text}1,{label}\n"));
    DatasetCard::from_str(&card, "faces.toml")?.load(|_| Ok(text.clone().into_bytes().into()))
}

#[test]
fn a_card_says_what_its_labels_mean() {
    let labels = ["live", "paper", "live"];
    let task = "task = \"face_anti_spoofing\"";
    let loaded = card(&format!("{task}\nclasses = [\"paper\", \"live\"]"), labels).unwrap();
    assert!(matches!(loaded.data.schema().target, Target::FaceAntiSpoofing(_)));
    assert_eq!(
        (loaded.data.schema().target.class_names(), loaded.data.labels()),
        (["paper", "live"].map(String::from).as_slice(), [1, 0, 1].as_slice())
    );
    assert!(matches!(card("", labels).unwrap().data.schema().target, Target::Classes(_)));
    assert!(TaskKind::default().is_classes());
    for (lines, labels, expected) in [
        (task.to_string(), labels, "list it first, such as classes = [\"attack\", \"live\"]"),
        (format!("{task}\nclasses = [\"paper\", \"mask\", \"live\"]"), ["live", "paper", "mask"], "the labels are paper, mask, live"),
        ("task = \"face_antispoofing\"".into(), labels, "face_anti_spoofing"),
    ] {
        let error = card(&lines, labels).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
}

/// The best epoch is the one with the best score, whichever way it counts.
#[test]
fn a_run_selects_by_the_score_it_is_told() {
    let data = clear_to_weak(150, 1);
    let (rows, validation): (Vec<usize>, Vec<usize>) = (0..150).partition(|row| row % 5 != 0);
    let run = |select_by: &str| {
        let select_by = Some(select_by.to_string());
        let config = TrainConfig { epochs: 8, batch_size: 16, select: Selection::BestValidation, select_by, ..TrainConfig::default() };
        Trainer::new(config).run(&mut Dropout::new(0), &data, &rows, &validation)
    };
    for (measure, higher) in [("accuracy", true), ("auroc", true), ("nll", false)] {
        let outcome = run(measure).unwrap();
        let scores: Vec<f64> = outcome.history.iter().map(|epoch| epoch.validation_score.unwrap()).collect();
        let best = scores.iter().copied().reduce(if higher { f64::max } else { f64::min }).unwrap();
        assert_eq!(scores[outcome.selected_epoch], best, "{measure}: {scores:?}");
        assert!(scores.iter().any(|score| *score != best));
    }
    let error = run("f1").unwrap_err().to_string();
    assert!(error.contains("train.select_by") && error.contains("accuracy, macro_f1, balanced_accuracy, auroc"), "{error}");
}

/// The validation samples with the weak sensor are all of one class.
#[test]
fn a_combination_whose_score_is_not_defined_selects_nothing() {
    let whole = clear_to_weak(150, 1);
    let (rows, validation): (Vec<usize>, Vec<usize>) = (0..150).partition(|row| row % 5 != 0);
    let first = |row: usize| whole.labels()[row] == 0;
    let has = |row: usize| if row.is_multiple_of(5) && !first(row) { Subset::from_bits(0b011).unwrap() } else { Subset::full(3) };
    let data = whole.with_presence(Presence::new((0..150).map(has).collect())).unwrap();
    let config = TrainConfig {
        epochs: 2,
        batch_size: 16,
        select: Selection::BestValidation,
        select_by: Some("auroc".into()),
        ..TrainConfig::default()
    };
    let run = |validation: &[usize]| Trainer::new(config.clone()).run(&mut Dropout::new(0), &data, &rows, validation);
    let outcome = run(&validation).unwrap();
    assert!(outcome.history.iter().all(|epoch| epoch.validation_score.is_some_and(f64::is_finite)));
    let told: Vec<&String> = outcome.notes.iter().filter(|note| note.contains("is not defined on the")).collect();
    assert!(told.len() == 4 && told[1].contains("the AUROC of strong+weak is not defined"), "{:?}", outcome.notes);
    let one_class: Vec<usize> = validation.into_iter().filter(|&row| first(row)).collect();
    let error = run(&one_class).unwrap_err().to_string();
    for part in ["train.select_by", "the AUROC is not defined on the", "whatever the combination", "`select = \"last\"`"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn what_needs_validation_samples_is_named_where_there_are_none() {
    let data = clear_to_weak(20, 1);
    for (config, field) in [
        (TrainConfig { select: Selection::BestValidation, ..TrainConfig::default() }, "`train.select`"),
        (TrainConfig { patience: Some(2), ..TrainConfig::default() }, "`train.patience`"),
        (TrainConfig { validate_every: 2, ..TrainConfig::default() }, "`train.validate_every`"),
        (TrainConfig { threshold_by: Some("accuracy".into()), ..TrainConfig::default() }, "`train.threshold_by`"),
    ] {
        let error = config.check(&data, &[]).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("needs validation samples, and there are none"), "{error}");
    }
    assert!(TrainConfig::default().check(&data, &[]).is_ok());
}
