//! `cargo xtask perf`: our speed, beside PyTorch's on the same machine where asked.

mod bench;
mod dense;
mod dense_work;
mod deployed;
mod image_work;
mod images;
mod loader;
mod main_job;
mod photographs;
mod prediction;
mod pytorch;
mod quality;
mod scaling;
mod series;
mod series_work;
mod table;
mod work;

pub use dense_work::{DenseWorkArguments, run as run_dense_work};
pub use deployed::{DeployedWorkArguments, run as run_deployed_work};
pub use image_work::{ImageWorkArguments, run as run_image_work};
pub use loader::{LoaderWorkArguments, run as run_loader_work};
pub use prediction::{PredictionWorkArguments, prepare as prepare_audio_visual, run as run_prediction_work, wav};
pub use series_work::{SeriesWorkArguments, run as run_series_work};

use anyhow::{Result, ensure};
use mm_core::DeviceName;
pub use pytorch::PyTorch;
use std::path::PathBuf;
use std::process::ExitCode;
pub use table::median;
use table::{Provenance, Row, Table};

/// Arguments of `perf`.
#[derive(clap::Args)]
pub struct PerfArguments {
    /// What to time, such as `main-job,bench`.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "main-job")]
    rows: Vec<RowSet>,
    /// Compare with PyTorch, from a virtual environment made below `target/` (downloads it the first time).
    #[arg(long)]
    with_pytorch: bool,
    /// A Python that has PyTorch, torchvision and safetensors already, instead of that environment.
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Threads of both.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Runs of each, ours and PyTorch's in turn; the median counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Where both compute, such as `cuda:0`; for the rows `images`, `dense` and `series`.
    #[arg(long, default_value_t)]
    device: DeviceName,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Also write the table to this Markdown file.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A set of rows of the table.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RowSet {
    /// Full-only training, modality dropout and MMANet on the six views: training, evaluation, memory.
    MainJob,
    /// The whole default bench, from nothing to the report.
    Bench,
    /// Accuracy of every method of the default plan beside PyTorch's on the same samples, and a report on both in `target/parity/report`;
    /// `--repeats` is the number of seeds.
    Quality,
    /// Convolutions of ResNet-18, forward and backward.
    Convolutions,
    /// Prediction, training steps, evaluation of all combinations, cold start and memory of image networks.
    Images,
    /// Networks for every pixel: training steps, prediction, evaluation of all combinations and memory.
    Dense,
    /// Prediction beside ONNX Runtime and OpenVINO, which run what we export; `--python` needs both for that, numpy and safetensors.
    Deployed,
    /// Prediction of one audio-visual sample from its files, beside PyTorch and ONNX Runtime; `--python` needs onnxruntime, onnx and
    /// soundfile for that.
    Prediction,
    /// Images and sounds from files to batches, beside PyTorch's `DataLoader` with as many workers, and the share of a training step that is
    /// spent waiting for them; `--python` needs soundfile and Pillow for that.
    Loader,
    /// Encoders of series: a training step and its memory.
    Series,
    /// A training step of image networks against batch, image size, number of sensors and threads.
    Scaling,
}

/// What the timing of a set of rows needs.
struct Context {
    threads: usize,
    repeats: usize,
    pytorch: Option<PyTorch>,
    device: DeviceName,
}

impl Context {
    /// Runs ours and PyTorch's in turn, so that both see the same machine, and returns the results of both.
    fn alternate<T>(&self, mut ours: impl FnMut() -> Result<T>, mut theirs: impl FnMut(&PyTorch) -> Result<T>) -> Result<(Vec<T>, Vec<T>)> {
        let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.repeats {
            of_ours.push(ours()?);
            if let Some(pytorch) = &self.pytorch {
                of_theirs.push(theirs(pytorch)?);
            }
        }
        Ok((of_ours, of_theirs))
    }
}

/// Times the chosen rows and prints the table.
pub fn run(arguments: &PerfArguments) -> Result<ExitCode> {
    let pytorch = PyTorch::find(arguments.python.as_deref(), arguments.with_pytorch)?;
    let context = Context { threads: arguments.threads.max(1), repeats: arguments.repeats.max(1), pytorch, device: arguments.device };
    let (mut rows, mut pairs): (Vec<Row>, String) = Default::default();
    for set in &arguments.rows {
        let anywhere = matches!(set, RowSet::Images | RowSet::Dense | RowSet::Series);
        ensure!(anywhere || arguments.device == DeviceName::Cpu, "{set:?} is measured on the processor: leave `--device` out");
        rows.extend(match set {
            RowSet::MainJob => main_job::rows(&context)?,
            RowSet::Bench => bench::rows(&context)?,
            RowSet::Quality => {
                pairs += &format!("\n{}", quality::run(&context)?);
                Vec::new()
            }
            RowSet::Convolutions => images::convolutions(&context)?,
            RowSet::Images => images::rows(&context)?,
            RowSet::Dense => dense::rows(&context)?,
            RowSet::Deployed => deployed::rows(&context)?,
            RowSet::Prediction => prediction::rows(&context)?,
            RowSet::Loader => loader::rows(&context)?,
            RowSet::Series => series::rows(&context)?,
            RowSet::Scaling => scaling::rows(&context)?,
        });
    }
    let table = Table { provenance: Provenance::new(&context), rows };
    let markdown = table.markdown() + &pairs;
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&table)?),
        false => print!("{markdown}"),
    }
    if let Some(out) = &arguments.out {
        mm_core::weights::write_atomically(out, markdown.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
