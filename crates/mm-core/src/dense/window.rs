//! Large images, window by window.

use crate::error::{Error, Result};
use candle_core::Tensor;

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Window {
    /// This part of `[batch, channels, height, width]`.
    pub fn of(&self, maps: &Tensor) -> Result<Tensor> {
        Ok(maps.narrow(2, self.top, self.height)?.narrow(3, self.left, self.width)?.contiguous()?)
    }
}

/// Windows of at most `window` (height, width) that cover an image of `size`, in rows, each `step` behind the one before; the last ones
/// end with the image, so all have one size.
pub fn windows(size: (usize, usize), window: (usize, usize), step: (usize, usize)) -> Result<Vec<Window>> {
    if size.0 * size.1 * window.0 * window.1 == 0 {
        return Err(Error::config("window", format!("windows of {window:?} for an image of {size:?}: all sides must be above 0")));
    }
    let (height, width) = (window.0.min(size.0), window.1.min(size.1));
    if !(1..=window.0).contains(&step.0) || !(1..=window.1).contains(&step.1) {
        return Err(Error::config("step", format!("windows of {window:?} are 1 to {window:?} apart, not {step:?}: they would leave gaps")));
    }
    let starts = |size: usize, window: usize, step: usize| -> Vec<usize> {
        let last = size - window;
        (0..last).step_by(step).chain([last]).collect()
    };
    let lefts = starts(size.1, width, step.1);
    let tops = starts(size.0, height, step.0);
    Ok(tops.iter().flat_map(|&top| lefts.iter().map(move |&left| Window { top, left, height, width })).collect())
}

/// Predicts an image of `size` (height, width) in [`windows`], and takes the mean where they overlap.
///
/// `predict` gives the logits `[batch, classes, height, width]` of a window; it crops its sensors with [`Window::of`].
pub fn sliding_window(
    size: (usize, usize),
    window: (usize, usize),
    step: (usize, usize),
    mut predict: impl FnMut(Window) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    let mut count = vec![0f32; size.0 * size.1];
    for window in windows(size, window, step)? {
        let logits = predict(window)?;
        let (batch, classes, height, width) = logits.dims4()?;
        if (height, width) != (window.height, window.width) {
            let expected = format!("[batch, classes, {}, {}], as the window", window.height, window.width);
            return Err(Error::shape("prediction of a window", expected, logits.dims()));
        }
        let total = match &sum {
            Some(total) if total.dims()[..2] == [batch, classes] => total,
            Some(total) => {
                return Err(Error::shape("prediction of a window", format!("{:?} as before", &total.dims()[..2]), logits.dims()));
            }
            None => sum.insert(Tensor::zeros((batch, classes, size.0, size.1), logits.dtype(), logits.device())?),
        };
        let added = (window.of(total)? + &logits)?;
        let (below, right) = (window.top + height, window.left + width);
        let rows = total.narrow(2, window.top, height)?;
        let rows = Tensor::cat(&[&rows.narrow(3, 0, window.left)?, &added, &rows.narrow(3, right, size.1 - right)?], 3)?;
        sum = Some(Tensor::cat(&[&total.narrow(2, 0, window.top)?, &rows, &total.narrow(2, below, size.0 - below)?], 2)?);
        for row in window.top..below {
            count[row * size.1 + window.left..][..width].iter_mut().for_each(|count| *count += 1.0);
        }
    }
    // There is a window at least.
    let Some(sum) = sum else { return Err(Error::config("window", "no window")) };
    let count = Tensor::from_vec(count, (1, 1, size.0, size.1), sum.device())?.to_dtype(sum.dtype())?;
    Ok(sum.broadcast_div(&count)?)
}
