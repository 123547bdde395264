//! Channels times a number each, as gates do.

use super::cpu::{contiguous_f32, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use mm_kernels::unspecified;
use rayon::prelude::*;

/// Numbers that a task has at least, so that small maps stay on one thread.
const LEAST_WORK: usize = 1 << 14;

/// `[batch, channels, height, width]` with every map times its number of `gate [batch, channels]`.
pub fn scale_channels(maps: &Tensor, gate: &Tensor) -> Result<Tensor> {
    let (batch, channels, _, _) = maps.dims4()?;
    if gate.dims() != [batch, channels] {
        bail!("a gate {:?} for maps {:?}: it must be [{batch}, {channels}]", gate.dims(), maps.dims());
    }
    match runs_on_cpu_kernels(maps) && runs_on_cpu_kernels(gate) && maps.elem_count() > 0 {
        // candle adds up the gradient of the gate number by number.
        true => maps.contiguous()?.apply_op2(&gate.contiguous()?, ScaleOp),
        false => maps.broadcast_mul(&gate.unsqueeze(2)?.unsqueeze(3)?),
    }
}

struct ScaleOp;

/// Every map times its number.
fn scaled(maps: &[f32], gate: &[f32]) -> Vec<f32> {
    let plane = maps.len() / gate.len();
    let mut output = unspecified(maps.len());
    let planes = output.par_chunks_mut(plane).zip(maps.par_chunks(plane)).zip(gate);
    planes.with_min_len(LEAST_WORK.div_ceil(plane)).for_each(|((to, from), gate)| {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from * gate;
        }
    });
    output
}

impl CustomOp2 for ScaleOp {
    fn name(&self) -> &'static str {
        "scale-channels"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(scaled(contiguous_f32(s1, l1)?, contiguous_f32(s2, l2)?)), l1.shape().clone()))
    }

    fn bwd(&self, maps: &Tensor, gate: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_slices([maps, gate, gradient], |[x, g, dy]| {
            let maps_gradient = maps.track_op().then(|| Tensor::from_vec(scaled(dy, g), maps.shape(), maps.device()));
            let gate_gradient = gate.track_op().then(|| {
                let plane = x.len() / g.len();
                let sums: Vec<f32> = x
                    .par_chunks(plane)
                    .zip(dy.par_chunks(plane))
                    .with_min_len(LEAST_WORK.div_ceil(plane))
                    .map(|(x, dy)| dot(x, dy))
                    .collect();
                Tensor::from_vec(sums, gate.shape(), gate.device())
            });
            Ok((maps_gradient.transpose()?, gate_gradient.transpose()?))
        })
    }
}

/// `Σ a b`, in eight sums that the compiler can keep in one vector.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left.zip(right) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}
