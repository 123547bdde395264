//! The project's own commands. `cargo xtask bench` is the main one. A library so that tests and fuzzing reach the plans.

pub mod bench;
mod child;
mod cuda_check;
mod dataset;
mod golden;
mod levels;
mod memory;
mod perf;
mod report;
mod result;
mod rows;
mod sanitize;
mod tidy;
mod train_curve;

use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Log format on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    log: LogFormat,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Train and compare methods on a data set, evaluate every modality combination, write a report.
    Bench(bench::BenchArguments),
    /// Compute every case of a golden-value file and compare.
    Golden(golden::GoldenArguments),
    /// Time our work, beside PyTorch where asked.
    Perf(perf::PerfArguments),
    /// Train MMANet's image network beside PyTorch from the same weights, and compare the losses.
    TrainCurve(train_curve::TrainCurveArguments),
    /// Type-check the workspace with its CUDA code, without a GPU.
    CudaCheck(cuda_check::CudaCheckArguments),
    /// Run the kernels' tests under AddressSanitizer.
    Sanitize,
    /// Run the tests at every level of vector instructions below the processor's best.
    Levels,
    /// Check the house rules.
    Tidy,
    /// Run one cell of a bench (called by `bench`).
    #[command(hide = true)]
    Cell(bench::CellArguments),
    /// Do and time one piece of work on images (called by `perf`).
    #[command(hide = true)]
    ImageWork(perf::ImageWorkArguments),
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    init_logging(arguments.log);
    // Computing at another level than the one asked for would be worse than not at all.
    if let Err(problem) = mm_kernels::simd::Level::from_environment() {
        eprintln!("error: {problem}");
        return ExitCode::FAILURE;
    }
    let outcome = match arguments.command {
        Command::Bench(arguments) => bench::run(arguments),
        Command::Golden(arguments) => golden::run(&arguments),
        Command::Perf(arguments) => perf::run(&arguments),
        Command::TrainCurve(arguments) => train_curve::run(&arguments),
        Command::CudaCheck(arguments) => cuda_check::run(&arguments),
        Command::Sanitize => sanitize::run(),
        Command::Levels => levels::run(),
        Command::Tidy => tidy::run(),
        Command::Cell(arguments) => computing(|| bench::run_cell(&arguments)),
        Command::ImageWork(arguments) => computing(|| perf::run_image_work(&arguments)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Whether these are arguments that [`main`] takes: for the test of the documentation.
pub fn check_arguments(arguments: &[&str]) -> Result<(), String> {
    let parsed = Arguments::try_parse_from(["cargo xtask"].iter().chain(arguments));
    parsed.map(drop).map_err(|error| error.to_string())
}

/// A command that computes in this process.
fn computing(command: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    child::compute_on_this_thread()?;
    command()?;
    Ok(ExitCode::SUCCESS)
}

/// `RUST_LOG` chooses what is logged; by default warnings, and what a bench finds in its data.
fn init_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,xtask::bench=info".into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Human => builder.without_time().with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}
