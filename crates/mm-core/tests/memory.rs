//! Data that are larger than the memory train in constant memory.

use mm_core::data::kinds::Image;
use mm_core::data::{Folders, Loading, Source, Split};
use mm_core::encoder::EncoderConfig;
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::nn::{Mode, Parameters};
use mm_core::train::{Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Model, Result};
use mm_testing::{large_photos, peak_memory};
use std::path::Path;
use std::process::Command;

const FOLDER: &str = "MM_TEST_LARGE_FOLDER";
const FILES: usize = 520;
const LIMIT: u64 = 150 << 20;

struct Plain(FusionModel);

impl Method for Plain {
    fn model(&self) -> &dyn Model {
        &self.0
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.0)
    }

    fn loss(&mut self, batch: &mm_core::data::Batch, _: &Step) -> Result<Losses> {
        let output = self.0.network().forward(batch.inputs(), batch.presence(), Mode::Train)?;
        Ok(Losses::new("task", self.0.schema().target.task().loss(&output.prediction, batch.targets())?))
    }
}

fn train(folder: &Path) {
    let data = Folders::new(folder).modality("rgb", Image::rgb(32)).open().unwrap();
    assert_eq!(data.len(), FILES);
    let (train, test): (Vec<usize>, Vec<usize>) = (0..FILES).partition(|row| row % 8 != 0);
    let split = Split { train, validation: Vec::new(), test };
    let parameters = Parameters::new(0, &candle_core::Device::Cpu);
    let network = NetworkConfig { encoder: Some(EncoderConfig::mlp([128, 64])), ..NetworkConfig::default() };
    let mut method = Plain(FusionModel::new(&network, data.schema(), parameters).unwrap());
    // Three epochs: one is 14 steps, after which it is rounding that decides whether the classes are told apart.
    let trainer = Trainer::new(TrainConfig { epochs: 3, batch_size: 32, learning_rate: 0.01, ..TrainConfig::default() });
    let trainer = trainer.loading(Loading { workers: 2, prefetch: 4 });
    trainer.run(&mut method, &data, &split.train, &[]).unwrap();
    let evaluation =
        mm_core::eval::evaluate(method.model(), &data, &split.test, &[mm_core::Subset::full(1)], 64, &candle_core::Device::Cpu).unwrap();
    assert!(evaluation.mean_score() > 0.9, "{}", evaluation.mean_score());
}

/// 400 MB of pictures, in a process of its own: it may take 150 MB at most.
#[test]
fn four_hundred_megabytes_train_in_less_than_one_hundred_and_fifty() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        train(Path::new(&folder));
        let peak = peak_memory().unwrap();
        assert!(peak < LIMIT, "{} MB", peak >> 20);
        println!("peak {} MB", peak >> 20);
        return;
    }
    if peak_memory().is_none() {
        println!("skipped: this system does not tell what a process takes");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    large_photos(folder.path(), FILES, 512);
    let bytes: u64 = ["dark", "light"]
        .iter()
        .flat_map(|class| std::fs::read_dir(folder.path().join("rgb").join(class)).unwrap())
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes > 340 << 20, "{bytes}");
    let name = "four_hundred_megabytes_train_in_less_than_one_hundred_and_fifty";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder.path())
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
