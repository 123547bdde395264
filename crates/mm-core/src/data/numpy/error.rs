//! What can be wrong with a file of NumPy.

/// Why a file is no array that can be used. [`crate::Error::Numpy`] says which file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NumpyError {
    /// Other first bytes.
    #[error("is no file of NumPy (.npy or .npz): it begins otherwise")]
    Format,
    /// A file that ends within its header.
    #[error("is cut off within its header: write or copy it again")]
    Cut,
    /// A version of the format that is not known.
    #[error("is of version {0} of the format, and 1 to 3 are read: save it with `np.save`")]
    Version(u8),
    /// A header that says not what it must, or something else besides.
    #[error("has a damaged header: {0}")]
    Header(String),
    /// Numbers that are none, such as Python objects.
    #[error("holds {what} (`{dtype}`): save numbers, for example with `np.save(path, x.astype(np.float32))`")]
    Type {
        /// As NumPy writes the type.
        dtype: String,
        /// In words.
        what: &'static str,
    },
    /// More or fewer bytes than the header says.
    #[error("says that its shape is {shape:?} with {size} bytes a number, but there are {found} bytes of numbers: write or copy it again")]
    Size {
        /// The shape of the header.
        shape: Vec<usize>,
        /// Bytes of a number.
        size: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// A file does not have the entry of its first axis that was asked for.
    #[error("has the shape {shape:?}: there is no entry {row} of its first axis, counted from 0")]
    Row {
        /// The entry.
        row: u64,
        /// The shape of the file.
        shape: Vec<usize>,
    },
    /// An entry of the first axis was asked for, and its numbers lie all over the file.
    #[error(
        "has the shape {shape:?} in Fortran order, so that an entry of its first axis is not in one piece: save `np.ascontiguousarray(x)`"
    )]
    Scattered {
        /// The shape of the file.
        shape: Vec<usize>,
    },
    /// An archive that is damaged or of a form that is not read.
    #[error("is no archive that can be read: {0}")]
    Archive(String),
    /// An entry was named, and the file is a single array.
    #[error("is a single array and no archive: leave out entry = \"{entry}\"")]
    NoArchive {
        /// The entry.
        entry: String,
    },
    /// An archive has no entry of the name.
    #[error("has no entry `{entry}`; it has {}", list(found))]
    NoEntry {
        /// The entry.
        entry: String,
        /// Those that it has.
        found: Vec<String>,
    },
    /// An archive with several entries, or none, and none is named.
    #[error("has {} entries, so say which: entry = \"...\"; it has {}", found.len(), list(found))]
    WhichEntry {
        /// Those that it has.
        found: Vec<String>,
    },
    /// An entry that is far larger than its archive.
    #[error(
        "has an entry of {size} bytes, more than the {most} that are unpacked of this archive: save it with `np.savez`, without compression"
    )]
    TooLarge {
        /// Bytes that the entry claims.
        size: u64,
        /// Bytes that it may have.
        most: u64,
    },
}

/// Some names, for a message.
fn list(names: &[String]) -> String {
    match names.len() {
        0 => "none".into(),
        1..=8 => names.join(", "),
        more => format!("{} and {} more", names[..8].join(", "), more - 8),
    }
}
