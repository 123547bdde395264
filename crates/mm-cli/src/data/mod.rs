//! `mm data`: data sets before anything is trained on them.

mod check;
mod prepare;

use anyhow::Result;
use std::process::ExitCode;

/// What is done with data sets.
#[derive(clap::Subcommand)]
pub enum DataCommand {
    /// Read everything of a data set once, and say what is wrong with it.
    Check(check::CheckArguments),
    /// Make a manifest and cards of a public data set as its makers give it.
    Prepare(prepare::PrepareArguments),
}

/// Does what is asked.
pub fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::Check(arguments) => check::run(arguments),
        DataCommand::Prepare(arguments) => prepare::run(arguments),
    }
}
