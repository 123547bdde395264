//! What goes wrong between the processes of a training.

use crate::error::Error;
use std::cell::RefCell;

/// Ranks that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParallelError {
    /// Ranks are not at the same exchange.
    #[error("rank {rank} is at `{theirs}` where rank {own_rank} is at `{own}`: all ranks must run the same program with the same settings")]
    Mismatch {
        /// The rank that found it.
        own_rank: usize,
        /// What it was about to exchange.
        own: String,
        /// The first rank that is elsewhere.
        rank: usize,
        /// What that rank was about to exchange.
        theirs: String,
    },
    /// A rank has ended before the others.
    #[error("rank {rank} has ended, and the others cannot go on without it; its own message says why")]
    Gone {
        /// The rank.
        rank: usize,
    },
    /// What must be the same on all ranks is not.
    #[error("rank {rank} has other {what} than rank 0: all ranks must have the same plan, data, program, and view of the checkpoints")]
    Differs {
        /// What, in the plural.
        what: &'static str,
        /// The first rank that has others.
        rank: usize,
    },
    /// A message of another length than its use asks for.
    #[error("`{what}` of rank {rank}: {found} bytes where a multiple of {expected} is due")]
    Length {
        /// The exchange.
        what: String,
        /// Whose message it is.
        rank: usize,
        /// Its bytes.
        found: usize,
        /// What the length must be, or be a multiple of.
        expected: usize,
    },
    /// A message that is too long for one call of MPI.
    #[error("`{what}` has {bytes} bytes, and a message of MPI has less than 2 GiB: use smaller batches or more ranks")]
    TooLong {
        /// The exchange.
        what: String,
        /// Its bytes.
        bytes: usize,
    },
    /// Samples that cannot be sent to other ranks.
    #[error("samples cannot be packed for other ranks: {problem}")]
    Packing {
        /// What is wrong.
        problem: String,
    },
    /// MPI cannot be used.
    #[error("MPI: {problem}")]
    Mpi {
        /// What is wrong.
        problem: String,
    },
}

thread_local! {
    /// What an op failed with: candle's error has its words alone.
    static IN_OP: RefCell<Option<ParallelError>> = const { RefCell::new(None) };
}

impl From<ParallelError> for candle_core::Error {
    /// For use inside ops.
    fn from(error: ParallelError) -> Self {
        IN_OP.set(Some(error.clone()));
        candle_core::Error::wrap(error)
    }
}

/// The error by its cause, where it comes from an op.
pub(super) fn by_cause(error: Error) -> Error {
    match (error, IN_OP.take()) {
        (Error::Tensor(_), Some(error)) => error.into(),
        (error, _) => error,
    }
}
