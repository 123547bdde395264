//! Token ids by the `tokenizer.json` of a checkpoint, as the `tokenizers` library reads it.

use super::TextError;
use crate::error::{Error, Result};
use crate::weights::lfs_pointer;
use serde::Deserialize;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tokenizers::{PostProcessor, TruncationParams};

/// Bytes of a file; the largest published vocabularies have about half as many.
const LARGEST_FILE: u64 = 1 << 26;
/// Characters that are read of a text for each token that is kept: what comes behind them could hardly become one of these.
const CHARACTERS_A_TOKEN: usize = 64;
/// How much longer the rules of a normalizer may make a text.
const LARGEST_GROWTH: f64 = 64.0;
/// Tokens of a text.
const MOST_TOKENS: usize = 1 << 16;
/// Ids travel as f32, which is exact below.
const LARGEST_ID: u32 = 1 << 24;

/// A tokenizer for texts of a fixed number of tokens.
///
/// Longer texts are cut behind their last token that fits; the special tokens around them (such as `[CLS]` and `[SEP]`) stay.
/// Shorter ones are filled up. What the file itself says of truncation and padding does not count.
///
/// Damaged files are errors, also where the `tokenizers` library panics on them: the panic is caught, though its message goes to the
/// standard error of the program. No more than 64 characters are read of a text for each token, so a whole book costs little.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    library: tokenizers::Tokenizer,
    length: usize,
    path: PathBuf,
    json: Vec<u8>,
}

/// The tokens of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenIds {
    /// Ids, filled up with zeros to the tokenizer's length.
    pub values: Vec<f32>,
    /// How many of them are the text's.
    pub length: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`; texts have `length` tokens, the special ones included.
    pub fn open(path: &Path, length: usize) -> Result<Self> {
        let bytes = std::fs::metadata(path).map_err(Error::io(path))?.len();
        if bytes > LARGEST_FILE {
            return Err(TextError::TokenizerSize { path: path.into(), bytes, largest: LARGEST_FILE }.into());
        }
        Self::from_bytes(std::fs::read(path).map_err(Error::io(path))?, length, path)
    }

    /// [`Tokenizer::open`], of the bytes of the file; `path` is for messages.
    pub fn from_bytes(json: Vec<u8>, length: usize, path: &Path) -> Result<Self> {
        if !(1..=MOST_TOKENS).contains(&length) {
            return Err(Error::config("length", format!("a text has 1 to {MOST_TOKENS} tokens, found {length}")));
        }
        let unreadable = |problem| TextError::NotATokenizer { path: path.into(), problem };
        if let Some(pointer) = lfs_pointer(&json) {
            return Err(unreadable(format!("it {pointer}")).into());
        }
        check_outline(&json, path)?;
        let library = caught(|| tokenizers::Tokenizer::from_bytes(&json)).map_err(unreadable)?;
        let special = caught(|| Ok(library.get_post_processor().map_or(0, |processor| processor.added_tokens(false))));
        let special = special.map_err(unreadable)?;
        if special >= length {
            return Err(TextError::Length { length, special, path: path.into() }.into());
        }
        let mut tokenizer = Self { library, length, path: path.into(), json };
        let truncation = TruncationParams { max_length: length, ..Default::default() };
        caught(|| tokenizer.library.with_truncation(Some(truncation)).map(|library| library.with_padding(None)).map(drop))
            .map_err(unreadable)?;
        // What fails on a text without words would fail on every text.
        tokenizer.encode("")?;
        Ok(tokenizer)
    }

    /// Tokens of each text, the filled up ones included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The file as it was read: a saved model holds a copy.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The ids of a text.
    pub fn encode(&self, text: &str) -> Result<TokenIds> {
        let text = beginning(text, CHARACTERS_A_TOKEN * self.length);
        let problem = |problem| TextError::Tokenize { path: self.path.clone(), characters: text.chars().count(), problem };
        let encoding = caught(|| self.library.encode_fast(text, true)).map_err(problem)?;
        let ids = encoding.get_ids();
        if ids.len() > self.length {
            return Err(problem(format!("it gives {} tokens where {} were asked for", ids.len(), self.length)).into());
        }
        if let Some(id) = ids.iter().find(|id| **id >= LARGEST_ID) {
            return Err(problem(format!("token id {id} is too large, at most {} are read", LARGEST_ID - 1)).into());
        }
        let mut values: Vec<f32> = ids.iter().map(|id| *id as f32).collect();
        values.resize(self.length, 0.0);
        Ok(TokenIds { values, length: ids.len() })
    }
}

/// The first characters of a text.
fn beginning(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

/// What the library gives; its errors and panics in words.
fn caught<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("the library panics: {}", said.unwrap_or("no reason given")))
        }
    }
}

/// Refuses what the library would take and do without a bound, or at random.
fn check_outline(json: &[u8], path: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Outline {
        #[serde(default)]
        normalizer: Value,
        #[serde(default)]
        model: Option<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        #[serde(default)]
        dropout: Option<f64>,
    }
    let outline: Outline =
        serde_json::from_slice(json).map_err(|problem| TextError::NotATokenizer { path: path.into(), problem: problem.to_string() })?;
    if let Some(rate) = outline.model.and_then(|model| model.dropout).filter(|rate| *rate != 0.0) {
        return Err(TextError::Dropout { path: path.into(), rate }.into());
    }
    match growth(&outline.normalizer) {
        factor if factor <= LARGEST_GROWTH => Ok(()),
        factor => Err(TextError::Growth { path: path.into(), factor, most: LARGEST_GROWTH }.into()),
    }
}

/// How much longer the replacements of a normalizer can make a text; those in a sequence multiply.
fn growth(normalizer: &Value) -> f64 {
    match normalizer {
        Value::Object(fields) => {
            let bytes = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, str::len) as f64;
            let own = match fields.get("type").and_then(Value::as_str) {
                // A regular expression may fit between all characters.
                Some("Replace") => {
                    let pattern = bytes(fields.get("pattern").and_then(|pattern| pattern.get("String")));
                    (bytes(fields.get("content")) + f64::from(u8::from(pattern == 0.0))) / pattern.max(1.0)
                }
                _ => 1.0,
            };
            own.max(1.0) * fields.values().map(growth).product::<f64>()
        }
        Value::Array(parts) => parts.iter().map(growth).product(),
        _ => 1.0,
    }
}
