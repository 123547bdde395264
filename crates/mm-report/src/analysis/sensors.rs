//! Which sensors are worth their cost, for the best run.

use super::outcomes::name;
use super::{CombinationValue, RunReport};
use crate::result::CellResult;
use mm_core::Subset;
use mm_core::statistics::{Interval, pareto_front};
use serde::{Deserialize, Serialize};

/// The sensors seen by one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorReport {
    /// The run it is about.
    pub run: String,
    /// One part a modality, in order.
    pub sensors: Vec<SensorValue>,
    /// Evaluated sets of sensors, best first.
    pub sets: Vec<SensorSet>,
}

/// What one sensor is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorValue {
    /// Its name.
    pub modality: String,
    /// Accuracy with this sensor alone.
    pub alone: Option<CombinationValue>,
    /// Its Shapley value: its share of what all sensors reach above a guess.
    pub shapley: Option<Interval>,
    /// What is lost when all others are there.
    pub missed: Option<f64>,
}

/// A set of sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorSet {
    /// As text.
    pub name: String,
    /// How many sensors.
    pub sensors: usize,
    /// Accuracy.
    pub value: CombinationValue,
    /// On the Pareto front: no set of as many or fewer sensors is better.
    pub front: bool,
    /// On the front: gain over the next smaller set of the front.
    pub gain: Option<f64>,
}

/// Analyses a run; `None` with a single modality or a single combination.
pub fn analyse(run: &RunReport, subsets: &[Subset], full: Subset, first: &CellResult) -> Option<SensorReport> {
    let evaluated: Vec<(Subset, CombinationValue)> =
        subsets.iter().copied().zip(&run.combinations).filter_map(|(s, v)| Some((s, (*v)?))).collect();
    if full.len() < 2 || evaluated.len() < 2 {
        return None;
    }
    let goodness = |score: f64| first.measure.goodness(score);
    let value = |subset: Subset| evaluated.iter().find(|(s, _)| *s == subset).map(|(_, v)| *v);
    let without = |i: usize| Subset::from_bits(full.bits() & !Subset::single(i).bits()).ok().and_then(value);
    let sensor = |(i, modality): (usize, &String)| SensorValue {
        modality: modality.clone(),
        alone: value(Subset::single(i)),
        shapley: run.shapley.as_ref().and_then(|values| values.get(i).copied()),
        missed: value(full).zip(without(i)).map(|(all, rest)| goodness(all.accuracy) - goodness(rest.accuracy)),
    };
    let points: Vec<(f64, f64)> = evaluated.iter().map(|(s, v)| (s.len() as f64, goodness(v.accuracy))).collect();
    let front = pareto_front(&points);
    let gain = |i: usize| {
        let at = front.iter().position(|f| *f == i)?;
        Some(points[i].1 - points[front[at.checked_sub(1)?]].1)
    };
    let mut sets: Vec<SensorSet> = evaluated
        .iter()
        .enumerate()
        .map(|(i, (s, v))| SensorSet { name: name(*s, first), sensors: s.len(), value: *v, front: front.contains(&i), gain: gain(i) })
        .collect();
    sets.sort_by(|a, b| goodness(b.value.accuracy).total_cmp(&goodness(a.value.accuracy)).then(a.sensors.cmp(&b.sensors)));
    Some(SensorReport { run: run.run.clone(), sensors: first.modalities.iter().enumerate().map(sensor).collect(), sets })
}
