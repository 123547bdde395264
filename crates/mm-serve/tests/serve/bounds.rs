//! What is too much, too slow, or too late.

use crate::client::{Client, form, request, rest};
use crate::models::serve;
use mm_serve::{ServeError, Server, Settings};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
const GAUGE: &str = r#"{"gauge": [1, 60]}"#;

/// Settings whose batches of two wait for the second for longer than any test.
fn waiting() -> Settings {
    Settings { max_batch: 2, max_wait: Duration::from_secs(10), ..Settings::default() }
}

#[test]
fn a_full_queue_is_429_and_a_busy_model_503() {
    let server = serve("class", Settings { queue: 1, timeout: Duration::from_secs(2), ..waiting() });
    let client = server.client;
    std::thread::scope(|scope| {
        let first = scope.spawn(move || client.json(GAUGE));
        client.wait_for("mm_queue", 1.0);
        let second = client.json(GAUGE);
        assert!(second.error(429).contains("1 requests wait already: try again") && second.head.contains("retry-after: 1"));
        assert!(first.join().unwrap().error(503).contains("the model was busy within 2 seconds"));
    });
    server.ended().unwrap();
}

#[test]
fn a_body_that_is_too_large_is_413_however_it_comes() {
    let server = serve("class", Settings { max_body: MIB, ..Settings::default() });
    let large = vec![b' '; MIB + 1];
    assert!(server.client.post("application/json", &large).error(413).contains("more than 1 MiB"));
    // Without a length, in chunks.
    let mut chunked =
        b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in large.chunks(1 << 16) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert!(server.client.raw(&chunked).error(413).contains("more than 1 MiB"));
    // What fits is read.
    let fits = format!("{GAUGE}{}", " ".repeat(MIB - GAUGE.len()));
    assert_eq!(server.client.json(&fits).status, 200);
    server.ended().unwrap();
}

#[test]
fn all_bodies_together_are_bounded() {
    let server = serve("class", Settings { max_body: MIB, max_bodies: MIB, ..Settings::default() });
    let body = format!("{GAUGE}{}", " ".repeat(700_000));
    let bytes = request("application/json", "", body.as_bytes());
    let mut slow = server.client.connect();
    slow.write_all(&bytes[..690_000]).unwrap();
    // All of it but the head has been read.
    let began = Instant::now();
    while server.client.metric("mm_body_bytes").is_none_or(|held| held < 689_000.0) {
        assert!(began.elapsed() < Duration::from_secs(60), "it is not read");
    }
    assert!(server.client.raw(&bytes).error(503).contains("the bodies of all requests hold 1 MiB already"));
    slow.write_all(&bytes[690_000..]).unwrap();
    assert_eq!(rest(slow).status, 200);
    server.client.wait_for("mm_body_bytes", 0.0);
    assert_eq!(server.client.raw(&bytes).status, 200);
    server.ended().unwrap();
}

#[test]
fn slow_writers_are_cut_off() {
    let server = serve("class", Settings { timeout: Duration::from_secs(1), ..Settings::default() });
    let bytes = request("application/json", "", GAUGE.as_bytes());
    let mut slow = server.client.connect();
    slow.write_all(&bytes[..bytes.len() - 1]).unwrap();
    assert!(rest(slow).error(408).contains("the body did not come within 1 seconds"));
    // A head that does not end, and a connection on which nothing comes.
    for start in [&bytes[..20], b""] {
        let mut slow = server.client.connect();
        slow.write_all(start).unwrap();
        let answer = rest(slow);
        assert!([0, 408].contains(&answer.status), "{}", answer.head);
    }
    // A connection that is kept open after an answer.
    let mut idle = server.client.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(rest(idle).status, 200);
    assert_eq!(server.client.json(GAUGE).status, 200);
    server.client.wait_for("mm_connections", 1.0);
    server.ended().unwrap();
}

#[test]
fn more_connections_wait_until_one_ends() {
    let server = serve("class", Settings { connections: 2, timeout: Duration::from_secs(2), ..Settings::default() });
    let idle = [server.client.connect(), server.client.connect()];
    // Answered when the idle ones are cut off.
    assert_eq!(server.client.json(GAUGE).status, 200);
    drop(idle);
    server.ended().unwrap();
}

#[test]
fn heads_are_bounded() {
    let server = serve("class", Settings::default());
    let long = format!("x-long: {}\r\n", "x".repeat(100_000));
    assert_eq!(server.client.raw(&request("application/json", &long, GAUGE.as_bytes())).status, 431);
    let many: String = (0..200).map(|i| format!("x-{i}: 1\r\n")).collect();
    assert_eq!(server.client.raw(&request("application/json", &many, GAUGE.as_bytes())).status, 431);
    assert_eq!(server.client.raw(b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n").status, 400);
    server.ended().unwrap();
}

#[test]
fn files_that_become_too_large_are_refused_before_they_do() {
    let server = serve("class", Settings { max_decoded: MIB, ..Settings::default() });
    let picture = |side: u32| {
        let mut png = std::io::Cursor::new(Vec::new());
        image::GrayImage::new(side, side).write_to(&mut png, image::ImageFormat::Png).unwrap();
        png.into_inner()
    };
    let ask = |sensor: &str, file: &str, bytes: &[u8]| server.client.form(&[(sensor, Some(file), bytes), ("gauge", None, b"1, 60")]);
    let large = ask("photo", "a.png", &picture(2000));
    assert!(
        large.error(422).contains("sensor `photo`: a.png: claims 2000 x 2000 pixels") && large.text().contains("and 1 MB"),
        "{}",
        large.text()
    );
    assert_eq!(ask("photo", "a.png", &picture(1000)).status, 200);
    let folder = tempfile::tempdir().unwrap();
    let sound = |samples: usize| {
        let path = folder.path().join("a.wav");
        mm_testing::wave(&path, 4000, &(0..samples).map(|t| (t as f32 * 0.3).sin()).collect::<Vec<_>>());
        std::fs::read(path).unwrap()
    };
    let long = ask("sound", "a.wav", &sound(300_000)).error(422);
    assert!(long.contains("sensor `sound`") && long.contains("a.wav"), "{long}");
    assert_eq!(ask("sound", "a.wav", &sound(200_000)).status, 200);
    server.ended().unwrap();
}

/// What has begun is finished, and nothing new is accepted.
#[test]
fn the_end_is_graceful() {
    let mut server = serve("class", Settings { max_wait: Duration::from_millis(1500), ..waiting() });
    let Client(address) = server.client;
    let client = server.client;
    let idle = client.connect();
    let first = std::thread::spawn(move || client.json(GAUGE));
    client.wait_for("mm_queue", 1.0);
    server.end();
    let began = Instant::now();
    while TcpStream::connect(address)
        .is_ok_and(|mut stream| stream.write_all(b"GET /").is_ok() && stream.read(&mut [0]).is_ok_and(|n| n > 0))
    {
        assert!(began.elapsed() < Duration::from_secs(30), "it still accepts");
    }
    let answer = first.join().unwrap();
    assert_eq!(answer.good()["used"], json!(["gauge"]));
    // A connection without a request keeps nobody.
    assert_eq!(rest(idle).status, 0);
    server.ended().unwrap();
}

#[test]
fn what_cannot_work_does_not_start() {
    let server = serve("class", Settings::default());
    let taken = Settings { address: server.client.0, ..Settings::default() };
    let error = Server::bind(crate::models::model("class"), taken).err().unwrap();
    assert!(matches!(&error, ServeError::Listen { address, .. } if *address == server.client.0), "{error}");
    let none = Settings { queue: 0, ..Settings::default() };
    assert!(matches!(Server::bind(crate::models::model("class"), none), Err(ServeError::Setting { setting: "queue", .. })));
    assert!(form(&[]).ends_with(b"--xxx--\r\n"));
    server.ended().unwrap();
}
