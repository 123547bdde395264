#![doc = include_str!("../README.md")]

mod cell;
pub mod child;
mod command;
mod corruption;
mod cost;
mod counts;
pub mod dataset;
mod failure;
mod interrupt;
mod method;
mod output;
mod plan;
mod provenance;
mod run_cell;
mod schedule;

pub use cell::{CellSpec, Resolved};
pub use command::{BenchArguments, Command, run};
pub use method::{MethodName, build as build_method};
pub use plan::{DEFAULT_PLAN, DataEntry, Plan};
pub use provenance::{LogFormat, exit_code, machine, peak_memory_bytes, version};
pub use run_cell::{CellArguments, run_cell};

/// The seeds of the default plan.
pub fn default_seeds() -> anyhow::Result<Vec<u64>> {
    Ok(plan::Plan::read(None)?.seeds)
}
