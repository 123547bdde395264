//! Metrics of a segmentation.

use crate::data::DataError;
use crate::error::{Error, Result};

/// Overlap of predicted and true regions over labelled pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationMetrics {
    /// Intersection over union of each class; 0 for a class that neither occurs nor is predicted.
    pub iou: Vec<f64>,
    /// Mean over all classes.
    pub mean_iou: f64,
    /// Share of labelled pixels predicted right.
    pub pixel_accuracy: f64,
}

/// Metrics of predictions `1..=classes` against labels `0..=classes`, 0 being void.
pub fn segmentation_metrics(predictions: &[u32], labels: &[u32], classes: usize) -> Result<SegmentationMetrics> {
    if predictions.len() != labels.len() {
        return Err(Error::shape("predictions", labels.len(), predictions.len()));
    }
    if let Some(&label) = predictions.iter().chain(labels).find(|&&label| label as usize > classes) {
        return Err(DataError::Label { label, classes }.into());
    }
    let (mut intersection, mut union) = (vec![0u64; classes + 1], vec![0u64; classes + 1]);
    let (mut right, mut valid) = (0u64, 0u64);
    for (&prediction, &label) in predictions.iter().zip(labels).filter(|(_, label)| **label != 0) {
        valid += 1;
        union[label as usize] += 1;
        if prediction == label {
            right += 1;
            intersection[label as usize] += 1;
        } else {
            union[prediction as usize] += 1;
        }
    }
    let iou: Vec<f64> = (1..=classes).map(|k| intersection[k] as f64 / union[k].max(1) as f64).collect();
    Ok(SegmentationMetrics {
        mean_iou: iou.iter().sum::<f64>() / classes.max(1) as f64,
        iou,
        pixel_accuracy: right as f64 / valid.max(1) as f64,
    })
}
