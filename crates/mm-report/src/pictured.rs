//! The test samples of which pictures lie beside a result, in a folder of their own: small PNG files with names that follow from positions.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The folder of the pictures, beside `result.json`.
pub const FOLDER: &str = "pictures";
/// Longest side of a picture, in pixels.
pub const SIDE: usize = 128;
/// Bytes of a picture that is still shown: one of this size takes fewer even if nothing of it can be compressed.
const LARGEST_BYTES: u64 = 4 * (SIDE * SIDE) as u64;

/// A test sample with pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pictured {
    /// Its position among the test samples.
    pub sample: usize,
    /// Why it was chosen.
    pub reasons: Vec<Reason>,
    /// The sensors of which there is a picture.
    pub sensors: Vec<String>,
    /// The combinations of which there is a prediction, that of all sensors first.
    pub predictions: Vec<PicturedPrediction>,
}

/// Why a sample was chosen: by its own score with all sensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is the best.
    Best,
    /// Half of the others are worse.
    Median,
    /// It is the worst.
    Worst,
    /// It loses most with this combination, of all samples and combinations shown.
    LargestDrop(String),
}

/// The prediction of a sample from a combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PicturedPrediction {
    /// The combination as text.
    pub subset: String,
    /// The score of this sample alone.
    pub score: f64,
}

/// A picture of the sample at a position in [`crate::result::CellResult::pictures`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// What the sensor at this position of [`Pictured::sensors`] saw.
    Sensor(usize),
    /// The true classes.
    Truth,
    /// The classes that were predicted, at this position of [`Pictured::predictions`].
    Prediction(usize),
    /// Where that is right and where it is wrong.
    Errors(usize),
}

impl Picture {
    /// Its file in the folder of a cell.
    pub fn path(self, cell: &Path, position: usize) -> PathBuf {
        let name = match self {
            Self::Sensor(m) => format!("{position}_sensor_{m}.png"),
            Self::Truth => format!("{position}_truth.png"),
            Self::Prediction(c) => format!("{position}_prediction_{c}.png"),
            Self::Errors(c) => format!("{position}_errors_{c}.png"),
        };
        cell.join(FOLDER).join(name)
    }

    /// Its bytes; `None` where there is no such file, or one that is no picture of ours.
    pub fn read(self, cell: &Path, position: usize) -> Option<Vec<u8>> {
        let path = self.path(cell, position);
        let small = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST_BYTES);
        let bytes = if small { std::fs::read(path).ok()? } else { return None };
        bytes.starts_with(b"\x89PNG\r\n\x1a\n").then_some(bytes)
    }
}

/// Whether a file in the folder is named as a picture is.
pub fn is_name_of_picture(name: &str) -> bool {
    let what = name.strip_suffix(".png").and_then(|name| name.split_once('_'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    what.is_some_and(|(position, what)| {
        let kind = what.rsplit_once('_').filter(|(_, number)| is_number(number)).map_or(what, |(kind, _)| kind);
        is_number(position) && ["sensor", "truth", "prediction", "errors"].contains(&kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_again_and_other_files_are_not_shown() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join(FOLDER)).expect("made");
        for picture in [Picture::Sensor(0), Picture::Truth, Picture::Prediction(12), Picture::Errors(3)] {
            let path = picture.path(folder.path(), 2);
            assert!(is_name_of_picture(&path.file_name().expect("name").to_string_lossy()), "{}", path.display());
            assert_eq!(picture.read(folder.path(), 2), None);
            std::fs::write(&path, b"no picture").expect("written");
            assert_eq!(picture.read(folder.path(), 2), None);
            std::fs::write(&path, b"\x89PNG\r\n\x1a\n and so on").expect("written");
            assert!(picture.read(folder.path(), 2).is_some());
            std::fs::write(&path, [&b"\x89PNG\r\n\x1a\n"[..], &[0; 1 << 16]].concat()).expect("written");
            assert_eq!(picture.read(folder.path(), 2), None, "too large");
        }
        for other in ["mine.png", "1_mine.png", "truth.png", "1_truth.txt", "_truth.png"] {
            assert!(!is_name_of_picture(other), "{other}");
        }
    }
}
