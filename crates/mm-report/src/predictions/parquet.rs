//! Parquet files as tables: every value as the text that a CSV file would have.

use super::columns::is_index_level;
use super::error::{Place, PredictionError, Result};
use super::table::Sink;
use mm_core::data::ParquetTable;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Reads a Parquet file into `sink`; lines are rows, counted from 1.
pub fn read(path: &Arc<Path>, sink: &mut impl Sink) -> Result<()> {
    let file = File::open(path).map_err(mm_core::Error::io(path.as_ref()))?;
    let table = ParquetTable::open(path, file)?;
    let place = |line: usize| Place { path: path.clone(), line };
    if let Some(left) = table.left_out().iter().find(|left| !is_index_level(&left.column)) {
        return Err(PredictionError::Field { place: place(0), column: left.column.clone(), problem: left.why.clone() });
    }
    sink.header(&place(0), &table.columns().iter().map(String::as_str).collect::<Vec<_>>().into())?;
    for (row, number) in table.zip(1..) {
        sink.row(&place(number), &row?.iter().map(String::as_str).collect::<Vec<_>>().into())?;
    }
    Ok(())
}
