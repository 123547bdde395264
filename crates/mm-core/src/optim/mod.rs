//! Optimizers with state that can be saved, learning-rate schedules, gradient clipping.

mod clip;
mod optimizer;
mod schedule;

pub use clip::clip_gradient_norm;
pub use optimizer::{Optimizer, OptimizerConfig};
pub use schedule::{Schedule, ScheduleConfig};
