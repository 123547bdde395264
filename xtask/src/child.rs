//! This program in a process of its own.

use anyhow::{Context, Result};
use std::process::Command;

/// This program, to be run with so many threads.
pub fn command(threads: usize) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.env("RAYON_NUM_THREADS", threads.to_string());
    // candle's own pool spins while it waits and takes a core from our threads.
    command.env("CANDLE_NUM_THREADS", "1");
    // Freed tensors are about to be wanted again: the allocator keeps their pages instead of having them cleared anew.
    command.env("MIMALLOC_PURGE_DELAY", "-1");
    // Huge pages are cleared as a whole when first touched: in processes this short that costs more than it saves.
    command.env("MIMALLOC_ALLOW_THP", "0");
    Ok(command)
}

/// For a process of ours that computes: its main thread is one of rayon's, instead of waiting for them.
///
/// What it allocates in a parallel part then comes from memory it has used before, and one thread less has to be woken.
pub fn compute_on_this_thread() -> Result<()> {
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global().context("starting the threads")
}
