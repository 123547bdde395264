//! How much of what the privileged views know can be recovered from the available ones, on the six views of the built-in
//! numerals. Writes `recovered-share.json` and prints tables.
//!
//! The cells run side by side, so the threads below each are one.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo run --release -p mod-distill --example recovered_share -- --out target/recovered-share
//! ```

mod cells;
mod report;

use anyhow::{Context, Result, bail};
use cells::{Run, Runs, Setting};
use clap::Parser;
use mm_core::data::DatasetCard;
use mod_distill::ModDistillConfig;
use serde_json::Value;
use std::path::PathBuf;

#[derive(Parser)]
struct Arguments {
    /// Card of the data set.
    #[arg(long, default_value = "datasets/multiple-features.toml")]
    card: PathBuf,
    /// Folder of the results.
    #[arg(long, default_value = "target/recovered-share")]
    out: PathBuf,
    /// Runs of each cell, with seeds from the first one on.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Training samples of a class and epochs, as `samples:epochs`.
    #[arg(long, value_delimiter = ',', default_value = "140:40,20:120")]
    sizes: Vec<String>,
    /// The available views of each comparison.
    #[arg(long, value_delimiter = ',', default_value = "fac,fou,kar,mor,pix,zer,fac+pix,mor+zer,fou+mor")]
    available: Vec<String>,
    /// Further forms as `name={"setting": value, ..}`, settings of `ModDistillConfig` other than the defaults.
    #[arg(long)]
    form: Vec<String>,
    /// Score on the validation samples, which the choice of a form may look at.
    #[arg(long)]
    validation: bool,
    /// Only the views alone and the further forms.
    #[arg(long)]
    only_forms: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut runs = vec![(report::ALONE.to_string(), Run::Alone), ("logit distillation".to_string(), Run::LogitDistillation)];
    if arguments.only_forms {
        runs.truncate(1);
    } else {
        let forms = [
            ("one-stage", "{}"),
            ("without JAN", r#"{"no_ja": true}"#),
            (report::CONCATENATION, r#"{"no_ctn": true}"#),
            ("two-stage", r#"{"two_stage": true}"#),
        ];
        for (name, settings) in forms {
            runs.push((name.into(), Run::Distil(Box::new(serde_json::from_str(settings)?))));
        }
    }
    for form in &arguments.form {
        let (name, settings) = form.split_once('=').context("a form is written name={..}")?;
        let config: ModDistillConfig = serde_json::from_str(settings).with_context(|| format!("settings of form {name}"))?;
        runs.push((name.into(), Run::Distil(Box::new(config))));
    }
    let card = DatasetCard::from_path(&arguments.card)?;
    let mut tables = Vec::new();
    for size in &arguments.sizes {
        let (samples, epochs) = size.split_once(':').context("a size is written samples:epochs")?;
        let setting =
            Setting { per_class: samples.parse()?, epochs: epochs.parse()?, first_seed: arguments.first_seed, seeds: arguments.seeds };
        if setting.seeds == 0 {
            bail!("at least one seed is needed");
        }
        let tested = Runs { card: &card, available: &arguments.available, runs: &runs, setting, validation: arguments.validation }.all()?;
        let names: Vec<&str> = std::iter::once(report::TEACHER).chain(runs.iter().map(|(name, _)| name.as_str())).collect();
        let table = report::compare(&names, &arguments.available, &tested, setting)?;
        report::print(&table);
        tables.push(table);
    }
    std::fs::create_dir_all(&arguments.out)?;
    let path = arguments.out.join("recovered-share.json");
    std::fs::write(&path, serde_json::to_string_pretty(&Value::Array(tables))?)?;
    println!("{}", path.display());
    Ok(())
}
