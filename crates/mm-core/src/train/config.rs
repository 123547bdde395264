//! Settings of the training loop.

use crate::data::AugmentConfig;
use crate::error::{Error, Result};
use crate::optim::{OptimizerConfig, Schedule, ScheduleConfig};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples a step.
    pub batch_size: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: ScheduleConfig,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Random transforms of the training images; none by default.
    pub augment: AugmentConfig,
    /// Largest L2 norm of all gradients together, 0 for none; by default what the method asks for ([`Method::clip_norm`](super::Method::clip_norm)).
    pub clip_norm: Option<f64>,
    /// Seed of the initialisation, the order of samples, the masks and all other draws.
    pub seed: u64,
    /// Which epoch's weights are kept.
    pub select: Selection,
    /// Validate every so many epochs; 0: only where `select` or `patience` need it (then every epoch).
    pub validate_every: usize,
    /// Stop after so many validations without a new best mean accuracy over combinations.
    pub patience: Option<usize>,
}

/// Which epoch's weights a run keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The last epoch's.
    #[default]
    Last,
    /// Those with the best mean validation accuracy over combinations.
    BestValidation,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 40,
            batch_size: 64,
            learning_rate: 0.05,
            schedule: ScheduleConfig::default(),
            optimizer: OptimizerConfig::default(),
            augment: AugmentConfig::default(),
            clip_norm: None,
            seed: 0,
            select: Selection::Last,
            validate_every: 0,
            patience: None,
        }
    }
}

/// More epochs than any run takes: a slip of the keyboard.
const MOST_EPOCHS: usize = 1_000_000;

/// More samples than any step takes.
const LARGEST_BATCH: usize = 1 << 20;

impl TrainConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MOST_EPOCHS).contains(&self.epochs) {
            return Err(Error::config("train.epochs", format!("must be 1 to {MOST_EPOCHS}, found {}", self.epochs)));
        }
        if self.batch_size < 2 {
            return Err(Error::config(
                "train.batch_size",
                format!("batch normalisation needs at least 2 samples, found {}", self.batch_size),
            ));
        }
        if self.batch_size > LARGEST_BATCH {
            return Err(Error::config("train.batch_size", format!("must be at most {LARGEST_BATCH}, found {}", self.batch_size)));
        }
        Schedule::new(self.schedule.clone(), self.learning_rate, self.epochs, 1)?;
        self.optimizer.validate()?;
        self.augment.validate()?;
        if self.clip_norm.is_some_and(|norm| !(norm >= 0.0 && norm.is_finite())) {
            return Err(Error::config("train.clip_norm", "must be a positive number, or 0 for no clipping"));
        }
        if self.patience == Some(0) {
            return Err(Error::config("train.patience", "must be at least 1: a run can stop only after a validation without a new best"));
        }
        Ok(())
    }

    /// Whether to validate after `epoch` (from 0).
    pub(crate) fn validates_after(&self, epoch: usize) -> bool {
        let needed = self.select == Selection::BestValidation || self.patience.is_some();
        match (self.validate_every, needed) {
            (0, needed) => needed,
            (every, _) => (epoch + 1).is_multiple_of(every) || epoch + 1 == self.epochs,
        }
    }
}

/// Where and how often a run is saved.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointConfig {
    /// Folder of the checkpoints.
    pub folder: PathBuf,
    /// At most one checkpoint in so many seconds; 0 saves after every epoch.
    pub every_seconds: f64,
    /// What identifies the run (hash of configuration and data): a checkpoint of another one is refused.
    pub fingerprint: String,
}
