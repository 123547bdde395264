//! `mm serve`: the answers of `mm predict` over HTTP, and how it starts and ends.

use super::machines;
use super::program::{Guarded, mm, said, signal};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// The server's process and its address.
fn serve(model: &Path, more: &[&str]) -> (Guarded, String) {
    let mut child = mm().arg("serve").arg("--model").arg(model).args(["--addr", "127.0.0.1:0"]).args(more).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("{line:?}")).to_string();
    (Guarded(child), address)
}

fn ask(address: &str, content_type: &str, body: &[u8]) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{answer}");
    serde_json::from_str(body).unwrap()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_answers_are_those_of_predict_until_it_is_asked_to_end() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    machines::write(folder, 40);
    let train = ["train", "machines.toml", "--method", "udml", "--plan", "plan.toml", "--epochs", "2", "--out", "model"];
    let output = mm().current_dir(folder).args(train).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let rows = "id,photo,note,gauge.oil,gauge.heat\na,photos/000.png,it squeals,1.25,61.5\nb,photos/001.png,,,\nc,,calm,0.75,nan\n";
    std::fs::write(folder.join("asked.csv"), rows).unwrap();
    let predict = ["predict", "--model", "model", "--manifest", "asked.csv", "--out", "answers.jsonl"];
    let output = mm().current_dir(folder).args(predict).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let answers = std::fs::read_to_string(folder.join("answers.jsonl")).unwrap();
    let expected: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();

    let (mut server, address) = serve(&folder.join("model"), &[]);
    let part = |name: &str, file: &str, content: &[u8]| -> Vec<u8> {
        let head = format!("--xxx\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    let photo =
        |number: usize| part("photo", "; filename=\"p.png\"", &std::fs::read(folder.join(format!("photos/{number:03}.png"))).unwrap());
    let whole = [photo(0), part("note", "", b"it squeals"), part("gauge", "", b"1.25, 61.5"), b"--xxx--\r\n".to_vec()].concat();
    let form = "multipart/form-data; boundary=xxx";
    let found = [
        ask(&address, form, &whole),
        ask(&address, form, &[photo(1), b"--xxx--\r\n".to_vec()].concat()),
        ask(&address, "application/json", br#"{"note": "calm", "gauge": [0.75, null]}"#),
    ];
    for (found, expected) in found.iter().zip(&expected) {
        let fields: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["class", "ignored", "probabilities", "trust", "used"]);
        for field in ["class", "used"] {
            assert_eq!(found[field], expected[field]);
        }
        // Rows of a table are one batch, whose sums are rounded otherwise.
        let of = |answer: &Value| answer["probabilities"]["broken"].as_f64().unwrap();
        assert!((of(found) - of(expected)).abs() < 1e-5, "{found} and {expected}");
    }
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found["ignored"], expected["ignored"]);
    }
    assert_eq!(found[2]["ignored"]["gauge"], "not finite");

    signal("TERM", &server.0.id().to_string());
    assert!(server.0.wait().unwrap().success());
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn what_cannot_be_served_is_said() {
    let temporary = tempfile::tempdir().unwrap();
    let fails = |more: &[&str]| {
        let output = mm().arg("serve").arg("--model").arg(temporary.path()).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        said(&output)
    };
    assert!(fails(&[]).contains("is no folder of a saved model"));
    assert!(fails(&["--addr", "8080"]).contains("`--addr 8080`: write a host and a port, such as 127.0.0.1:8080"));
    assert!(fails(&["--queue", "0"]).contains("queue: must be 1 to"));
    assert!(fails(&["--max-bodies-mib", "1"]).contains("max-bodies-mib: must be 16 to"));
    let help = Command::new(env!("CARGO_BIN_EXE_mm")).args(["serve", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("[default: 127.0.0.1:8080]"));
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let temporary = tempfile::tempdir().unwrap();
    machines::write(temporary.path(), 30);
    let train = ["train", "machines.toml", "--method", "modality-dropout", "--plan", "plan.toml", "--epochs", "1", "--out", "model"];
    let output = mm().current_dir(temporary.path()).args(train).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let mut child = mm().current_dir(temporary.path()).args(["serve", "--model", "model", "--addr", "0.0.0.0:0"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("is reachable from other machines") && line.contains("put a proxy in front"), "{line}");
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    // An answer says that it listens to signals, too.
    let answer = get(&format!("127.0.0.1:{}", address.trim().rsplit(':').next().unwrap()), "/health");
    assert!(answer.contains("\"ok\""), "{answer}");
    signal("INT", &child.id().to_string());
    assert!(child.wait().unwrap().success());
}
