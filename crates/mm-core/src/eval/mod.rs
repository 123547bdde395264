//! Evaluation of every modality combination, and the metrics.

mod evaluate;
mod metrics;
mod segmentation;

pub use evaluate::{CombinationEvaluation, Evaluation, default_combinations, evaluate, evaluation_batch};
pub use metrics::{ClassificationMetrics, argmax, classification_metrics, confusion_matrix, divergence, probabilities};
pub use segmentation::{SegmentationMetrics, segmentation_metrics};
