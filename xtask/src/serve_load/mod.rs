//! `cargo xtask serve-load`: our server beside one of FastAPI and PyTorch with the same weights, under load; and ours under attack.

mod attack;
mod client;
mod models;

use crate::perf::{PyTorch, median};
use anyhow::{Context, Result, bail};
use client::{Load, Requests};
use mm_bench::child;
use mm_core::weights::write_atomically;
use mm_serve::{Server, Settings, end_signal};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// Arguments of `serve-load`.
#[derive(clap::Args)]
pub struct ServeLoadArguments {
    /// Compare with a Python server, from a virtual environment made below `target/` (downloads it the first time).
    #[arg(long)]
    with_pytorch: bool,
    /// A Python that has PyTorch, FastAPI and what else `benchmarks/torch/serve.py` imports, instead of that environment.
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Clients at one time, each of which asks again when it is answered.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    clients: Vec<usize>,
    /// Seconds of each measurement, after a fifth as many that do not count.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Threads of either server.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Measurements of each, ours and theirs in turn; the median counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Send so many hostile requests to our server instead, while another client means well, and look at its memory.
    #[arg(long, value_name = "REQUESTS")]
    hostile: Option<u64>,
    /// Also write the table to this Markdown file.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Arguments of the hidden `serve-work` command.
#[derive(clap::Args)]
pub struct ServeWorkArguments {
    folder: PathBuf,
    threads: usize,
    /// Of one body, of all bodies, and of one decoded file.
    #[arg(long, num_args = 3, default_values_t = [16, 256, 64])]
    mib: Vec<usize>,
    #[arg(long, default_value_t = 30)]
    timeout_seconds: u64,
}

/// Serves a model of ours as `mm serve` does, and prints its address.
pub fn run_work(arguments: &ServeWorkArguments) -> Result<()> {
    let &[body, bodies, decoded] = &arguments.mib[..] else { bail!("`--mib` takes three numbers") };
    let settings = Settings {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        threads: arguments.threads,
        max_body: body * MIB,
        max_bodies: bodies * MIB,
        max_decoded: decoded * MIB,
        timeout: Duration::from_secs(arguments.timeout_seconds),
        ..Settings::default()
    };
    let server = Server::bind(mm_bench::from_pretrained(&arguments.folder)?, settings)?;
    println!("{}", server.address());
    Ok(server.run(end_signal())?)
}

/// Measures, and prints a table.
pub fn run(arguments: &ServeLoadArguments) -> Result<ExitCode> {
    let text = match arguments.hostile {
        Some(requests) => attack::run(requests, arguments.threads)?,
        None => load(arguments)?,
    };
    print!("{text}");
    if let Some(out) = &arguments.out {
        write_atomically(out, text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A server in a process of its own, which ends with this value.
struct Serving {
    process: Child,
    address: SocketAddr,
}

impl Serving {
    /// Ours, on a port that it says.
    fn ours(folder: &Path, threads: usize, more: &[&str]) -> Result<Self> {
        let mut command = child::short_command(threads)?;
        command.env_remove("MIMALLOC_PURGE_DELAY").arg("serve-work").arg(folder).arg(threads.to_string()).args(more);
        let mut process = command.stdout(Stdio::piped()).spawn().context("starting our server")?;
        let mut line = String::new();
        let output = process.stdout.take().context("our server has an output")?;
        BufReader::new(output).read_line(&mut line).context("reading the address of our server")?;
        let address = line.trim().parse().with_context(|| format!("our server said {line:?} and no address"))?;
        Ok(Self { process, address })
    }

    /// Theirs, on a port that is free now.
    fn theirs(pytorch: &PyTorch, kind: &str, folder: &Path, threads: usize) -> Result<Self> {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).context("looking for a port")?.port();
        let arguments = [kind.to_string(), threads.to_string(), port.to_string(), folder.display().to_string()];
        let mut process = pytorch.command("serve.py", &arguments)?.spawn().context("starting the Python server")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let began = Instant::now();
        while !client::is_well(address) {
            if let Some(status) = process.try_wait()? {
                bail!("the Python server ended: {status}");
            }
            if began.elapsed() > Duration::from_secs(120) {
                bail!("the Python server does not answer");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { process, address })
    }

    /// Largest resident set so far, in bytes, where the system tells.
    fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse::<u64>().ok()?;
        Some(1024 * kib)
    }

    /// Asks it to end as an operator does; whether it ended well.
    fn end(mut self) -> Result<bool> {
        let asked = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status();
        asked.context("asking the server to end")?;
        Ok(self.process.wait()?.success())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = (self.process.kill(), self.process.wait());
    }
}

fn load(arguments: &ServeLoadArguments) -> Result<String> {
    let pytorch = PyTorch::find(arguments.python.as_deref(), arguments.with_pytorch)?;
    let machine = mm_bench::machine();
    let theirs = pytorch.as_ref().map_or_else(String::new, |p| format!("; PyTorch {}, FastAPI and uvicorn", p.version()));
    let mut text = format!(
        "Machine: {machine}; {} threads each, the clients on the same machine; median of {} measurements of {} s, in turn; {}{theirs}.\n\n\
         | model | clients | requests/s | theirs | ratio | p50 ms | theirs | p99 ms | theirs | ratio |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        arguments.threads,
        arguments.repeats,
        arguments.seconds,
        mm_bench::version(),
    );
    let mut memory = String::new();
    for kind in ["vector", "audio-visual"] {
        let folder = tempfile::tempdir()?;
        let requests = models::prepare(kind, folder.path())?;
        let (ours, theirs) = measure(arguments, pytorch.as_ref(), kind, folder.path(), &requests)?;
        for (at, clients) in arguments.clients.iter().enumerate() {
            let of = |side: &[Measured], value: fn(&Load) -> f64| median(side, |measured| value(&measured.loads[at]));
            let cell = |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
            let ratio = |a: Option<f64>, b: Option<f64>| cell(a.zip(b).map(|(a, b)| a / b), 2);
            let [rate, p50, p99] = [|load: &Load| load.rate, |load: &Load| 1e3 * load.p50, |load: &Load| 1e3 * load.p99];
            writeln!(
                text,
                "| {kind} | {clients} | {} | {} | {} | {} | {} | {} | {} | {} |",
                cell(of(&ours, rate), 0),
                cell(of(&theirs, rate), 0),
                ratio(of(&ours, rate), of(&theirs, rate)),
                cell(of(&ours, p50), 2),
                cell(of(&theirs, p50), 2),
                cell(of(&ours, p99), 2),
                cell(of(&theirs, p99), 2),
                ratio(of(&ours, p99), of(&theirs, p99)),
            )?;
        }
        let peak = |side: &[Measured]| median(side, |measured| measured.peak as f64 / 1e6).map_or("-".into(), |mb| format!("{mb:.0} MB"));
        writeln!(memory, "| {kind} | {} | {} |", peak(&ours), peak(&theirs))?;
    }
    write!(text, "\n| largest memory | ours | theirs |\n|---|---:|---:|\n{memory}")?;
    Ok(text)
}

/// One start of a server.
struct Measured {
    /// By number of clients.
    loads: Vec<Load>,
    peak: u64,
}

/// Ours and theirs in turn, so that both see the same machine.
fn measure(
    arguments: &ServeLoadArguments,
    pytorch: Option<&PyTorch>,
    kind: &str,
    folder: &Path,
    requests: &Requests,
) -> Result<(Vec<Measured>, Vec<Measured>)> {
    let mut answers = Vec::new();
    let mut once = |serving: Serving| -> Result<Measured> {
        answers.push(client::answers(serving.address, requests)?);
        let loads = arguments.clients.iter().map(|&clients| client::load(serving.address, requests, clients, arguments.seconds));
        let (loads, peak) = (loads.collect::<Result<_>>()?, serving.peak_memory().unwrap_or_default());
        _ = serving.end()?;
        Ok(Measured { loads, peak })
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.repeats.max(1) {
        ours.push(once(Serving::ours(folder, arguments.threads, &[])?)?);
        if let Some(pytorch) = pytorch {
            theirs.push(once(Serving::theirs(pytorch, kind, folder, arguments.threads)?)?);
        }
    }
    // Both answer the same, or the comparison is none.
    for other in &answers[1..] {
        let apart = answers[0].iter().flatten().zip(other.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if other.len() != answers[0].len() || apart.is_nan() || apart > 1e-3 {
            bail!("the servers answer differently, by {apart}: {:?} and {other:?}", answers[0]);
        }
    }
    Ok((ours, theirs))
}
