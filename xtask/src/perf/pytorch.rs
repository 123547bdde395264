//! The other side: a Python with PyTorch, and the scripts of `benchmarks/torch`.

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the scripts import.
const PACKAGES: [&str; 11] = [
    "torch",
    "torchvision",
    "numpy",
    "safetensors",
    "soundfile",
    "onnx",
    "onnxruntime",
    "openvino",
    "fastapi",
    "uvicorn[standard]",
    "python-multipart",
];

/// A Python that can run the scripts.
pub struct PyTorch {
    python: PathBuf,
    version: String,
}

impl PyTorch {
    /// The Python that the caller names, or one of a virtual environment where `wanted`; otherwise none.
    pub fn find(python: Option<&Path>, wanted: bool) -> Result<Option<Self>> {
        let python = match python {
            Some(python) => python.to_path_buf(),
            None if wanted => virtual_environment()?,
            None => return Ok(None),
        };
        let arguments = ["-c", "import torch, torchvision, numpy, safetensors; print(torch.__version__)"];
        let output = Command::new(&python).args(arguments).output().with_context(|| format!("running {}", python.display()))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            let last = error.lines().last().unwrap_or_default();
            bail!("{} cannot run the scripts ({last}); they need {}", python.display(), PACKAGES.join(", "));
        }
        Ok(Some(Self { python, version: String::from_utf8_lossy(&output.stdout).trim().to_string() }))
    }

    /// The program itself.
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Version of PyTorch.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Runs a script of `benchmarks/torch` in a process of its own; it prints one JSON value a line.
    pub fn run<T: DeserializeOwned>(&self, script: &str, arguments: &[String]) -> Result<Vec<T>> {
        let output = self.command(script, arguments)?.output().with_context(|| format!("running {}", self.python.display()))?;
        if !output.status.success() {
            bail!("{script} {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout).with_context(|| format!("reading what {script} printed"))?;
        let value = |line: &str| serde_json::from_str(line).with_context(|| format!("reading what {script} printed: {line}"));
        text.lines().map(value).collect()
    }

    /// A script of `benchmarks/torch`, to be run in a process of its own.
    pub fn command(&self, script: &str, arguments: &[String]) -> Result<Command> {
        let mut command = Command::new(&self.python);
        // Leaves no __pycache__ in the checkout.
        command.arg("-B").arg(root()?.join("benchmarks/torch").join(script)).args(arguments);
        Ok(command)
    }

    /// As [`PyTorch::run`], for a script that prints one line, or whose last line counts.
    pub fn run_last<T: DeserializeOwned>(&self, script: &str, arguments: &[String]) -> Result<T> {
        let mut values = self.run::<serde_json::Value>(script, arguments)?;
        let last = values.pop().with_context(|| format!("{script} printed nothing"))?;
        serde_json::from_value(last).with_context(|| format!("reading what {script} printed"))
    }
}

/// The folder of a built-in data set, as the scripts take it.
pub fn dataset_folder(name: &str) -> Result<String> {
    Ok(root()?.join("datasets").join(name).to_string_lossy().into_owned())
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")
}

/// A virtual environment with PyTorch below `target/`, made on the first use.
fn virtual_environment() -> Result<PathBuf> {
    let folder = root()?.join("target/pytorch");
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    // An environment of an older version lacks some.
    if !std::fs::read_to_string(&complete).is_ok_and(|packages| packages == PACKAGES.join(" ")) {
        eprintln!("making {} (once)", folder.display());
        let run = |command: &mut Command| -> Result<()> {
            let status = command.status().with_context(|| format!("running {command:?}"))?;
            if status.success() { Ok(()) } else { bail!("{command:?}: {status}") }
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        std::fs::write(&complete, PACKAGES.join(" ")).with_context(|| format!("writing {}", complete.display()))?;
    }
    Ok(python)
}
