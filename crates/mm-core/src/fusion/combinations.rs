//! Every combination from the same per-modality parts.

use crate::error::{Error, Result};
use crate::modality::Subset;
use candle_core::Tensor;

/// Calls `f(position, sum)` for each of `subsets` with the sum of its modalities' parts, one `[batch, ..]` tensor a part.
///
/// A combination is its prefix (all but the last modality) plus one part: one addition each when all combinations are asked
/// for. Only additions, in the order of the modalities, so every sum equals the one computed alone, bit for bit.
pub fn for_each_combination_sum(
    parts: &[Option<Tensor>],
    subsets: &[Subset],
    mut f: impl FnMut(usize, &Tensor) -> Result<()>,
) -> Result<()> {
    // Sorted so that combinations with the same prefix follow each other; the stack holds the prefix sums of the current one.
    let mut order: Vec<usize> = (0..subsets.len()).collect();
    order.sort_by_key(|&i| subsets[i].indices().collect::<Vec<_>>());
    let mut stack: Vec<(usize, Tensor)> = Vec::new();
    for i in order {
        let wanted: Vec<usize> = subsets[i].indices().collect();
        let shared = stack.iter().zip(&wanted).take_while(|((m, _), w)| m == *w).count();
        stack.truncate(shared);
        for &m in &wanted[shared..] {
            let part = parts.get(m).and_then(Option::as_ref);
            let part = part.ok_or_else(|| Error::Modality(format!("no sample of the batch has modality {m}")))?;
            let sum = match stack.last() {
                Some((_, prefix)) => (prefix + part)?,
                None => part.clone(),
            };
            stack.push((m, sum));
        }
        if let Some((_, sum)) = stack.last() {
            f(i, sum)?;
        }
    }
    Ok(())
}
