//! Training samples mixed with one another.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Inputs, Reading, Target, Targets};
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Modalities, Presence, Subset};
use mm_testing::{Dropout, clear_to_weak, parameter_bits};

/// Three samples of two sensors; the last one lacks the second.
fn batch() -> Batch {
    let modalities = Modalities::new(["a", "b"].map(String::from).to_vec()).unwrap();
    let values = |v: &[f32]| Tensor::from_slice(v, (3, v.len() / 3), &Device::Cpu).unwrap();
    let lengths = Tensor::new(&[1u32, 2, 2], &Device::Cpu).unwrap();
    let first = Reading { values: values(&[1.0, 0.0, 3.0, 4.0, 5.0, 8.0]), lengths: Some(lengths) };
    let second = Reading::from(values(&[10.0, 20.0, 0.0]));
    let presence = Presence::new(vec![Subset::full(2), Subset::full(2), Subset::single(0)]);
    let inputs = Inputs::new(&modalities, [Some(first), Some(second)], presence, vec![7, 8, 9]).unwrap();
    Batch::new(inputs, Targets::new(Tensor::new(&[0u32, 1, 1], &Device::Cpu).unwrap())).unwrap()
}

#[test]
fn readings_and_targets_are_mixed_alike() {
    let mixed = batch().mixed(0.75).unwrap();
    let reading = |name: &str| mixed.inputs().reading(name).unwrap().unwrap().clone();
    // The second sample's partner has other sensors, and so has the third one's: they stay.
    assert_eq!(reading("a").values.to_vec2::<f32>().unwrap(), [[1.5, 1.0], [3.0, 4.0], [5.0, 8.0]]);
    assert_eq!(reading("b").values.to_vec2::<f32>().unwrap(), [[12.5], [20.0], [0.0]]);
    assert_eq!(reading("a").lengths.unwrap().to_vec1::<u32>().unwrap(), [2, 2, 2]);
    assert!(mixed.inputs().is_altered() && mixed.ids() == [7, 8, 9]);

    let task = Target::of_classes(["x", "y"]);
    let logits = Tensor::new(&[[2f32, 0.0], [0.0, 0.0], [0.0, 1.0]], &Device::Cpu).unwrap();
    let losses = task.task().loss_per_sample(&logits, mixed.targets()).unwrap().to_vec1::<f32>().unwrap();
    let of_x = (1.0 + (-2f32).exp()).ln();
    for (loss, expected) in losses.iter().zip([0.75 * of_x + 0.25 * (of_x + 2.0), 2f32.ln(), (1.0 + (-1f32).exp()).ln()]) {
        assert!((loss - expected).abs() < 1e-6, "{losses:?}");
    }
    // Each sample several times, and some of them only: partners stay with their samples.
    let repeated = mixed.targets().repeated(2).unwrap();
    let twice = logits.index_select(&Tensor::new(&[0u32, 0, 1, 1, 2, 2], &Device::Cpu).unwrap(), 0).unwrap();
    let twice = task.task().loss_per_sample(&twice, &repeated).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!([twice[0], twice[2], twice[4]], losses[..]);
    let chosen = mixed.select(&[2, 0]).unwrap();
    let of_chosen = logits.index_select(&Tensor::new(&[2u32, 0], &Device::Cpu).unwrap(), 0).unwrap();
    let of_chosen = task.task().loss_per_sample(&of_chosen, chosen.targets()).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(of_chosen, [losses[2], losses[0]]);
}

#[test]
fn a_seed_fixes_the_mixtures() {
    let data = clear_to_weak(60, 3);
    let rows: Vec<usize> = (0..60).collect();
    let trained = |mixup: f64, seed: u64| {
        let config = TrainConfig { epochs: 2, batch_size: 16, mixup, seed, ..TrainConfig::default() };
        let mut method = Dropout::new(seed);
        Trainer::new(config).run(&mut method, &data, &rows, &[]).unwrap();
        parameter_bits(&mm_core::train::Method::parameters(&method))
    };
    assert_eq!(trained(0.2, 0), trained(0.2, 0));
    assert_ne!(trained(0.2, 0), trained(0.0, 0));
}

#[test]
fn amounts_that_cannot_work_are_refused() {
    for mixup in [-0.1, f64::NAN, 1e9] {
        let error = TrainConfig { mixup, ..TrainConfig::default() }.validate().unwrap_err().to_string();
        assert!(error.contains("train.mixup"), "{error}");
    }
}
