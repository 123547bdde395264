//! Parquet files as tables of texts: every cell as a CSV file would have it.

use crate::error::{Error, Result};
use jiff::Timestamp;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The rows of a Parquet file, one after another.
///
/// Texts and numbers are as they are, booleans are `true` and `false`, dates and times are written out, and what is null is empty. Columns of lists,
/// structures and bytes are no cells, and are left out.
pub struct ParquetTable {
    path: PathBuf,
    columns: Vec<String>,
    left_out: Vec<LeftOut>,
    rows: RowIter<'static>,
    /// By column: whether its whole numbers are times in nanoseconds, of which the crate knows nothing.
    nanoseconds: Vec<bool>,
}

/// A column that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub column: String,
    /// What it holds, and what to do.
    pub why: String,
}

impl ParquetTable {
    /// Of a file, or of its bytes; `path` is for messages.
    pub fn open(path: &Path, reader: impl ChunkReader + 'static) -> Result<Self> {
        let opened = catch_unwind(AssertUnwindSafe(|| Self::columns_of(path, reader)));
        // The crate panics on some damaged files; nothing of ours is inside.
        let opened = opened.map_err(|_| unreadable(path, "it is damaged"))?;
        let table = opened.map_err(|error| unreadable(path, &error.to_string()))?;
        match (table.columns.is_empty(), table.left_out.first()) {
            (true, Some(LeftOut { column, why })) => {
                Err(Error::File { path: path.into(), problem: format!("no column holds text or numbers; `{column}` {why}") })
            }
            _ => Ok(table),
        }
    }

    fn columns_of(path: &Path, reader: impl ChunkReader + 'static) -> std::result::Result<Self, ParquetError> {
        let reader = SerializedFileReader::new(reader)?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for field in schema.get_fields() {
            match why_no_cell(field) {
                None => kept.push(field.clone()),
                Some(why) => left_out.push(LeftOut { column: field.name().into(), why }),
            }
        }
        let columns = kept.iter().map(|field| field.name().to_string()).collect();
        let nanoseconds = kept.iter().map(|field| is_nanoseconds(field)).collect();
        let rows = RowIter::from_file_into(Box::new(reader));
        let rows = match left_out.is_empty() || kept.is_empty() {
            true => rows,
            false => rows.project(Some(Type::group_type_builder(schema.name()).with_fields(kept).build()?))?,
        };
        Ok(Self { path: path.into(), columns, left_out, rows, nanoseconds })
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Columns that are no cells.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Iterator for ParquetTable {
    type Item = Result<Vec<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        // A time that no calendar has panics when it is written out.
        let read = catch_unwind(AssertUnwindSafe(|| self.rows.next().map(|row| row.map(|row| cells(&row, &self.nanoseconds)))));
        match read {
            Ok(row) => row.map(|row| row.map_err(|error| unreadable(&self.path, &error.to_string()))),
            Err(_) => Some(Err(unreadable(&self.path, "it is damaged"))),
        }
    }
}

fn cells(row: &Row, nanoseconds: &[bool]) -> Vec<String> {
    let cell = |((_, field), is_time): ((_, &Field), &bool)| match field {
        Field::Long(since) if *is_time => Timestamp::from_nanosecond(i128::from(*since)).map_or_else(|_| text(field), |at| at.to_string()),
        _ => text(field),
    };
    row.get_column_iter().zip(nanoseconds).map(cell).collect()
}

fn is_nanoseconds(field: &Type) -> bool {
    matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::Timestamp(of)) if matches!(of.unit, TimeUnit::NANOS))
}

fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.trim().into(),
        // Its own way to write them has an exponent where a number is negative.
        Field::Float16(x) => x.to_string(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        other => other.to_string(),
    }
}

/// Why the values of a column are no cells, and what to do.
fn why_no_cell(field: &Type) -> Option<String> {
    let name = field.name();
    let info = field.get_basic_info();
    if field.is_group() || info.has_repetition() && info.repetition() == Repetition::REPEATED {
        let advice = format!(
            "give each number a column of its own (`{name}.1`, `{name}.2`, and so on), or save each array as a .npy file and name that"
        );
        return Some(format!("holds lists or structures, which are no cells: {advice}"));
    }
    let bytes = matches!(field.get_physical_type(), Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY);
    let plain = info.converted_type() == ConvertedType::NONE && info.logical_type_ref().is_none();
    (bytes && plain).then(|| "holds bytes, which are no cells: save each as a file and name that, or write the column as text".into())
}

fn unreadable(path: &Path, why: &str) -> Error {
    let problem = match why.rsplit_once("Disabled feature at compile time: ") {
        Some((_, feature)) => {
            let compression = if feature == "flate2" { "gzip" } else { feature };
            format!("this Parquet file is compressed with {compression}, which is not read: write it again with compression = \"snappy\"")
        }
        None => {
            let why = why.trim_start_matches("Parquet error: ");
            format!("this Parquet file cannot be read ({why}); write it again, compressed with snappy or not at all")
        }
    };
    Error::File { path: path.into(), problem }
}
