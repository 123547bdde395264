#![doc = include_str!("../README.md")]

pub mod prepare;
pub mod scenes;

use bytes::Bytes;

/// A built-in data set.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BuiltIn {
    /// Its name in a plan.
    pub name: &'static str,
    /// Its card, as TOML.
    pub card: &'static str,
    files: Contents,
}

#[derive(Debug, Clone, Copy)]
enum Contents {
    /// Part of the program.
    Included(&'static [(&'static str, &'static [u8])]),
    /// Made when they are asked for.
    Rendered(scenes::Settings),
}

impl BuiltIn {
    /// The files that the card names, with their contents.
    pub fn files(&self) -> Result<Vec<(String, Bytes)>, scenes::Error> {
        match &self.files {
            Contents::Included(files) => Ok(files.iter().map(|&(name, bytes)| (name.to_string(), Bytes::from_static(bytes))).collect()),
            Contents::Rendered(settings) => scenes::files(settings),
        }
    }
}

macro_rules! included {
    ($($name:literal),* $(,)?) => { Contents::Included(&[$(($name, include_bytes!(concat!("../", $name)))),*]) };
}

/// All of them.
pub static ALL: [BuiltIn; 6] = [MULTIPLE_FEATURES, AUDIO_VISUAL_DIGITS, RENDERED_SCENES, SMARTWATCH, YEAST, AUTO_MPG];

const MULTIPLE_FEATURES: BuiltIn = BuiltIn {
    name: "multiple-features",
    card: include_str!("../multiple-features.toml"),
    files: included![
        "multiple-features/mfeat-fac.csv.gz",
        "multiple-features/mfeat-fou.csv.gz",
        "multiple-features/mfeat-kar.csv.gz",
        "multiple-features/mfeat-mor.csv.gz",
        "multiple-features/mfeat-pix.csv.gz",
        "multiple-features/mfeat-zer.csv.gz",
    ],
};

const AUDIO_VISUAL_DIGITS: BuiltIn = BuiltIn {
    name: "audio-visual-digits",
    card: include_str!("../audio-visual-digits.toml"),
    files: included![
        "audio-visual-digits/samples.csv",
        "audio-visual-digits/images.idx3-ubyte",
        "audio-visual-digits/anna.flac",
        "audio-visual-digits/bruce.flac",
        "audio-visual-digits/carol.flac",
        "audio-visual-digits/derek.flac",
        "audio-visual-digits/earl.flac",
        "audio-visual-digits/fiona.flac",
        "audio-visual-digits/gwen.flac",
        "audio-visual-digits/harry.flac",
        "audio-visual-digits/iris.flac",
        "audio-visual-digits/jack.flac",
    ],
};

/// Small enough to be rendered anew by each process in about a second.
const RENDERED_SCENES: BuiltIn = BuiltIn {
    name: "rendered-scenes",
    card: include_str!("../rendered-scenes.toml"),
    files: Contents::Rendered(scenes::Settings { seed: 0, scenes: 500, size: [60, 80] }),
};

const SMARTWATCH: BuiltIn = BuiltIn {
    name: "smartwatch",
    card: include_str!("../smartwatch.toml"),
    files: included!["smartwatch/recordings.csv", "smartwatch/accelerometer.npy", "smartwatch/gyroscope.npy"],
};

const YEAST: BuiltIn = BuiltIn {
    name: "yeast",
    card: include_str!("../yeast.toml"),
    files: included!["yeast/expression.csv.gz", "yeast/phylogeny.csv.gz", "yeast/functions.csv.gz"],
};

const AUTO_MPG: BuiltIn = BuiltIn { name: "auto-mpg", card: include_str!("../auto-mpg.toml"), files: included!["auto-mpg/cars.csv"] };

/// The one of that name.
pub fn by_name(name: &str) -> Option<&'static BuiltIn> {
    ALL.iter().find(|data| data.name == name)
}
