//! The rows of the samples that have a modality: taken out of a batch, and put back.

use candle_core::{Result, Tensor};

/// `output[rows[i]] = input[i]`, zero elsewhere: `[present, ..]` to `[batch, ..]`, rows ascending and distinct.
///
/// The gradient is the gather of the same rows; the features of absent samples are exact zeros.
pub fn scatter_rows(input: &Tensor, rows: &[u32], batch: usize) -> Result<Tensor> {
    if rows.len() == batch {
        return Ok(input.clone());
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
    match rows.len() == input.dim(0)? {
        true => Ok(input.clone()),
        false => input.contiguous()?.index_select(&Tensor::from_slice(rows, rows.len(), input.device())?, 0),
    }
}
