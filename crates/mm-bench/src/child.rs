//! This program in a process of its own.

use crate::interrupt::Interrupt;
use crate::job;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// What is read from the environment when a process starts, and suits those that compute.
const SETTINGS: [(&str, &str); 2] = [
    // candle's own pool spins while it waits and takes a core from our threads.
    ("CANDLE_NUM_THREADS", "1"),
    // Freed tensors are about to be wanted again: the allocator keeps their pages instead of having them cleared anew.
    ("MIMALLOC_PURGE_DELAY", "-1"),
];

/// Besides, for those that live for seconds, and those that predict. Huge pages are cleared as a whole when first touched, which pays where they
/// are used for long: training of networks for every pixel takes a quarter less time with them, and their prediction a tenth more memory.
const SMALL_PAGES: (&str, &str) = ("MIMALLOC_ALLOW_THP", "0");

/// This program, to be run with so many threads.
pub fn command(threads: usize) -> Result<Command> {
    let mut command = this_program()?;
    command.env("RAYON_NUM_THREADS", threads.to_string()).envs(SETTINGS);
    Ok(command)
}

fn this_program() -> Result<Command> {
    let mut command = Command::new(program()?);
    // Its name in lists of processes, whatever the file was reached by.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, std::env::current_exe().context("finding this program")?);
    Ok(command)
}

/// The same for a process that lives for seconds, or predicts.
pub fn short_command(threads: usize) -> Result<Command> {
    let mut command = command(threads)?;
    command.env(SMALL_PAGES.0, SMALL_PAGES.1);
    Ok(command)
}

/// The file of the running program. Linux keeps a replaced one for as long as it runs; elsewhere a replaced one is refused.
pub fn program() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    let path = std::env::current_exe().context("finding this program")?;
    if running.exists() {
        // By its own name, while that is the file that runs: lists of processes show it.
        return Ok(if same_file(running, &path) { path } else { running.into() });
    }
    static FIRST: OnceLock<(SystemTime, u64)> = OnceLock::new();
    unchanged(&path, &FIRST)?;
    Ok(path)
}

#[cfg(unix)]
fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let file = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    file(one).is_some() && file(one) == file(other)
}

#[cfg(not(unix))]
fn same_file(_: &Path, _: &Path) -> bool {
    false
}

/// Refuses a file that is not as it was at the first call.
fn unchanged(path: &Path, first: &OnceLock<(SystemTime, u64)>) -> Result<()> {
    let found = std::fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len())));
    let found = found.with_context(|| format!("the program {} is gone while it runs: build it again, then start again", path.display()))?;
    if *first.get_or_init(|| found) != found {
        bail!("the program {} was replaced while it runs: start again", path.display());
    }
    Ok(())
}

/// How long a cell that is asked to end may take to save where it is.
pub const GRACE: Duration = Duration::from_secs(20);
/// Exit code of a cell that ended because it was asked to.
pub const STOPPED: u8 = 75;

/// Exit code of a process whose error nobody could hear: standard error could not be written to.
pub const UNHEARD: u8 = 74;

/// Ends this process when its parent lets go of the other end of standard input, to which it writes nothing, or is gone, however it
/// ended: first by asking, so that a training saves where it is, and some time later by force.
pub fn end_with_parent(interrupt: &Interrupt) -> Result<()> {
    let interrupt = interrupt.clone();
    let wait = move || {
        // Any end of the pipe is the parent's.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        interrupt.set();
        std::thread::sleep(GRACE);
        eprintln!("error: the process that started this one is gone");
        std::process::exit(1);
    };
    std::thread::Builder::new().name("parent".into()).spawn(wait).context("starting a thread")?;
    Ok(())
}

/// A command that computes in this process. On Unix the process begins anew, once, with the settings that suit it; those that the user has
/// made stay. Training is up to a third faster with them.
pub fn computing(command: impl FnOnce() -> Result<()>) -> Result<ExitCode> {
    compute_with(&SETTINGS, command)
}

/// As [`computing`], for a command that predicts.
pub fn predicting(command: impl FnOnce() -> Result<()>) -> Result<ExitCode> {
    compute_with(&[SETTINGS[0], SETTINGS[1], SMALL_PAGES], command)
}

fn compute_with(settings: &[(&str, &str)], command: impl FnOnce() -> Result<()>) -> Result<ExitCode> {
    begin_anew(settings);
    compute_on_this_thread()?;
    command()?;
    Ok(ExitCode::SUCCESS)
}

/// As [`computing`], for a command that lives long and computes on threads beside this one, which waits: what it frees goes back to the system.
pub fn serving(command: impl FnOnce() -> Result<()>) -> Result<ExitCode> {
    begin_anew(&SETTINGS[..1]);
    command()?;
    Ok(ExitCode::SUCCESS)
}

/// Begins this process anew with those of the settings that it lacks.
fn begin_anew(settings: &[(&str, &str)]) {
    #[cfg(unix)]
    {
        let unset: Vec<_> = settings.iter().copied().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
        if !unset.is_empty() {
            // Comes back only where it fails, and then the work is done as slowly as without.
            let error = match this_program() {
                Ok(mut anew) => std::os::unix::process::CommandExt::exec(anew.args(std::env::args_os().skip(1)).envs(unset)).into(),
                Err(error) => error,
            };
            tracing::debug!("this program did not begin anew: {error}");
        }
    }
}

/// For a process of ours that computes: its main thread is one of rayon's, instead of waiting for them.
///
/// What it allocates in a parallel part then comes from memory it has used before, and one thread less has to be woken.
fn compute_on_this_thread() -> Result<()> {
    let threads = if std::env::var_os("RAYON_NUM_THREADS").is_some() { 0 } else { job::cores() };
    rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global().context("starting the threads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_same_file_by_two_names_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let [one, link, copy] = ["one", "link", "copy"].map(|name| folder.path().join(name));
        std::fs::write(&one, "one").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        std::fs::copy(&one, &copy).unwrap();
        assert!(same_file(&link, &one) && !same_file(&copy, &one) && !same_file(&folder.path().join("none"), &one));
    }

    #[test]
    fn a_program_replaced_while_it_runs_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let first = OnceLock::new();
        std::fs::write(&path, "one").unwrap();
        assert!(unchanged(&path, &first).is_ok() && unchanged(&path, &first).is_ok());
        std::fs::write(&path, "another").unwrap();
        assert!(unchanged(&path, &first).unwrap_err().to_string().contains("was replaced while it runs"));
        std::fs::remove_file(&path).unwrap();
        assert!(unchanged(&path, &first).unwrap_err().to_string().contains("is gone while it runs"));
    }
}
