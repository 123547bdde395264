//! Learning rate of each step, with optional warm-up.

use super::written::Kinds;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A schedule as written in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The same rate throughout.
    Constant {
        /// Epochs of linear warm-up.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Half a cosine from the full rate to 0, which the step behind the last one would have.
    Cosine {
        /// Epochs of linear warm-up before the cosine.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Multiplied by `gamma` at each milestone.
    MultiStep {
        /// Epochs at which the rate drops.
        milestones: Vec<f64>,
        /// Factor of each drop.
        #[serde(default = "gamma")]
        gamma: f64,
        /// Epochs of linear warm-up.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Cosine up from `rate / div_factor` to the full rate, then cosine down to `rate / (div_factor * final_div_factor)`, step by step
    /// as PyTorch's `OneCycleLR` with `total_steps`; of N steps, number `pct_start N - 1` has the full rate and the last one the
    /// lowest. The momentum stays as it is.
    OneCycle {
        /// Share of the run that goes up: its warm-up.
        #[serde(default = "pct_start")]
        pct_start: f64,
        /// Full rate over the first rate.
        #[serde(default = "div_factor")]
        div_factor: f64,
        /// First rate over the last one.
        #[serde(default = "final_div_factor")]
        final_div_factor: f64,
    },
}

impl Kinds for ScheduleConfig {
    const NAMES: &'static str = "`constant`, `cosine`, `multi_step` and `one_cycle`";
    const EXAMPLES: &'static str = "{ kind = \"cosine\", warmup_epochs = 1 } or { kind = \"multi_step\", milestones = [20, 30] }";
}

/// The factor of a drop in PyTorch's `MultiStepLR`.
fn gamma() -> f64 {
    0.1
}

/// The share that goes up in PyTorch's `OneCycleLR`.
fn pct_start() -> f64 {
    0.3
}

/// Full rate over the first rate in PyTorch's `OneCycleLR`.
fn div_factor() -> f64 {
    25.0
}

/// First rate over the last one in PyTorch's `OneCycleLR`.
fn final_div_factor() -> f64 {
    1e4
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Cosine { warmup_epochs: 0.0 }
    }
}

impl ScheduleConfig {
    /// Refuses settings that cannot work in a run of so many epochs.
    pub fn validate(&self, epochs: usize) -> Result<()> {
        match self {
            Self::Constant { warmup_epochs } | Self::Cosine { warmup_epochs } | Self::MultiStep { warmup_epochs, .. }
                if !(0.0..=epochs as f64).contains(warmup_epochs) =>
            {
                let problem = format!("must lie within the {epochs} epochs, found {warmup_epochs}");
                Err(Error::config("schedule.warmup_epochs", problem))
            }
            Self::OneCycle { pct_start, div_factor, final_div_factor } => {
                let positive = [div_factor, final_div_factor].iter().all(|f| **f > 0.0 && f.is_finite());
                match *pct_start > 0.0 && *pct_start < 1.0 && positive {
                    true => Ok(()),
                    false => Err(Error::config("schedule.one_cycle", "pct_start must lie in (0, 1), the factors must be positive")),
                }
            }
            Self::MultiStep { gamma, .. } if !(*gamma > 0.0 && gamma.is_finite()) => {
                Err(Error::config("schedule.gamma", format!("must be a positive number, found {gamma}")))
            }
            Self::MultiStep { milestones, .. } => match milestones.iter().find(|m| !(**m >= 0.0 && m.is_finite())) {
                Some(milestone) => Err(Error::config("schedule.milestones", format!("are epochs, counted from 0; found {milestone}"))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// A schedule over a run of known length.
#[derive(Debug, Clone)]
pub struct Schedule {
    config: ScheduleConfig,
    rate: f64,
    epochs: usize,
    steps_per_epoch: usize,
}

impl Schedule {
    /// A schedule with its highest rate, over `epochs` of so many steps each (at least 1).
    pub fn new(config: ScheduleConfig, rate: f64, epochs: usize, steps_per_epoch: usize) -> Result<Self> {
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(Error::config("learning_rate", format!("must be positive, found {rate}")));
        }
        config.validate(epochs)?;
        Ok(Self { config, rate, epochs, steps_per_epoch: steps_per_epoch.max(1) })
    }

    /// The rate of a step of the run, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        let of_epoch = self.steps_per_epoch as f64;
        let epoch = (step / self.steps_per_epoch) as f64 + (step % self.steps_per_epoch) as f64 / of_epoch;
        // The first step is one share up already, the first one behind the warm-up has the full rate.
        let warm = |warmup: f64| (epoch < warmup).then(|| self.rate * (epoch + 1.0 / of_epoch) / (warmup + 1.0 / of_epoch));
        match &self.config {
            ScheduleConfig::Constant { warmup_epochs } => warm(*warmup_epochs).unwrap_or(self.rate),
            ScheduleConfig::Cosine { warmup_epochs } => warm(*warmup_epochs).unwrap_or_else(|| {
                let progress = (epoch - warmup_epochs) / (self.epochs as f64 - warmup_epochs).max(f64::MIN_POSITIVE);
                anneal(self.rate, 0.0, progress)
            }),
            ScheduleConfig::MultiStep { milestones, gamma, warmup_epochs } => warm(*warmup_epochs).unwrap_or_else(|| {
                let passed = milestones.iter().filter(|m| epoch >= **m).count();
                self.rate * gamma.powi(passed as i32)
            }),
            ScheduleConfig::OneCycle { pct_start, div_factor, final_div_factor } => {
                let (step, steps) = (step as f64, (self.epochs * self.steps_per_epoch) as f64);
                let (peak, last) = (pct_start * steps - 1.0, steps - 1.0);
                let first = self.rate / div_factor;
                match step < peak {
                    true => anneal(first, self.rate, step / peak),
                    false => anneal(self.rate, first / final_div_factor, (step - peak) / (last - peak).max(f64::MIN_POSITIVE)),
                }
            }
        }
    }
}

fn anneal(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * progress.clamp(0.0, 1.0)).cos()) / 2.0
}
