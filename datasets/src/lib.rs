//! The built-in data, part of every program that depends on this crate: nothing is downloaded.
//!
//! Handwritten numerals seen by six "sensors": R. Duin, Multiple Features, UCI Machine Learning Repository, data set 72, CC BY 4.0.

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
pub static ALL: [BuiltIn; 1] = [BuiltIn {
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
}];

/// The one of that name.
pub fn by_name(name: &str) -> Option<&'static BuiltIn> {
    ALL.iter().find(|data| data.name == name)
}
