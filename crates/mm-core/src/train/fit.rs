//! From data and settings to a model that can be used.

use super::{CheckpointConfig, Method, Trainer};
use crate::data::{Source, Split, Standardized, Standardizer};
use crate::error::{Error, Result};
use crate::eval::{ChosenThreshold, choose_threshold};
use crate::model::Model;
use crate::pipeline::{Pipeline, PipelineConfig, TrainingSummary};
use crate::recipe::{AnyRecipe, Recipe, Setup};
use crate::teacher::Teacher;
use crate::weights::pretrained_hash;
use sha2::{Digest, Sha256};
use std::path::Path;

impl Trainer {
    /// Trains a model on a source of raw data: fits the statistics that standardize it, builds the method, trains it, and puts it into a
    /// [`Pipeline`]. Samples of the test part are not looked at.
    pub fn fit(&self, recipe: impl Recipe, source: &dyn Source, split: &Split) -> Result<Pipeline> {
        self.fit_any(&recipe, None, source, split)
    }

    /// As [`Trainer::fit`], with the help of a teacher that was trained on the same samples.
    pub fn fit_taught(&self, recipe: impl Recipe, teacher: Pipeline, source: &dyn Source, split: &Split) -> Result<Pipeline> {
        self.fit_any(&recipe, Some(teacher), source, split)
    }

    /// The same for a recipe whose type is not known.
    pub fn fit_any(&self, recipe: &dyn AnyRecipe, teacher: Option<Pipeline>, source: &dyn Source, split: &Split) -> Result<Pipeline> {
        recipe.validate()?;
        let standardizer = Standardizer::fit(source, &split.train)?;
        if let Some(of_teacher) = teacher.as_ref().and_then(|teacher| Teacher::standardizer(teacher))
            && *of_teacher != standardizer
        {
            let problem = "was trained on other samples, which were standardized with other statistics: train it on the same training part";
            return Err(Error::config("teacher", problem));
        }
        let standardized = Standardized::new(source, &standardizer)?;
        let schema = standardized.source().schema();
        let settings = recipe.settings()?;
        let weights = recipe.network().pretrained_weights().map(|weights| pretrained_hash(Path::new(&weights.from)));
        let weights = weights.collect::<Result<Vec<String>>>()?;
        let mut parts = vec![
            serde_json::to_string(&settings),
            serde_json::to_string(self.config()),
            serde_json::to_string(schema),
            serde_json::to_string(&(&split.train, &split.validation)),
            serde_json::to_string(&standardizer),
            serde_json::to_string(&weights),
        ];
        parts.push(Ok(told(source, split)?));
        // Other devices round otherwise: a run does not move between them.
        if !self.device.is_cpu() {
            parts.push(Ok(format!("{:?}", self.device.location())));
        }
        let fingerprint = fingerprint(&parts)?;
        let setup = Setup::new(schema).seed(self.config().seed).device(&self.device);
        let teacher = teacher.map(|teacher| Box::new(teacher) as Box<dyn Teacher>);
        let mut method: Box<dyn Method> = recipe.method(&setup, teacher)?;
        let trainer = match &self.checkpoints {
            // Runs of one folder do not meet: each has its own below it.
            Some(checkpoints) => self.clone().checkpoints(CheckpointConfig {
                folder: checkpoints.folder.join(&fingerprint[..16]),
                // What the caller adds is refused, and not begun anew: it may have been changed by mistake.
                fingerprint: format!("{fingerprint}{}", checkpoints.fingerprint),
                ..*checkpoints
            }),
            None => self.clone(),
        };
        let outcome = trainer.run(&mut *method, standardized.source(), &split.train, &split.validation)?;
        let (threshold, note) = self.threshold(method.model(), standardized.source(), &split.validation)?;
        let schema = schema.clone().deciding_at(threshold)?;
        let mut training = TrainingSummary::new(self.config(), split.train.len(), &outcome, &fingerprint);
        training.data = source.as_table().map(|table| table.content_hash()).transpose()?;
        training.test = Some(split.test_hash(source));
        training.notes.extend(note.into_iter().chain(recipe.begins_too_late(self.config().epochs)));
        let config = PipelineConfig::of_trained(recipe, schema, source, standardizer, training)?;
        let model = config.training.config.deployed(method.into_model());
        Ok(Pipeline::new(config, model, source.kinds()))
    }
}

impl Trainer {
    /// The threshold that [`TrainConfig::threshold_by`](super::TrainConfig::threshold_by) asks for, chosen on validation rows of a standardized source, and what to say of it.
    pub fn threshold(&self, model: &dyn Model, source: &dyn Source, validation: &[usize]) -> Result<(Option<f64>, Option<String>)> {
        let Some(by) = self.config().threshold_by.as_deref() else { return Ok((None, None)) };
        let Some(chosen) = choose_threshold(model, source, validation, by)? else {
            let note = format!("no threshold was chosen by {by}: the validation samples that can be predicted are of one class");
            return Ok((None, Some(note)));
        };
        let ChosenThreshold { probability, score, samples } = chosen;
        let class = source.schema().target.class_names().get(1).cloned().unwrap_or_default();
        let note = format!(
            "`{class}` is predicted from a probability of {} on: the largest {by} ({score:.3}) of {samples} validation samples",
            in_digits(probability)
        );
        Ok((Some(probability), Some(note)))
    }
}

/// Four decimals of a probability, or three digits of what it or the rest to 1 is where that is smaller than they show.
fn in_digits(probability: f64) -> String {
    let rest = 1.0 - probability;
    match () {
        _ if probability < 1e-3 => format!("{probability:.2e}"),
        _ if rest < 1e-3 && rest > 0.0 => format!("{probability:.*}", 2 + (-rest.log10().floor()) as usize),
        _ => format!("{probability:.4}"),
    }
}

/// What a source says of the samples that a training goes by, beside their readings: what is to be predicted, and how much each counts. Of a table
/// it says everything.
fn told(source: &dyn Source, split: &Split) -> Result<String> {
    if let Some(table) = source.as_table() {
        return table.content_hash();
    }
    let mut told = String::new();
    for &row in split.train.iter().chain(&split.validation) {
        let meta = source.meta(row);
        told += &format!("{:?}\0{:?}\0{:?}\0{:?}\0", meta.id, meta.presence, meta.class, meta.weight);
        // Maps of classes are large, and read where they are needed.
        if !source.schema().target.is_dense() {
            told += &format!("{:?}\0", source.target(row)?);
        }
    }
    Ok(told)
}

/// SHA-256 of the parts, in hexadecimal.
fn fingerprint(parts: &[serde_json::Result<String>]) -> Result<String> {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref().map_err(|e| Error::config("settings", e.to_string()))?;
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
