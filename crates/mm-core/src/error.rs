//! The error type of this crate: one variant a cause, each message says what was wrong, where, and what to do.

use crate::weights::PthError;
use std::path::PathBuf;

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong in `mm-core` and in the method crates built on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed inside candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),

    /// A kernel was called with slices that do not fit its shape.
    #[error(transparent)]
    Kernel(#[from] mm_kernels::Error),

    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A file or folder that is not what it should be.
    #[error("{path}: {problem}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        problem: String,
    },

    /// A modality name, subset or presence mask that makes no sense.
    #[error("modality: {0}")]
    Modality(String),

    /// A setting that is out of range or contradicts another one.
    #[error("configuration field `{field}`: {problem}")]
    Config {
        /// The field, as it is written in the configuration.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },

    /// A value in a text file that cannot be used.
    #[error("{path}:{line}:{column}: {problem}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Column (field) of the line, counted from 1.
        column: usize,
        /// What is wrong, and what was expected.
        problem: String,
    },

    /// A data set whose parts do not fit together.
    #[error("data set: {0}")]
    Data(String),

    /// A tensor that has another shape than its use asks for.
    #[error("tensor `{name}`: expected shape {expected}, found {found}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// The shape that was needed, in words or numbers.
        expected: String,
        /// The shape that was found.
        found: String,
    },

    /// A weights or checkpoint file that is truncated, corrupt or of another model.
    #[error("{path}: {problem}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; names the tensor where one is concerned.
        problem: String,
    },

    /// A PyTorch checkpoint that cannot be read.
    #[error("{path}: {problem}")]
    Pth {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: PthError,
    },

    /// A loss or input became NaN or infinite.
    #[error("non-finite value: {0}")]
    NonFinite(String),
}

impl Error {
    /// Attaches a path to an I/O error: `std::fs::read(p).map_err(Error::io(p))?`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// Attaches a path to a problem with a PyTorch checkpoint; one with reading from the disk becomes an [`Error::Io`].
    pub(crate) fn pth(path: impl Into<PathBuf>) -> impl Fn(PthError) -> Error {
        let path = path.into();
        move |problem| match problem {
            PthError::Io(source) => Error::Io { path: path.clone(), source },
            problem => Error::Pth { path: path.clone(), problem },
        }
    }

    /// A [`Error::Config`] from its two parts.
    pub fn config(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Config { field: field.into(), problem: problem.into() }
    }

    /// A [`Error::Weights`] from its two parts.
    pub fn weights(path: impl Into<PathBuf>, problem: impl Into<String>) -> Error {
        Error::Weights { path: path.into(), problem: problem.into() }
    }

    /// A [`Error::Shape`] from its parts.
    pub fn shape(name: impl Into<String>, expected: impl std::fmt::Display, found: impl std::fmt::Debug) -> Error {
        Error::Shape { name: name.into(), expected: expected.to_string(), found: format!("{found:?}") }
    }
}
