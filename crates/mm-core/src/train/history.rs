//! What a training run leaves in numbers and words.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One epoch of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochLog {
    /// From 0.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Mean over the steps of each named term.
    pub losses: BTreeMap<String, f64>,
    /// Mean over combinations of the validation score that selects, where it was measured.
    pub validation_score: Option<f64>,
}

/// What a training run leaves besides the trained method.
#[derive(Debug, Clone)]
pub struct TrainOutcome {
    /// One entry an epoch.
    pub history: Vec<EpochLog>,
    /// Optimizer steps.
    pub steps: u64,
    /// Wall clock of this process, in seconds.
    pub seconds: f64,
    /// Epoch whose weights the method now has.
    pub selected_epoch: usize,
    /// Remarks of the method and of the loop.
    pub notes: Vec<String>,
}
