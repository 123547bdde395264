//! Scaled dot-product attention (Vaswani et al. 2017) of sequences that lie one behind the other, without padding between them.
//!
//! Each head of each sequence is a task with working memory of its own: its scores are never there for all of them at a time.

use crate::error::{Error, Result, check_length as check};
use crate::math::exp;
use crate::product::{Operand, matmul};
use crate::scratch::take;
use crate::simd::{Level, vectorize, with_level};
use crate::threads::{Shared, for_each};
use std::sync::OnceLock;

/// Sequences of rows `[rows, heads * width]`, the heads side by side in each row.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape<'a> {
    /// First row of each sequence, ascending from 0, and behind them the number of rows. A sequence may be empty.
    pub starts: &'a [usize],
    /// Heads.
    pub heads: usize,
    /// Numbers of a head's query, key and value.
    pub width: usize,
}

impl AttentionShape<'_> {
    /// Numbers of each matrix.
    fn length(&self) -> Result<usize> {
        let problem = || Error::Shape(format!("attention of {} heads of {} over the rows {:?}", self.heads, self.width, self.starts));
        let (&first, &rows) = self.starts.first().zip(self.starts.last()).ok_or_else(problem)?;
        let right = first == 0 && self.starts.is_sorted() && self.heads > 0 && self.width > 0;
        let length = self.heads.checked_mul(self.width).and_then(|stride| stride.checked_mul(rows));
        length.filter(|_| right).ok_or_else(problem)
    }

    /// Calls `task` for each head of each sequence.
    fn each_head(&self, task: impl Fn(Head) -> Result<()> + Sync + Send) -> Result<()> {
        let failed = OnceLock::new();
        let (level, stride) = (Level::current(), self.heads * self.width);
        let squares: usize = self.starts.windows(2).map(|pair| (pair[1] - pair[0]).pow(2)).sum();
        for_each((self.starts.len() - 1) * self.heads, 2 * squares * stride, |number| {
            let (sequence, head) = (number / self.heads, number % self.heads);
            let (start, end) = (self.starts[sequence], self.starts[sequence + 1]);
            if start < end {
                let head = Head { at: start * stride + head * self.width, rows: end - start, width: self.width, stride };
                // The level that the caller asked for holds on this thread, too.
                if let Err(problem) = with_level(level, || task(head)) {
                    failed.get_or_init(|| problem);
                }
            }
        });
        failed.into_inner().map_or(Ok(()), Err)
    }
}

/// Where the rows of one head of one sequence lie.
#[derive(Clone, Copy)]
struct Head {
    at: usize,
    rows: usize,
    width: usize,
    stride: usize,
}

impl Head {
    fn of<'a>(&self, matrix: &'a [f32]) -> Operand<'a> {
        let span = (self.rows - 1) * self.stride + self.width;
        Operand::columns_of(&matrix[self.at..][..span], self.rows, self.width, self.stride)
    }

    /// Copies `[rows, width]` to its place.
    fn write(&self, from: &[f32], to: Shared) {
        for (row, from) in from.chunks_exact(self.width).enumerate() {
            // SAFETY: the rows of a head of a sequence are the part of its task alone.
            unsafe { to.range(self.at + row * self.stride, self.width) }.copy_from_slice(from);
        }
    }

    /// The weights `softmax(q kᵀ / sqrt(width))`, row by row.
    fn weights(&self, query: &[f32], key: &[f32], weights: &mut [f32]) -> Result<()> {
        matmul(self.of(query), self.of(key).t(), weights, false)?;
        let scale = self.scale();
        vectorize(
            Level::current(),
            #[inline(always)]
            || {
                for row in weights.chunks_exact_mut(self.rows) {
                    softmax(row, scale);
                }
            },
        );
        Ok(())
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// Attention of every head of every sequence; the matrices are `[rows, heads * width]`.
pub fn attention_forward(shape: AttentionShape, query: &[f32], key: &[f32], value: &[f32], output: &mut [f32]) -> Result<()> {
    let length = shape.length()?;
    let matrices = [("query", query.len()), ("key", key.len()), ("value", value.len()), ("output", output.len())];
    matrices.into_iter().try_for_each(|(what, found)| check(what, length, found))?;
    let output = Shared::new(output);
    shape.each_head(|head| {
        let mut weights = take(head.rows * head.rows);
        let mut result = take(head.rows * head.width);
        head.weights(query, key, &mut weights)?;
        matmul(Operand::new(&weights, head.rows, head.rows), head.of(value), &mut result, false)?;
        head.write(&result, output);
        Ok(())
    })
}

/// Gradients of [`attention_forward`], each `[rows, heads * width]`.
#[derive(Debug, Clone)]
pub struct AttentionGradients {
    /// Of the query.
    pub query: Vec<f32>,
    /// Of the key.
    pub key: Vec<f32>,
    /// Of the value.
    pub value: Vec<f32>,
}

/// Backward pass of [`attention_forward`]; the weights are computed again, which costs less than keeping them.
pub fn attention_backward(
    shape: AttentionShape,
    query: &[f32],
    key: &[f32],
    value: &[f32],
    output_gradient: &[f32],
) -> Result<AttentionGradients> {
    let length = shape.length()?;
    let matrices = [("query", query.len()), ("key", key.len()), ("value", value.len()), ("output gradient", output_gradient.len())];
    matrices.into_iter().try_for_each(|(what, found)| check(what, length, found))?;
    let mut gradients = AttentionGradients { query: vec![0.0; length], key: vec![0.0; length], value: vec![0.0; length] };
    let (to_query, to_key, to_value) =
        (Shared::new(&mut gradients.query), Shared::new(&mut gradients.key), Shared::new(&mut gradients.value));
    shape.each_head(|head| {
        let (rows, square) = (head.rows, head.rows * head.rows);
        let (mut weights, mut slopes, mut result) = (take(square), take(square), take(rows * head.width));
        head.weights(query, key, &mut weights)?;
        let gradient = head.of(output_gradient);
        matmul(Operand::new(&weights, rows, rows).t(), gradient, &mut result, false)?;
        head.write(&result, to_value);
        matmul(gradient, head.of(value).t(), &mut slopes, false)?;
        let scale = head.scale();
        vectorize(
            Level::current(),
            #[inline(always)]
            || {
                for (slopes, weights) in slopes.chunks_exact_mut(rows).zip(weights.chunks_exact(rows)) {
                    softmax_gradient(weights, slopes, scale);
                }
            },
        );
        matmul(Operand::new(&slopes, rows, rows), head.of(key), &mut result, false)?;
        head.write(&result, to_query);
        matmul(Operand::new(&slopes, rows, rows).t(), head.of(query), &mut result, false)?;
        head.write(&result, to_key);
        Ok(())
    })?;
    Ok(gradients)
}

/// Lanes of a sum or maximum over a row.
const LANES: usize = 16;

/// `softmax(scale row)` in place.
#[inline(always)]
fn softmax(row: &mut [f32], scale: f32) {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = if *x > *lane { *x } else { *lane };
    }
    let largest = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = exp((*x - largest) * scale);
            *sum += *x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *x = exp((*x - largest) * scale);
        *sum += *x;
    }
    let inverse = 1.0 / sums.into_iter().sum::<f32>();
    for x in row {
        *x *= inverse;
    }
}

/// From the gradient of the weights to that of the scores: `w (g - Σ w g) scale`, in place.
#[inline(always)]
fn softmax_gradient(weights: &[f32], slopes: &mut [f32], scale: f32) {
    let [sum] = crate::sums::sums([weights, slopes], |[w, g]| [w * g]);
    let sum = sum as f32;
    for (g, w) in slopes.iter_mut().zip(weights) {
        *g = w * (*g - sum) * scale;
    }
}
