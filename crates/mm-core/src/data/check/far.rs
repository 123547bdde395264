//! Numbers that lie far beyond all others of their variable: a slip of the unit, or a code for no reading.

use super::findings::{Level, Verdict};
use super::scan::Tally;
use super::subject::Subject;
use crate::data::far_values::FarValues;
use crate::data::names::some;

/// So many times the mean of the others is far beyond them.
const FAR: f64 = 1e4;
/// Of fewer numbers nothing is said.
const FEWEST: usize = 10;
/// Variables that a verdict names.
const SHOWN: usize = 5;

/// What is kept of the numbers of a variable, zeros left out.
#[derive(Default)]
pub(super) struct Sizes {
    count: usize,
    sum: f64,
    /// The largest one by its size, and the row that has it.
    largest: (f64, usize),
    /// Those that may be codes.
    ends: FarValues,
}

impl Sizes {
    /// A further number.
    pub fn add(&mut self, value: f64, row: usize) {
        self.ends.add(value);
        let size = value.abs();
        if size == 0.0 || !size.is_finite() {
            return;
        }
        self.count += 1;
        // Without the largest, in whose presence the others would be lost.
        match size > self.largest.0 {
            true => {
                self.sum += self.largest.0;
                self.largest = (size, row);
            }
            false => self.sum += size,
        }
    }

    /// The row of a number that is far beyond the others.
    fn far(&self) -> Option<usize> {
        let mean = self.sum / (self.count.max(2) - 1) as f64;
        (self.count >= FEWEST && self.largest.0 > FAR * mean).then_some(self.largest.1)
    }
}

/// A warning of them, in the vectors of a sensor.
pub(super) fn verdict(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let sensor = &subject.sensors[m];
    let far = tally.sizes.iter().enumerate().filter_map(|(v, sizes)| Some((v, sizes.far()?)));
    let far: Vec<String> =
        far.map(|(v, row)| format!("{} of {} ({:.2e})", sensor.variable(v), subject.samples[row].id, tally.sizes[v].largest.0)).collect();
    (!far.is_empty()).then(|| Verdict {
        level: Level::Warning,
        about: sensor.name.clone(),
        found: format!("numbers that are more than {FAR} times as large as the others of their column: {}", some(&far, SHOWN)),
        advice: "is the unit another one there, or does the number stand for no reading? Beside it all others look alike to a model".into(),
        places: Vec::new(),
    })
}

/// A warning of numbers that stand for no reading in several samples.
pub(super) fn codes(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let sensor = &subject.sensors[m];
    let found = FarValues::in_words(tally.sizes.iter().enumerate().map(|(v, sizes)| (sensor.variable(v), &sizes.ends)))?;
    let advice = match subject.of_files {
        true => "is it a code for no reading? Then leave the numbers of the sensor out there: it counts as absent",
        false => "is it a code for no reading? Then name it in `missing` of the card, as the file writes it",
    };
    Some(Verdict { level: Level::Warning, about: sensor.name.clone(), found, advice: advice.into(), places: Vec::new() })
}
