//! The folder of manifest and cards.

use super::disk::{text, write_whole};
use super::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How every card begins that was written here.
const MARK: &str = "# Written by `mm data prepare";

/// What was written here, a line a file: its SHA-256 and its name, as `sha256sum` lists them.
const LIST: &str = ".written-by-mm-data-prepare";

/// What is being written.
pub(super) struct Output {
    folder: PathBuf,
    /// Lines of the list: a file that is still as one of them says may be written anew.
    written: RefCell<HashSet<String>>,
    cards: Vec<PathBuf>,
    remarks: Vec<String>,
}

impl Output {
    /// Into a folder, which is made if it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let folder = folder.canonicalize().map_err(Error::io(folder))?;
        let list = folder.join(LIST);
        let written = if list.exists() { text(&list)?.lines().map(String::from).collect() } else { HashSet::new() };
        Ok(Self { folder, written: RefCell::new(written), cards: Vec::new(), remarks: Vec::new() })
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

    /// Writes a file, unless one is there that was not written here, or was changed since.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let line = |bytes: &[u8]| {
            let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hash}  {name}")
        };
        if path.symlink_metadata().is_ok() {
            let found = if path.is_file() { std::fs::read(&path).map_err(Error::io(&path))? } else { Vec::new() };
            if !path.is_file() || found != bytes && !self.written.borrow().contains(&line(&found)) {
                return Err(Error::Occupied { path });
            }
        }
        // Listed before it is written: what a killed run wrote is ours, too.
        let new = line(bytes);
        if self.written.borrow_mut().insert(new.clone()) {
            let list = self.folder.join(LIST);
            let file = std::fs::File::options().append(true).create(true).open(&list);
            file.and_then(|mut file| file.write_all(format!("{new}\n").as_bytes())).map_err(Error::io(&list))?;
        }
        write_whole(&path, bytes)
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
