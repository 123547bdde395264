//! `cargo xtask levels`: the tests at every level of vector instructions below the processor's best, at which
//! `cargo test` runs them.

use anyhow::{Context, Result};
use mm_kernels::simd::{Level, VARIABLE};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Tests that kill and interrupt whole programs: they take long and say nothing of sums.
const LEFT_OUT: [&str; 4] = ["kill_nine", "ctrl_c", "sigint", "sigterm"];

/// Runs the tests, from the highest level to the lowest.
pub fn run() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    for level in Level::ALL.into_iter().rev().filter(|level| *level < Level::supported()) {
        eprintln!("level {}", level.name());
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // All packages, as in `cargo test --workspace`: for a part of them cargo would compile everything a second time.
        let command = cargo.args(["test", "--workspace", "--release", "--tests", "--"]).current_dir(root).env(VARIABLE, level.name());
        LEFT_OUT.iter().for_each(|name| _ = command.args(["--skip", name]));
        if !command.status().context("running cargo")?.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("every level below `{}` passes", Level::supported().name());
    Ok(ExitCode::SUCCESS)
}
