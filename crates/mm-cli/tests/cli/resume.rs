//! Runs that are killed or interrupted: they go on where they stopped and end as if nothing had happened.

use super::birds;
use super::program::{Guarded, bench, cell, cells, lasting, mm, prepare, result, results, runs, said, signal, wait_for, weights};
use mm_bench::{CellSpec, Plan, Registry};
use mm_core::rng;
use rand::RngExt;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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

/// The other methods that there are.
fn others() -> String {
    let names = Registry::default().methods().iter().map(|method| method.name()).collect::<Vec<_>>();
    let others = names.into_iter().filter(|name| !METHODS.contains(&format!("\"{name}\"")));
    others.map(|name| format!("\n[[runs]]\nmethod = \"{name}\"\n")).collect()
}

const EPOCHS: usize = 16;
/// Steps of an epoch: of 150 samples 105 train.
const STEPS: usize = 6;

/// Starts a cell that saves a checkpoint after every step.
fn start(folder: &Path) -> Child {
    cell(folder, 0.0).stderr(Stdio::null()).spawn().unwrap()
}

/// Trains a cell below `folder` without a break and without a checkpoint.
fn run(folder: &Path, spec: &CellSpec) -> PathBuf {
    let folder = prepare(folder, spec);
    let output = cell(&folder, 1e9).output().unwrap();
    assert!(output.status.success(), "{}: {}", spec.run, said(&output));
    folder
}

/// Epochs and steps of the next in the newest checkpoint.
fn newest(folder: &Path) -> [usize; 2] {
    newest_of(&folder.join("checkpoints"))
}

fn newest_of(checkpoints: &Path) -> [usize; 2] {
    let Ok(entries) = std::fs::read_dir(checkpoints) else { return [0; 2] };
    let done = |name: &str| {
        let (epochs, steps) = name.strip_prefix("epoch-")?.split_once('-')?;
        Some([epochs.parse().ok()?, steps.parse().ok()?])
    };
    entries.flatten().filter_map(|entry| done(&entry.file_name().to_string_lossy())).max().unwrap_or_default()
}

/// Trains a cell that is killed (SIGKILL) at random moments of its training; the checkpoints that it went on from.
fn run_killed(folder: &Path, spec: &CellSpec, attempt: u64) -> Vec<[usize; 2]> {
    let folder = prepare(folder, spec);
    let mut random = rng::stream(17, &spec.run, &[attempt]);
    let mut killed = Vec::new();
    for (i, epochs) in [0..1, 3..5, 7..10, 12..14].into_iter().enumerate() {
        // By turns within an epoch and at the end of one.
        let target = [random.random_range(epochs), if i % 2 == 0 { random.random_range(1..STEPS) } else { 0 }];
        let mut child = start(&folder);
        let ended = wait_for("the next checkpoint", || match child.try_wait().unwrap() {
            Some(status) => Some(Some(status)),
            None => (newest(&folder) >= target).then_some(None),
        });
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        std::thread::sleep(Duration::from_micros(random.random_range(0..3000)));
        child.kill().unwrap();
        match child.wait().unwrap().success() {
            true => break,
            false => killed.push(newest(&folder)),
        }
    }
    if !folder.join("result.json").exists() {
        assert!(start(&folder).wait().unwrap().success(), "{}", spec.run);
    }
    killed
}

#[test]
fn kill_nine_at_random_moments_changes_no_method() {
    let folder = tempfile::tempdir().unwrap();
    let plan = format!(
        "name = \"killed\"\nseeds = [3]\ndata = [{{ name = \"birds\", card = \"birds.toml\" }}]\n\
         train = {{ epochs = {EPOCHS}, batch_size = 16, select = \"best_validation\" }}\n{METHODS}{}",
        others()
    );
    let cells = Plan::read(Some(&birds::write(folder.path(), 150, &plan))).unwrap().cells(&Registry::default()).unwrap();
    let shown = cells.iter().filter(|cell| !cell.hidden).count();
    assert_eq!(shown, Registry::default().methods().len(), "all methods");
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let mut kills = Vec::new();
    for cell in &cells {
        let uninterrupted = run(&whole, cell);
        let resumed = broken.join(&cell.key);
        // A machine that is busy elsewhere may let a cell end unseen: then it is tried again.
        let killed = (0..10).find_map(|attempt| {
            let killed = run_killed(&broken, cell, attempt);
            println!("{}: killed behind {killed:?}", cell.run);
            let enough = killed.len() >= 3 && killed.iter().any(|[_, steps]| *steps > 0);
            if !enough {
                std::fs::remove_dir_all(&resumed).unwrap();
            }
            enough.then_some(killed)
        });
        kills.extend(killed.unwrap_or_else(|| panic!("{} always ended before it was killed three times", cell.run)));
        assert!(weights(&resumed) == weights(&uninterrupted), "the weights of {} differ", cell.run);
        assert_eq!(result(&resumed), result(&uninterrupted), "{}", cell.run);
    }
    let ends = kills.iter().filter(|[_, steps]| *steps == 0).count();
    println!("{} kills, {ends} of them between two epochs", kills.len());
    assert!(kills.len() >= 20 && ends > 0, "{kills:?}");
}

/// A training that was killed does not go on with other data.
#[test]
fn a_training_whose_labels_change_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    birds::write(folder.path(), 150, "");
    let train = |out: &str| {
        let mut train = mm();
        train.current_dir(folder.path()).args(["train", "birds.toml", "--method", "full-only", "--epochs", "60", "--out", out]);
        train.args(["--checkpoint-seconds", "0"]);
        train
    };
    let kill = |out: &str| {
        let mut child = train(out).stderr(Stdio::null()).spawn().unwrap();
        let checkpoints = folder.path().join(format!("{out}.checkpoints"));
        let saved = |run: std::fs::DirEntry| newest_of(&run.path()) > [0; 2];
        wait_for("a checkpoint", || std::fs::read_dir(&checkpoints).ok()?.flatten().any(saved).then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let song = folder.path().join("song.csv");
    let text = std::fs::read_to_string(&song).unwrap();
    kill("changed");
    std::fs::write(&song, text.replacen("wren", "kite", 20)).unwrap();
    for out in ["changed", "fresh"] {
        let output = train(out).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let model = |out: &str| std::fs::read(folder.path().join(out).join("model.safetensors")).unwrap();
    assert!(model("changed") == model("fresh"), "old and new labels are mixed");
    // The same numbers in a file that is another: that is for the user to say.
    kill("rewritten");
    std::fs::write(&song, text.replacen("wren", "kite", 20) + "\n").unwrap();
    let output = train("rewritten").output().unwrap();
    assert!(
        !output.status.success() && said(&output).contains("the files of its data have changed since; remove the folder"),
        "{}",
        said(&output)
    );
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

/// A plan of ten cells: two teachers and two seeds of four methods.
fn ten_cells(folder: &Path) -> PathBuf {
    let plan = format!(
        "name = \"stopped\"\nseeds = [0, 1]\ndata = [{{ name = \"birds\", card = \"birds.toml\" }}]\n\
         train = {{ epochs = 60, batch_size = 16 }}\n{}",
        METHODS
    );
    birds::write(folder, 150, &plan)
}

/// Waits for the first result of a bench.
fn wait_for_a_result(out: &Path) {
    wait_for("the first result", || (!results(out).is_empty()).then_some(()));
}

/// Runs an interrupted bench to its end; what was finished is not computed again.
fn check_rerun(plan: &Path, out: &Path) {
    check_whole(out);
    let finished = results(out);
    assert!(finished.len() < 10, "nothing was left to interrupt");
    let output = bench(plan, out).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(&format!("{} of 10 cells new", 10 - finished.len())), "{}", said(&output));
    assert!(Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists());
    check_whole(out);
    let all = results(out);
    assert_eq!(all.len(), 10);
    assert!(finished.iter().all(|(path, bytes)| all[path] == *bytes), "a finished cell was computed again");
}

/// Interrupts a bench after its first result; `group`: as a terminal does it, all its processes at once.
fn interrupt(name: &str, group: bool, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (ten_cells(folder.path()), folder.path().join("out"));
    let child = bench(&plan, &out).process_group(0).spawn().unwrap();
    wait_for_a_result(&out);
    signal(name, &if group { format!("-{}", child.id()) } else { child.id().to_string() });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    assert!(said(&output).contains("interrupted; the same command goes on where this one stopped"), "{}", said(&output));
    assert!(!said(&output).contains("failed"), "{}", said(&output));
    check_rerun(&plan, &out);
}

#[test]
fn ctrl_c_in_a_terminal_ends_the_bench_and_a_rerun_goes_on() {
    interrupt("INT", true, 130);
}

#[test]
fn sigint_to_the_bench_alone_ends_its_cells_too() {
    interrupt("INT", false, 130);
}

#[test]
fn sigterm_and_the_end_of_the_terminal_are_as_ctrl_c() {
    interrupt("TERM", false, 143);
    interrupt("TERM", true, 143);
    // What starts under `nohup` is to survive its terminal, and so is what it starts.
    match ignores_hangups() {
        true => println!("skipped for SIGHUP: this process ignores it, and so would the bench"),
        false => interrupt("HUP", true, 129),
    }
}

/// Whether this process was started with SIGHUP ignored.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn a_bench_that_is_to_survive_its_terminal_does() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (ten_cells(folder.path()), folder.path().join("out"));
    // What `nohup` does.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(env!("CARGO_BIN_EXE_mm")).args(bench(&plan, &out).get_args());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    wait_for_a_result(&out);
    signal("HUP", &format!("-{}", child.id()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && said(&output).contains("10 of 10 cells new"), "{}", said(&output));
}

#[test]
fn cells_end_with_a_bench_that_is_killed_and_a_rerun_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let kill = |mut parent: Child| {
        let cells = wait_for("a running cell", || Some(cells(parent.id())).filter(|cells| !cells.is_empty()));
        parent.kill().unwrap();
        parent.wait().unwrap();
        wait_for("the end of the cells", || cells.iter().all(|&cell| !runs(cell)).then_some(()));
    };
    kill(bench(&endless(folder.path()), &folder.path().join("endless")).spawn().unwrap());
    let (plan, out) = (ten_cells(folder.path()), folder.path().join("out"));
    let parent = bench(&plan, &out).spawn().unwrap();
    wait_for_a_result(&out);
    kill(parent);
    check_rerun(&plan, &out);
}

/// A bench of one cell that takes longer than any test.
fn endless(folder: &Path) -> PathBuf {
    let plan = "name = \"endless\"\nseeds = [0]\ndata = [{ name = \"birds\", card = \"birds.toml\" }]\n\
                train = { epochs = 1000000, batch_size = 2 }\nruns = [{ method = \"full-only\" }]\n";
    birds::write(folder, 60, plan)
}

/// Whether a process has begun to listen to SIGTERM, where the system tells; before, it dies of it.
fn hears_sigterm(id: u32) -> bool {
    const SIGTERM: u64 = 15;
    let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else { return !cfg!(target_os = "linux") };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (SIGTERM - 1) & 1 == 1)
}

#[test]
fn a_cell_that_is_killed_says_by_what() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (endless(folder.path()), folder.path().join("out"));
    for (name, expected) in [
        ("KILL", "killed by SIGKILL, perhaps because memory ran out"),
        ("TERM", "ended with exit status: 75: the training was asked to stop: it goes on from the checkpoint that it left"),
    ] {
        let parent = bench(&plan, &out).spawn().unwrap();
        let cell = wait_for("a cell that listens", || cells(parent.id()).first().copied().filter(|cell| hears_sigterm(*cell)));
        signal(name, &cell.to_string());
        let output = parent.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&format!("birds / full-only / seed 0 failed: {expected}")), "{}", said(&output));
    }
}

#[test]
fn a_second_bench_waits_for_the_first_however_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (endless(folder.path()), folder.path().join("out"));
    let mut first = Guarded(bench(&plan, &out).spawn().unwrap());
    wait_for("its word", || out.join("bench.json").exists().then_some(()));
    let short = folder.path().join("short.toml");
    std::fs::write(&short, std::fs::read_to_string(&plan).unwrap().replace("1000000", "2").replace("endless", "short")).unwrap();
    let wait = || {
        let mut second = bench(&short, &out).spawn().unwrap();
        // What it has to say of the data comes first.
        let mut lines = BufReader::new(second.stderr.as_mut().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("in use")).expect("it waits");
        assert!(line.contains(&format!("in use by the bench of process {} (plan `endless`, since 20", first.0.id())), "{line}");
        second
    };
    let impatient = wait();
    signal("INT", &impatient.id().to_string());
    assert_eq!(impatient.wait_with_output().unwrap().status.code(), Some(130));
    let patient = wait();
    assert_eq!(results(&out).len(), 0);
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let output = patient.wait_with_output().unwrap();
    assert!(output.status.success() && results(&out).len() == 1, "{}", said(&output));
}

/// Elsewhere the bench says that its program was replaced (`child.rs`).
#[cfg(target_os = "linux")]
#[test]
fn a_bench_whose_program_is_replaced_goes_on_with_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (ten_cells(folder.path()), folder.path().join("out"));
    let (program, other) = (folder.path().join("program"), folder.path().join("other"));
    std::fs::copy(env!("CARGO_BIN_EXE_mm"), &program).unwrap();
    std::fs::copy("/bin/false", &other).unwrap();
    let mut command = Command::new(&program);
    let child = command.args(bench(&plan, &out).get_args()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_a_result(&out);
    std::fs::rename(&other, &program).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && said(&output).contains("10 of 10 cells new"), "{}", said(&output));
    // The same program elsewhere: its hash is the one that the cells are kept under.
    let output = bench(&plan, &out).output().unwrap();
    assert!(said(&output).contains("0 of 10 cells new"), "{}", said(&output));
}

#[test]
fn data_that_changes_while_a_bench_runs_fails_the_cells_that_would_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (ten_cells(folder.path()), folder.path().join("out"));
    let (data, before) = (folder.path().join("song.csv"), folder.path().join("before.csv"));
    std::fs::copy(&data, &before).unwrap();
    let replace = |text: String| {
        let new = folder.path().join("new.csv");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &data).unwrap();
    };
    let text = std::fs::read_to_string(&before).unwrap();
    // Other numbers, and a table that is read with an error.
    for changed in [text.replace("0.1", "0.2"), text.replace(",wren", "")] {
        let child = bench(&plan, &out).spawn().unwrap();
        let finished = results(&out).len();
        wait_for("a result", || (results(&out).len() > finished).then_some(()));
        replace(changed);
        let output = child.wait_with_output().unwrap();
        replace(text.clone());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("birds.toml` changed since the bench began: run the bench again"), "{}", said(&output));
        assert!(results(&out).len() < 10, "nothing was left to fail");
    }
    check_rerun(&plan, &out);
    let whole = folder.path().join("whole");
    assert!(bench(&plan, &whole).output().unwrap().status.success());
    for (path, bytes) in results(&whole) {
        let resumed = out.join(path.strip_prefix(&whole).unwrap());
        assert_eq!(lasting(&std::fs::read(resumed).unwrap()), lasting(&bytes), "{}", path.display());
    }
}

/// Weights are large, and who has the results deletes them.
#[test]
fn a_teacher_whose_weights_are_gone_is_trained_again_for_those_that_learn_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "name = 'p'\nseeds = [0]\ndata = [{ name = 'birds', card = 'birds.toml' }]\ntrain = { epochs = 2, batch_size = 16 }\n
        [[runs]]\nmethod = 'full-only'\n[[runs]]\nmethod = 'logit-distillation'\n[[runs]]\nmethod = 'modality-dropout'\n";
    let (plan, out) = (birds::write(folder.path(), 60, plan), folder.path().join("out"));
    let run = || {
        let output = bench(&plan, &out).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    run();
    let first = results(&out);
    let of = |name: &str| {
        let is_it = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["run"] == name;
        first.iter().find(|(_, bytes)| is_it(bytes)).unwrap().0.clone()
    };
    // Without a cell that asks for them, weights that are gone are missed by nobody.
    for name in ["full-only", "modality-dropout"] {
        std::fs::remove_file(of(name).with_file_name("model.safetensors")).unwrap();
    }
    assert!(run().contains("0 of 3 cells new"));
    std::fs::remove_file(of("logit-distillation")).unwrap();
    let told = run();
    assert!(told.contains("2 of 3 cells new") && told.contains("full-only / seed 0: others learn from it"), "{told}");
    let again = results(&out);
    assert!(first.iter().all(|(path, bytes)| lasting(bytes) == lasting(&again[path])));
}
