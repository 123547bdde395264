//! A data set of vectors and images in memory.

use super::card::hexadecimal;
use super::{Batch, Dataset, Schema};
use crate::error::{Error, Result};
use crate::modality::{Presence, Subset};
use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

/// Samples in memory: one row-major f32 table a modality.
#[derive(Debug, Clone)]
pub struct TableDataset {
    schema: Schema,
    columns: Vec<Vec<f32>>,
    presence: Presence,
    labels: Vec<u32>,
}

impl TableDataset {
    /// From vectors: `columns[m]` is `[samples, ..shape]` row-major, `labels[i]` the class of sample `i`.
    ///
    /// Values of samples that lack the modality may be anything and are never read; all others must be finite.
    pub fn new(schema: Schema, columns: Vec<Vec<f32>>, presence: Presence, labels: Vec<u32>) -> Result<Self> {
        schema.check()?;
        let (samples, classes) = (labels.len(), schema.target.classes());
        if columns.len() != schema.inputs.len() || presence.len() != samples {
            return Err(Error::Data(format!(
                "{} tables for {} modalities, {samples} labels, presence of {} samples",
                columns.len(),
                schema.inputs.len(),
                presence.len()
            )));
        }
        if let Some((row, label)) = labels.iter().enumerate().find(|(_, l)| **l as usize >= classes) {
            return Err(Error::Data(format!("sample {row} has label {label}, but there are {classes} classes")));
        }
        let full = schema.modalities.full();
        if let Some(row) = presence.subsets().iter().position(|s| !s.is_subset_of(full)) {
            return Err(Error::Data(format!("sample {row} has a modality past the {} of the schema", schema.inputs.len())));
        }
        for (m, (table, input)) in columns.iter().zip(&schema.inputs).enumerate() {
            let name = &schema.modalities.names()[m];
            let width = input.elements();
            if table.len() != samples * width {
                return Err(Error::Data(format!("modality `{name}` has {} numbers for {samples} samples of {width}", table.len())));
            }
            let mut rows = table.chunks_exact(width).zip(presence.subsets()).enumerate();
            if let Some((row, _)) = rows.find(|(_, (x, s))| s.contains(m) && !x.iter().all(|v| v.is_finite())) {
                return Err(Error::NonFinite(format!(
                    "sample {row}, modality `{name}`; mark the modality as absent there or mend the value"
                )));
            }
        }
        Ok(Self { schema, columns, presence, labels })
    }

    /// From one f32 tensor `[samples, ..shape]` a modality, such as images `[samples, channels, height, width]`; the values are
    /// copied to the CPU. Otherwise as [`TableDataset::new`].
    pub fn from_tensors(schema: Schema, inputs: &[Tensor], presence: Presence, labels: Vec<u32>) -> Result<Self> {
        if inputs.len() != schema.inputs.len() {
            return Err(Error::Data(format!("{} tensors for {} modalities", inputs.len(), schema.inputs.len())));
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

    /// The table of a modality: `[samples, ..shape]` row-major.
    pub fn column(&self, modality: usize) -> &[f32] {
        &self.columns[modality]
    }

    /// To change values in place, as a standardizer does.
    pub(super) fn column_mut(&mut self, modality: usize) -> &mut [f32] {
        &mut self.columns[modality]
    }

    /// SHA-256 over schema, labels, presence and values, in hexadecimal: which data a result was made from.
    pub fn content_hash(&self) -> Result<String> {
        let schema = serde_json::to_vec(&self.schema).map_err(|e| Error::Data(format!("the schema cannot be written: {e}")))?;
        let mut hash = Sha256::new();
        hash.update((schema.len() as u64).to_le_bytes());
        hash.update(&schema);
        for (label, subset) in self.labels.iter().zip(self.presence.subsets()) {
            hash.update(label.to_le_bytes());
            hash.update(subset.bits().to_le_bytes());
        }
        for (m, (table, input)) in self.columns.iter().zip(&self.schema.inputs).enumerate() {
            let rows = table.chunks_exact(input.elements()).zip(self.presence.subsets());
            for (row, _) in rows.filter(|(_, s)| s.contains(m)) {
                let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
                hash.update(&bytes);
            }
        }
        Ok(hexadecimal(&hash.finalize()))
    }

    /// Class of every sample.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// What every sample has.
    pub fn presences(&self) -> &Presence {
        &self.presence
    }
}

impl Dataset for TableDataset {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn presence(&self, row: usize) -> Subset {
        self.presence.subsets()[row]
    }

    fn label(&self, row: usize) -> u32 {
        self.labels[row]
    }

    fn batch(&self, rows: &[usize], device: &Device) -> Result<Batch> {
        if let Some(row) = rows.iter().find(|row| **row >= self.len()) {
            return Err(Error::Data(format!("row {row} was asked for, but there are {} samples", self.len())));
        }
        let subsets: Vec<Subset> = rows.iter().map(|&row| self.presence(row)).collect();
        let mut inputs = Vec::with_capacity(self.columns.len());
        for (m, (table, input)) in self.columns.iter().zip(&self.schema.inputs).enumerate() {
            if !subsets.iter().any(|s| s.contains(m)) {
                inputs.push(None);
                continue;
            }
            let width = input.elements();
            let mut values = Vec::with_capacity(rows.len() * width);
            for (&row, subset) in rows.iter().zip(&subsets) {
                match subset.contains(m) {
                    true => values.extend_from_slice(&table[row * width..][..width]),
                    false => values.resize(values.len() + width, 0.0),
                }
            }
            let shape: Vec<usize> = std::iter::once(rows.len()).chain(input.shape.iter().copied()).collect();
            inputs.push(Some(Tensor::from_vec(values, shape, device)?));
        }
        let labels: Vec<u32> = rows.iter().map(|&row| self.label(row)).collect();
        Ok(Batch {
            inputs,
            presence: Presence::new(subsets),
            labels: Tensor::from_vec(labels, rows.len(), device)?,
            rows: rows.iter().map(|&row| row as u64).collect(),
            augmented: false,
        })
    }
}
