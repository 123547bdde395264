//! What changes while a training runs: its data, the place of its model, a second training beside it.

use super::machines;
use super::program::{Guarded, cell, mm, prepare, said, signal, wait_for};
use mm_bench::{Plan, Registry};
use std::io::Read;
use std::path::Path;
use std::process::Command;

const PLAN: &str = "name = \"machines\"\nseeds = [0]\ntrain = { batch_size = 8, epochs = 20 }\n\
                    data = [{ name = \"machines\", card = \"machines.toml\" }]\nruns = [{ method = \"modality-dropout\" }]\n";

fn has_checkpoint(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("epoch-") || has_checkpoint(&entry.path()))
}

/// Runs a training, with a `change` behind its first checkpoint; whether it ended well, and what it said.
fn run_with(mut command: Command, checkpoints: &Path, change: impl FnOnce()) -> (bool, String) {
    let mut child = Guarded(command.spawn().unwrap());
    wait_for("a checkpoint", || has_checkpoint(checkpoints).then_some(()));
    signal("STOP", &child.0.id().to_string());
    change();
    signal("CONT", &child.0.id().to_string());
    let (status, mut told) = (child.0.wait().unwrap(), String::new());
    child.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    (status.success(), told)
}

#[test]
fn a_cell_whose_data_change_while_it_trains_leaves_no_result() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    machines::write(folder, 40);
    std::fs::write(folder.join("plan.toml"), PLAN).unwrap();
    let run = |change: &dyn Fn(&Path)| {
        let cells = Plan::read(Some(&folder.join("plan.toml"))).unwrap().cells(&Registry::default()).unwrap();
        let at = prepare(&folder.join("cells"), &cells[0]);
        let (done, told) = run_with(cell(&at, 0.0), &at.join("checkpoints"), || change(&folder.join("photos/001.png")));
        assert!(!at.join("checkpoints").exists(), "{told}");
        assert_eq!(at.join("result.json").exists(), done, "{told}");
        (done, told)
    };
    let (done, told) = run(&|photo| _ = std::fs::copy(photo.with_file_name("000.png"), photo).unwrap());
    assert!(!done && told.contains("machines.toml` changed since the bench began: run the bench again"), "{told}");
    // What a file holds stays when its rights change.
    let (done, told) = run(&|photo| std::fs::set_permissions(photo, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap());
    assert!(done, "{told}");
}

#[test]
fn a_model_is_not_saved_over_another_nor_of_data_that_changed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    machines::write(folder, 40);
    std::fs::write(folder.join("plan.toml"), PLAN).unwrap();
    let (model, checkpoints) = (folder.join("model"), folder.join("model.checkpoints"));
    let train = |more: &[&str]| {
        let mut train = mm();
        train.current_dir(folder).args(["train", "--plan", "plan.toml", "--method", "modality-dropout", "--out", "model"]);
        train.args(["--checkpoint-seconds", "0"]).args(more);
        train
    };
    let (done, told) = run_with(train(&[]), &checkpoints, || {
        let second = train(&[]).output().unwrap();
        assert!(!second.status.success() && said(&second).contains("another `mm train` is writing model"), "{}", said(&second));
        std::fs::create_dir(&model).unwrap();
        ["config.json", "model.safetensors"].iter().for_each(|name| std::fs::write(model.join(name), "mine").unwrap());
    });
    assert!(!done && told.contains("its place was taken: model holds a model: give another folder, or `--overwrite`"), "{told}");
    assert_eq!(std::fs::read(model.join("model.safetensors")).unwrap(), b"mine");
    std::fs::remove_dir_all(&model).unwrap();
    assert!(has_checkpoint(&checkpoints));
    let output = train(&["--epochs", "1"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("the training begins anew: the checkpoints in model.checkpoints are of other"), "{}", said(&output));
    assert!(!checkpoints.exists(), "those of other settings are of no more use");
    let config = std::fs::read(model.join("config.json")).unwrap();
    let change = || _ = std::fs::copy(folder.join("photos/000.png"), folder.join("photos/001.png")).unwrap();
    let (done, told) = run_with(train(&["--overwrite"]), &checkpoints, change);
    assert!(!done && told.contains("changed while the model trained, and nothing was saved: train again"), "{told}");
    assert!(!checkpoints.exists() && std::fs::read(model.join("config.json")).unwrap() == config);
}
