//! `mm data concat`: one table of the tables of parts.

use anyhow::{Result, ensure};
use mm_core::data::{Part, concat_parts};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `data concat`.
#[derive(clap::Args)]
pub struct ConcatArguments {
    /// A table of samples to learn from; each may be given several times.
    #[arg(long, value_name = "FILE")]
    train: Vec<PathBuf>,
    /// A table of samples to choose by.
    #[arg(long, value_name = "FILE")]
    validation: Vec<PathBuf>,
    /// A table of samples to test.
    #[arg(long, value_name = "FILE")]
    test: Vec<PathBuf>,
    /// The new table, `.csv` or `.jsonl`, in the folder of the others.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the table and says what is in it.
pub fn run(arguments: &ConcatArguments) -> Result<ExitCode> {
    let of = |part: Part, files: &[PathBuf]| files.iter().map(|file| (part, file.clone())).collect::<Vec<_>>();
    let parts = [of(Part::Train, &arguments.train), of(Part::Validation, &arguments.validation), of(Part::Test, &arguments.test)].concat();
    ensure!(parts.len() > 1, "give the tables of two parts or more: --train, --validation, --test");
    let rows = concat_parts(&parts, &arguments.out)?;
    let out = arguments.out.display();
    println!("{out}: {} rows", rows.iter().sum::<usize>());
    for ((part, file), rows) in parts.iter().zip(rows) {
        println!("  {part}: {rows} of {}", file.display());
    }
    println!("next: mm data check {out} --write-card card.toml");
    Ok(ExitCode::SUCCESS)
}
