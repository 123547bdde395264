//! A label for each pixel of an image.

use super::image::Geometry;
use crate::error::{Error, Result};
use std::sync::Arc;

/// The class of each pixel: `k + 1` for class `k`, 0 for void (not labelled, counts for nothing). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelLabels {
    height: usize,
    width: usize,
    labels: Arc<[u16]>,
}

impl PixelLabels {
    /// From the labels, row by row.
    pub fn new(height: usize, width: usize, labels: Vec<u16>) -> Result<Self> {
        match labels.len() == height * width && !labels.is_empty() {
            true => Ok(Self { height, width, labels: labels.into() }),
            false => Err(Error::shape("labels of the pixels", format!("{height} x {width}"), labels.len())),
        }
    }

    /// The most likely class of each pixel, from logits `[classes, height, width]`.
    pub fn of_logits(logits: &[f32], height: usize, width: usize) -> Result<Self> {
        let pixels = height * width;
        let classes = logits.len() / pixels.max(1);
        let at = |pixel: usize, class: usize| logits[class * pixels + pixel];
        let best = |pixel: usize| (1..classes).fold(0, |best, class| if at(pixel, class) > at(pixel, best) { class } else { best });
        Self::new(height, width, (0..pixels).map(|pixel| best(pixel) as u16 + 1).collect())
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row by row.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// The same after a geometric change: each pixel is its nearest, and void where it comes from outside.
    pub fn changed(&self, geometry: &Geometry) -> Self {
        let labels = geometry.apply_to_labels(&self.labels, self.height, self.width, 0);
        Self { labels: labels.into(), ..*self }
    }

    /// Which pixels are within `distance` (rows or columns, whichever is more) of one whose right or lower neighbour is of another class.
    /// Void makes no boundary.
    pub fn boundary_band(&self, distance: usize) -> Vec<bool> {
        let (height, width) = (self.height, self.width);
        let mut along = vec![false; height * width];
        let differ = |a: usize, b: usize| self.labels[a] != self.labels[b] && self.labels[a] != 0 && self.labels[b] != 0;
        for y in 0..height {
            for x in 0..width {
                let at = y * width + x;
                for next in [(x + 1 < width).then(|| at + 1), (y + 1 < height).then(|| at + width)].into_iter().flatten() {
                    if differ(at, next) {
                        (along[at], along[next]) = (true, true);
                    }
                }
            }
        }
        // One direction after the other: a square around each.
        let spread = |marks: &[bool], step: usize, place: &dyn Fn(usize) -> usize, side: usize| {
            let mut wide = vec![false; marks.len()];
            for at in (0..marks.len()).filter(|&at| marks[at]) {
                let here = place(at);
                for to in here.saturating_sub(distance)..=(here + distance).min(side - 1) {
                    wide[at - here * step + to * step] = true;
                }
            }
            wide
        };
        let rows = spread(&along, 1, &|at| at % width, width);
        spread(&rows, width, &|at| at / width, height)
    }
}
