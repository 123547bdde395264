//! The order in which samples are seen.

use crate::rng;
use rand::seq::SliceRandom;

/// The rows of one epoch in seeded order, cut into batches; the same for the same `(seed, epoch)` everywhere.
///
/// The last batch may be smaller; `drop_last` leaves it out, unless it is the only one.
///
/// ```
/// let batches = mm_core::data::epoch_batches(&[10, 11, 12, 13, 14], 2, false, 0, 0);
/// assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
/// ```
pub fn epoch_batches(rows: &[usize], batch_size: usize, drop_last: bool, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut order = rows.to_vec();
    order.shuffle(&mut rng::stream(seed, "order", &[epoch]));
    let batch_size = batch_size.max(1);
    let mut batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    if drop_last && batches.len() > 1 && batches.last().is_some_and(|last| last.len() < batch_size) {
        batches.pop();
    }
    batches
}
