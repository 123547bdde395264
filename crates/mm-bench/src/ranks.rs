//! The processes that `mpirun` started together with this one.

use anyhow::{Result, bail};
use mm_core::parallel::{Alone, Communicator};
use std::sync::Arc;

/// What `mpirun` says to the processes that it starts: how many there are (Open MPI; MPICH and Intel MPI).
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Those processes; this one alone where `mpirun` started no other.
pub(crate) fn communicator() -> Result<Arc<dyn Communicator>> {
    let sizes = SIZES.iter().filter_map(|name| std::env::var(name).ok()?.parse::<usize>().ok());
    match sizes.max().unwrap_or(1) {
        0 | 1 => Ok(Arc::new(Alone)),
        world => start(world),
    }
}

#[cfg(feature = "mpi")]
fn start(world: usize) -> Result<Arc<dyn Communicator>> {
    let communicator = mm_core::parallel::Mpi::start()?;
    if communicator.world() != world {
        let found = communicator.world();
        bail!(
            "`mpirun` started {world} processes, and MPI knows of {found}: start this program with the `mpirun` of the MPI that it was built with"
        );
    }
    Ok(Arc::new(communicator))
}

#[cfg(not(feature = "mpi"))]
fn start(world: usize) -> Result<Arc<dyn Communicator>> {
    bail!(
        "{world} processes were started by `mpirun`, and this program was built without MPI: build it with `--features mpi`, or start it alone"
    )
}
