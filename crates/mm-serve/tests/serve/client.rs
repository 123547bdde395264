//! A client that sends exactly what it is told.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub struct Client(pub SocketAddr);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Of the bytes of a response on a connection that closes behind it; status 0 where there is none.
    pub fn of(bytes: Vec<u8>) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_lowercase(), body: bytes[end..].to_vec() }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.head, self.text()))
    }

    /// The object, where the status is 200.
    pub fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// What is wrong, where the status is as expected.
    pub fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{} {}", self.head, self.text());
        self.json()["error"].as_str().unwrap_or_else(|| panic!("{}", self.text())).to_string()
    }
}

impl Client {
    pub fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes and reads until the other side closes.
    pub fn raw(self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that refuses may close before all is sent.
        _ = stream.write_all(bytes);
        rest(stream)
    }

    pub fn get(self, path: &str) -> Answer {
        self.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
    }

    pub fn post(self, content_type: &str, body: &[u8]) -> Answer {
        self.raw(&request(content_type, "", body))
    }

    pub fn json(self, body: &str) -> Answer {
        self.post("application/json", body.as_bytes())
    }

    /// A form; a part is a name, the name of a file (none for a text), and the content.
    pub fn form(self, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        self.post("multipart/form-data; boundary=xxx", &form(parts))
    }

    /// The value of a metric, by its whole name with labels.
    pub fn metric(self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").text();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until a metric has a value.
    pub fn wait_for(self, name: &str, value: f64) {
        let began = Instant::now();
        while self.metric(name) != Some(value) {
            assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {name} {value}: {:?}", self.metric(name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What still comes on a connection.
pub fn rest(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    _ = stream.read_to_end(&mut bytes);
    Answer::of(bytes)
}

/// A request for a prediction.
pub fn request(content_type: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{more}\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        bytes.extend(format!("--xxx\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes());
        bytes.extend(*content);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"--xxx--\r\n");
    bytes
}
