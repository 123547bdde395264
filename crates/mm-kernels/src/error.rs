//! The error type of this crate.

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A kernel was called with something that does not fit its shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A slice has another length than the shape asks for.
    #[error("kernel: {what}: expected {expected} numbers, found {found}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Length by the shape.
        expected: usize,
        /// Length found.
        found: usize,
    },

    /// A shape that cannot be, such as a kernel larger than the padded input.
    #[error("kernel: {0}")]
    Shape(String),

    /// An environment variable asks for a level of vector instructions that does not exist, or not here.
    #[error("{variable}={asked}: {problem}; the levels of this processor are {here}")]
    Level {
        /// The variable.
        variable: &'static str,
        /// What it asks for.
        asked: String,
        /// What is wrong with that.
        problem: &'static str,
        /// The levels that this processor has.
        here: String,
    },
}

/// Refuses a slice whose length is not the expected one.
pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}
