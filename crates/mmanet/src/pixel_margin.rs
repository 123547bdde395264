//! Margin-aware distillation where every pixel is a sample.

use crate::margin::margin_weights;
use crate::{Weighting, margin_aware_distillation};
use candle_core::Tensor;
use mm_core::loss::entropy_per_sample;
use mm_core::nn::adaptive_avg_pool2d;
use mm_core::{Error, Result};

/// Rows whose similarities have a mean square below this count as zeros, where features have a mean square of 1.
const ZERO: f64 = 1e-12;

/// Larger maps are averaged down to this height and width.
const LARGEST: (usize, usize) = (30, 40);

/// The sum of [`margin_aware_distillation`] over maps of several depths, of which every pixel is a sample; maps larger than 30x40 are averaged down to
/// that.
///
/// `student` and `teacher` are maps `[batch, channels, height, width]` of the same depths (channels may differ), such as
/// [`mm_core::model::Output::features`]. A pixel's margin is the entropy of the teacher's class scores `[batch, classes, height, width]`, averaged to the
/// size of the maps. (The published code takes the softmax of a feature map there, not of class scores.) The teacher gets no gradient.
///
/// No matrix of pixels by pixels is made, see [`margin_aware_distillation_of_many`].
pub fn pixel_margin_distillation(student: &[Tensor], teacher: &[Tensor], teacher_logits: &Tensor, weighting: Weighting) -> Result<Tensor> {
    if student.len() != teacher.len() || student.is_empty() {
        return Err(Error::shape("teacher", format!("maps of {} depths, one at least", student.len()), teacher.len()));
    }
    let mut sum: Option<Tensor> = None;
    for (student, teacher) in student.iter().zip(teacher) {
        let (batch, _, height, width) = student.dims4()?;
        let (theirs, _, rows, columns) = teacher.dims4()?;
        if (theirs, rows, columns) != (batch, height, width) {
            return Err(Error::shape("teacher", format!("[{batch}, channels, {height}, {width}], as the student's map"), teacher.dims()));
        }
        let size = (height.min(LARGEST.0), width.min(LARGEST.1));
        let uncertainty = entropy_per_sample(&pixels(&teacher_logits.detach(), size)?)?;
        let level = margin_aware_distillation_of_many(&pixels(student, size)?, &pixels(&teacher.detach(), size)?, &uncertainty, weighting)?;
        sum = Some(match sum {
            None => level,
            Some(sum) => (sum + level)?,
        });
    }
    sum.ok_or_else(|| Error::shape("student", "maps of a depth at least", student.len()))
}

/// `[batch, channels, ..]` averaged to `size`, as rows: `[batch * height * width, channels]`.
fn pixels(maps: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
    let (batch, channels, rows, columns) = maps.dims4()?;
    let maps = if (rows, columns) == (height, width) { maps.clone() } else { adaptive_avg_pool2d(maps, (height, width))? };
    Ok(maps.permute((0, 2, 3, 1))?.reshape((batch * height * width, channels))?)
}

/// [`margin_aware_distillation`] of many samples with few features, `[samples, features]`: the same value, in memory of samples times features.
///
/// With `G = F Fᵀ` all it needs are sums along rows of products of similarities, and `Σ_j (f_i·f_j)(t_i·t_j) = f_iᵀ (Fᵀ T) t_i`: matrices of
/// features by features take the place of those of samples by samples. With fewer samples than features the direct form is the smaller one, and is
/// taken.
pub fn margin_aware_distillation_of_many(student: &Tensor, teacher: &Tensor, uncertainty: &Tensor, weighting: Weighting) -> Result<Tensor> {
    let ((samples, ours), (others, theirs)) = (student.dims2()?, teacher.dims2()?);
    if others != samples || uncertainty.dims() != [samples] {
        return Err(Error::shape("teacher", format!("[{samples}, ..]"), (teacher.dims(), uncertainty.dims())));
    }
    if samples <= ours.max(theirs) {
        return margin_aware_distillation(student, teacher, uncertainty, weighting);
    }
    let (f, t) = (scaled(student)?, scaled(&teacher.detach())?);
    let weight = margin_weights(&uncertainty.detach())?;
    // `Σ_j w_j (a_i·a_j)(b_i·b_j)` for every i, over the number of samples.
    let products = |a: &Tensor, b: &Tensor, weight: Option<&Tensor>| -> Result<Tensor> {
        let weighted = weight.map(|weight| a.broadcast_mul(&weight.unsqueeze(1)?)).transpose()?;
        let gram = (weighted.as_ref().unwrap_or(a).t()?.matmul(b)? / samples as f64)?;
        Ok(a.matmul(&gram)?.mul(b)?.sum(1)?)
    };
    let (f_squares, t_squares) = (products(&f, &f, None)?, products(&t, &t, None)?);
    // A row of zeros, as ReLU makes them, is like no other: its part is 0, and so is its gradient. What is divided by its norm would be huge.
    let alive = |squares: &Tensor| squares.detach().gt(ZERO);
    let (f_alive, t_alive) = (alive(&f_squares)?, alive(&t_squares)?);
    let norm = |squares: &Tensor, alive: &Tensor| -> Result<Tensor> { Ok(alive.where_cond(squares, &squares.ones_like()?)?.sqrt()?) };
    let (f_norm, t_norm) = (norm(&f_squares, &f_alive)?, norm(&t_squares, &t_alive)?);
    let only = |alive: &Tensor, values: Tensor| -> Result<Tensor> { Ok(alive.where_cond(&values, &values.zeros_like()?)?) };
    let cosine = |weight: Option<&Tensor>| only(&t_alive, only(&f_alive, products(&f, &t, weight)?.div(&(&f_norm * &t_norm)?)?)?);
    let rows = match weighting {
        Weighting::Sample => {
            // The squared length of a normalised row: 1, or 0 of a row of zeros.
            let length = |alive: &Tensor| alive.to_dtype(f.dtype());
            (length(&f_alive)? + length(&t_alive)? - (cosine(None)? * 2.0)?)?.mul(&weight)?
        }
        Weighting::Reference => {
            let square = |a: &Tensor, norm: &Tensor, alive: &Tensor| only(alive, products(a, a, Some(&weight))?.div(&norm.sqr()?)?);
            (square(&f, &f_norm, &f_alive)? + square(&t, &t_norm, &t_alive)? - (cosine(Some(&weight))? * 2.0)?)?
        }
    };
    Ok(rows.sum_all()?)
}

/// The rows over their root mean square: similarities are normalised, so it changes nothing but that fourth powers stay in range.
fn scaled(rows: &Tensor) -> Result<Tensor> {
    let mean = rows.detach().sqr()?.mean_all()?;
    let floor = mean.affine(0.0, f64::from(f32::MIN_POSITIVE))?;
    Ok(rows.broadcast_div(&mean.maximum(&floor)?.sqrt()?)?)
}
