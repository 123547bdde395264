//! `cargo xtask golden FILE`: computes every case of a golden-value file and compares.

mod case;
mod classification;
mod dmrnet;
mod face_spoofing;
mod front_ends;
mod images;
mod layers;
mod minilm;
mod mmanet;
mod mod_distill;
mod networks;
mod optimizers;
mod published;
mod segmentation;
#[cfg(test)]
mod tests;
mod two_sensors;
mod udml;
mod weights;

use anyhow::{Context, Result, ensure};
use case::{Case, GoldenFile, Outputs};
use front_ends::FrontEnds;
use minilm::Texts;
use mm_core::DeviceName;
use std::path::PathBuf;
use std::process::ExitCode;
use weights::WeightsFiles;

/// Arguments of `golden`.
#[derive(clap::Args)]
pub struct GoldenArguments {
    /// A file of cases, format as in xtask/tests/golden/README.md; what kind of file it is is told by its content.
    file: PathBuf,
    /// The folder of the checkpoint that a file of texts (`minilm.json`) is of: `model.safetensors`, `config.json` and `tokenizer.json`;
    /// by default what `cargo xtask fetch minilm` has fetched.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The folder that the paths in a file of checkpoints (`weights.json`) or of sounds and images (`front_ends.json`) count from.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where files of cases and of texts are computed, such as `cuda:0`; the other files say what is read, which needs no device.
    #[arg(long, default_value_t)]
    device: DeviceName,
}

/// Why a file of checkpoints, sounds or images takes no device.
const READ: &str = "the file says what is read from other files, which is done on the processor: leave `--device` out";

/// Runs a file: one line a case, and `N passed, N failed` at the end.
pub fn run(arguments: &GoldenArguments) -> Result<ExitCode> {
    let text = std::fs::read(&arguments.file).with_context(|| format!("reading {}", arguments.file.display()))?;
    let not_golden = || format!("{} is not a golden-value file", arguments.file.display());
    let data = || arguments.data.as_ref().context("its files are in no known place: name their folder with `--data`");
    // What is no JSON is told by the parser of cases.
    let value = serde_json::from_slice(&text).unwrap_or_default();
    let device = arguments.device.open()?;
    let mut tally = Tally::default();
    if let Some(files) = WeightsFiles::parse(&value).with_context(not_golden)? {
        ensure!(device.is_cpu(), READ);
        for (name, outcome) in files.compare(data()?) {
            tally.add(name, outcome.map(|(error, tensors)| format!("{tensors} tensors, relative error {error:.1e}")));
        }
    } else if let Some(files) = FrontEnds::parse(&value).with_context(not_golden)? {
        ensure!(device.is_cpu(), READ);
        files.compare(data()?).for_each(|(name, outcome)| tally.add(&name, outcome));
    } else if let Some(texts) = Texts::parse(&value).with_context(not_golden)? {
        let fetched = || mm_testing::minilm().context("its checkpoint is in no known place: name its folder with `--model`");
        let folder = arguments.model.clone().map_or_else(fetched, Ok)?;
        let outcomes =
            texts.compare(&folder, &device).with_context(|| format!("{} with {}", arguments.file.display(), folder.display()))?;
        outcomes.into_iter().for_each(|(name, outcome)| tally.add(&name, outcome));
    } else {
        // An option that does nothing was meant for another file.
        ensure!(arguments.model.is_none(), "{} is no file of texts and embeddings, and takes no `--model`", arguments.file.display());
        ensure!(arguments.data.is_none(), "{} is a file of cases, and takes no `--data`", arguments.file.display());
        let mut file = GoldenFile::parse(&text).with_context(not_golden)?;
        file.on(&device);
        for case in &file.cases {
            let outcome = compute(case).and_then(|outputs| case.compare(&outputs));
            tally.add(&case.name, outcome.map(|error| format!("relative error {error:.1e}")));
        }
    }
    Ok(tally.finish())
}

/// How many cases passed and failed.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Prints the line of a case.
    fn add(&mut self, name: &str, outcome: Result<String>) {
        match outcome {
            Ok(remark) => {
                self.passed += 1;
                println!("ok      {name} ({remark})");
            }
            Err(problem) => {
                self.failed += 1;
                println!("FAILED  {name}: {problem:#}");
            }
        }
    }

    /// Prints the last line.
    fn finish(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Our outputs for a case.
fn compute(case: &Case) -> Result<Outputs> {
    case.check_size()?;
    match case.op.as_str() {
        "network" => networks::network(case),
        "mad" => mmanet::mad(case),
        "mar_distance" => mmanet::mar_distance(case),
        "weak_combination_loss" => mmanet::weak_combination_loss(case),
        "gaussian_kl" => dmrnet::gaussian_kl(case),
        "reparameterize" => dmrnet::reparameterize(case),
        "hard_combination_loss" => dmrnet::hard_combination_loss(case),
        "udml_weights" => udml::weights(case),
        "udml_head" => udml::head(case),
        "noise_level_loss" => udml::noise_level_loss(case),
        "mmd" => mod_distill::mmd(case),
        "joint_mmd" => mod_distill::joint_mmd(case),
        "joint_adaptation" => mod_distill::joint_adaptation(case),
        "cross_translation" => mod_distill::cross_translation(case),
        "conv2d" => images::conv2d(case),
        "max_pool2d" | "avg_pool2d" => images::pool2d(case),
        "adaptive_avg_pool2d" => images::adaptive_avg_pool2d(case),
        "upsample_bilinear2d" => images::upsample_bilinear2d(case),
        "upsample_nearest2d" => images::upsample_nearest2d(case),
        "squeeze_excite" => images::squeeze_excite(case),
        "segmentation_cross_entropy" => images::segmentation_cross_entropy(case),
        "segmentation_metrics" => images::metrics(case),
        "softmax" => layers::softmax(case),
        "log_softmax" => layers::log_softmax(case),
        "l2_normalize" => layers::l2_normalize(case),
        "batch_norm" => layers::batch_norm(case),
        "layer_norm" => layers::layer_norm(case),
        "bce_with_logits" => classification::bce_with_logits(case),
        "optimizer" => optimizers::optimizer(case),
        "schedule" => optimizers::schedule(case),
        "classification_metrics" => classification::metrics(case),
        "spoof_metrics" => classification::spoof(case),
        unknown => anyhow::bail!("unknown op `{unknown}`"),
    }
}
