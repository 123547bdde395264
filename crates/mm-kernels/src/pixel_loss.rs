//! Softmax cross entropy of maps, each pixel read once forward and once backward.

use crate::error::{Error, Result, check_length as check};
use crate::math::exp;
use crate::simd::{Level, vectorize};
use crate::threads::{Shared, for_each, for_each_of};

/// Pixels that a task takes at a time: their classes fit into a core's cache.
const CHUNK: usize = 1024;

/// What one number costs, in multiply-adds: for the choice of threads.
const WORK: usize = 32;

/// Logits `[images, classes, pixels]` and a label for every pixel: 0 for void, which counts nothing, and `k + 1` for class `k`.
#[derive(Debug, Clone, Copy)]
pub struct PixelLoss<'a> {
    /// Images, classes, and pixels of an image.
    pub shape: [usize; 3],
    /// `[images, pixels]`.
    pub labels: &'a [u32],
    /// The weight of each class; 1 where there are none.
    pub class_weights: Option<&'a [f32]>,
}

/// Of an image: the weighted sum of `-log softmax(logits)[class]` over its pixels, and the sum of the weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ImageLoss {
    /// Sum of the losses times their weights.
    pub sum: f64,
    /// Sum of the weights.
    pub weight: f64,
}

impl PixelLoss<'_> {
    fn check(&self, logits: usize) -> Result<()> {
        let [images, classes, pixels] = self.shape;
        check("logits", images * classes * pixels, logits)?;
        check("labels", images * pixels, self.labels.len())?;
        check("class weights", classes, self.class_weights.map_or(classes, <[f32]>::len))?;
        match self.labels.iter().find(|&&label| label as usize > classes) {
            Some(label) => Err(Error::Shape(format!("label {label} of {classes} classes, which have 1 to {classes}"))),
            None => Ok(()),
        }
    }

    fn weight(&self, label: u32) -> f32 {
        match (label, self.class_weights) {
            (0, _) => 0.0,
            (_, None) => 1.0,
            (label, Some(weights)) => weights[label as usize - 1],
        }
    }

    /// Chunks of an image, and the pixels of one.
    fn chunks(&self) -> (usize, impl Fn(usize) -> (usize, usize, usize)) {
        let pixels = self.shape[2];
        let chunks = pixels.div_ceil(CHUNK);
        (chunks, move |task| (task / chunks, task % chunks * CHUNK, CHUNK.min(pixels - task % chunks * CHUNK)))
    }

    /// The loss of each image; `log_sums [images, pixels]` becomes the logarithm of the exponentials' sum at each pixel. NaN stays NaN where
    /// a pixel is not void.
    pub fn forward(&self, logits: &[f32], log_sums: &mut [f32]) -> Result<Vec<ImageLoss>> {
        self.check(logits.len())?;
        check("logarithms", self.labels.len(), log_sums.len())?;
        let [images, classes, pixels] = self.shape;
        let level = Level::current();
        let (chunks, place) = self.chunks();
        let mut losses = vec![ImageLoss::default(); images * chunks];
        let shared = Shared::new(log_sums);
        for_each_of(losses.iter_mut().enumerate().collect(), logits.len() * WORK, |(task, loss): (usize, &mut ImageLoss)| {
            let (image, first, count) = place(task);
            let class = |class: usize| &logits[(image * classes + class) * pixels + first..][..count];
            // SAFETY: tasks own different pixels.
            let log_sums = unsafe { shared.range(image * pixels + first, count) };
            vectorize(
                level,
                #[inline(always)]
                || log_sum_loop(classes, class, log_sums),
            );
            for (i, &label) in self.labels[image * pixels + first..][..count].iter().enumerate().filter(|(_, label)| **label > 0) {
                let weight = f64::from(self.weight(label));
                loss.sum += weight * f64::from(log_sums[i] - class(label as usize - 1)[i]);
                loss.weight += weight;
            }
        });
        let add = |a: ImageLoss, b: &ImageLoss| ImageLoss { sum: a.sum + b.sum, weight: a.weight + b.weight };
        Ok((0..images).map(|image| losses[image * chunks..][..chunks].iter().fold(ImageLoss::default(), add)).collect())
    }

    /// Gradient of the sum of the images' losses times `scales [images]`, from the logarithms that [`forward`](Self::forward) found.
    pub fn backward(&self, logits: &[f32], log_sums: &[f32], scales: &[f32], gradient: &mut [f32]) -> Result<()> {
        self.check(logits.len())?;
        check("gradient", logits.len(), gradient.len())?;
        check("logarithms", self.labels.len(), log_sums.len())?;
        let [images, classes, pixels] = self.shape;
        check("scales", images, scales.len())?;
        let level = Level::current();
        let (chunks, place) = self.chunks();
        let shared = Shared::new(gradient);
        for_each(images * chunks, logits.len() * WORK, |task| {
            let (image, first, count) = place(task);
            let labels = &self.labels[image * pixels + first..][..count];
            let log_sums = &log_sums[image * pixels + first..][..count];
            let mut scale = [0.0; CHUNK];
            for (scale, &label) in scale.iter_mut().zip(labels) {
                *scale = scales[image] * self.weight(label);
            }
            for class in 0..classes {
                let at = (image * classes + class) * pixels + first;
                // SAFETY: tasks own different pixels.
                let gradient = unsafe { shared.range(at, count) };
                vectorize(
                    level,
                    #[inline(always)]
                    || gradient_loop(&logits[at..][..count], log_sums, &scale, gradient),
                );
                let of_class = labels.iter().zip(&scale).zip(gradient).filter(|((label, _), _)| **label as usize == class + 1);
                of_class.for_each(|((_, scale), gradient)| *gradient -= scale);
            }
        });
        Ok(())
    }
}

#[inline(always)]
fn log_sum_loop<'a>(classes: usize, class: impl Fn(usize) -> &'a [f32], log_sums: &mut [f32]) {
    log_sums.fill(f32::NEG_INFINITY);
    for c in 0..classes {
        for (largest, x) in log_sums.iter_mut().zip(class(c)) {
            *largest = if *x > *largest { *x } else { *largest };
        }
    }
    let mut sums = [0.0; CHUNK];
    for c in 0..classes {
        for ((sum, largest), x) in sums.iter_mut().zip(&*log_sums).zip(class(c)) {
            *sum += exp(x - largest);
        }
    }
    for (log_sum, sum) in log_sums.iter_mut().zip(sums) {
        *log_sum += sum.ln();
    }
}

#[inline(always)]
fn gradient_loop(logits: &[f32], log_sums: &[f32], scales: &[f32], gradient: &mut [f32]) {
    for (((to, x), log_sum), scale) in gradient.iter_mut().zip(logits).zip(log_sums).zip(scales) {
        *to = scale * exp(x - log_sum);
    }
}
