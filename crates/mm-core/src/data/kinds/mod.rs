//! What the readings of a sensor are, and how a file becomes one. A new kind is a file here and a line in `by_name`.

mod image;
mod vector;

pub use image::{Image, ImageChannels};
pub use vector::Vector;

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
        by_name(&self.kind, &self.settings).map_err(|e| Error::config(format!("kind.{}", self.kind), e.to_string()))
    }
}

/// The kinds that are saved and loaded by name.
fn by_name(name: &str, settings: &serde_json::Value) -> serde_json::Result<Option<Arc<dyn Kind>>> {
    fn of<K: Kind + serde::de::DeserializeOwned + 'static>(settings: &serde_json::Value) -> serde_json::Result<Option<Arc<dyn Kind>>> {
        Ok(Some(Arc::new(K::deserialize(settings)?)))
    }
    match name {
        image::NAME => of::<Image>(settings),
        vector::NAME => of::<Vector>(settings),
        _ => Ok(None),
    }
}
