//! What each modality contributes: its Shapley value over the table of accuracies,
//! `phi_i = sum over S without i of |S|! (M - |S| - 1)! / M! (v(S + i) - v(S))`.
//!
//! The values of all modalities add up to `v(all) - v(none)`. They are linear in the table, hence given by weights, which the
//! bootstrap takes as [`super::Statistic::Linear`].

use crate::modality::MAX_MODALITIES;

/// `weights[i][bits]`: the weight of combination `bits` (bit `m` is modality `m`; 0 is the empty one) in the value of
/// modality `i`. `None` for 0 or more than 16 modalities.
pub fn shapley_weights(modalities: usize) -> Option<Vec<Vec<f64>>> {
    if !(1..=MAX_MODALITIES).contains(&modalities) {
        return None;
    }
    // |S|! (M - |S| - 1)! / M! by size, as 1 / (M * binomial(M - 1, |S|)).
    let mut by_size = vec![1.0 / modalities as f64];
    for size in 1..modalities {
        by_size.push(by_size[size - 1] * size as f64 / (modalities - size) as f64);
    }
    let weight = |i: usize, bits: usize| {
        let size = bits.count_ones() as usize;
        if bits >> i & 1 == 1 { by_size[size - 1] } else { -by_size[size] }
    };
    Some((0..modalities).map(|i| (0..1 << modalities).map(|bits| weight(i, bits)).collect()).collect())
}

/// The Shapley value of each modality from a complete table of `2^M` values by bitset, the empty set's first.
/// `None` if the table is not complete (its length, or a value that is not finite) or has more than 16 modalities.
pub fn shapley_values(table: &[f64]) -> Option<Vec<f64>> {
    if !table.len().is_power_of_two() || table.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let weights = shapley_weights(table.len().trailing_zeros() as usize)?;
    Some(weights.iter().map(|w| w.iter().zip(table).map(|(w, v)| w * v).sum()).collect())
}
