//! Ranks that `mpirun` started.
