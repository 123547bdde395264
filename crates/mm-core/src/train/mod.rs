//! The training loop, checkpoints, and what a method has to provide.

mod checkpoint;
mod config;
mod fit;
mod history;
mod losses;
mod method;
mod mixup;
mod observer;
mod trainer;

pub use checkpoint::{Checkpoint, State as CheckpointState, is_checkpoint_name, latest as latest_checkpoint};
pub(crate) use config::check_losses;
pub use config::{BatchNorms, CheckpointConfig, ClassWeights, Selection, TrainConfig};
pub use history::{EpochLog, TrainOutcome};
pub use losses::Losses;
pub use method::{HeldOut, Method, Step};
pub use observer::{Observer, Unobserved};
pub use trainer::Trainer;
