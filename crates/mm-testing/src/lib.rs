//! What the tests of several crates share: inputs of golden values, comparisons, gradients, small data, a small method.
//!
//! Not published: packages of the other crates come without their tests. Being tests, these functions panic.

mod data;
mod dropout;
mod exported;
mod golden;
mod gradient;
mod hostile;
mod minilm;
mod network;
mod numbers;
mod parquet_table;
mod photos;
mod sounds;
mod squares;

pub use data::{Hidden, batch, clear_to_weak, clear_to_weak_schema, fit, patterns, spoilt, tensors, with_presence, with_values};
pub use dropout::Dropout;
pub use exported::{Expected, Network, deployed_sizes, expected, exported_dense, exported_encoders, exported_for, exported_methods};
pub use golden::{assert_close, fill, fill_hash, fill_values};
pub use gradient::{gradient_error, gradient_error_of};
pub use hostile::{Hostile, form};
pub use minilm::minilm;
pub use network::{fill_variables, sampled_gradient_error};
pub use numbers::{bits, difference, parameter_bits, values};
pub use parquet_table::parquet;
pub use photos::{large_photos, noisy_picture, peak_memory, photos};
pub use sounds::{seen_and_heard, wave};
pub use squares::{SIDE, Squares};
