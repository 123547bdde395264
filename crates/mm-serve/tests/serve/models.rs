//! Small models, and servers of them.

use crate::client::Client;
use mm_baselines::FusionConfig;
use mm_core::data::audio::AudioSettings;
use mm_core::data::kinds::{Audio, Image, Kind, Origin, Series, Text, Vector, Video};
use mm_core::data::{FileRow, FileSource, InputSpec, Schema, Split, TableDataset, Target, TargetValue};
use mm_core::task::{Labels, Numbers};
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Modalities, Pipeline, Presence, Subset, rng};
use mm_serve::{ServeError, Server, Settings};
use mm_testing::{Squares, wave};
use rand::RngExt;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

const SAMPLES: u64 = 12;

/// Files of one machine: `0.png`, `0.wav`, and what is read of its dial and told in a note.
pub fn machine(folder: &Path, id: u64) -> (PathBuf, PathBuf, String, [f64; 2]) {
    let mut random = rng::stream(3, "machines", &[id]);
    let (photo, sound) = (folder.join(format!("{id}.png")), folder.join(format!("{id}.wav")));
    if !photo.exists() {
        image::GrayImage::from_fn(12, 12, |x, _| image::Luma([if x > 5 { 150 } else { 20 } + random.random_range(0..90u8)]))
            .save(&photo)
            .unwrap();
        let tone: Vec<f32> = (0..900).map(|t| (t as f32 * (0.2 + 0.05 * id as f32)).sin() * 0.5).collect();
        wave(&sound, 4000, &tone);
    }
    let note = ["it squeals and shakes", "calm and steady hum"][id as usize % 2];
    (photo, sound, format!("{note} {}", id % 3), [1.0 + 0.1 * id as f64, 60.0 + id as f64])
}

/// The folder of all models and files of this test, made once.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// A model of a name, trained at its first use: `class`, `labels`, `numbers` of photo, sound, note and gauge; `film` of a video and a series;
/// `pixels` of two images, `tables` of two vectors from columns of tables.
pub fn model(name: &'static str) -> Pipeline {
    static TRAINED: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut trained = TRAINED.lock().unwrap();
    let path = trained.entry(name).or_insert_with(|| {
        let path = folder().join(name);
        train(name, &path);
        path
    });
    Pipeline::from_pretrained_as::<FusionConfig>(&*path).unwrap()
}

fn train(name: &str, path: &Path) {
    let target = match name {
        "labels" => Target::Labels(Labels::new(["wet", "loud"])),
        "numbers" => Target::Numbers(Numbers::new(["litres", "hours"])),
        _ => Target::of_classes(["broken", "running"]),
    };
    let value = |id: u64| match name {
        "labels" => TargetValue::Labels(vec![id.is_multiple_of(2), id.is_multiple_of(3)]),
        "numbers" => TargetValue::Numbers(vec![5000.0 + 100.0 * id as f64, 0.1 * id as f64]),
        _ => TargetValue::Class((id % 2) as u32),
    };
    let row = |id: u64, origins: Vec<Option<Origin>>| FileRow::new(id.to_string(), origins, value(id)).unwrap();
    let split = Split { train: (0..SAMPLES as usize).collect(), validation: Vec::new(), test: Vec::new() };
    let trainer = Trainer::new(TrainConfig { epochs: 2, batch_size: 4, ..TrainConfig::default() });
    let fit = |source: &dyn mm_core::data::Source| {
        trainer.fit(FusionConfig::modality_dropout(), source, &split).unwrap().save_pretrained(path).unwrap();
    };
    let files = |names: &[&str], kinds: Vec<Arc<dyn Kind>>, rows: Vec<FileRow>| {
        FileSource::new(Modalities::new(names.to_vec()).unwrap(), kinds, target.clone(), rows).unwrap()
    };
    match name {
        "pixels" => {
            let network = serde_json::from_str(r#"{"dense": {"kind": "unet", "widths": [4, 8]}}"#).unwrap();
            let recipe = FusionConfig { network, ..FusionConfig::modality_dropout() };
            trainer.fit(recipe, &Squares::new(SAMPLES as usize, 1), &split).unwrap().save_pretrained(path).unwrap();
        }
        "tables" => {
            let inputs = vec![InputSpec::vector(2), InputSpec::vector(3)];
            let schema = Schema::new(Modalities::new(["gauge", "dial"]).unwrap(), inputs, target.clone()).unwrap();
            let of = |features: u64| (0..SAMPLES * features).map(|i| (i * 7 % 11) as f32).collect::<Vec<f32>>();
            let (presence, labels) = (Presence::uniform(Subset::full(2), SAMPLES as usize), (0..SAMPLES as u32).map(|id| id % 2).collect());
            fit(&TableDataset::new(schema, vec![of(2), of(3)], presence, labels).unwrap());
        }
        "film" => {
            let rows = (0..SAMPLES).map(|id| {
                let frames = folder().join(format!("film{id}"));
                std::fs::create_dir_all(&frames).unwrap();
                (0..3).for_each(|frame| _ = std::fs::copy(machine(folder(), id + frame).0, frames.join(format!("{frame}.png"))).unwrap());
                let csv = folder().join(format!("{id}.csv"));
                std::fs::write(&csv, (0..6).map(|t| format!("{t},{}\n", id * t)).collect::<String>()).unwrap();
                row(id, vec![Some(Origin::file(frames)), Some(Origin::file(csv))])
            });
            let kinds: Vec<Arc<dyn Kind>> = vec![Arc::new(Video::new(2, Image::gray(8)).unwrap()), Arc::new(Series::new(2, 8).unwrap())];
            fit(&files(&["film", "shake"], kinds, rows.collect()));
        }
        _ => {
            let audio: AudioSettings = serde_json::from_str(r#"{"rate": 4000, "seconds": 0.25, "mels": 10}"#).unwrap();
            let kinds: Vec<Arc<dyn Kind>> =
                vec![Arc::new(Image::gray(8)), Arc::new(Audio::new(audio).unwrap()), Arc::new(Text::hashed(32)), Arc::new(Vector::new(2))];
            let rows = (0..SAMPLES).map(|id| {
                let (photo, sound, note, gauge) = machine(folder(), id);
                let origins = [Origin::file(photo), Origin::file(sound), Origin::Text(note), Origin::Numbers(gauge.to_vec())];
                row(id, origins.map(Some).to_vec())
            });
            fit(&files(&["photo", "sound", "note", "gauge"], kinds, rows.collect()));
        }
    }
}

/// A server in this process.
pub struct Running {
    pub client: Client,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

pub fn serve(name: &'static str, settings: Settings) -> Running {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::bind(model(name), Settings { address, threads: 2, ..settings }).unwrap();
    let (client, (end, ended)) = (Client(server.address()), oneshot::channel::<()>());
    let thread = std::thread::spawn(move || server.run(async { _ = ended.await }));
    Running { client, end: Some(end), thread: Some(thread) }
}

impl Running {
    /// Asks it to end, without waiting.
    pub fn end(&mut self) {
        self.end.take().map(|end| end.send(()));
    }

    /// Ends it.
    pub fn ended(mut self) -> Result<(), ServeError> {
        self.end();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}
