//! How a file is to be read.

use super::Column;
use super::labels::Labels;
use super::table_text::Writing;
use super::view::{NonFinite, Partial};
use std::collections::BTreeMap;

/// The columns that are not features, in the order of [`KEY_NAMES`].
pub(super) type Keys<T> = [Option<T>; 5];
pub(super) const KEY_NAMES: [&str; 5] = ["label", "id", "group", "part", "weight"];
pub(super) const LABEL: usize = 0;
pub(super) const ID: usize = 1;
pub(super) const PART: usize = 3;
pub(super) const GROUP: usize = 2;
pub(super) const WEIGHT: usize = 4;

/// What is read of a file: what the card says of it and of all files.
#[derive(Clone, Copy)]
pub(super) struct ReadAs<'a> {
    /// `None` for a file of labels alone.
    pub modality: Option<&'a str>,
    /// The feature columns, if they are given.
    pub columns: Option<&'a [Column]>,
    /// Columns that are no features, if the file has them.
    pub ignore: &'a [Column],
    /// Columns of this file that other views name as theirs: no features here unless `columns` says so.
    pub taken: &'a [&'a Column],
    /// Columns that are no features and that the file must have.
    pub view_ignore: &'a [Column],
    /// Columns of words, with their categories.
    pub categories: &'a BTreeMap<String, Vec<String>>,
    pub shape: Option<[usize; 3]>,
    /// Key columns that the file must have.
    pub own: Keys<&'a Column>,
    /// Key columns that any file may have.
    pub defaults: Keys<&'a Column>,
    /// Columns of labels or numbers that are to be predicted, in any file.
    pub targets: &'a [String],
    pub writing: Writing<'a>,
    /// The first line is a header, whatever it looks like.
    pub header: bool,
    pub non_finite: NonFinite,
    pub partial: Partial,
    pub labels: Labels<'a>,
}
