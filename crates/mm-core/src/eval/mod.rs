//! Evaluation of every modality combination, and the metrics.

mod evaluate;
mod metrics;
mod segmentation;

pub use evaluate::{CombinationEvaluation, Evaluation, default_combinations, evaluate_combinations};
pub use metrics::{ClassificationMetrics, SpoofMetrics, classification_metrics, confusion_matrix, probabilities, spoof_metrics};
pub use segmentation::{SegmentationMetrics, segmentation_metrics};
