//! `cargo xtask bench`: a plan of cells (data, run, seed), each trained and evaluated in a process of its own.

mod cell;
mod command;
mod corruption;
mod cost;
mod counts;
mod failure;
mod interrupt;
mod method;
mod output;
mod plan;
mod run_cell;
mod schedule;

pub use cell::{CellSpec, Resolved};
pub use command::{BenchArguments, run};
pub use method::{MethodName, build as build_method};
pub use plan::{DEFAULT_PLAN, DataEntry, Plan};
pub use run_cell::{CellArguments, run_cell};

/// The seeds of the default plan.
pub fn default_seeds() -> anyhow::Result<Vec<u64>> {
    Ok(plan::Plan::read(None)?.seeds)
}

/// Full-only training, modality dropout and MMANet on the built-in data, one seed, as the default plan has them.
pub(crate) fn perf_cells() -> anyhow::Result<Vec<crate::perf::PerfCell>> {
    let mut plan = plan::Plan::read(None)?;
    plan.keep(1, &["full-only", "modality-dropout", "mmanet"]);
    let cell = |cell: cell::CellSpec| {
        Ok(crate::perf::PerfCell {
            method: cell.resolved.method.to_string(),
            epochs: cell.resolved.train.epochs,
            spec: (cell.key.clone(), serde_json::to_vec(&cell)?),
            has_peer: !cell.hidden,
        })
    };
    plan.cells()?.into_iter().map(cell).collect()
}
