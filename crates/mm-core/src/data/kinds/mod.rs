//! What the readings of a sensor are, and how a file becomes one.

use super::{Array, InputSpec};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// A kind of reading: what a model gets of it, and how it is read from a file.
pub trait Kind: Send + Sync {
    /// Its name in a saved model.
    fn name(&self) -> &'static str;

    /// Form of one reading.
    fn input(&self) -> InputSpec;

    /// Endings of the files that hold one, lower case and without a point.
    fn extensions(&self) -> &'static [&'static str];

    /// Decodes the bytes of a file; `path` is for messages.
    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array>;

    /// Its settings, as a saved model holds them.
    fn settings(&self) -> serde_json::Value;

    /// Reads and decodes a file.
    fn read(&self, path: &Path) -> Result<Array> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        self.decode(&bytes, path)
    }
}

/// A kind as a saved model holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedKind {
    /// [`Kind::name`].
    pub kind: String,
    /// [`Kind::settings`].
    pub settings: serde_json::Value,
}

impl SavedKind {
    /// Of a kind.
    pub fn of(kind: &dyn Kind) -> Self {
        Self { kind: kind.name().into(), settings: kind.settings() }
    }

    /// The kind, if this program knows it; a program that does not still takes readings as arrays.
    pub fn open(&self) -> Result<Option<Arc<dyn Kind>>> {
        let known = KINDS.iter().find(|(name, _)| *name == self.kind);
        let opened = known.map(|(_, open)| open(&self.settings)).transpose();
        opened.map_err(|e| Error::config(format!("kind.{}", self.kind), e.to_string()))
    }
}

/// How a kind is made from its settings.
type Open = fn(&serde_json::Value) -> serde_json::Result<Arc<dyn Kind>>;

/// Of settings that are a struct.
fn open<K: Kind + serde::de::DeserializeOwned + 'static>(settings: &serde_json::Value) -> serde_json::Result<Arc<dyn Kind>> {
    Ok(Arc::new(K::deserialize(settings)?))
}

/// Each kind is a file that says its `NAME` and how it is opened (`OPEN`); a new one is its file and its name here.
macro_rules! kinds {
    ($($file:ident),*) => {
        $(mod $file;
        pub use $file::*;)*

        /// The kinds that every program knows: saved and loaded by name.
        const KINDS: &[(&str, Open)] = &[$(($file::NAME, $file::OPEN)),*];
    };
}

kinds!(image, vector);
