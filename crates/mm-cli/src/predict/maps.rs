//! The class of every pixel, a PNG file a row, in a folder beside the table of answers; with a legend of the colours, and overlays.

use super::format::quoted;
use anyhow::{Context, Result, bail};
use mm_core::data::pictures::overlay;
use mm_core::data::{Array, PixelLabels, VOID_COLOUR, class_colour};
use mm_core::weights::write_atomically;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file that says that we made the folder.
const MARK: &str = ".written-by-mm-predict";
/// The number, the name and the colour of each class.
const LEGEND: &str = "legend.csv";

/// The folder of maps of a table of answers.
pub struct Maps {
    folder: PathBuf,
    /// As answers name it.
    name: String,
    /// Whether an overlay is wanted beside each map.
    pub overlays: bool,
}

impl Maps {
    /// `answers.csv` has `answers_maps/`. A folder that was not made here is refused. The legend of the classes is written at once.
    pub fn open(out: &Path, classes: &[String], overlays: bool) -> Result<Self> {
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}_maps");
        let folder = out.with_file_name(&name);
        let ours = folder.join(MARK);
        if folder.exists() && !ours.exists() {
            bail!("{} is where the maps of the pixels go, and was not made by `mm predict`: give another `--out`", folder.display());
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        write_atomically(&ours, b"")?;
        write_atomically(&folder.join(LEGEND), legend(classes).as_bytes())?;
        Ok(Self { folder, name, overlays })
    }

    /// Writes the map of a row, counted from 0; how the answer names it.
    pub fn write(&self, row: u64, labels: &PixelLabels) -> Result<String> {
        let file = format!("{:06}.png", row + 1);
        write_atomically(&self.folder.join(&file), &labels.to_png()?)?;
        // What an earlier run may have left is not of this map.
        match std::fs::remove_file(self.overlay(row)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("removing an older overlay")?,
            _ => {}
        }
        Ok(format!("{}/{file}", self.name))
    }

    /// Writes the colours of the map of a row over what an image-like sensor saw.
    pub fn write_overlay(&self, row: u64, labels: &PixelLabels, reading: &Array) -> Result<()> {
        match overlay(reading, labels)? {
            Some(bytes) => Ok(write_atomically(&self.overlay(row), &bytes)?),
            None => Ok(()),
        }
    }

    fn overlay(&self, row: u64) -> PathBuf {
        self.folder.join(format!("{:06}_overlay.png", row + 1))
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
