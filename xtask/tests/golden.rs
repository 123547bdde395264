//! The golden values, by the command that a user runs.

use std::process::Command;

/// Runs `golden` on a file of this folder; the lines of the cases.
fn golden(file: &str) -> Vec<String> {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["golden", &path]).output().expect("the command runs");
    String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect()
}

#[test]
fn ops() {
    let lines = golden("ops.json");
    let failed: Vec<&String> = lines.iter().filter(|l| l.starts_with("FAILED")).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(lines.last().map(String::as_str), Some("46 passed, 0 failed"));
}

#[test]
fn a_file_that_is_not_one_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["golden", "no-such-file.json"]).output().expect("the command runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file.json"));
}

/// Cases of whole networks that are met; each trains or predicts through the library's own types.
const NETWORKS: [&str; 8] = [
    "torchvision_resnet18/eval",
    "torchvision_resnet18/train",
    "mmanet_teacher_surf/eval",
    "mmanet_surf/eval_all_combinations",
    "mmanet_surf/train_per_sample_masks",
    "dmrnet_surf/eval",
    "udml_av/eval",
    "cross_fusion_patch/eval",
];

#[test]
fn networks() {
    let lines = golden("networks.json");
    for name in NETWORKS {
        let line = lines.iter().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.starts_with("ok ")), "{name}: {line:?}");
    }
}
