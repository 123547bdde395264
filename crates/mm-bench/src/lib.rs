#![doc = include_str!("../README.md")]

mod absence;
mod cell;
pub mod child;
mod command;
mod corruption;
mod cost;
mod counts;
pub mod dataset;
mod dense_cost;
mod failure;
mod file_hashes;
mod interrupt;
mod job;
mod merge;
mod model_place;
mod output;
mod pictures;
mod plan;
mod pretrained;
mod provenance;
mod registry;
mod run_cell;
mod schedule;
mod shard;
mod train;

pub use cell::{CellSpec, Resolved};
pub use command::{BenchArguments, Command, run};
pub use file_hashes::Stamp;
pub use plan::{DEFAULT_PLAN, DataEntry, Plan};
pub use provenance::{LogFormat, exit_code, machine, peak_memory_bytes, version};
pub use registry::Registry;
pub use run_cell::{CellArguments, run_cell};
pub use train::{DeviceArgument, EvaluateArguments, TrainArguments, evaluate, train};

/// The whole of a program that benches with methods of its own: `fn main() -> ExitCode { mm_bench::main(Registry::default().with(mine)) }`.
/// It understands what `mm` does of benches.
pub fn main(registry: Registry) -> std::process::ExitCode {
    #[derive(clap::Parser)]
    struct Arguments {
        #[command(subcommand)]
        command: Command,
        /// Log format on standard error.
        #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
        log: LogFormat,
    }
    let Arguments { command, log } = clap::Parser::parse();
    exit_code(log, || run(command, &registry))
}

/// Loads a saved model of any of our methods.
pub fn from_pretrained(folder: impl AsRef<std::path::Path>) -> anyhow::Result<mm_core::Pipeline> {
    Registry::default().from_pretrained(folder)
}

/// The seeds of the default plan.
pub fn default_seeds() -> anyhow::Result<Vec<u64>> {
    Ok(plan::Plan::read(None)?.seeds)
}
