//! Ids that several rows have: their answers cannot be told apart.

use anyhow::Result;
use mm_core::Pipeline;
use mm_core::data::{ManifestColumns, ManifestRow};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// Ids that are remembered, the first ones: memory does not grow with the table.
const MOST: usize = 1 << 18;

/// The ids of a table so far, as hashes.
#[derive(Default)]
pub struct Ids {
    seen: HashSet<u64>,
    hasher: RandomState,
    /// The first row whose id was there before.
    again: Option<(usize, String)>,
}

impl Ids {
    /// Takes the next row.
    pub fn add(&mut self, row: &ManifestRow) {
        if self.again.is_some() {
            return;
        }
        let hash = self.hasher.hash_one(&row.id);
        let is_known = if self.seen.len() < MOST { !self.seen.insert(hash) } else { self.seen.contains(&hash) };
        if is_known {
            self.again = Some((row.line, row.id.clone()));
        }
    }

    /// A warning, where an id came twice. The row that had it first is read again.
    pub fn warning(self, model: &Pipeline, manifest: &Path, columns: &ManifestColumns) -> Result<Option<String>> {
        let Some((line, id)) = self.again else { return Ok(None) };
        let first = model.rows(manifest, columns)?.map_while(mm_core::Result::ok).find(|row| row.id == id);
        // Of two ids with one hash the second is the first of its name.
        Ok(first.filter(|first| first.line != line).map(|first| {
            let problem = format!("`{id}` is the id of line {} too", first.line);
            format!("{}:{line}: {problem}: answers are told apart by their id, give each row its own", manifest.display())
        }))
    }
}
