//! What can be wrong with a tokenizer and with token ids.

use std::path::PathBuf;

/// A tokenizer, or token ids, that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TextError {
    /// A file that is no tokenizer, or a damaged one.
    #[error("{}: is no tokenizer that can be read: {problem}; take the `tokenizer.json` of a checkpoint", path.display())]
    NotATokenizer {
        /// The file.
        path: PathBuf,
        /// What the `tokenizers` library says.
        problem: String,
    },
    /// A file that is too large for a tokenizer.
    #[error("{}: {bytes} bytes are no tokenizer; at most {largest} are read", path.display())]
    TokenizerSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// What is read at most.
        largest: u64,
    },
    /// A tokenizer whose normalizer makes texts very much longer.
    #[error("{}: its normalizer makes a text up to {factor:e} times longer; at most {most} are taken", path.display())]
    Growth {
        /// The file.
        path: PathBuf,
        /// How much longer a text may become.
        factor: f64,
        /// What is taken at most.
        most: f64,
    },
    /// A tokenizer that gives other tokens for the same text.
    #[error("{}: its model has `dropout` = {rate}, so the same text would have other tokens each time; set it to null", path.display())]
    Dropout {
        /// The file.
        path: PathBuf,
        /// Share of merges that are left out.
        rate: f64,
    },
    /// Texts so short that nothing but special tokens fits.
    #[error("texts of {length} tokens have no room for words beside the {special} special tokens of {}", path.display())]
    Length {
        /// Tokens of a text.
        length: usize,
        /// Tokens that the tokenizer adds to every text.
        special: usize,
        /// The tokenizer's file.
        path: PathBuf,
    },
    /// A text that the tokenizer fails on.
    #[error("{}: the tokenizer fails on a text of {characters} characters: {problem}", path.display())]
    Tokenize {
        /// The tokenizer's file.
        path: PathBuf,
        /// Length of the text.
        characters: usize,
        /// What the `tokenizers` library says.
        problem: String,
    },
    /// A token that the encoder has no vector for.
    #[error("token id {id} is none of the {vocabulary} that the encoder knows; tokenizer and encoder must be of one checkpoint")]
    TokenId {
        /// The id.
        id: f32,
        /// How many the encoder knows.
        vocabulary: usize,
    },
}
