//! A batch of which each rank has read a part.

use super::{Communicator, ParallelError};
use crate::data::{Batch, Inputs, Reading, Targets};
use crate::error::{Error, Result};
use crate::modality::{Presence, Subset};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;

/// The samples of all ranks, in their order, from those that each has read.
pub(crate) fn gather_batch(communicator: &dyn Communicator, own: Batch) -> Result<Batch> {
    let what = "samples";
    let parts = communicator.all_gather(what, &packed(&own)?)?;
    let parts: Vec<(Part, usize)> = parts.iter().map(|bytes| unpacked(bytes)).collect::<Result<_>>()?;
    let modalities = own.inputs().modalities().clone();
    let readings = (0..modalities.len()).map(|m| reading(&parts, m)).collect::<Result<Vec<_>>>()?;
    let column = |name: &str| -> Result<Vec<i64>> {
        let columns = parts.iter().map(|(part, _)| Ok(tensor(part, name)?.to_vec1::<i64>()?)).collect::<Result<Vec<_>>>()?;
        Ok(columns.concat())
    };
    let has = column(PRESENCE)?.into_iter().map(subset).collect::<Result<Vec<_>>>()?;
    let ids = column(IDS)?.into_iter().map(|id| id as u64).collect();
    let inputs = Inputs::new(&modalities, readings, Presence::new(has), ids)?;
    let inputs = if own.inputs().is_altered() { inputs.altered() } else { inputs };
    let values = parts.iter().map(|(part, _)| tensor(part, VALUES)).collect::<Result<Vec<_>>>()?;
    let targets = Targets::new(Tensor::cat(&values, 0)?).with_options(own.targets().options().clone());
    if parts.iter().all(|(part, _)| !part.contains_key(WEIGHTS)) {
        return Batch::new(inputs, targets);
    }
    let weights = parts.iter().map(|(part, samples)| match part.get(WEIGHTS) {
        Some(weights) => Ok(weights.clone()),
        None => Tensor::ones(*samples, DType::F32, &Device::Cpu),
    });
    let weights = Tensor::cat(&weights.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
    Batch::new(inputs, targets.with_weights(weights)?)
}

/// The tensors of a batch by name.
type Part = HashMap<String, Tensor>;

const PRESENCE: &str = "presence";
const IDS: &str = "ids";
const VALUES: &str = "values";
const WEIGHTS: &str = "weights";

fn reading_name(m: usize) -> String {
    format!("reading.{m}")
}

fn lengths_name(m: usize) -> String {
    format!("lengths.{m}")
}

/// The tensors of a rank, and how many samples they are of.
fn unpacked(bytes: &[u8]) -> Result<(Part, usize)> {
    let part = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
    let samples = tensor(&part, IDS)?.elem_count();
    Ok((part, samples))
}

fn tensor<'p>(part: &'p Part, name: &str) -> Result<&'p Tensor> {
    part.get(name).ok_or_else(|| Error::shape(format!("samples of another rank: {name}"), "a tensor", "none"))
}

fn packed(batch: &Batch) -> Result<Vec<u8>> {
    let (inputs, targets) = (batch.inputs(), batch.targets());
    let column = |values: Vec<i64>| Tensor::from_vec(values, batch.len(), &Device::Cpu);
    let mut tensors = Part::new();
    tensors.insert(PRESENCE.into(), column(inputs.presence().subsets().iter().map(|has| i64::from(has.bits())).collect())?);
    tensors.insert(IDS.into(), column(inputs.ids().iter().map(|id| *id as i64).collect())?);
    tensors.insert(VALUES.into(), targets.values().clone());
    tensors.extend(targets.weights().map(|weights| (WEIGHTS.to_string(), weights.clone())));
    for (m, reading) in inputs.readings().iter().enumerate() {
        let Some(Reading { values, lengths }) = reading else { continue };
        tensors.insert(reading_name(m), values.clone());
        tensors.extend(lengths.clone().map(|lengths| (lengths_name(m), lengths)));
    }
    let tensors = tensors.into_iter().map(|(name, tensor)| Ok((name, tensor.contiguous()?))).collect::<Result<Vec<_>>>()?;
    safetensors::serialize(tensors, None).map_err(|e| ParallelError::Packing { problem: e.to_string() }.into())
}

fn subset(bits: i64) -> Result<Subset> {
    Subset::from_bits(u16::try_from(bits).unwrap_or(0))
}

/// A modality: zeros for the samples of ranks of which none has it.
fn reading(parts: &[(Part, usize)], m: usize) -> Result<Option<Reading>> {
    let (name, lengths_name) = (reading_name(m), lengths_name(m));
    let Some(like) = parts.iter().find_map(|(part, _)| part.get(&name)) else { return Ok(None) };
    let values = parts.iter().map(|(part, samples)| match part.get(&name) {
        Some(values) => Ok(values.clone()),
        None => {
            let mut dims = like.dims().to_vec();
            dims[0] = *samples;
            Tensor::zeros(dims, like.dtype(), &Device::Cpu)
        }
    });
    let values = Tensor::cat(&values.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
    if parts.iter().all(|(part, _)| !part.contains_key(&lengths_name)) {
        return Ok(Some(values.into()));
    }
    // Without lengths a reading fills all of its last dimension.
    let last = like.dims().last().copied().unwrap_or(0) as u32;
    let lengths = parts.iter().map(|(part, samples)| match (part.get(&lengths_name), part.contains_key(&name)) {
        (Some(lengths), _) => Ok(lengths.clone()),
        (None, there) => Tensor::full(if there { last } else { 0 }, *samples, &Device::Cpu),
    });
    let lengths = Tensor::cat(&lengths.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
    Ok(Some(Reading { values, lengths: Some(lengths) }))
}
