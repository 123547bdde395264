//! Noise of known level in the training inputs (section 2.6 of the method's description).

use crate::UdmlConfig;
use candle_core::Tensor;
use mm_core::data::{InputKind, InputSpec, Inputs, Reading, Schema};
use mm_core::train::Step;
use mm_core::{Error, Result, rng};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The level of an input without noise.
pub const CLEAN_LEVEL: f32 = 1.0;

/// How a training input is corrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseFamily {
    /// Added normal noise, its standard deviation proportional to `level - 1`.
    Gaussian,
    /// All zeros, as of a sensor that died (inputs are standardized: zero is the training mean).
    Dead,
    /// All values equal to one constant between -3 and 3, as of a sensor that is stuck.
    Stuck,
}

/// What noise the training inputs get; no families: none, the training is clean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseConfig {
    /// What happens to corrupted inputs.
    pub families: Vec<NoiseFamily>,
    /// Share of the corrupted inputs that are dead or stuck, where such families are among others.
    pub dead_fraction: f64,
    /// Share of samples with all modalities clean.
    pub clean_samples: f64,
    /// Share of clean modalities in the other samples.
    pub clean_modalities: f64,
    /// The highest level of gaussian noise; the level is uniform from 1 to here. Dead and stuck inputs are one level above.
    pub max_level: f32,
    /// Standard deviation of the noise per level above 1, in standard deviations of the clean values.
    pub std_per_level: f32,
}

impl Default for NoiseConfig {
    fn default() -> Self {
        Self {
            families: vec![NoiseFamily::Gaussian, NoiseFamily::Dead, NoiseFamily::Stuck],
            dead_fraction: 0.25,
            clean_samples: 0.5,
            clean_modalities: 0.5,
            max_level: 10.0,
            std_per_level: 0.4,
        }
    }
}

impl NoiseConfig {
    /// No noise.
    pub fn clean() -> Self {
        Self { families: Vec::new(), ..Self::default() }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let shares =
            [("dead_fraction", self.dead_fraction), ("clean_samples", self.clean_samples), ("clean_modalities", self.clean_modalities)];
        for (field, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::config(format!("noise.{field}"), format!("must lie between 0 and 1, found {value}")));
            }
        }
        if !(self.max_level > CLEAN_LEVEL && self.max_level <= 1000.0) {
            return Err(Error::config(
                "noise.max_level",
                format!("must be above 1 (the clean level) and at most 1000, found {}", self.max_level),
            ));
        }
        if !(self.std_per_level > 0.0 && self.std_per_level.is_finite()) {
            return Err(Error::config("noise.std_per_level", format!("must be positive, found {}", self.std_per_level)));
        }
        Ok(())
    }

    /// The family of a corrupted input, from two numbers uniform in `[0, 1)`.
    fn family(&self, kind: f64, choice: f64) -> Option<NoiseFamily> {
        let (gaussian, constant): (Vec<NoiseFamily>, Vec<NoiseFamily>) = self.families.iter().partition(|f| **f == NoiseFamily::Gaussian);
        let pool = if gaussian.is_empty() || (!constant.is_empty() && kind < self.dead_fraction) { constant } else { gaussian };
        pool.get((choice * pool.len() as f64) as usize).copied()
    }
}

/// Inputs with noise, and how much.
#[derive(Debug, Clone)]
pub struct NoisyInputs {
    /// The samples with noisy readings.
    pub inputs: Inputs,
    /// Level of each reading, `[batch, modalities]`; 1 where it is clean or absent.
    pub levels: Tensor,
}

impl UdmlConfig {
    /// The inputs of a step: noisy once the clean share of the run is over.
    pub(crate) fn noisy(&self, inputs: &Inputs, schema: &Schema, step: &Step) -> Result<NoisyInputs> {
        let clean = NoiseConfig::clean();
        let noise = if epochs_done(step) < self.clean_share { &clean } else { &self.noise };
        inject_noise(inputs, &schema.inputs, noise, step.seed, step.epoch as u64)
    }

    /// Whether the weights of this step do not look at the noise yet.
    pub(crate) fn ignores_levels(&self, step: &Step) -> bool {
        epochs_done(step) < self.static_share
    }
}

/// Share of the run's epochs that are over.
fn epochs_done(step: &Step) -> f64 {
    step.epoch as f64 / step.epochs.max(1) as f64
}

/// Corrupts the readings that are present, keyed by (seed, epoch, sample, modality): not by what else is in the batch. `specs` says what the
/// readings of each modality are: token ids stay as they are, and so does what lies behind a reading's length.
pub fn inject_noise(inputs: &Inputs, specs: &[InputSpec], config: &NoiseConfig, seed: u64, epoch: u64) -> Result<NoisyInputs> {
    let modalities = inputs.modalities().len();
    let mut levels = vec![CLEAN_LEVEL; inputs.len() * modalities];
    let mut noisy = inputs.clone();
    if !config.families.is_empty() {
        let is_clean = |&id: &u64| rng::stream(seed, "clean sample", &[epoch, id]).random::<f64>() < config.clean_samples;
        let clean: Vec<bool> = inputs.ids().iter().map(is_clean).collect();
        // An id is the name of a word: some more or less is another word, or none.
        for m in (0..modalities).filter(|&m| specs.get(m).is_none_or(|spec| spec.kind != InputKind::Tokens)) {
            let rows: Vec<usize> = inputs.presence().rows_with(m).into_iter().map(|r| r as usize).filter(|&r| !clean[r]).collect();
            if let Some(reading) = inputs.at(m).filter(|_| !rows.is_empty()) {
                let key = |row: usize| rng::stream(seed, "noise", &[epoch, inputs.ids()[row], m as u64]);
                let values = corrupt(reading, config, &rows, key, |row, level| levels[row * modalities + m] = level)?;
                noisy = noisy.with_values(m, values)?;
            }
        }
    }
    let levels = Tensor::from_vec(levels, (inputs.len(), modalities), inputs.device())?;
    Ok(NoisyInputs { inputs: noisy, levels })
}

fn corrupt(
    reading: &Reading,
    config: &NoiseConfig,
    rows: &[usize],
    key: impl Fn(usize) -> rng::Rng,
    mut set_level: impl FnMut(usize, f32),
) -> Result<Tensor> {
    let input = &reading.values;
    let batch = input.dim(0)?;
    let width = input.elem_count() / batch.max(1);
    // Minus zero is the neutral element of floating-point addition: what has no noise stays as it is, bit for bit.
    let mut noise = vec![-0.0f32; batch * width];
    let mut constants: Vec<Option<f32>> = vec![None; batch];
    for &row in rows {
        let mut random = key(row);
        if random.random::<f64>() < config.clean_modalities {
            continue;
        }
        let level = CLEAN_LEVEL + (config.max_level - CLEAN_LEVEL) * random.random::<f32>();
        match config.family(random.random(), random.random()) {
            Some(NoiseFamily::Gaussian) => {
                let std = config.std_per_level * (level - CLEAN_LEVEL);
                let values = rng::standard_normal(&mut random, width);
                noise[row * width..][..width].iter_mut().zip(values).for_each(|(n, z)| *n = std * z);
                set_level(row, level);
            }
            Some(NoiseFamily::Dead) => constants[row] = Some(0.0),
            Some(NoiseFamily::Stuck) => constants[row] = Some(random.random_range(-3.0..3.0)),
            None => {}
        }
        if constants[row].is_some() {
            set_level(row, config.max_level + 1.0);
        }
    }
    let noisy = (input + Tensor::from_vec(noise, input.shape(), input.device())?)?;
    if constants.iter().all(Option::is_none) {
        return where_filled(reading, noisy);
    }
    let mut per_row = vec![1; input.rank()];
    per_row[0] = batch;
    let replaced: Vec<u8> = constants.iter().map(|c| u8::from(c.is_some())).collect();
    let replaced = Tensor::from_vec(replaced, per_row.as_slice(), input.device())?.broadcast_as(input.shape())?;
    let constants: Vec<f32> = constants.into_iter().map(Option::unwrap_or_default).collect();
    let constants = Tensor::from_vec(constants, per_row, input.device())?.broadcast_as(input.shape())?;
    where_filled(reading, replaced.where_cond(&constants, &noisy)?)
}

/// The values as far as each sample is filled; what lies behind is no reading, and stays as it is.
fn where_filled(reading: &Reading, values: Tensor) -> Result<Tensor> {
    let (Some(lengths), [batch, .., last]) = (&reading.lengths, values.dims()) else { return Ok(values) };
    let filled = |length: u32| (0..*last as u32).map(move |at| u8::from(at < length));
    let filled: Vec<u8> = lengths.to_vec1::<u32>()?.into_iter().flat_map(filled).collect();
    let mut shape = vec![1; values.rank()];
    (shape[0], shape[values.rank() - 1]) = (*batch, *last);
    let filled = Tensor::from_vec(filled, shape, values.device())?.broadcast_as(values.shape())?;
    Ok(filled.where_cond(&values, &reading.values)?)
}
