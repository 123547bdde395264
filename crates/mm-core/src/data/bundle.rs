//! The files of a data set that is in memory.

use bytes::Bytes;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files in memory, each by the path that a card or manifest names it by.
#[derive(Debug, Clone, Default)]
pub struct Bundle(Arc<HashMap<PathBuf, Bytes>>);

impl Bundle {
    /// Of named contents.
    pub fn new<P: Into<PathBuf>, B: Into<Bytes>>(files: impl IntoIterator<Item = (P, B)>) -> Self {
        Self(Arc::new(files.into_iter().map(|(name, bytes)| (name.into(), bytes.into())).collect()))
    }

    /// The content of a file.
    pub fn get(&self, name: &Path) -> Option<&Bytes> {
        self.0.get(name)
    }
}
