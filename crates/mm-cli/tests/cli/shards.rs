//! A plan on several machines: its parts, what becomes of those that are stopped, lost or run twice, and the report of all.

use super::birds;
use super::program::{self, bench, lasting, mm, results, said, signal, wait_for};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Five cells: two of a method that needs a teacher, that teacher, which is a run itself, and two others.
fn plan(folder: &Path, epochs: usize) -> PathBuf {
    let plan = format!(
        "name = \"parts\"\nseeds = [0, 1]\ndata = [{{ name = \"birds\", card = \"birds.toml\" }}]\n\
         train = {{ epochs = {epochs}, batch_size = 16 }}\n\
         runs = [{{ method = \"mmanet\" }}, {{ method = \"modality-dropout\" }}, {{ method = \"full-only\" }}]\n"
    );
    birds::write(folder, 150, &plan)
}

fn part(plan: &Path, out: &Path, shard: &str) -> Command {
    let mut command = bench(plan, out);
    command.args(["--shard", shard]);
    command
}

fn merge(folders: &[&Path], out: &Path) -> Output {
    mm().args(["bench", "merge"]).args(folders).arg("--out").arg(out).output().unwrap()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// The cells of a folder by key, without what a clock or a machine says.
fn cells(out: &Path) -> BTreeMap<String, serde_json::Value> {
    let key = |path: &Path| path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    results(out).iter().map(|(path, bytes)| (key(path), lasting(bytes))).collect()
}

/// The numbers of a report: everything but what a clock or a machine says.
fn report(out: &Path) -> serde_json::Value {
    let mut report: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    for key in ["finished", "machines", "versions", "threads"] {
        assert!(report["provenance"].as_object_mut().unwrap().remove(key).is_some(), "{key}");
    }
    for data in report["data"].as_array_mut().unwrap() {
        for run in data["runs"].as_array_mut().unwrap() {
            assert!(run.as_object_mut().unwrap().remove("cost").is_some());
        }
    }
    report
}

#[test]
fn parts_in_one_folder_or_in_several_make_the_report_of_one_machine() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 3);
    let at = |name: &str| folder.path().join(name);
    succeeds(&bench(&plan, &at("whole")).output().unwrap());
    let whole = report(&at("whole"));
    // Side by side in one folder, as on a shared disk.
    let mut tasks = Vec::new();
    for id in 0..3 {
        let mut command = part(&plan, &at("shared"), "auto");
        command.env("SLURM_ARRAY_TASK_ID", id.to_string()).envs([("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_COUNT", "3")]);
        tasks.push(command.spawn().unwrap());
    }
    for task in tasks {
        let output = task.wait_with_output().unwrap();
        succeeds(&output);
        assert!(said(&output).contains("of `parts`: ") && said(&output).contains("mm bench merge"), "{}", said(&output));
    }
    assert!(!at("shared").join("report.json").exists(), "no part writes a report");
    succeeds(&merge(&[&at("shared")], &at("shared")));
    assert_eq!(report(&at("shared")), whole);
    // Each in a folder of its own, as on disks of their own; the second part twice.
    for (name, shard) in [("a", "1/2"), ("b", "2/2"), ("c", "2/2")] {
        succeeds(&part(&plan, &at(name), shard).output().unwrap());
    }
    assert_eq!(results(&at("a")).len() + results(&at("b")).len(), 6);
    let output = merge(&[&at("a"), &at("b"), &at("c")], &at("merged"));
    succeeds(&output);
    assert!(said(&output).contains(&format!("{} cells were computed in more than one", results(&at("b")).len())), "{}", said(&output));
    assert_eq!(report(&at("merged")), whole);
    assert_eq!(cells(&at("merged")), cells(&at("whole")));
    // Nothing is left to do there, and the same report comes from its cells.
    let output = bench(&plan, &at("merged")).output().unwrap();
    assert!(said(&output).contains("0 of 6 cells new"), "{}", said(&output));
    let shown =
        mm().args(["report", "--results"]).arg(at("a")).arg("--results").arg(at("b")).arg("--out").arg(at("shown")).output().unwrap();
    succeeds(&shown);
    assert!(!said(&shown).contains("missing"), "{}", said(&shown));
}

#[test]
fn a_lost_part_is_missing_and_a_wrong_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = plan(folder.path(), 2);
    let at = |name: &str| folder.path().join(name);
    succeeds(&part(&path, &at("a"), "1/2").output().unwrap());
    let lost = 6 - results(&at("a")).len();
    let output = merge(&[&at("a")], &at("merged"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output).matches("is missing: it has no result yet").count(), lost, "{}", said(&output));
    let text = std::fs::read_to_string(at("merged").join("report.md")).unwrap();
    assert_eq!(text.matches("is missing: it has no result yet").count(), lost, "the report says so, too");
    let shown = mm().args(["report", "--results"]).arg(at("a")).arg("--out").arg(at("shown")).output().unwrap();
    succeeds(&shown);
    let text = std::fs::read_to_string(at("shown").join("report.md")).unwrap();
    assert_eq!(text.matches("is missing: it has no result yet").count(), lost);
    // The same cell with another number.
    succeeds(&part(&path, &at("b"), "1/2").output().unwrap());
    let damaged = results(&at("b")).into_keys().next().unwrap();
    let mut result: serde_json::Value = serde_json::from_slice(&std::fs::read(&damaged).unwrap()).unwrap();
    result["combinations"][0]["metrics"]["samples"] = 1.into();
    std::fs::write(&damaged, result.to_string()).unwrap();
    let output = merge(&[&at("a"), &at("b")], &at("both"));
    assert!(said(&output).contains("changed since the bench wrote it: its checksum is another; remove it"), "{}", said(&output));
    // As older versions wrote it.
    result.as_object_mut().unwrap().remove("sha256");
    std::fs::write(&damaged, result.to_string()).unwrap();
    let output = merge(&[&at("a"), &at("b")], &at("both"));
    assert!(said(&output).contains("has different numbers in"), "{}", said(&output));
    // Parts of another plan.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    succeeds(&part(&plan(&other, 3), &at("c"), "2/2").output().unwrap());
    let output = merge(&[&at("a"), &at("c")], &at("both"));
    assert!(said(&output).contains("are not parts of one bench: 6 of the 6 cells"), "{}", said(&output));
    let output = merge(&[folder.path()], &at("both"));
    assert!(said(&output).contains("has no list of cells (plan.json)"), "{}", said(&output));
    assert!(!at("both").join("report.json").exists());
}

#[test]
fn a_part_that_the_scheduler_stops_asks_to_be_submitted_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (plan(folder.path(), 60), folder.path().join("out"));
    let stopped = |more: &[(&str, &str)]| {
        let task = part(&path, &out, "1/1").envs(more.iter().copied()).spawn().unwrap();
        wait_for("a running cell", || program::cells(task.id()).first().copied());
        signal("TERM", &task.id().to_string());
        let output = task.wait_with_output().unwrap();
        assert!(said(&output).contains("interrupted; resubmit me: the same command goes on"), "{}", said(&output));
        output.status.code()
    };
    assert_eq!(stopped(&[]), Some(0));
    // Kubernetes would count it as done.
    assert_eq!(stopped(&[("JOB_COMPLETION_INDEX", "0")]), Some(143));
    // It saved where it was, whatever the time since the last checkpoint: those are 20 s apart, and no cell takes as long.
    let checkpoints = std::fs::read_dir(out.join("cells")).unwrap().flatten().any(|cell| cell.path().join("checkpoints").exists());
    assert!(checkpoints || !results(&out).is_empty());
    succeeds(&part(&path, &out, "1/1").output().unwrap());
    let whole = folder.path().join("whole");
    succeeds(&bench(&path, &whole).output().unwrap());
    assert_eq!(cells(&out), cells(&whole));
}

#[test]
fn the_same_part_on_two_machines_at_once_ends_with_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (plan(folder.path(), 4), folder.path().join("out"));
    let both = [part(&path, &out, "1/1").spawn().unwrap(), part(&path, &out, "1/1").spawn().unwrap()];
    let ended = both.map(|task| task.wait_with_output().unwrap());
    // One may have been in the other's way; then it has said so, and the cell is the other's or still to be run.
    if ended.iter().any(|output| !output.status.success()) {
        succeeds(&part(&path, &out, "1/1").output().unwrap());
    }
    let whole = folder.path().join("whole");
    succeeds(&bench(&path, &whole).output().unwrap());
    succeeds(&merge(&[&out], &out));
    assert_eq!(cells(&out), cells(&whole));
    assert_eq!(report(&out), report(&whole));
}

#[test]
fn a_plan_can_pin_the_level_of_vector_instructions() {
    let folder = tempfile::tempdir().unwrap();
    let path = plan(folder.path(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    let pinned = |level: &str, name: &str| {
        std::fs::write(&path, format!("level = \"{level}\"\n{text}")).unwrap();
        (bench(&path, &folder.path().join(name)).output().unwrap(), folder.path().join(name))
    };
    let (output, out) = pinned("portable", "portable");
    succeeds(&output);
    for bytes in results(&out).values() {
        let result: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(result["provenance"]["level"], "portable");
    }
    let (output, _) = pinned("mmx", "mmx");
    assert!(said(&output).contains("no level `mmx` of vector instructions; there are: portable, avx2, avx512"), "{}", said(&output));
}
