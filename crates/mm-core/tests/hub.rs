//! Downloads, from a server of this test that answers as the Hugging Face Hub does.
#![cfg(feature = "hub")]

use candle_core::Device;
use mm_core::Error;
use mm_core::nn::{Parameters, linear};
use mm_core::weights::{NameMap, cached_model, fetch_model, from_pretrained, save};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";
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
    /// The requests so far, as `METHOD path range`, with ` token` behind those that brought one.
    requests: Arc<Mutex<Vec<String>>>,
}

/// Files by revision and name: `main/model.safetensors`.
type Files = BTreeMap<String, Vec<u8>>;

impl Hub {
    /// With one file; the first `breaks` transfers of whole files end in their middle.
    fn start(file: Vec<u8>, breaks: usize) -> Self {
        Self::with_files([(format!("main/{FILE}"), file)].into(), breaks)
    }

    fn with_files(files: Files, mut breaks: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (base, log) = (endpoint.clone(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &base, &files, &log, &mut breaks);
            }
        });
        Self { endpoint, requests }
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Reads one request, answers and closes.
fn answer(mut stream: TcpStream, base: &str, files: &Files, log: &Mutex<Vec<String>>, breaks: &mut usize) {
    let lines: Vec<String> = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let mut words = lines.first().map_or("", String::as_str).split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let range = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_string)).unwrap_or_default();
    let token = lines.iter().any(|line| line.eq_ignore_ascii_case("authorization: Bearer secret"));
    log.lock().unwrap().push(format!("{method} {path} {range}{}", if token { " token" } else { "" }));
    let mut send = |head: String, body: &[u8]| {
        // The client may have gone: it reads no body that it did not ask for.
        let _ = stream.write_all(format!("HTTP/1.1 {head}Connection: close\r\n\r\n").as_bytes()).and_then(|()| stream.write_all(body));
    };
    let resolved = path.strip_prefix(&format!("/{ID}/resolve/")).map(|name| name.replace("%2F", "/"));
    if let Some((name, file)) = resolved.and_then(|name| files.get_key_value(&name)) {
        let (size, etag) = (file.len(), name.replace('/', "-"));
        let head = format!(
            "302 Found\r\nLocation: {base}/storage/{name}\r\nX-Repo-Commit: {}\r\nX-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: {size}\r\nETag: \"elsewhere\"\r\nContent-Length: 0\r\n",
            if name.starts_with("main/") { COMMIT } else { OTHER_COMMIT }
        );
        send(head, &[]);
    } else if let Some(file) = path.strip_prefix("/storage/").and_then(|name| files.get(name)) {
        let (from, to) = range.split_once('-').unwrap_or(("0", ""));
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().map_or(file.len(), |last: usize| last + 1));
        let part = &file[from..to.min(file.len())];
        let breaks_off = part.len() > 1 && *breaks > 0;
        *breaks -= usize::from(breaks_off);
        let sent = if breaks_off { &part[..part.len() / 2] } else { part };
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
    let (hub, cache) = (Hub::start(weights_file(), 0), tempfile::tempdir().unwrap());
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
    let hub = Hub::start(file.clone(), 1);
    let path = fetch_model(&format!("{}/", hub.endpoint), cache.path(), ID, FILE).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), file);
    let resumed = format!("GET /storage/main/model.safetensors {}-", file.len() / 2);
    assert!(hub.requests.lock().unwrap().contains(&resumed), "{:?}", hub.requests.lock());
}

/// A Hub whose every transfer breaks off: an error, nothing that looks whole, and the next try goes on where this one ended.
#[test]
fn a_transfer_that_always_breaks_off_leaves_no_file() {
    let (file, cache) = (weights_file(), tempfile::tempdir().unwrap());
    let hub = Hub::start(file.clone(), usize::MAX);
    let error = fetch_model(&hub.endpoint, cache.path(), ID, FILE).unwrap_err().to_string();
    assert!(error.contains(ID) && error.contains(FILE), "{error}");
    assert!(cached_model(cache.path(), ID, FILE).is_err());
    let hub = Hub::start(file.clone(), 0);
    assert_eq!(std::fs::read(fetch_model(&hub.endpoint, cache.path(), ID, FILE).unwrap()).unwrap(), file);
    let requests = hub.requests.lock().unwrap();
    let goes_on = |request: &String| request.starts_with("GET /storage/") && !request.contains(" 0-");
    assert!(requests.iter().any(goes_on), "{requests:?}");
}

/// A branch, a tag or a commit, each with its own file.
#[test]
fn a_revision_has_its_own_file() {
    let (file, cache) = (weights_file(), tempfile::tempdir().unwrap());
    let hub = Hub::with_files([(format!("main/{FILE}"), b"other".to_vec()), (format!("refs/pr/1/{FILE}"), file.clone())].into(), 0);
    let id = format!("{ID}@refs/pr/1");
    let path = fetch_model(&hub.endpoint, cache.path(), &id, FILE).unwrap();
    assert_eq!(path, cache.path().join("models--maker--net.a1/snapshots").join(OTHER_COMMIT).join(FILE));
    assert_loads(&path);
    assert_eq!(std::fs::read(fetch_model(&hub.endpoint, cache.path(), ID, FILE).unwrap()).unwrap(), b"other");
    // From the cache: by the name of the revision, and by its commit.
    for id in [id, format!("{ID}@{OTHER_COMMIT}")] {
        assert_eq!(cached_model(cache.path(), &id, FILE).unwrap(), path);
    }
    let text = problem(&hub.endpoint, &format!("{ID}@v9"), FILE);
    assert!(text.contains("maker/net.a1@v9") && text.contains("no such revision"), "{text}");
    let text = cached_model(cache.path(), &format!("{ID}@v9"), FILE).unwrap_err().to_string();
    assert!(text.contains("hf download maker/net.a1 model.safetensors --revision v9"), "{text}");
    for out in ["", "../../..", "/etc"] {
        let text = cached_model(cache.path(), &format!("{ID}@{out}"), FILE).unwrap_err().to_string();
        assert!(text.contains("no name of a revision"), "{text}");
    }
}

#[test]
fn what_cannot_be_fetched_is_an_error_that_helps() {
    let hub = Hub::start(weights_file(), 0);
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
    let (hub, cache) = (Hub::start(weights_file(), 0), tempfile::tempdir().unwrap());
    let load = |offline: &str| load_by_name(&hub, cache.path(), offline);
    assert!(!load("1").status.success());
    assert!(!load("true").status.success());
    assert_eq!(hub.requests(), 0, "offline");
    let output = load("0");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(hub.requests() > 0);
    assert!(load("1").status.success(), "from the cache");
    let requests = hub.requests.lock().unwrap();
    assert!(requests.iter().any(|request| request.contains("/resolve/") && request.ends_with(" token")), "{requests:?}");
}

/// Runs `loads_by_name` with such a Hub.
fn load_by_name(hub: &Hub, cache: &Path, offline: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loads_by_name", "--ignored"])
        .envs([("HF_ENDPOINT", hub.endpoint.as_str()), ("HF_HUB_OFFLINE", offline), ("HF_TOKEN", "secret")])
        .env("HF_HUB_CACHE", cache)
        .output()
        .unwrap()
}

/// A model in several files: the index names them, and each is fetched.
#[test]
fn a_model_in_several_files_is_fetched_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (mut files, mut index) = (Files::new(), BTreeMap::new());
    for (number, (name, tensor)) in model(1).snapshot().unwrap().into_iter().enumerate() {
        let (file, path) = (format!("model-0000{number}-of-00002.safetensors"), folder.path().join("part"));
        save(&path, &[(name.clone(), tensor)].into(), None).unwrap();
        files.insert(format!("main/{file}"), std::fs::read(path).unwrap());
        index.insert(name, file);
    }
    let text = serde_json::json!({ "metadata": {}, "weight_map": index }).to_string();
    files.insert("main/model.safetensors.index.json".into(), text.into_bytes());
    let (hub, cache) = (Hub::with_files(files.clone(), 1), tempfile::tempdir().unwrap());
    for offline in ["", "1"] {
        let output = load_by_name(&hub, cache.path(), offline);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    // A part that the Hub lacks is named, and so is one that an index looks for elsewhere.
    let cache = tempfile::tempdir().unwrap();
    let mut without = files.clone();
    without.remove("main/model-00001-of-00002.safetensors").unwrap();
    let said = |files: Files| String::from_utf8_lossy(&load_by_name(&Hub::with_files(files, 0), cache.path(), "").stdout).into_owned();
    let text = said(without);
    assert!(text.contains("model-00001-of-00002.safetensors"), "{text}");
    let cache = tempfile::tempdir().unwrap();
    let said = |files: Files| String::from_utf8_lossy(&load_by_name(&Hub::with_files(files, 0), cache.path(), "").stdout).into_owned();
    files.insert("main/model.safetensors.index.json".into(), br#"{"weight_map": {"head.bias": "../../../secret"}}"#.to_vec());
    let text = said(files);
    assert!(text.contains("does not lie beside it"), "{text}");
}

#[test]
#[ignore = "run by `the_environment_names_the_hub_and_the_cache`, with a Hub to ask"]
fn loads_by_name() {
    assert_loads(Path::new(ID));
}
