//! Which score finds the hard combinations, and what training harder on them brings: the six views of the built-in numerals.
//!
//! ```text
//! cargo run --release -p dmrnet --example mining_scores -- --seeds 5
//! ```
//!
//! Prints two Markdown tables for each size of the training set. Scores are compared with the test errors of the trained model.

use anyhow::Result;
use candle_core::Device;
use clap::Parser;
use dmrnet::{Dmrnet, DmrnetConfig, HardLoss, HardSupervision, MiningScore, rank_correlation};
use mm_baselines::{Fusion, FusionConfig};
use mm_core::Subset;
use mm_core::data::{DatasetCard, Source, Split, Standardizer, TableDataset};
use mm_core::eval::evaluate;
use mm_core::recipe::Setup;
use mm_core::train::{Method, TrainConfig, Trainer};
use std::path::PathBuf;

/// How many combinations count as hardest.
const HARDEST: usize = 8;
/// With a weight as small as this, a run mines but nothing acts.
const WITHOUT_EFFECT: f64 = 1e-30;

#[derive(Parser)]
struct Arguments {
    /// Card of the data set.
    #[arg(long, default_value = "datasets/multiple-features.toml")]
    card: PathBuf,
    /// Runs of each form, with seeds from `first_seed` on.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Training samples a class of the small training set.
    #[arg(long, default_value_t = 20)]
    per_class: usize,
    /// Leave out the table of scores.
    #[arg(long)]
    only_accuracy: bool,
    /// Only the runs whose names contain this, next to modality dropout.
    #[arg(long, default_value = "")]
    only: String,
    /// Further runs as `name={"setting": value, ..}`, settings of `DmrnetConfig` other than the defaults.
    #[arg(long)]
    form: Vec<String>,
}

/// The samples of one seed, standardised.
struct Task {
    data: TableDataset,
    split: Split,
    train: TrainConfig,
}

impl Task {
    fn new(card: &DatasetCard, per_class: Option<usize>, seed: u64) -> Result<Self> {
        let loaded = card.load_files()?;
        let mut split = loaded.split(seed)?;
        let mut data = loaded.joined.data;
        let mut train = TrainConfig { seed, ..TrainConfig::default() };
        if let Some(per_class) = per_class {
            split = split.with_train_per_class(per_class, &data, seed)?;
            train.epochs *= 3;
        }
        Standardizer::fit(&data, &split.train)?.apply(&mut data)?;
        Ok(Self { data, split, train })
    }

    fn dmrnet(&self, config: DmrnetConfig) -> Result<(Dmrnet, Vec<f64>)> {
        let mut model = Dmrnet::new(config, &Setup::new(self.data.schema()).seed(self.train.seed))?;
        let errors = self.errors(&mut model)?;
        Ok((model, errors))
    }

    /// Trains, and gives the test error of every combination.
    fn errors(&self, model: &mut dyn Method) -> Result<Vec<f64>> {
        let Split { train, validation, test } = &self.split;
        Trainer::new(self.train.clone()).run(model, &self.data, train, validation)?;
        let subsets: Vec<Subset> = Subset::all_non_empty(self.data.schema().modalities.len()).collect();
        let evaluation = evaluate(model.model(), &self.data, test, &subsets, 512, &Device::Cpu)?;
        Ok(evaluation.combinations.iter().map(|c| 1.0 - c.scored.get("accuracy")).collect())
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let card = DatasetCard::from_path(&arguments.card)?;
    for per_class in [None, Some(arguments.per_class)] {
        let seeds = arguments.first_seed..arguments.first_seed + arguments.seeds;
        let tasks: Vec<Task> = seeds.map(|seed| Task::new(&card, per_class, seed)).collect::<Result<_>>()?;
        let (Some(task), true) = (tasks.first(), arguments.seeds >= 2) else { anyhow::bail!("a spread needs at least 2 seeds") };
        println!("\n## {} training samples, {} epochs, {} seeds\n", task.split.train.len(), task.train.epochs, tasks.len());
        if !arguments.only_accuracy {
            compare_scores(&tasks)?;
        }
        compare_accuracy(&tasks, &arguments)?;
    }
    Ok(())
}

fn compare_scores(tasks: &[Task]) -> Result<()> {
    println!("| score | rank correlation, epochs 0-5 | of the {HARDEST} hardest found | all epochs | found |\n|---|---|---|---|---|");
    let rows = [
        ("predicted variance (published)", MiningScore::Variance, true),
        ("predicted variance, `head_norm = false`", MiningScore::Variance, false),
        ("training loss (default)", MiningScore::TrainingLoss, true),
        ("KL from the full combination", MiningScore::PerSampleKl, true),
    ];
    for (name, mining, head_norm) in rows {
        let mut columns = Vec::new();
        for whole_run in [false, true] {
            let (mut correlations, mut found) = (Vec::new(), Vec::new());
            for task in tasks {
                let warm_up_epochs = if whole_run { task.train.epochs } else { 6 };
                let nothing = DmrnetConfig { beta: WITHOUT_EFFECT, supervision: HardSupervision::Drawn, ..DmrnetConfig::default() };
                let config = DmrnetConfig { mining, head_norm, warm_up_epochs, ..nothing };
                let (model, errors) = task.dmrnet(config)?;
                let scores: Vec<f64> = model.mined().scores().into_iter().map(Option::unwrap_or_default).collect();
                correlations.push(rank_correlation(&scores, &errors).unwrap_or(f64::NAN));
                let (hardest, highest) = (largest(&errors), largest(&scores));
                found.push(hardest.iter().filter(|c| highest.contains(c)).count() as f64);
            }
            columns.push(format!("{:.2} to {:.2} | {} to {}", least(&correlations), most(&correlations), least(&found), most(&found)));
        }
        println!("| {name} | {} |", columns.join(" | "));
    }
    println!();
    Ok(())
}

fn compare_accuracy(tasks: &[Task], arguments: &Arguments) -> Result<()> {
    let drawn = |mining| DmrnetConfig { mining, supervision: HardSupervision::Drawn, ..DmrnetConfig::default() };
    let redraw = |mining| DmrnetConfig { mining, supervision: HardSupervision::Redraw, ..DmrnetConfig::default() };
    let mut runs: Vec<(String, Option<DmrnetConfig>)> = vec![
        ("modality dropout".into(), None),
        ("distribution only (`beta = 0`)".into(), Some(DmrnetConfig { beta: 0.0, ..DmrnetConfig::default() })),
        ("drawn, by variance".into(), Some(drawn(MiningScore::Variance))),
        ("drawn, by training loss".into(), Some(drawn(MiningScore::TrainingLoss))),
        (
            "drawn, by training loss, `reference_broadcast`, beta 0.2".into(),
            Some(DmrnetConfig { beta: 0.2, hard_loss: HardLoss::ReferenceBroadcast, ..drawn(MiningScore::TrainingLoss) }),
        ),
        ("redraw, all combinations".into(), Some(DmrnetConfig { hard_count: Some(usize::MAX), ..redraw(MiningScore::TrainingLoss) })),
        ("redraw, by variance".into(), Some(redraw(MiningScore::Variance))),
        ("redraw, by training loss (default)".into(), Some(redraw(MiningScore::TrainingLoss))),
    ];
    for form in &arguments.form {
        let (name, settings) = form.split_once('=').ok_or_else(|| anyhow::anyhow!("a form is written name={{..}}"))?;
        runs.push((name.into(), Some(serde_json::from_str(settings)?)));
    }
    println!(
        "| run | mean over 63 | worst | mean of the {HARDEST} worst | all six | mean - dropout | worst - dropout |\n|---|---|---|---|---|---|---|"
    );
    runs.retain(|(name, config)| config.is_none() || name.contains(&arguments.only));
    let mut baseline: Vec<[f64; 4]> = Vec::new();
    for (name, config) in runs {
        let measured = tasks.iter().map(|task| -> Result<[f64; 4]> {
            Ok(summary(&match &config {
                None => {
                    let schema = task.data.schema();
                    task.errors(&mut Fusion::new(FusionConfig::modality_dropout(), &Setup::new(schema).seed(task.train.seed))?)?
                }
                Some(config) => task.dmrnet(config.clone())?.1,
            }))
        });
        let measured: Vec<[f64; 4]> = measured.collect::<Result<_>>()?;
        if baseline.is_empty() {
            baseline = measured.clone();
        }
        let cell = |i: usize| spread(measured.iter().map(|m| m[i]).collect());
        let gain = |i: usize| spread(measured.iter().zip(&baseline).map(|(m, b)| m[i] - b[i]).collect());
        println!("| {name} | {} | {} | {} | {} | {} | {} |", cell(0), cell(1), cell(2), cell(3), gain(0), gain(1));
    }
    Ok(())
}

/// Mean accuracy over combinations, the worst one's, the mean of the worst, and that of all modalities.
fn summary(errors: &[f64]) -> [f64; 4] {
    let worst = largest(errors);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let of_worst = worst.iter().map(|&i| errors[i]).sum::<f64>() / worst.len() as f64;
    [mean, most(errors), of_worst, errors[errors.len() - 1]].map(|error| 1.0 - error)
}

/// Positions of the largest values.
fn largest(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[j].total_cmp(&values[i]));
    order.truncate(HARDEST);
    order
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Mean and standard deviation over seeds.
fn spread(values: Vec<f64>) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    format!("{mean:.4} ± {:.4}", variance.sqrt())
}
