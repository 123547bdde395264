//! Average pooling and resizing: linear maps of an image, one for its rows and one for its columns.
//!
//! On the CPU in f32 each has a kernel; everywhere else the two maps are matrices, `output = rows · input · columnsᵀ`.

use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, widened, with_slices};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use mm_kernels::Pool2dShape;
use mm_kernels::avg_pool::{adaptive_avg_pool2d_backward, adaptive_avg_pool2d_forward, avg_pool2d_backward, avg_pool2d_forward};
use mm_kernels::resize::{Interpolation, ResizeShape, resize_backward, resize_forward};
use mm_kernels::unspecified;

/// Mean over windows of `[batch, channels, height, width]`; padding counts as zeros, as PyTorch does by default.
pub fn avg_pool2d(input: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    apply(input, Map::Windows { kernel, stride, padding })
}

/// Mean over `size` nearly equal parts in each direction.
pub fn adaptive_avg_pool2d(input: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    apply(input, Map::Adaptive(size))
}

/// Mean over all positions: `[batch, channels, height, width]` to `[batch, channels]`.
pub fn mean_of_map(input: &Tensor) -> Result<Tensor> {
    match runs_on_cpu_kernels(input) {
        // candle adds up number by number, which takes longer than a small convolution.
        true => adaptive_avg_pool2d(input, (1, 1))?.flatten_from(1),
        false => input.mean((2, 3)),
    }
}

/// Bilinear resize to `size` (height, width).
pub fn upsample_bilinear2d(input: &Tensor, size: (usize, usize), align_corners: bool) -> Result<Tensor> {
    apply(input, Map::Resize(size, Interpolation::Bilinear { align_corners }))
}

/// Nearest-neighbour resize to `size` (height, width).
pub fn upsample_nearest2d(input: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    apply(input, Map::Resize(size, Interpolation::Nearest))
}

fn apply(input: &Tensor, map: Map) -> Result<Tensor> {
    let (_, _, height, width) = input.dims4()?;
    let (out_height, out_width) = map.output(height, width)?;
    widened(input, |input| apply_sized(input, map, (height, width), (out_height, out_width)))
}

fn apply_sized(input: &Tensor, map: Map, (height, width): (usize, usize), (out_height, out_width): (usize, usize)) -> Result<Tensor> {
    if runs_on_cpu_kernels(input) {
        return input.contiguous()?.apply_op1(map);
    }
    let rows = matrix(map.weights(height, out_height, 0)?, (out_height, height), input)?;
    let columns = matrix(map.weights(width, out_width, 1)?, (out_width, width), input)?;
    rows.broadcast_matmul(&input.broadcast_matmul(&columns.t()?)?)
}

fn matrix(values: Vec<f64>, shape: (usize, usize), like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, shape, like.device())?.to_dtype(like.dtype())
}

/// Which linear map.
#[derive(Debug, Clone, Copy)]
enum Map {
    Windows { kernel: usize, stride: usize, padding: usize },
    Adaptive((usize, usize)),
    Resize((usize, usize), Interpolation),
}

impl Map {
    fn output(&self, height: usize, width: usize) -> Result<(usize, usize)> {
        match *self {
            Map::Windows { kernel, stride, padding } => {
                if kernel == 0 || stride == 0 || height.min(width) + 2 * padding < kernel {
                    bail!("a window of {kernel} with stride {stride} and padding {padding} does not fit an image of {height}x{width}");
                }
                let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
                Ok((size(height), size(width)))
            }
            Map::Adaptive(size) | Map::Resize(size, _) => match size.0 * size.1 * height * width {
                0 => bail!("an image of {height}x{width} cannot become {size:?}"),
                _ => Ok(size),
            },
        }
    }

    /// The matrix `[outputs, inputs]` of one direction, by applying the kernel to the unit vectors of that direction.
    fn weights(&self, inputs: usize, outputs: usize, direction: usize) -> Result<Vec<f64>> {
        let mut weights = vec![0.0f64; outputs * inputs];
        for i in 0..inputs {
            let mut unit = vec![0.0f32; inputs];
            unit[i] = 1.0;
            let mut out = vec![0.0f32; outputs];
            self.one_direction(direction, &unit, &mut out)?;
            for (o, value) in out.into_iter().enumerate() {
                weights[o * inputs + i] = f64::from(value);
            }
        }
        Ok(weights)
    }

    /// The map on an image of one column (direction 0) or one row (direction 1).
    fn one_direction(&self, direction: usize, input: &[f32], output: &mut [f32]) -> Result<()> {
        let line = |n: usize| if direction == 0 { (n, 1) } else { (1, n) };
        let (size, out) = (line(input.len()), line(output.len()));
        match *self {
            Map::Windows { kernel, stride, padding } => {
                let (kernel, padding) = (line(kernel), if direction == 0 { (padding, 0) } else { (0, padding) });
                let shape = Pool2dShape { batch: 1, channels: 1, height: size.0, width: size.1, kernel, stride: (stride, stride), padding };
                avg_pool2d_forward(shape, true, input, output)
            }
            Map::Adaptive(_) => adaptive_avg_pool2d_forward(1, size, out, input, output),
            Map::Resize(_, mode) => resize_forward(ResizeShape { planes: 1, size, out }, mode, input, output),
        }
        .map_err(kernel_error)
    }

    fn run(&self, dims: &[usize], input: &[f32], output: &mut [f32], backward: bool) -> Result<()> {
        let &[batch, channels, height, width] = dims else { bail!("an image batch has four dimensions, found {dims:?}") };
        let (planes, size, out) = (batch * channels, (height, width), self.output(height, width)?);
        match *self {
            Map::Windows { kernel, stride, padding } => {
                let pair = |n| (n, n);
                let shape =
                    Pool2dShape { batch, channels, height, width, kernel: pair(kernel), stride: pair(stride), padding: pair(padding) };
                if backward { avg_pool2d_backward(shape, true, input, output) } else { avg_pool2d_forward(shape, true, input, output) }
            }
            Map::Adaptive(_) if backward => adaptive_avg_pool2d_backward(planes, size, out, input, output),
            Map::Adaptive(_) => adaptive_avg_pool2d_forward(planes, size, out, input, output),
            Map::Resize(_, mode) => {
                let shape = ResizeShape { planes, size, out };
                if backward { resize_backward(shape, mode, input, output) } else { resize_forward(shape, mode, input, output) }
            }
        }
        .map_err(kernel_error)
    }
}

impl CustomOp1 for Map {
    fn name(&self) -> &'static str {
        "resample"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let dims = layout.dims();
        let (out_height, out_width) = self.output(dims[2], dims[3])?;
        let shape = Shape::from((dims[0], dims[1], out_height, out_width));
        let mut output = unspecified(shape.elem_count());
        self.run(dims, contiguous_f32(storage, layout)?, &mut output, false)?;
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_slices([gradient], |[g]| {
            let mut out = unspecified(input.elem_count());
            self.run(input.dims(), g, &mut out, true)?;
            Tensor::from_vec(out, input.shape(), input.device()).map(Some)
        })
    }
}
