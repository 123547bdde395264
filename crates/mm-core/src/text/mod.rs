//! Sentences as readings of a sensor: what a model gets of them, and how they degrade.
//!
//! [`Tokenizer`] turns a text into the token ids of a pretrained encoder, by its `tokenizer.json`. [`HashedText`] needs no file: it
//! counts words and pieces of words in a vector of fixed length. [`corrupt`] and [`drop_words`] change a text before either.

mod corrupt;
mod error;
mod hashed;
mod tokenizer;

pub use corrupt::{TEXT_FAMILIES, corrupt, drop_words};
pub use error::TextError;
pub use hashed::HashedText;
pub use tokenizer::{TokenIds, Tokenizer};
