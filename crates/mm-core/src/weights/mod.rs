//! safetensors files that check themselves: each tensor's SHA-256 sits in the header, so a flipped bit is found and named;
//! and published weights of other makers, in safetensors files and checkpoints of PyTorch.

mod channels;
mod content;
mod convert;
mod file;
mod foreign;
mod hub;
mod import;
mod inspect;
mod pth;
mod source;

pub use channels::ChannelRule;
pub use convert::{Conversion, convert};

pub(crate) use file::{decode, encode, hash, is_random, refuse_pipe, temporary_file};
pub use file::{folder_of, hash_file, is_temporary_name, load, save, write_atomically};
pub(crate) use foreign::lfs_pointer;
pub(crate) use hub::is_model_id;
pub use hub::{cached_model, hub_cache};
#[cfg(feature = "hub")]
pub use hub::{fetch_model, hub_endpoint};
pub use import::{ImportOptions, ImportReport, NameMap, from_pretrained, import, pretrained_file, pretrained_hash, pretrained_weights};
pub(crate) use import::{refuse_non_finite, without_wrappers};
pub use inspect::{TensorSummary, inspect};
pub use pth::{PthError, WHOLE};
pub use source::{Ignored, ReadOptions, TensorInfo, WeightsFile};
