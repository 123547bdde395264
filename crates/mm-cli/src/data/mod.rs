//! `mm data`: data sets before anything is trained on them.

mod check;
mod concat;
mod prepare;
mod render;
mod series;

use anyhow::Result;
use std::process::ExitCode;

/// What is done with data sets.
#[derive(clap::Subcommand)]
pub enum DataCommand {
    /// Read everything of a data set once, and say what is wrong with it.
    Check(check::CheckArguments),
    /// Put the tables of parts (train, validation, test) into one.
    Concat(concat::ConcatArguments),
    /// Make a manifest and cards of a public data set as its makers give it.
    Prepare(prepare::PrepareArguments),
    /// Render synthetic rooms for a camera, a depth sensor and a thermal camera, with a class for each pixel.
    Render(render::RenderArguments),
    /// Make series of a table that has a row for each step (a patient's hour, a reading of a watch).
    Series(series::SeriesArguments),
}

/// Does what is asked.
pub fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::Check(arguments) => check::run(arguments),
        DataCommand::Concat(arguments) => concat::run(arguments),
        DataCommand::Prepare(arguments) => prepare::run(arguments),
        DataCommand::Render(arguments) => render::run(arguments),
        DataCommand::Series(arguments) => series::run(arguments),
    }
}
