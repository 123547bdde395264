//! Which columns of which file are a modality.

use super::Column;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One modality: columns of one file. What is `None` is as the card says it for all files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ViewSpec {
    /// Name of the modality.
    pub modality: String,
    /// CSV or CSV.gz file, from the card's folder.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal; checked if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The feature columns; otherwise all numeric columns that have no other use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    /// Columns that are no features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Column>,
    /// Columns of words, each with its categories: a column becomes as many numbers, called `column=category`, of which one is 1; none where
    /// the cell is empty. Numbers may be categories, too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, Vec<String>>,
    /// The features of a sample are an image `[channels, height, width]`, row-major in the order of the columns; otherwise
    /// they are a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<[usize; 3]>,
    /// Label column, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Column>,
    /// Id column, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Column>,
    /// Group column, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Column>,
    /// Column of the fixed split, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Column>,
    /// Between fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Between the digits of a number: `.` or `,`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// First character of lines that are no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Cells that stand for no reading, besides empty ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
    /// The first line is a header, whatever it looks like.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub header: bool,
    /// What to do with a line in which only some cells of the modality are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
}

impl ViewSpec {
    /// All numeric columns of a file.
    pub fn new(modality: impl Into<String>, file: impl Into<String>) -> Self {
        Self { modality: modality.into(), file: file.into(), ..Self::default() }
    }
}

/// A file that has labels (and perhaps ids, groups and parts) but no modality.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LabelSpec {
    /// CSV or CSV.gz file, from the card's folder.
    pub file: String,
    /// The label column; otherwise the card's `label`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<Column>,
    /// SHA-256 of the file, in hexadecimal; checked if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Id column, if it is another one than the card says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Column>,
    /// Between fields, if it is another one than the card says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// First character of lines that are no data, if it is another one than the card says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
}

/// What to do with a value that is not finite (`nan`, `inf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonFinite {
    /// The modality counts as missing for that sample; the read report says how often.
    #[default]
    Absent,
    /// An error that names the cell.
    Error,
}

/// What to do with a line in which only some cells of a modality are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// An error that names the cell.
    #[default]
    Error,
    /// The modality counts as missing for that sample; the read report says how often.
    Absent,
    /// The sample keeps the modality. An empty cell becomes the mean of its column over the training samples, and each column with such cells
    /// gets another one behind all others, `<name>.measured`: 1 where there was a number, 0 elsewhere.
    Indicate,
}
