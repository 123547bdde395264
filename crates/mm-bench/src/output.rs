//! The folder that a bench writes to: only what benches wrote is replaced or removed, and one bench has it at a time.

use super::cell::CellSpec;
use super::interrupt::Interrupt;
use anyhow::{Context, Result, bail};
use mm_core::train::is_checkpoint_name;
use mm_core::weights::{is_temporary_name, write_atomically};
use mm_report::pictured;
use mm_report::roster::{self, Roster};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Empty; its presence says that the folder is a bench's, its lock that one is running.
const LOCK: &str = "bench.lock";
/// Who wrote here last: [`About`].
const ABOUT: &str = "bench.json";
/// What a finished cell leaves.
pub const RESULT: &str = "result.json";

/// The weights of a finished cell; a cell that learns from it reads them.
pub const WEIGHTS: &str = "model.safetensors";
/// Where a cell is that has not finished.
pub const CHECKPOINTS: &str = "checkpoints";
const CELLS: &str = "cells";
/// Hashes of the data's files.
pub const FILE_HASHES: &str = "files.json";
const ROSTER: &str = roster::FILE;
const REPORT: [&str; 3] = ["report.html", "report.md", "report.json"];
/// What a cell's folder holds besides checkpoints and pictures. Without its result a cell counts as not run, so that goes first.
/// `standardizer.json` was part of what is `config.json` now.
const CELL_FILES: [&str; 6] = [RESULT, WEIGHTS, "config.json", "standardizer.json", "log.txt", "spec.json"];
/// How often a folder in use is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Names of other people's files in a message.
const NAMED: usize = 8;

/// The last bench of a folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct About {
    /// Name of its plan.
    plan: String,
    /// Its process.
    process: u32,
    /// When it began, RFC 3339.
    since: String,
    /// Whether the report in the folder is a bench's.
    report: bool,
}

/// A folder that this process may write to, and no other bench does until it is dropped.
pub struct Output {
    folder: PathBuf,
    about: About,
    /// None where several machines write to the folder.
    _lock: Option<File>,
}

impl Output {
    /// Takes a folder that is new, empty or a bench's. Waits while another bench has it; `None` if that was interrupted.
    pub fn open(folder: &Path, plan: &str, interrupt: &Interrupt) -> Result<Option<Self>> {
        refuse_foreign(folder)?;
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let Some(lock) = lock(folder, interrupt)? else { return Ok(None) };
        let before = About::read(folder);
        // Older versions left no word about themselves, but cells beside their report.
        let report = before.as_ref().map_or_else(|| has_cells(folder), |before| before.report);
        let about = About::now(plan, report);
        let output = Self { folder: folder.into(), about, _lock: Some(lock) };
        output.refuse_foreign_report()?;
        if let Some(before) = before.filter(|before| before.report && before.plan != plan) {
            eprintln!("the report of plan `{}` in {} will be replaced; its cells stay", before.plan, folder.display());
        }
        output.write_about()?;
        Ok(Some(output))
    }

    /// Takes a folder that other machines may write to at the same time, each its own cells: nothing is locked, on a shared disk locks are
    /// not to be relied on.
    pub fn share(folder: &Path, plan: &str) -> Result<Self> {
        refuse_foreign(folder)?;
        std::fs::create_dir_all(folder.join(CELLS)).with_context(|| format!("creating {}", folder.display()))?;
        let mark = folder.join(LOCK);
        let made = File::options().write(true).create(true).truncate(false).open(&mark);
        made.with_context(|| format!("creating {}", mark.display()))?;
        Ok(Self { folder: folder.into(), about: About::now(plan, false), _lock: None })
    }

    /// Writes which cells the bench is to run.
    pub fn write_roster(&self, roster: &Roster) -> Result<()> {
        Ok(roster.write(&self.folder)?)
    }

    /// One folder a cell, named by its key.
    pub fn cells(&self) -> PathBuf {
        self.folder.join(CELLS)
    }

    /// The folder, for the report.
    pub fn for_report(&mut self) -> Result<&Path> {
        self.refuse_foreign_report()?;
        self.about.report = true;
        self.write_about()?;
        Ok(&self.folder)
    }

    /// Removes what was written for these cells, and nothing else: neither other plans' cells nor other files beside them.
    pub fn remove(&self, cells: &[CellSpec]) -> Result<()> {
        let keys: BTreeSet<&str> = cells.iter().map(|cell| cell.key.as_str()).collect();
        for key in keys {
            let folder = self.cells().join(key);
            remove_checkpoints(&folder.join(CHECKPOINTS))?;
            remove_leftovers(&folder)?;
            let pictures = folder.join(pictured::FOLDER);
            for name in names(&pictures)?.iter().filter(|name| pictured::is_name_of_picture(name)) {
                remove(&pictures.join(name), |path| std::fs::remove_file(path))?;
            }
            remove_if_empty(&pictures)?;
            for name in CELL_FILES {
                remove(&folder.join(name), |path| std::fs::remove_file(path))?;
            }
            remove_if_empty(&folder)?;
        }
        Ok(())
    }

    fn refuse_foreign_report(&self) -> Result<()> {
        match mm_report::foreign(&self.folder) {
            Some(path) => {
                bail!("{} was not written by a bench and would be overwritten: move it away, or give another `--out`", path.display())
            }
            None => Ok(()),
        }
    }

    fn write_about(&self) -> Result<()> {
        Ok(write_atomically(&self.folder.join(ABOUT), &serde_json::to_vec_pretty(&self.about)?)?)
    }
}

impl About {
    fn now(plan: &str, report: bool) -> Self {
        let since = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { plan: plan.into(), process: std::process::id(), since, report }
    }

    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(ABOUT)).ok()?).ok()
    }
}

/// Copies what a finished cell left, its result last: without that it counts as not run.
pub fn copy_cell(from: &Path, to: &Path) -> Result<()> {
    let pictures = from.join(pictured::FOLDER);
    for name in names(&pictures)?.iter().filter(|name| pictured::is_name_of_picture(name)) {
        copy(&pictures.join(name), &to.join(pictured::FOLDER).join(name))?;
    }
    CELL_FILES.iter().rev().try_for_each(|name| match from.join(name).exists() {
        true => copy(&from.join(name), &to.join(name)),
        false => Ok(()),
    })
}

/// One file, whole or not at all.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    Ok(write_atomically(to, &bytes)?)
}

/// Removes the checkpoints of a finished cell, and no other folder beside them.
pub fn remove_checkpoints(folder: &Path) -> Result<()> {
    for name in names(folder)? {
        if is_checkpoint_name(&name) {
            remove(&folder.join(name), |path| std::fs::remove_dir_all(path))?;
        }
    }
    remove_if_empty(folder)
}

/// Removes the files that a killed process did not come to rename.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    for name in names(folder)?.iter().filter(|name| is_temporary_name(name)) {
        remove(&folder.join(name), |path| std::fs::remove_file(path))?;
    }
    Ok(())
}

fn remove(path: &Path, how: impl Fn(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("removing {}", path.display())),
        _ => Ok(()),
    }
}

/// Removes a folder that holds nothing (any more).
pub fn remove_if_empty(folder: &Path) -> Result<()> {
    match names(folder)?.is_empty() {
        true => remove(folder, |path| std::fs::remove_dir(path)),
        false => Ok(()),
    }
}

/// What a folder holds, in order; nothing if it does not exist.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let context = || format!("reading the folder {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(context)?,
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.map(name).collect::<Result<_>>().with_context(context)?;
    names.sort();
    Ok(names)
}

/// Whether a folder is a cell's: it is named by the key in its `spec.json`.
fn is_cell(folder: &Path) -> bool {
    let spec = std::fs::read(folder.join("spec.json")).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let key = spec.as_ref().and_then(|spec| spec.get("key")?.as_str());
    key.is_some() && key == folder.file_name().and_then(|name| name.to_str())
}

fn has_cells(folder: &Path) -> bool {
    names(&folder.join(CELLS)).is_ok_and(|keys| keys.iter().any(|key| is_cell(&folder.join(CELLS).join(key))))
}

/// Refuses a folder of other files, unless a bench has marked it as its own.
fn refuse_foreign(folder: &Path) -> Result<()> {
    let is_marked = || std::fs::metadata(folder.join(LOCK)).is_ok_and(|lock| lock.is_file() && lock.len() == 0);
    if is_marked() {
        return Ok(());
    }
    let ours = has_cells(folder);
    let mut foreign = Vec::new();
    for name in names(folder)? {
        match name.as_str() {
            CELLS => {
                let cells = names(&folder.join(CELLS))?;
                foreign.extend(cells.iter().map(|key| Path::new(CELLS).join(key)).filter(|cell| !is_cell(&folder.join(cell))));
            }
            name if ours && (name == ABOUT || name == ROSTER || name == FILE_HASHES || REPORT.contains(&name)) => {}
            name => foreign.push(name.into()),
        }
    }
    // Another part of the plan may have marked it meanwhile.
    if foreign.is_empty() || is_marked() {
        return Ok(());
    }
    let mut list: Vec<String> = foreign.iter().take(NAMED).map(|path| format!("`{}`", path.display())).collect();
    if foreign.len() > NAMED {
        list.push(format!("{} more", foreign.len() - NAMED));
    }
    bail!(
        "the output folder {} holds files that no bench wrote: {}; nothing was changed; give a new or empty folder, such as `--out {}`",
        folder.display(),
        list.join(", "),
        folder.join("bench").display()
    )
}

/// Locks a folder for as long as the file is open; the system unlocks it when a process ends, however it does.
fn lock(folder: &Path, interrupt: &Interrupt) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                eprintln!("warning: {} cannot be locked ({error}): run only one bench at a time in this folder", path.display());
                return Ok(Some(file));
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("locking {}", path.display())),
            Err(TryLockError::WouldBlock) if interrupt.is_set() => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
        }
        if !told {
            let who = About::read(folder)
                .map_or("another process".into(), |a| format!("process {} (plan `{}`, since {})", a.process, a.plan, a.since));
            eprintln!("{} is in use by the bench of {who}: waiting until it ends; Ctrl-C gives up", folder.display());
            told = true;
        }
        std::thread::sleep(POLL);
    }
}
