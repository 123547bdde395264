//! The training loop, checkpoints, and what a method has to provide.

mod checkpoint;
mod config;
mod method;
mod progress;
mod trainer;

pub use checkpoint::{Checkpoint, State as CheckpointState, latest as latest_checkpoint};
pub use config::{CheckpointConfig, Selection, TrainConfig};
pub use method::{HeldOut, Losses, Method, Step};
pub use progress::Progress;
pub use trainer::{EpochLog, TrainOutcome, fit};
