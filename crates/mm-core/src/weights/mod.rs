//! safetensors files that check themselves: each tensor's SHA-256 sits in the header, so a flipped bit is found and named;
//! and published weights of other makers.

mod file;
mod foreign;
mod hub;
mod import;

pub(crate) use file::{decode, encode, hash};
pub use file::{load, save, write_atomically};
pub use hub::{cached_model, hub_cache};
#[cfg(feature = "hub")]
pub use hub::{fetch_model, hub_endpoint};
pub(crate) use import::refuse_non_finite;
pub use import::{ImportOptions, ImportReport, NameMap, from_pretrained, import};
