#![doc = include_str!("../README.md")]

use clap::Parser;
use mm_bench::LogFormat;
use std::process::ExitCode;

/// Train, compare and use models that survive missing and noisy sensors.
#[derive(Parser)]
#[command(name = "mm", version)]
struct Arguments {
    #[command(subcommand)]
    command: mm_bench::Command,
    /// Log format on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    log: LogFormat,
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    mm_bench::exit_code(arguments.log, || mm_bench::run(arguments.command, &mm_bench::Registry::default()))
}

/// Whether these are arguments that [`main`] takes: for the test of the documentation.
pub fn check_arguments(arguments: &[&str]) -> Result<(), String> {
    let parsed = Arguments::try_parse_from(["mm"].iter().chain(arguments));
    parsed.map(drop).map_err(|error| error.to_string())
}
