//! `mm train` under `mpirun`, as far as it can be told without one; `.ci/ranks` has the rest.

use super::program::{mm, said};

/// Each of several processes would train by itself, and write over what the others wrote.
#[test]
fn several_processes_without_mpi_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        let train = ["train", "multiple-features", "--method", "full-only", "--out", "model"];
        let output = mm().current_dir(folder.path()).args(train).env(name, "2").output().unwrap();
        assert!(!output.status.success());
        assert!(said(&output).contains("2 processes were started by `mpirun`"), "{}", said(&output));
        assert!(said(&output).contains("--features mpi"), "{}", said(&output));
        assert!(!folder.path().join("model").exists());
    }
}
