//! Why predictions cannot be reported: one variant a cause, each says where and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result with [`PredictionError`].
pub type Result<T> = std::result::Result<T, PredictionError>;

/// A line of a file, or a row of a Parquet file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// Line of a text, of which the header is the first; row of a Parquet file, whose columns are row 0.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// Where else something was said: the other side of a contradiction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// In the predictions.
    At(Place),
    /// In a finished cell.
    Results {
        /// The run of the cell.
        run: String,
        /// Its seed.
        seed: u64,
    },
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(place) => write!(f, "{place}"),
            Self::Results { run, seed } => write!(f, "the finished cell of {run}, seed {seed}"),
        }
    }
}

/// Which prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// Data set.
    pub data: String,
    /// Run.
    pub run: String,
    /// Seed.
    pub seed: u64,
    /// Combination, or corruption with its severity and the corrupted modalities.
    pub situation: String,
    /// Sample.
    pub sample: String,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, run, seed, situation, sample } = self;
        write!(f, "sample `{sample}` ({data}, run {run}, seed {seed}, {situation})")
    }
}

/// What two truths of one sample are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Which part of the truth, `: true:fever`; nothing where that is a class.
    pub part: String,
    /// As the line says it.
    pub here: String,
    /// As it was said before.
    pub there: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, here, there } = self;
        write!(f, "{part} is `{here}` here and `{there}`")
    }
}

/// Why predictions cannot be reported.
#[derive(Debug, thiserror::Error)]
pub enum PredictionError {
    /// A file could not be read, is no text, or its `predictions.toml` is wrong.
    #[error(transparent)]
    Core(#[from] mm_core::Error),
    /// A folder without predictions.
    #[error("{} holds no predictions: a table is a file named *.csv, *.csv.gz or *.parquet, or *.npy with a CSV index of the same name", .0.display())]
    Empty(PathBuf),
    /// A column that means nothing.
    #[error("{place}: the column `{name}` means nothing here; {hint}")]
    UnknownColumn {
        /// The header.
        place: Place,
        /// The column.
        name: String,
        /// What was probably meant.
        hint: String,
    },
    /// A column that a table must have.
    #[error("{place}: there is no column `{name}`; {hint}")]
    MissingColumn {
        /// The header.
        place: Place,
        /// The column.
        name: String,
        /// What is there or what to do.
        hint: String,
    },
    /// Two columns of one name.
    #[error("{place}: the column `{name}` is there twice")]
    ColumnTwice {
        /// The header.
        place: Place,
        /// The column.
        name: String,
    },
    /// Columns of several kinds of predictions in one table, or tables of several kinds of one data set.
    #[error("{place}: {problem}")]
    Kinds {
        /// The header, or the first line of the data set in this table.
        place: Place,
        /// What was found.
        problem: String,
    },
    /// One field that cannot be used.
    #[error("{place}: column `{column}`: {problem}")]
    Field {
        /// The line.
        place: Place,
        /// The column.
        column: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// Numbers that are no prediction.
    #[error("{place}: {which}: {problem}")]
    Scores {
        /// The line.
        place: Place,
        /// Whose.
        which: Box<Which>,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A combination that cannot be read.
    #[error("{place}: {problem}")]
    Combination {
        /// The line it is first used in.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// A prediction that is there twice.
    #[error("{place}: {which} is predicted here and in {before}; keep one of the two")]
    Twice {
        /// The second one.
        place: Place,
        /// Which.
        which: Box<Which>,
        /// The first one.
        before: Place,
    },
    /// Two truths of one sample.
    #[error("{place}: {which}{truths} in {elsewhere}; a sample has one truth, so samples are swapped or the ids mean different ones")]
    Truth {
        /// The line.
        place: Place,
        /// Which.
        which: Box<Which>,
        /// Its truths.
        truths: Box<Disagreement>,
        /// Where the other one is.
        elsewhere: Elsewhere,
    },
    /// A prediction that must be there, because the sample has what it is made from.
    #[error("{which} is not predicted, but {elsewhere} shows that the sample has what it takes; predict it, or leave it out of both")]
    Missing {
        /// Which.
        which: Box<Which>,
        /// What shows it.
        elsewhere: Elsewhere,
    },
    /// Runs of one data set and seed that were tested on different samples.
    #[error(
        "data {data}, seed {seed}: run {run} was not tested on sample `{sample}`, but {elsewhere} was; runs are compared on the same test samples, so give all runs of a seed the same ones (or other seeds)"
    )]
    TestSet {
        /// Data set.
        data: String,
        /// Seed.
        seed: u64,
        /// The run that lacks it.
        run: String,
        /// The first such sample.
        sample: String,
        /// Who has it, and where.
        elsewhere: String,
    },
    /// Classes, labels or numbers that differ between files, or from those of finished cells.
    #[error("{place}: {problem}")]
    Names {
        /// The header or the line.
        place: Place,
        /// What differs.
        problem: String,
    },
    /// A file that is not what its name says.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A sample id that finished cells of the data cannot have.
    #[error("{place}: the finished cells of this data name a sample by its row in the data set (17), and `{sample}` is no number")]
    Id {
        /// The line.
        place: Place,
        /// The id.
        sample: String,
    },
    /// A data set of which nothing is predicted.
    #[error("data {data}: nothing is predicted")]
    NoPrediction {
        /// Data set.
        data: String,
    },
    /// A finished cell of an older version.
    #[error("the finished cell of {data} / {run} / seed {seed} does not say which samples it was tested on: run its bench again")]
    OldResult {
        /// Data set.
        data: String,
        /// Run.
        run: String,
        /// Seed.
        seed: u64,
    },
    /// A run of the predictions has the name of one of the finished cells.
    #[error(
        "data {data}: the run `{run}` is among the predictions and among the finished cells; give the predictions' runs names of their own with `--prefix`, such as `--prefix theirs-`"
    )]
    SameRun {
        /// Data set.
        data: String,
        /// Run.
        run: String,
    },
}
