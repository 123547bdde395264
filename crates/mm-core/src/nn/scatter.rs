//! The rows of the samples that have a modality: taken out of a batch, and put back.

use super::cpu::{contiguous_f32, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// `output[rows[i]] = input[i]`, zero elsewhere: `[present, ..]` to `[batch, ..]`, rows ascending and distinct.
///
/// The gradient is the gather of the same rows; the features of absent samples are exact zeros.
pub fn scatter_rows(input: &Tensor, rows: &[u32], batch: usize) -> Result<Tensor> {
    if rows.len() == batch {
        return Ok(input.clone());
    }
    if runs_on_cpu_kernels(input) {
        return input.contiguous()?.apply_op1(Rows { rows: rows.to_vec(), from: rows.len(), to: batch });
    }
    let mut source = vec![rows.len() as u32; batch];
    for (from, &to) in (0u32..).zip(rows) {
        source[to as usize] = from;
    }
    // A zero row behind the features serves every absent sample.
    let mut dims = input.dims().to_vec();
    dims[0] = 1;
    let padded = Tensor::cat(&[input, &Tensor::zeros(dims, input.dtype(), input.device())?], 0)?;
    padded.index_select(&Tensor::from_vec(source, batch, input.device())?, 0)
}

/// The rows of `[batch, ..]` at these positions, ascending: `[rows, ..]`; all of them as they are.
pub fn gather_rows(input: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let batch = input.dim(0)?;
    match rows.len() == batch {
        true => Ok(input.clone()),
        false if runs_on_cpu_kernels(input) => input.contiguous()?.apply_op1(Rows { rows: rows.to_vec(), from: batch, to: rows.len() }),
        false => input.contiguous()?.index_select(&Tensor::from_slice(rows, rows.len(), input.device())?, 0),
    }
}

/// Copies rows from a batch of `from` samples to one of `to`: the fewer lie at `rows` among the more, ascending. Either way is the gradient of the
/// other; candle would add them up one by one.
struct Rows {
    rows: Vec<u32>,
    from: usize,
    to: usize,
}

impl Rows {
    fn copy(rows: &[u32], from: usize, to: usize, width: usize, input: &[f32]) -> Result<Vec<f32>> {
        let (few, many) = (from.min(to), from.max(to));
        if rows.len() != few || rows.iter().any(|&row| row as usize >= many) || !rows.is_sorted_by(|a, b| a < b) {
            bail!("rows {rows:?} are not {few} ascending positions among {many} samples");
        }
        let mut output = vec![0.0; to * width];
        for (i, &row) in rows.iter().enumerate() {
            let (source, target) = if from < to { (i, row as usize) } else { (row as usize, i) };
            output[target * width..][..width].copy_from_slice(&input[source * width..][..width]);
        }
        Ok(output)
    }
}

impl CustomOp1 for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        dims[0] = self.to;
        let output = Self::copy(&self.rows, self.from, self.to, dims[1..].iter().product(), contiguous_f32(storage, layout)?)?;
        Ok((CpuStorage::F32(output), Shape::from(dims)))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_slices([gradient], |[g]| {
            let back = Self::copy(&self.rows, self.to, self.from, input.dims()[1..].iter().product(), g)?;
            Tensor::from_vec(back, input.shape(), input.device()).map(Some)
        })
    }
}
