//! Optimizers with state that can be saved, learning-rate schedules, gradient clipping, averages of weights.

mod clip;
mod optimizer;
mod schedule;
mod weight_average;
mod written;

pub use clip::clip_gradient_norm;
pub use optimizer::{Optimizer, OptimizerConfig};
pub use schedule::{Schedule, ScheduleConfig};
pub use weight_average::WeightAverage;
pub(crate) use written::written;
