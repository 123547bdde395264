//! Downloads, from a server of this test that answers as the Hugging Face Hub does.
#![cfg(feature = "hub")]

use candle_core::Device;
use mm_core::Error;
use mm_core::nn::{Parameters, linear};
use mm_core::weights::{NameMap, fetch_model, from_pretrained, save};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const ID: &str = "maker/net.a1";
const FILE: &str = "model.safetensors";

fn model(seed: u64) -> Parameters {
    let parameters = Parameters::new(seed, &Device::Cpu);
    linear(30, 20, parameters.builder().pp("head")).unwrap();
    parameters
}

/// A Hub with one model: large files are elsewhere, and a redirect says where.
struct Hub {
    endpoint: String,
    /// The requests so far, as `METHOD path range`.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    /// With `break_off`, the first transfer of the whole file ends in its middle.
    fn start(file: Vec<u8>, break_off: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (base, log) = (endpoint.clone(), Arc::clone(&requests));
        std::thread::spawn(move || {
            let mut breaks = break_off;
            for stream in listener.incoming().flatten() {
                answer(stream, &base, &file, &log, &mut breaks);
            }
        });
        Self { endpoint, requests }
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Reads one request, answers and closes.
fn answer(mut stream: TcpStream, base: &str, file: &[u8], log: &Mutex<Vec<String>>, breaks: &mut bool) {
    let lines: Vec<String> = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let mut words = lines.first().map_or("", String::as_str).split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let range = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_string)).unwrap_or_default();
    log.lock().unwrap().push(format!("{method} {path} {range}"));
    let resolve = format!("/{ID}/resolve/main/{FILE}");
    let mut send = |head: String, body: &[u8]| {
        // The client may have gone: it reads no body that it did not ask for.
        let _ = stream.write_all(format!("HTTP/1.1 {head}Connection: close\r\n\r\n").as_bytes()).and_then(|()| stream.write_all(body));
    };
    if path == resolve {
        let size = file.len();
        let head = format!(
            "302 Found\r\nLocation: {base}/storage/blob\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"feed\"\r\nX-Linked-Size: {size}\r\nETag: \"elsewhere\"\r\nContent-Length: 0\r\n"
        );
        send(head, &[]);
    } else if path == "/storage/blob" {
        let (from, to) = range.split_once('-').unwrap_or(("0", ""));
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().map_or(file.len(), |last: usize| last + 1));
        let part = &file[from..to];
        let sent = if part.len() == file.len() && std::mem::take(breaks) { &part[..part.len() / 2] } else { part };
        let head = format!(
            "206 Partial Content\r\nETag: \"storage\"\r\nAccept-Ranges: bytes\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n",
            to - 1,
            file.len(),
            part.len()
        );
        send(head, if method == "HEAD" { &[] } else { sent });
    } else if path.starts_with("/maker/gated/") {
        send("401 Unauthorized\r\nX-Error-Code: GatedRepo\r\nContent-Length: 0\r\n".into(), &[]);
    } else {
        send("404 Not Found\r\nX-Error-Code: EntryNotFound\r\nContent-Length: 0\r\n".into(), &[]);
    }
}

/// A weights file of `model(1)`.
fn weights_file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    save(&path, &model(1).snapshot().unwrap(), None).unwrap();
    std::fs::read(path).unwrap()
}

fn assert_loads(path: &Path) {
    let target = model(2);
    from_pretrained(&target, path, &NameMap::new()).unwrap().complete(path).unwrap();
    let values = |p: &Parameters| -> Vec<f32> {
        p.variables().iter().flat_map(|(_, v)| v.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    };
    assert_eq!(values(&target), values(&model(1)));
}

fn problem(endpoint: &str, id: &str, file: &str) -> String {
    let cache = tempfile::tempdir().unwrap();
    let error = fetch_model(endpoint, cache.path(), id, file).unwrap_err();
    assert!(matches!(error, Error::Weights { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_model_is_downloaded_once() {
    let (hub, cache) = (Hub::start(weights_file(), false), tempfile::tempdir().unwrap());
    let path = fetch_model(&hub.endpoint, cache.path(), ID, FILE).unwrap();
    // Where the Hub's own tools look for it.
    assert_eq!(path, cache.path().join("models--maker--net.a1/snapshots").join(COMMIT).join(FILE));
    assert_loads(&path);
    let requests = hub.requests();
    assert!(requests > 0);
    assert_eq!(fetch_model(&hub.endpoint, cache.path(), ID, FILE).unwrap(), path);
    assert_eq!(hub.requests(), requests, "{:?}", hub.requests.lock());
}

#[test]
fn a_transfer_that_breaks_off_is_resumed() {
    let (file, cache) = (weights_file(), tempfile::tempdir().unwrap());
    let hub = Hub::start(file.clone(), true);
    let path = fetch_model(&format!("{}/", hub.endpoint), cache.path(), ID, FILE).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), file);
    let resumed = format!("GET /storage/blob {}-", file.len() / 2);
    assert!(hub.requests.lock().unwrap().contains(&resumed), "{:?}", hub.requests.lock());
}

#[test]
fn what_cannot_be_fetched_is_an_error_that_helps() {
    let hub = Hub::start(weights_file(), false);
    let text = problem(&hub.endpoint, ID, "absent.safetensors");
    assert!(text.contains("`absent.safetensors`") && text.contains("no such model or file"), "{text}");
    let text = problem(&hub.endpoint, "maker/gated", FILE);
    assert!(text.contains("maker/gated") && text.contains("HF_TOKEN"), "{text}");
    // A port that was free a moment ago.
    let dead = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let text = problem(&dead, ID, FILE);
    assert!(text.contains(&dead) && text.contains("HF_ENDPOINT"), "{text}");
    assert!(problem("no address", ID, FILE).contains("no address"));
}

/// The environment is a process's own, so this runs the test below in one.
#[test]
fn the_environment_names_the_hub_and_the_cache() {
    let (hub, cache) = (Hub::start(weights_file(), false), tempfile::tempdir().unwrap());
    let load = |offline: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "loads_by_name", "--ignored"])
            .envs([("HF_ENDPOINT", hub.endpoint.as_str()), ("HF_HUB_OFFLINE", offline)])
            .env("HF_HUB_CACHE", cache.path())
            .output()
            .unwrap()
    };
    assert!(!load("1").status.success());
    assert_eq!(hub.requests(), 0, "offline");
    let output = load("0");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(hub.requests() > 0);
    assert!(load("1").status.success(), "from the cache");
}

#[test]
#[ignore = "run by `the_environment_names_the_hub_and_the_cache`, with a Hub to ask"]
fn loads_by_name() {
    assert_loads(Path::new(ID));
}
