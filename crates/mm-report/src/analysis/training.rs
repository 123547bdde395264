//! The training history, averaged over the seeds.

use super::outcomes::Group;
use mm_core::statistics::mean;
use serde::{Deserialize, Serialize};

/// The loss that is drawn: the weighted sum of all terms.
const TOTAL: &str = "total";

/// One epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochMean {
    /// From 0.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: Option<f64>,
    /// Mean validation score over combinations.
    pub validation_score: Option<f64>,
}

/// Means over the seeds that reached each epoch.
pub fn history(group: &Group) -> Vec<EpochMean> {
    let records = || group.cells.iter().flat_map(|c| &c.result.epochs);
    let average = |values: Vec<f64>| (!values.is_empty() && values.iter().all(|v| v.is_finite())).then(|| mean(&values));
    super::distinct_sorted(records().map(|r| r.epoch))
        .into_iter()
        .map(|epoch| {
            let here = || records().filter(|r| r.epoch == epoch);
            EpochMean {
                epoch,
                loss: average(here().filter_map(|r| r.losses.get(TOTAL).copied()).collect()),
                validation_score: average(here().filter_map(|r| r.validation_score).collect()),
            }
        })
        .collect()
}
