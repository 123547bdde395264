//! safetensors files that check themselves: each tensor's SHA-256 sits in the header, so a flipped bit is found and named.

mod file;

pub(crate) use file::{decode, encode, hash};
pub use file::{load, save, write_atomically};
