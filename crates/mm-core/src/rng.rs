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

/// Draws for samples: each sample has a stream of its own, whatever else is in its batch and wherever it stands in it. So two processes
/// with half a batch each draw what one with the whole batch draws.
///
/// ```
/// use rand::RngExt;
/// let draws = mm_core::rng::Draws::new(7, "mask", &[3]);
/// let (a, b): (u64, u64) = (draws.of(12).random(), draws.of(13).random());
/// assert!(a != b && a == draws.of(12).random::<u64>());
/// ```
#[derive(Debug, Clone)]
pub struct Draws(Rng);

impl Draws {
    /// Of `(seed, purpose, indices)`.
    pub fn new(seed: u64, purpose: &str, indices: &[u64]) -> Self {
        Self(stream(seed, purpose, indices))
    }

    /// The generator of one sample.
    pub fn of(&self, id: u64) -> Rng {
        let mut rng = self.0.clone();
        rng.set_stream(id);
        rng
    }

    /// `width` draws from N(0, 1) for each sample, one sample after the other.
    pub fn standard_normal(&self, ids: &[u64], width: usize) -> Vec<f32> {
        ids.iter().flat_map(|&id| standard_normal(&mut self.of(id), width)).collect()
    }
}

/// `count` draws from N(0, 1).
pub fn standard_normal(rng: &mut Rng, count: usize) -> Vec<f32> {
    use rand_distr::{Distribution, StandardNormal};
    StandardNormal.sample_iter(rng).take(count).collect()
}
