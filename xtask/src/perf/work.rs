//! Work that is timed in a process of its own: how that process times it, and what becomes of what it prints.

use super::table::median;
use anyhow::{Context, Result, bail};
use candle_core::Device;
use serde::de::DeserializeOwned;
use std::process::Command;
use std::time::Instant;

/// What a process of ours prints as JSON; `what` says in errors what it did.
pub fn result_of<T: DeserializeOwned>(command: &mut Command, what: &str) -> Result<T> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{what} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("reading the result of {what}"))
}

/// The median time of so many runs after a first one that does not count, in seconds, and what the last of all gave.
pub fn timed<T>(device: &Device, mut once: impl FnMut() -> Result<T>, repeats: usize) -> Result<(f64, T)> {
    // A GPU is still at work when a function returns.
    let mut once = || {
        let result = once()?;
        device.synchronize()?;
        Ok::<T, anyhow::Error>(result)
    };
    let mut last = once()?;
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        let started = Instant::now();
        last = once()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok((median(&seconds, |&s| s).unwrap_or(0.0), last))
}
