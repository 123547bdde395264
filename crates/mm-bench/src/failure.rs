//! Why a cell's process died: how it ended, and what it said last.

use crate::child;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::ExitStatus;

/// How much of the end of a log is looked at.
const TAIL: u64 = 64 * 1024;
/// How much of a message is shown.
const SHOWN: usize = 2000;

/// One message: the panic or the error of the process, and the signal that ended it.
pub fn reason(status: ExitStatus, log: &Path) -> String {
    if status.code() == Some(child::UNHEARD.into()) {
        return format!("it failed, and could not write the reason to {}, as where the disk is full", log.display());
    }
    let text = tail(log).unwrap_or_default();
    let said = panic(&text).or_else(|| error(&text)).or_else(|| last_line(&text));
    let said = said.map(|said| said.chars().take(SHOWN).collect::<String>());
    let ended = match (signal(status), status.code()) {
        (Some(signal), _) => Some(signal),
        // An error of ours, said by the process itself.
        (None, Some(1)) if said.is_some() => None,
        _ => Some(format!("ended with {status}")),
    };
    match (ended, said) {
        (Some(ended), Some(said)) => format!("{ended}: {said}; its log is {}", log.display()),
        (Some(ended), None) => format!("{ended}, without a message"),
        (None, said) => said.unwrap_or_default(),
    }
}

fn tail(log: &Path) -> Result<String> {
    let mut file = File::open(log).context("opening the log")?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first panic, as the standard library prints it: a line with the place, the message, advice.
fn panic(log: &str) -> Option<String> {
    let mut lines = log.lines().skip_while(|line| !is_panic(line));
    let (_, place) = lines.next()?.split_once(" panicked at ")?;
    let message: Vec<&str> = lines.take_while(|line| !is_advice(line) && !is_panic(line)).map(str::trim_end).collect();
    Some(format!("panic at {place} {}", message.join("\n").trim()))
}

fn is_panic(line: &str) -> bool {
    line.starts_with("thread ") && line.contains(" panicked at ")
}

fn is_advice(line: &str) -> bool {
    line.starts_with("note: ") || line == "stack backtrace:"
}

/// The last error that this program printed; it ends the log, but for the lines that it is made of.
fn error(log: &str) -> Option<String> {
    let (_, message) = log.strip_prefix("error: ").map(|message| ("", message)).or_else(|| log.rsplit_once("\nerror: "))?;
    Some(message.trim().to_string())
}

fn last_line(log: &str) -> Option<String> {
    log.lines().rfind(|line| !line.trim().is_empty() && !is_advice(line)).map(|line| line.trim().to_string())
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal()?;
    let name = signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_string);
    let why = if signal == signal_hook::consts::SIGKILL { ", perhaps because memory ran out" } else { "" };
    Some(format!("killed by {name}{why}"))
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<String> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::process::Command;

    fn reason_of(script: &str) -> String {
        let log = tempfile::NamedTempFile::new().unwrap();
        let status = Command::new("sh").args(["-c", script]).stderr(log.reopen().unwrap()).status().unwrap();
        reason(status, log.path()).replace(&log.path().display().to_string(), "LOG")
    }

    #[test]
    fn a_dead_process_is_explained_by_what_it_said() {
        let panic =
            "echo \"thread 'main' (17) panicked at src/a.rs:3:5:\nrow 7\n is wrong\nnote: run with RUST_BACKTRACE=1\" >&2; exit 101";
        assert_eq!(reason_of(panic), "ended with exit status: 101: panic at src/a.rs:3:5: row 7\n is wrong; its log is LOG");
        assert_eq!(reason_of("echo 'WARN slow\nerror: in a.csv:\n  line 3' >&2; exit 1"), "in a.csv:\n  line 3");
        assert_eq!(reason_of("kill -9 $$"), "killed by SIGKILL, perhaps because memory ran out, without a message");
        let aborted = "echo 'memory allocation of 8 bytes failed' >&2; echo >&2; kill -ABRT $$";
        assert_eq!(reason_of(aborted), "killed by SIGABRT: memory allocation of 8 bytes failed; its log is LOG");
        assert_eq!(reason_of("exit 3"), "ended with exit status: 3, without a message");
        let unheard = "it failed, and could not write the reason to LOG, as where the disk is full";
        assert_eq!(reason_of("echo WARN slow >&2; exit 74"), unheard);
    }

    #[test]
    fn only_the_end_of_a_long_log_is_read() {
        let long = "yes 'DEBUG a step' | head -c 200000 >&2; echo '\nerror: the end' >&2; exit 1";
        assert_eq!(reason_of(long), "the end");
    }
}
