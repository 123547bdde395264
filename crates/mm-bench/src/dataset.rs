//! Data sets by name (built in) or by the path of a card.

use anyhow::{Context, Result, bail};
use mm_core::Error;
use mm_core::data::{DatasetCard, LoadedData};
use mm_datasets::BuiltIn;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;

/// Name of the built-in data set.
pub const BUILT_IN: &str = "multiple-features";

/// A card and where its files are.
pub struct CardReader {
    card: DatasetCard,
    built_in: Option<&'static BuiltIn>,
}

impl CardReader {
    /// Opens the built-in data set by name, or the card at a path.
    pub fn open(card: &str) -> Result<Self> {
        if let Some(data) = mm_datasets::by_name(card) {
            return Ok(Self { card: DatasetCard::from_str(data.card, format!("{}.toml", data.name))?, built_in: Some(data) });
        }
        if !Path::new(card).exists() {
            bail!("no data set `{card}`: give `{BUILT_IN}` or the path of a card (see docs/src/data-formats.md)");
        }
        Ok(Self { card: DatasetCard::from_path(card)?, built_in: None })
    }

    fn bytes(&self, file: &str) -> mm_core::Result<Cow<'static, [u8]>> {
        if let Some(data) = self.built_in {
            let found = data.files.iter().find(|(name, _)| *name == file);
            return found
                .map(|(_, bytes)| Cow::Borrowed(*bytes))
                .ok_or_else(|| Error::File { path: file.into(), problem: "is not built in".into() });
        }
        let path = self.card.folder().join(file);
        std::fs::read(&path).map(Cow::Owned).map_err(Error::io(path))
    }

    /// Reads the samples; with them the hash of the card and of the very bytes they were read from.
    pub fn load(&self) -> Result<(LoadedData, String)> {
        let hash = RefCell::new(Sha256::new_with_prefix(serde_json::to_vec(&self.card)?));
        let read = |file: &str| {
            let bytes = self.bytes(file)?;
            hash.borrow_mut().update(Sha256::digest(&bytes));
            Ok(bytes)
        };
        let loaded = self.card.load(read).with_context(|| format!("reading the data set `{}`", self.card.name))?;
        Ok((loaded, hex(&hash.into_inner().finalize())))
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
