//! `mm data render`: rendered scenes as files.

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::data::{FileCard, Source};
use mm_datasets::scenes::{Settings, write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `data render`.
#[derive(clap::Args)]
pub struct RenderArguments {
    /// A new folder for the images, the manifest and the cards.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many scenes.
    #[arg(long, default_value_t = Settings::default().scenes)]
    scenes: u64,
    /// Height and width in pixels.
    #[arg(long, value_name = "HxW", default_value = "120x160", value_parser = size)]
    size: [usize; 2],
    /// Seed of all draws: the same seed gives the same bytes.
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
}

fn size(text: &str) -> Result<[usize; 2]> {
    let (height, width) = text.split_once('x').context("write height and width, such as 120x160")?;
    let side = |text: &str| {
        text.parse::<usize>().with_context(|| format!("`{text}` is no number of pixels; write height and width, such as 120x160"))
    };
    Ok([side(height)?, side(width)?])
}

/// Renders, and opens what was written.
pub fn run(arguments: &RenderArguments) -> Result<ExitCode> {
    let settings = Settings { seed: arguments.seed, scenes: arguments.scenes, size: arguments.size };
    let bar = ProgressBar::new(settings.scenes);
    if let Ok(style) = ProgressStyle::with_template("rendering {bar:30} {pos} of {len} scenes, {eta} left") {
        bar.set_style(style);
    }
    let cards = write(&arguments.out, &settings, &|| bar.inc(1))?;
    bar.finish_and_clear();
    for card in cards {
        let source = FileCard::from_path(&card)?.open()?;
        ensure!(source.len() as u64 == settings.scenes, "{} lists {} scenes", card.display(), source.len());
        println!("{}: {} synthetic scenes, {} classes", card.display(), source.len(), source.schema().target.classes());
    }
    Ok(ExitCode::SUCCESS)
}
