//! Imputation from nearest neighbours: an absent sensor's feature is the mean of those of the training samples that are most alike in the
//! sensors that are there.

use crate::imputed::{Features, Imputer, Imputing, Widths};
use candle_core::{Tensor, Var};
use candle_nn::Init;
use mm_core::fusion::NetworkConfig;
use mm_core::missing::MissingPattern;
use mm_core::nn::Parameters;
use mm_core::rng::Draws;
use mm_core::{Error, Result, Subset};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Settings of imputation from nearest neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NearestConfig {
    /// The network.
    pub network: NetworkConfig,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
    /// As many of the nearest training samples that have the sensor are averaged.
    pub neighbours: usize,
    /// As many training samples, chosen at random where there are more, are kept with the model.
    pub stored: usize,
}

impl Default for NearestConfig {
    fn default() -> Self {
        Self { network: NetworkConfig::default(), missing: MissingPattern::Natural, neighbours: 10, stored: 2000 }
    }
}

/// More samples than anyone waits for: each prediction looks at all of them.
const MOST_STORED: usize = 100_000;

impl NearestConfig {
    pub(crate) fn check(&self) -> Result<()> {
        if self.neighbours == 0 || self.neighbours > self.stored {
            let problem =
                format!("is {}, with `stored` = {}; it is at least 1, and at most as many as are stored", self.neighbours, self.stored);
            return Err(Error::config("options.neighbours", problem));
        }
        match self.stored <= MOST_STORED {
            true => Ok(()),
            false => Err(Error::config("options.stored", format!("is {}; at most {MOST_STORED} are possible", self.stored))),
        }
    }
}

impl Imputing for NearestConfig {
    fn missing(&self) -> &MissingPattern {
        &self.missing
    }

    fn imputer(&self, widths: Widths, parameters: &Parameters) -> Result<Box<dyn Imputer>> {
        let vb = parameters.builder().pp("imputer");
        vb.get_with_hints((self.stored, widths.total()), "features", Init::Const(0.0))?;
        vb.get_with_hints((self.stored, widths.sensors()), "present", Init::Const(0.0))?;
        let variable = |name: &str| parameters.variable(name).ok_or_else(|| Error::config("imputer", format!("has no `{name}`")));
        let (features, present) = (variable("imputer.features")?, variable("imputer.present")?);
        Ok(Box::new(Neighbours { widths, neighbours: self.neighbours, features, present }))
    }
}

/// Training samples that are kept.
struct Neighbours {
    widths: Widths,
    neighbours: usize,
    /// `[stored, width]`.
    features: Var,
    /// 1 or 0, `[stored, sensors]`; rows of zeros hold no sample.
    present: Var,
}

/// The kept samples as plain numbers.
struct Stored {
    features: Vec<f32>,
    presence: Vec<Option<Subset>>,
    /// By sensor, 1 over the variance of its features: sensors count alike, whatever their width and scale.
    scales: Vec<f32>,
}

impl Neighbours {
    fn stored(&self) -> Result<Stored> {
        let features = self.features.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        let present = self.present.as_tensor().to_vec2::<f32>()?;
        let presence = present.iter().map(|row| Subset::from_indices((0..row.len()).filter(|&m| row[m] > 0.5)).ok()).collect::<Vec<_>>();
        let width = self.widths.total();
        let scale = |m: usize| {
            let having = || {
                features.chunks_exact(width).zip(&presence).filter(|(_, has)| has.is_some_and(|has| has.contains(m))).map(|(row, _)| row)
            };
            let count = having().count().max(1) as f64;
            let variance: f64 = self
                .widths
                .of(m)
                .map(|i| {
                    let mean = having().map(|row| f64::from(row[i])).sum::<f64>() / count;
                    having().map(|row| (f64::from(row[i]) - mean).powi(2)).sum::<f64>() / count
                })
                .sum();
            if variance > 0.0 { (1.0 / variance) as f32 } else { 0.0 }
        };
        let scales = (0..self.widths.sensors()).map(scale).collect();
        Ok(Stored { features, presence, scales })
    }

    /// Fills the absent sensors of one sample.
    fn fill_row(&self, row: &mut [f32], has: Subset, stored: &Stored) {
        let width = self.widths.total();
        // How far each kept sample is: the mean over the sensors that both have; those without such a sensor are no neighbours.
        let mut distances: Vec<(f32, usize)> = Vec::with_capacity(stored.presence.len());
        for (j, other) in stored.presence.iter().enumerate() {
            let Some(shared) = other.and_then(|other| other.intersection(has)) else { continue };
            let other = &stored.features[j * width..][..width];
            let of_sensor = |m: usize| {
                let squares = self.widths.of(m).map(|i| (row[i] - other[i]).powi(2)).sum::<f32>();
                squares * stored.scales[m]
            };
            distances.push((shared.indices().map(of_sensor).sum::<f32>() / shared.len() as f32, j));
        }
        let absent: Vec<usize> = (0..self.widths.sensors()).filter(|m| !has.contains(*m)).collect();
        for &m in &absent {
            let range = self.widths.of(m);
            let having = |j: usize| stored.presence[j].is_some_and(|other| other.contains(m));
            let mut candidates: Vec<(f32, usize)> = distances.iter().copied().filter(|(_, j)| having(*j)).collect();
            let count = self.neighbours.min(candidates.len());
            // Of equals, the first: the same on every machine.
            let nearer = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if count > 0 && count < candidates.len() {
                candidates.select_nth_unstable_by(count - 1, nearer);
            }
            candidates.truncate(count);
            candidates.sort_by(nearer);
            row[range.clone()].fill(0.0);
            for (_, j) in &candidates {
                let other = &stored.features[j * width..][range.clone()];
                row[range.clone()].iter_mut().zip(other).for_each(|(x, other)| *x += other / count as f32);
            }
        }
    }
}

impl Imputer for Neighbours {
    fn fit(&self, features: &Features) -> Result<()> {
        let (stored, width, sensors) = (self.features.dim(0)?, self.widths.total(), self.widths.sensors());
        let draws = Draws::new(0, "stored-neighbours", &[]);
        let mut chosen: Vec<(u64, usize)> = features.ids.iter().enumerate().map(|(row, &id)| (draws.of(id).random(), row)).collect();
        chosen.sort_unstable();
        chosen.truncate(stored);
        let (mut values, mut present) = (vec![0.0f32; stored * width], vec![0.0f32; stored * sensors]);
        for (place, (_, row)) in chosen.into_iter().enumerate() {
            values[place * width..][..width].copy_from_slice(&features.values[row * width..][..width]);
            features.presence[row].indices().for_each(|m| present[place * sensors + m] = 1.0);
        }
        let device = self.features.device();
        self.features.set(&Tensor::from_vec(values, (stored, width), device)?)?;
        self.present.set(&Tensor::from_vec(present, (stored, sensors), device)?)?;
        Ok(())
    }

    fn fill(&self, values: &mut [f32], presence: &[Subset]) -> Result<()> {
        let stored = self.stored()?;
        values.par_chunks_exact_mut(self.widths.total()).zip(presence).for_each(|(row, has)| self.fill_row(row, *has, &stored));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn subset(bits: u16) -> Subset {
        Subset::from_bits(bits).expect("subset")
    }

    #[test]
    fn the_nearest_that_have_the_sensor_are_averaged() {
        let config = NearestConfig { neighbours: 2, stored: 6, ..NearestConfig::default() };
        let imputer = config.imputer(Widths::new(&[1, 2]), &Parameters::new(0, &Device::Cpu)).expect("imputer");
        let mut row = [1.0, f32::NAN, f32::NAN];
        imputer.fill(&mut row, &[subset(0b01)]).expect("filled");
        assert_eq!(row, [1.0, 0.0, 0.0]);
        let rows = [[0.0, 1.0, 10.0], [1.0, 3.0, 30.0], [1.1, 0.0, 0.0], [5.0, 7.0, 70.0], [0.0, 9.0, 90.0]];
        let presence = [0b11, 0b11, 0b01, 0b11, 0b10].map(subset).to_vec();
        let features = Features { values: rows.concat(), presence, ids: (0..5).collect() };
        imputer.fit(&features).expect("fitted");
        // The third lacks what is asked for, the last what is compared.
        let mut row = [1.1, f32::NAN, f32::NAN];
        imputer.fill(&mut row, &[subset(0b01)]).expect("filled");
        assert_eq!(row, [1.1, 2.0, 20.0]);
        let mut row = [f32::NAN, 8.0, 80.0];
        imputer.fill(&mut row, &[subset(0b10)]).expect("filled");
        assert_eq!(row, [3.0, 8.0, 80.0]); // 5 and 1: the last lacks the first sensor
        assert!(NearestConfig { neighbours: 7, ..config }.check().is_err());
    }
}
