//! `mm data`: data sets before anything is trained on them.

mod check;

use anyhow::Result;
use std::process::ExitCode;

/// What is done with data sets.
#[derive(clap::Subcommand)]
pub enum DataCommand {
    /// Read everything of a data set once, and say what is wrong with it.
    Check(check::CheckArguments),
}

/// Does what is asked.
pub fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::Check(arguments) => check::run(arguments),
    }
}
