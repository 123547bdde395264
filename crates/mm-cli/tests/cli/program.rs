//! The program, run as a user runs it.

use mm_bench::CellSpec;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub fn mm() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mm"));
    command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `bench` with a plan and a folder of results, one cell at a time.
pub fn bench(plan: &Path, out: &Path) -> Command {
    let mut command = mm();
    command.arg("bench").arg(plan).args(["--jobs", "1"]).arg("--out").arg(out);
    command
}

/// Writes the cell of a bench into its folder below `folder`, for [`cell`].
pub fn prepare(folder: &Path, cell: &CellSpec) -> PathBuf {
    let folder = folder.join(&cell.key);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("spec.json"), serde_json::to_vec(cell).unwrap()).unwrap();
    folder
}

/// The cell of a folder, alone; it saves a checkpoint after so many seconds.
pub fn cell(folder: &Path, checkpoint_seconds: f64) -> Command {
    let mut command = mm();
    command.arg("cell").arg(folder).arg("--checkpoint-seconds").arg(checkpoint_seconds.to_string());
    command
}

/// The weights that a cell has trained.
pub fn weights(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

/// The result of a cell without what a clock or a machine says.
pub fn result(folder: &Path) -> serde_json::Value {
    lasting(&std::fs::read(folder.join("result.json")).unwrap())
}

/// What it said to the user.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until there is something; a run that hangs is an error.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(300), "waited in vain for {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// The results so far, with their bytes.
pub fn results(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(out.join("cells")) else { return BTreeMap::new() };
    let paths = entries.flatten().map(|entry| entry.path().join("result.json"));
    paths.filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?))).collect()
}

/// A result without what a clock or a machine says.
pub fn lasting(result: &[u8]) -> serde_json::Value {
    let mut result: serde_json::Value = serde_json::from_slice(result).unwrap();
    for key in ["cost", "provenance", "sha256"] {
        assert!(result.as_object_mut().unwrap().remove(key).is_some());
    }
    result
}

pub fn signal(name: &str, target: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), "--", target]).status().unwrap().success());
}

/// The running cells of a bench: a bench has other children for a moment, and a cell is the bench before it is a program of its own.
pub fn cells(bench: u32) -> Vec<u32> {
    processes().into_iter().filter(|process| process.parent == bench && process.is_cell).map(|process| process.id).collect()
}

/// Whether a process still runs; one that only waits for its parent to look at it does not.
pub fn runs(id: u32) -> bool {
    processes().iter().any(|process| process.id == id)
}

struct Process {
    id: u32,
    parent: u32,
    is_cell: bool,
}

fn processes() -> Vec<Process> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat=,args="]).output().unwrap();
    let process = |line: &str| {
        let mut fields = line.split_whitespace();
        let (id, parent, state) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, fields.next()?);
        (!state.starts_with('Z')).then_some(Process { id, parent, is_cell: fields.nth(1) == Some("cell") })
    };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(process).collect()
}

/// A child of a test that ends with it.
pub struct Guarded(pub Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}
