#![doc = include_str!("../README.md")]

#[cfg(feature = "mpi")]
mod mpi;

#[cfg(feature = "mpi")]
pub use self::mpi::Mpi;

use mm_core::parallel::{Alone, Communicator, ParallelError};
use std::sync::Arc;

/// What `mpirun` says to the processes that it starts: how many there are (Open MPI; MPICH and Intel MPI).
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// The processes that `mpirun` started together with this one; this one alone where it started no other.
///
/// # Errors
/// Several were started, and this program was built without the feature `mpi`, or with another MPI than that of the `mpirun`.
pub fn communicator() -> Result<Arc<dyn Communicator>, ParallelError> {
    let sizes = SIZES.iter().filter_map(|name| std::env::var(name).ok()?.parse::<usize>().ok());
    match sizes.max().unwrap_or(1) {
        0 | 1 => Ok(Arc::new(Alone)),
        world => start(world),
    }
}

#[cfg(feature = "mpi")]
fn start(world: usize) -> Result<Arc<dyn Communicator>, ParallelError> {
    let communicator = Mpi::start()?;
    if communicator.world() != world {
        let found = communicator.world();
        let problem = format!(
            "`mpirun` started {world} processes, and MPI knows of {found}: start this program with the `mpirun` of the MPI that it was built with"
        );
        return Err(ParallelError::Mpi { problem });
    }
    Ok(Arc::new(communicator))
}

#[cfg(not(feature = "mpi"))]
fn start(world: usize) -> Result<Arc<dyn Communicator>, ParallelError> {
    let problem = format!(
        "{world} processes were started by `mpirun`, and this program was built without MPI: build it with `--features mpi`, or start it alone"
    );
    Err(ParallelError::Mpi { problem })
}
