//! What can be wrong with a data set on disk.

use std::path::PathBuf;

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a data set could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No data set has this name.
    #[error("no data set `{name}` can be prepared{} There are: {known}", near.map_or(".".into(), |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The name.
        name: String,
        /// The nearest one that exists.
        near: Option<&'static str>,
        /// All that exist.
        known: String,
    },

    /// A file or folder of the data set is not there.
    #[error("{path} is not there: {what}. {how}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What it would hold.
        what: String,
        /// Where a user gets it.
        how: String,
    },

    /// A file is not what it should be.
    #[error("{path}{at}: {problem}", at = line.map(|line| format!(":{line}")).unwrap_or_default())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where it is a text.
        line: Option<usize>,
        /// What is wrong, and what would be right.
        problem: String,
    },

    /// The output folder holds files that this program did not write, or that were changed since.
    #[error("{path} exists and is not as `data prepare` wrote it: move it away, or give an empty folder with --out")]
    Occupied {
        /// The file.
        path: PathBuf,
    },

    /// What was written does not open: the data set lacks what its own lists name.
    #[error(transparent)]
    Opened(#[from] mm_core::Error),

    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl Error {
    /// Names the file of an error of the operating system.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// About a file as a whole.
    pub(crate) fn content(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::Content { path: path.into(), line: None, problem: problem.into() }
    }

    /// About a line of a file.
    pub(crate) fn line(path: impl Into<PathBuf>, line: usize, problem: impl Into<String>) -> Self {
        Self::Content { path: path.into(), line: Some(line), problem: problem.into() }
    }
}
