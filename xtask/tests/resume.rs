//! Runs that are killed or interrupted: they go on where they stopped and end as if nothing had happened.

#![cfg(unix)]

mod birds;

use mm_core::rng;
use rand::RngExt;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use xtask::bench::{CellSpec, Plan};

/// The four methods, each with its phases within a few epochs.
const METHODS: &str = r#"
[[runs]]
method = "mmanet"
options = { begin_epoch = 4, lambda_mad = 4.0 }

[[runs]]
method = "dmrnet"
options = { warm_up_epochs = 4 }

[[runs]]
method = "udml"
options = { clean_share = 0.2, static_share = 0.4 }

[[runs]]
method = "mod-distill"
options = { robust = true, warm_up = 0.3 }
"#;

const EPOCHS: usize = 40;

fn xtask() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null());
    command
}

/// Waits until there is something; a run that hangs is an error.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(300), "waited in vain for {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Starts a cell that saves a checkpoint after every epoch.
fn start(folder: &Path) -> Child {
    xtask().arg("cell").arg(folder).args(["--checkpoint-seconds", "0"]).stderr(Stdio::null()).spawn().unwrap()
}

/// Trains a cell below `folder` without a break.
fn run(folder: &Path, cell: &CellSpec) -> PathBuf {
    let folder = prepare(folder, cell);
    assert!(start(&folder).wait().unwrap().success(), "{}", cell.run);
    folder
}

fn prepare(folder: &Path, cell: &CellSpec) -> PathBuf {
    let folder = folder.join(&cell.key);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("spec.json"), serde_json::to_vec(cell).unwrap()).unwrap();
    folder
}

/// Epochs of the newest checkpoint.
fn epochs_done(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder.join("checkpoints")) else { return 0 };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_prefix("epoch-")?.parse().ok()).max().unwrap_or(0)
}

/// Trains a cell that is killed (SIGKILL) at random moments of its training; how often.
fn run_killed(folder: &Path, cell: &CellSpec) -> usize {
    let folder = prepare(folder, cell);
    let mut random = rng::stream(17, &cell.run, &[]);
    let mut killed = 0;
    for target in [3, 9, 15, 21, 27, 33] {
        let target = target + random.random_range(0..5);
        let mut child = start(&folder);
        let ended = wait_for("the next checkpoint", || match child.try_wait().unwrap() {
            Some(status) => Some(Some(status)),
            None => (epochs_done(&folder) >= target).then_some(None),
        });
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        std::thread::sleep(Duration::from_micros(random.random_range(0..3000)));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
    }
    if !folder.join("result.json").exists() {
        assert!(start(&folder).wait().unwrap().success(), "{}", cell.run);
    }
    killed
}

/// The result of a cell without what a clock or a machine says.
fn result(folder: &Path) -> serde_json::Value {
    let mut result: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("result.json")).unwrap()).unwrap();
    for key in ["cost", "provenance"] {
        assert!(result.as_object_mut().unwrap().remove(key).is_some());
    }
    result
}

#[test]
fn kill_nine_at_random_moments_changes_no_method() {
    let folder = tempfile::tempdir().unwrap();
    let plan = format!(
        "name = \"killed\"\nseeds = [3]\ndata = [{{ name = \"birds\", card = \"birds.toml\" }}]\n\
         train = {{ epochs = {EPOCHS}, batch_size = 16, select = \"best_validation\" }}\n{}",
        METHODS
    );
    let cells = Plan::read(Some(&birds::write(folder.path(), 150, &plan))).unwrap().cells().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let mut methods = 0;
    for cell in &cells {
        let uninterrupted = run(&whole, cell);
        let resumed = broken.join(&cell.key);
        let killed = run_killed(&broken, cell);
        println!("{}: killed {killed} times", cell.run);
        assert!(killed >= 2, "{} was killed {killed} times only", cell.run);
        let weights = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
        assert!(weights(&resumed) == weights(&uninterrupted), "the weights of {} differ", cell.run);
        assert_eq!(result(&resumed), result(&uninterrupted), "{}", cell.run);
        methods += usize::from(!cell.hidden);
    }
    assert_eq!(methods, 4);
}

/// The results so far, with their bytes.
fn results(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(out.join("cells")) else { return BTreeMap::new() };
    let paths = entries.flatten().map(|entry| entry.path().join("result.json"));
    paths.filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?))).collect()
}

/// Every file below the cells is whole.
fn check_whole(out: &Path) {
    for entry in std::fs::read_dir(out.join("cells")).unwrap() {
        for file in std::fs::read_dir(entry.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("json") => drop(serde_json::from_slice::<serde_json::Value>(&std::fs::read(&path).unwrap()).expect("whole")),
                Some("safetensors") => drop(mm_core::weights::load(&path, &candle_core::Device::Cpu).expect("whole")),
                _ => {}
            }
        }
    }
}

/// Interrupts a bench after its first result; `group`: as a terminal does it, all its processes at once.
fn interrupt(group: bool) {
    let folder = tempfile::tempdir().unwrap();
    let plan = format!(
        "name = \"stopped\"\nseeds = [0, 1]\ndata = [{{ name = \"birds\", card = \"birds.toml\" }}]\n\
         train = {{ epochs = 150, batch_size = 16 }}\n{}",
        METHODS
    );
    let plan = birds::write(folder.path(), 150, &plan);
    let out = folder.path().join("out");
    let bench = || {
        let mut command = xtask();
        command.arg("bench").arg(&plan).args(["--jobs", "1"]).arg("--out").arg(&out);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    };
    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let child = bench().spawn().unwrap();
    wait_for("the first result", || (!results(&out).is_empty()).then_some(()));
    let target = if group { format!("-{}", child.id()) } else { child.id().to_string() };
    assert!(Command::new("kill").args(["-INT", "--", &target]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    assert!(text(&output).contains("interrupted; the same command goes on where this one stopped"), "{}", text(&output));
    assert!(!text(&output).contains("failed"), "{}", text(&output));
    check_whole(&out);
    let finished = results(&out);
    assert!(finished.len() < 10, "nothing was left to interrupt");

    let output = bench().output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    // Two teachers and two seeds of four methods.
    assert!(text(&output).contains(&format!("{} of 10 cells new", 10 - finished.len())), "{}", text(&output));
    assert!(Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists());
    check_whole(&out);
    let all = results(&out);
    assert_eq!(all.len(), 10);
    assert!(finished.iter().all(|(path, bytes)| all[path] == *bytes), "a finished cell was computed again");
}

#[test]
fn ctrl_c_in_a_terminal_ends_the_bench_and_a_rerun_goes_on() {
    interrupt(true);
}

#[test]
fn sigint_to_the_bench_alone_ends_its_cells_too() {
    interrupt(false);
}
