//! What a run costs.

use super::outcomes::Group;
use crate::result::Cost;
use mm_core::statistics::mean;
use serde::{Deserialize, Serialize};

/// Means over the cells of a run; memory is the highest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostReport {
    /// Training, seconds of wall clock.
    pub train_seconds: f64,
    /// Evaluation of all combinations, seconds of wall clock.
    pub evaluation_seconds: f64,
    /// Whole process.
    pub total_seconds: f64,
    /// Encoder runs of the evaluation for each test batch.
    pub encoder_passes_per_batch: f64,
    /// Numbers trained.
    pub trained_parameters: usize,
    /// Numbers in the deployed model.
    pub deployed_parameters: usize,
    /// Highest peak of resident memory.
    pub peak_memory_bytes: Option<u64>,
}

/// Summarises the cost of a run; `None` if none of its cells says what it cost.
pub fn cost(group: &Group) -> Option<CostReport> {
    let costs: Vec<&Cost> = group.cells.iter().filter_map(|c| c.result.cost.as_ref()).collect();
    if costs.is_empty() {
        return None;
    }
    let average = |of: fn(&Cost) -> f64| mean(&costs.iter().map(|c| of(c)).collect::<Vec<_>>());
    let most = |of: fn(&Cost) -> usize| costs.iter().map(|c| of(c)).max().unwrap_or(0);
    Some(CostReport {
        train_seconds: average(|c| c.train_seconds),
        evaluation_seconds: average(|c| c.evaluation_seconds),
        total_seconds: average(|c| c.total_seconds),
        encoder_passes_per_batch: average(|c| c.evaluation_encoder_passes as f64 / c.evaluation_batches.max(1) as f64),
        trained_parameters: most(|c| c.trained_parameters),
        deployed_parameters: most(|c| c.deployed_parameters),
        peak_memory_bytes: costs.iter().filter_map(|c| c.peak_memory_bytes).max(),
    })
}
