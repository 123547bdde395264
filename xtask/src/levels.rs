//! `cargo xtask levels`: the numeric tests at every level of vector instructions below the processor's best, at which
//! `cargo test` runs them.

use anyhow::{Context, Result};
use mm_kernels::simd::{Level, VARIABLE};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Arguments of `cargo test`: the kernels, the layers and methods on them, and the golden values.
const TESTS: [&[&str]; 2] = [
    &[
        "-p",
        "mm-kernels",
        "-p",
        "mm-core",
        "-p",
        "mmanet",
        "-p",
        "dmrnet",
        "-p",
        "udml",
        "-p",
        "mod-distill",
        "-p",
        "mm-baselines",
        "--tests",
    ],
    &["-p", "xtask", "--test", "golden"],
];

/// Runs the tests, from the highest level to the lowest.
pub fn run() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    for level in Level::ALL.into_iter().rev().filter(|level| *level < Level::supported()) {
        for tests in TESTS {
            eprintln!("level {}: cargo test {}", level.name(), tests.join(" "));
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            let command = cargo.args(["test", "--release"]).args(tests).current_dir(root).env(VARIABLE, level.name());
            if !command.status().context("running cargo")?.success() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    println!("every level below `{}` passes", Level::supported().name());
    Ok(ExitCode::SUCCESS)
}
