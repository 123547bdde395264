//! The error type of this crate: one variant a cause, each message says what was wrong, where, and what to do.
//!
//! ```
//! use mm_core::{Error, Modalities, ModalityError};
//! let error = Modalities::new(["rgb", "depth"])?.parse("rgb+dept").unwrap_err();
//! let Error::Modality(ModalityError::Unknown { name, near, .. }) = error else { panic!("{error}") };
//! assert_eq!((name.as_str(), near.as_deref()), ("dept", Some("depth")));
//! # Ok::<(), Error>(())
//! ```

use crate::data::DataError;
use crate::data::audio::AudioError;
use crate::data::image::ImageError;
use crate::data::numpy::NumpyError;
use crate::device::DeviceError;
use crate::parallel::ParallelError;
use crate::statistics::StatisticsError;
use crate::text::TextError;
use crate::weights::PthError;
use std::path::PathBuf;

pub use crate::modality_error::ModalityError;
pub use crate::non_finite_error::NonFiniteError;

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

    /// A training that was asked to end before its end.
    #[error("the training was asked to stop{}", if *saved { ": it goes on from the checkpoint that it left" } else { "" })]
    Stopped {
        /// Whether it left a checkpoint.
        saved: bool,
    },

    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A device that there is not, or that this program was not built for.
    #[error("device: {0}")]
    Device(#[from] DeviceError),

    /// A file or folder that is not what it should be.
    #[error("{path}: {problem}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        problem: String,
    },

    /// A file that is no image that can be used.
    #[error("{path}: {problem}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: ImageError,
    },

    /// A file of NumPy that holds no array that can be used.
    #[error("{path}: {problem}")]
    Numpy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: NumpyError,
    },

    /// A modality name, combination or presence mask that makes no sense, or that a model cannot predict from.
    #[error("modality: {0}")]
    Modality(ModalityError),

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

    /// A data set whose parts do not fit together, or that is too small for what is asked of it.
    #[error("data set: {0}")]
    Data(DataError),

    /// A file that is no sound or is damaged, or a sound that a transform cannot take.
    #[error("sound: {0}")]
    Audio(AudioError),

    /// Outcomes that are no table, or a statistic that they do not have.
    #[error("statistics: {0}")]
    Statistics(StatisticsError),

    /// A tokenizer, or token ids, that cannot be used.
    #[error("text: {0}")]
    Text(TextError),

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

    /// A reading that was decoded, and of which a model gets nothing all the same.
    #[error("{reading}: {problem}")]
    Reading {
        /// Where it is.
        reading: String,
        /// What is wrong with it.
        problem: Box<Error>,
    },

    /// A weights or checkpoint file that is truncated, corrupt or of another model.
    #[error("{path}: {problem}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; names the tensor where one is concerned.
        problem: String,
    },

    /// What a method carried from step to step, as a checkpoint has it, cannot be read.
    #[error("the saved {what} cannot be read: {problem}")]
    State {
        /// What was saved.
        what: &'static str,
        /// What is wrong with it.
        problem: serde_json::Error,
    },

    /// What a method carried from step to step, as a checkpoint has it, is of another model.
    #[error("the saved {what} is of another model: its {part} differ")]
    ForeignState {
        /// What was saved.
        what: &'static str,
        /// What of it the model has otherwise, in the plural.
        part: &'static str,
    },

    /// A PyTorch checkpoint that cannot be read.
    #[error("{path}: {problem}")]
    Pth {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: PthError,
    },

    /// A loss, reading, gradient or prediction became NaN or infinite.
    #[error("non-finite value: {0}")]
    NonFinite(NonFiniteError),

    /// The processes of one training do not go together.
    #[error("several ranks: {0}")]
    Parallel(ParallelError),
}

// Not thiserror's `from`: it makes the part a source too, and whoever prints a chain of sources would print the part twice.
macro_rules! from_part {
    ($part:ty, $variant:ident) => {
        impl From<$part> for Error {
            fn from(problem: $part) -> Self {
                Self::$variant(problem)
            }
        }
    };
}

from_part!(ModalityError, Modality);
from_part!(DataError, Data);
from_part!(AudioError, Audio);
from_part!(StatisticsError, Statistics);
from_part!(TextError, Text);
from_part!(NonFiniteError, NonFinite);
from_part!(ParallelError, Parallel);

impl Error {
    /// Attaches a path to an I/O error: `std::fs::read(p).map_err(Error::io(p))?`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// Attaches a path to an image error: `decode(&bytes).map_err(Error::image(path))?`.
    pub fn image(path: impl Into<PathBuf>) -> impl FnOnce(ImageError) -> Error {
        let path = path.into();
        move |problem| Error::Image { path, problem }
    }

    /// Attaches a path to an error of a NumPy file: `numpy::read(&bytes, None).map_err(Error::numpy(path))?`.
    pub fn numpy(path: impl Into<PathBuf>) -> impl FnOnce(NumpyError) -> Error {
        let path = path.into();
        move |problem| Error::Numpy { path, problem }
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

    /// A [`Error::State`]: `serde_json::from_value(state).map_err(Error::state("counts"))?`.
    pub fn state(what: &'static str) -> impl FnOnce(serde_json::Error) -> Error {
        move |problem| Error::State { what, problem }
    }

    /// A [`Error::Shape`] from its parts.
    pub fn shape(name: impl Into<String>, expected: impl std::fmt::Display, found: impl std::fmt::Debug) -> Error {
        Error::Shape { name: name.into(), expected: expected.to_string(), found: format!("{found:?}") }
    }
}
