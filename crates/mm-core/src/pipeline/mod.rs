//! A trained model with all that it needs to be used: what is saved, shipped and asked.

mod answer;
mod card;
mod config;
mod evaluated;
mod folder;
mod json;
mod latency;

pub use answer::{Answer, Ignored, LARGEST, Prepared, Readings, Reason};
pub use config::{FORMAT, PipelineConfig, TrainingSummary};
pub use evaluated::{CombinationScore, Evaluated};
pub use folder::ModelPlace;
pub use json::ignored_json;
pub use latency::{CombinationLatency, Latency};

use crate::data::kinds::{Kind, SavedKind, Vector};
use crate::data::{
    Array, Cutter, DataError, Folders, InputSpec, Inputs, ManifestColumns, ManifestRows, NonFinite, OnCorrupt, RowSensor, Schema, Source,
    Standardized, Standardizer,
};
use crate::dense::Flipped;
use crate::error::{Error, Result};
use crate::eval::{default_combinations, evaluate, evaluation_batch};
use crate::model::{Model, Output};
use crate::recipe::{AnyRecipe, Recipe, Setup};
use crate::teacher::Teacher;
use crate::train::check_losses;
use crate::weights::{hash_file, write_atomically};
use candle_core::Device;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const CARD: &str = "README.md";

/// A model, the statistics that its inputs are standardized with, what its readings are, and where it comes from.
///
/// It is saved as one folder that knows everything about itself, loaded from that, and asked with whatever sensors are alive, by name.
pub struct Pipeline {
    config: PipelineConfig,
    model: Box<dyn Model>,
    kinds: Vec<Option<Arc<dyn Kind>>>,
    on_corrupt: OnCorrupt,
}

impl Pipeline {
    /// Puts a pipeline together from a trained model.
    pub(crate) fn new(config: PipelineConfig, model: Box<dyn Model>, kinds: Vec<Option<Arc<dyn Kind>>>) -> Self {
        Self { config, model, kinds, on_corrupt: OnCorrupt::Error }
    }

    /// What it reads and predicts.
    pub fn schema(&self) -> &Schema {
        &self.config.schema
    }

    /// Everything about it but the weights.
    pub fn config(&self) -> &PipelineConfig {
        &self.config
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The model as its own type, for what only that can say.
    pub fn model_as<M: Model>(&self) -> Option<&M> {
        let any: &dyn std::any::Any = &*self.model;
        let any = any.downcast_ref::<Flipped>().map_or(any, |flipped| flipped.model());
        any.downcast_ref()
    }

    /// What the training said: mined combinations, the selected epoch, warnings.
    pub fn notes(&self) -> &[String] {
        &self.config.training.notes
    }

    /// Evaluates every combination on some rows of a source of raw data, and remembers the result for the model card.
    pub fn evaluate(&mut self, source: &dyn Source, rows: &[usize]) -> Result<&Evaluated> {
        let standardized = Standardized::new(source, &self.config.standardizer)?.deciding_at(self.schema().threshold())?;
        let combinations = default_combinations(self.schema().modalities.len(), 0);
        let batch = evaluation_batch(self.schema());
        let device = self.model.parameters().device().clone();
        let evaluation = evaluate(&*self.model, standardized.source(), rows, &combinations, batch, &device)?;
        Ok(self.config.evaluation.insert(Evaluated::new(self.schema(), &evaluation)))
    }

    /// Saves it as a folder: `config.json`, `model.safetensors`, and a model card as `README.md`. A folder of other files is refused.
    /// A process that is killed meanwhile leaves the model that was there, or one that is not loaded; the next save replaces it.
    pub fn save_pretrained(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        if ModelPlace::of(folder)? == ModelPlace::Other {
            let problem = "holds other files: give a new or empty folder for the model".into();
            return Err(Error::File { path: folder.into(), problem });
        }
        folder::fill(folder, |saving| {
            self.model.parameters().save(&saving.join(WEIGHTS), |_| true)?;
            write_atomically(&saving.join(CARD), card::text(&self.config, &*self.model).as_bytes())?;
            self.config.write(saving)
        })
    }

    /// Loads a folder that [`Pipeline::save_pretrained`] wrote, of settings of type `R`; it computes on the CPU.
    pub fn from_pretrained_as<R: Recipe>(folder: impl AsRef<Path>) -> Result<Self> {
        let settings = |family: &str, settings: serde_json::Value| match family == R::FAMILY {
            true => serde_json::from_value::<R>(settings).map(|recipe| Some(Box::new(recipe) as Box<dyn AnyRecipe>)),
            false => Ok(None),
        };
        Self::load(folder.as_ref(), &[R::FAMILY], &settings, &Device::Cpu)
    }

    /// Loads a folder that [`Pipeline::save_pretrained`] wrote, of a family of methods that `recipe` knows; the weights are frozen, and on
    /// `device`, where it then computes.
    pub fn load(folder: &Path, families: &[&str], recipe: SavedRecipe, device: &Device) -> Result<Self> {
        if !folder.join(CONFIG).is_file() {
            let problem = format!("is no folder of a saved model: it has no {CONFIG}; `mm train` makes such a folder");
            return Err(Error::File { path: folder.into(), problem });
        }
        let mut config = PipelineConfig::read(&folder.join(CONFIG))?;
        let wrong = |problem: String| Error::File { path: folder.join(CONFIG), problem };
        let recipe = recipe(&config.family, config.settings.clone()).map_err(|e| wrong(format!("its settings cannot be used: {e}")))?;
        let known = || wrong(format!("is a model of `{}`, and this program loads {}", config.family, families.join(", ")));
        let mut model = recipe.ok_or_else(known)?.model(&Setup::new(&config.schema).for_loading().device(device))?;
        let weights = folder.join(WEIGHTS);
        model.parameters().load(&weights)?;
        // Behind the load, which knows a damaged tensor by name.
        let is_other = match config.weights_sha256.take() {
            Some(expected) => hash_file(&weights, |_| {})? != expected,
            // Of an older version, half replaced by a new one.
            None => folder::is_unfinished(folder),
        };
        if is_other {
            let problem = format!(
                "is not the file that {CONFIG} was written with: a save was interrupted, or files of two models were mixed; save the model \
                 again (`mm train --overwrite` goes on where it was interrupted), or, if the weights were changed on purpose, remove \
                 `weights_sha256` from {CONFIG}"
            );
            return Err(Error::File { path: weights, problem });
        }
        model.freeze();
        let kinds = config.kinds.iter().map(|kind| kind.as_ref().map_or(Ok(None), SavedKind::open)).collect::<Result<_>>()?;
        let model = config.training.config.deployed(model);
        Ok(Self::new(config, model, kinds))
    }

    /// The same, asked for mirrored inputs, too ([`TrainConfig::test_flips`](crate::train::TrainConfig::test_flips)); refused where the target is
    /// no class for each pixel.
    pub fn with_test_flips(mut self) -> Result<Self> {
        let config = &mut self.config.training.config;
        config.test_flips = true;
        check_losses(config, &self.config.schema)?;
        self.model = config.deployed(self.model);
        Ok(self)
    }

    /// The same in all quarter turns, too ([`TrainConfig::test_turns`](crate::train::TrainConfig::test_turns)).
    pub fn with_test_turns(mut self) -> Result<Self> {
        let config = &mut self.config.training.config;
        config.test_turns = true;
        check_losses(config, &self.config.schema)?;
        self.model = config.deployed(self.model);
        Ok(self)
    }

    /// Says what the files of a modality hold, where the kind is one of the program's own and the loaded model does not know it.
    pub fn with_kind(mut self, modality: &str, kind: impl Kind + 'static) -> Result<Self> {
        let position = self.schema().modalities.index(modality)?;
        let (expected, found) = (&self.schema().inputs[position], kind.input());
        if *expected != found {
            return Err(Error::shape(format!("kind of `{modality}`"), format!("{:?}", expected.shape), found.shape));
        }
        self.kinds[position] = Some(Arc::new(kind));
        Ok(self)
    }

    /// Takes files of numbers for vectors, too, that were columns of tables in the training, of which no kind is known.
    pub fn with_files_of_vectors(mut self) -> Self {
        let saved = self.config.kinds.iter().zip(&self.config.schema.inputs);
        for (kind, (saved, input)) in self.kinds.iter_mut().zip(saved) {
            // One that is saved and that we do not know is another program's own.
            if kind.is_none() && saved.is_none() && *input == InputSpec::vector(input.elements()) {
                *kind = Some(Arc::new(Vector::new(input.elements())));
            }
        }
        self
    }

    /// Answers for one sample: its readings by name, as many as there are.
    pub fn predict(&self, readings: &Readings) -> Result<Answer> {
        let mut answers = self.predict_all(std::slice::from_ref(readings))?;
        answers.pop().ok_or_else(|| DataError::EmptyBatch.into())
    }

    /// Answers for several samples, in their order.
    pub fn predict_all(&self, samples: &[Readings]) -> Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(samples.len());
        for some in samples.chunks(evaluation_batch(self.schema())) {
            for answer in self.predict_each(some)? {
                answers.push(answer?);
            }
        }
        Ok(answers)
    }

    /// Answers for one batch of samples, in their order; an error of one sample (no sensor of it can be used, a file is damaged) leaves the
    /// others their answers. Files are read on all threads.
    pub fn predict_each(&self, samples: &[Readings]) -> Result<Vec<Result<Answer>>> {
        let prepared: Vec<Result<Prepared>> = match samples {
            [one] => vec![self.prepare(one)],
            several => several.par_iter().map(|readings| self.prepare(readings)).collect(),
        };
        let mut usable = Vec::with_capacity(prepared.len());
        let errors: Vec<Option<Error>> =
            prepared.into_iter().map(|prepared| prepared.map(|prepared| usable.push(prepared)).err()).collect();
        let answers = self.answer(usable)?;
        let mut answers = answers.into_iter();
        let each = errors.into_iter().map(|error| match error {
            Some(error) => Err(error),
            None => answers.next().unwrap_or_else(|| Err(DataError::EmptyBatch.into())),
        });
        Ok(each.collect())
    }

    /// The first half of a prediction: reads files, checks shapes, finds the sensors that cannot be used, standardizes the rest. Many threads
    /// may do this beside the one that computes.
    pub fn prepare(&self, readings: &Readings) -> Result<Prepared> {
        answer::prepare(readings, self)
    }

    /// The second half: answers one batch of prepared samples, in their order.
    pub fn answer(&self, mut prepared: Vec<Prepared>) -> Result<Vec<Result<Answer>>> {
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        let inputs = answer::inputs(&mut prepared, self.schema(), self.model.parameters().device())?;
        let (output, trust) = self.model.predict_with_trust(&inputs)?;
        answer::answers(prepared, &output, trust, self)
    }

    /// The reading of a modality as it is read before it is standardized, such as an image with values from 0 to 1; `None` where it is absent.
    pub fn reading(&self, readings: &Readings, modality: &str) -> Result<Option<Array>> {
        answer::reading_of(readings, modality, self)
    }

    /// The rows of a manifest, or the samples of a folder that is laid out as [`Folders`] or without folders of classes, to be asked one
    /// after another ([`Readings::of_row`]); the table is not kept in memory. `columns` are those of the training
    /// ([`PipelineConfig::columns`]), or others. A model of windows is asked about the windows of each recording.
    pub fn rows(&self, manifest: impl Into<PathBuf>, columns: &ManifestColumns) -> Result<ManifestRows> {
        let manifest = manifest.into();
        let names = self.schema().modalities.names();
        let cutter = columns.windows.map(|windows| Cutter::new(windows, names, &self.kinds, &manifest, self.on_corrupt));
        if manifest.is_dir() {
            let mut folders = Folders::new(&manifest).on_corrupt(self.on_corrupt);
            for (name, kind) in names.iter().zip(&self.kinds) {
                let Some(kind) = kind else { continue };
                folders = folders.kind(name, kind.clone());
                folders = columns.modalities.get(name).into_iter().fold(folders, |folders, folder| folders.folder(folder));
            }
            return Ok(folders.rows(names)?.cut(cutter));
        }
        let wanted = names.iter().zip(&self.schema().inputs).zip(&self.kinds);
        let sensors = wanted.map(|((name, input), kind)| RowSensor::new(name, input, kind.as_deref()));
        Ok(ManifestRows::open(manifest, sensors.collect(), columns, self.on_corrupt)?.cut(cutter))
    }

    /// What to do with a file that is not there or cannot be decoded: by default an error, else its sensor is ignored as
    /// [`Reason::Unreadable`].
    pub fn on_corrupt(self, on_corrupt: OnCorrupt) -> Self {
        Self { on_corrupt, ..self }
    }

    /// Remembers which columns of a manifest hold what.
    pub fn with_columns(mut self, columns: ManifestColumns) -> Self {
        self.config.columns = columns;
        self
    }

    pub(crate) fn corrupt(&self) -> OnCorrupt {
        self.on_corrupt
    }

    /// What it does with readings that are not finite.
    pub fn non_finite(&self) -> NonFinite {
        self.config.non_finite
    }

    pub(crate) fn standardizer(&self) -> &Standardizer {
        &self.config.standardizer
    }

    /// What the readings of the modality at a position are, where that is known.
    pub fn kind(&self, position: usize) -> Option<&dyn Kind> {
        self.kinds.get(position).and_then(Option::as_deref)
    }
}

/// The recipe of a saved model, from its family and settings; `None` for a family that is not known.
pub type SavedRecipe<'r> = &'r dyn Fn(&str, serde_json::Value) -> serde_json::Result<Option<Box<dyn AnyRecipe>>>;

/// A trained model teaches; its students must be standardized alike.
impl Teacher for Pipeline {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        Ok(self.model.predict(inputs)?.detach())
    }

    fn standardizer(&self) -> Option<&Standardizer> {
        Some(&self.config.standardizer)
    }
}
