//! Samples whose readings are files: read when they are needed, so that the data need not fit in memory.

use super::kinds::{Kind, Origin, Raw};
use super::names::some;
use super::{Array, Change, DataError, LabelMaps, ManifestColumns, Meta, Part, Sample, SampleKey, Schema, Source, Target, TargetValue};
use crate::error::{Error, Result};
use crate::modality::{Modalities, Subset};
use crate::rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Samples whose readings are files, or texts that stand in a table. [`super::Folders`] and [`super::Manifest`] make one.
pub struct FileSource {
    schema: Schema,
    kinds: Vec<Arc<dyn Kind>>,
    rows: Vec<FileRow>,
    on_corrupt: OnCorrupt,
    remarks: Vec<String>,
    columns: ManifestColumns,
    /// How the rows' maps of labels are read.
    labels: Option<LabelMaps>,
    /// By modality, the first one of its device: what changes one at random changes all alike.
    devices: Vec<usize>,
    /// Readings that could not be used so far.
    corrupt: AtomicUsize,
}

/// What to do with a reading whose file is not there, cannot be decoded or holds a value that is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCorrupt {
    /// An error that names the file.
    #[default]
    Error,
    /// The sensor counts as absent; [`FileSource::corrupt`] says how often.
    Absent,
}

/// A sample: where its readings are, and what is known of it without reading them.
#[derive(Debug, Clone)]
pub struct FileRow {
    /// Its name.
    pub id: String,
    /// The part of the split it belongs to, where the data say that.
    pub part: Option<Part>,
    /// Samples of one group stay in one part of the split.
    pub group: Option<String>,
    /// Its weight in the loss.
    pub weight: f32,
    /// What is to be predicted.
    pub target: RowTarget,
    /// By modality; `None` where the sensor gave nothing.
    pub origins: Vec<Option<Origin>>,
    presence: Subset,
}

/// What is to be predicted of a sample, or where it stands.
#[derive(Debug, Clone, PartialEq)]
pub enum RowTarget {
    /// It is known.
    Known(TargetValue),
    /// A map of labels, read when it is needed ([`LabelMaps`]).
    Map(Origin),
}

impl From<TargetValue> for RowTarget {
    fn from(target: TargetValue) -> Self {
        Self::Known(target)
    }
}

impl FileRow {
    /// A sample with at least one reading.
    pub fn new(id: String, origins: Vec<Option<Origin>>, target: impl Into<RowTarget>) -> Result<Self> {
        let presence = Subset::from_indices((0..origins.len()).filter(|&m| origins[m].is_some()))?;
        Ok(Self { id, part: None, group: None, weight: 1.0, target: target.into(), origins, presence })
    }
}

impl FileSource {
    /// Of rows whose readings are of these kinds, one a modality.
    pub fn new(modalities: Modalities, kinds: Vec<Arc<dyn Kind>>, target: Target, rows: Vec<FileRow>) -> Result<Self> {
        if let Some(row) = rows.iter().find(|row| row.origins.len() != kinds.len()) {
            let (found, expected) = (row.origins.len(), kinds.len());
            return Err(DataError::Count { what: "readings", found, of: "modalities", expected }.into());
        }
        let inputs = kinds.iter().map(|kind| kind.input()).collect();
        let schema = Schema::new(modalities, inputs, target)?;
        let columns = ManifestColumns::default();
        let devices = (0..kinds.len()).collect();
        Ok(Self {
            schema,
            kinds,
            rows,
            on_corrupt: OnCorrupt::Error,
            remarks: Vec::new(),
            columns,
            labels: None,
            corrupt: AtomicUsize::new(0),
            devices,
        })
    }

    /// How the maps of labels of its rows are read, for [`RowTarget::Map`].
    pub fn labels(self, labels: LabelMaps) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// By modality, the device that it is part of, where it shares one: random changes in training are then drawn for the device
    /// ([`Kind::augment`]).
    pub fn devices(self, names: &[Option<String>]) -> Self {
        let first = |m: usize| names.iter().position(|name| name.is_some() && names.get(m) == Some(name)).unwrap_or(m);
        Self { devices: (0..self.kinds.len()).map(first).collect(), ..self }
    }

    fn target_of(&self, row: &FileRow) -> Result<TargetValue> {
        match (&row.target, &self.labels) {
            (RowTarget::Known(target), _) => Ok(target.clone()),
            (RowTarget::Map(origin), Some(labels)) => Ok(TargetValue::Pixels(labels.read(origin)?)),
            (RowTarget::Map(_), None) => Err(DataError::TargetKind { expected: "known, or read by the source's label maps" }.into()),
        }
    }

    /// What to do with a reading that cannot be decoded, or holds a value that is not finite.
    pub fn on_corrupt(self, on_corrupt: OnCorrupt) -> Self {
        Self { on_corrupt, ..self }
    }

    /// The measure that selects models and heads reports ([`Schema::scored_by`]).
    pub fn scored_by(self, measure: Option<&str>) -> Result<Self> {
        Ok(Self { schema: self.schema.clone().scored_by(measure)?, ..self })
    }

    /// Says what to know about the data.
    pub(super) fn with_remarks(self, remarks: Vec<String>) -> Self {
        Self { remarks, ..self }
    }

    /// Says which columns of a manifest hold what.
    pub(super) fn with_columns(self, columns: ManifestColumns) -> Self {
        Self { columns, ..self }
    }

    /// Which columns of a manifest hold what, for [`crate::Pipeline::with_columns`].
    pub fn columns(&self) -> &ManifestColumns {
        &self.columns
    }

    /// What to know about the data: rows that were left out, classes that look alike.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// How many readings could not be decoded so far, or held a value that is not finite, and counted as absent; a reading counts each time
    /// that it is read.
    pub fn corrupt(&self) -> usize {
        self.corrupt.load(Relaxed)
    }

    /// The samples.
    pub fn rows(&self) -> &[FileRow] {
        &self.rows
    }

    /// Reads everything once. What [`OnCorrupt::Absent`] takes for absent is known from then on, before it is read, and is told; samples that
    /// have nothing else are left out. `place` is where they are listed.
    pub fn with_known_absences(mut self, place: &Path) -> Result<Self> {
        if self.on_corrupt != OnCorrupt::Absent {
            return Ok(self);
        }
        let unusable = |row: &FileRow| -> Vec<(usize, Error)> {
            let of = |m: usize| Some((m, self.reading(m, row.origins[m].as_ref()?, &|_, _, raw| Ok(raw)).err()?));
            (0..self.kinds.len()).filter_map(of).collect()
        };
        let found: Vec<Vec<(usize, Error)>> = self.rows.par_iter().map(unusable).collect();
        let (mut damaged, mut not_finite, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        let mut kept = Vec::with_capacity(self.rows.len());
        for (mut row, found) in self.rows.into_iter().zip(found) {
            for (m, error) in found {
                row.origins[m] = None;
                match error {
                    Error::Data(DataError::NonFinite { reading, .. }) => not_finite.push(reading),
                    error => damaged.push(error.to_string()),
                }
            }
            match Subset::from_indices((0..row.origins.len()).filter(|&m| row.origins[m].is_some())) {
                Ok(presence) => kept.push(FileRow { presence, ..row }),
                Err(_) => left_out.push(row.id),
            }
        }
        let (place, first) = (place.display(), |all: &[String]| all.first().cloned().unwrap_or_default());
        let remarks = [
            (damaged.len(), format!("readings cannot be read: their sensors count as absent; the first: {}", first(&damaged))),
            (
                not_finite.len(),
                format!("readings hold a value that is not finite: their sensors count as absent; the first: {}", first(&not_finite)),
            ),
            (left_out.len(), format!("samples have no other reading and are left out: {}", some(&left_out, 5))),
        ];
        self.remarks.extend(remarks.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{place}: {count} {what}")));
        match kept.is_empty() {
            true => Err(Error::config("on_corrupt", format!("leaves no sample: {}", self.remarks.join("; ")))),
            false => Ok(Self { rows: kept, ..self }),
        }
    }

    /// With kinds that know what all files of their sensor say, as a training needs them ([`Kind::settled`]): series without `columns` whose columns
    /// stand in another order in some files are an error, and a model of others finds them by name.
    pub fn settled(mut self) -> Result<Self> {
        for m in 0..self.kinds.len() {
            let origins: Vec<&Origin> = self.rows.iter().filter_map(|row| row.origins[m].as_ref()).collect();
            if let Some(kind) = self.kinds[m].settled(&origins)? {
                self.kinds[m] = kind;
            }
        }
        Ok(self)
    }

    /// What a model gets of a reading.
    fn reading(&self, m: usize, origin: &Origin, change: &Change) -> Result<Array> {
        self.features(m, origin, change).map_err(|error| origin.blame(error))
    }

    fn features(&self, m: usize, origin: &Origin, change: &Change) -> Result<Array> {
        let kind = &*self.kinds[m];
        let raw = kind.raw(origin)?;
        // Of all that the sensor gave, not of what a random change or a middle leaves of it: whether a reading is of use is not drawn.
        if let (Raw::Array(Array { shape, .. }), Some((at, value))) = (&raw, raw.non_finite()) {
            let (reading, place) = (origin.to_string(), place_in(shape, at));
            return Err(DataError::NonFinite { reading, value, place, shape: shape.clone() }.into());
        }
        kind.features(change(m, kind, raw)?)
    }

    fn sample(&self, row: usize, wanted: Subset, change: &Change) -> Result<Sample> {
        super::source::check_rows(&[row], self.rows.len())?;
        let row = &self.rows[row];
        let reading = |(m, origin): (usize, &Option<Origin>)| {
            let Some(origin) = origin.as_ref().filter(|_| wanted.contains(m)) else { return Ok(None) };
            match self.reading(m, origin, change) {
                Err(error) if self.on_corrupt == OnCorrupt::Absent => {
                    if self.corrupt.fetch_add(1, Relaxed) == 0 {
                        tracing::warn!("{error}; this and any other reading that cannot be used counts as absent");
                    }
                    Ok(None)
                }
                read => read.map(Some),
            }
        };
        let readings = row.origins.iter().enumerate().map(reading);
        let sample = Sample { readings: readings.collect::<Result<_>>()?, target: self.target_of(row)? };
        match sample.readings.iter().any(Option::is_some) {
            true => Ok(sample),
            false => Err(DataError::NothingDecoded { id: row.id.clone() }.into()),
        }
    }
}

/// A position in numbers of a shape, axis by axis.
fn place_in(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut place: Vec<usize> = shape.iter().rev().map(|&size| (at % size.max(1), at /= size.max(1)).0).collect();
    place.reverse();
    place
}

impl Source for FileSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        let FileRow { id, part, group, weight, target, presence, .. } = &self.rows[row];
        let class = if let RowTarget::Known(TargetValue::Class(class)) = target { Some(*class) } else { None };
        Meta { id: Some(id), part: *part, group: group.as_deref(), class, weight: *weight, ..Meta::new(*presence) }
    }

    fn read(&self, row: usize) -> Result<Sample> {
        self.sample(row, self.schema.modalities.full(), &|_, _, raw| Ok(raw))
    }

    fn target(&self, row: usize) -> Result<TargetValue> {
        super::source::check_rows(&[row], self.rows.len())?;
        self.target_of(&self.rows[row])
    }

    fn augments(&self) -> bool {
        self.kinds.iter().any(|kind| kind.augments())
    }

    fn read_augmented(&self, row: usize, key: SampleKey) -> Result<Sample> {
        let SampleKey { seed, epoch, id } = key;
        self.sample(row, self.schema.modalities.full(), &|m, kind, raw| match kind.augments() {
            true => {
                let draws = |label: &str, m: usize| rng::stream(seed, label, &[epoch, id, m as u64]);
                kind.augment(raw, &mut draws("augmented reading", self.devices[m]), &mut draws("noise of a reading", m))
            }
            false => Ok(raw),
        })
    }

    fn read_changed(&self, row: usize, wanted: Subset, change: &Change) -> Result<Sample> {
        self.sample(row, wanted, change)
    }

    fn origins(&self, row: usize) -> Option<&[Option<Origin>]> {
        Some(&self.rows[row].origins)
    }

    fn kinds(&self) -> Vec<Option<Arc<dyn Kind>>> {
        self.kinds.iter().cloned().map(Some).collect()
    }
}
