//! Every combination from one run of each encoder; absent means absent; the metrics by hand.

use candle_core::{Device, Tensor};
use mm_core::data::{Reading, Source, TableDataset};
use mm_core::encoder::{Encoder, MlpEncoder};
use mm_core::eval::{classification_metrics, confusion_matrix, default_combinations, evaluate};
use mm_core::fusion::{Encoders, FusionModel, FusionNetwork, NetworkConfig, TrunkConfig};
use mm_core::nn::{Mode, Parameters, linear};
use mm_core::{Model, Presence, Result, Subset};
use mm_testing::{bits, clear_to_weak, clear_to_weak_schema, difference, spoilt, with_presence};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An encoder that counts its runs.
struct Counting {
    inner: MlpEncoder,
    runs: Arc<AtomicUsize>,
}

impl Encoder for Counting {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.inner.forward(reading, mode)
    }

    fn feature_shape(&self) -> &[usize] {
        self.inner.feature_shape()
    }
}

#[test]
fn encoders_run_once_a_batch_for_all_combinations() {
    let runs = Arc::new(AtomicUsize::new(0));
    let parameters = Parameters::new(0, &Device::Cpu);
    let vb = parameters.builder();
    let encoder = |(m, width): (usize, usize)| -> Box<dyn Encoder> {
        Box::new(Counting { inner: MlpEncoder::new(width, &[8], vb.pp(m)).unwrap(), runs: runs.clone() })
    };
    let encoders = Encoders::new([6, 5, 4].into_iter().enumerate().map(encoder).collect());
    let trunk =
        TrunkConfig::default().build(clear_to_weak_schema().modalities.names(), &encoders.feature_shapes(), vb.pp("trunk")).unwrap();
    let head = linear(trunk.feature_shape()[0], 3, vb.pp("head")).unwrap();
    let model = FusionModel::from_network(FusionNetwork::from_parts(encoders, trunk, head), clear_to_weak_schema(), parameters);
    let data = clear_to_weak(50, 1);
    let rows: Vec<usize> = (0..50).collect();
    let subsets = default_combinations(3, 0);
    let evaluation = evaluate(&model, &data, &rows, &subsets, 20, &Device::Cpu).unwrap();
    assert_eq!((evaluation.batches, evaluation.combinations.len()), (3, 7));
    assert_eq!(runs.load(Ordering::SeqCst), 3 * 3);
    assert_eq!(evaluation.encoder_passes, 3 * 3);

    // A single sensor alive: only its encoder runs.
    runs.store(0, Ordering::SeqCst);
    let batch = data.batch(&rows, &Device::Cpu).unwrap();
    model.predict(&batch.inputs().with_presence(Presence::uniform(Subset::single(1), 50)).unwrap()).unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

fn model(seed: u64) -> FusionModel {
    FusionModel::new(&NetworkConfig::default(), &clear_to_weak_schema(), Parameters::new(seed, &Device::Cpu)).unwrap()
}

#[test]
fn a_combination_from_shared_parts_equals_the_combination_alone() {
    let model = model(3);
    let data = clear_to_weak(20, 2);
    let batch = data.batch(&(0..20).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
    let together = model.predict_combinations(batch.inputs(), &subsets).unwrap();
    assert_eq!(together.dims(), [7, 20, 3]);
    let encoded = model.encode(batch.inputs()).unwrap();
    for (i, &subset) in subsets.iter().enumerate() {
        let presence = Presence::uniform(subset, 20);
        let alone = model.network().forward(batch.inputs(), &presence, Mode::Eval).unwrap().prediction;
        let largest = |found: &Tensor| (found - &alone).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest(&together.get(i).unwrap()) < 1e-5, "{subset:?}");
        // From the encoded samples, and from inputs that have no more.
        assert_eq!(bits(&model.fuse(&encoded, &presence).unwrap().prediction), bits(&alone), "{subset:?}");
        let fewer = batch.inputs().with_presence(presence).unwrap();
        assert_eq!(bits(&model.predict(&fewer).unwrap().prediction), bits(&alone), "{subset:?}");
    }
}

#[test]
fn a_combination_hands_out_the_feature_behind_it() {
    let model = model(3);
    let batch = clear_to_weak(5, 2).batch(&[0, 1, 2, 3, 4], &Device::Cpu).unwrap();
    let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
    let passes = model.visit_combinations(batch.inputs(), &subsets, &|i, output| {
        let alone = model.network().forward(batch.inputs(), &Presence::uniform(subsets[i], 5), Mode::Eval)?;
        assert!(difference(output.feature()?, alone.feature()?) < 1e-5, "{:?}", subsets[i]);
        Ok(())
    });
    assert_eq!(passes.unwrap(), 3);
    let error = model.predict_combinations(batch.inputs(), &[]).unwrap_err().to_string();
    assert!(error.contains("no combination was asked for"), "{error}");
}

#[test]
fn inputs_of_another_model_are_refused() {
    let model = model(3);
    let batch = clear_to_weak(2, 2).batch(&[0, 1], &Device::Cpu).unwrap();
    let turned = mm_core::Modalities::new(["weak", "middle", "strong"]).unwrap();
    let inputs = batch.inputs().restricted(&turned, batch.presence().clone()).unwrap();
    let error = model.predict(&inputs).unwrap_err().to_string();
    assert!(error.contains("inputs of weak, middle, strong for a model of strong, middle, weak"), "{error}");
    let encoded = model.encode(batch.inputs()).unwrap();
    let error = model.fuse(&encoded, &Presence::uniform(Subset::full(3), 3)).unwrap_err().to_string();
    assert!(error.contains("a presence of 3 samples for 2"), "{error}");
}

#[test]
fn what_an_absent_modality_holds_changes_no_bit() {
    let data = clear_to_weak(9, 2);
    let batch = data.batch(&(0..9).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let presence = Presence::new((0..9).map(|i| Subset::from_bits(i % 7 + 1).unwrap()).collect());
    let predict = |fill: f32| -> Vec<u32> {
        let filled = spoilt(&batch, fill, |row, m| !presence.subsets()[row].contains(m));
        let filled = with_presence(&filled, presence.clone());
        // A fresh network: the training pass moves the running statistics.
        let model = model(4);
        let forward = |mode| bits(&model.network().forward(filled.inputs(), &presence, mode).unwrap().prediction);
        [Mode::Eval, Mode::Train, Mode::Eval].map(forward).concat()
    };
    let reference = predict(0.0);
    assert!(reference.iter().all(|&bits| f32::from_bits(bits).is_finite()));
    for fill in [1.0, 1e30, f32::NAN, f32::INFINITY] {
        assert_eq!(predict(fill), reference, "{fill}");
    }
}

#[test]
fn metrics_by_hand() {
    // Predictions 0, 1, 1, 0 for labels 0, 1, 0, 0; probabilities e/(e+1) for the predicted class.
    let logits = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0];
    let labels = [0, 1, 0, 0];
    let p = 1f64.exp() / (1f64.exp() + 1.0);
    let m = classification_metrics(&logits, 2, &labels, 15).unwrap();
    assert_eq!(m.samples, 4);
    assert!((m.accuracy - 0.75).abs() < 1e-12);
    // F1: class 0 = 2*2/(2+3), class 1 = 2*1/(2+1).
    assert!((m.macro_f1 - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
    assert!((m.balanced_accuracy - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12);
    assert!((m.nll - (-3.0 * p.ln() - (1.0 - p).ln()) / 4.0).abs() < 1e-7);
    let (right, wrong) = (2.0 * (1.0 - p).powi(2), 2.0 * p * p);
    assert!((m.brier - (3.0 * right + wrong) / 4.0).abs() < 1e-7);
    assert!((m.ece - (0.75 - p).abs()).abs() < 1e-7);
    assert_eq!(confusion_matrix(&logits, 2, &labels).unwrap(), [[2, 1], [0, 1]]);
    assert!(classification_metrics(&logits, 2, &[0, 1, 2, 0], 15).is_err());
    assert!(classification_metrics(&logits, 3, &labels, 15).is_err());
}

#[test]
fn naturally_absent_modalities_leave_a_sample_out_of_their_combinations() {
    let whole = clear_to_weak(6, 1);
    let presence = Presence::new([7, 7, 7, 7, 1, 2].map(|bits| Subset::from_bits(bits).unwrap()).to_vec());
    let columns = (0..3).map(|m| whole.column(m).to_vec()).collect();
    let data = TableDataset::new(clear_to_weak_schema(), columns, presence, whole.labels().to_vec()).unwrap();
    let model = model(1);
    let subsets = [Subset::single(0), Subset::single(1), Subset::full(3)];
    let evaluation = evaluate(&model, &data, &[0, 1, 2, 3, 4, 5], &subsets, 4, &Device::Cpu).unwrap();
    let counted: Vec<usize> = evaluation.combinations.iter().map(|c| c.scored.samples).collect();
    assert_eq!(counted, [5, 5, 4]);
    assert!(evaluation.combinations[2].outcomes[4].is_nan() && evaluation.combinations[2].outcomes[5].is_nan());
    assert!(!evaluation.combinations[0].outcomes[4].is_nan() && evaluation.combinations[0].outcomes[5].is_nan());
    for combination in &evaluation.combinations {
        let accuracy = combination.scored.get("accuracy");
        let counted: Vec<f32> = combination.outcomes.iter().copied().filter(|outcome| !outcome.is_nan()).collect();
        assert_eq!(counted.len(), combination.scored.samples);
        assert!((f64::from(counted.iter().sum::<f32>()) / counted.len() as f64 - accuracy).abs() < 1e-12);
        assert_eq!(evaluation.error(combination), 1.0 - accuracy);
    }
    let accuracies: Vec<f64> = evaluation.combinations.iter().map(|c| c.scored.get("accuracy")).collect();
    assert_eq!(evaluation.mean_score(), accuracies.iter().sum::<f64>() / 3.0);
}

#[test]
fn many_modalities_are_sampled() {
    assert_eq!(default_combinations(10, 0).len(), 1023);
    let sampled = default_combinations(12, 7);
    assert_eq!(sampled.len(), 12 + 256 + 1);
    assert_eq!(sampled, default_combinations(12, 7));
    assert_ne!(sampled, default_combinations(12, 8));
    assert!((0..12).all(|m| sampled.contains(&Subset::single(m))) && sampled.contains(&Subset::full(12)));
}
