//! Damage to the bytes of a file, for every test that needs some.

use mm_core::rng::Rng;
use rand::{Rng as _, RngExt};

/// Bytes that mean something in CSV, TOML, JSON or a number.
const SPECIAL: &[u8] = b",\n\"'=[]{}:.-+einaf09\r\t#\\\0\xff";

/// One to three faults: a bit flipped, a byte replaced, a piece cut, doubled, moved or swapped, the end cut off.
pub fn damage(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..[1, 1, 1, 2, 3][rng.random_range(0..5)] {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..40)).min(bytes.len());
        match rng.next_u32() % 8 {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = SPECIAL[rng.random_range(0..SPECIAL.len())],
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(at..end),
            5 => {
                let other = rng.random_range(0..bytes.len());
                bytes.swap(at, other);
            }
            // Numbers grow long: counts that no machine has room for.
            6 => {
                let digits = vec![b'0'; rng.random_range(1..25)];
                bytes.splice(at..at, digits);
            }
            _ => {
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}
