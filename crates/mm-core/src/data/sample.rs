//! One sample on the CPU, as a source reads it and transforms change it, and how samples become a batch.

use super::number::fits;
use super::{Batch, InputSpec, Inputs, PixelLabels, Reading, Schema};
use crate::error::{Error, Result};
use crate::modality::{Presence, Subset};
use candle_core::{Device, Tensor};

/// One sample: a reading by modality, and what is to be predicted.
#[derive(Debug, Clone)]
pub struct Sample {
    /// By modality, in the schema's order; `None` where the sample lacks it.
    pub readings: Vec<Option<Array>>,
    /// What is to be predicted.
    pub target: TargetValue,
}

/// Numbers of one reading, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// As the schema's [`super::InputSpec`] says, without the batch.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub values: Values,
    /// How much of the last dimension is filled, where readings differ in length; what is behind is 0 and counts for nothing.
    pub length: Option<usize>,
}

/// Numbers as a source has them. What is read as f64 stays so until it is standardized: a large offset costs no digits.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Rounded already, or never more than this.
    F32(Vec<f32>),
    /// With all digits of the source.
    F64(Vec<f64>),
}

/// What is to be predicted of one sample.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TargetValue {
    /// One class.
    Class(u32),
    /// A class for each pixel.
    Pixels(PixelLabels),
    /// Whether each label holds, in the order of their names.
    Labels(Vec<bool>),
    /// One number or several, in the order of their names and in the unit of the data.
    Numbers(Vec<f64>),
}

impl Array {
    /// Of f32 numbers.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self { shape: shape.into(), values: Values::F32(values), length: None }
    }

    /// Of f64 numbers.
    pub fn exact(shape: impl Into<Vec<usize>>, values: Vec<f64>) -> Self {
        Self { shape: shape.into(), values: Values::F64(values), length: None }
    }

    /// Filled up to here only, along the last dimension.
    pub fn with_length(self, length: usize) -> Self {
        Self { length: Some(length), ..self }
    }

    /// Whether all numbers are finite in the 32 bits that models compute in, those behind its length left out.
    pub fn is_finite(&self) -> bool {
        self.is_within(f32::MAX)
    }

    /// Whether no number is further from zero than that, those behind its length left out.
    pub(crate) fn is_within(&self, largest: f32) -> bool {
        let (width, filled) = self.rows();
        // Without an early end: the loop over a row is then made of vector instructions.
        match &self.values {
            Values::F32(values) => values.chunks(width).all(|row| row.iter().take(filled).fold(true, |all, x| all & (x.abs() <= largest))),
            Values::F64(values) => {
                values.chunks(width).all(|row| row.iter().take(filled).fold(true, |all, x| all & ((*x as f32).abs() <= largest)))
            }
        }
    }

    /// Whether what is not finite is NaN, and not all is.
    pub(crate) fn has_only_gaps(&self) -> bool {
        let values = self.filled();
        values.iter().any(|x| fits(*x)) && values.iter().all(|x| fits(*x) || x.is_nan())
    }

    /// Whether it looks like a dead sensor's: all its numbers are the same, those behind its length left out. Two or three numbers are equal by
    /// chance, so of so few only zeros count; a single number never does.
    pub fn looks_dead(&self) -> bool {
        fn same<T: PartialEq + Default>(values: &[T], (width, filled): (usize, usize)) -> bool {
            let number = values.chunks(width).map(|row| row.len().min(filled)).sum::<usize>();
            let enough = number > 3 || number > 1 && values[0] == T::default();
            enough && values.chunks(width).all(|row| row.iter().take(filled).all(|x| *x == values[0]))
        }
        match &self.values {
            Values::F32(values) => same(values, self.rows()),
            Values::F64(values) => same(values, self.rows()),
        }
    }

    /// Numbers along the last dimension, and how many of them are filled.
    fn rows(&self) -> (usize, usize) {
        let width = self.shape.last().copied().unwrap_or(1).max(1);
        (width, self.length.map_or(width, |length| length.min(width)))
    }

    /// All numbers but those behind its length, with all digits.
    pub fn filled(&self) -> Vec<f64> {
        let values = self.values.to_f64();
        match (self.length, self.shape.last()) {
            (Some(length), Some(&width)) if length < width => values.chunks(width).flat_map(|row| &row[..length]).copied().collect(),
            _ => values,
        }
    }
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rounded to f32.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            Self::F64(values) => values.into_iter().map(|x| x as f32).collect(),
        }
    }

    /// With all digits.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(values) => values.iter().map(|&x| f64::from(x)).collect(),
            Self::F64(values) => values.clone(),
        }
    }
}

impl Sample {
    /// What it has; an error where that is nothing.
    pub fn presence(&self) -> Result<Subset> {
        Subset::from_indices((0..self.readings.len()).filter(|&m| self.readings[m].is_some()))
    }
}

/// Puts samples of a schema together, in order; `altered` says that values are not those of the data set.
pub fn collate(schema: &Schema, samples: Vec<Sample>, ids: Vec<u64>, altered: bool, device: &Device) -> Result<Batch> {
    let presence = Presence::new(samples.iter().map(Sample::presence).collect::<Result<_>>()?);
    let targets: Vec<TargetValue> = samples.iter().map(|sample| sample.target.clone()).collect();
    let mut columns: Vec<Vec<Option<Array>>> = (0..schema.inputs.len()).map(|_| Vec::with_capacity(samples.len())).collect();
    for (sample, id) in samples.into_iter().zip(&ids) {
        if sample.readings.len() != columns.len() {
            return Err(Error::shape(format!("readings of sample {id}"), format!("[{}]", columns.len()), [sample.readings.len()]));
        }
        columns.iter_mut().zip(sample.readings).for_each(|(column, reading)| column.push(reading));
    }
    let names = schema.modalities.names().iter();
    let readings = names.zip(&schema.inputs).zip(columns).map(|((name, input), column)| reading(name, input, column, &ids, device));
    let readings = readings.collect::<Result<Vec<_>>>()?;
    let inputs = Inputs::new(&schema.modalities, readings, presence, ids)?;
    let inputs = if altered { inputs.altered() } else { inputs };
    Batch::new(inputs, schema.target.task().collate(&targets, device)?)
}

/// The readings of one modality as tensors; `None` where no sample has it.
pub(crate) fn reading(name: &str, input: &InputSpec, column: Vec<Option<Array>>, ids: &[u64], device: &Device) -> Result<Option<Reading>> {
    if column.iter().all(Option::is_none) {
        return Ok(None);
    }
    let (samples, width) = (column.len(), input.elements());
    let last = input.shape.last().copied().unwrap_or(0);
    let mut values = Vec::with_capacity(samples * width);
    let sequences = column.iter().flatten().any(|array| array.length.is_some());
    let mut lengths = Vec::with_capacity(if sequences { samples } else { 0 });
    for (array, id) in column.into_iter().zip(ids) {
        if sequences {
            lengths.push(array.as_ref().map_or(0, |array| array.length.unwrap_or(last).min(last)) as u32);
        }
        match array {
            None => values.resize(values.len() + width, 0.0),
            Some(array) if array.shape == input.shape && array.values.len() == width => values.extend(array.values.into_f32()),
            Some(array) => return Err(Error::shape(format!("`{name}` of sample {id}"), format!("{:?}", input.shape), array.shape)),
        }
    }
    let shape: Vec<usize> = std::iter::once(samples).chain(input.shape.iter().copied()).collect();
    let lengths = if sequences { Some(Tensor::from_vec(lengths, samples, device)?) } else { None };
    Ok(Some(Reading { values: Tensor::from_vec(values, shape, device)?, lengths }))
}
