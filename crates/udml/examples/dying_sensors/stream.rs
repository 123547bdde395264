//! The stream: samples of the test part in random order, and what happens to their sensors on the way.

use anyhow::{Context, Result};
use mm_core::data::{Array, Source, TableDataset};
use mm_core::pipeline::{PipelineConfig, Readings};
use mm_core::rng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// What happens to a sensor.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    /// Noise of so many standard deviations at the beginning of the part and at its end.
    Noise(f64, f64),
    /// All its values are 0.
    Dead,
    /// It gives NaN.
    NotANumber,
    /// It repeats what it gave before the part began.
    Frozen,
    /// It gives nothing.
    Absent,
}

/// A part of the stream.
pub struct Part {
    pub what: &'static str,
    pub steps: usize,
    pub faults: &'static [(&'static str, Fault)],
}

use Fault::{Absent, Dead, Frozen, Noise, NotANumber};

/// One after another.
pub const PARTS: [Part; 9] = [
    Part { what: "all healthy", steps: 150, faults: &[] },
    Part { what: "fac and pix become noisy", steps: 200, faults: &[("fac", Noise(0.0, 6.0)), ("pix", Noise(0.0, 6.0))] },
    Part { what: "pix is dead, fac noisy", steps: 150, faults: &[("pix", Dead), ("fac", Noise(6.0, 6.0))] },
    Part { what: "all healthy again", steps: 150, faults: &[] },
    Part { what: "kar gives NaN", steps: 100, faults: &[("kar", NotANumber)] },
    Part { what: "kar and pix are noisy", steps: 150, faults: &[("kar", Noise(5.0, 5.0)), ("pix", Noise(5.0, 5.0))] },
    Part { what: "fac freezes", steps: 100, faults: &[("fac", Frozen)] },
    Part { what: "fac is absent, pix noisy", steps: 150, faults: &[("fac", Absent), ("pix", Noise(6.0, 6.0))] },
    Part { what: "all healthy at last", steps: 150, faults: &[] },
];

/// Samples one after another: readings as the sensors give them, and the class that is right.
pub struct Stream<'a> {
    data: &'a TableDataset,
    /// Standard deviation of each number, by sensor.
    deviations: BTreeMap<String, Vec<f64>>,
    order: Vec<usize>,
    seed: u64,
    step: usize,
    /// By sensor, what it gave last while it was not frozen.
    last: BTreeMap<String, Vec<f64>>,
    /// By sensor, what the program saw last.
    seen: BTreeMap<String, Vec<f64>>,
}

impl<'a> Stream<'a> {
    pub fn new(data: &'a TableDataset, rows: &[usize], model: &PipelineConfig, seed: u64) -> Self {
        let deviations = model.standardizer.views().iter().map(|view| (view.modality.clone(), view.std.clone())).collect();
        let mut order = rows.to_vec();
        order.shuffle(&mut rng::stream(seed, "stream", &[]));
        Self { data, deviations, order, seed, step: 0, last: BTreeMap::new(), seen: BTreeMap::new() }
    }

    fn sample(&mut self, part: &Part, share: f64) -> Result<(Readings, String)> {
        let row = self.order[self.step % self.order.len()];
        let sample = self.data.read(row)?;
        let mut readings = Readings::new();
        for (m, (name, array)) in self.data.schema().modalities.names().iter().zip(sample.readings).enumerate() {
            let mut values = array.context("the numerals have all views")?.values.to_f64();
            let fault = part.faults.iter().find(|(sensor, _)| sensor == name).map(|(_, fault)| *fault);
            match fault {
                Some(Absent) => continue,
                Some(Dead) => values.fill(0.0),
                Some(NotANumber) => values[0] = f64::NAN,
                Some(Frozen) => values = self.last.get(name).cloned().unwrap_or(values),
                Some(Noise(from, to)) => {
                    let draws = rng::standard_normal(&mut rng::stream(self.seed, "noise", &[self.step as u64, m as u64]), values.len());
                    let strength = from + (to - from) * share;
                    let noise = self.deviations[name].iter().zip(draws).map(|(std, z)| strength * std * f64::from(z));
                    values.iter_mut().zip(noise).for_each(|(x, noise)| *x += noise);
                }
                None => {}
            }
            if fault != Some(Frozen) {
                self.last.insert(name.clone(), values.clone());
            }
            // What no model can know of one sample, and every program of a stream: the very reading of the step before is no reading.
            if self.seen.insert(name.clone(), values.clone()).is_none_or(|seen| seen != values) {
                readings = readings.array(name, Array::exact([values.len()], values));
            }
        }
        let class = self.data.meta(row).class.context("the numerals have classes")?;
        Ok((readings, self.data.schema().target.class_names()[class as usize].clone()))
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<(Readings, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut at = self.step;
        let part = PARTS.iter().find(|part| {
            let inside = at < part.steps;
            at -= if inside { 0 } else { part.steps };
            inside
        })?;
        let sample = self.sample(part, at as f64 / part.steps as f64);
        self.step += 1;
        Some(sample)
    }
}
