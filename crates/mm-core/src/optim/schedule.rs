//! Learning rate as a function of progress, with optional warm-up.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A schedule as written in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The same rate throughout.
    Constant {
        /// Epochs of linear warm-up from 0.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Half a cosine from the full rate to 0.
    Cosine {
        /// Epochs of linear warm-up from 0, before the cosine.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Multiplied by `gamma` at each milestone.
    MultiStep {
        /// Epochs at which the rate drops.
        milestones: Vec<f64>,
        /// Factor of each drop.
        gamma: f64,
        /// Epochs of linear warm-up from 0.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Cosine up from `rate / div_factor` to the full rate, then cosine down to `rate / (div_factor * final_div_factor)`.
    OneCycle {
        /// Share of the run that goes up: its warm-up.
        pct_start: f64,
        /// Full rate over the first rate.
        div_factor: f64,
        /// First rate over the last one.
        final_div_factor: f64,
    },
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Cosine { warmup_epochs: 0.0 }
    }
}

/// A schedule over a run of known length.
#[derive(Debug, Clone)]
pub struct Schedule {
    config: ScheduleConfig,
    rate: f64,
    epochs: f64,
}

impl Schedule {
    /// A schedule with its highest rate, over `epochs`.
    pub fn new(config: ScheduleConfig, rate: f64, epochs: f64) -> Result<Self> {
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(Error::config("learning_rate", format!("must be positive, found {rate}")));
        }
        if let ScheduleConfig::Constant { warmup_epochs }
        | ScheduleConfig::Cosine { warmup_epochs }
        | ScheduleConfig::MultiStep { warmup_epochs, .. } = config
            && !(0.0..=epochs).contains(&warmup_epochs)
        {
            return Err(Error::config("schedule.warmup_epochs", format!("must lie within the {epochs} epochs, found {warmup_epochs}")));
        }
        if let ScheduleConfig::OneCycle { pct_start, div_factor, final_div_factor } = config {
            let positive = [div_factor, final_div_factor].iter().all(|f| *f > 0.0 && f.is_finite());
            if !(pct_start > 0.0 && pct_start < 1.0 && positive) {
                return Err(Error::config("schedule.one_cycle", "pct_start must lie in (0, 1), the factors must be positive"));
            }
        }
        if let ScheduleConfig::MultiStep { milestones, gamma, .. } = &config {
            if !(*gamma > 0.0 && gamma.is_finite()) {
                return Err(Error::config("schedule.gamma", format!("must be a positive number, found {gamma}")));
            }
            if let Some(milestone) = milestones.iter().find(|m| !(**m >= 0.0 && m.is_finite())) {
                return Err(Error::config("schedule.milestones", format!("are epochs, counted from 0; found {milestone}")));
            }
        }
        Ok(Self { config, rate, epochs })
    }

    /// The rate at `epoch`, counted from 0; fractions are steps within an epoch.
    pub fn rate(&self, epoch: f64) -> f64 {
        let warm = |warmup: f64| if epoch < warmup { Some(self.rate * epoch / warmup) } else { None };
        match &self.config {
            ScheduleConfig::Constant { warmup_epochs } => warm(*warmup_epochs).unwrap_or(self.rate),
            ScheduleConfig::Cosine { warmup_epochs } => warm(*warmup_epochs).unwrap_or_else(|| {
                let progress = (epoch - warmup_epochs) / (self.epochs - warmup_epochs).max(f64::MIN_POSITIVE);
                anneal(self.rate, 0.0, progress)
            }),
            ScheduleConfig::MultiStep { milestones, gamma, warmup_epochs } => warm(*warmup_epochs).unwrap_or_else(|| {
                let passed = milestones.iter().filter(|m| epoch >= **m).count();
                self.rate * gamma.powi(passed as i32)
            }),
            ScheduleConfig::OneCycle { pct_start, div_factor, final_div_factor } => {
                // Peak and end lie on whole steps of the caller's unit, as in PyTorch.
                let (peak, last) = (pct_start * self.epochs - 1.0, self.epochs - 1.0);
                let first = self.rate / div_factor;
                match epoch < peak {
                    true => anneal(first, self.rate, epoch / peak),
                    false => anneal(self.rate, first / final_div_factor, (epoch - peak) / (last - peak).max(f64::MIN_POSITIVE)),
                }
            }
        }
    }
}

fn anneal(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * progress.clamp(0.0, 1.0)).cos()) / 2.0
}
