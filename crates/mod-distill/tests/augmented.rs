//! Augmentation and samples that the teacher cannot see: nothing that changes may be cached.

use candle_core::{Device, Tensor};
use mm_core::data::{AugmentConfig, Batch, Dataset, InputSpec, Schema, TableDataset, Target, augment};
use mm_core::encoder::EncoderConfig;
use mm_core::fusion::{Fused, NetworkConfig, TrunkConfig};
use mm_core::teacher::Teacher;
use mm_core::train::{CheckpointConfig, Method, Progress, Step, TrainConfig, fit};
use mm_core::{Modalities, Presence, Result, Subset, rng};
use mm_testing::parameter_bits;
use mod_distill::*;
use std::sync::{Arc, Mutex};

const SAMPLES: usize = 24;
const FLIPS: AugmentConfig = AugmentConfig { flip: 0.5, rotation: 0.0, crop_area: [0.5, 1.0], crop_aspect: [1.0, 1.0] };

/// A camera and a radar, both images; one sample has no radar.
fn data() -> TableDataset {
    let schema = Schema::new(
        Modalities::new(["camera", "radar"]).unwrap(),
        vec![InputSpec::image([1, 4, 4]), InputSpec::image([1, 4, 4])],
        Target::Classes(vec!["a".into(), "b".into()]),
    )
    .unwrap();
    let column = |m: u64| rng::standard_normal(&mut rng::stream(3, "image", &[m]), SAMPLES * 16);
    let presence = (0..SAMPLES).map(|i| if i == 5 { Subset::single(0) } else { Subset::full(2) }).collect();
    TableDataset::new(schema, vec![column(0), column(1)], Presence::new(presence), (0..SAMPLES as u32).map(|i| i % 2).collect()).unwrap()
}

/// Answers with numbers of the image, and writes down what it is asked.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<Vec<Batch>>>);

impl Teacher for Watched {
    fn teach(&self, batch: &Batch) -> Result<Fused> {
        self.0.lock().unwrap().push(batch.clone());
        let radar = batch.inputs[1].as_ref().expect("what the teacher sees").flatten_from(1)?;
        Ok(Fused { feature: radar.narrow(1, 0, 8)?, logits: radar.narrow(1, 8, 2)? })
    }
}

fn model(teacher: impl Teacher + 'static) -> ModDistill {
    let mlp = |widths: &[usize]| TrunkConfig::Mlp { widths: widths.to_vec() };
    let network = NetworkConfig { encoder: Some(EncoderConfig::Conv { widths: vec![4] }), trunk: mlp(&[8]), ..NetworkConfig::default() };
    // A warm-up would hang on the length of the run.
    let config = ModDistillConfig { network, trunk: mlp(&[8]), warm_up: 0.0, ..ModDistillConfig::available(["camera"]) };
    ModDistill::builder(data().schema().clone()).config(config).seed(1).build_with_teacher(teacher).unwrap()
}

#[test]
fn the_teacher_is_asked_anew_about_augmented_samples_beside_one_that_it_cannot_see() {
    let watched = Watched::default();
    let mut model = model(watched.clone());
    let clean = data().batch(&(0..8).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    for epoch in 0..2 {
        let batch = augment(&clean, &FLIPS, 0, epoch).unwrap();
        assert!(batch.augmented);
        model.loss(&batch, &Step { seed: 0, epoch: epoch as usize, epochs: 2, step: 0, steps: 1 }).unwrap();
        let asked = watched.0.lock().unwrap().pop().expect("the cache answered with what it saw in another epoch");
        let expected: Vec<Vec<f32>> = {
            let all = batch.inputs[1].as_ref().unwrap().flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
            (0..8).filter(|&i| i != 5).map(|i| all[i].clone()).collect()
        };
        let found: &Tensor = asked.inputs[1].as_ref().unwrap();
        assert_eq!(found.flatten_from(1).unwrap().to_vec2::<f32>().unwrap(), expected);
        assert!(asked.augmented && asked.rows == [0, 1, 2, 3, 4, 6, 7]);
    }
}

#[test]
fn a_resumed_run_with_augmentation_equals_an_uninterrupted_one() {
    let (data, rows): (TableDataset, Vec<usize>) = (data(), (0..SAMPLES).collect());
    let schedule: mm_core::optim::ScheduleConfig = serde_json::from_value(serde_json::json!({"kind": "constant"})).unwrap();
    let train = |epochs: usize, checkpoints: Option<&CheckpointConfig>| {
        let mut model = model(Watched::default());
        let config = TrainConfig { epochs, batch_size: 8, augment: FLIPS, schedule: schedule.clone(), ..TrainConfig::default() };
        fit(&mut model, &data, &rows, &[], &config, checkpoints, &Progress::hidden()).unwrap();
        parameter_bits(model.parameters())
    };
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "augmented".into() };
    train(2, Some(&checkpoints));
    assert!(train(4, Some(&checkpoints)) == train(4, None));
}
