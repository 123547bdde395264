//! `mm serve`: a saved model behind HTTP.

use crate::predict::Corrupt;
use anyhow::{Context, Result};
use mm_bench::{DeviceArgument, Registry, child};
use mm_serve::{Server, Settings, end_signal};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Arguments of `serve`.
#[derive(clap::Args)]
pub struct ServeArguments {
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Where to listen. Port 0 takes a free one. An address other than this machine's own is reachable without a password.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    addr: String,
    /// Waiting requests that are answered together, at most.
    #[arg(long, default_value_t = 32)]
    max_batch: usize,
    /// Milliseconds that a batch waits for more requests once there is one.
    #[arg(long, default_value_t = 0)]
    max_wait_ms: u64,
    /// Requests that may be decoded, wait or be computed at one time; one more is refused with 429.
    #[arg(long, default_value_t = 256)]
    queue: usize,
    /// Largest body of a request, in MiB.
    #[arg(long, default_value_t = 16)]
    max_body_mib: usize,
    /// Bodies of all requests that are held at one time, in MiB.
    #[arg(long, default_value_t = 256)]
    max_bodies_mib: usize,
    /// What one file may become when it is unpacked (pixels, samples), in MiB.
    #[arg(long, default_value_t = 64)]
    max_decoded_mib: usize,
    /// Connections at one time; more wait.
    #[arg(long, default_value_t = 512)]
    connections: usize,
    /// Seconds that a request may take.
    #[arg(long, default_value_t = 30)]
    timeout_seconds: u64,
    /// Threads that read requests, and as many that decode files; by default as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    /// What to do with a file that cannot be decoded.
    #[arg(long, value_enum, default_value_t = Corrupt::Error)]
    on_corrupt: Corrupt,
    #[command(flatten)]
    device: DeviceArgument,
}

/// Serves until it is asked to end.
pub fn run(arguments: &ServeArguments) -> Result<ExitCode> {
    child::serving(|| serve(arguments))
}

fn serve(arguments: &ServeArguments) -> Result<()> {
    let settings = arguments.settings()?;
    settings.check()?;
    let model = Registry::default().on(&arguments.device.open()?).from_pretrained(&arguments.model)?;
    if !settings.address.ip().is_loopback() {
        eprintln!(
            "warning: {} is reachable from other machines, and nobody is asked for a password: put a proxy in front",
            settings.address
        );
    }
    let server = Server::bind(model, settings)?;
    println!("http://{}", server.address());
    server.run(end_signal())?;
    Ok(())
}

impl ServeArguments {
    fn settings(&self) -> Result<Settings> {
        let default = Settings::default();
        Ok(Settings {
            address: address(&self.addr)?,
            max_batch: self.max_batch,
            max_wait: Duration::from_millis(self.max_wait_ms),
            queue: self.queue,
            max_body: self.max_body_mib.saturating_mul(MIB),
            max_bodies: self.max_bodies_mib.saturating_mul(MIB),
            max_decoded: self.max_decoded_mib.saturating_mul(MIB),
            connections: self.connections,
            timeout: Duration::from_secs(self.timeout_seconds),
            threads: self.threads.unwrap_or(default.threads),
            on_corrupt: self.on_corrupt.into(),
        })
    }
}

fn address(written: &str) -> Result<SocketAddr> {
    let context = || format!("`--addr {written}`: write a host and a port, such as 127.0.0.1:8080");
    let mut found = written.to_socket_addrs().with_context(context)?;
    found.next().with_context(context)
}
