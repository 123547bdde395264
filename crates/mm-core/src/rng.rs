//! Randomness is an argument: one ChaCha stream per (seed, purpose, indices), so that no draw depends on the order of others.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator used everywhere.
pub type Rng = ChaCha8Rng;

/// The stream of `(seed, purpose, indices)`, the same on every machine and in every thread.
///
/// ```
/// use rand::RngExt;
/// let a: u64 = mm_core::rng::stream(7, "mask", &[3, 1]).random();
/// let b: u64 = mm_core::rng::stream(7, "mask", &[3, 1]).random();
/// let c: u64 = mm_core::rng::stream(7, "mask", &[3, 2]).random();
/// assert!(a == b && a != c);
/// ```
pub fn stream(seed: u64, purpose: &str, indices: &[u64]) -> Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((purpose.len() as u64).to_le_bytes());
    hash.update(purpose.as_bytes());
    for index in indices {
        hash.update(index.to_le_bytes());
    }
    Rng::from_seed(hash.finalize().into())
}

/// `count` draws from N(0, 1).
pub fn standard_normal(rng: &mut Rng, count: usize) -> Vec<f32> {
    use rand_distr::{Distribution, StandardNormal};
    StandardNormal.sample_iter(rng).take(count).collect()
}
