//! Settings of the training loop.

use crate::data::{AugmentConfig, Schema, Source, TargetValue, nearest};
use crate::dense::Flipped;
use crate::error::{Error, Result};
use crate::eval::check_threshold_by;
use crate::model::Model;
use crate::optim::{OptimizerConfig, Schedule, ScheduleConfig, written};
use crate::task::{Measure, Target};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples a step.
    pub batch_size: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// How the learning rate changes.
    #[serde(deserialize_with = "written")]
    pub schedule: ScheduleConfig,
    /// The optimizer.
    #[serde(deserialize_with = "written")]
    pub optimizer: OptimizerConfig,
    /// Random transforms of the training images; none by default.
    pub augment: AugmentConfig,
    /// Mixes each training sample with another of its batch, reading by reading, and its target with the other's (mixup, Zhang et al.
    /// 2018): the share of its own is drawn from Beta(mixup, mixup), once a step. 0: none; 0.2 is usual. A sample with other sensors than its partner stays.
    #[serde(skip_serializing_if = "is_off")]
    pub mixup: f64,
    /// Largest L2 norm of all gradients together, 0 for none; by default what the method asks for ([`Method::clip_norm`](super::Method::clip_norm)), or the
    /// task ([`Task::clip_norm`](crate::task::Task::clip_norm)).
    pub clip_norm: Option<f64>,
    /// Seed of the initialisation, the order of samples, the masks and all other draws.
    pub seed: u64,
    /// How much each class weighs in the loss.
    #[serde(skip_serializing_if = "ClassWeights::are_even")]
    pub class_weights: ClassWeights,
    /// Weight of the soft Dice loss beside the cross entropy, where each pixel has a class ([`soft_dice`](crate::loss::soft_dice)); 0: none.
    /// It weighs every class alike, however few pixels it has.
    #[serde(skip_serializing_if = "is_off")]
    pub dice: f64,
    /// Where each pixel has a class: the trained model is asked for the mirrored inputs, too, and answers with the mean of both scores
    /// ([`Flipped`](crate::dense::Flipped)): twice the work of a prediction.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test_flips: bool,
    /// The same in all four quarter turns, each mirrored as well ([`Flipped::turned`](crate::dense::Flipped::turned)): eight times the work.
    /// For images without an up and a down.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test_turns: bool,
    /// Where numbers are predicted: errors above so many standard deviations count in proportion, not squared (Huber 1964), so that a few
    /// wild values do not lead the training; 0: all are squared; 1 is usual.
    #[serde(skip_serializing_if = "is_off")]
    pub huber: f64,
    /// Whose samples batch norms have their statistics from, where several processes train together.
    #[serde(skip_serializing_if = "BatchNorms::are_synchronised")]
    pub batch_norm: BatchNorms,
    /// The trained model has the exponential moving average of the weights over the steps, which keeps this share of itself at each
    /// ([`WeightAverage`](crate::optim::WeightAverage)), and is validated with it; 0: the weights of the last step; 0.99 to 0.9999 are usual.
    #[serde(skip_serializing_if = "is_off")]
    pub ema_decay: f64,
    /// Which epoch's weights are kept.
    pub select: Selection,
    /// Name of the validation score that selects, such as `balanced_accuracy` or `auroc`; by default the one that heads the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select_by: Option<String>,
    /// Where there are two classes: the score (`accuracy`, `macro_f1` or `balanced_accuracy`) that decides from which probability on the
    /// second class is predicted, chosen on the validation samples once the training has ended; by default the likelier class is predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_by: Option<String>,
    /// Validate every so many epochs; 0: only where `select` or `patience` need it (then every epoch).
    pub validate_every: usize,
    /// Stop after so many validations without a new best mean score over combinations.
    pub patience: Option<usize>,
}

/// Whose samples batch norms have their statistics from, where several processes train together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchNorms {
    /// The samples of all processes: the training is that of one process, up to rounding.
    #[default]
    Synchronised,
    /// Each process has those of its own samples, which saves two exchanges a norm and step; the running statistics are the mean over the
    /// processes. The training depends on the number of processes.
    PerRank,
}

impl BatchNorms {
    fn are_synchronised(&self) -> bool {
        *self == Self::Synchronised
    }
}

/// How much each class weighs in the loss.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All samples weigh the same.
    #[default]
    None,
    /// A class weighs the more the fewer training samples it has: samples / (classes · samples of the class). A label weighs, where it
    /// holds: samples without it / samples with it.
    Balanced,
    /// Of pixels: median of the classes' frequencies over that of the class, where the frequency is the share of a class in the pixels of the
    /// images that show it (Eigen and Fergus, ICCV 2015).
    MedianFrequency,
    /// 1 / ln(1.02 + share of the class) (Paszke et al., ENet, 2016).
    Logarithmic,
    /// By class name; a class that is not named weighs 1.
    ByName(BTreeMap<String, f64>),
}

impl ClassWeights {
    /// Whether all samples weigh the same.
    pub fn are_even(&self) -> bool {
        *self == Self::None
    }

    /// The weight of each class, from the training rows; empty where all weigh the same.
    pub(crate) fn resolve(&self, source: &dyn Source, train: &[usize]) -> Result<Vec<f32>> {
        let target = &source.schema().target;
        let names = if matches!(target, Target::Labels(_)) { target.output_names() } else { target.class_names() };
        let at = |problem: String| Error::config("train.class_weights", problem);
        if !self.are_even() && names.is_empty() {
            return Err(at("the target of this data is no class and no label: leave them out".into()));
        }
        match self {
            Self::None => Ok(Vec::new()),
            Self::Balanced if matches!(target, Target::Labels(_)) => {
                let held = label_counts(source, train)?;
                let weight = |&held: &u64| if held == 0 { 1.0 } else { (train.len() as u64 - held) as f32 / held as f32 };
                Ok(held.iter().map(weight).collect())
            }
            Self::Logarithmic if matches!(target, Target::Labels(_)) => {
                Err(at("`logarithmic` is for classes; write `balanced` for labels".into()))
            }
            Self::Balanced => {
                let counts = class_counts(source, train)?;
                let (all, present) = (counts.iter().sum::<u64>(), counts.iter().filter(|count| **count > 0).count() as u64);
                let weight = |&count: &u64| if count == 0 { 1.0 } else { all as f32 / (present * count) as f32 };
                Ok(counts.iter().map(weight).collect())
            }
            Self::MedianFrequency => {
                let shares = class_shares(source, train).map_err(|error| error.unwrap_or_else(|| at(ONLY_PIXELS.into())))?;
                let mut sorted: Vec<f64> = shares.iter().copied().filter(|share| *share > 0.0).collect();
                sorted.sort_by(f64::total_cmp);
                let median = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0);
                Ok(shares.iter().map(|share| if *share > 0.0 { (median / share) as f32 } else { 1.0 }).collect())
            }
            Self::Logarithmic => {
                let counts = class_counts(source, train)?;
                let all = counts.iter().sum::<u64>().max(1) as f64;
                Ok(counts.iter().map(|&count| (1.0 / (LOGARITHMIC + count as f64 / all).ln()) as f32).collect())
            }
            Self::ByName(weights) => {
                let mut resolved = vec![1.0; names.len()];
                for (name, &weight) in weights {
                    let Some(class) = names.iter().position(|n| n == name) else {
                        let near = nearest(name, names.iter().map(String::as_str));
                        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                        return Err(at(format!("there is no class `{name}`{near}")));
                    };
                    if !(weight >= 0.0 && weight.is_finite()) {
                        return Err(at(format!("the weight of `{name}` must be a number that is not negative, found {weight}")));
                    }
                    resolved[class] = weight as f32;
                }
                Ok(resolved)
            }
        }
    }
}

/// What is added to a share under the logarithm, so that weights stay between 1.4 and 50.
const LOGARITHMIC: f64 = 1.02;

const ONLY_PIXELS: &str = "`median_frequency` weighs the classes of pixels; write `balanced` for classes of samples";

/// How many training samples are of each class, or pixels where each of these has one.
fn class_counts(source: &dyn Source, train: &[usize]) -> Result<Vec<u64>> {
    let mut counts = vec![0u64; source.schema().target.classes()];
    if !source.schema().target.is_dense() {
        for class in train.iter().filter_map(|&row| source.meta(row).class) {
            counts.get_mut(class as usize).into_iter().for_each(|count| *count += 1);
        }
        return Ok(counts);
    }
    for of_image in pixel_counts(source, train)? {
        counts.iter_mut().zip(of_image).for_each(|(sum, count)| *sum += count);
    }
    Ok(counts)
}

/// For how many training samples each label holds.
fn label_counts(source: &dyn Source, train: &[usize]) -> Result<Vec<u64>> {
    let mut counts = vec![0u64; source.schema().target.output_names().len()];
    for &row in train {
        if let TargetValue::Labels(held) = source.target(row)? {
            counts.iter_mut().zip(held).for_each(|(count, holds)| *count += u64::from(holds));
        }
    }
    Ok(counts)
}

/// The share of each class in the labelled pixels of the images that show it; 0 where none does. `Err(None)` where samples have a class.
fn class_shares(source: &dyn Source, train: &[usize]) -> std::result::Result<Vec<f64>, Option<Error>> {
    if !source.schema().target.is_dense() {
        return Err(None);
    }
    let classes = source.schema().target.classes();
    let (mut pixels, mut of_images) = (vec![0u64; classes], vec![0u64; classes]);
    for of_image in pixel_counts(source, train).map_err(Some)? {
        let labelled: u64 = of_image.iter().sum();
        for (class, count) in of_image.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            pixels[class] += count;
            of_images[class] += labelled;
        }
    }
    Ok(pixels.iter().zip(&of_images).map(|(&pixels, &all)| pixels as f64 / all.max(1) as f64).collect())
}

/// The labelled pixels of each class, image by image.
fn pixel_counts(source: &dyn Source, train: &[usize]) -> Result<Vec<Vec<u64>>> {
    let classes = source.schema().target.classes();
    let of_image = |&row: &usize| {
        let mut counts = vec![0u64; classes];
        if let TargetValue::Pixels(labels) = source.target(row)? {
            for label in labels.labels().iter().filter_map(|&label| usize::from(label).checked_sub(1)) {
                counts.get_mut(label).into_iter().for_each(|count| *count += 1);
            }
        }
        Ok(counts)
    };
    train.par_iter().map(of_image).collect()
}

/// Which epoch's weights a run keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The last epoch's.
    #[default]
    Last,
    /// Those with the best mean validation score over combinations.
    BestValidation,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 40,
            batch_size: 64,
            learning_rate: 0.05,
            schedule: ScheduleConfig::default(),
            optimizer: OptimizerConfig::default(),
            augment: AugmentConfig::default(),
            mixup: 0.0,
            clip_norm: None,
            seed: 0,
            class_weights: ClassWeights::None,
            dice: 0.0,
            test_flips: false,
            test_turns: false,
            huber: 0.0,
            batch_norm: BatchNorms::default(),
            ema_decay: 0.0,
            select: Selection::Last,
            select_by: None,
            threshold_by: None,
            validate_every: 0,
            patience: None,
        }
    }
}

fn is_off(amount: &f64) -> bool {
    *amount == 0.0
}

/// Refuses losses that the target of the data does not have.
pub(crate) fn check_losses(config: &TrainConfig, schema: &Schema) -> Result<()> {
    if config.dice > 0.0 && !schema.target.is_dense() {
        return Err(Error::config("train.dice", "compares maps of classes, and the target of this data is no class for each pixel"));
    }
    if config.huber > 0.0 && !matches!(schema.target, Target::Numbers(_)) {
        return Err(Error::config("train.huber", "is about errors of numbers, and the target of this data is none"));
    }
    for (field, is_on) in [("train.test_flips", config.test_flips), ("train.test_turns", config.test_turns)] {
        if is_on && !schema.target.is_dense() {
            return Err(Error::config(field, "is about maps of classes, and the target of this data is no class for each pixel"));
        }
    }
    check_threshold_by(config.threshold_by.as_deref(), &schema.target)
}

/// More epochs than any run takes: a slip of the keyboard.
const MOST_EPOCHS: usize = 1_000_000;

/// More samples than any step takes.
const LARGEST_BATCH: usize = 1 << 20;

/// Fewer steps than that, and the learning rate is hardly up before it is down again.
const FEW_STEPS: usize = 100;

impl TrainConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MOST_EPOCHS).contains(&self.epochs) {
            return Err(Error::config("train.epochs", format!("must be 1 to {MOST_EPOCHS}, found {}", self.epochs)));
        }
        if self.batch_size < 2 {
            return Err(Error::config(
                "train.batch_size",
                format!("batch normalisation needs at least 2 samples, found {}", self.batch_size),
            ));
        }
        if self.batch_size > LARGEST_BATCH {
            return Err(Error::config("train.batch_size", format!("must be at most {LARGEST_BATCH}, found {}", self.batch_size)));
        }
        Schedule::new(self.schedule.clone(), self.learning_rate, self.epochs, 1)?;
        self.optimizer.validate()?;
        self.augment.validate()?;
        if !(0.0..=100.0).contains(&self.mixup) {
            return Err(Error::config("train.mixup", format!("must be 0 (none) to 100, found {}", self.mixup)));
        }
        if !(self.dice >= 0.0 && self.dice.is_finite()) {
            return Err(Error::config("train.dice", format!("must be 0 (none) or a weight above 0, found {}", self.dice)));
        }
        if !(self.huber >= 0.0 && self.huber.is_finite()) {
            let problem = format!("must be 0 (none) or a number of standard deviations above 0, found {}", self.huber);
            return Err(Error::config("train.huber", problem));
        }
        if self.clip_norm.is_some_and(|norm| !(norm >= 0.0 && norm.is_finite())) {
            return Err(Error::config("train.clip_norm", "must be a positive number, or 0 for no clipping"));
        }
        if !(0.0..1.0).contains(&self.ema_decay) {
            let problem = format!("must be 0 (no average) or a share below 1, such as 0.999, found {}", self.ema_decay);
            return Err(Error::config("train.ema_decay", problem));
        }
        if self.patience == Some(0) {
            return Err(Error::config("train.patience", "must be at least 1: a run can stop only after a validation without a new best"));
        }
        Ok(())
    }

    /// Refuses settings that cannot work with the data, `validation` being those of its samples that are held out.
    pub fn check(&self, source: &dyn Source, validation: &[usize]) -> Result<()> {
        self.validate()?;
        if let (true, Some(field)) = (validation.is_empty(), self.needs_validation()) {
            let problem = "needs validation samples, and there are none: name the part `validation` of some samples, or give it a share under \
                           [split] of the card";
            return Err(Error::config(field, problem));
        }
        self.selection_measure(source.schema())?;
        self.augment.check(source.schema())?;
        check_losses(self, source.schema())?;
        super::mixup::check(self.mixup, source.schema())?;
        // Whether such weights are possible; what they are takes a look at the training samples.
        self.class_weights.resolve(source, &[]).map(drop)
    }

    /// The field that needs validation samples, the first of several.
    pub fn needs_validation(&self) -> Option<&'static str> {
        let fields = [
            ("train.select", self.select == Selection::BestValidation),
            ("train.patience", self.patience.is_some()),
            ("train.validate_every", self.validate_every > 0),
            ("train.threshold_by", self.threshold_by.is_some()),
        ];
        fields.into_iter().find(|(_, needs)| *needs).map(|(field, _)| field)
    }

    /// What to know before a training on so many samples: that it has few steps, and a score that nothing is selected by.
    pub fn remarks(&self, samples: usize) -> Vec<String> {
        let unused = self.select_by.as_ref().filter(|_| !self.validates_after(self.epochs.saturating_sub(1)));
        let unused = unused.map(|score| {
            format!(
                "`select_by = {score:?}` changes nothing: for a selection write `select = \"best_validation\"`, a `patience` or \
                 `validate_every` beside it"
            )
        });
        self.few_steps(samples).into_iter().chain(unused).collect()
    }

    fn few_steps(&self, samples: usize) -> Option<String> {
        let (epochs, batch) = (self.epochs, self.batch_size);
        // The last batch of an epoch is left out where it is smaller.
        let steps = epochs.saturating_mul((samples / batch.max(1)).max(1));
        (steps < FEW_STEPS).then(|| {
            format!(
                "a training takes few steps, {steps} ({samples} samples in batches of {batch}, epochs: {epochs}), and may learn little in them: \
                 a smaller `batch_size` or more `epochs` make more"
            )
        })
    }

    /// A trained model as these settings put it to use: with [`TrainConfig::test_flips`] or [`TrainConfig::test_turns`], a [`Flipped`].
    pub fn deployed(&self, model: Box<dyn Model>) -> Box<dyn Model> {
        let model = Flipped::unwrapped(model);
        match (self.test_turns, self.test_flips) {
            (true, _) => Box::new(Flipped::turned(model)),
            (false, true) => Box::new(Flipped::new(model)),
            (false, false) => model,
        }
    }

    /// The validation score that selects.
    pub(crate) fn selection_measure(&self, schema: &Schema) -> Result<Measure> {
        let measures = schema.target.task().measures();
        let Some(name) = &self.select_by else { return Ok(schema.measure()) };
        measures.iter().find(|measure| measure.name == name).copied().ok_or_else(|| {
            let known: Vec<&str> = measures.iter().map(|measure| measure.name).collect();
            let instead = schema.target.instead_of(name, &known);
            Error::config("train.select_by", format!("there is no score `{name}` for this target{instead}"))
        })
    }

    /// Whether to validate after `epoch` (from 0).
    pub(crate) fn validates_after(&self, epoch: usize) -> bool {
        let needed = self.select == Selection::BestValidation || self.patience.is_some();
        match (self.validate_every, needed) {
            (0, needed) => needed,
            (every, _) => (epoch + 1).is_multiple_of(every) || epoch + 1 == self.epochs,
        }
    }
}

/// Where and how often a run is saved.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointConfig {
    /// Folder of the checkpoints.
    pub folder: PathBuf,
    /// A checkpoint at the first step after so many seconds, within an epoch or at its end; 0 saves after every step.
    pub every_seconds: f64,
    /// What identifies the run (hash of configuration and data): a checkpoint of another one is refused.
    pub fingerprint: String,
}

/// Seconds between checkpoints where nothing else is said.
const EVERY_SECONDS: f64 = 60.0;

/// A folder, with a checkpoint a minute.
impl From<PathBuf> for CheckpointConfig {
    fn from(folder: PathBuf) -> Self {
        Self { folder, every_seconds: EVERY_SECONDS, fingerprint: String::new() }
    }
}

impl From<&str> for CheckpointConfig {
    fn from(folder: &str) -> Self {
        PathBuf::from(folder).into()
    }
}
