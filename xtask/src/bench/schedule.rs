//! Runs cells in child processes, several side by side, teachers first, the longest first.

use super::cell::CellSpec;
use crate::child;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::weights::write_atomically;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Where and how wide.
pub struct Jobs {
    /// One folder a cell, named by its key.
    pub folder: PathBuf,
    /// Cells side by side.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// Cells run now.
    pub finished: usize,
    /// Why cells failed, by key.
    pub failures: BTreeMap<String, String>,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

#[derive(Default)]
struct State {
    waiting: Vec<CellSpec>,
    done: BTreeSet<String>,
    outcome: Outcome,
}

impl State {
    /// The next cell whose teacher is there.
    fn take(&mut self) -> Option<CellSpec> {
        let ready =
            |cell: &CellSpec| cell.resolved.teacher.as_ref().is_none_or(|t| self.done.contains(t) || self.outcome.failures.contains_key(t));
        let at = self.waiting.iter().position(ready)?;
        Some(self.waiting.remove(at))
    }
}

/// Runs every cell that has no result yet.
pub fn run_all(cells: &[CellSpec], costs: &BTreeMap<String, f64>, jobs: &Jobs) -> Result<Outcome> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst)).context("setting the Ctrl-C handler")?;

    let mut state = State::default();
    let mut seen = BTreeSet::new();
    for cell in cells {
        if !seen.insert(cell.key.clone()) {
            continue;
        }
        match jobs.folder.join(&cell.key).join("result.json").exists() {
            true => _ = state.done.insert(cell.key.clone()),
            false => state.waiting.push(cell.clone()),
        }
    }
    // Long cells first, but before all the teachers, so that nobody waits for one at the end.
    let teachers: BTreeSet<String> = cells.iter().filter_map(|c| c.resolved.teacher.clone()).collect();
    state.waiting.sort_by(|a, b| {
        (teachers.contains(&b.key), costs[&b.key])
            .partial_cmp(&(teachers.contains(&a.key), costs[&a.key]))
            .unwrap_or(std::cmp::Ordering::Equal)
    });

    let bar = ProgressBar::new((state.waiting.len() + state.done.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} cells, {eta} left  {msg}")?);
    bar.set_position(state.done.len() as u64);
    let shared = (Mutex::new(state), Condvar::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.jobs {
            scope.spawn(|| work(&shared, jobs, &bar, &interrupted));
        }
    });
    bar.finish_and_clear();
    let mut outcome = shared.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).outcome;
    outcome.interrupted = interrupted.load(Ordering::SeqCst);
    Ok(outcome)
}

fn work(shared: &(Mutex<State>, Condvar), jobs: &Jobs, bar: &ProgressBar, interrupted: &AtomicBool) {
    let (state, changed) = shared;
    loop {
        let mut guard = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let cell = loop {
            if interrupted.load(Ordering::SeqCst) || guard.waiting.is_empty() {
                changed.notify_all();
                return;
            }
            match guard.take() {
                Some(cell) => break cell,
                None => guard = changed.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner()),
            }
        };
        drop(guard);
        bar.set_message(format!("{} {} seed {}", cell.data, cell.run, cell.resolved.train.seed));
        let result = run_child(&cell, jobs, interrupted);
        let mut guard = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match result {
            Ok(()) => {
                guard.done.insert(cell.key.clone());
                guard.outcome.finished += 1;
            }
            // A cell that Ctrl-C ended did not fail.
            Err(_) if interrupted.load(Ordering::SeqCst) => {}
            Err(error) => _ = guard.outcome.failures.insert(cell.key.clone(), format!("{error:#}")),
        }
        bar.inc(1);
        changed.notify_all();
    }
}

/// How often a running cell is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A child that dies takes its cell with it and nothing else.
fn run_child(cell: &CellSpec, jobs: &Jobs, interrupted: &AtomicBool) -> Result<()> {
    let folder = jobs.folder.join(&cell.key);
    write_atomically(&folder.join("spec.json"), &serde_json::to_vec_pretty(cell)?)?;
    let log = folder.join("log.txt");
    let mut child = child::command(jobs.threads)?
        .arg("cell")
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).with_context(|| format!("writing {}", log.display()))?)
        .spawn()
        .context("starting a cell")?;
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for a cell")? {
            break status;
        }
        // It goes on from its checkpoint the next time.
        if interrupted.load(Ordering::SeqCst) {
            child.kill().context("ending a cell")?;
        }
        std::thread::sleep(POLL);
    };
    if status.success() {
        return Ok(());
    }
    // A terminal sends Ctrl-C to the cells too, and one may be gone before this process has heard of it.
    if ended_by_ctrl_c(status) {
        interrupted.store(true, Ordering::SeqCst);
    }
    let log = std::fs::read(&log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let last = log.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("no message");
    anyhow::bail!("{status} ({last})")
}

#[cfg(unix)]
fn ended_by_ctrl_c(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    const SIGINT: i32 = 2;
    status.signal() == Some(SIGINT)
}

#[cfg(not(unix))]
fn ended_by_ctrl_c(_: ExitStatus) -> bool {
    false
}
