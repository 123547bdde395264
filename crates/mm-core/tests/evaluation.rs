//! Every combination from one run of each encoder; absent means absent; the metrics by hand.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Dataset, TableDataset};
use mm_core::encoder::{Encoder, MlpEncoder};
use mm_core::eval::{classification_metrics, confusion_matrix, default_combinations, evaluate_combinations, spoof_metrics};
use mm_core::fusion::{Encoders, FusionNetwork, NetworkConfig, TrunkConfig};
use mm_core::nn::{Mode, Parameters, linear};
use mm_core::predict::{Predictions, Predictor};
use mm_core::{Presence, Result, Subset};
use mm_testing::{clear_to_weak, clear_to_weak_schema};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An encoder that counts its runs.
struct Counting {
    inner: MlpEncoder,
    runs: Arc<AtomicUsize>,
}

impl Encoder for Counting {
    fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.inner.forward(input, mode)
    }

    fn feature_shape(&self) -> &[usize] {
        self.inner.feature_shape()
    }
}

struct Model {
    network: FusionNetwork,
}

impl Predictor for Model {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        Ok(self.network.forward(batch, &batch.presence, Mode::Eval)?.logits)
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        self.network.predict_combinations(batch, subsets)
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
    let model = Model { network: FusionNetwork::from_parts(encoders, trunk, head) };
    let data = clear_to_weak(50, 1);
    let rows: Vec<usize> = (0..50).collect();
    let subsets = default_combinations(3, 0);
    let evaluation = evaluate_combinations(&model, &data, &rows, &subsets, 20, &Device::Cpu).unwrap();
    assert_eq!((evaluation.batches, evaluation.combinations.len()), (3, 7));
    assert_eq!(runs.load(Ordering::SeqCst), 3 * 3);
    assert_eq!(evaluation.encoder_passes, 3 * 3);

    // A single sensor alive: only its encoder runs.
    runs.store(0, Ordering::SeqCst);
    let batch = data.batch(&rows, &Device::Cpu).unwrap();
    model.predict(&batch.with_presence(Presence::uniform(Subset::single(1), 50)).unwrap()).unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

fn network(seed: u64) -> FusionNetwork {
    FusionNetwork::new(&NetworkConfig::default(), &clear_to_weak_schema(), Parameters::new(seed, &Device::Cpu).builder()).unwrap()
}

#[test]
fn a_combination_from_shared_parts_equals_the_combination_alone() {
    let network = network(3);
    let data = clear_to_weak(20, 2);
    let batch = data.batch(&(0..20).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
    let together = network.predict_combinations(&batch, &subsets).unwrap().logits;
    for (i, &subset) in subsets.iter().enumerate() {
        let alone = network.forward(&batch, &Presence::uniform(subset, 20), Mode::Eval).unwrap().logits;
        let difference = (together.get(i).unwrap() - alone).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-5, "{subset:?}");
    }
}

#[test]
fn what_an_absent_modality_holds_changes_no_bit() {
    let data = clear_to_weak(9, 2);
    let batch = data.batch(&(0..9).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let presence = Presence::new((0..9).map(|i| Subset::from_bits(i % 7 + 1).unwrap()).collect());
    let predict = |fill: f32| -> Vec<u32> {
        let mut inputs = batch.inputs.clone();
        for (m, input) in inputs.iter_mut().enumerate() {
            let mut values = input.as_ref().unwrap().to_vec2::<f32>().unwrap();
            for (row, subset) in values.iter_mut().zip(presence.subsets()) {
                if !subset.contains(m) {
                    row.fill(fill);
                }
            }
            *input = Some(Tensor::new(values, &Device::Cpu).unwrap());
        }
        let batch = Batch::new(inputs, presence.clone(), batch.labels.clone(), batch.rows.clone()).unwrap();
        // A fresh network: the training pass moves the running statistics.
        let network = network(4);
        let modes = [Mode::Eval, Mode::Train, Mode::Eval];
        let logits =
            modes.map(|mode| network.forward(&batch, &presence, mode).unwrap().logits.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        logits.concat().into_iter().map(f32::to_bits).collect()
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
    let spoof = spoof_metrics(&logits, &labels).unwrap();
    assert!((spoof.apcer - 1.0 / 3.0).abs() < 1e-12 && spoof.bpcer == 0.0 && (spoof.acer - 1.0 / 6.0).abs() < 1e-12);
    assert!(classification_metrics(&logits, 2, &[0, 1, 2, 0], 15).is_err());
    assert!(classification_metrics(&logits, 3, &labels, 15).is_err());
}

#[test]
fn naturally_absent_modalities_leave_a_sample_out_of_their_combinations() {
    let whole = clear_to_weak(6, 1);
    let presence = Presence::new([7, 7, 7, 7, 1, 2].map(|bits| Subset::from_bits(bits).unwrap()).to_vec());
    let columns = (0..3).map(|m| whole.column(m).to_vec()).collect();
    let data = TableDataset::new(clear_to_weak_schema(), columns, presence, whole.labels().to_vec()).unwrap();
    let model = Model { network: network(1) };
    let subsets = [Subset::single(0), Subset::single(1), Subset::full(3)];
    let evaluation = evaluate_combinations(&model, &data, &[0, 1, 2, 3, 4, 5], &subsets, 4, &Device::Cpu).unwrap();
    let counted: Vec<usize> = evaluation.combinations.iter().map(|c| c.metrics.samples).collect();
    assert_eq!(counted, [5, 5, 4]);
    assert_eq!(evaluation.combinations[2].correct[4], None);
    assert!(evaluation.combinations[0].correct[4].is_some());
    assert_eq!(
        evaluation.worst().unwrap().metrics.accuracy,
        evaluation.combinations.iter().map(|c| c.metrics.accuracy).fold(1.0, f64::min)
    );
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
