//! `mm data`: what is done with data sets before anything is trained.

mod prepare;

use anyhow::Result;
use std::process::ExitCode;

/// What is done with data sets.
#[derive(clap::Subcommand)]
pub enum DataCommand {
    /// Make a manifest and cards of a public data set as its makers give it.
    Prepare(prepare::PrepareArguments),
}

/// Does what is asked.
pub fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::Prepare(arguments) => prepare::run(arguments),
    }
}
