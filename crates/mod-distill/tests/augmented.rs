//! Augmentation and samples that the teacher cannot see: nothing that changes may be cached.

use candle_core::Tensor;
use mm_core::data::{AugmentConfig, InputSpec, Inputs, Loader, Schema, Source, TableDataset, Target, Transform};
use mm_core::encoder::EncoderConfig;
use mm_core::fusion::{NetworkConfig, TrunkConfig};
use mm_core::model::Output;
use mm_core::recipe::Setup;
use mm_core::teacher::Teacher;
use mm_core::train::{CheckpointConfig, Method, Step, TrainConfig, Trainer};
use mm_core::{Modalities, Presence, Result, Subset, rng};
use mm_testing::parameter_bits;
use mod_distill::*;
use std::sync::{Arc, Mutex};

const SAMPLES: usize = 24;
const FLIPS: AugmentConfig = AugmentConfig { flip: 0.5, crop_area: [0.5, 1.0], ..AugmentConfig::OFF };

/// A camera and a radar, both images; one sample has no radar.
fn data() -> TableDataset {
    let schema = Schema::new(
        Modalities::new(["camera", "radar"]).unwrap(),
        vec![InputSpec::image([1, 4, 4]), InputSpec::image([1, 4, 4])],
        Target::of_classes(["a", "b"]),
    )
    .unwrap();
    let column = |m: u64| rng::standard_normal(&mut rng::stream(3, "image", &[m]), SAMPLES * 16);
    let presence = (0..SAMPLES).map(|i| if i == 5 { Subset::single(0) } else { Subset::full(2) }).collect();
    TableDataset::new(schema, vec![column(0), column(1)], Presence::new(presence), (0..SAMPLES as u32).map(|i| i % 2).collect()).unwrap()
}

/// Answers with numbers of the image, and writes down what it is asked.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<Vec<Inputs>>>);

impl Teacher for Watched {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        self.0.lock().unwrap().push(inputs.clone());
        let radar = radar(inputs);
        Ok(Output::with_feature(radar.narrow(1, 8, 2)?, radar.narrow(1, 0, 8)?))
    }
}

/// The values of the radar, `[batch, 16]`.
fn radar(inputs: &Inputs) -> Tensor {
    inputs.reading("radar").unwrap().expect("what the teacher sees").values.flatten_from(1).unwrap()
}

fn method(teacher: impl Teacher + 'static) -> ModDistill {
    let mlp = |widths: &[usize]| TrunkConfig::Mlp { widths: widths.to_vec() };
    let network = NetworkConfig { encoder: Some(EncoderConfig::conv([4])), trunk: mlp(&[8]), ..NetworkConfig::default() };
    // A warm-up would hang on the length of the run.
    let config = ModDistillConfig { network, trunk: mlp(&[8]), warm_up: 0.0, ..ModDistillConfig::available(["camera"]) };
    ModDistill::new(config, &Setup::new(data().schema()).seed(1), teacher).unwrap()
}

#[test]
fn the_teacher_is_asked_anew_about_augmented_samples_beside_one_that_it_cannot_see() {
    let watched = Watched::default();
    let mut method = method(watched.clone());
    let (data, rows): (TableDataset, Vec<usize>) = (data(), (0..8).collect());
    let transforms: [Box<dyn Transform>; 1] = [Box::new(FLIPS)];
    let loader = Loader::new(&data, &rows, 8, 0).transforms(&transforms);
    let mut seen = Vec::new();
    for epoch in 0..2 {
        let batch = loader.epoch(epoch, 0, |batches| batches.next()).unwrap().unwrap();
        assert!(batch.inputs().is_altered());
        method.loss(&batch, &Step { seed: 0, epoch: epoch as usize, epochs: 2, step: 0, steps: 1 }).unwrap();
        let asked = watched.0.lock().unwrap().pop().expect("the cache answered with what it saw in another epoch");
        let taught: Vec<usize> = (0..8).filter(|&i| batch.ids()[i] != 5).collect();
        let expected = batch.inputs().select(&taught).unwrap();
        assert!(asked.is_altered() && asked.ids() == expected.ids() && asked.len() == 7);
        let values = |inputs: &Inputs| radar(inputs).to_vec2::<f32>().unwrap();
        assert_eq!(values(&asked), values(&expected));
        let mut by_id: Vec<_> = asked.ids().iter().copied().zip(values(&asked)).collect();
        by_id.sort_by_key(|(id, _)| *id);
        seen.push(by_id);
    }
    assert_ne!(seen[0], seen[1], "every epoch has transforms of its own");
}

#[test]
fn a_resumed_run_with_augmentation_equals_an_uninterrupted_one() {
    let (data, rows): (TableDataset, Vec<usize>) = (data(), (0..SAMPLES).collect());
    let schedule: mm_core::optim::ScheduleConfig = serde_json::from_value(serde_json::json!({"kind": "constant"})).unwrap();
    let train = |epochs: usize, checkpoints: Option<&CheckpointConfig>| {
        let mut method = method(Watched::default());
        let config = TrainConfig { epochs, batch_size: 8, augment: FLIPS, schedule: schedule.clone(), ..TrainConfig::default() };
        let trainer = Trainer::new(config);
        let trainer = checkpoints.map_or(trainer.clone(), |checkpoints| trainer.checkpoints(checkpoints.clone()));
        trainer.run(&mut method, &data, &rows, &[]).unwrap();
        parameter_bits(&method.parameters())
    };
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "augmented".into() };
    train(2, Some(&checkpoints));
    // In the midst of an epoch: the last checkpoint is of its end.
    std::fs::remove_dir_all(mm_core::train::latest_checkpoint(folder.path()).unwrap().unwrap()).unwrap();
    let newest = mm_core::train::latest_checkpoint(folder.path()).unwrap().unwrap();
    assert!(newest.ends_with("epoch-000001-000002"), "{}", newest.display());
    assert!(train(4, Some(&checkpoints)) == train(4, None));
}
