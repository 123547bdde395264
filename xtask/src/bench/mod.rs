//! `cargo xtask bench`: a plan of cells (data, run, seed), each trained and evaluated in a process of its own.

mod cell;
mod command;
mod corruption;
mod method;
mod plan;
mod run_cell;
mod schedule;

pub use command::{BenchArguments, run};
pub use run_cell::{CellArguments, run_cell};
