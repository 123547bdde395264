//! Clients that ask again and again on a connection of their own.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Requests as they are sent, which clients take in turn.
pub type Requests = Vec<Vec<u8>>;

/// What clients saw.
#[derive(Debug, Clone)]
pub struct Load {
    /// Answers a second.
    pub rate: f64,
    /// Seconds from a request to its answer: the median, and what 99 of 100 do not exceed.
    pub p50: f64,
    pub p99: f64,
}

/// A request of a form, on a connection that stays open.
pub fn post(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads the answer: status and body.
    pub fn ask(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.0.get_mut().write_all(request).context("sending a request")?;
        let (mut line, mut status, mut length) = (String::new(), None, 0);
        loop {
            line.clear();
            if self.0.read_line(&mut line).context("reading an answer")? == 0 {
                bail!("the server closed the connection");
            }
            let (name, value) = line.trim_end().split_once(':').unwrap_or((line.trim_end(), ""));
            match status {
                None => status = Some(name.split(' ').nth(1).and_then(|s| s.parse().ok()).context("an answer begins with its status")?),
                Some(status) if name.is_empty() => {
                    let mut body = vec![0; length];
                    self.0.read_exact(&mut body).context("reading an answer")?;
                    return Ok((status, body));
                }
                Some(_) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().context("reading a length")?,
                Some(_) => {}
            }
        }
    }
}

/// Whether a server answers at all.
pub fn is_well(address: SocketAddr) -> bool {
    let asked = Connection::open(address).and_then(|mut connection| connection.ask(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    asked.is_ok_and(|(status, _)| status == 200)
}

/// The probabilities that each request gets, in the order of the names of the classes.
pub fn answers(address: SocketAddr, requests: &Requests) -> Result<Vec<Vec<f64>>> {
    let mut connection = Connection::open(address)?;
    let answer = |request: &Vec<u8>| {
        let (status, body) = connection.ask(request)?;
        let value: serde_json::Value = serde_json::from_slice(&body).context("reading an answer")?;
        let Some(probabilities) = value["probabilities"].as_object().filter(|_| status == 200) else { bail!("{status}: {value}") };
        Ok(probabilities.values().filter_map(serde_json::Value::as_f64).collect())
    };
    requests.iter().map(answer).collect()
}

/// So many clients for so many seconds.
pub fn load(address: SocketAddr, requests: &Requests, clients: usize, seconds: f64) -> Result<Load> {
    let (warm_up, time) = (Duration::from_secs_f64(seconds / 5.0), Duration::from_secs_f64(seconds));
    let began = Instant::now();
    let client = |first: usize| -> Result<Vec<f64>> {
        let (mut connection, mut seconds) = (Connection::open(address)?, Vec::new());
        for request in requests.iter().cycle().skip(first % requests.len()) {
            let sent = Instant::now();
            if sent - began > warm_up + time {
                break;
            }
            let (status, body) = connection.ask(request)?;
            if status != 200 {
                bail!("{status}: {}", String::from_utf8_lossy(&body));
            }
            if sent - began > warm_up {
                seconds.push(sent.elapsed().as_secs_f64());
            }
        }
        Ok(seconds)
    };
    let client = &client;
    let mut all = std::thread::scope(|scope| -> Result<Vec<f64>> {
        let running: Vec<_> = (0..clients).map(|first| scope.spawn(move || client(first))).collect();
        let ended = running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a client panicked")));
        Ok(ended.collect::<Result<Vec<_>>>()?.concat())
    })?;
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1))).copied();
    let (Some(p50), Some(p99)) = (at(0.5), at(0.99)) else { bail!("no request was answered in {seconds} seconds") };
    Ok(Load { rate: all.len() as f64 / seconds, p50, p99 })
}
