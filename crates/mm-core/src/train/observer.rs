//! Who watches a training run.

use super::{EpochLog, Step};

/// Is told where a run is: for progress bars, logs and the like. It changes nothing.
pub trait Observer: Send + Sync {
    /// A step begins.
    fn step(&self, _step: &Step) {}

    /// An epoch has ended, of so many.
    fn epoch(&self, _log: &EpochLog, _epochs: usize) {}

    /// The run has ended.
    fn finished(&self) {}
}

/// Watches nothing.
pub struct Unobserved;

impl Observer for Unobserved {}
