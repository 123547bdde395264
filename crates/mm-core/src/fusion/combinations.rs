//! Every combination from the same per-modality parts.

use crate::error::{Error, Result};
use crate::modality::Subset;
use crate::nn::add;
use candle_core::Tensor;
use rayon::prelude::*;

/// Groups of combinations a thread gets, so that a slow thread does not hold up the others.
const GROUPS_A_THREAD: usize = 4;

/// `f(sum)` for each of `subsets`, in their order, with the sum of its modalities' parts, one `[batch, ..]` tensor a part.
///
/// A combination is its prefix (all but the last modality) plus one part: about one addition each when all combinations are
/// asked for. Only additions, in the order of the modalities, so every sum equals the one computed alone, bit for bit, for
/// any number of threads.
pub fn map_combination_sums<T: Send>(
    parts: &[Option<Tensor>],
    subsets: &[Subset],
    f: impl Fn(&Tensor) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    // Sorted so that combinations with the same prefix follow each other.
    let mut order: Vec<usize> = (0..subsets.len()).collect();
    order.sort_by_cached_key(|&i| subsets[i].indices().collect::<Vec<_>>());
    // Elsewhere than on the CPU the device does the work, in the order it is asked for.
    let on_cpu = parts.iter().flatten().all(|part| part.device().is_cpu());
    let groups = if on_cpu { GROUPS_A_THREAD * rayon::current_num_threads() } else { 1 };
    let groups: Vec<&[usize]> = order.chunks(subsets.len().div_ceil(groups).max(1)).collect();
    let mut results: Vec<(usize, T)> = match groups.len() {
        0 | 1 => groups.into_iter().map(|group| group_sums(parts, subsets, group, &f)).collect::<Result<Vec<_>>>()?,
        _ => groups.into_par_iter().map(|group| group_sums(parts, subsets, group, &f)).collect::<Result<Vec<_>>>()?,
    }
    .into_iter()
    .flatten()
    .collect();
    results.sort_by_key(|&(i, _)| i);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// `(position, f(sum))` for the combinations at the positions `group`; neighbours share the sums of their common prefix.
fn group_sums<T>(
    parts: &[Option<Tensor>],
    subsets: &[Subset],
    group: &[usize],
    f: impl Fn(&Tensor) -> Result<T>,
) -> Result<Vec<(usize, T)>> {
    let mut stack: Vec<(usize, Tensor)> = Vec::new();
    let mut results = Vec::with_capacity(group.len());
    for &i in group {
        let wanted: Vec<usize> = subsets[i].indices().collect();
        let shared = stack.iter().zip(&wanted).take_while(|((m, _), w)| m == *w).count();
        stack.truncate(shared);
        for &m in &wanted[shared..] {
            let part = parts.get(m).and_then(Option::as_ref);
            let part = part.ok_or_else(|| Error::Modality(format!("no sample of the batch has modality {m}")))?;
            let sum = match stack.last() {
                Some((_, prefix)) => add(prefix, part)?,
                None => part.clone(),
            };
            stack.push((m, sum));
        }
        if let Some((_, sum)) = stack.last() {
            results.push((i, f(sum)?));
        }
    }
    Ok(results)
}
