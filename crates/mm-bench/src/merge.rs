//! `bench merge`: the folders of a plan's parts in, one folder with all cells and the report out.

use super::command::{read_result, read_results, write_report};
use super::interrupt::Interrupt;
use super::output::{self, Output, RESULT};
use anyhow::{Context, Result, bail};
use mm_report::finished::same_numbers;
use mm_report::result::CellResult;
use mm_report::roster::{FILE, Listed, Roster};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `bench merge`.
#[derive(clap::Args)]
pub struct MergeArguments {
    /// The folders of results of the parts; one, where all parts wrote to the same.
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Where all cells and the report go; by default the first of the folders.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Copies the cells that the folder of the outcome lacks, and writes the report there.
pub fn run(arguments: &MergeArguments) -> Result<ExitCode> {
    let folders = &arguments.folders;
    let roster = common_roster(folders)?;
    let out = arguments.out.as_ref().unwrap_or(&folders[0]);
    let interrupt = Interrupt::listen()?;
    let interrupted = || Ok(ExitCode::from(interrupt.exit_code().unwrap_or(1)));
    let Some(mut output) = Output::open(out, &roster.plan, &interrupt)? else { return interrupted() };
    let cells = output.cells();
    let (mut seen, mut twice) = (BTreeSet::new(), 0);
    for cell in roster.cells.iter().filter(|cell| seen.insert(&cell.key)) {
        if interrupt.is_set() {
            return interrupted();
        }
        let sources = folders.iter().map(|folder| folder.join("cells")).filter(|folder| folder.join(&cell.key).join(RESULT).exists());
        let sources: Vec<PathBuf> = sources.collect();
        let Some(first) = sources.first() else { continue };
        twice += usize::from(compare(cell, &sources)? > 1);
        let target = cells.join(&cell.key);
        if !target.join(RESULT).exists() {
            // One that is cut off is told where it lies.
            read_result(first, cell)?;
            output::copy_cell(&first.join(&cell.key), &target)?;
        } else if !sources.contains(&cells) {
            compare(cell, &[cells.clone(), first.clone()])?;
        }
    }
    output.write_roster(&roster)?;
    let has = |key: &str| cells.join(key).join(RESULT).exists();
    let missing = roster.missing(has);
    missing.iter().for_each(|note| eprintln!("error: {note}"));
    if twice > 0 {
        eprintln!("{twice} cells were computed in more than one of the folders");
    }
    let results = read_results(&cells, &roster, has)?;
    if results.is_empty() {
        bail!("none of the {} cells of the plan `{}` has a result yet", roster.cells.len(), roster.plan);
    }
    println!("{}", write_report(&mut output, &roster, &results, &missing)?.display());
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The list of cells that all folders have.
fn common_roster(folders: &[PathBuf]) -> Result<Roster> {
    let mut common: Option<(&Path, Roster)> = None;
    for folder in folders {
        let found = Roster::read(folder)?.with_context(|| {
            let older = "as older versions left it, or no bench's: `mm report --results` shows what has finished";
            format!("{} has no list of cells ({FILE}): it is a bench's folder {older}", folder.display())
        })?;
        match &common {
            Some((first, roster)) if *roster != found => {
                let others = found.keys().difference(&roster.keys()).count();
                bail!(
                    "{} and {} are not parts of one bench: {others} of the {} cells of the second are none of the first, as with another plan, \
                     other data, `--quick` on one side, or another version of the program",
                    first.display(),
                    folder.display(),
                    found.keys().len()
                );
            }
            Some(_) => {}
            None => common = Some((folder, found)),
        }
    }
    Ok(common.context("no folder was given")?.1)
}

/// Refuses results of one cell that differ although they were computed alike; how many there are.
fn compare(cell: &Listed, sources: &[PathBuf]) -> Result<usize> {
    let [first, others @ ..] = sources else { return Ok(0) };
    if others.is_empty() {
        return Ok(1);
    }
    let of_first = read_result(first, cell)?;
    for other in others.iter().filter(|other| *other != first) {
        let of_other = read_result(other, cell)?;
        if level(&of_first) == level(&of_other) && !same_numbers(&of_first, &of_other) {
            bail!(
                "cell {cell} has different numbers in {} and in {}, which should be equal to the last bit: one of the two was damaged, or \
                 computed by a changed program of the same version; remove one of them",
                first.join(&cell.key).display(),
                other.join(&cell.key).display()
            );
        }
    }
    Ok(sources.len())
}

fn level(result: &CellResult) -> Option<&str> {
    Some(&result.provenance.as_ref()?.level)
}
