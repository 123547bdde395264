//! What a result was made by: program, machine, memory; and what the programs log.

use crate::{child, job};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Version of this program, with the commit where the build knew it.
pub fn version() -> String {
    match option_env!("MM_COMMIT") {
        Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_string(),
    }
}

/// Processor, level of vector instructions, cores and operating system.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split(": ").nth(1)).unwrap_or(std::env::consts::ARCH);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let level = mm_kernels::simd::Level::best().name();
    format!("{model} ({level}), {cores} cores, {}", std::env::consts::OS)
}

/// Largest resident set of this process so far, where the system tells.
pub fn peak_memory_bytes() -> Option<u64> {
    job::peak_memory_of("self")
}

/// Form of the log on standard error.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// A JSON object a line.
    Json,
}

/// `RUST_LOG` chooses what is logged; by default warnings, and what a bench finds in its data. What decoders of sounds say, our errors say.
fn init_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,symphonia=off,symphonia_core=off,symphonia_bundle_mp3=off,mm_bench=info".into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A log that cannot be written, as on a full disk, would end the training with a panic.
    let builder = builder.log_internal_errors(false);
    match format {
        LogFormat::Human => builder.without_time().with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Runs a program's command: its log, the level of vector instructions, its error on standard error.
pub fn exit_code(format: LogFormat, command: impl FnOnce() -> anyhow::Result<ExitCode>) -> ExitCode {
    init_logging(format);
    // Computing at another level than the one asked for would be worse than not at all.
    if let Err(problem) = mm_kernels::simd::Level::from_environment() {
        eprintln!("error: {problem}");
        return ExitCode::FAILURE;
    }
    command().unwrap_or_else(|error| match writeln!(std::io::stderr(), "error: {}", told(&error)) {
        Ok(()) => ExitCode::FAILURE,
        Err(_) => ExitCode::from(child::UNHEARD),
    })
}

/// An error with its causes; one that the error itself quotes at its end is not said twice.
fn told(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}
