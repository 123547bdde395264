//! The project's own commands. A library so that tests reach them.

mod audio_visual;
mod cargo;
mod cuda_check;
mod fetch;
mod golden;
mod levels;
mod memory;
mod onnx;
mod perf;
mod sanitize;
mod serve_load;
mod tidy;
mod train_curve;

use clap::{Parser, Subcommand};
use mm_bench::{LogFormat, child};
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

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Bench(mm_bench::Command),
    /// Compute every case of a golden-value file and compare.
    Golden(golden::GoldenArguments),
    /// Time our work, beside PyTorch where asked.
    Perf(perf::PerfArguments),
    /// Run exported models in ONNX Runtime and OpenVINO, and compare answers and times with ours.
    Onnx(onnx::OnnxArguments),
    /// Train MMANet's image network beside PyTorch from the same weights, and compare the losses.
    TrainCurve(train_curve::TrainCurveArguments),
    /// Fetch what some tests need and the repository does not hold.
    Fetch(fetch::FetchArguments),
    /// Make the built-in audio-visual digits anew.
    AudioVisual(audio_visual::AudioVisualArguments),
    /// Type-check the workspace with its CUDA code, without a GPU.
    CudaCheck(cuda_check::CudaCheckArguments),
    /// Put our server and one of FastAPI and PyTorch under load, or ours under attack.
    ServeLoad(serve_load::ServeLoadArguments),
    /// Run the kernels' tests under AddressSanitizer.
    Sanitize,
    /// Run the tests at every level of vector instructions below the processor's best.
    Levels,
    /// Check the house rules.
    Tidy,
    /// Do and time one piece of work of a network for every pixel (called by `perf`).
    #[command(hide = true)]
    DenseWork(perf::DenseWorkArguments),
    /// Time a saved model (called by `perf`).
    #[command(hide = true)]
    DeployedWork(perf::DeployedWorkArguments),
    /// Do and time one piece of work on images (called by `perf`).
    #[command(hide = true)]
    ImageWork(perf::ImageWorkArguments),
    /// Load files, or train on them, and time it (called by `perf`).
    #[command(hide = true)]
    LoaderWork(perf::LoaderWorkArguments),
    /// Time predictions from files (called by `perf`).
    #[command(hide = true)]
    PredictionWork(perf::PredictionWorkArguments),
    /// Serve a model (called by `serve-load`).
    #[command(hide = true)]
    ServeWork(serve_load::ServeWorkArguments),
    /// Do and time a training step of an encoder of series (called by `perf`).
    #[command(hide = true)]
    SeriesWork(perf::SeriesWorkArguments),
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    mm_bench::exit_code(arguments.log, || match arguments.command {
        Command::Bench(command) => mm_bench::run(command, &mm_bench::Registry::default()),
        Command::Golden(arguments) => golden::run(&arguments),
        Command::Perf(arguments) => perf::run(&arguments),
        Command::Onnx(arguments) => onnx::run(&arguments),
        Command::TrainCurve(arguments) => train_curve::run(&arguments),
        Command::Fetch(arguments) => fetch::run(&arguments),
        Command::AudioVisual(arguments) => audio_visual::run(&arguments),
        Command::CudaCheck(arguments) => cuda_check::run(&arguments),
        Command::ServeLoad(arguments) => serve_load::run(&arguments),
        Command::ServeWork(arguments) => child::serving(|| serve_load::run_work(&arguments)),
        Command::Sanitize => sanitize::run(),
        Command::Levels => levels::run(),
        Command::Tidy => tidy::run(),
        Command::LoaderWork(arguments) => child::computing(|| perf::run_loader_work(&arguments)),
        Command::PredictionWork(arguments) => child::computing(|| perf::run_prediction_work(&arguments)),
        Command::SeriesWork(arguments) => child::computing(|| perf::run_series_work(&arguments)),
        Command::DeployedWork(arguments) => child::computing(|| perf::run_deployed_work(&arguments)),
        Command::DenseWork(arguments) => child::computing(|| perf::run_dense_work(&arguments)),
        Command::ImageWork(arguments) => child::computing(|| perf::run_image_work(&arguments)),
    })
}

/// Whether these are arguments that [`main`] takes: for the test of the documentation.
pub fn check_arguments(arguments: &[&str]) -> Result<(), String> {
    let parsed = Arguments::try_parse_from(["cargo xtask"].iter().chain(arguments));
    parsed.map(drop).map_err(|error| error.to_string())
}
