//! The class of every pixel, a PNG file a row, in a folder beside the table of answers; with a legend of the colours, and overlays.

use super::format::quoted;
use anyhow::{Context, Result, bail};
use mm_core::data::pictures::overlay;
use mm_core::data::{Array, PixelLabels, VOID_COLOUR, class_colour};
use mm_core::weights::write_atomically;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file that says that we made the folder: a [`Mark`]; an empty one is of an older version.
const MARK: &str = ".written-by-mm-predict";
/// The number, the name and the colour of each class.
const LEGEND: &str = "legend.csv";

/// What the folder is of.
#[derive(Default, Serialize, Deserialize)]
struct Mark {
    /// The table of answers beside the folder.
    table: String,
    /// Maps of up to so many rows may be there.
    rows: u64,
}

/// The folder of maps of a table of answers.
pub struct Maps {
    folder: PathBuf,
    /// As answers name it.
    name: String,
    mark: Mark,
    /// Whether an overlay is wanted beside each map.
    pub overlays: bool,
}

impl Maps {
    /// `answers.csv` has `answers_maps/`. A folder that was not made here, or is of another table, is refused. Nothing is written yet.
    pub fn of(out: &Path, overlays: bool) -> Result<Self> {
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}_maps");
        let folder = out.with_file_name(&name);
        let table = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let before = match std::fs::read(folder.join(MARK)) {
            Ok(text) if text.is_empty() => Mark::default(),
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("reading {}", folder.join(MARK).display()))?,
            Err(_) if folder.exists() => {
                bail!("{} is where the maps of the pixels go, and was not made by `mm predict`: give another `--out`", folder.display())
            }
            Err(_) => Mark::default(),
        };
        if !before.table.is_empty() && before.table != table {
            bail!("{} holds the maps of {}: give an `--out` that differs by more than its ending", folder.display(), before.table);
        }
        Ok(Self { folder, name, mark: Mark { table, rows: before.rows }, overlays })
    }

    /// Makes the folder for so many rows, with the legend of the classes.
    pub fn open(&mut self, classes: &[String], rows: u64) -> Result<()> {
        std::fs::create_dir_all(&self.folder).with_context(|| format!("creating {}", self.folder.display()))?;
        self.mark.rows = self.mark.rows.max(rows);
        self.write_mark()?;
        Ok(write_atomically(&self.folder.join(LEGEND), legend(classes).as_bytes())?)
    }

    /// How many of the first rows have a map.
    pub fn there(&self, rows: u64) -> u64 {
        (0..rows).filter(|&row| self.map(row).is_file()).count() as u64
    }

    /// Writes the map of a row, counted from 0, or removes what an earlier run left where there is none; how the answer names it.
    pub fn write(&self, row: u64, labels: Option<&PixelLabels>) -> Result<Option<String>> {
        remove(&self.overlay(row))?;
        match labels {
            Some(labels) => write_atomically(&self.map(row), &labels.to_png()?)?,
            None => remove(&self.map(row))?,
        }
        Ok(labels.map(|_| format!("{}/{:06}.png", self.name, row + 1)))
    }

    /// Removes what an earlier run with more rows left.
    pub fn finish(&mut self, rows: u64) -> Result<()> {
        (rows..self.mark.rows).try_for_each(|row| remove(&self.map(row)).and_then(|()| remove(&self.overlay(row))))?;
        self.mark.rows = rows;
        self.write_mark()
    }

    fn write_mark(&self) -> Result<()> {
        Ok(write_atomically(&self.folder.join(MARK), &serde_json::to_vec(&self.mark)?)?)
    }

    /// Writes the colours of the map of a row over what an image-like sensor saw.
    pub fn write_overlay(&self, row: u64, labels: &PixelLabels, reading: &Array) -> Result<()> {
        match overlay(reading, labels)? {
            Some(bytes) => Ok(write_atomically(&self.overlay(row), &bytes)?),
            None => Ok(()),
        }
    }

    fn map(&self, row: u64) -> PathBuf {
        self.folder.join(format!("{:06}.png", row + 1))
    }

    fn overlay(&self, row: u64) -> PathBuf {
        self.folder.join(format!("{:06}_overlay.png", row + 1))
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("removing {}", path.display())),
        _ => Ok(()),
    }
}

/// A line for each class, and for void: the number in the maps, the name, the colour as in HTML.
fn legend(classes: &[String]) -> String {
    let void = if classes.len() > usize::from(u8::MAX) { u16::MAX } else { u16::from(u8::MAX) };
    let named = classes.iter().enumerate().map(|(class, name)| (class, name.as_str(), class_colour(class)));
    let line = |(number, name, [r, g, b]): (usize, &str, [u8; 3])| format!("{number},{},#{r:02x}{g:02x}{b:02x}\n", quoted(name));
    let lines = named.chain([(usize::from(void), "void", VOID_COLOUR)]).map(line);
    std::iter::once("number,class,colour\n".to_string()).chain(lines).collect()
}
