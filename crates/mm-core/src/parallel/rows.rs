//! The rows of a batch divided among the ranks, and gathered again.

use super::error::by_cause;
use super::sum::part;
use super::{Communicator, ParallelError, gather_numbers};
use crate::error::Result;
use crate::nn::{contiguous_f32, with_slices};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// What the code of a training step knows of the other ranks.
#[derive(Clone)]
struct Scope {
    communicator: Arc<dyn Communicator>,
    synchronised: bool,
    /// Whether this is the computation of a share.
    divided: bool,
}

thread_local! {
    // Of the thread that trains: layers have no other way to hear of ranks than through each of their callers. Other threads, which help with
    // kernels and combinations, exchange nothing.
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Puts back what was before, after a panic too.
struct Restore(Option<Scope>);

impl Drop for Restore {
    fn drop(&mut self) {
        SCOPE.set(self.0.take());
    }
}

fn with_scope<T>(scope: Scope, f: impl FnOnce() -> T) -> T {
    let _restore = Restore(SCOPE.replace(Some(scope)));
    f()
}

/// Runs `f`, in which rows are divided among the ranks; `synchronised`: batch norms in there have the statistics of all.
pub(crate) fn enter<T>(communicator: &Arc<dyn Communicator>, synchronised: bool, f: impl FnOnce() -> Result<T>) -> Result<T> {
    if communicator.world() == 1 {
        return f();
    }
    with_scope(Scope { communicator: communicator.clone(), synchronised, divided: false }, f).map_err(by_cause)
}

/// The ranks whose samples a batch norm has its statistics from; `None`: the batch at hand is all there is.
pub(crate) fn norms_over() -> Option<Arc<dyn Communicator>> {
    SCOPE.with_borrow(|scope| scope.as_ref().filter(|scope| scope.divided && scope.synchronised).map(|scope| scope.communicator.clone()))
}

/// This rank's share of so many rows; `None` where each rank computes them all: without other ranks, with fewer rows than ranks (each must
/// have one to take part in the exchanges of its norms), and inside of what is divided already.
pub(crate) fn share(rows: usize) -> Option<Share> {
    let scope = SCOPE.with_borrow(Clone::clone)?;
    let (rank, world) = (scope.communicator.rank(), scope.communicator.world());
    (!scope.divided && rows >= world).then(|| Share { own: part(rows, rank, world), rows, scope })
}

/// A rank's share of some rows.
pub(crate) struct Share {
    scope: Scope,
    own: Range<usize>,
    rows: usize,
}

impl Share {
    /// The positions of its rows.
    pub fn own(&self) -> Range<usize> {
        self.own.clone()
    }

    /// Computes with its rows.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        with_scope(Scope { divided: true, ..self.scope.clone() }, f)
    }

    /// All rows `[rows, ..]` from what each rank has computed of its own, `[own, ..]`. What is computed from them must be the same on all
    /// ranks.
    pub fn gather(&self, own: &Tensor) -> Result<Tensor> {
        let dtype = own.dtype();
        let op = Gather { communicator: self.scope.communicator.clone(), own: self.own(), rows: self.rows };
        Ok(own.to_dtype(DType::F32)?.contiguous()?.apply_op1(op)?.to_dtype(dtype)?)
    }

    /// [`Share::gather`] of several.
    pub fn gather_all(&self, own: Vec<Tensor>) -> Result<Vec<Tensor>> {
        own.iter().map(|own| self.gather(own)).collect()
    }

    /// Its own rows of what all ranks have, `[rows, ..]`.
    pub fn take(&self, whole: &Tensor) -> Result<Tensor> {
        let dtype = whole.dtype();
        let op = Take { communicator: self.scope.communicator.clone(), own: self.own() };
        Ok(whole.to_dtype(DType::F32)?.contiguous()?.apply_op1(op)?.to_dtype(dtype)?)
    }
}

struct Gather {
    communicator: Arc<dyn Communicator>,
    own: Range<usize>,
    rows: usize,
}

struct Take {
    communicator: Arc<dyn Communicator>,
    own: Range<usize>,
}

/// The numbers of all ranks, one behind the other.
fn gathered(communicator: &dyn Communicator, what: &str, own: &[f32], length: usize) -> candle_core::Result<Vec<f32>> {
    let all = gather_numbers(communicator, what, own)?.concat();
    match all.len() == length {
        true => Ok(all),
        false => {
            Err(ParallelError::Length { what: what.into(), rank: communicator.rank(), found: 4 * all.len(), expected: 4 * length }.into())
        }
    }
}

impl CustomOp1 for Gather {
    fn name(&self) -> &'static str {
        "gather-ranks"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        dims[0] = self.rows;
        let shape = Shape::from(dims);
        let all = gathered(&*self.communicator, "features", contiguous_f32(storage, layout)?, shape.elem_count())?;
        Ok((CpuStorage::F32(all), shape))
    }

    /// Times the number of ranks, for what follows is the mean over them, to which the others add nothing for these rows.
    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        gradient.narrow(0, self.own.start, self.own.len())?.affine(self.communicator.world() as f64, 0.0).map(Some)
    }
}

impl CustomOp1 for Take {
    fn name(&self) -> &'static str {
        "take-rank"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        dims[0] = self.own.len();
        let width: usize = dims[1..].iter().product();
        let own = &contiguous_f32(storage, layout)?[self.own.start * width..self.own.end * width];
        Ok((CpuStorage::F32(own.to_vec()), Shape::from(dims)))
    }

    /// Gathered, as all ranks computed the input, and without the factor that [`Gather`] gave it.
    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let all = with_slices([gradient], |[own]| gathered(&*self.communicator, "feature gradients", own, input.elem_count()))?;
        Tensor::from_vec(all, input.shape(), input.device())?.affine(1.0 / self.communicator.world() as f64, 0.0).map(Some)
    }
}
