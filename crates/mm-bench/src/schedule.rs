//! Runs cells in child processes, several side by side, teachers first, the longest first.

use super::cell::CellSpec;
use super::interrupt::Interrupt;
use super::{failure, output};
use crate::{child, job};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::weights::write_atomically;
use mm_kernels::simd;
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
    /// Bytes of memory for all cells together, where they are known.
    pub memory: Option<u64>,
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
    running: usize,
    /// The most memory that any cell has taken so far.
    peak: u64,
    /// Cells that were killed beside others, perhaps for their memory: each gets the machine for itself, once.
    alone: BTreeSet<String>,
    /// Whether one of them runs.
    is_alone: bool,
}

impl State {
    /// The next cell whose teacher is there, if memory is for one more. Without its teacher a cell fails as that did.
    fn take(&mut self, memory: Option<u64>) -> Option<CellSpec> {
        let failures = &mut self.outcome.failures;
        self.waiting.retain(|cell| {
            let why = cell.resolved.teacher.as_ref().and_then(|teacher| failures.get(teacher)).cloned();
            why.map(|why| failures.insert(cell.key.clone(), format!("its teacher failed: {why}"))).is_none()
        });
        let fits = memory.is_none_or(|memory| self.peak.saturating_mul(self.running as u64 + 1) <= memory);
        if self.is_alone || (self.running > 0 && !fits) {
            return None;
        }
        let is_ready = |cell: &CellSpec| cell.resolved.teacher.as_ref().is_none_or(|teacher| self.done.contains(teacher));
        let may_start = |cell: &CellSpec| self.running == 0 || !self.alone.contains(&cell.key);
        let at = self.waiting.iter().position(|cell| is_ready(cell) && may_start(cell))?;
        let cell = self.waiting.remove(at);
        (self.running, self.is_alone) = (self.running + 1, self.alone.contains(&cell.key));
        Some(cell)
    }

    /// Notes what became of a cell that was taken.
    fn put(&mut self, cell: CellSpec, ended: Ended) {
        let beside_others = self.running > 1;
        (self.running, self.is_alone) = (self.running - 1, false);
        match ended {
            Ended::Well => {
                self.done.insert(cell.key);
                self.outcome.finished += 1;
            }
            Ended::Interrupted => {}
            Ended::Killed(_) if beside_others && self.alone.insert(cell.key.clone()) => {
                eprintln!("cell {cell} was killed: it is tried again alone");
                self.waiting.push(cell);
            }
            Ended::Killed(why) | Ended::Badly(why) => _ = self.outcome.failures.insert(cell.key, why),
        }
    }
}

/// How a cell ended.
enum Ended {
    Well,
    /// Because this process was asked to end: it did not fail.
    Interrupted,
    /// By SIGKILL, as where memory runs out.
    Killed(String),
    Badly(String),
}

/// Runs every cell that has no result yet, or until it is interrupted.
pub fn run_all(cells: &[CellSpec], jobs: &Jobs, interrupt: &Interrupt) -> Result<Outcome> {
    let mut state = State::default();
    let mut seen = BTreeSet::new();
    let left = |cell: &CellSpec, file: &str| jobs.folder.join(&cell.key).join(file);
    let taught = cells.iter().filter(|cell| !left(cell, output::RESULT).exists()).filter_map(|cell| cell.resolved.teacher.as_ref());
    let asked_for: BTreeSet<&String> = taught.collect();
    for cell in cells {
        if !seen.insert(cell.key.clone()) {
            continue;
        }
        let result = left(cell, output::RESULT);
        if result.exists() && asked_for.contains(&cell.key) && !left(cell, output::WEIGHTS).exists() {
            eprintln!("cell {cell}: others learn from it, and its {} is gone: it is computed anew", output::WEIGHTS);
            std::fs::remove_file(&result).with_context(|| format!("removing {}", result.display()))?;
        }
        if result.exists() {
            // Of a cell that was killed between the two.
            output::remove_checkpoints(&left(cell, output::CHECKPOINTS))?;
        }
        match result.exists() {
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
            let next = guard.take(jobs.memory);
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
        let note_peak = |bytes: u64| {
            let mut guard = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            guard.peak = guard.peak.max(bytes);
        };
        let ended = match run_child(&cell, jobs, interrupt, &note_peak) {
            // Another machine with the same part of the plan may have finished it.
            _ if jobs.folder.join(&cell.key).join(output::RESULT).exists() => Ended::Well,
            Ok(ended) => ended,
            Err(error) => Ended::Badly(format!("{error:#}")),
        };
        let ended = if interrupt.is_set() && !matches!(ended, Ended::Well) { Ended::Interrupted } else { ended };
        let mut guard = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        guard.put(cell, ended);
        bar.set_position((guard.done.len() + guard.outcome.failures.len()) as u64);
        changed.notify_all();
    }
}

/// Cells of fewer seconds than this are short ([`child::short_command`]).
const SHORT: f64 = 10.0;
/// How often a running cell is looked at.
const POLL: Duration = Duration::from_millis(10);
/// A signal to all processes of a terminal or a service may end a cell before this process has heard of it: wait so long.
const HEARD: Duration = Duration::from_secs(1);

/// How often the memory of a running cell is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A child that dies takes its cell with it and nothing else.
fn run_child(cell: &CellSpec, jobs: &Jobs, interrupt: &Interrupt, note_peak: &dyn Fn(u64)) -> Result<Ended> {
    let folder = jobs.folder.join(&cell.key);
    output::remove_leftovers(&folder)?;
    write_atomically(&folder.join("spec.json"), &serde_json::to_vec_pretty(cell)?)?;
    let log = folder.join("log.txt");
    // The child ends when its standard input does: with this process, however that ends.
    let cache = jobs.cache.iter().flat_map(|(folder, gib)| {
        [OsString::from("--cache"), folder.clone().into_os_string(), "--cache-gib".into(), gib.to_string().into()]
    });
    let command = if cell.estimated_seconds < SHORT { child::short_command } else { child::command };
    let level = cell.resolved.level.as_ref().map(|level| (simd::VARIABLE, level.level().name()));
    let mut child = command(jobs.threads)?
        .envs(level)
        .arg("cell")
        .arg(&folder)
        .arg("--end-with-stdin")
        .args(cache)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(&log).with_context(|| format!("writing {}", log.display()))?)
        .spawn()
        .context("starting a cell")?;
    let (mut asked, mut looked) = (None, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for a cell")? {
            break status;
        }
        if looked.elapsed() >= LOOK {
            job::peak_memory_of(&child.id().to_string()).into_iter().for_each(note_peak);
            looked = Instant::now();
        }
        // It saves where it is, and goes on from there the next time; one that is busy elsewhere goes on from its last checkpoint.
        if interrupt.is_set() {
            drop(child.stdin.take());
            if asked.get_or_insert_with(Instant::now).elapsed() > child::GRACE {
                child.kill().context("ending a cell")?;
            }
        }
        std::thread::sleep(POLL);
    };
    if status.success() {
        return Ok(Ended::Well);
    }
    let ended = Instant::now();
    while was_asked_to_end(status) && !interrupt.is_set() && ended.elapsed() < HEARD {
        std::thread::sleep(POLL);
    }
    let why = failure::reason(status, &log);
    Ok(if was_killed(status) { Ended::Killed(why) } else { Ended::Badly(why) })
}

/// Whether a cell has said that it ends because it was asked to, or died of that.
fn was_asked_to_end(status: ExitStatus) -> bool {
    status.code() == Some(child::STOPPED.into()) || died_of_a_request(status)
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(signal_hook::consts::SIGKILL)
}

#[cfg(not(unix))]
fn was_killed(_: ExitStatus) -> bool {
    false
}

#[cfg(unix)]
fn died_of_a_request(status: ExitStatus) -> bool {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    std::os::unix::process::ExitStatusExt::signal(&status).is_some_and(|signal| [SIGHUP, SIGINT, SIGTERM].contains(&signal))
}

#[cfg(not(unix))]
fn died_of_a_request(_: ExitStatus) -> bool {
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
        while let Some(cell) = state.take(None) {
            assert!(!of_teacher.contains(cell.key.as_str()));
            state.put(cell, Ended::Well);
        }
        assert!(state.waiting.is_empty() && of_teacher.len() > 1);
        let failed: Vec<_> = state.outcome.failures.iter().filter(|(key, _)| **key != teacher).collect();
        assert_eq!(failed.len(), of_teacher.len());
        assert!(failed.iter().all(|(key, why)| of_teacher.contains(key.as_str()) && *why == "its teacher failed: it broke"));
    }

    #[test]
    fn cells_wait_for_memory_and_a_killed_one_is_tried_alone() {
        let cells = Plan::read(None).unwrap().cells(&crate::Registry::default()).unwrap();
        let cells = cells.into_iter().filter(|cell| cell.resolved.teacher.is_none()).take(3).collect();
        let mut state = State { waiting: cells, peak: 40, ..State::default() };
        let (first, second) = (state.take(Some(100)).unwrap(), state.take(Some(100)).unwrap());
        assert!(state.take(Some(100)).is_none(), "a third would be too many");
        // Beside another it may have been memory, and it gets another chance, by itself.
        state.put(first.clone(), Ended::Killed("killed".into()));
        assert!(state.outcome.failures.is_empty());
        let third = state.take(Some(100)).unwrap();
        assert_ne!(third.key, first.key);
        state.put(second, Ended::Well);
        assert!(state.take(Some(100)).is_none(), "the killed one waits until nothing runs");
        state.put(third, Ended::Well);
        let again = state.take(Some(100)).unwrap();
        assert_eq!(again.key, first.key);
        state.waiting.push(again.clone());
        assert!(state.take(None).is_none(), "it is alone");
        state.waiting.clear();
        state.put(again, Ended::Killed("killed".into()));
        assert_eq!(state.outcome.failures[&first.key], "killed");
        assert_eq!((state.done.len(), state.running), (2, 0));
    }
}
