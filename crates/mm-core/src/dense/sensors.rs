//! What networks read of each sensor.

use crate::data::{DataError, Inputs, Schema};
use crate::error::{Error, ModalityError, Result};
use crate::modality::Presence;
use crate::model::Encoded;
use crate::nn::{Mode, gather_rows};
use candle_core::{DType, Tensor};

/// A sensor that gives maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenseSensor {
    /// Name of the modality, which its parameters carry.
    pub name: String,
    /// Channels of its maps.
    pub channels: usize,
}

impl DenseSensor {
    /// The sensors of a schema; each must be maps `[channels, height, width]`.
    pub fn of_schema(schema: &Schema) -> Result<Vec<Self>> {
        let sensor = |(name, input): (&String, &crate::data::InputSpec)| match *input.shape {
            [channels, _, _] => Ok(Self { name: name.clone(), channels }),
            _ => Err(Error::shape(
                format!("input `{name}`"),
                "[channels, height, width], as networks that predict every pixel read",
                &input.shape,
            )),
        };
        schema.modalities.names().iter().zip(&schema.inputs).map(sensor).collect()
    }

    /// Refuses what no network can be built for.
    pub(super) fn check(sensors: &[Self], classes: usize) -> Result<()> {
        if sensors.is_empty() || sensors.len() > crate::modality::MAX_MODALITIES {
            return Err(ModalityError::Count { found: sensors.len() }.into());
        }
        if let Some(sensor) = sensors.iter().find(|sensor| sensor.channels == 0) {
            return Err(Error::shape(format!("input `{}`", sensor.name), "maps with a channel at least", [sensor.channels]));
        }
        match classes {
            0 => Err(DataError::NoClasses.into()),
            _ => Ok(()),
        }
    }
}

/// The one height and width of all sensors of a batch; refuses other numbers of sensors or channels, and sizes that differ.
pub(super) fn size_of_inputs(inputs: &Inputs, sensors: &[DenseSensor]) -> Result<(usize, usize)> {
    if inputs.readings().len() != sensors.len() {
        let (found, expected) = (inputs.readings().len(), sensors.len());
        return Err(DataError::Count { what: "modalities", found, of: "encoders", expected }.into());
    }
    let mut size = None;
    for (reading, sensor) in inputs.readings().iter().zip(sensors) {
        let Some(reading) = reading else { continue };
        let found = reading.values.dims();
        size = match (found, size) {
            (&[_, channels, height, width], None) if channels == sensor.channels && height > 0 && width > 0 => Some((height, width)),
            (&[_, channels, height, width], Some(before)) if channels == sensor.channels && before == (height, width) => size,
            _ => {
                let (channels, one_size) = (sensor.channels, size.map_or("height, width".into(), |(h, w)| format!("{h}, {w}")));
                let expected = format!("[batch, {channels}, {one_size}]: all sensors of a batch have one size");
                return Err(Error::shape(format!("input `{}`", sensor.name), expected, found));
            }
        };
    }
    size.ok_or_else(|| ModalityError::NothingInBatch.into())
}

/// The values of a sensor's reading for some samples, in the dtype of the parameters (f32, but for checks of gradients).
pub(super) fn values_of(inputs: &Inputs, sensor: usize, rows: &[u32], dtype: DType) -> Result<Option<Tensor>> {
    match inputs.at(sensor).filter(|_| !rows.is_empty()) {
        Some(reading) => Ok(Some(gather_rows(&reading.values, rows)?.to_dtype(dtype)?)),
        None => Ok(None),
    }
}

/// What is encoded, with the size of the inputs as the last tensor.
pub(super) fn encoded(
    mut tensors: Vec<Option<Tensor>>,
    size: (usize, usize),
    presence: &Presence,
    encoder_passes: usize,
) -> Result<Encoded> {
    tensors.push(Some(Tensor::new(&[size.0 as u32, size.1 as u32], &candle_core::Device::Cpu)?));
    Ok(Encoded { tensors, presence: presence.clone(), encoder_passes })
}

/// What [`encoded`] got.
pub(super) struct EncodedMaps<'a> {
    /// Sensor by sensor, of each the finest first.
    pub maps: &'a [Option<Tensor>],
    /// Height and width of the inputs.
    pub size: (usize, usize),
    /// One of the maps: dtype and device of all.
    pub like: &'a Tensor,
}

impl<'a> EncodedMaps<'a> {
    /// Of so many sensors and levels.
    pub fn of(encoded: &'a Encoded, sensors: usize, levels: usize) -> Result<Self> {
        let Some((Some(size), maps)) = encoded.tensors.split_last().filter(|(_, maps)| maps.len() == sensors * levels) else {
            let expected = format!("{levels} maps of each of {sensors} sensors, and their size");
            return Err(Error::shape("encoded", expected, encoded.tensors.len()));
        };
        let [height, width] = *size.to_vec1::<u32>()? else {
            return Err(Error::shape("encoded size", "height and width", size.dims()));
        };
        let like = maps.iter().flatten().next().ok_or(ModalityError::NothingInBatch)?;
        Ok(Self { maps, size: (height as usize, width as usize), like })
    }
}

/// A map with the samples that lack sensor `sensor` set to zero; `None` where none has it.
///
/// Selects, never multiplies: a NaN in an absent sensor stays out.
pub(super) fn keep(map: Option<&Tensor>, sensor: usize, presence: &Presence, encoded: &Presence) -> Result<Option<Tensor>> {
    let Some(map) = map else { return Ok(None) };
    let has = |presence: &Presence| -> Vec<bool> { presence.subsets().iter().map(|subset| subset.contains(sensor)).collect() };
    let (kept, there) = (has(presence), has(encoded));
    if !kept.contains(&true) {
        return Ok(None);
    }
    // What was not encoded is zero already.
    if kept.iter().zip(&there).all(|(kept, there)| *kept || !there) {
        return Ok(Some(map.clone()));
    }
    let mut dims = vec![1; map.rank()];
    dims[0] = kept.len();
    let mask: Vec<u8> = kept.into_iter().map(u8::from).collect();
    let mask = Tensor::from_vec(mask, dims, map.device())?.broadcast_as(map.shape())?;
    Ok(Some(mask.where_cond(map, &map.zeros_like()?)?))
}

/// Refuses weights that are not `[batch, sensors]`.
pub(super) fn check_weights(weights: Option<&Tensor>, batch: usize, sensors: usize) -> Result<()> {
    match weights {
        Some(weights) if weights.dims() != [batch, sensors] => {
            Err(Error::shape("weights", format!("[{batch}, {sensors}], a number for each sensor of each sample"), weights.dims()))
        }
        _ => Ok(()),
    }
}

/// A map times the weights of sensor `sensor`, sample by sample; as it is without weights.
pub(super) fn weighted(map: Option<Tensor>, sensor: usize, weights: Option<&Tensor>) -> Result<Option<Tensor>> {
    match (map, weights) {
        (Some(map), Some(weights)) => {
            let weights = weights.narrow(1, sensor, 1)?.reshape((map.dim(0)?, 1, 1, 1))?;
            Ok(Some(map.broadcast_mul(&weights)?))
        }
        (map, _) => Ok(map),
    }
}

/// The sum of the maps that are there, in order; zeros of this shape, like `like`, where none is.
pub(super) fn sum_of(maps: impl IntoIterator<Item = Option<Tensor>>, shape: [usize; 4], like: &Tensor, mode: Mode) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for map in maps.into_iter().flatten() {
        sum = Some(match sum {
            None => map,
            Some(sum) if mode.is_train() => (sum + map)?,
            Some(sum) => crate::nn::add(&sum, &map)?,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => Ok(Tensor::zeros(&shape, like.dtype(), like.device())?),
    }
}
