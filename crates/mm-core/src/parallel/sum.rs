//! Sums over the ranks, and checks that they have the same.

use super::{Communicator, ParallelError, gather_numbers, numbers};
use crate::error::Result;
use crate::nn::{Parameters, is_running_statistic};
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor};
use std::hash::Hasher;
use std::ops::Range;
use twox_hash::XxHash3_64;

/// The part of so many numbers that a rank has, where each has as many, up to one.
pub(super) fn part(length: usize, rank: usize, world: usize) -> Range<usize> {
    rank * length / world..(rank + 1) * length / world
}

/// Replaces the numbers with their sum over the ranks, added up in the order of the ranks: the same bits on all of them, and each time.
///
/// Each rank sums a part and gives it to the others: of `n` numbers it sends and receives `2 n (world - 1) / world`, whatever the number of
/// ranks.
pub fn sum_in_rank_order(communicator: &dyn Communicator, what: &str, values: &mut [f32]) -> std::result::Result<(), ParallelError> {
    let (world, length) = (communicator.world(), values.len());
    if world == 1 {
        return Ok(());
    }
    let parts: Vec<&[u8]> = (0..world).map(|rank| bytemuck::cast_slice(&values[part(length, rank, world)])).collect();
    let theirs = numbers::<f32>(what, communicator.all_to_all(what, &parts)?)?;
    let own = part(length, communicator.rank(), world);
    let mut sum = vec![0.0f32; own.len()];
    for (rank, theirs) in theirs.iter().enumerate() {
        check_length(what, rank, theirs, own.len())?;
        match rank {
            0 => sum.copy_from_slice(theirs),
            _ => sum.iter_mut().zip(theirs).for_each(|(sum, x)| *sum += x),
        }
    }
    for (rank, sums) in gather_numbers(communicator, what, &sum)?.iter().enumerate() {
        let part = part(length, rank, world);
        check_length(what, rank, sums, part.len())?;
        values[part].copy_from_slice(sums);
    }
    Ok(())
}

fn check_length(what: &str, rank: usize, found: &[f32], expected: usize) -> std::result::Result<(), ParallelError> {
    match found.len() == expected {
        true => Ok(()),
        false => Err(ParallelError::Length { what: what.into(), rank, found: 4 * found.len(), expected: 4 * expected }),
    }
}

/// Gives every rank the mean of the gradients over the ranks; of running statistics, too, where each rank measures its own.
///
/// All travel in one buffer, behind a number for each variable that says whether the rank has it: a variable that no rank has a
/// gradient of has none.
pub(crate) fn average(communicator: &dyn Communicator, parameters: &Parameters, gradients: &mut GradStore, statistics: bool) -> Result<()> {
    let variables = parameters.variables();
    let mut buffer = vec![0.0f32; variables.len()];
    let is_statistic = |name: &str| statistics && is_running_statistic(name);
    for (i, (name, var)) in variables.iter().enumerate() {
        let own = if is_statistic(name) { Some(var.as_tensor()) } else { gradients.get(var) };
        match own {
            Some(own) => {
                buffer[i] = 1.0;
                buffer.extend(own.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?);
            }
            None => buffer.resize(buffer.len() + var.elem_count(), 0.0),
        }
    }
    sum_in_rank_order(communicator, "gradients", &mut buffer)?;
    let share = 1.0 / communicator.world() as f32;
    let (there, mut rest) = buffer.split_at(variables.len());
    for ((name, var), there) in variables.iter().zip(there) {
        let (sum, behind) = rest.split_at(var.elem_count());
        rest = behind;
        if *there == 0.0 {
            continue;
        }
        let mean: Vec<f32> = sum.iter().map(|x| x * share).collect();
        let mean = Tensor::from_vec(mean, var.shape(), var.device())?.to_dtype(var.dtype())?;
        match is_statistic(name) {
            true => var.set(&mean)?,
            false => drop(gradients.insert(var, mean)),
        }
    }
    Ok(())
}

/// Refuses ranks that differ in one of these, each a name in the plural with a hash.
pub(crate) fn check_same(communicator: &dyn Communicator, of: &[(&'static str, u64)]) -> Result<()> {
    if communicator.world() == 1 {
        return Ok(());
    }
    let own: Vec<u64> = of.iter().map(|(_, hash)| *hash).collect();
    let all = gather_numbers(communicator, "hashes", &own)?;
    for (i, (what, _)) in of.iter().enumerate() {
        if let Some(rank) = all.iter().position(|theirs| theirs.get(i) != all[0].get(i)) {
            return Err(ParallelError::Differs { what, rank }.into());
        }
    }
    Ok(())
}

/// A hash of bytes.
pub(crate) fn hash_of(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> u64 {
    let mut hash = XxHash3_64::new();
    for part in parts {
        hash.write(part.as_ref());
    }
    hash.finish()
}

/// A hash of all values.
pub(crate) fn hash_of_parameters(parameters: &Parameters) -> Result<u64> {
    let mut hash = XxHash3_64::new();
    for (name, var) in parameters.variables() {
        hash.write(name.as_bytes());
        let values = var.as_tensor().to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        hash.write(bytemuck::cast_slice(&values));
    }
    Ok(hash.finish())
}
