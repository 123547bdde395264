//! A source whose sensors are degraded.

use super::{Applied, Corruption, Family, reading};
use crate::data::kinds::Kind;
use crate::data::{Array, Batch, DataError, InputKind, Meta, Sample, SampleKey, Schema, Source, Values, collate};
use crate::error::{Error, ModalityError, Result};
use crate::modality::Subset;
use crate::rng::{Rng, stream};
use candle_core::Device;
use rand::RngExt;
use rayon::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A corruption of some modalities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What happens, and how badly.
    pub corruption: Corruption,
    /// To which modalities.
    pub modalities: Subset,
}

impl Fault {
    /// A family at a severity of 1 to 5.
    pub fn new(family: Family, severity: u8, modalities: Subset) -> Result<Self> {
        Ok(Self { corruption: Corruption::new(family, severity)?, modalities })
    }
}

/// The samples of a source as degraded sensors give them. Labels, groups and parts are those of the source.
///
/// Several faults act together. A modality with more than one gets them in this order, whatever the order in which they are given: first it
/// is decided whether there is a reading and of which sample, then families of its kind change what the sensor gave, then the others change
/// its standardized values. Families of standardized values ask for a source that is ([`Standardized`](crate::data::Standardized)).
pub struct Corrupted<'a> {
    source: &'a dyn Source,
    /// By modality.
    faults: Vec<Vec<Corruption>>,
    /// By modality, the rows that lend readings, ascending: with each other, and by group.
    rows: Vec<Vec<usize>>,
    earlier: Vec<BTreeMap<Option<&'a str>, Vec<usize>>>,
    seed: u64,
}

impl<'a> Corrupted<'a> {
    /// With these faults. `rows` are the samples of the test: what is swapped or delayed comes from one of them. A family that a modality's
    /// kind does not have is refused.
    pub fn new(source: &'a dyn Source, rows: &[usize], faults: Vec<Fault>, seed: u64) -> Result<Self> {
        let faults = by_modality(source, &faults)?;
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let has = |m: usize, family: Family| faults[m].iter().any(|corruption| corruption.family == family);
        let rows_with = |m: usize| sorted.iter().copied().filter(move |&row| source.meta(row).presence.contains(m));
        let modalities = 0..faults.len();
        let rows = modalities.clone().map(|m| if has(m, Family::Swapped) { rows_with(m).collect() } else { Vec::new() }).collect();
        let of_group = |m: usize| {
            let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
            rows_with(m).for_each(|row| groups.entry(source.meta(row).group).or_default().push(row));
            groups
        };
        let earlier = modalities.map(|m| if has(m, Family::Delayed) { of_group(m) } else { BTreeMap::new() }).collect();
        Ok(Self { source, faults, rows, earlier, seed })
    }

    /// What a sample has left; `None` where that is nothing. Leave such samples out: [`Source::read`] refuses them.
    pub fn left(&self, row: usize) -> Option<Subset> {
        let absent = |m: &usize| {
            let absent = self.faults[*m].iter().find(|corruption| corruption.family == Family::Absent);
            absent.is_some_and(|corruption| self.draws(Family::Absent, row, *m).random::<f32>() < corruption.strength())
        };
        Subset::from_indices(self.source.meta(row).presence.indices().filter(|m| !absent(m))).ok()
    }

    fn draws(&self, family: Family, row: usize, modality: usize) -> Rng {
        stream(self.seed, family.name(), &[row as u64, modality as u64])
    }

    /// The row whose reading of a modality a sample gets.
    fn origin(&self, row: usize, m: usize) -> usize {
        let mut origin = row;
        for corruption in &self.faults[m] {
            match corruption.family {
                Family::Swapped => {
                    let mut random = self.draws(Family::Swapped, row, m);
                    origin = reading::donor(row, &self.rows[m], corruption.strength(), &mut random).unwrap_or(origin);
                }
                Family::Delayed => {
                    let group = self.earlier[m].get(&self.source.meta(row).group).map_or(&[][..], Vec::as_slice);
                    let place = group.partition_point(|&other| other < row);
                    origin = *group.get(place.saturating_sub(corruption.strength() as usize)).unwrap_or(&origin);
                }
                _ => {}
            }
        }
        origin
    }

    /// A sample whose modalities `wanted` come from `origin`, as they are for the sample `row`: its own draws.
    fn part(&self, row: usize, origin: usize, wanted: Subset) -> Result<Sample> {
        let changed: Vec<Cell<bool>> = self.faults.iter().map(|_| Cell::new(false)).collect();
        let of_sensor = |m: usize| self.faults[m].iter().filter(|corruption| corruption.family.applied() == Applied::ToSensor);
        let sample = self.source.read_changed(origin, wanted, &|m, kind, raw| {
            changed[m].set(true);
            of_sensor(m).try_fold(raw, |raw, corruption| kind.corrupt(raw, *corruption, &mut self.draws(corruption.family, row, m)))
        })?;
        for m in wanted.indices() {
            if sample.readings[m].is_some() && of_sensor(m).next().is_some() && !changed[m].get() {
                return Err(DataError::NotRaw { modality: self.schema().modalities.names()[m].clone() }.into());
            }
        }
        Ok(sample)
    }
}

impl Source for Corrupted<'_> {
    fn schema(&self) -> &Schema {
        self.source.schema()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    /// With the sensors that are left; of a sample that has none left, with those that it had.
    fn meta(&self, row: usize) -> Meta<'_> {
        let meta = self.source.meta(row);
        Meta { presence: self.left(row).unwrap_or(meta.presence), ..meta }
    }

    fn read(&self, row: usize) -> Result<Sample> {
        if row >= self.len() {
            return Err(DataError::Row { row, samples: self.len() }.into());
        }
        let left = self.left(row).ok_or(DataError::NothingLeft { row })?;
        // By the row that they come from: each is opened once.
        let mut wanted: BTreeMap<usize, Subset> = BTreeMap::new();
        for m in left.indices() {
            wanted.entry(self.origin(row, m)).and_modify(|subset| *subset = subset.union(Subset::single(m))).or_insert(Subset::single(m));
        }
        // What is to be predicted is the sample's own, also where no reading is.
        let own = wanted.remove(&row).unwrap_or(left);
        let mut sample = self.part(row, row, own)?;
        for (origin, subset) in wanted {
            let mut other = self.part(row, origin, subset)?;
            subset.indices().for_each(|m| sample.readings[m] = other.readings[m].take());
        }
        for m in left.indices() {
            let Some(array) = &mut sample.readings[m] else { continue };
            for corruption in self.faults[m].iter().filter(|corruption| corruption.family.applied() == Applied::ToValues) {
                let Array { shape, values, length } = array;
                let width = shape.last().copied().unwrap_or(1).max(1);
                let mut numbers = std::mem::replace(values, Values::F32(Vec::new())).into_f32();
                reading::corrupt(&mut numbers, width, length.unwrap_or(width), *corruption, self.seed, [row as u64, m as u64]);
                *values = Values::F32(numbers);
            }
        }
        Ok(sample)
    }

    fn batch(&self, rows: &[usize], device: &Device) -> Result<Batch> {
        let samples = rows.par_iter().map(|&row| self.read(row)).collect::<Result<Vec<_>>>()?;
        collate(self.schema(), samples, rows.iter().map(|&row| row as u64).collect(), true, device)
    }

    /// A degraded sensor is for tests: nothing is changed at random besides.
    fn read_augmented(&self, row: usize, _key: SampleKey) -> Result<Sample> {
        self.read(row)
    }

    fn kinds(&self) -> Vec<Option<Arc<dyn Kind>>> {
        self.source.kinds()
    }
}

/// The faults of each modality; refuses what its readings cannot have.
fn by_modality(source: &dyn Source, faults: &[Fault]) -> Result<Vec<Vec<Corruption>>> {
    let (schema, kinds) = (source.schema(), source.kinds());
    let mut sorted = vec![Vec::new(); schema.modalities.len()];
    for Fault { corruption, modalities } in faults {
        if !modalities.is_subset_of(schema.modalities.full()) {
            let position = modalities.bits().ilog2() as usize;
            return Err(ModalityError::Position { position, modalities: schema.modalities.len() }.into());
        }
        let families = |m: usize| kinds[m].as_ref().map_or(&[][..], |kind| kind.families());
        let fits = |m: usize| match corruption.family.applied() {
            Applied::ToReadings => true,
            Applied::ToValues => schema.inputs[m].kind != InputKind::Tokens,
            Applied::ToSensor => families(m).contains(&corruption.family),
        };
        if let Some(m) = modalities.indices().find(|&m| !fits(m)) {
            let fitting: Vec<&str> = modalities.indices().filter(|&m| fits(m)).map(|m| schema.modalities.names()[m].as_str()).collect();
            let kind = kinds[m].as_ref().map(|kind| format!(" (kind `{}`)", kind.name())).unwrap_or_default();
            let only = match fitting.is_empty() {
                true => String::new(),
                false => format!(
                    " Of these modalities only {} can have it: write modalities = \"{}\".",
                    fitting.join(" and "),
                    fitting.join("+")
                ),
            };
            let problem = format!(
                "`{}` cannot happen to `{}`{kind}: {}.{only}",
                corruption.family,
                schema.modalities.names()[m],
                Family::known_to(families(m))
            );
            return Err(Error::config("corruption", problem));
        }
        for m in modalities.indices() {
            let of_modality: &mut Vec<Corruption> = &mut sorted[m];
            if of_modality.iter().any(|other| other.family == corruption.family) {
                let problem = format!("`{}` happens twice to `{}`: keep one", corruption.family, schema.modalities.names()[m]);
                return Err(Error::config("corruption", problem));
            }
            of_modality.push(*corruption);
        }
    }
    Ok(sorted)
}
