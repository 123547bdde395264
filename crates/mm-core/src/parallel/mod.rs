//! One training on several processes ("ranks").
//!
//! Every rank holds the same weights and goes through the same steps with the same whole batch: draws, losses, mined sets and all else that
//! looks at the batch as a whole are computed by each of them, and are those of one process. What costs is divided: an encoder runs on the
//! rank's own share of the samples that have its sensor, and so does a trunk of maps; their features are gathered. Gradients are
//! exchanged once a step, in one buffer, and summed in the order of the ranks, so that a number of ranks gives the same bytes each time.
//!
//! A sample that is gathered passes its gradient to the rank that computed it, times the number of ranks; then the mean over the ranks is
//! right for every parameter, whether all computed with it or each with a share.

mod batch;
mod error;
mod norms;
mod rows;
mod sum;
mod threads;

pub(crate) use batch::gather_batch;
pub use error::ParallelError;
pub(crate) use norms::{whole_moments, whole_sums};
pub(crate) use rows::{enter, norms_over, share};
pub use sum::sum_in_rank_order;
pub(crate) use sum::{average, check_same, hash_of, hash_of_parameters};
pub use threads::Threads;

use bytemuck::Pod;

/// Several processes that train one model together, as one of them sees it.
///
/// All ranks make the same calls in the same order. Each call has a name, and ranks that are not at the same one get an error, not each
/// other's numbers.
pub trait Communicator: Send + Sync {
    /// Which one this is, from 0. Rank 0 writes the files.
    fn rank(&self) -> usize;

    /// How many there are.
    fn world(&self) -> usize;

    /// Gives each rank the bytes of all, in the order of the ranks; they may differ in length.
    fn all_gather(&self, what: &str, own: &[u8]) -> Result<Vec<Vec<u8>>, ParallelError>;

    /// Gives `parts[r]` to rank `r`, and returns what each rank has given to this one, in their order.
    fn all_to_all(&self, what: &str, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError>;

    /// Ends all ranks, where this one cannot go on and the others would wait for it; not where they learn it by themselves.
    fn abort(&self) {}

    /// Says that this rank has done its work, and waits for the others where that is needed to end in good order.
    fn finish(&self) {}
}

/// One process that trains alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn world(&self) -> usize {
        1
    }

    fn all_gather(&self, _: &str, own: &[u8]) -> Result<Vec<Vec<u8>>, ParallelError> {
        Ok(vec![own.to_vec()])
    }

    fn all_to_all(&self, _: &str, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError> {
        Ok(parts.iter().map(|part| part.to_vec()).collect())
    }
}

/// The numbers of all ranks, in their order.
pub(crate) fn gather_numbers<T: Pod>(communicator: &dyn Communicator, what: &str, own: &[T]) -> Result<Vec<Vec<T>>, ParallelError> {
    numbers(what, communicator.all_gather(what, bytemuck::cast_slice(own))?)
}

/// Bytes as numbers.
fn numbers<T: Pod>(what: &str, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<T>>, ParallelError> {
    let of = |(rank, bytes): (usize, Vec<u8>)| match bytes.len().is_multiple_of(size_of::<T>()) {
        true => Ok(bytemuck::pod_collect_to_vec(&bytes)),
        false => Err(ParallelError::Length { what: what.into(), rank, found: bytes.len(), expected: size_of::<T>() }),
    };
    parts.into_iter().enumerate().map(of).collect()
}
