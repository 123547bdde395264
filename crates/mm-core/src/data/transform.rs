//! What is done to a sample between its source and the model, on the CPU.

use super::{Sample, Schema};
use crate::error::Result;

/// Changes a sample; what it draws depends on its [`SampleKey`] only. Geometric ones act on all maps of a sample alike.
pub trait Transform: Send + Sync {
    /// Changes the sample in place.
    fn apply(&self, sample: &mut Sample, schema: &Schema, key: SampleKey) -> Result<()>;

    /// Whether its values may differ from epoch to epoch: what was computed from them must not be kept.
    fn is_random(&self) -> bool {
        true
    }
}

/// What a sample's draws depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleKey {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Number of the sample in its data set.
    pub id: u64,
}
