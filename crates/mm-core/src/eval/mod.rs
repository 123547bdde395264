//! Evaluation of every modality combination and of what samples have, and the metrics.

mod available;
mod evaluate;
mod metrics;
mod segmentation;
mod threshold;

pub use available::{AvailableEvaluation, RemovedEvaluation, evaluate_available};
pub use evaluate::{CombinationEvaluation, Evaluation, default_combinations, evaluate, evaluation_batch};
pub use metrics::{ClassificationMetrics, argmax, classification_metrics, confusion_matrix, divergence, probabilities};
pub use segmentation::{SegmentationMetrics, segmentation_metrics};
pub(crate) use threshold::check_threshold_by;
pub use threshold::{ChosenThreshold, choose_threshold, decide};
