//! A label for each pixel of an image.

use super::image::Geometry;
use super::{VOID_COLOUR, class_colour};
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

    /// A PNG file of the number of each pixel's class, from 0, as a palette of the colours of the classes ([`class_colour`]); void is 255, and
    /// black. [`super::LabelMaps`] reads it as it is. With more than 255 classes it is 16-bit gray, and void is 65,535.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        if self.labels.iter().all(|&label| label <= u16::from(u8::MAX)) {
            let palette: Vec<u8> = (0..255).map(class_colour).chain([VOID_COLOUR]).flatten().collect();
            return self.indexed_png(palette, |_, label| label.wrapping_sub(1) as u8);
        }
        let numbers: Vec<u8> = self.labels.iter().flat_map(|label| label.wrapping_sub(1).to_be_bytes()).collect();
        self.png(&numbers, |encoder| {
            encoder.set_color(png::ColorType::Grayscale);
            encoder.set_depth(png::BitDepth::Sixteen);
        })
    }

    /// A PNG file of a palette: of each pixel, by its place and label, the number of its colour.
    pub(super) fn indexed_png(&self, palette: Vec<u8>, number: impl Fn(usize, u16) -> u8) -> Result<Vec<u8>> {
        let numbers: Vec<u8> = self.labels.iter().enumerate().map(|(at, &label)| number(at, label)).collect();
        self.png(&numbers, |encoder| {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(palette);
            // Differences of numbers that stand for names are no smaller than the numbers.
            encoder.set_filter(png::Filter::NoFilter);
        })
    }

    fn png(&self, numbers: &[u8], form: impl FnOnce(&mut png::Encoder<&mut Vec<u8>>)) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_compression(png::Compression::High);
        form(&mut encoder);
        let problem = |error: png::EncodingError| Error::config("label map", error.to_string());
        encoder.write_header().and_then(|mut writer| writer.write_image_data(numbers)).map_err(problem)?;
        Ok(bytes)
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

    /// Brought to another size: each pixel is the nearest, never a mixture.
    pub fn resized(&self, height: usize, width: usize) -> Result<Self> {
        if (height, width) == (self.height, self.width) {
            return Ok(self.clone());
        }
        let nearest = |i: usize, from: usize, to: usize| ((2 * i + 1) * from / (2 * to)).min(from - 1);
        let rows = (0..height).map(|y| nearest(y, self.height, height) * self.width);
        let places = rows.flat_map(|row| (0..width).map(move |x| row + nearest(x, self.width, width)));
        Self::new(height, width, places.map(|at| self.labels[at]).collect())
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
        widened(&along, height, width, distance)
    }
}

/// Marks all pixels within `distance` (rows or columns, whichever is more) of a marked one.
pub(crate) fn widened(marks: &[bool], height: usize, width: usize, distance: usize) -> Vec<bool> {
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
    let rows = spread(marks, 1, &|at| at % width, width);
    spread(&rows, width, &|at| at / width, height)
}
