//! What a server may be told, and its bounds.

use crate::ServeError;
use mm_core::data::OnCorrupt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Bytes of a mebibyte.
pub(crate) const MIB: usize = 1 << 20;

/// How a model is served. All has a default.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one. Anything but a loopback address is reachable from outside, without a password.
    pub address: SocketAddr,
    /// Waiting requests that are answered together, at most.
    pub max_batch: usize,
    /// How long a batch that is not full waits for more requests.
    pub max_wait: Duration,
    /// Requests that are decoded, wait or are computed at one time; one more is refused with 429.
    pub queue: usize,
    /// Bytes of the body of one request.
    pub max_body: usize,
    /// Bytes of the bodies of all requests that are held at one time; more are refused with 503.
    pub max_bodies: usize,
    /// Bytes that one file may become when it is unpacked: pixels, samples, entries of archives.
    pub max_decoded: usize,
    /// Connections at one time; more wait until one ends.
    pub connections: usize,
    /// How long a request may take, from the end of its head to the answer; and how long the server waits for its last requests when it ends.
    pub timeout: Duration,
    /// Threads that read requests, and as many that decode files.
    pub threads: usize,
    /// What to do with a file that cannot be decoded: refuse the request, or ignore the sensor.
    pub on_corrupt: OnCorrupt,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 8080).into(),
            max_batch: 32,
            max_wait: Duration::ZERO,
            queue: 256,
            max_body: 16 * MIB,
            max_bodies: 256 * MIB,
            max_decoded: 64 * MIB,
            connections: 512,
            timeout: Duration::from_secs(30),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            on_corrupt: OnCorrupt::Error,
        }
    }
}

impl Settings {
    /// Refuses what cannot work.
    pub fn check(&self) -> Result<(), ServeError> {
        let range = |setting: &'static str, found: usize, least: usize, most: usize| match (least..=most).contains(&found) {
            true => Ok(()),
            false => Err(ServeError::Setting { setting, found, least, most }),
        };
        range("max-batch", self.max_batch, 1, 4096)?;
        range("max-wait-ms", self.max_wait.as_millis() as usize, 0, 10_000)?;
        range("queue", self.queue, 1, 1 << 20)?;
        range("max-body-mib", self.max_body / MIB, 1, 2048)?;
        range("max-bodies-mib", self.max_bodies / MIB, self.max_body.div_ceil(MIB), 1 << 20)?;
        range("max-decoded-mib", self.max_decoded / MIB, 1, 2048)?;
        range("connections", self.connections, 1, 1 << 16)?;
        range("timeout-seconds", self.timeout.as_secs() as usize, 1, 3600)?;
        range("threads", self.threads, 1, 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(Settings::default().check().is_ok());
        assert!(Settings::default().address.ip().is_loopback());
        let said = |settings: Settings| settings.check().unwrap_err().to_string();
        assert_eq!(said(Settings { max_batch: 0, ..Settings::default() }), "max-batch: must be 1 to 4096, found 0");
        let bodies = Settings { max_body: 512 * MIB, ..Settings::default() };
        assert!(said(bodies).starts_with("max-bodies-mib: must be 512 to"), "all bodies together are no less than one");
        assert!(said(Settings { timeout: Duration::ZERO, ..Settings::default() }).starts_with("timeout-seconds: must be 1"));
    }
}
