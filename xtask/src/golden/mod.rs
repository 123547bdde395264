//! `cargo xtask golden FILE`: computes every case of a golden-value file and compares.

mod case;
mod classification;
mod dmrnet;
mod face_spoofing;
mod images;
mod layers;
mod minilm;
mod mmanet;
mod mod_distill;
mod networks;
mod optimizers;
mod published;
#[cfg(test)]
mod tests;
mod two_sensors;
mod udml;

use anyhow::{Context, Result};
use case::{Case, GoldenFile, Outputs};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `golden`.
#[derive(clap::Args)]
pub struct GoldenArguments {
    /// A file of cases, format as in xtask/tests/golden/README.md.
    file: PathBuf,
    /// The folder of the checkpoint that minilm.json is of: `model.safetensors`, `config.json` and `tokenizer.json`.
    #[arg(long)]
    model: Option<PathBuf>,
}

/// Runs a file: one line a case, and `N passed, N failed` at the end.
pub fn run(arguments: &GoldenArguments) -> Result<ExitCode> {
    let text = std::fs::read(&arguments.file).with_context(|| format!("reading {}", arguments.file.display()))?;
    if let Some(model) = &arguments.model {
        return minilm::run(&text, model).with_context(|| format!("{} with {}", arguments.file.display(), model.display()));
    }
    let file = GoldenFile::parse(&text).with_context(|| format!("{} is not a golden-value file", arguments.file.display()))?;
    let (mut passed, mut failed) = (0, 0);
    for case in &file.cases {
        match compute(case).and_then(|outputs| case.compare(&outputs)) {
            Ok(error) => {
                passed += 1;
                println!("ok      {} (relative error {error:.1e})", case.name);
            }
            Err(problem) => {
                failed += 1;
                println!("FAILED  {}: {problem:#}", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
