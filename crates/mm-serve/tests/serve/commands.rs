//! The commands that the documentation shows.

use crate::models::{folder, machine, serve};
use mm_serve::Settings;
use std::process::{Command, Stdio};

#[test]
fn the_commands_of_the_page_are_answered() {
    let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !curl.is_ok_and(|status| status.success()) {
        println!("skipped: there is no curl");
        return;
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/serving.md")).unwrap();
    let commands: Vec<&str> = page.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(commands.len(), 2);
    let server = serve("class", Settings::default());
    let (photo, sound, ..) = machine(folder(), 3);
    let temporary = tempfile::tempdir().unwrap();
    std::fs::copy(photo, temporary.path().join("a.png")).unwrap();
    std::fs::copy(sound, temporary.path().join("b.wav")).unwrap();
    for (command, used) in commands.iter().zip([vec!["note", "gauge"], vec!["photo", "sound", "gauge"]]) {
        assert!(command.contains("127.0.0.1:8080"));
        let command = command.replace("127.0.0.1:8080", &server.client.0.to_string());
        // A proxy of the environment has no way to this machine.
        let output = Command::new("sh").args(["-c", &command]).current_dir(&temporary).env("no_proxy", "127.0.0.1").output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{command}: {e}: {output:?}"));
        assert!(["broken", "running"].iter().any(|class| answer["class"] == *class), "{command}: {answer}");
        assert_eq!(answer["used"], serde_json::json!(used), "{command}: {answer}");
    }
    server.ended().unwrap();
}
