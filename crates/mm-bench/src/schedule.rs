//! Runs cells in child processes, several side by side, teachers first, the longest first.

use super::cell::CellSpec;
use super::interrupt::Interrupt;
use super::{failure, output};
use crate::child;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::weights::write_atomically;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Where and how wide.
pub struct Jobs {
    /// One folder a cell, named by its key.
    pub folder: PathBuf,
    /// Cells side by side.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
    /// Folder of the features of frozen encoders, and its GiB; `None` keeps none.
    pub cache: Option<(PathBuf, f64)>,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// Cells run now.
    pub finished: usize,
    /// Why cells failed, by key.
    pub failures: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    waiting: Vec<CellSpec>,
    done: BTreeSet<String>,
    outcome: Outcome,
}

impl State {
    /// The next cell whose teacher is there. Without its teacher a cell fails as that did.
    fn take(&mut self) -> Option<CellSpec> {
        let failures = &mut self.outcome.failures;
        self.waiting.retain(|cell| {
            let why = cell.resolved.teacher.as_ref().and_then(|teacher| failures.get(teacher)).cloned();
            why.map(|why| failures.insert(cell.key.clone(), format!("its teacher failed: {why}"))).is_none()
        });
        let at = self.waiting.iter().position(|cell| cell.resolved.teacher.as_ref().is_none_or(|teacher| self.done.contains(teacher)))?;
        Some(self.waiting.remove(at))
    }
}

/// Runs every cell that has no result yet, or until it is interrupted.
pub fn run_all(cells: &[CellSpec], jobs: &Jobs, interrupt: &Interrupt) -> Result<Outcome> {
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
        let (of_a, of_b) = (teachers.contains(&a.key), teachers.contains(&b.key));
        of_b.cmp(&of_a).then(b.estimated_seconds.total_cmp(&a.estimated_seconds))
    });

    let bar = ProgressBar::new((state.waiting.len() + state.done.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} cells, {eta} left  {msg}")?);
    bar.set_position(state.done.len() as u64);
    let side_by_side = jobs.jobs.min(state.waiting.len());
    let shared = (Mutex::new(state), Condvar::new());
    std::thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(|| work(&shared, jobs, &bar, interrupt));
        }
    });
    bar.finish_and_clear();
    Ok(shared.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).outcome)
}

fn work(shared: &(Mutex<State>, Condvar), jobs: &Jobs, bar: &ProgressBar, interrupt: &Interrupt) {
    let (state, changed) = shared;
    loop {
        let mut guard = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let cell = loop {
            let next = guard.take();
            if interrupt.is_set() || (next.is_none() && guard.waiting.is_empty()) {
                changed.notify_all();
                return;
            }
            match next {
                Some(cell) => break cell,
                None => guard = changed.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner()),
            }
        };
        drop(guard);
        bar.set_message(format!("{} {} seed {}", cell.data, cell.run, cell.resolved.train.seed));
        let result = run_child(&cell, jobs, interrupt);
        let mut guard = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match result {
            Ok(()) => {
                guard.done.insert(cell.key.clone());
                guard.outcome.finished += 1;
            }
            // A cell that was interrupted did not fail.
            Err(_) if interrupt.is_set() => {}
            Err(error) => _ = guard.outcome.failures.insert(cell.key.clone(), format!("{error:#}")),
        }
        bar.inc(1);
        changed.notify_all();
    }
}

/// Cells of fewer seconds than this are short ([`child::short_command`]).
const SHORT: f64 = 10.0;
/// How often a running cell is looked at.
const POLL: Duration = Duration::from_millis(10);
/// A signal to all processes of a terminal or a service may end a cell before this process has heard of it: wait so long.
const HEARD: Duration = Duration::from_secs(1);

/// A child that dies takes its cell with it and nothing else.
fn run_child(cell: &CellSpec, jobs: &Jobs, interrupt: &Interrupt) -> Result<()> {
    let folder = jobs.folder.join(&cell.key);
    output::remove_leftovers(&folder)?;
    write_atomically(&folder.join("spec.json"), &serde_json::to_vec_pretty(cell)?)?;
    let log = folder.join("log.txt");
    // The child ends when its standard input does: with this process, however that ends.
    let cache = jobs.cache.iter().flat_map(|(folder, gib)| {
        [OsString::from("--cache"), folder.clone().into_os_string(), "--cache-gib".into(), gib.to_string().into()]
    });
    let command = if cell.estimated_seconds < SHORT { child::short_command } else { child::command };
    let mut child = command(jobs.threads)?
        .arg("cell")
        .arg(&folder)
        .arg("--end-with-stdin")
        .args(cache)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(&log).with_context(|| format!("writing {}", log.display()))?)
        .spawn()
        .context("starting a cell")?;
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for a cell")? {
            break status;
        }
        // It goes on from its checkpoint the next time.
        if interrupt.is_set() {
            child.kill().context("ending a cell")?;
        }
        std::thread::sleep(POLL);
    };
    if status.success() {
        return Ok(());
    }
    let ended = Instant::now();
    while was_asked_to_end(status) && !interrupt.is_set() && ended.elapsed() < HEARD {
        std::thread::sleep(POLL);
    }
    bail!(failure::reason(status, &log))
}

#[cfg(unix)]
fn was_asked_to_end(status: ExitStatus) -> bool {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    std::os::unix::process::ExitStatusExt::signal(&status).is_some_and(|signal| [SIGHUP, SIGINT, SIGTERM].contains(&signal))
}

#[cfg(not(unix))]
fn was_asked_to_end(_: ExitStatus) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    #[test]
    fn a_cell_fails_with_its_teacher() {
        let cells = Plan::read(None).unwrap().cells(&crate::Registry::default()).unwrap();
        let teacher = cells.iter().find_map(|cell| cell.resolved.teacher.clone()).unwrap();
        let of_teacher: BTreeSet<&str> =
            cells.iter().filter(|cell| cell.resolved.teacher.as_ref() == Some(&teacher)).map(|cell| cell.key.as_str()).collect();
        let mut state = State { waiting: cells.iter().filter(|cell| cell.key != teacher).cloned().collect(), ..State::default() };
        state.outcome.failures.insert(teacher.clone(), "it broke".into());
        while let Some(cell) = state.take() {
            assert!(!of_teacher.contains(cell.key.as_str()));
            state.done.insert(cell.key);
        }
        assert!(state.waiting.is_empty() && of_teacher.len() > 1);
        let failed: Vec<_> = state.outcome.failures.iter().filter(|(key, _)| **key != teacher).collect();
        assert_eq!(failed.len(), of_teacher.len());
        assert!(failed.iter().all(|(key, why)| of_teacher.contains(key.as_str()) && *why == "its teacher failed: it broke"));
    }
}
