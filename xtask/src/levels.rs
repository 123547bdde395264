//! `cargo xtask levels`: the tests at every level of vector instructions below the processor's best, at which
//! `cargo test` runs them.

use super::cargo::cargo;
use anyhow::{Context, Result, bail};
use mm_kernels::simd::{Level, VARIABLE};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Packages whose tests run whole programs or look at texts: they take long and say nothing of sums.
const LEFT_OUT: [&str; 7] = ["mm-cli", "mm-report", "mm-datasets", "mm-onnx", "mm-serve", "mm-bench", "xtask"];

/// Programs of `mm-core` of which the same holds: they read files.
const READERS: [&str; 10] = ["data", "data_check", "damage", "hub", "memory", "numpy", "pth", "pth_damage", "weights", "weights_damage"];

/// Of the packages, a program that compares the numbers of levels.
const KEPT: &str = "numbers";

/// Without vectors the tests take many times as long: there run those of the package of the sums, and these programs, which hold whole
/// networks to known numbers.
const PORTABLE: [&str; 3] = [KEPT, "golden", "equal"];

/// Runs the tests, from the highest level to the lowest.
pub fn run() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    let tests = tests(root)?;
    for level in Level::ALL.into_iter().rev().filter(|level| *level < Level::supported()) {
        let tests: Vec<&Test> = tests.iter().filter(|test| level != Level::Portable || test.is_portable()).collect();
        eprintln!("level {}: {} programs", level.name(), tests.len());
        for Test { program, package, .. } in tests {
            let status = Command::new(program).arg("--quiet").current_dir(package).env(VARIABLE, level.name()).status();
            if !status.with_context(|| format!("running {}", program.display()))?.success() {
                eprintln!("level {}: {} failed", level.name(), program.display());
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    println!("every level below `{}` passes", Level::supported().name());
    Ok(ExitCode::SUCCESS)
}

/// A program of tests.
struct Test {
    name: String,
    program: PathBuf,
    /// The folder of its package, where cargo would run it.
    package: PathBuf,
}

impl Test {
    /// Whether it is run without vectors, too.
    fn is_portable(&self) -> bool {
        self.package.ends_with("mm-kernels") || PORTABLE.contains(&self.name.as_str())
    }
}

/// Builds all tests, and lists those to be run. All packages, as in `cargo test --workspace`: for a part of them cargo would compile
/// everything a second time.
fn tests(root: &Path) -> Result<Vec<Test>> {
    let arguments = ["test", "--workspace", "--release", "--tests", "--no-run", "--message-format", "json-render-diagnostics"];
    let output = cargo().args(arguments).current_dir(root).stderr(std::process::Stdio::inherit()).output();
    let output = output.context("running cargo")?;
    if !output.status.success() {
        bail!("the tests cannot be built");
    }
    let messages = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut tests = Vec::new();
    for message in messages {
        let message: serde_json::Value = serde_json::from_slice(message).context("reading what cargo says")?;
        let (Some(program), Some(manifest)) = (message["executable"].as_str(), message["manifest_path"].as_str()) else { continue };
        let package = Path::new(manifest).parent().context("a manifest is in a folder")?;
        let (of, name) = (message["package_id"].as_str().unwrap_or_default(), message["target"]["name"].as_str().unwrap_or_default());
        let is_of = |other: &str| of.contains(&format!("{other}@")) || package.ends_with(other);
        let left_out = LEFT_OUT.into_iter().any(is_of) || (is_of("mm-core") && READERS.contains(&name));
        if message["profile"]["test"].as_bool() == Some(true) && (name == KEPT || !left_out) {
            tests.push(Test { name: name.into(), program: program.into(), package: package.into() });
        }
    }
    match tests.is_empty() {
        true => bail!("cargo lists no program of tests"),
        false => Ok(tests),
    }
}
