//! What batch norms exchange.

use super::{Communicator, ParallelError, gather_numbers};
use mm_kernels::batch_norm_parts::{Moments, combined};

/// The moments of the samples of all ranks.
pub(crate) fn whole_moments(communicator: &dyn Communicator, own: &Moments) -> candle_core::Result<Moments> {
    let (what, channels) = ("moments", own.mean.len());
    let sent = [&[own.count], own.mean.as_slice(), own.squares.as_slice()].concat();
    let part = |(rank, numbers): (usize, Vec<f64>)| match numbers.split_first() {
        Some((count, rest)) if rest.len() == 2 * channels => {
            Ok(Moments { count: *count, mean: rest[..channels].to_vec(), squares: rest[channels..].to_vec() })
        }
        _ => Err(ParallelError::Length { what: what.into(), rank, found: 8 * numbers.len(), expected: 8 * sent.len() }),
    };
    let parts: Vec<Moments> = gather_numbers(communicator, what, &sent)?.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
    combined(&parts).map_err(candle_core::Error::wrap)
}

/// Both sums over the ranks, in their order.
pub(crate) fn whole_sums(communicator: &dyn Communicator, own: &[Vec<f64>; 2]) -> candle_core::Result<[Vec<f64>; 2]> {
    let (what, channels) = ("gradient sums", own[0].len());
    let mut whole = [vec![0.0; channels], vec![0.0; channels]];
    for (rank, part) in gather_numbers(communicator, what, &own.concat())?.iter().enumerate() {
        if part.len() != 2 * channels {
            return Err(ParallelError::Length { what: what.into(), rank, found: 8 * part.len(), expected: 16 * channels }.into());
        }
        for (whole, part) in whole.iter_mut().zip([&part[..channels], &part[channels..]]) {
            whole.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
    }
    Ok(whole)
}
