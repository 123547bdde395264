//! Access to the numbers of a CPU tensor, for the ops with a kernel of our own.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};

/// Whether our f32 CPU kernels apply; everything else takes the path made of candle ops.
pub fn runs_on_cpu_kernels(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// `f` of the input; of bf16 on the CPU, which has no products of bf16, in f32, the output rounded to bf16.
pub(crate) fn widened(input: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    match input.device().is_cpu() && input.dtype() == DType::BF16 {
        true => f(&input.to_dtype(DType::F32)?)?.to_dtype(DType::BF16),
        false => f(input),
    }
}

/// The numbers of a contiguous f32 CPU storage.
pub fn contiguous_f32<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((start, end))) => Ok(&data[start..end]),
        (CpuStorage::F32(_), None) => bail!("this op needs a contiguous tensor, found strides {:?}", layout.stride()),
        _ => bail!("this op needs f32 on the CPU"),
    }
}

/// Calls `f` with the numbers of each tensor, made contiguous first where they are not.
pub(crate) fn with_slices<const N: usize, T>(tensors: [&Tensor; N], f: impl FnOnce([&[f32]; N]) -> Result<T>) -> Result<T> {
    let mut owned = Vec::with_capacity(N);
    for tensor in tensors {
        owned.push(tensor.contiguous()?);
    }
    let guards: Vec<_> = owned.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        match &**storage {
            Storage::Cpu(storage) => *slice = contiguous_f32(storage, layout)?,
            _ => bail!("this op needs a CPU tensor"),
        }
    }
    f(slices)
}

/// `a + b` of one shape, without a graph, on the calling thread: candle's sum of large tensors wakes a pool of spinning threads,
/// which takes the cores away from the combinations that run side by side.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !(runs_on_cpu_kernels(a) && a.shape() == b.shape()) {
        return a + b;
    }
    with_slices([a, b], |[x, y]| Tensor::from_vec(x.iter().zip(y).map(|(x, y)| x + y).collect::<Vec<f32>>(), a.shape(), a.device()))
}

/// A kernel error as a candle error, for use inside custom ops.
pub(crate) fn kernel_error(error: mm_kernels::Error) -> candle_core::Error {
    candle_core::Error::wrap(error)
}
