//! What can go wrong in an export.

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model has no ONNX file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the model that has no form in ONNX.
    #[error("cannot be exported: {part} {problem}")]
    Unsupported {
        /// The part, such as an encoder of a modality.
        part: String,
        /// Why, and what to do instead.
        problem: String,
    },
    /// Settings of a method that this version does not read.
    #[error("the settings of the model (family `{family}`) cannot be used: {source}")]
    Settings {
        /// Family of the method.
        family: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A parameter that the settings ask for and the model lacks, or that has another shape.
    #[error("parameter `{name}`: {problem}")]
    Parameter {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// More than one file can hold.
    #[error("the weights are {bytes} bytes, and an ONNX file holds at most 2 GiB: export a smaller model")]
    TooLarge {
        /// Bytes of the weights.
        bytes: usize,
    },
    /// A modality that has the name of another input or output.
    #[error("the modality `{name}` would be an input of the same name as {other}: give it another name and train again")]
    Name {
        /// Name of the modality.
        name: String,
        /// What else has it.
        other: String,
    },
    /// From the core: settings that fit no data, damaged statistics, files.
    #[error(transparent)]
    Core(#[from] mm_core::Error),
}

impl Error {
    /// A part that has no form in ONNX.
    pub(crate) fn unsupported(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Unsupported { part: part.into(), problem: problem.into() }
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Core(error.into())
    }
}
