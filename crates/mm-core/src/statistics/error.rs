//! What can be wrong with outcomes and with what is asked of them.

/// Outcomes that are no table, or a statistic that they do not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatisticsError {
    /// Outcomes of nothing.
    #[error("outcomes need at least one column and one sample")]
    NoOutcome,
    /// Columns of different lengths.
    #[error("column {column} has {found} outcomes, the first one has {expected}")]
    Length {
        /// The column, counted from 0.
        column: usize,
        /// Its outcomes.
        found: usize,
        /// Those of the first column.
        expected: usize,
    },
    /// A character that is no outcome.
    #[error("column {column}, sample {sample}: {found:?} is none of `1`, `0`, `-`")]
    Outcome {
        /// The column, counted from 0.
        column: usize,
        /// The sample, counted from 0.
        sample: usize,
        /// The character.
        found: char,
    },
    /// Another number of ids than of samples.
    #[error("{found} ids for {samples} samples")]
    Ids {
        /// How many ids there are.
        found: usize,
        /// How many samples there are.
        samples: usize,
    },
    /// Two samples of one seed with the same id.
    #[error("two samples have the id {id}")]
    IdTwice {
        /// The id.
        id: u64,
    },
    /// A bootstrap of nothing.
    #[error("a bootstrap needs at least one seed")]
    NoSeed,
    /// Seeds whose tables differ.
    #[error("the seeds have different numbers of columns: {found} and {expected}")]
    Columns {
        /// Columns of a seed.
        found: usize,
        /// Those of the first seed.
        expected: usize,
    },
    /// A statistic of nothing.
    #[error("a statistic needs at least one column")]
    NoColumn,
    /// A column past the last one.
    #[error("column {column} of {columns}")]
    Column {
        /// The column, counted from 0.
        column: usize,
        /// How many there are.
        columns: usize,
    },
    /// A column that a seed says nothing of.
    #[error("seed number {seed}: no sample of column {column} was evaluated")]
    NotEvaluated {
        /// The seed, counted from 0.
        seed: usize,
        /// The column, counted from 0.
        column: usize,
    },
}
