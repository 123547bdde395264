//! `mm data check`: a card, a table of samples or a folder in, findings out.

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::data::check::{Check, GENERATOR, Guess, files, guess, tables, unreadable};
use mm_core::data::{DatasetCard, FileCard};
use mm_core::weights::{folder_of, write_atomically};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `data check`.
#[derive(clap::Args)]
pub struct CheckArguments {
    /// A card (.toml), or a table of samples (CSV, JSON lines, Parquet) or a folder of folders, whose card is then guessed and printed.
    data: PathBuf,
    /// Write the guessed card to a new file.
    #[arg(long, value_name = "FILE")]
    write_card: Option<PathBuf>,
    /// Write all findings as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page for a browser, with pictures.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Checks, and fails where the data cannot be used as they are.
pub fn run(arguments: &CheckArguments) -> Result<ExitCode> {
    // Before hours of reading.
    refuse_same(arguments)?;
    for file in [&arguments.json, &arguments.html].into_iter().flatten() {
        refuse_foreign(file)?;
    }
    let mut card = String::new();
    let check = check(arguments, &mut card).and_then(|check| write(arguments, &check).map(|()| check));
    // Last: who reads it may go away, as `head` does, and that ends the program.
    print!("{card}");
    let check = check?;
    print!("{}", mm_report::check::text(&check));
    Ok(if check.is_usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the files that are asked for.
fn write(arguments: &CheckArguments, check: &Check) -> Result<()> {
    if let Some(file) = &arguments.json {
        write_atomically(file, &serde_json::to_vec_pretty(check)?)?;
    }
    if let Some(file) = &arguments.html {
        write_atomically(file, mm_report::check::page(check)?.as_bytes())?;
    }
    Ok(())
}

/// Checks; a card that is guessed goes to `told`, as it is printed.
fn check(arguments: &CheckArguments, told: &mut String) -> Result<Check> {
    let path = &arguments.data;
    if !path.exists() {
        bail!("there is no {}: give a card, a table of samples or a folder (see docs/src/data-check.md)", path.display());
    }
    let is_card = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"));
    if is_card {
        if arguments.write_card.is_some() {
            bail!("{} is a card already: `--write-card` writes the one that is guessed for a table or a folder", path.display());
        }
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        return of_card(&String::from_utf8_lossy(&text), path);
    }
    let file = arguments.write_card.clone().unwrap_or_else(|| path.with_file_name("card.toml"));
    if arguments.write_card.is_some() && file.symlink_metadata().is_ok() {
        bail!("{} is there already and may be yours: give another `--write-card`, or move it away", file.display());
    }
    let Guess { card, remarks, findings } =
        guess(path, folder_of(&file)).with_context(|| format!("guessing what {} holds", path.display()))?;
    let remarks: String = remarks.iter().map(|remark| format!("# {}\n", remark.replace('\n', " "))).collect();
    let told_card = if remarks.is_empty() { card.clone() } else { format!("{card}\n{remarks}") };
    *told += &format!("{told_card}\n");
    match &arguments.write_card {
        Some(file) => {
            // With what was left out: who looks the card over later sees it, too.
            write_atomically(file, told_card.as_bytes())?;
            *told += &format!("# This card was written to {}: check it again after each change.\n\n", file.display());
        }
        None => *told += "# `--write-card FILE` writes this card.\n\n",
    }
    let mut check = of_card(&card, &file)?;
    check.verdicts.extend(findings);
    check.verdicts.sort_by_key(|verdict| verdict.level);
    Ok(check)
}

/// Checks what a card describes; `path` is where it is, or would be.
fn of_card(text: &str, path: &Path) -> Result<Check> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("reading {bar:30} {pos} of {len} samples, {eta} left") {
        bar.set_style(style);
    }
    let progress = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let check = match FileCard::is_meant_by(text) {
        true => files(&FileCard::from_str(text, path)?, &progress)?,
        false => {
            let card = DatasetCard::from_str(text, path)?;
            let place = path.display().to_string();
            match card.load_files() {
                Ok(loaded) => tables(&card.name, &place, &loaded, &progress),
                Err(_) => unreadable(&card.name, &place, card.mistakes()),
            }
        }
    };
    bar.finish_and_clear();
    Ok(check)
}

/// Refuses one file for two things.
fn refuse_same(arguments: &CheckArguments) -> Result<()> {
    let files = [("--write-card", &arguments.write_card), ("--json", &arguments.json), ("--html", &arguments.html)];
    let files: Vec<(&str, &PathBuf)> = files.into_iter().filter_map(|(flag, file)| Some((flag, file.as_ref()?))).collect();
    // A file that is not there yet is known by its folder.
    let place = |file: &Path| match std::fs::canonicalize(folder_of(file)) {
        Ok(folder) => Some(folder.join(file.file_name()?)),
        Err(_) => std::path::absolute(file).ok(),
    };
    for (at, (flag, file)) in files.iter().enumerate() {
        if let Some((other, _)) = files[..at].iter().find(|(_, other)| place(other) == place(file)) {
            bail!("`{other}` and `{flag}` name one file, {}: give each its own", file.display());
        }
    }
    Ok(())
}

/// Refuses to overwrite a file that this command did not write: the name of the program stands near its beginning.
fn refuse_foreign(file: &Path) -> Result<()> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes.with_context(|| format!("reading {}", file.display()))?,
    };
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
    let ours = beginning.contains(&format!("\"generator\": \"{GENERATOR}\"")) || beginning.contains(&format!("content=\"{GENERATOR}\""));
    match ours {
        true => Ok(()),
        false => {
            bail!("{} was not written by `mm data check` and would be overwritten: move it away, or give another file", file.display())
        }
    }
}
