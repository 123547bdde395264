//! `mm weights`: what is in a file of weights, and the same as a safetensors file.

use anyhow::Result;
use mm_core::weights::{Ignored, ReadOptions, WeightsFile, convert, inspect};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is done with files of weights: safetensors files, the index of several, checkpoints of PyTorch (.pth, .pt, .th, .bin).
#[derive(clap::Subcommand)]
pub enum WeightsCommand {
    /// List the tensors of a file with type, shape and sum, and what else is in it.
    Inspect {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Write the tensors of a file as one safetensors file that checks itself and says where it is from.
    Convert {
        /// The file that is read.
        source: PathBuf,
        /// The safetensors file that is written.
        target: PathBuf,
        #[command(flatten)]
        options: Options,
        /// Overwrite the target if it exists.
        #[arg(long)]
        force: bool,
    },
}

#[derive(clap::Args)]
pub struct Options {
    /// Entry of a PyTorch checkpoint that holds the weights, such as `ema` or `model.teacher`; `.` is the whole file.
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Keep `module.` and `_orig_mod.` where a PyTorch checkpoint has them before all names.
    #[arg(long)]
    keep_prefix: bool,
}

impl From<&Options> for ReadOptions {
    fn from(options: &Options) -> Self {
        Self { entry: options.entry.clone(), keep_prefix: options.keep_prefix }
    }
}

/// Does what is asked.
pub fn run(command: &WeightsCommand) -> Result<ExitCode> {
    match command {
        WeightsCommand::Inspect { file, options } => {
            let file_name = file.display();
            let file = WeightsFile::open(file, &options.into())?;
            println!("{file_name}: {}{}", file.format(), origin(file.entry(), file.prefix()));
            let (shared, ignored) = (file.shared(), file.ignored());
            list(file)?;
            remarks(&shared, "the same numbers", &ignored);
        }
        WeightsCommand::Convert { source, target, options, force } => {
            let done = convert(source, target, &options.into(), *force)?;
            println!("{}: {} tensors, {} bytes{}", target.display(), done.tensors, done.bytes, origin(done.entry.as_deref(), &done.prefix));
            remarks(&done.shared, "the same numbers, written once for each name", &done.ignored);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The entry, and what was taken off the names.
fn origin(entry: Option<&str>, prefix: &str) -> String {
    let entry = entry.map(|entry| format!(", entry `{}`", entry.escape_debug())).unwrap_or_default();
    let prefix = if prefix.is_empty() { String::new() } else { format!(", without `{prefix}` before the names") };
    entry + &prefix
}

/// One line a tensor, and their number at the end.
fn list(file: WeightsFile) -> Result<()> {
    let summaries = inspect(file)?;
    let numbers: u128 = summaries.iter().map(|summary| summary.tensor.shape.iter().map(|&n| n as u128).product::<u128>()).sum();
    let rows = summaries.iter().map(|summary| {
        let sum = summary.sum.map_or("-".into(), |sum| sum.to_string());
        // A file may give a name that would move the cursor of a terminal.
        [summary.tensor.name.escape_debug().to_string(), summary.tensor.dtype.clone(), format!("{:?}", summary.tensor.shape), sum]
    });
    let rows: Vec<[String; 4]> = [["name", "dtype", "shape", "sum"].map(String::from)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [name, dtype, shape] = [0, 1, 2].map(width);
    for row in &rows {
        println!("{:name$}  {:dtype$}  {:shape$}  {}", row[0], row[1], row[2], row[3]);
    }
    println!("{} tensors, {numbers} numbers", summaries.len());
    Ok(())
}

/// What the tensors do not show.
fn remarks(shared: &[Vec<String>], sharing: &str, ignored: &[Ignored]) {
    for names in shared {
        let names: Vec<String> = names.iter().map(|name| name.escape_debug().to_string()).collect();
        println!("{sharing}: {}", names.join(", "));
    }
    for Ignored { name, what } in ignored {
        println!("not read: {name} ({what})");
    }
}
