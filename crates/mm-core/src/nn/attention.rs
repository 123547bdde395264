//! Self attention of sequences that lie one behind the other, so that no padding is computed.

use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, bail};
use mm_kernels::attention::{AttentionShape, attention_backward, attention_forward};
use std::sync::Arc;

/// Where sequences begin that lie one behind the other in the rows of a matrix.
#[derive(Debug, Clone)]
pub struct Sequences {
    starts: Arc<[usize]>,
}

impl Sequences {
    /// Of sequences of these lengths, in order; one may be empty.
    pub fn new(lengths: &[usize]) -> Self {
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        Self { starts: std::iter::once(0).chain(ends).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of all of them.
    pub fn rows(&self) -> usize {
        self.starts[self.len()]
    }

    /// First row and length of each.
    pub fn spans(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.starts.windows(2).map(|pair| (pair[0], pair[1] - pair[0]))
    }
}

/// `softmax(q kᵀ / sqrt(width)) v` of each head of each sequence (Vaswani et al. 2017); all `[rows, heads * width]`.
///
/// A row attends to the rows of its own sequence only.
pub fn attention(query: &Tensor, key: &Tensor, value: &Tensor, heads: usize, sequences: &Sequences) -> Result<Tensor> {
    let (rows, features) = query.dims2()?;
    if rows != sequences.rows() || key.dims() != query.dims() || value.dims() != query.dims() {
        bail!("attention over {} rows: query {:?}, key {:?}, value {:?}", sequences.rows(), query.dims(), key.dims(), value.dims());
    }
    if heads == 0 || features == 0 || features % heads != 0 {
        bail!("attention: {features} features are not {heads} heads of one width");
    }
    // A batch of empty texts: there is nothing to attend to.
    if rows == 0 {
        return Ok(query.clone());
    }
    if runs_on_cpu_kernels(query) {
        let op = AttentionOp { heads, sequences: sequences.clone() };
        return query.contiguous()?.apply_op3(&key.contiguous()?, &value.contiguous()?, op);
    }
    // Products of bf16 are the GPU's: the CPU computes in f32 and rounds.
    if query.device().is_cpu() && query.dtype() == DType::BF16 {
        let wide = |x: &Tensor| x.to_dtype(DType::F32);
        return attention(&wide(query)?, &wide(key)?, &wide(value)?, heads, sequences)?.to_dtype(DType::BF16);
    }
    padded(query, key, value, heads, sequences)
}

/// The same by candle's ops, with every sequence padded to the longest.
fn padded(query: &Tensor, key: &Tensor, value: &Tensor, heads: usize, sequences: &Sequences) -> Result<Tensor> {
    let (rows, features) = query.dims2()?;
    let device = query.device();
    let (batch, longest) = (sequences.len(), sequences.spans().map(|(_, length)| length).max().unwrap_or_default());
    // Behind the rows stands one of zeros, for what is padded.
    let row_at = |(start, length): (usize, usize)| (0..longest).map(move |i| (if i < length { start + i } else { rows }) as u32);
    let index = Tensor::from_vec(sequences.spans().flat_map(row_at).collect::<Vec<u32>>(), batch * longest, device)?;
    let zeros = Tensor::zeros((1, features), query.dtype(), device)?;
    let heads_of = |x: &Tensor| {
        let padded = Tensor::cat(&[x, &zeros], 0)?.index_select(&index, 0)?;
        padded.reshape((batch, longest, heads, features / heads))?.transpose(1, 2)?.contiguous()
    };
    let (query, key, value) = (heads_of(query)?, heads_of(key)?, heads_of(value)?);
    let hidden = |(_, length): (usize, usize)| (0..longest).map(move |i| u8::from(i >= length));
    let hidden = Tensor::from_vec(sequences.spans().flat_map(hidden).collect::<Vec<u8>>(), (batch, 1, 1, longest), device)?;
    let scores = (query.matmul(&key.t()?)? / ((features / heads) as f64).sqrt())?;
    // A sequence without rows has scores all alike, and no row that would read its result.
    let least = Tensor::new(-1e30f32, device)?.to_dtype(scores.dtype())?.broadcast_as(scores.shape())?;
    let scores = hidden.broadcast_as(scores.shape())?.where_cond(&least, &scores)?;
    let weights = widened_softmax(&scores)?;
    let result = weights.matmul(&value)?.transpose(1, 2)?.reshape((batch * longest, features))?;
    let place_of = |(i, (_, length)): (usize, (usize, usize))| (0..length).map(move |at| (i * longest + at) as u32);
    let places = sequences.spans().enumerate().flat_map(place_of).collect::<Vec<u32>>();
    result.index_select(&Tensor::from_vec(places, rows, device)?, 0)
}

/// In f32 at least: half precision has too few digits for sums of exponentials.
fn widened_softmax(scores: &Tensor) -> Result<Tensor> {
    match scores.dtype() {
        DType::BF16 | DType::F16 => candle_nn::ops::softmax(&scores.to_dtype(DType::F32)?, D::Minus1)?.to_dtype(scores.dtype()),
        _ => candle_nn::ops::softmax(scores, D::Minus1),
    }
}

struct AttentionOp {
    heads: usize,
    sequences: Sequences,
}

impl AttentionOp {
    fn shape(&self, features: usize) -> AttentionShape<'_> {
        AttentionShape { starts: &self.sequences.starts, heads: self.heads, width: features / self.heads }
    }
}

impl CustomOp3 for AttentionOp {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (query, key, value) = (contiguous_f32(s1, l1)?, contiguous_f32(s2, l2)?, contiguous_f32(s3, l3)?);
        let mut output = vec![0.0; query.len()];
        attention_forward(self.shape(l1.dims()[1]), query, key, value, &mut output).map_err(kernel_error)?;
        Ok((CpuStorage::F32(output), l1.shape().clone()))
    }

    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        with_slices([query, key, value, gradient], |[q, k, v, g]| {
            let gradients = attention_backward(self.shape(query.dims()[1]), q, k, v, g).map_err(kernel_error)?;
            let tensor = |values| Tensor::from_vec(values, query.shape(), query.device()).map(Some);
            Ok((tensor(gradients.query)?, tensor(gradients.key)?, tensor(gradients.value)?))
        })
    }
}
