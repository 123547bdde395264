//! `cargo xtask sanitize`: the tests of the kernels, the only crate with `unsafe` code, under AddressSanitizer.

use super::cargo::cargo;
use anyhow::{Context, Result, bail};
use mm_kernels::simd::{Level, VARIABLE};
use std::path::Path;
use std::process::ExitCode;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Every kernel's working memory ends with its last number (`crates/mm-kernels/src/scratch.rs`), and the standard library's own
/// checks of pointers and lengths are on.
const FLAGS: &str = "-Zsanitizer=address -Cdebug-assertions=on --cfg exact_scratch";

/// Runs the tests at each level of vector instructions, in a target folder of its own.
pub fn run() -> Result<ExitCode> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        bail!("the kernels' vector instructions and this sanitizer meet on x86-64 Linux only");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    for level in Level::ALL.into_iter().rev().filter(|level| *level <= Level::supported()) {
        eprintln!("kernels at level {}", level.name());
        let status = cargo()
            .args(["test", "-p", "mm-kernels", "--release", "--tests", "--target", TARGET])
            .current_dir(root)
            .env("CARGO_TARGET_DIR", root.join("target/sanitize"))
            .env("RUSTFLAGS", FLAGS)
            // A sanitizer is an unstable option, which a stable compiler has but refuses without this.
            .env("RUSTC_BOOTSTRAP", "1")
            .env(VARIABLE, level.name())
            .status()
            .context("running cargo")?;
        if !status.success() {
            eprintln!("error: if the compiler has no sanitizer, use one of rustup's: `rustup toolchain install stable`");
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("no test reads or writes outside its memory");
    Ok(ExitCode::SUCCESS)
}
