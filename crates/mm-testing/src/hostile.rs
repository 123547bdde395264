//! Requests that mean harm, for a server of a model.

use image::{GrayImage, ImageFormat};
use mm_core::rng::{self, Rng};
use rand::RngExt;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Connections that are held open at one time by each thread, without ever sending all.
const HELD: usize = 8;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What hostile requests are made of: a file of an image and of a sound that the model reads, and the names of its sensors.
pub struct Hostile {
    /// Sensors that take images, sounds and numbers.
    pub sensors: [&'static str; 3],
    image: Vec<u8>,
    sound: Vec<u8>,
    image_bomb: Vec<u8>,
    archive_bomb: Vec<u8>,
}

/// What the sender does once the bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    /// Reads the answer.
    Read,
    /// Says that nothing more comes, and reads the answer.
    End,
    /// Goes away.
    Leave,
    /// Neither sends nor reads.
    Hold,
}

impl Hostile {
    /// With valid files to damage.
    pub fn new(sensors: [&'static str; 3], image: Vec<u8>, sound: Vec<u8>) -> Self {
        // 64 MB of pixels in 62 KB, and 64 MB of zeros.
        let mut image_bomb = Cursor::new(Vec::new());
        GrayImage::new(8000, 8000).write_to(&mut image_bomb, ImageFormat::Png).unwrap();
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("a.npy", zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&vec![0; 1 << 26]).unwrap();
        let archive_bomb = archive.finish().unwrap().into_inner();
        Self { sensors, image, sound, image_bomb: image_bomb.into_inner(), archive_bomb }
    }

    /// Sends the requests of these numbers from some threads; how many of each kind had which status. 0 is a connection that was closed
    /// without an answer, or that the sender left.
    pub fn attack(&self, address: SocketAddr, requests: u64, threads: usize) -> BTreeMap<(&'static str, u16), u64> {
        let (next, counts) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut held = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= requests {
                            break;
                        }
                        let (kind, bytes, then) = self.request(number);
                        let status = send(address, &bytes, then, &mut held);
                        *counts.lock().unwrap().entry((kind, status)).or_default() += 1;
                    }
                });
            }
        });
        counts.into_inner().unwrap()
    }

    /// The request of a number: always the same.
    fn request(&self, number: u64) -> (&'static str, Vec<u8>, Then) {
        let mut random = rng::stream(4, "hostile", &[number]);
        let random = &mut random;
        let [image, sound, numbers] = self.sensors;
        let json = |body: &[u8]| post("application/json", body);
        match number % 12 {
            0 => ("random bytes", noise(random, 600), Then::Read),
            1 => {
                let mut whole = json(format!("{{\"{numbers}\": [1.5, 60]}}").as_bytes());
                let length = whole.len();
                damage(random, &mut whole);
                // What is cut would be waited for.
                ("damaged request", whole.clone(), if whole.len() < length { Then::End } else { Then::Read })
            }
            2 => ("JSON that is odd", json(&odd_json(random, numbers)), Then::Read),
            3 => {
                let header = match random.random_range(0..3) {
                    0 => format!("x: {}\r\n", "x".repeat(random.random_range(1 << 15..1 << 18))),
                    1 => (0..random.random_range(101..3000)).map(|i| format!("x-{i}: 1\r\n")).collect(),
                    _ => {
                        format!("content-length: {}\r\n", ["-1", "18446744073709551616", "1, 2", "99999999999"][random.random_range(0..4)])
                    }
                };
                ("huge or wrong headers", format!("POST /predict HTTP/1.1\r\nhost: x\r\n{header}\r\n").into_bytes(), Then::Read)
            }
            4 => {
                let mut form = form(&[(image, "a.png", self.image.clone()), (sound, "a.wav", self.sound.clone())]);
                damage(random, &mut form);
                ("damaged form", post("multipart/form-data; boundary=xxx", &form), Then::Read)
            }
            5 => {
                let whole = json(&vec![b' '; 1000]);
                let sent = random.random_range(0..whole.len());
                ("slow writer", whole[..sent].to_vec(), Then::Hold)
            }
            6 => ("image bomb", post("multipart/form-data; boundary=xxx", &form(&[(image, "a.png", self.image_bomb.clone())])), Then::Read),
            7 => (
                "archive bomb",
                post("multipart/form-data; boundary=xxx", &form(&[(numbers, "a.npz", self.archive_bomb.clone())])),
                Then::Read,
            ),
            8 => {
                let mut image_file = self.image.clone();
                damage(random, &mut image_file);
                ("damaged image", post("multipart/form-data; boundary=xxx", &form(&[(image, "a.png", image_file)])), Then::Read)
            }
            9 => {
                let mut sound_file = self.sound.clone();
                damage(random, &mut sound_file);
                // Damage of the head hurts more.
                (0..random.random_range(0..4)).for_each(|_| sound_file[random.random_range(0..44usize)] = random.random());
                ("damaged sound", post("multipart/form-data; boundary=xxx", &form(&[(sound, "a.wav", sound_file)])), Then::Read)
            }
            10 => {
                let whole = post("multipart/form-data; boundary=xxx", &form(&[(image, "a.png", self.image.clone())]));
                let sent = random.random_range(1..whole.len());
                ("client that leaves", whole[..sent].to_vec(), Then::Leave)
            }
            _ => {
                let size = random.random_range(0..3 << 20);
                ("large body", json(&vec![b"[{0\" "[random.random_range(0..5usize)]; size]), Then::Read)
            }
        }
    }
}

fn send(address: SocketAddr, bytes: &[u8], then: Then, held: &mut Vec<TcpStream>) -> u16 {
    // No connection is an outcome, too: the server may be full.
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return 0 };
    _ = (stream.set_read_timeout(Some(PATIENCE)), stream.set_write_timeout(Some(PATIENCE)));
    _ = stream.write_all(bytes);
    match then {
        Then::Leave => 0,
        Then::Hold => {
            held.push(stream);
            if held.len() > HELD {
                held.remove(0);
            }
            0
        }
        Then::Read | Then::End => {
            if then == Then::End {
                _ = stream.shutdown(std::net::Shutdown::Write);
            }
            let mut head = [0; 12];
            match stream.read_exact(&mut head) {
                Ok(()) => std::str::from_utf8(&head[9..]).ok().and_then(|status| status.parse().ok()).unwrap_or(0),
                Err(_) => 0,
            }
        }
    }
}

fn post(content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The body of a form with files (name of the part, name of the file, content), whose boundary is `xxx`.
pub fn form(parts: &[(&str, &str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, file, content) in parts {
        bytes.extend(format!("--xxx\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n").as_bytes());
        bytes.extend(content);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"--xxx--\r\n");
    bytes
}

fn noise(random: &mut Rng, most: usize) -> Vec<u8> {
    (0..random.random_range(1..most)).map(|_| random.random()).collect()
}

/// Changes some bytes, or cuts, or repeats a part.
fn damage(random: &mut Rng, bytes: &mut Vec<u8>) {
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..4) {
        0 => bytes.truncate(at),
        1 => {
            let again = bytes[at..].to_vec();
            bytes.extend(again);
        }
        _ => (0..random.random_range(1..20)).for_each(|_| {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }),
    }
}

fn odd_json(random: &mut Rng, numbers: &str) -> Vec<u8> {
    let value = match random.random_range(0..9) {
        0 => "[NaN, 1]".into(),
        1 => "[null, null]".into(),
        2 => "[1e308, -1e308]".into(),
        3 => "[1e9999, 1]".into(),
        4 => "[".repeat(random.random_range(1..100_000)),
        5 => "{\"a\":".repeat(random.random_range(1..10_000)),
        6 => format!("[{}1]", "1,".repeat(random.random_range(1..100_000))),
        7 => format!("\"{}\"", "\\u0000".repeat(random.random_range(1..1000))),
        _ => String::from_utf8_lossy(&noise(random, 50)).into_owned(),
    };
    format!("{{\"{numbers}\": {value}}}").into_bytes()
}
