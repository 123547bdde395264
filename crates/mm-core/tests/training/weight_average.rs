//! The exponential moving average of weights.

use candle_core::{Device, Tensor};
use mm_core::nn::Parameters;
use mm_core::optim::{ScheduleConfig, WeightAverage};
use mm_core::train::{CheckpointConfig, Method, Selection, TrainConfig, Trainer, latest_checkpoint};
use mm_testing::{Dropout, clear_to_weak, parameter_bits};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Steps of a training of [`config`].
const STEPS: usize = 6;

fn config(ema_decay: f64) -> TrainConfig {
    TrainConfig { epochs: 2, batch_size: 16, ema_decay, ..TrainConfig::default() }
}

fn bits_after(config: TrainConfig, folder: Option<&Path>, stop_after: usize) -> Result<Vec<(String, Vec<u32>)>, mm_core::Error> {
    let data = clear_to_weak(70, 3);
    let rows: Vec<usize> = (0..70).collect();
    let (train, validation) = rows.split_at(50);
    let mut method = Dropout::new(0);
    let asked = AtomicUsize::new(0);
    let mut trainer = Trainer::new(config).stop_when(move || asked.fetch_add(1, Ordering::Relaxed) >= stop_after);
    if let Some(folder) = folder {
        trainer = trainer.checkpoints(CheckpointConfig { folder: folder.into(), every_seconds: 1e9, fingerprint: "run".into() });
    }
    trainer.run(&mut method, &data, train, validation)?;
    Ok(parameter_bits(&method.parameters()))
}

#[test]
fn the_average_is_that_of_its_definition() {
    let parameters = Parameters::new(0, &Device::Cpu);
    let ones = candle_nn::Init::Const(1.0);
    let variable = parameters.builder().get_with_hints(3, "x", ones).unwrap();
    assert_eq!(variable.dims(), [3]);
    let average = WeightAverage::new(0.8, &parameters).unwrap();
    let mut expected = [1.0f64; 3];
    for step in 1..60u64 {
        let values = [step as f32, -(step as f32).sqrt(), 0.5];
        parameters.variable("x").unwrap().set(&Tensor::new(&values, &Device::Cpu).unwrap()).unwrap();
        average.update(&parameters, step).unwrap();
        // The share kept after the first step is a tenth; it reaches the decay after 36.
        let decay = (step as f64 / (step as f64 + 9.0)).min(0.8);
        expected.iter_mut().zip(values).for_each(|(sum, value)| *sum = decay * *sum + (1.0 - decay) * f64::from(value));
    }
    let found = average.snapshot().unwrap()["x"].to_vec1::<f32>().unwrap();
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
    }
    let seen = average.in_place(&parameters, || Ok(parameters.get("x").unwrap().to_vec1::<f32>()?)).unwrap();
    assert_eq!(seen, found);
    assert_eq!(parameters.get("x").unwrap().to_vec1::<f32>().unwrap()[0], 59.0, "the variables come back");
    average.put(&parameters).unwrap();
    assert_eq!(parameters.get("x").unwrap().to_vec1::<f32>().unwrap(), found);
}

#[test]
fn a_training_ends_with_the_average_and_goes_on_from_it() {
    let whole = bits_after(config(0.9), None, usize::MAX).unwrap();
    assert_ne!(whole, bits_after(config(0.0), None, usize::MAX).unwrap());
    for stop_after in 1..STEPS {
        let folder = tempfile::tempdir().unwrap();
        let stopped = bits_after(config(0.9), Some(folder.path()), stop_after);
        assert!(matches!(stopped, Err(mm_core::Error::Stopped { saved: true })), "{stop_after}");
        assert!(latest_checkpoint(folder.path()).unwrap().unwrap().join("average.safetensors").exists());
        assert_eq!(bits_after(config(0.9), Some(folder.path()), usize::MAX).unwrap(), whole, "{stop_after}");
    }
}

/// Validation sees the average, so what the best epoch leaves is the average of that epoch.
#[test]
fn the_best_epoch_is_one_of_averages() {
    let of_epochs =
        |epochs, select| TrainConfig { epochs, select, schedule: ScheduleConfig::Constant { warmup_epochs: 0.0 }, ..config(0.9) };
    let best = bits_after(of_epochs(3, Selection::BestValidation), None, usize::MAX).unwrap();
    let lasts = [1, 2, 3].map(|epochs| bits_after(of_epochs(epochs, Selection::Last), None, usize::MAX).unwrap());
    assert!(lasts.contains(&best));
}

#[test]
fn decays_that_cannot_work_are_refused() {
    for ema_decay in [-0.1, 1.0, f64::NAN] {
        let error = TrainConfig { ema_decay, ..TrainConfig::default() }.validate().unwrap_err().to_string();
        assert!(error.contains("train.ema_decay"), "{error}");
    }
}
