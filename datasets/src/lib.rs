#![doc = include_str!("../README.md")]

pub mod prepare;
pub mod scenes;

/// A built-in data set.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BuiltIn {
    /// Its name in a plan.
    pub name: &'static str,
    /// Its card, as TOML.
    pub card: &'static str,
    /// The files that the card names, with their contents.
    pub files: &'static [(&'static str, &'static [u8])],
}

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_bytes!(concat!("../", $name)))),*] };
}

/// All of them.
pub static ALL: [BuiltIn; 2] = [MULTIPLE_FEATURES, AUDIO_VISUAL_DIGITS];

const MULTIPLE_FEATURES: BuiltIn = BuiltIn {
    name: "multiple-features",
    card: include_str!("../multiple-features.toml"),
    files: files![
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
    files: files![
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

/// The one of that name.
pub fn by_name(name: &str) -> Option<&'static BuiltIn> {
    ALL.iter().find(|data| data.name == name)
}
