//! A sample by named readings in, an answer out.

use super::Pipeline;
use crate::data::kinds::{Kind, Origin};
use crate::data::{Array, InputSpec, Inputs, ManifestRow, NonFinite, OnCorrupt, PixelLabels, Schema, Target, reading, with_indicators};
use crate::error::{Error, ModalityError, NonFiniteError, Result};
use crate::eval::probabilities;
use crate::modality::{Presence, Subset};
use crate::model::{Output, SensorTrust};
use crate::task::sigmoid;
use candle_core::Device;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The readings of one sample by modality; what is not named is absent.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    by_name: BTreeMap<String, Given>,
}

#[derive(Debug, Clone)]
enum Given {
    Array(Array),
    Origin(Origin),
    Absent,
    Unreadable,
}

impl Readings {
    /// Of a sample without any reading yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A vector of features.
    pub fn vector(self, modality: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        self.array(modality, Array::exact([values.len()], values))
    }

    /// Numbers of any shape, such as an image `[channels, height, width]`.
    pub fn array(mut self, modality: &str, array: Array) -> Self {
        self.by_name.insert(modality.into(), Given::Array(array));
        self
    }

    /// A file, read as the model's modality says.
    pub fn file(self, modality: &str, path: impl Into<PathBuf>) -> Self {
        self.origin(modality, Origin::file(path))
    }

    /// A text, such as a sentence.
    pub fn text(self, modality: &str, text: impl Into<String>) -> Self {
        self.origin(modality, Origin::Text(text.into()))
    }

    /// What lies somewhere, such as a part of a long sound, read as the model's modality says.
    pub fn origin(mut self, modality: &str, origin: Origin) -> Self {
        self.by_name.insert(modality.into(), Given::Origin(origin));
        self
    }

    /// The readings of a row of a manifest, whose sensors are `names` in this order.
    pub fn of_row(names: &[String], row: ManifestRow) -> Self {
        let origins = names.iter().zip(row.origins).filter_map(|(name, origin)| Some((name, origin?)));
        origins.fold(Self::new(), |readings, (name, origin)| readings.origin(name, origin))
    }

    /// Says that a sensor gave nothing; the same as not naming it.
    pub fn absent(mut self, modality: &str) -> Self {
        self.by_name.insert(modality.into(), Given::Absent);
        self
    }

    /// Says that what a sensor gave could not be read: it is ignored as [`Reason::Unreadable`].
    pub fn unreadable(mut self, modality: &str) -> Self {
        self.by_name.insert(modality.into(), Given::Unreadable);
        self
    }
}

impl Given {
    /// As its kind reads it.
    fn read(&self, name: &str, input: &InputSpec, kind: Option<&dyn Kind>) -> Result<Option<Array>> {
        match self {
            Self::Array(array) => Ok(Some(array.clone())),
            Self::Origin(origin) => decode(name, input, origin, kind).map(Some),
            Self::Absent | Self::Unreadable => Ok(None),
        }
    }
}

/// Why a sensor took no part in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There was no reading.
    Absent,
    /// Its reading holds a NaN, an infinity or a number too large to compute with: beyond 32 bits, or 10¹⁵ when it is standardized.
    NonFinite,
    /// All values of its reading are the same (see [`Array::looks_dead`]), which no reading of the training was.
    Dead,
    /// Its file is not there or cannot be decoded, and [`Pipeline::on_corrupt`] says that this is no error; or [`Readings::unreadable`].
    Unreadable,
    /// The model does not read it: it served training only.
    NotRead,
}

impl Reason {
    /// In a word or two, for a cell of a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::NonFinite => "not finite",
            Self::Dead => "dead",
            Self::Unreadable => "unreadable",
            Self::NotRead => "not read",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::NonFinite => "not finite",
            Self::Dead => "dead: all its values are the same",
            Self::Unreadable => "unreadable",
            Self::NotRead => "not read by this model",
        })
    }
}

/// A sensor that took no part in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Name of the modality.
    pub modality: String,
    /// Why.
    pub reason: Reason,
}

/// What a model says of one sample.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The class, where the model predicts one; else empty. The likeliest one, but for a model of two classes with a [threshold](Schema::threshold).
    pub class: String,
    /// Probability of each class or label, in their order; none where every pixel has a class, or numbers are predicted.
    pub probabilities: Vec<(String, f64)>,
    /// The labels that hold, where the model predicts labels: those whose probability is above a half.
    pub labels: Vec<String>,
    /// The numbers by name and in their unit, where the model predicts numbers.
    pub numbers: Vec<(String, f64)>,
    /// The class of every pixel, where the model predicts that: label `k + 1` is class `k`.
    pub pixels: Option<PixelLabels>,
    /// The sensors it is made from.
    pub used: Vec<String>,
    /// The others, and why.
    pub ignored: Vec<Ignored>,
    /// Of the used sensors those whose reading lies where hardly any of the training did: another unit, perhaps, or a code for no reading.
    pub far: Vec<String>,
    /// How far each used sensor is trusted, where the method knows it.
    pub trust: Option<Vec<SensorTrust>>,
}

/// One sample, read, checked and standardized: [`Pipeline::prepare`] makes it, [`Pipeline::answer`] answers it.
#[derive(Debug)]
pub struct Prepared {
    arrays: Vec<Option<Array>>,
    used: Subset,
    far: Vec<String>,
    ignored: Vec<Ignored>,
}

/// The largest standardized number, beyond which a sensor is not finite: what networks do with more leaves the 32 bits, they square it, and square that.
pub const LARGEST: f32 = 1e15;

/// Reads files, checks shapes, finds what cannot be used, standardizes the rest.
pub(super) fn prepare(readings: &Readings, pipeline: &Pipeline) -> Result<Prepared> {
    let schema = pipeline.schema();
    let names = schema.modalities.names();
    readings.by_name.keys().try_for_each(|name| schema.modalities.index(name).map(|_| ()))?;
    let (mut arrays, mut ignored, mut bits) = (vec![None; names.len()], Vec::new(), 0u16);
    let mut far = Vec::new();
    for (m, (name, input)) in names.iter().zip(&schema.inputs).enumerate() {
        let array = match readings.by_name.get(name) {
            _ if !pipeline.model().reads().contains(m) => Err(Reason::NotRead),
            None => Err(Reason::Absent),
            Some(Given::Unreadable) => Err(Reason::Unreadable),
            Some(given) => match given.read(name, input, pipeline.kind(m)) {
                Ok(array) => array.map(|array| with_measured(array, name, input, pipeline)).ok_or(Reason::Absent),
                Err(error) if pipeline.corrupt() == OnCorrupt::Absent && !matches!(error, Error::Config { .. }) => {
                    tracing::info!("{error}; this reading counts as absent");
                    Err(Reason::Unreadable)
                }
                Err(error) => return Err(error),
            },
        };
        let usable = array.and_then(|array| match () {
            _ if !(array.is_finite() || pipeline.standardizer().has_gaps(name) && array.has_only_gaps()) => Err(Reason::NonFinite),
            _ if array.looks_dead() && !pipeline.standardizer().constant_seen(name) => Err(Reason::Dead),
            _ => Ok(array),
        });
        let usable = match usable {
            Ok(array) if array.shape != input.shape || array.values.len() != input.elements() => {
                return Err(Error::shape(format!("reading `{name}`"), format!("{:?}", input.shape), array.shape));
            }
            Ok(mut array) => {
                pipeline.standardizer().apply_array(name, &mut array)?;
                if array.is_within(LARGEST) { Ok(array) } else { Err(Reason::NonFinite) }
            }
            Err(reason) => Err(reason),
        };
        match usable {
            Ok(array) => {
                if pipeline.standardizer().is_far(name, &array) {
                    far.push(name.clone());
                }
                arrays[m] = Some(array);
                bits |= 1 << m;
            }
            Err(Reason::NonFinite) if pipeline.non_finite() == NonFinite::Error => {
                return Err(NonFiniteError::Given { modality: name.clone() }.into());
            }
            Err(reason) => ignored.push(Ignored { modality: name.clone(), reason }),
        }
    }
    let Ok(used) = Subset::from_bits(bits) else { return Err(ModalityError::NoSensor { ignored }.into()) };
    if !pipeline.model().supports(used) {
        return Err(ModalityError::TooFewSensors { used: schema.modalities.format(used), ignored }.into());
    }
    Ok(Prepared { arrays, used, far, ignored })
}

/// The numbers with those behind them that say which were measured, where it is given without.
fn with_measured(array: Array, name: &str, input: &InputSpec, pipeline: &Pipeline) -> Array {
    if array.shape == input.shape {
        return array;
    }
    let measured = pipeline.config().columns.measured(name);
    match measured.is_empty() || array.shape != [input.elements() - measured.len()] {
        true => array,
        false => Array::exact(input.shape.clone(), with_indicators(array.values.to_f64(), &measured)),
    }
}

/// The reading of a modality as its kind reads it, not standardized.
pub(super) fn reading_of(readings: &Readings, modality: &str, pipeline: &Pipeline) -> Result<Option<Array>> {
    let position = pipeline.schema().modalities.index(modality)?;
    let Some(given) = readings.by_name.get(modality) else { return Ok(None) };
    given.read(modality, &pipeline.schema().inputs[position], pipeline.kind(position))
}

/// Reads what lies somewhere, as the kind of the modality says.
fn decode(name: &str, input: &InputSpec, origin: &Origin, kind: Option<&dyn Kind>) -> Result<Array> {
    match (kind, origin) {
        (Some(kind), _) => kind.raw(origin).and_then(|raw| kind.features(raw)).map_err(|error| origin.blame(error)),
        (None, Origin::Numbers(values)) if values.len() == input.elements() => Ok(Array::exact(input.shape.clone(), values.clone())),
        (None, _) => {
            let problem = format!("{origin} cannot be read: the model does not say what its files hold; give an array instead");
            Err(Error::config(format!("readings.{name}"), problem))
        }
    }
}

/// The samples as a model sees them.
pub(super) fn inputs(samples: &mut [Prepared], schema: &Schema, device: &Device) -> Result<Inputs> {
    let ids: Vec<u64> = (0..samples.len() as u64).collect();
    let names = schema.modalities.names().iter();
    let readings = names.zip(&schema.inputs).enumerate().map(|(m, (name, input))| {
        let column = samples.iter_mut().map(|sample| sample.arrays[m].take()).collect();
        reading(name, input, column, &ids, device)
    });
    let readings = readings.collect::<Result<Vec<_>>>()?;
    let presence = Presence::new(samples.iter().map(|sample| sample.used).collect());
    Inputs::new(&schema.modalities, readings, presence, ids)
}

/// What the output says of each sample.
pub(super) fn answers(
    samples: Vec<Prepared>,
    output: &Output,
    trust: Option<Vec<Vec<SensorTrust>>>,
    pipeline: &Pipeline,
) -> Result<Vec<Result<Answer>>> {
    let schema = pipeline.schema();
    let names = schema.target.output_names();
    let size = if schema.target.is_dense() { output.prediction.dims4().ok().map(|(_, _, height, width)| (height, width)) } else { None };
    let logits = output.prediction.flatten_from(1)?.to_vec2::<f32>()?;
    let mut trust = trust.map(Vec::into_iter);
    let answer = |(sample, logits): (Prepared, Vec<f32>)| {
        if logits.iter().any(|x| !x.is_finite()) {
            return Err(NonFiniteError::Answer { used: schema.modalities.format(sample.used) }.into());
        }
        let pixels = match size {
            Some((height, width)) => Some(PixelLabels::of_logits(&logits, height, width)?),
            None => None,
        };
        let probabilities = match &schema.target {
            Target::Pixels(_) | Target::Numbers(_) => Vec::new(),
            Target::Labels(_) => logits.iter().map(|&logit| sigmoid(logit)).collect(),
            Target::Classes(_) | Target::FaceAntiSpoofing(_) => probabilities(&logits, names.len()),
        };
        let labels = names.iter().zip(&logits).filter(|(_, logit)| **logit > 0.0 && matches!(schema.target, Target::Labels(_)));
        let numbers = if let Target::Numbers(task) = &schema.target { task.in_unit(&logits) } else { Vec::new() };
        Ok(Answer {
            class: schema.target.class_names().get(schema.decide(&logits)).filter(|_| pixels.is_none()).cloned().unwrap_or_default(),
            labels: labels.map(|(name, _)| name.clone()).collect(),
            numbers: names.iter().cloned().zip(numbers).collect(),
            probabilities: names.iter().cloned().zip(probabilities).collect(),
            pixels,
            used: sample.used.indices().filter_map(|m| schema.modalities.names().get(m).cloned()).collect(),
            far: sample.far,
            ignored: sample.ignored,
            trust: trust.as_mut().and_then(Iterator::next),
        })
    };
    Ok(samples.into_iter().zip(logits).map(answer).collect())
}
