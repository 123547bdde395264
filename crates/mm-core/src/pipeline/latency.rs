//! How long the prediction of one sample takes, from its files to the answer.

use super::{Pipeline, Readings};
use crate::data::{Sample, Source};
use crate::error::Result;
use crate::eval::default_combinations;
use crate::modality::Subset;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Samples that are timed for a combination, after some that are not.
const SAMPLES: usize = 30;
const WARM_UP: usize = 3;
/// A combination takes no longer than this.
const LONGEST: Duration = Duration::from_millis(500);
/// More combinations than this are not timed all: then those of one sensor, and that of all.
const MOST: usize = 63;

/// How long the prediction of one sample takes with each combination of sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Latency {
    /// On what it was measured, as the caller said.
    pub machine: String,
    /// Threads that computed.
    pub threads: usize,
    /// Whether files were read and decoded in the time; otherwise readings were in memory.
    pub from_files: bool,
    /// By combination.
    pub combinations: Vec<CombinationLatency>,
}

/// Of one combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CombinationLatency {
    /// The combination, such as `rgb+depth`.
    pub combination: String,
    /// Half of the predictions took less, in milliseconds.
    pub median_ms: f64,
    /// Nine of ten took less.
    pub p90_ms: f64,
}

impl Latency {
    /// Of a combination by name.
    pub fn of(&self, combination: &str) -> Option<&CombinationLatency> {
        self.combinations.iter().find(|c| c.combination == combination)
    }
}

impl Pipeline {
    /// Times the prediction of single samples with each combination of sensors, and remembers it for the model card. Samples that have files
    /// are read from them, which the system has in memory by then.
    pub fn measure_latency(&mut self, source: &dyn Source, rows: &[usize], machine: &str) -> Result<&Latency> {
        let modalities = self.schema().modalities.clone();
        let all = default_combinations(modalities.len(), 0);
        let few = |subset: &Subset| subset.len() == 1 || *subset == modalities.full();
        let timed = all.iter().copied().filter(|subset| all.len() <= MOST || few(subset)).filter(|&subset| self.model().supports(subset));
        let mut combinations = Vec::new();
        let mut from_files = false;
        for subset in timed {
            let having = rows.iter().copied().filter(|&row| subset.is_subset_of(source.meta(row).presence)).take(SAMPLES);
            let mut asked = Vec::new();
            for row in having {
                let (readings, files) = readings(source, row, subset, modalities.names())?;
                from_files |= files;
                asked.push(readings);
            }
            if asked.is_empty() {
                continue;
            }
            let begun = Instant::now();
            let mut milliseconds = Vec::with_capacity(SAMPLES);
            for (turn, readings) in asked.iter().cycle().take(WARM_UP + SAMPLES).enumerate() {
                let started = Instant::now();
                // A reading that this model cannot use (a dead sensor) is an answer, too.
                drop(self.predict(readings));
                if turn >= WARM_UP {
                    milliseconds.push(1e3 * started.elapsed().as_secs_f64());
                }
                if begun.elapsed() > LONGEST && !milliseconds.is_empty() {
                    break;
                }
            }
            milliseconds.sort_by(f64::total_cmp);
            let at = |share: f64| milliseconds[((milliseconds.len() - 1) as f64 * share).round() as usize];
            combinations.push(CombinationLatency { combination: modalities.format(subset), median_ms: at(0.5), p90_ms: at(0.9) });
        }
        let latency = Latency { machine: machine.into(), threads: rayon::current_num_threads(), from_files, combinations };
        Ok(self.config.latency.insert(latency))
    }
}

/// What some sensors of a row gave: where it is, if the source knows that, and otherwise the readings themselves.
fn readings(source: &dyn Source, row: usize, subset: Subset, names: &[String]) -> Result<(Readings, bool)> {
    let wanted = |m: &usize| subset.contains(*m);
    if let Some(origins) = source.origins(row) {
        let named = (0..names.len()).filter(wanted).filter_map(|m| Some((&names[m], origins[m].clone()?)));
        return Ok((named.fold(Readings::new(), |readings, (name, origin)| readings.origin(name, origin)), true));
    }
    let Sample { readings, .. } = source.read(row)?;
    let named = names.iter().zip(readings).enumerate().filter(|(m, _)| wanted(m));
    Ok((named.fold(Readings::new(), |all, (_, (name, array))| array.into_iter().fold(all, |all, array| all.array(name, array))), false))
}
