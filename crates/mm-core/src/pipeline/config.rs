//! `config.json`: everything about a saved model but its weights.

use super::{CONFIG, Evaluated, Latency, WEIGHTS};
use crate::data::kinds::SavedKind;
use crate::data::{ManifestColumns, NonFinite, Schema, Source, Standardizer};
use crate::error::{Error, Result};
use crate::recipe::AnyRecipe;
use crate::train::{TrainConfig, TrainOutcome};
use crate::weights::{hash_file, write_atomically};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version of the form of `config.json`.
pub const FORMAT: u32 = 1;

/// Everything about a saved model but its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PipelineConfig {
    /// Version of this form.
    pub format: u32,
    /// Version of the program that wrote it.
    pub library: String,
    /// Family of the method, such as `mmanet`.
    pub family: String,
    /// All settings of the method.
    pub settings: serde_json::Value,
    /// What the model reads and predicts, class names included.
    pub schema: Schema,
    /// What the readings of each modality are, where the source said it.
    pub kinds: Vec<Option<SavedKind>>,
    /// Statistics that readings are standardized with.
    pub standardizer: Standardizer,
    /// What to do with readings that hold NaN or an infinity.
    #[serde(default)]
    pub non_finite: NonFinite,
    /// Which columns of a manifest hold what.
    #[serde(default, skip_serializing_if = "ManifestColumns::is_default")]
    pub columns: ManifestColumns,
    /// Where it comes from.
    pub training: TrainingSummary,
    /// What it reached, where it was evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluated>,
    /// How long a prediction takes, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// SHA-256 of the file of weights beside it, in the file; configurations of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
}

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrainingSummary {
    /// Settings of the training.
    pub config: TrainConfig,
    /// Training samples.
    pub samples: usize,
    /// Optimizer steps.
    pub steps: u64,
    /// SHA-256 of what identifies the run: settings, schema and which samples trained.
    pub fingerprint: String,
    /// SHA-256 of the data, where the source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Which samples were left for the test: [`Split::test_hash`](crate::data::Split::test_hash).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// What the training said.
    pub notes: Vec<String>,
}

impl TrainingSummary {
    /// Of a training on so many samples, identified by `fingerprint`.
    pub fn new(config: &TrainConfig, samples: usize, outcome: &TrainOutcome, fingerprint: &str) -> Self {
        let (steps, notes) = (outcome.steps, outcome.notes.clone());
        Self { config: config.clone(), samples, steps, fingerprint: fingerprint.into(), data: None, test: None, notes }
    }
}

impl PipelineConfig {
    /// Of a model that was trained on a source of raw data, which was standardized so; `schema` is what the model reads and predicts.
    pub fn of_trained(
        recipe: &dyn AnyRecipe,
        schema: Schema,
        source: &dyn Source,
        standardizer: Standardizer,
        training: TrainingSummary,
    ) -> Result<Self> {
        Ok(Self {
            format: FORMAT,
            library: env!("CARGO_PKG_VERSION").into(),
            family: recipe.family().into(),
            settings: recipe.settings()?,
            schema,
            kinds: source.kinds().iter().map(|kind| kind.as_deref().map(SavedKind::of)).collect(),
            standardizer,
            non_finite: NonFinite::Absent,
            columns: ManifestColumns::default(),
            training,
            evaluation: None,
            latency: None,
            weights_sha256: None,
        })
    }

    /// Writes it beside the model's weights, `model.safetensors`: then the folder is that of a saved model.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let weights_sha256 = Some(hash_file(&folder.join(WEIGHTS), |_| {})?);
        write_atomically(&folder.join(CONFIG), Self { weights_sha256, ..self.clone() }.to_json()?.as_bytes())
    }

    /// Reads a file; one of a newer form is refused.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::File { path: path.into(), problem };
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| wrong(format!("is no JSON: {e}")))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        match format {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => {
                let problem = format!("has format {format}, and this program reads format {FORMAT}: update the one that is older");
                return Err(wrong(problem));
            }
            None => return Err(wrong("is no model of ours: it has no `format`".into())),
        }
        let config: Self = serde_json::from_value(value).map_err(|e| wrong(format!("is damaged: {e}")))?;
        config.schema.check()?;
        config.standardizer.check(&config.schema)?;
        match config.kinds.len() == config.schema.modalities.len() {
            true => Ok(config),
            false => Err(wrong(format!("is damaged: {} kinds for {} modalities", config.kinds.len(), config.schema.modalities.len()))),
        }
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::config("config.json", e.to_string()))
    }
}
