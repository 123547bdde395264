//! Losses of predictions of every pixel.

use candle_core::{Result, Tensor, bail};

/// The soft Dice loss of a batch: a scalar from 0 (all right) to 1, 1 - 2 sum(p y) / (sum(p) + sum(y)) of each class that the batch shows, and
/// their mean. Sums are over the labelled pixels of all images, p is the probability of the class and y is 1 where it is the truth
/// (Milletari et al., V-Net, 2016, without the squares).
///
/// Logits `[batch, classes, height, width]`; labels u32 `[batch, height, width]`, 0 for void and `k + 1` for class `k`.
pub fn soft_dice(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let (batch, classes, height, width) = logits.dims4()?;
    if labels.dims() != [batch, height, width] {
        bail!("labels {:?} for logits {:?}", labels.dims(), logits.dims());
    }
    let dtype = logits.dtype();
    let labels = labels.unsqueeze(1)?;
    let of_class = Tensor::arange(1u32, classes as u32 + 1, logits.device())?.reshape((1, classes, 1, 1))?;
    let truth = labels.broadcast_eq(&of_class)?.to_dtype(dtype)?;
    let valid = labels.ne(0u32)?.to_dtype(dtype)?;
    let probability = candle_nn::ops::softmax(logits, 1)?.broadcast_mul(&valid)?;
    let sums = |map: &Tensor| map.sum((0, 2, 3));
    let (both, shown) = (sums(&probability.mul(&truth)?)?, sums(&truth)?);
    let occurs = shown.ne(0.0)?.to_dtype(dtype)?;
    // Where a class does not occur, its quotient is left out, and must be a number.
    let all = (sums(&probability)? + &shown)?.maximum(f64::from(f32::MIN_POSITIVE))?;
    let dice = ((both * 2.0)?.div(&all)?.affine(-1.0, 1.0)? * &occurs)?;
    dice.sum_all()?.div(&occurs.sum_all()?.maximum(1.0)?)
}

/// Labels `[batch, height, width]` at `size` (height, width): every 2nd, 4th, 8th, ... label, as many times smaller as `size` is, rounded up.
pub fn coarser_labels(labels: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    let (_, height, width) = labels.dims3()?;
    let mut coarser = labels.clone();
    for (dim, from, to) in [(1, height, size.0), (2, width, size.1)] {
        if !(1..=from).contains(&to) {
            bail!("labels {:?} cannot become {size:?}", labels.dims());
        }
        // The least power of two that makes it small enough.
        let step = (0..).map(|power| 1usize << power).find(|step| to * step >= from).unwrap_or(1);
        if from.div_ceil(step) != to {
            bail!("labels {:?} are not a power of two times larger than {size:?}, rounded up", labels.dims());
        }
        if step > 1 {
            coarser = coarser.index_select(&Tensor::arange_step(0u32, from as u32, step as u32, labels.device())?, dim)?;
        }
    }
    Ok(coarser)
}
