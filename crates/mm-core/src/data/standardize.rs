//! Standardization: mean 0 and standard deviation 1 over the training samples, for each feature or channel.

use super::kinds::Standardization;
use super::{
    Array, DataError, InputKind, InputSpec, Sample, SampleKey, Schema, Source, TableDataset, Target, TargetValue, Transform, Values,
};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Means and standard deviations of the training samples; stored with a model as JSON.
///
/// A vector is standardized feature by feature, an image channel by channel: a pixel that hardly varies (a border) would be
/// blown up by its own deviation, and a convolution expects one scale over all positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standardizer {
    views: Vec<ViewStatistics>,
    /// Mean and standard deviation of each number that is to be predicted; empty where the target is no number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<[f64; 2]>,
}

/// Longer vectors are judged by all their numbers together, as images and series are.
const SHORT: usize = 64;
/// Standard deviations from the mean, where hardly a number of the training is.
const FAR: f32 = 6.0;
/// The same of the root of the mean square of many numbers.
const FAR_ON_AVERAGE: f64 = 4.0;

/// Statistics of one modality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewStatistics {
    /// Name of the modality.
    pub modality: String,
    /// Mean of each feature, or of each channel of an image.
    pub mean: Vec<f64>,
    /// Standard deviation of each (over n); 1 where it is constant.
    pub std: Vec<f64>,
    /// Whether a training sample has a reading whose values are all the same. Where none has, such a reading is of a dead sensor.
    #[serde(default = "seen")]
    pub constant_seen: bool,
    /// Whether NaN stands for a number that was not measured, and becomes the mean.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gaps: bool,
}

/// Of older files, which do not say it.
fn seen() -> bool {
    true
}

impl Standardizer {
    /// From the training rows, each modality over the samples that have it; sums in f64.
    pub fn fit(data: &dyn Source, rows: &[usize]) -> Result<Self> {
        let schema = data.schema();
        let mut views: Vec<ViewStatistics> = Vec::new();
        for (m, (name, input)) in schema.modalities.names().iter().zip(&schema.inputs).enumerate() {
            let zeros = vec![0.0; channels(input)];
            let gaps = data.indicators(m) > 0;
            views.push(ViewStatistics { modality: name.clone(), mean: zeros.clone(), std: zeros, constant_seen: false, gaps });
        }
        // How many values went into each statistic of a view.
        let mut counts: Vec<Vec<f64>> = views.iter().map(|view| vec![0.0; view.mean.len()]).collect();
        data.visit_values(rows, &mut |view, x| {
            let (counts, view) = (&mut counts[view], &mut views[view]);
            view.constant_seen |= is_constant(x);
            let size = x.len() / view.mean.len();
            for ((mean, count), x) in view.mean.iter_mut().zip(counts).zip(x.chunks_exact(size)) {
                let measured = x.iter().filter(|x| !(view.gaps && x.is_nan()));
                *count += measured.map(|&x| *mean += x).count() as f64;
            }
        })?;
        for (view, counts) in views.iter_mut().zip(&counts) {
            if counts.iter().all(|count| *count == 0.0) {
                return Err(DataError::AbsentInTraining { modality: view.modality.clone(), samples: rows.len() }.into());
            }
            // A column that no training sample has a number in keeps the mean 0.
            view.mean.iter_mut().zip(counts).for_each(|(mean, count)| *mean /= count.max(1.0));
        }
        data.visit_values(rows, &mut |view, x| {
            let ViewStatistics { mean, std, gaps, .. } = &mut views[view];
            let size = x.len() / mean.len();
            for ((sum, mean), x) in std.iter_mut().zip(mean).zip(x.chunks_exact(size)) {
                let measured = x.iter().filter(|x| !(*gaps && x.is_nan()));
                measured.map(|&x| x - *mean).for_each(|distance| *sum += distance * distance);
            }
        })?;
        let exact = close_whole_numbers(data, rows, &views, &counts)?;
        let kinds = data.kinds();
        for (m, ((view, counts), kind)) in views.iter_mut().zip(&counts).zip(&kinds).enumerate() {
            match kind.as_ref().map(|kind| kind.standardization()) {
                Some(Standardization::Given { mean, std }) => {
                    if mean.len() != view.mean.len() || std.len() != view.std.len() {
                        let what = "given statistics";
                        let (found, fitted) = (view.mean.len(), mean.len().min(std.len()));
                        return Err(DataError::Width { modality: view.modality.clone(), what, found, fitted }.into());
                    }
                    (view.mean, view.std) = (mean, std);
                    continue;
                }
                Some(Standardization::None) => {
                    view.mean.fill(0.0);
                    view.std.fill(1.0);
                    continue;
                }
                Some(Standardization::Fitted) | None => {}
            }
            for (f, ((std, mean), count)) in view.std.iter_mut().zip(&mut view.mean).zip(counts).enumerate() {
                *std = (*std / count.max(1.0)).sqrt();
                if let Some(found) = exact.get(&(m, f)) {
                    [*mean, *std] = *found;
                } else if is_constant_at(*mean, *std) || *std < f64::from(f32::MIN_POSITIVE) {
                    *std = 1.0;
                }
            }
            // By its own deviation, what says of one sample in a hundred that something was not measured would be ten times as large as anything else.
            let columns = view.mean.len() - data.indicators(m);
            view.mean[columns..].fill(0.0);
            view.std[columns..].fill(1.0);
        }
        Ok(Self { views, numbers: number_scale(data, rows)? })
    }

    /// The schema of what it standardized: numbers to predict know their scale.
    pub fn schema(&self, schema: &Schema) -> Schema {
        let mut schema = schema.clone();
        if let Target::Numbers(numbers) = &schema.target {
            schema.target = Target::Numbers(numbers.clone().scaled(self.numbers.clone()));
        }
        schema
    }

    /// The statistics, modality by modality.
    pub fn views(&self) -> &[ViewStatistics] {
        &self.views
    }

    /// Whether a training sample has a reading of this modality whose values are all the same.
    pub fn constant_seen(&self, modality: &str) -> bool {
        self.view(modality).is_none_or(|view| view.constant_seen)
    }

    /// Whether NaN in a reading of this modality stands for a number that was not measured.
    pub fn has_gaps(&self, modality: &str) -> bool {
        self.view(modality).is_some_and(|view| view.gaps)
    }

    /// Whether a standardized reading lies where hardly any of the training did: of a short vector one number, of anything longer the root of the
    /// mean square. Numbers of two values are left out: a rare one is always far.
    pub(crate) fn is_far(&self, modality: &str, array: &Array) -> bool {
        let (Some(view), Values::F32(values)) = (self.view(modality), &array.values) else { return false };
        if array.shape.len() == 1 && values.len() <= SHORT {
            let is_rare = |(mean, std): (&f64, &f64)| (std * std - mean * (1.0 - mean)).abs() < 1e-6;
            let rare = view.mean.iter().zip(&view.std).map(is_rare);
            return values.iter().zip(rare).any(|(x, rare)| !rare && x.abs() > FAR);
        }
        // In lanes: one sum after another would take as long as a layer.
        let (rows, rest) = values.as_chunks::<16>();
        let mut lanes = [0.0f32; 16];
        for row in rows {
            lanes.iter_mut().zip(row).for_each(|(lane, x)| *lane += x * x);
        }
        let squares: f64 = lanes.iter().map(|&lane| f64::from(lane)).chain(rest.iter().map(|&x| f64::from(x).powi(2))).sum();
        squares > FAR_ON_AVERAGE.powi(2) * values.len() as f64
    }

    /// Standardizes a whole data set in place.
    pub fn apply(&self, data: &mut TableDataset) -> Result<()> {
        self.check(data.schema())?;
        for m in 0..data.schema().modalities.len() {
            let Some(view) = self.view(&data.schema().modalities.names()[m]) else { continue };
            data.map_values(m, |values, x| view.apply(values, x));
        }
        Ok(())
    }

    /// Standardizes one sample of a modality: all its values, in the order of the data set. Centred in f64, so a large offset (a
    /// map coordinate, a time since 1970) costs no digits.
    pub fn apply_values(&self, modality: &str, values: &[f64]) -> Result<Vec<f32>> {
        let view = self.named(modality)?;
        if values.is_empty() || !values.len().is_multiple_of(view.mean.len()) {
            return Err(Error::shape(modality, format!("a multiple of {} values", view.mean.len()), values.len()));
        }
        let mut standardized = vec![0.0; values.len()];
        view.apply(values, &mut standardized);
        Ok(standardized)
    }

    /// Standardizes one reading in place; what lies behind its length stays 0.
    pub fn apply_array(&self, modality: &str, array: &mut Array) -> Result<()> {
        let view = self.named(modality)?;
        let mut standardized = match std::mem::replace(&mut array.values, Values::F32(Vec::new())) {
            Values::F64(values) => self.apply_values(modality, &values)?,
            Values::F32(mut values) => {
                if values.is_empty() || !values.len().is_multiple_of(view.mean.len()) {
                    return Err(Error::shape(modality, format!("a multiple of {} values", view.mean.len()), values.len()));
                }
                view.apply_in_place(&mut values);
                values
            }
        };
        if let (Some(length), Some(&width)) = (array.length, array.shape.last())
            && length < width
        {
            standardized.chunks_mut(width).for_each(|row| row[length..].fill(0.0));
        }
        array.values = Values::F32(standardized);
        Ok(())
    }

    /// Standardizes one modality of some samples: `[batch, features]` or `[batch, channels, height, width]` in, the same out.
    /// Keeps no gradient.
    pub fn apply_tensor(&self, modality: &str, xs: &Tensor) -> Result<Tensor> {
        let view = self.named(modality)?;
        let channels = view.mean.len();
        if !matches!(xs.rank(), 2 | 4) || xs.dims()[1] != channels {
            return Err(Error::shape(modality, format!("[batch, {channels}] or [batch, {channels}, height, width]"), xs.dims()));
        }
        let width: usize = xs.dims()[1..].iter().product();
        let values: Vec<f64> = xs.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        let mut standardized = vec![0.0; values.len()];
        if width > 0 {
            standardized.chunks_exact_mut(width).zip(values.chunks_exact(width)).for_each(|(out, x)| view.apply(x, out));
        }
        Ok(Tensor::from_vec(standardized, xs.shape(), xs.device())?)
    }

    fn named(&self, modality: &str) -> Result<&ViewStatistics> {
        self.view(modality).ok_or_else(|| {
            let fitted = self.views.iter().map(|v| v.modality.clone()).collect();
            DataError::NotFitted { modality: modality.into(), fitted }.into()
        })
    }

    /// Whether it was made for such data: the same modalities with the same numbers of features or channels.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        for view in &self.views {
            schema.modalities.index(&view.modality)?;
            if view.mean.len() != view.std.len() || view.std.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
                return Err(DataError::DamagedStatistics { modality: view.modality.clone() }.into());
            }
        }
        for (name, input) in schema.modalities.names().iter().zip(&schema.inputs) {
            let (fitted, found) = (self.named(name)?.mean.len(), channels(input));
            if fitted != found {
                let what = if input.kind == InputKind::Vector { "features" } else { "channels" };
                return Err(DataError::Width { modality: name.clone(), what, found, fitted }.into());
            }
        }
        Ok(())
    }

    fn view(&self, modality: &str) -> Option<&ViewStatistics> {
        self.views.iter().find(|v| v.modality == modality)
    }
}

/// Standardizes every reading, with all the digits that the source has.
impl Transform for Standardizer {
    fn apply(&self, sample: &mut Sample, schema: &Schema, _key: SampleKey) -> Result<()> {
        for (name, reading) in schema.modalities.names().iter().zip(&mut sample.readings) {
            if let Some(array) = reading {
                self.apply_array(name, array)?;
            }
        }
        Ok(())
    }

    fn is_random(&self) -> bool {
        false
    }
}

impl ViewStatistics {
    /// One sample that has no more than the digits of f32; computed in f64 all the same.
    fn apply_in_place(&self, values: &mut [f32]) {
        let size = values.len() / self.mean.len();
        for (values, (mean, std)) in values.chunks_exact_mut(size).zip(self.mean.iter().zip(&self.std)) {
            values.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) / std) as f32);
        }
        self.fill_gaps(values);
    }

    /// One sample, from f64 to f32.
    fn apply(&self, values: &[f64], standardized: &mut [f32]) {
        let size = values.len() / self.mean.len();
        let channels = values.chunks_exact(size).zip(standardized.chunks_exact_mut(size)).zip(self.mean.iter().zip(&self.std));
        for ((values, out), (mean, std)) in channels {
            out.iter_mut().zip(values).for_each(|(out, x)| *out = ((x - mean) / std) as f32);
        }
        self.fill_gaps(standardized);
    }

    /// Makes numbers that were not measured the mean, which is 0 after standardization.
    fn fill_gaps(&self, standardized: &mut [f32]) {
        if self.gaps {
            standardized.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = 0.0);
        }
    }
}

/// A constant feature; its mean is exact only to the rounding of f64.
fn is_constant_at(mean: f64, std: f64) -> bool {
    std <= 1e-12 * mean.abs()
}

/// Mean and standard deviation of features that look constant for their size alone: whole numbers are exact, and those near 1e15 may still
/// differ. By view and feature, from the distances to the first number; `views` has the sums of squares.
fn close_whole_numbers(
    data: &dyn Source,
    rows: &[usize],
    views: &[ViewStatistics],
    counts: &[Vec<f64>],
) -> Result<HashMap<(usize, usize), [f64; 2]>> {
    let mut sums: HashMap<(usize, usize), Distances> = HashMap::new();
    for (v, (view, counts)) in views.iter().zip(counts).enumerate() {
        let features = view.std.iter().zip(&view.mean).zip(counts).enumerate();
        let close = features.filter(|(_, ((sum, mean), count))| **sum > 0.0 && is_constant_at(**mean, (**sum / **count).sqrt()));
        sums.extend(close.map(|(f, _)| ((v, f), Distances::default())));
    }
    if sums.is_empty() {
        return Ok(HashMap::new());
    }
    data.visit_values(rows, &mut |v, x| {
        let size = x.len() / views[v].mean.len();
        for (f, x) in x.chunks_exact(size).enumerate() {
            let Some(of) = sums.get_mut(&(v, f)) else { continue };
            for x in x.iter().filter(|x| !(views[v].gaps && x.is_nan())) {
                let distance = x - *of.first.get_or_insert(*x);
                of.sum += distance;
                of.squares += distance * distance;
                of.has_fractions |= x.fract() != 0.0;
            }
        }
    })?;
    let exact = |((v, f), of): ((usize, usize), Distances)| {
        let count = counts[v][f];
        let mean = of.sum / count;
        let std = (of.squares / count - mean * mean).max(0.0).sqrt();
        Some(((v, f), [of.first? + mean, std])).filter(|_| !of.has_fractions && std > 0.0)
    };
    Ok(sums.into_iter().filter_map(exact).collect())
}

/// Distances of numbers to the first of them.
#[derive(Default)]
struct Distances {
    first: Option<f64>,
    sum: f64,
    squares: f64,
    has_fractions: bool,
}

/// Mean and standard deviation over the training samples of each number that is to be predicted; nothing where the target is no number.
fn number_scale(data: &dyn Source, rows: &[usize]) -> Result<Vec<[f64; 2]>> {
    let Target::Numbers(numbers) = &data.schema().target else { return Ok(Vec::new()) };
    let mut values = vec![Vec::with_capacity(rows.len()); numbers.names().len()];
    for &row in rows {
        if let TargetValue::Numbers(of_row) = data.target(row)? {
            values.iter_mut().zip(of_row).for_each(|(values, x)| values.push(x));
        }
    }
    let scale = |(values, name): (&Vec<f64>, &String)| {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let std = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count).sqrt();
        match std > 1e-12 * mean.abs() && std >= f64::from(f32::MIN_POSITIVE) {
            true => Ok([mean, std]),
            false => Err(DataError::ConstantTarget { name: name.clone(), value: mean, samples: values.len() }.into()),
        }
    };
    values.iter().zip(numbers.names()).map(scale).collect()
}

/// Whether all values are the same number.
pub(crate) fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|x| *x == values[0])
}

/// How many statistics an input has: one a feature, or one a channel.
fn channels(input: &InputSpec) -> usize {
    match input.kind {
        InputKind::Vector => input.elements(),
        InputKind::Image | InputKind::Video | InputKind::Spectrogram | InputKind::Series => input.shape[0],
        InputKind::Tokens => 1,
    }
}
