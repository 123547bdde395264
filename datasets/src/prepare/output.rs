//! The folder of manifest and cards.

use super::disk::{text, write_whole};
use super::error::{Error, Result};
use std::path::{Path, PathBuf};

/// How every card begins that was written here.
const MARK: &str = "# Written by `mm data prepare";

/// What is being written.
pub(super) struct Output {
    folder: PathBuf,
    /// Whether a card in the folder says that it was written here: its files may be written anew.
    ours: bool,
    cards: Vec<PathBuf>,
    remarks: Vec<String>,
}

impl Output {
    /// Into a folder, which is made if it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let folder = folder.canonicalize().map_err(Error::io(folder))?;
        let entries = std::fs::read_dir(&folder).map_err(Error::io(&folder))?;
        let cards = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
        let ours = cards.into_iter().any(|card| text(&card).is_ok_and(|text| text.starts_with(MARK)));
        Ok(Self { folder, ours, cards: Vec::new(), remarks: Vec::new() })
    }

    /// Writes a card.
    pub fn card(&mut self, name: &str, card: &str) -> Result<()> {
        debug_assert!(card.starts_with(MARK));
        self.file(name, card.as_bytes())?;
        self.cards.push(self.folder.join(name));
        Ok(())
    }

    /// Writes a table as CSV.
    pub fn table(&mut self, name: &str, header: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let wrong = |error: csv::Error| Error::content(name, error.to_string());
        writer.write_record(header).map_err(wrong)?;
        for row in rows {
            writer.write_record(row).map_err(wrong)?;
        }
        let bytes = writer.into_inner().map_err(|error| Error::content(name, error.to_string()))?;
        self.file(name, &bytes)
    }

    /// Writes a file, unless one is there that was not written here.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        match path.exists() && !self.ours {
            true => {
                // Cards that were written a moment ago would make the folder ours the next time.
                self.cards.iter().for_each(|card| drop(std::fs::remove_file(card)));
                Err(Error::Occupied { path })
            }
            false => write_whole(&path, bytes),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder for converted files.
    pub fn folder(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::create_dir_all(&path).map_err(Error::io(&path))
    }

    /// How the manifest names a file: from its own folder where the file lies below it, so that both can be moved together; else from the root
    /// of the file system.
    pub fn place(&self, path: &Path) -> Result<String> {
        let place = path.strip_prefix(&self.folder).unwrap_or(path);
        place.to_str().map(String::from).ok_or_else(|| Error::content(path, "has a name that is no UTF-8: a manifest cannot hold it"))
    }

    /// Says what to know.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// The cards and the remarks.
    pub fn finished(self) -> (Vec<PathBuf>, Vec<String>) {
        (self.cards, self.remarks)
    }
}
