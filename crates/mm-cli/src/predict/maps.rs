//! The class of every pixel, a PNG file a row, in a folder beside the table of answers.

use anyhow::{Context, Result, bail};
use mm_core::data::PixelLabels;
use mm_core::weights::write_atomically;
use std::path::{Path, PathBuf};

/// The file that says that we made the folder.
const MARK: &str = ".written-by-mm-predict";

/// The folder of maps of a table of answers.
pub struct Maps {
    folder: PathBuf,
    /// As answers name it.
    name: String,
}

impl Maps {
    /// `answers.csv` has `answers_maps/`. A folder that was not made here is refused.
    pub fn open(out: &Path) -> Result<Self> {
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}_maps");
        let folder = out.with_file_name(&name);
        let ours = folder.join(MARK);
        if folder.exists() && !ours.exists() {
            bail!("{} is where the maps of the pixels go, and was not made by `mm predict`: give another `--out`", folder.display());
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        write_atomically(&ours, b"")?;
        Ok(Self { folder, name })
    }

    /// Writes the map of a row, counted from 0; how the answer names it.
    pub fn write(&self, row: u64, labels: &PixelLabels) -> Result<String> {
        let file = format!("{:06}.png", row + 1);
        write_atomically(&self.folder.join(&file), &labels.to_png()?)?;
        Ok(format!("{}/{file}", self.name))
    }
}
