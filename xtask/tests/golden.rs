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

/// Runs `golden` on this text; whether it succeeds, and what it says.
fn golden_text(text: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    std::fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("golden").arg(&path).output().expect("the command runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A file with one case of softmax, of this version and with this shape of the input.
fn softmax(version: &str, shape: &str) -> String {
    let input = |shape: &str| format!(r#"{{"fill": {{"key": 1, "shape": {shape}, "scale": 0.0, "offset": 0.0}}}}"#);
    let case = format!(
        r#"{{"op": "softmax", "name": "case", "inputs": {{"input": {}, "upstream": {}}}, "outputs": {{"output": {{"shape": [1, 2], "data": [0.5, 0.5]}}}}}}"#,
        input(shape),
        input(shape)
    );
    format!(r#"{{{version} "cases": [{case}]}}"#)
}

#[test]
fn a_file_that_checks_nothing_is_an_error() {
    let (passed, text) = golden_text(&softmax(r#""version": 1,"#, "[1, 2]"));
    assert!(passed && text.contains("1 passed, 0 failed"), "{text}");
    let cases = [
        (String::new(), "empty"),
        (" \n".into(), "empty"),
        ("{}".into(), "version"),
        (r#"{"version": 1, "cases": []}"#.into(), "no cases"),
        (softmax(r#""version": 2,"#, "[1, 2]"), "version is 2"),
        (softmax("", "[1, 2]"), "version"),
        (r#"{"version": 2}"#.into(), "version is 2"),
    ];
    for (file, part) in cases {
        let (passed, text) = golden_text(&file);
        assert!(!passed && text.contains(part) && text.contains("cases.json"), "{file}: {text}");
    }
}

/// Shapes whose numbers no machine has room for, or whose count overflows.
#[test]
fn a_huge_shape_is_a_failed_case() {
    for shape in ["[1000000, 1000000]", "[4294967296, 4294967296]", "[18446744073709551615]", "[8192, 8192]", "[1, 100000]"] {
        let (passed, text) = golden_text(&softmax(r#""version": 1,"#, shape));
        assert!(!passed && text.contains("0 passed, 1 failed") && text.contains("too large"), "{shape}: {text}");
    }
    let weights = r#"{"version": 1, "cases": [{"op": "network", "name": "case", "network": "torchvision_resnet18", "params": {"mode": "eval"},
        "inputs": {"image": {"fill": {"key": 1, "shape": [1, 3, 32, 32], "scale": 1.0, "offset": 0.0}}},
        "outputs": {"logits": {"shape": [1], "data": [0.0]}}, "weights": [["fc.weight", [1000000, 1000000]]]}]}"#;
    let (passed, text) = golden_text(weights);
    assert!(!passed && text.contains("0 passed, 1 failed") && text.contains("too large"), "{text}");
}

/// Cases of whole networks that are met; each trains or predicts through the library's own types.
const NETWORKS: [&str; 10] = [
    "torchvision_resnet18/eval",
    "torchvision_resnet18/train",
    "mmanet_teacher_surf/eval",
    "mmanet_surf/eval_all_combinations",
    "mmanet_surf/train_per_sample_masks",
    "dmrnet_surf/eval",
    "udml_av/eval",
    "cross_fusion_patch/eval",
    "mmanet_segmentation/eval",
    "one_stage_segmentation/eval",
];

#[test]
fn networks() {
    let lines = golden("networks.json");
    for name in NETWORKS {
        let line = lines.iter().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.starts_with("ok ")), "{name}: {line:?}");
    }
}

/// Token ids and embeddings of a real checkpoint, where there is one.
#[test]
fn sentences() {
    let Some(model) = mm_testing::minilm() else { return };
    let file = format!("{}/tests/golden/minilm.json", env!("CARGO_MANIFEST_DIR"));
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["golden", &file]).args(arguments).output().expect("the command runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for arguments in [&["--model".as_ref(), model.as_os_str()][..], &[]] {
        let text = run(arguments);
        assert!(text.ends_with("6 passed, 0 failed\n"), "{text}");
    }
}

#[test]
fn a_checkpoint_that_is_none_is_an_error() {
    let file = format!("{}/tests/golden/minilm.json", env!("CARGO_MANIFEST_DIR"));
    let run =
        |model: &str, file: &str| Command::new(env!("CARGO_BIN_EXE_xtask")).args(["golden", file, "--model", model]).output().unwrap();
    for (model, file, part) in [("no-such-folder", file.as_str(), "config.json"), (".", "tests/golden/ops.json", "no file of texts")] {
        let output = run(model, file);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(part), "{text}");
    }
}

/// Checkpoints as their makers published them, where they are on this machine.
#[test]
fn weights() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let (file, data) = (shared.join("golden/weights.json"), shared.join("data/weights"));
    if !file.exists() || !data.exists() {
        println!("skipped: no {} or {}", file.display(), data.display());
        return;
    }
    let run = |arguments: &[&std::path::Path]| {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("golden").arg(&file).args(arguments).output().expect("the command runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let lines = run(&["--data".as_ref(), &data]);
    assert!(lines.contains("ok      resnet20-12fca82f.th (97 tensors"), "{lines}");
    assert_eq!(lines.lines().last(), Some("7 passed, 0 failed"), "{lines}");
    // A folder without the files, and none.
    let lines = run(&["--data".as_ref(), &shared]);
    assert_eq!(lines.lines().last(), Some("0 passed, 7 failed"), "{lines}");
    assert!(run(&[]).contains("--data"), "{}", run(&[]));
}

/// Real sounds and photographs, where they are on this machine; and what is not met, or not there, is said by name.
#[test]
fn front_ends() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let (file, data) = (shared.join("golden/front_ends.json"), shared.join("data"));
    if !file.exists() || !data.join("av-digits").exists() || !data.join("rgbd").exists() {
        println!("skipped: no {} or {}", file.display(), data.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.json");
    let run = |file: &std::path::Path, data: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = command.arg("golden").arg(file).arg("--data").arg(data).output().expect("the command runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let text = run(&file, &data);
    assert!(text.ends_with("8 passed, 0 failed\n"), "{text}");
    let text = run(&file, folder.path());
    assert!(text.ends_with("0 passed, 8 failed\n") && text.contains("george.flac"), "{text}");
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let spoilt = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut golden = golden.clone();
        change(&mut golden);
        std::fs::write(&changed, golden.to_string()).unwrap();
        run(&changed, &data)
    };
    let moved = |number: &mut serde_json::Value, by: f64| *number = (number.as_f64().unwrap() + by).into();
    for (pointer, by) in [
        ("/audio/0/waveform/first/3", 1e-5),
        ("/audio/1/log_mel/first/15", 0.01),
        ("/audio/2/log_stft/sum", 100.0),
        ("/audio/3/log_mel/l2", 10.0),
        ("/images/0/pillow_bilinear/first/7", 3.0),
        ("/images/1/pillow_bilinear/sum", 1e4),
        ("/images/2/pillow_bilinear/l2", 500.0),
        ("/audio/4/start", 100.0),
        ("/images/0/size_in/0", 1.0),
    ] {
        let text = spoilt(&|golden| {
            let number = golden.pointer_mut(pointer).unwrap();
            // A place stays a whole number.
            if number.is_u64() { *number = (number.as_u64().unwrap() + by as u64).into() } else { moved(number, by) }
        });
        assert!(text.ends_with("7 passed, 1 failed\n"), "{pointer}: {text}");
    }
    let text = spoilt(&|golden| golden["version"] = 2.into());
    assert!(text.contains("version is 2"), "{text}");
    let text = spoilt(&|golden| (golden["audio"], golden["images"]) = (serde_json::json!([]), serde_json::json!([])));
    assert!(text.contains("no cases"), "{text}");
    let text = spoilt(&|golden| golden["images"][0]["mode"] = "CMYK".into());
    assert!(text.contains("unknown mode `CMYK`") && text.ends_with("7 passed, 1 failed\n"), "{text}");
}
