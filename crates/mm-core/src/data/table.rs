//! A data set of vectors and images in memory.

use super::card::hexadecimal;
use super::offset::{distances, offsets};
use super::source::check_rows;
use super::{Array, Batch, DataError, Inputs, Meta, Part, Sample, Schema, Source, TargetValue};
use crate::error::{Error, ModalityError, NonFiniteError, Result};
use crate::modality::{Presence, Subset};
use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

/// Samples in memory: one row-major f32 table a modality.
///
/// A column of large numbers that hardly differ (a map coordinate, a time since 1970) is held as the f64 offset of the column and
/// f32 distances from it, so that [`Source::visit_values`], and with it a [`super::Standardizer`], sees all digits.
#[derive(Debug, Clone)]
pub struct TableDataset {
    schema: Schema,
    columns: Vec<Vec<f32>>,
    /// By modality: what is added to each of its columns; empty where nothing is.
    offsets: Vec<Vec<f64>>,
    /// By modality: how many of its last columns say whether a number was measured; with any, NaN is one that was not.
    indicators: Vec<usize>,
    presence: Presence,
    targets: TableTargets,
    /// Of each sample in the loss; empty where all weigh the same.
    weights: Vec<f32>,
    ids: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    parts: Option<Vec<Part>>,
}

/// What is to be predicted, one a sample.
#[derive(Debug, Clone)]
pub(super) enum TableTargets {
    /// A class.
    Classes(Vec<u32>),
    /// Labels or numbers.
    Values(Vec<TargetValue>),
}

impl TableTargets {
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(labels) => labels.len(),
            Self::Values(values) => values.len(),
        }
    }

    fn get(&self, row: usize) -> TargetValue {
        match self {
            Self::Classes(labels) => TargetValue::Class(labels[row]),
            Self::Values(values) => values[row].clone(),
        }
    }
}

impl TableDataset {
    /// From vectors: `columns[m]` is `[samples, ..shape]` row-major, `labels[i]` the class of sample `i`.
    ///
    /// Values of samples that lack the modality may be anything and are never read; all others must be finite.
    pub fn new(schema: Schema, columns: Vec<Vec<f32>>, presence: Presence, labels: Vec<u32>) -> Result<Self> {
        let indicators = vec![0; columns.len()];
        Self::checked(schema, columns, indicators, presence, TableTargets::Classes(labels))
    }

    /// As [`TableDataset::new`], with labels or numbers to predict: one [`TargetValue`] a sample, as the schema's target has them.
    pub fn with_targets(schema: Schema, columns: Vec<Vec<f32>>, presence: Presence, targets: Vec<TargetValue>) -> Result<Self> {
        let indicators = vec![0; columns.len()];
        Self::checked(schema, columns, indicators, presence, TableTargets::Values(targets))
    }

    /// With NaN allowed in the modalities that have `indicators`.
    fn checked(schema: Schema, columns: Vec<Vec<f32>>, indicators: Vec<usize>, presence: Presence, targets: TableTargets) -> Result<Self> {
        schema.check()?;
        let (samples, classes) = (targets.len(), schema.target.classes());
        if columns.len() != schema.inputs.len() {
            return Err(DataError::Count { what: "tables", found: columns.len(), of: "modalities", expected: schema.inputs.len() }.into());
        }
        if presence.len() != samples {
            return Err(ModalityError::PresenceLength { found: presence.len(), expected: samples }.into());
        }
        match &targets {
            TableTargets::Classes(labels) => {
                if let Some((row, &label)) = labels.iter().enumerate().find(|(_, l)| **l as usize >= classes) {
                    return Err(DataError::SampleLabel { row, label, classes }.into());
                }
            }
            // As many labels or numbers as the task has, each of its kind.
            TableTargets::Values(values) => _ = schema.target.task().collate(values, &Device::Cpu)?,
        }
        let full = schema.modalities.full();
        if let Some(row) = presence.subsets().iter().position(|s| !s.is_subset_of(full)) {
            return Err(ModalityError::SamplePosition { sample: row as u64, modalities: schema.inputs.len() }.into());
        }
        for (m, (table, input)) in columns.iter().zip(&schema.inputs).enumerate() {
            let name = &schema.modalities.names()[m];
            let width = input.elements();
            if table.len() != samples * width {
                return Err(Error::shape(name, format!("[{samples}, {width}]"), [table.len()]));
            }
            let mut rows = table.chunks_exact(width).zip(presence.subsets()).enumerate();
            if let Some((row, _)) =
                rows.find(|(_, (x, s))| s.contains(m) && !x.iter().all(|v| v.is_finite() || indicators[m] > 0 && v.is_nan()))
            {
                return Err(NonFiniteError::Reading { sample: row as u64, modality: name.clone() }.into());
            }
        }
        let offsets = vec![Vec::new(); columns.len()];
        let (weights, ids, groups, parts) = (Vec::new(), None, None, None);
        Ok(Self { schema, columns, offsets, indicators, presence, targets, weights, ids, groups, parts })
    }

    /// As [`TableDataset::new`], from numbers in f64; the digits of a large offset are kept.
    pub fn from_f64(schema: Schema, columns: Vec<Vec<f64>>, presence: Presence, labels: Vec<u32>) -> Result<Self> {
        let offsets: Vec<Vec<f64>> = columns
            .iter()
            .zip(&schema.inputs)
            .enumerate()
            .map(|(m, (values, input))| offsets(values, input.elements(), |row| presence.subsets().get(row).is_some_and(|s| s.contains(m))))
            .collect();
        let distances = columns.into_iter().zip(&offsets).map(|(values, offsets)| distances(values, offsets)).collect();
        let indicators = vec![0; offsets.len()];
        Self::with_offsets(schema, distances, offsets, indicators, presence, TableTargets::Classes(labels))
    }

    /// From distances and what is added to each column of them: nothing, or one number a column. Only modalities with `indicators` may hold NaN.
    pub(super) fn with_offsets(
        schema: Schema,
        columns: Vec<Vec<f32>>,
        offsets: Vec<Vec<f64>>,
        indicators: Vec<usize>,
        presence: Presence,
        targets: TableTargets,
    ) -> Result<Self> {
        Ok(Self { offsets, ..Self::checked(schema, columns, indicators, presence, targets)? })
    }

    /// From one f32 tensor `[samples, ..shape]` a modality, such as images `[samples, channels, height, width]`; the values are
    /// copied to the CPU. Otherwise as [`TableDataset::new`].
    pub fn from_tensors(schema: Schema, inputs: &[Tensor], presence: Presence, labels: Vec<u32>) -> Result<Self> {
        if inputs.len() != schema.inputs.len() {
            return Err(DataError::Count { what: "tensors", found: inputs.len(), of: "modalities", expected: schema.inputs.len() }.into());
        }
        let named = schema.modalities.names().iter().zip(&schema.inputs).zip(inputs);
        let columns = named.map(|((name, input), tensor)| {
            let expected: Vec<usize> = std::iter::once(labels.len()).chain(input.shape.iter().copied()).collect();
            if tensor.dims() != expected || tensor.dtype() != DType::F32 {
                return Err(Error::shape(name, format!("f32 {expected:?}"), (tensor.dtype(), tensor.dims())));
            }
            Ok(tensor.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?)
        });
        let columns = columns.collect::<Result<_>>()?;
        Self::new(schema, columns, presence, labels)
    }

    /// Gives samples a name, a group (all of a group stay in one part of a split) and a part, each one a sample where it is given.
    pub(super) fn with_names(self, ids: Option<Vec<String>>, groups: Option<Vec<String>>, parts: Option<Vec<Part>>) -> Self {
        Self { ids, groups, parts, ..self }
    }

    /// Keeps the samples of a group (a person, a device) in one part of every split: one name a sample.
    pub fn with_groups(self, groups: Vec<String>) -> Result<Self> {
        match groups.len() == self.targets.len() {
            true => Ok(Self { groups: Some(groups), ..self }),
            false => Err(DataError::Count { what: "groups", found: groups.len(), of: "samples", expected: self.targets.len() }.into()),
        }
    }

    /// Gives each sample a weight in the loss, not negative.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Self> {
        if weights.len() != self.targets.len() {
            return Err(DataError::Count { what: "weights", found: weights.len(), of: "samples", expected: self.targets.len() }.into());
        }
        match weights.iter().position(|weight| !(*weight >= 0.0 && weight.is_finite())) {
            Some(row) => Err(DataError::Weight { row, weight: weights[row] }.into()),
            None => Ok(Self { weights, ..self }),
        }
    }

    /// Of another description of what is to be predicted, such as one that knows the scale of its numbers.
    pub(super) fn with_schema(self, schema: Schema) -> Self {
        Self { schema, ..self }
    }

    /// The name of every sample, where they have one.
    pub fn ids(&self) -> Option<&[String]> {
        self.ids.as_deref()
    }

    /// The group of every sample, where they have one.
    pub fn groups(&self) -> Option<&[String]> {
        self.groups.as_deref()
    }

    /// The part of every sample, where the data say it.
    pub fn parts(&self) -> Option<&[Part]> {
        self.parts.as_deref()
    }

    /// The table of a modality: `[samples, ..shape]` row-major, as distances from the columns' offsets where they have one.
    pub fn column(&self, modality: usize) -> &[f32] {
        &self.columns[modality]
    }

    /// The same samples with other sensors alive: what each of them has, which must be within what it had.
    pub fn with_presence(&self, presence: Presence) -> Result<Self> {
        if presence.len() != self.presence.len() {
            return Err(ModalityError::PresenceLength { found: presence.len(), expected: self.presence.len() }.into());
        }
        let mut pairs = presence.subsets().iter().zip(self.presence.subsets());
        if let Some(sample) = pairs.position(|(new, has)| !new.is_subset_of(*has)) {
            return Err(ModalityError::NotWithin { sample }.into());
        }
        Ok(Self { presence, ..self.clone() })
    }

    /// Replaces the values of each sample that has the modality, as a standardizer does; nothing has an offset or a gap then.
    pub(super) fn map_values(&mut self, modality: usize, map: impl Fn(&[f64], &mut [f32])) {
        let offsets = std::mem::take(&mut self.offsets[modality]);
        self.indicators[modality] = 0;
        let width = self.schema.inputs[modality].elements();
        let mut values = vec![0.0; width];
        let rows = self.columns[modality].chunks_exact_mut(width).zip(self.presence.subsets());
        for (row, _) in rows.filter(|(_, s)| s.contains(modality)) {
            exact(row, &offsets, &mut values);
            map(&values, row);
        }
    }

    /// SHA-256 over schema, labels, presence and values, in hexadecimal: which data a result was made from.
    pub fn content_hash(&self) -> Result<String> {
        let schema = serde_json::to_vec(&self.schema).map_err(|e| Error::config("schema", e.to_string()))?;
        let mut hash = Sha256::new();
        hash.update((schema.len() as u64).to_le_bytes());
        hash.update(&schema);
        for (row, subset) in self.presence.subsets().iter().enumerate() {
            match self.targets.get(row) {
                TargetValue::Class(label) => hash.update(label.to_le_bytes()),
                TargetValue::Labels(held) => held.iter().for_each(|&holds| hash.update([u8::from(holds)])),
                TargetValue::Numbers(values) => values.iter().for_each(|x| hash.update(x.to_le_bytes())),
                TargetValue::Pixels(labels) => labels.labels().iter().for_each(|label| hash.update(label.to_le_bytes())),
            }
            hash.update(subset.bits().to_le_bytes());
        }
        self.weights.iter().for_each(|weight| hash.update(weight.to_le_bytes()));
        for (m, (table, input)) in self.columns.iter().zip(&self.schema.inputs).enumerate() {
            let rows = table.chunks_exact(input.elements()).zip(self.presence.subsets());
            for (row, _) in rows.filter(|(_, s)| s.contains(m)) {
                let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
                hash.update(&bytes);
            }
            self.offsets[m].iter().for_each(|offset| hash.update(offset.to_le_bytes()));
        }
        Ok(hexadecimal(&hash.finalize()))
    }

    /// Class of every sample; nothing where the target is no class.
    pub fn labels(&self) -> &[u32] {
        if let TableTargets::Classes(labels) = &self.targets { labels } else { &[] }
    }

    /// What every sample has.
    pub fn presences(&self) -> &Presence {
        &self.presence
    }
}

impl Source for TableDataset {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> usize {
        self.targets.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        Meta {
            id: self.ids.as_ref().map(|ids| ids[row].as_str()),
            class: if let TableTargets::Classes(labels) = &self.targets { Some(labels[row]) } else { None },
            weight: self.weights.get(row).copied().unwrap_or(1.0),
            group: self.groups.as_ref().map(|groups| groups[row].as_str()),
            part: self.parts.as_ref().map(|parts| parts[row]),
            ..Meta::new(self.presence.subsets()[row])
        }
    }

    fn read(&self, row: usize) -> Result<Sample> {
        check_rows(&[row], self.len())?;
        let reading = |(m, (table, input)): (usize, (&Vec<f32>, &super::InputSpec))| {
            let width = input.elements();
            let distances = &table[row * width..][..width];
            let mut values = vec![0.0; width];
            self.presence.subsets()[row].contains(m).then(|| match self.offsets[m].is_empty() {
                true => Array::new(input.shape.clone(), distances.to_vec()),
                false => {
                    exact(distances, &self.offsets[m], &mut values);
                    Array::exact(input.shape.clone(), values)
                }
            })
        };
        let readings = self.columns.iter().zip(&self.schema.inputs).enumerate().map(reading).collect();
        Ok(Sample { readings, target: self.targets.get(row) })
    }

    fn target(&self, row: usize) -> Result<TargetValue> {
        check_rows(&[row], self.len())?;
        Ok(self.targets.get(row))
    }

    fn batch(&self, rows: &[usize], device: &Device) -> Result<Batch> {
        check_rows(rows, self.len())?;
        let subsets: Vec<Subset> = rows.iter().map(|&row| self.presence.subsets()[row]).collect();
        let mut readings = Vec::with_capacity(self.columns.len());
        for (m, (table, input)) in self.columns.iter().zip(&self.schema.inputs).enumerate() {
            if !subsets.iter().any(|s| s.contains(m)) {
                readings.push(None);
                continue;
            }
            let width = input.elements();
            let mut values = Vec::with_capacity(rows.len() * width);
            for (&row, subset) in rows.iter().zip(&subsets) {
                let distances = &table[row * width..][..width];
                match subset.contains(m) {
                    true if self.offsets[m].is_empty() => values.extend_from_slice(distances),
                    true => values.extend(distances.iter().zip(&self.offsets[m]).map(|(x, offset)| (offset + f64::from(*x)) as f32)),
                    false => values.resize(values.len() + width, 0.0),
                }
            }
            let shape: Vec<usize> = std::iter::once(rows.len()).chain(input.shape.iter().copied()).collect();
            readings.push(Some(Tensor::from_vec(values, shape, device)?));
        }
        let targets: Vec<TargetValue> = rows.iter().map(|&row| self.targets.get(row)).collect();
        let ids = rows.iter().map(|&row| row as u64).collect();
        let inputs = Inputs::new(&self.schema.modalities, readings, Presence::new(subsets), ids)?;
        Batch::new(inputs, self.schema.target.task().collate(&targets, device)?)
    }

    fn indicators(&self, modality: usize) -> usize {
        self.indicators[modality]
    }

    fn as_table(&self) -> Option<&TableDataset> {
        Some(self)
    }

    fn visit_values(&self, rows: &[usize], visit: &mut dyn FnMut(usize, &[f64])) -> Result<()> {
        check_rows(rows, self.len())?;
        for (m, (table, input)) in self.columns.iter().zip(&self.schema.inputs).enumerate() {
            let mut values = vec![0.0; input.elements()];
            for &row in rows.iter().filter(|row| self.presence.subsets()[**row].contains(m)) {
                let width = values.len();
                exact(&table[row * width..][..width], &self.offsets[m], &mut values);
                visit(m, &values);
            }
        }
        Ok(())
    }
}

/// The numbers behind distances from offsets.
fn exact(distances: &[f32], offsets: &[f64], values: &mut [f64]) {
    values.iter_mut().zip(distances).for_each(|(value, distance)| *value = f64::from(*distance));
    values.iter_mut().zip(offsets).for_each(|(value, offset)| *value += offset);
}
