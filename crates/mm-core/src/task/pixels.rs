//! A class for each pixel.

use super::classes::{ECE_BINS, LEAST_PROBABILITY};
use super::{Measure, Scored, Scores, Task, check_names};
use crate::data::{DataError, PixelLabels, TargetValue, Targets};
use crate::error::{Error, Result};
use crate::eval::divergence;
use crate::loss::{coarser_labels, entropy_per_sample, pixel_cross_entropy, soft_dice, softened_kl};
use crate::statistics::Score;
use candle_core::{Device, Tensor};
use candle_nn::ops::softmax;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Pixels nearer to a boundary between two classes than this are in its band.
const BAND: usize = 2;

/// A class for each pixel: label `k + 1` is the class with the `k`-th name, 0 is void and counts for nothing. Predictions are logits
/// `[batch, classes, height, width]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelClasses {
    names: Vec<String>,
    /// The class whose IoU is the score; otherwise the mean over all classes is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of_interest: Option<String>,
}

impl PixelClasses {
    /// From the names, in label order.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), of_interest: None }
    }

    /// Makes the IoU of one class the score: where the others are but what surrounds it, as around a flood or a lesion.
    pub fn of_interest(self, class: impl Into<String>) -> Self {
        Self { of_interest: Some(class.into()), ..self }
    }

    fn position_of_interest(&self) -> Option<usize> {
        self.names.iter().position(|name| Some(name) == self.of_interest.as_ref())
    }

    /// Whether a score would be there if a class of interest were named.
    pub(super) fn asks_for_class(&self, score: &str) -> bool {
        self.of_interest.is_none() && MEASURES[..OF_INTEREST].iter().any(|measure| measure.name == score)
    }

    /// The names, in label order.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// So many of them are of a class of interest.
const OF_INTEREST: usize = 2;

/// Of a class of interest, and then of all.
const MEASURES: [Measure; 8] = [
    Measure::share(
        "iou",
        "IoU",
        "intersection over union of the pixels of the class of interest and of those that are called so, over all images",
    ),
    Measure::share(
        "dice",
        "Dice",
        "Dice coefficient (F1) of the class of interest: twice the pixels that are right over those that are of it plus those that \
                  are called so",
    ),
    Measure::share(
        "miou",
        "mean IoU",
        "intersection over union of predicted and true pixels of a class over all images, mean over the classes that occur or are \
                  predicted",
    ),
    Measure::share(
        "mean_dice",
        "mean Dice",
        "Dice coefficient (F1) of a class over all images, mean over the classes that occur or are predicted",
    ),
    Measure::share("pixel_accuracy", "pixel accuracy", "share of labelled pixels that are predicted right"),
    Measure::share("boundary_miou", "boundary IoU", "mean IoU over the pixels within 2 pixels of a boundary between two classes"),
    Measure::error("nll", "log loss", "mean negative log-likelihood of the true class, nats a pixel"),
    Measure::error("ece", "calibration error", "expected calibration error of pixels over 15 equal intervals of confidence"),
];

impl Task for PixelClasses {
    fn outputs(&self) -> usize {
        self.names.len()
    }

    fn check(&self) -> Result<()> {
        check_names(&self.names)?;
        match &self.of_interest {
            Some(class) if self.position_of_interest().is_none() => {
                let problem = format!("there is no class `{class}`; there are: {}", self.names.join(", "));
                Err(Error::config("pixels.of_interest", problem))
            }
            _ => Ok(()),
        }
    }

    fn collate(&self, targets: &[TargetValue], device: &Device) -> Result<Targets> {
        let maps: Vec<&PixelLabels> = targets.iter().map(labels_of).collect::<Result<_>>()?;
        let Some(first) = maps.first() else { return Err(DataError::EmptyBatch.into()) };
        let (height, width) = (first.height(), first.width());
        if let Some(other) = maps.iter().find(|map| (map.height(), map.width()) != (height, width)) {
            return Err(Error::shape("labels of the pixels", format!("[{height}, {width}]"), [other.height(), other.width()]));
        }
        let labels: Vec<u32> = maps.iter().flat_map(|map| map.labels()).map(|&label| u32::from(label)).collect();
        Ok(Targets::new(Tensor::from_vec(labels, (maps.len(), height, width), device)?))
    }

    fn values(&self, targets: &Targets) -> Result<Vec<TargetValue>> {
        let (_, height, width) = targets.values().dims3()?;
        let labels = targets.values().flatten_all()?.to_vec1::<u32>()?;
        let map = |labels: &[u32]| PixelLabels::new(height, width, labels.iter().map(|&label| label as u16).collect());
        labels.chunks_exact((height * width).max(1)).map(|labels| map(labels).map(TargetValue::Pixels)).collect()
    }

    /// Cross entropy over the labelled pixels of the batch, divided by their summed class weight, so that the mean over the samples is that
    /// over the pixels: an image without a labelled pixel has 0. To each the Dice loss of the batch is added, where that has a weight.
    fn loss_per_sample(&self, prediction: &Tensor, targets: &Targets) -> Result<Tensor> {
        loss_of_images(prediction, targets.values(), targets)
    }

    fn loss_of_scales(&self, prediction: &Tensor, coarser: &[Tensor], targets: &Targets) -> Result<Tensor> {
        let mut loss = self.loss(prediction, targets)?;
        for prediction in coarser {
            let (_, _, height, width) = prediction.dims4()?;
            let labels = coarser_labels(targets.values(), (height, width))?;
            loss = (loss + targets.mean(&loss_of_images(prediction, &labels, targets)?)?)?;
        }
        Ok(loss)
    }

    /// Mean entropy of the pixels.
    fn uncertainty(&self, prediction: &Tensor) -> Result<Tensor> {
        let (batch, _, height, width) = prediction.dims4()?;
        Ok(entropy_per_sample(&pixels(prediction)?)?.reshape((batch, height * width))?.mean(1)?)
    }

    fn distillation(&self, student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
        Ok(softened_kl(&pixels(student)?, &pixels(teacher)?, temperature)?)
    }

    /// Mean over the pixels.
    fn divergence(&self, reference: &[f32], prediction: &[f32]) -> f64 {
        let (classes, count) = (self.names.len(), reference.len() / self.names.len().max(1));
        let (mut p, mut q) = (vec![0.0; classes], vec![0.0; classes]);
        let mut sum = 0.0;
        for pixel in 0..count {
            softmax_of(reference, count, pixel, &mut p);
            softmax_of(prediction, count, pixel, &mut q);
            sum += divergence(&p, &q);
        }
        sum / count.max(1) as f64
    }

    fn expectation(&self, prediction: &Tensor) -> Result<Tensor> {
        Ok(softmax(prediction, 1)?)
    }

    /// Log-probabilities, which are logits of the distribution.
    fn of_expectation(&self, mean: &Tensor) -> Result<Tensor> {
        Ok((mean + LEAST_PROBABILITY)?.log()?)
    }

    fn measures(&self) -> &'static [Measure] {
        if self.of_interest.is_some() { &MEASURES } else { &MEASURES[OF_INTEREST..] }
    }

    fn score(&self, measure: &str) -> Option<Score> {
        let classes = self.names.len();
        match (measure, self.position_of_interest()) {
            ("iou", Some(class)) => Some(Score::ClassIou { classes, class }),
            ("miou", _) => Some(Score::MeanIou { classes }),
            _ => None,
        }
    }

    fn scores(&self, _measure: &str) -> Box<dyn Scores> {
        Box::new(PixelScores::new(self.names.len(), self.position_of_interest()))
    }
}

/// The loss of each image for labels of the prediction's size, weighted as the targets say. The Dice loss is one of the whole batch.
fn loss_of_images(prediction: &Tensor, labels: &Tensor, targets: &Targets) -> Result<Tensor> {
    let entropy = pixel_cross_entropy(prediction, labels, targets.options().class_weights.as_ref())?;
    match targets.options().dice {
        0.0 => Ok(entropy),
        weight => Ok(entropy.broadcast_add(&(soft_dice(prediction, labels)? * weight)?)?),
    }
}

/// `[batch, classes, height, width]` as `[batch * height * width, classes]`.
fn pixels(prediction: &Tensor) -> Result<Tensor> {
    Ok(prediction.permute((0, 2, 3, 1))?.flatten(0, 2)?)
}

fn labels_of(target: &TargetValue) -> Result<&PixelLabels> {
    match target {
        TargetValue::Pixels(labels) => Ok(labels),
        _ => Err(DataError::TargetKind { expected: "a class for each pixel" }.into()),
    }
}

/// The probabilities of one pixel from logits `[classes, pixels]`; returns the logarithm of their sum beside the largest, and which that is.
fn softmax_of(logits: &[f32], pixels: usize, pixel: usize, out: &mut [f64]) -> (usize, f64) {
    let at = |class: usize| f64::from(logits[class * pixels + pixel]);
    let best = (1..out.len()).fold(0, |best, class| if at(class) > at(best) { class } else { best });
    let largest = at(best);
    out.iter_mut().enumerate().for_each(|(class, x)| *x = (at(class) - largest).exp());
    let sum: f64 = out.iter().sum();
    out.iter_mut().for_each(|x| *x /= sum);
    (best, sum.ln())
}

/// Scores of images, pixel by pixel, added up in the order of the images.
struct PixelScores {
    images: usize,
    of_interest: Option<usize>,
    /// `[true][predicted]`.
    confusion: Vec<Vec<u64>>,
    /// The same within the bands.
    boundary: Vec<Vec<u64>>,
    nll: f64,
    /// Pixels, right answers and confidence of each bin.
    calibration: Vec<(f64, f64)>,
}

impl PixelScores {
    fn new(classes: usize, of_interest: Option<usize>) -> Self {
        let matrix = vec![vec![0; classes]; classes];
        Self { images: 0, of_interest, confusion: matrix.clone(), boundary: matrix, nll: 0.0, calibration: vec![(0.0, 0.0); ECE_BINS] }
    }
}

impl Scores for PixelScores {
    fn add(&mut self, prediction: &[f32], target: &TargetValue, numbers: &mut Vec<f32>) -> Result<()> {
        let labels = labels_of(target)?;
        let (classes, pixels) = (self.confusion.len(), labels.labels().len());
        if prediction.len() != classes * pixels {
            return Err(Error::shape("logits", format!("[{classes}, {}, {}]", labels.height(), labels.width()), prediction.len()));
        }
        let band = labels.boundary_band(BAND);
        let first = numbers.len();
        numbers.resize(first + 3 * classes, 0.0);
        let (mut nll, mut shares) = (0.0, vec![0.0; classes]);
        for (pixel, (&label, in_band)) in labels.labels().iter().zip(band).enumerate() {
            let Some(actual) = usize::from(label).checked_sub(1) else { continue };
            if actual >= classes {
                return Err(DataError::Label { label: u32::from(label), classes }.into());
            }
            let (predicted, log_sum) = softmax_of(prediction, pixels, pixel, &mut shares);
            nll += log_sum + f64::from(prediction[predicted * pixels + pixel]) - f64::from(prediction[actual * pixels + pixel]);
            self.confusion[actual][predicted] += 1;
            self.boundary[actual][predicted] += u64::from(in_band);
            let (bins, confidence) = (self.calibration.len(), shares[predicted]);
            let bin = &mut self.calibration[((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1];
            bin.0 += f64::from(u8::from(predicted == actual));
            bin.1 += confidence;
            numbers[first + classes + predicted] += 1.0;
            numbers[first + 2 * classes + actual] += 1.0;
            if predicted == actual {
                numbers[first + actual] += 1.0;
            }
        }
        self.images += 1;
        self.nll += nll;
        Ok(())
    }

    fn finish(&self) -> Scored {
        let of = |matrix: &[Vec<u64>], class: usize| {
            let actual: u64 = matrix[class].iter().sum();
            let predicted: u64 = matrix.iter().map(|row| row[class]).sum();
            matrix[class][class] as f64 / (actual + predicted - matrix[class][class]) as f64
        };
        let dice = |iou: f64| 2.0 * iou / (1.0 + iou);
        let mean = |matrix: &[Vec<u64>], measure: &dyn Fn(f64) -> f64| {
            let defined: Vec<f64> = (0..matrix.len()).map(|class| of(matrix, class)).filter(|iou| !iou.is_nan()).collect();
            defined.iter().map(|iou| measure(*iou)).sum::<f64>() / defined.len() as f64
        };
        let of_interest = self.of_interest.map_or(f64::NAN, |class| of(&self.confusion, class));
        let pixels = self.confusion.iter().flatten().sum::<u64>() as f64;
        let right: u64 = (0..self.confusion.len()).map(|class| self.confusion[class][class]).sum();
        let values = BTreeMap::from([
            ("iou", of_interest),
            ("dice", dice(of_interest)),
            ("miou", mean(&self.confusion, &|iou| iou)),
            ("mean_dice", mean(&self.confusion, &dice)),
            ("pixel_accuracy", right as f64 / pixels),
            ("boundary_miou", mean(&self.boundary, &|iou| iou)),
            ("nll", self.nll / pixels),
            ("ece", self.calibration.iter().map(|(right, confidence)| (right - confidence).abs()).sum::<f64>() / pixels),
        ]);
        let values = values.into_iter().filter(|(_, value)| !value.is_nan()).collect();
        Scored { samples: self.images, values, confusion: self.confusion.clone(), ..Scored::default() }
    }
}
