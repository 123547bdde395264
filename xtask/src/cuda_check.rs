//! `cargo xtask cuda-check`: type-checks the workspace with its CUDA code, for which a compiler of NVIDIA's is enough: no GPU, no driver.

use super::cargo::cargo;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What to do where there is no CUDA compiler.
const INSTALL: &str = "no CUDA compiler found (nvcc, by CUDA_HOME, CUDA_PATH, CUDA_ROOT or PATH). Either install NVIDIA's CUDA toolkit, or:
  python3 -m venv cuda-env
  cuda-env/bin/pip install \"nvidia-cuda-nvcc==13.0.*\" \"nvidia-cuda-crt==13.0.*\" \"nvidia-nvvm==13.0.*\" \"nvidia-cuda-runtime==13.0.*\" \"nvidia-cuda-cccl==13.0.*\"
  cargo xtask cuda-check --python-env cuda-env
All five of one version: docs/src/gpu.md says why.";

/// Arguments of `cuda-check`.
#[derive(clap::Args)]
pub struct CudaCheckArguments {
    /// A Python environment with NVIDIA's compiler packages (docs/src/gpu.md), instead of an installed toolkit.
    #[arg(long, value_name = "DIR")]
    python_env: Option<PathBuf>,
    /// Compute capability to compile candle's kernels for, without the point.
    #[arg(long, default_value_t = 80)]
    compute_capability: u32,
}

/// Finds a toolkit and runs `cargo check` with it, in a target folder of its own.
pub fn run(arguments: &CudaCheckArguments) -> Result<ExitCode> {
    let toolkit = match &arguments.python_env {
        Some(folder) => toolkit_of_python(folder)?,
        None => installed_toolkit().context(INSTALL)?,
    };
    let version = toolkit_version(&toolkit)?;
    eprintln!("CUDA {}.{} in {}", version.0, version.1, toolkit.display());

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(toolkit.join("bin")).chain(std::env::split_paths(&folders)))?;
    let status = cargo()
        .args(["check", "--workspace", "--all-targets", "--features", "cuda"])
        .current_dir(root)
        // Other features of candle: sharing a folder would rebuild both at every turn.
        .env("CARGO_TARGET_DIR", root.join("target/cuda-check"))
        .envs(["CUDA_PATH", "CUDA_ROOT", "CUDA_HOME"].map(|name| (name, &toolkit)))
        .env("PATH", path)
        .env("CUDA_COMPUTE_CAP", arguments.compute_capability.to_string())
        .env("CUDARC_CUDA_VERSION", format!("{}{:02}0", version.0, version.1))
        .status()
        .context("running cargo")?;
    match status.success() {
        true => println!("the workspace checks with CUDA {}.{}", version.0, version.1),
        false => eprintln!("error: the workspace does not check with CUDA {}.{}", version.0, version.1),
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The toolkit that PyPI's packages make up: `lib/python3.*/site-packages/nvidia/cu13` of a virtual environment.
fn toolkit_of_python(folder: &Path) -> Result<PathBuf> {
    let lib = folder.join("lib");
    let entries = std::fs::read_dir(&lib).with_context(|| format!("reading {}: is this a virtual environment?", lib.display()))?;
    let mut candidates: Vec<PathBuf> = entries.flatten().map(|entry| entry.path().join("site-packages/nvidia/cu13")).collect();
    candidates.sort();
    let found = candidates.into_iter().find(|path| path.join("bin/nvcc").exists());
    let toolkit = found.with_context(|| format!("{} has no site-packages/nvidia/cu13/bin/nvcc\n{INSTALL}", folder.display()))?;
    // The check runs in the root of the workspace, so a relative path would not do.
    toolkit.canonicalize().with_context(|| format!("resolving {}", toolkit.display()))
}

/// The toolkit that the environment names, or that the first nvcc of `PATH` belongs to.
fn installed_toolkit() -> Option<PathBuf> {
    let mut named = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    if let Some(toolkit) = named.find(|path| path.join("bin/nvcc").exists()) {
        return Some(toolkit);
    }
    let nvcc = std::env::split_paths(&std::env::var_os("PATH")?).map(|path| path.join("nvcc")).find(|path| path.exists())?;
    // A link into the toolkit is common: /usr/bin/nvcc.
    Some(nvcc.canonicalize().ok()?.parent()?.parent()?.to_path_buf())
}

/// Major and minor version, from `nvcc --version`.
fn toolkit_version(toolkit: &Path) -> Result<(u32, u32)> {
    let nvcc = toolkit.join("bin/nvcc");
    let output = Command::new(&nvcc).arg("--version").output().with_context(|| format!("running {}", nvcc.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match parse_version(&text) {
        Some(version) => Ok(version),
        None => bail!("{} does not say its version: {}", nvcc.display(), text.trim()),
    }
}

/// The numbers in `release 13.0, V13.0.88`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (release, _) = text.split_once("release ")?.1.split_once(',')?;
    let (major, minor) = release.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_nvcc_prints() {
        let text = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\n";
        assert_eq!(parse_version(text), Some((13, 0)));
        assert_eq!(parse_version("release 12.8, V12.8.61"), Some((12, 8)));
        assert_eq!(parse_version("command not found"), None);
    }

    #[test]
    fn an_environment_without_the_packages_is_told_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("lib/python3.11")).unwrap();
        let error = toolkit_of_python(folder.path()).unwrap_err().to_string();
        assert!(error.contains("nvidia-cuda-nvcc==13.0.*"), "{error}");
        assert!(toolkit_of_python(&folder.path().join("nowhere")).is_err());
    }
}
