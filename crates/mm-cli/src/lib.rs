#![doc = include_str!("../README.md")]

mod data;
mod export;
mod predict;
mod report;
mod serve;
mod train;
mod weights;

use clap::Parser;
use mm_bench::{EvaluateArguments, LogFormat, TrainArguments};
use std::process::ExitCode;

/// Train, compare and use models that survive missing and noisy sensors.
#[derive(Parser)]
#[command(name = "mm", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Log format on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    log: LogFormat,
}

/// What the program does.
#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Bench(mm_bench::Command),
    /// Train a model on a card's data, evaluate it, and save it as a folder.
    Train(TrainArguments),
    /// Evaluate a saved model with every combination of its sensors, and time it.
    Evaluate(EvaluateArguments),
    /// Ask a saved model about every row of a table of samples.
    Predict(predict::PredictArguments),
    /// Serve a saved model over HTTP: readings in, answers out.
    Serve(serve::ServeArguments),
    /// Write a saved model as an ONNX file, for programs without this library.
    Export(export::ExportArguments),
    /// Write the report of finished cells and of other programs' predictions, side by side.
    Report(report::ReportArguments),
    /// Look at data sets before anything is trained on them.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Look into files of weights, and convert them.
    #[command(subcommand)]
    Weights(weights::WeightsCommand),
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    end_with_the_reader();
    let arguments = Arguments::parse();
    mm_bench::exit_code(arguments.log, || match arguments.command {
        Command::Bench(command) => mm_bench::run(command, &mm_bench::Registry::default()),
        Command::Train(arguments) => train::train(&arguments),
        Command::Evaluate(arguments) => train::evaluate(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Data(command) => data::run(&command),
        Command::Weights(command) => weights::run(&command),
    })
}

/// Who reads what is printed may go away, as `head` does after ten lines, and a disk may be full: the program ends then, where `println!` would panic.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>();
        match said.and_then(|said| said.strip_prefix("failed printing to stdout: ")) {
            // As shells count a program that its pipe ended.
            Some(problem) if problem.contains("os error 32") => std::process::exit(141),
            Some(problem) => {
                eprintln!("error: standard output: {problem}");
                std::process::exit(1)
            }
            None => usual(panic),
        }
    }));
}

/// Whether these are arguments that [`main`] takes: for the test of the documentation.
pub fn check_arguments(arguments: &[&str]) -> Result<(), String> {
    let parsed = Arguments::try_parse_from(["mm"].iter().chain(arguments));
    parsed.map(drop).map_err(|error| error.to_string())
}
