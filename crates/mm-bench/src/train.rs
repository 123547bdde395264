//! One model from a card and a method, saved as a folder; and what a saved model reaches on data.

use crate::cell::Resolved;
use crate::dataset::{CardReader, Dataset, TrainingSamples};
use crate::interrupt::Interrupt;
use crate::model_place::{Taken, checkpoint_folder, refuse_existing};
use crate::plan::Plan;
use crate::provenance::machine;
use crate::registry::{Registry, UNUSED_ENCODERS, check_data, uses_encoders};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::data::kinds::Kind;
use mm_core::data::{Part, Source, Split, class_position};
use mm_core::parallel::Communicator;
use mm_core::train::{CheckpointConfig, EpochLog, Observer, Step, TrainConfig, Trainer};
use mm_core::{DeviceName, Pipeline};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct TrainArguments {
    /// The data: a card, or the name of a built-in set; without it, the first of the plan.
    #[arg(value_name = "CARD", required_unless_present = "plan")]
    card: Option<String>,
    /// The method, or the name of a run of the plan.
    #[arg(long)]
    method: String,
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A plan: its settings of the training, of the network and of the method are taken.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// An option of the method in TOML, such as `available=["rgb"]` or `translation.norm=false`; repeated for more. It replaces what the plan says.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// Seed of the split, of the first weights and of all other draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Passes over the training samples, instead of what the plan says.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// The device to train on, such as `cuda:0`, instead of what the plan says; without either the CPU.
    #[arg(long, value_name = "NAME")]
    device: Option<DeviceName>,
    /// Replace a model that is in the folder.
    #[arg(long)]
    overwrite: bool,
    /// Seconds between checkpoints, from which the same command goes on where it was interrupted.
    #[arg(long, default_value_t = 20.0, value_name = "SECONDS")]
    checkpoint_seconds: f64,
}

impl TrainArguments {
    /// Folder of the model.
    pub fn out(&self) -> &Path {
        &self.out
    }
}

/// Where a saved model computes.
#[derive(Debug, Clone, Copy, clap::Args, serde::Serialize)]
pub struct DeviceArgument {
    /// The device to compute on, such as `cuda:0`.
    #[arg(long, value_name = "NAME", default_value_t)]
    device: DeviceName,
}

impl DeviceArgument {
    /// Opens the device.
    pub fn open(&self) -> Result<Device> {
        Ok(self.device.open()?)
    }
}

/// Arguments of `evaluate`.
#[derive(clap::Args)]
pub struct EvaluateArguments {
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The data: a card, or the name of a built-in set.
    #[arg(long)]
    card: String,
    /// Which samples: `test`, `validation` or `train` of the model's seed, or `all`.
    #[arg(long, default_value = "test")]
    part: String,
    #[command(flatten)]
    device: DeviceArgument,
    /// Write the result into the model's card and configuration, in place of what is there.
    #[arg(long)]
    save: bool,
}

/// Puts options over others, table by table.
fn lay_over(options: &mut toml::Table, over: toml::Table) {
    for (name, value) in over {
        match (options.get_mut(&name), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay_over(under, over),
            (_, value) => drop(options.insert(name, value)),
        }
    }
}

/// Trains a model, evaluates and times it on the test part, and saves it. The same command goes on where an interrupted one stopped.
///
/// Where `mpirun` started several of this process, they train together; the first writes and returns the model, the others return none.
pub fn train(arguments: &TrainArguments, registry: &Registry) -> Result<Option<Pipeline>> {
    let ranks = mm_mpi::communicator()?;
    let trained = train_on(&ranks, arguments, registry);
    if let (Err(error), true) = (&trained, ranks.world() > 1) {
        // The others wait for this process, and would for ever: they are ended, and no caller comes to print the error.
        eprintln!("error on rank {} of {}: {error:#}; the same command goes on from the last checkpoint", ranks.rank(), ranks.world());
        ranks.abort();
    }
    trained
}

fn train_on(ranks: &Arc<dyn Communicator>, arguments: &TrainArguments, registry: &Registry) -> Result<Option<Pipeline>> {
    refuse_existing(&arguments.out, arguments.overwrite)?;
    let card = arguments.card.as_deref();
    let mut resolved = match &arguments.plan {
        Some(plan) => Plan::read(Some(plan))?.one(card, &arguments.method, arguments.seed)?,
        None => Resolved {
            program: String::new(),
            level: None,
            device: DeviceName::Cpu,
            data_hash: String::new(),
            data_stamp: String::new(),
            card: card.unwrap_or_default().into(),
            score: None,
            train_per_class: None,
            train_on_validation: false,
            absent: None,
            method: arguments.method.clone(),
            options: toml::Table::new(),
            train: TrainConfig { seed: arguments.seed, ..TrainConfig::default() },
            combinations: None,
            corruptions: Vec::new(),
            teacher: None,
            weights: BTreeMap::new(),
        },
    };
    for option in &arguments.options {
        let table = toml::from_str(option)
            .with_context(|| format!("`--option {option}` is no TOML such as `available=[\"rgb\"]` or `name=\"text\"`"))?;
        lay_over(&mut resolved.options, table);
    }
    let device = arguments.device.unwrap_or(resolved.device).open()?;
    resolved.train.epochs = arguments.epochs.map_or(resolved.train.epochs, |epochs| epochs as usize);
    let recipe = registry.recipe(&resolved)?;
    let (mut data, identity) = CardReader::open(&resolved.card)?.scored_by(resolved.score.as_deref()).load()?;
    let stamp = identity.stamp();
    let split = data.draw(resolved.training_samples(), resolved.train.seed)?;
    if let Some(absent) = &resolved.absent {
        absent.check(data.source.schema())?;
        data = absent.applied(data, &split, resolved.train.seed)?;
    }
    check_data(&*recipe, &resolved, &data, None)?;
    if ranks.rank() == 0 {
        let remarks = data.remarks_on(&split).into_iter().chain(resolved.train.remarks(split.train.len()));
        remarks.chain(recipe.begins_too_late(resolved.train.epochs)).for_each(|remark| tracing::warn!("{remark}"));
        if uses_encoders(&*recipe, &resolved, data.source.schema()) == Some(false) {
            tracing::warn!("{UNUSED_ENCODERS}");
        }
        recipe.network().frozen_at_random().iter().for_each(|remark| tracing::warn!("{remark}"));
        data.try_held_out(&split)?;
    }
    let taken = if ranks.rank() == 0 { Some(Taken::new(&arguments.out)?) } else { None };
    // The one that had it before may just have ended.
    refuse_existing(&arguments.out, arguments.overwrite)?;
    let checkpoints = checkpoint_folder(&arguments.out);
    // Ctrl-C saves where the training is. Several processes would not all hear it at one step: they end, and go on from the last checkpoint.
    let interrupt = if ranks.world() == 1 { Some(Interrupt::listen()?) } else { None };
    let trainer = |what: &str, teacher: Option<&String>| {
        let config =
            CheckpointConfig { folder: checkpoints.clone(), every_seconds: arguments.checkpoint_seconds, fingerprint: stamp.clone() };
        let trainer = Trainer::new(resolved.train.clone()).checkpoints(config).communicator(ranks.clone()).device(&device);
        let trainer = match &taken {
            Some(taken) => trainer.observer(Progress::new(what, taken.holds_another(teacher).then(|| checkpoints.clone()))),
            None => trainer,
        };
        match interrupt.clone() {
            Some(interrupt) => trainer.stop_when(move || interrupt.is_set()),
            None => trainer,
        }
    };
    let source = &*data.source;
    let teacher = match registry.teacher_of(&resolved, &*recipe, &source.schema().modalities)? {
        Some(settings) => {
            let recipe = registry.recipe(&settings)?;
            Some(trainer("teacher", None).fit_any(&*recipe, None, source, &split).context("training the teacher")?)
        }
        None => None,
    };
    let of_teacher = teacher.as_ref().map(|teacher| teacher.config().training.fingerprint.clone());
    let trained = trainer(&resolved.method, of_teacher.as_ref()).fit_any(&*recipe, teacher, source, &split)?;
    ranks.finish();
    let Some(taken) = taken else { return Ok(None) };
    let mut model = trained.with_columns(data.columns);
    if !split.test.is_empty() {
        model.evaluate(source, &split.test)?;
        model.measure_latency(source, &split.test, &machine())?;
    }
    // Files are read all the while: a checkpoint of what they held meanwhile is of no more use than the model.
    if !identity.now().is_ok_and(|now| now.stamp() == stamp) {
        taken.clear()?;
        bail!("the data of `{}` changed while the model trained, and nothing was saved: train again", resolved.card);
    }
    refuse_existing(&arguments.out, arguments.overwrite).context("while the model trained, its place was taken")?;
    model.save_pretrained(&arguments.out)?;
    taken.clear()?;
    Ok(Some(model))
}

/// Evaluates and times a saved model.
pub fn evaluate(arguments: &EvaluateArguments, registry: &Registry) -> Result<Pipeline> {
    let registry = registry.clone().on(&arguments.device.open()?);
    let mut model = registry.from_pretrained(&arguments.model)?;
    let (data, _) = CardReader::open(&arguments.card)?.of_new_data().load()?;
    check_schema(&model, &*data.source)?;
    check_columns(&model.config().columns.variables, &data.columns.variables)?;
    let names = model.schema().modalities.names();
    let ours = names.iter().enumerate().map(|(m, name)| (name, model.kind(m).and_then(series_columns)));
    let theirs = names.iter().zip(data.source.kinds()).map(|(name, kind)| (name, kind.as_deref().and_then(series_columns)));
    let known = |(name, columns): (&String, Option<Vec<String>>)| Some((name.clone(), columns?));
    let (ours, theirs) = (ours.filter_map(known).collect(), theirs.filter_map(known).collect());
    check_columns(&ours, &theirs)?;
    // By their places they would be other readings.
    if let Some((sensor, names)) = ours.iter().find(|(sensor, names)| theirs.get(*sensor).is_some_and(|found| found != *names)) {
        bail!("the files of `{sensor}` have the columns {}, and those of the training {}", theirs[sensor].join(", "), names.join(", "));
    }
    let rows = part(arguments, &data, &model)?;
    if rows.is_empty() {
        bail!("the part `{}` of {} has no samples", arguments.part, arguments.card);
    }
    model.evaluate(&*data.source, &rows)?;
    model.measure_latency(&*data.source, &rows, &machine())?;
    if arguments.save {
        model.save_pretrained(&arguments.model)?;
    }
    Ok(model)
}

/// The samples of a part, as the model's seed divides them. Says so where a model trained on samples it is now asked about, or may have.
fn part(arguments: &EvaluateArguments, data: &Dataset, model: &Pipeline) -> Result<Vec<usize>> {
    let name = &arguments.part;
    if name == "all" {
        return Ok((0..data.source.len()).collect());
    }
    let Ok(part) = name.parse::<Part>() else { bail!("`--part {name}`: use train, validation, test or all") };
    let training = &model.config().training;
    let split = data.draw(TrainingSamples::default(), training.config.seed)?;
    let is_drawn = (0..data.source.len()).any(|row| data.source.meta(row).part.is_none());
    let is_other = || training.test.as_ref().is_some_and(|test| *test != split.test_hash(&*data.source));
    if part != Part::Train && is_drawn && is_other() {
        eprintln!(
            "warning: {} draws other parts than those of the training (its rows, `part` or [split] are others), and the model may have learnt \
             samples of the part `{part}`: give the card and the table of the training, or of new data only `--part all`",
            arguments.card
        );
    }
    let Split { train, validation, test } = split;
    if part == Part::Validation && !validation.is_empty() && training.samples == train.len() + validation.len() {
        eprintln!(
            "warning: this model trained on {} samples, as many as the parts for training and validation have together (`train_on_validation`): \
             what it reaches on the validation part says nothing of new data",
            training.samples
        );
    }
    Ok(match part {
        Part::Train => train,
        Part::Validation => validation,
        Part::Test => test,
    })
}

/// Refuses data that the model was not made for.
fn check_schema(model: &Pipeline, source: &dyn Source) -> Result<()> {
    let (ours, theirs) = (model.schema(), source.schema());
    if ours.modalities != theirs.modalities || ours.inputs != theirs.inputs {
        let form = |schema: &mm_core::data::Schema| {
            let named = schema.modalities.names().iter().zip(&schema.inputs);
            named.map(|(name, input)| format!("{name} {:?}", input.shape)).collect::<Vec<_>>().join(", ")
        };
        bail!("the data has the sensors {}, the model reads {}", form(theirs), form(ours));
    }
    let kinds_differ = std::mem::discriminant(&ours.target) != std::mem::discriminant(&theirs.target);
    let (ours, theirs) = (ours.target.output_names(), theirs.target.output_names());
    if kinds_differ {
        bail!("the data has another kind of target than the model: one predicts classes, labels or numbers where the other does not");
    }
    // Each by itself: programs write the same number in several ways.
    if ours.len() != theirs.len() || ours.iter().enumerate().any(|(at, name)| class_position(theirs, name) != Some(at)) {
        let list = |names: &[String]| names.join(", ");
        bail!(
            "the data has {} to predict, the model predicts {}: name the model's, in its order, as `classes` or `targets` of the card",
            list(theirs),
            list(ours)
        );
    }
    Ok(())
}

/// Refuses the numbers of a sensor in another order than the model's: a model knows them by their places.
fn check_columns(ours: &BTreeMap<String, Vec<String>>, theirs: &BTreeMap<String, Vec<String>>) -> Result<()> {
    for (sensor, ours) in ours {
        let Some(theirs) = theirs.get(sensor).filter(|theirs| *theirs != ours) else { continue };
        let Some((at, (found, learnt))) = theirs.iter().zip(ours).enumerate().find(|(_, (found, learnt))| found != learnt) else {
            continue;
        };
        let differ = format!("column {} of `{sensor}` is `{found}`, and the model learnt `{learnt}` there", at + 1);
        let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        if sorted(theirs) == sorted(ours) {
            bail!("{differ}: bring the table's columns into the model's order, or ask `mm predict`, which goes by their names");
        }
        tracing::warn!("{differ}: the numbers are read by their places");
    }
    Ok(())
}

/// The names of the columns that a kind reads from the files of a series, where it knows them.
fn series_columns(kind: &dyn Kind) -> Option<Vec<String>> {
    let settings = kind.settings();
    ["columns", "names"].iter().find_map(|field| serde_json::from_value(settings.get(field)?.clone()).ok())
}

/// A bar that shows where a training is.
struct Progress {
    bar: ProgressBar,
    /// Where checkpoints are that this run does not go on from, if it begins at its beginning.
    others: Option<PathBuf>,
}

impl Progress {
    fn new(what: &str, others: Option<PathBuf>) -> Self {
        let bar = ProgressBar::new(0);
        // A template without mistakes; without it the bar has its own form.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %, {eta} left  {prefix} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_string());
        Self { bar, others }
    }
}

impl Observer for Progress {
    fn step(&self, step: &Step) {
        let (steps, at) = (step.epochs * step.steps, step.epoch * step.steps + step.step);
        if self.bar.length() != Some(steps as u64) {
            if let Some(folder) = self.others.as_ref().filter(|_| at == 0) {
                tracing::warn!(
                    "the training begins anew: the checkpoints in {} are of other settings or other data, and go when this model is saved",
                    folder.display()
                );
            }
            self.bar.set_length(steps as u64);
            // A run that is taken up is not timed from its beginning.
            self.bar.set_position(at as u64);
            self.bar.reset_eta();
        }
        self.bar.set_position(at as u64);
    }

    fn epoch(&self, log: &EpochLog, epochs: usize) {
        let score = log.validation_score.map(|score| format!(", validation {score:.3}")).unwrap_or_default();
        let loss = log.losses.get("total").copied().unwrap_or(f64::NAN);
        self.bar.set_message(format!("epoch {} of {epochs}, loss {loss:.3}{score}", log.epoch + 1));
    }

    fn finished(&self) {
        self.bar.finish_and_clear();
    }
}
