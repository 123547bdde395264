//! Every combination from the same per-modality parts.

use crate::error::{ModalityError, Result};
use crate::modality::Subset;
use crate::model::{Output, Visit};
use crate::nn::add;
use candle_core::Tensor;
use rayon::prelude::*;
use std::cell::RefCell;

/// Groups of combinations a thread gets, so that a slow thread does not hold up the others.
const GROUPS_A_THREAD: usize = 4;

/// Samples of several combinations that are computed together.
const STACKED: usize = 128;

/// Calls `visit(position, sum)` for each of `subsets` with the sum of its modalities' parts, one `[batch, ..]` tensor a part, in any order
/// and from several threads.
///
/// A combination is its prefix (all but the last modality) plus one part: about one addition each when all combinations are
/// asked for. Only additions, in the order of the modalities, so every sum equals the one computed alone, bit for bit, for
/// any number of threads.
pub fn visit_combination_sums(
    parts: &[Option<Tensor>],
    subsets: &[Subset],
    visit: impl Fn(usize, &Tensor) -> Result<()> + Sync,
) -> Result<()> {
    let order = by_prefix(subsets);
    // Elsewhere than on the CPU the device does the work, in the order it is asked for.
    let on_cpu = parts.iter().flatten().all(|part| part.device().is_cpu());
    let groups = if on_cpu { GROUPS_A_THREAD * rayon::current_num_threads() } else { 1 };
    let groups: Vec<&[usize]> = order.chunks(subsets.len().div_ceil(groups).max(1)).collect();
    match groups.len() {
        0 | 1 => groups.into_iter().try_for_each(|group| group_sums(parts, subsets, group, &visit)),
        _ => groups.into_par_iter().try_for_each(|group| group_sums(parts, subsets, group, &visit)),
    }
}

/// Calls `visit(position, output)` for each of `subsets` with what `output` makes of the sum of its modalities' parts, as
/// [`visit_combination_sums`] does. Maps of several combinations are computed together, up to 128 samples: what follows them reads
/// megabytes of weights for each batch, however small it is.
pub fn visit_combination_outputs(
    parts: &[Option<Tensor>],
    subsets: &[Subset],
    output: impl Fn(&Tensor) -> Result<Output> + Sync,
    visit: Visit,
) -> Result<()> {
    let Some(maps) = parts.iter().flatten().next().filter(|part| part.rank() == 4) else {
        return visit_combination_sums(parts, subsets, |i, sum| visit(i, output(sum)?));
    };
    let batch = maps.dim(0)?;
    by_prefix(subsets).chunks((STACKED / batch.max(1)).max(1)).try_for_each(|group| {
        let sums = RefCell::new(Vec::with_capacity(group.len()));
        group_sums(parts, subsets, group, |_, sum| {
            sums.borrow_mut().push(sum.clone());
            Ok(())
        })?;
        let outputs = output(&Tensor::cat(&sums.into_inner(), 0)?)?;
        group.iter().enumerate().try_for_each(|(i, &position)| visit(position, outputs.narrow(i * batch, batch)?))
    })
}

/// The positions of combinations, so that those with the same prefix follow each other.
fn by_prefix(subsets: &[Subset]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..subsets.len()).collect();
    order.sort_by_cached_key(|&i| subsets[i].indices().collect::<Vec<_>>());
    order
}

/// The sums of the combinations at the positions `group`; neighbours share the sums of their common prefix.
fn group_sums(parts: &[Option<Tensor>], subsets: &[Subset], group: &[usize], visit: impl Fn(usize, &Tensor) -> Result<()>) -> Result<()> {
    let mut stack: Vec<(usize, Tensor)> = Vec::new();
    for &i in group {
        let wanted: Vec<usize> = subsets[i].indices().collect();
        let shared = stack.iter().zip(&wanted).take_while(|((m, _), w)| m == *w).count();
        stack.truncate(shared);
        for &m in &wanted[shared..] {
            let part = parts.get(m).and_then(Option::as_ref);
            let part = part.ok_or(ModalityError::AbsentInBatch { position: m })?;
            let sum = match stack.last() {
                Some((_, prefix)) => add(prefix, part)?,
                None => part.clone(),
            };
            stack.push((m, sum));
        }
        if let Some((_, sum)) = stack.last() {
            visit(i, sum)?;
        }
    }
    Ok(())
}
