//! Parquet files as tables: every value as the text that a CSV file would have.

use super::error::{Place, PredictionError, Result};
use super::table::Sink;
use csv::StringRecord;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::fs::File;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

/// Reads a Parquet file into `sink`; lines are rows, counted from 1.
pub fn read(path: &Arc<Path>, sink: &mut impl Sink) -> Result<()> {
    let unreadable = |why: String| {
        let problem = format!("this Parquet file cannot be read ({why}); write it again, compressed with snappy or not at all");
        PredictionError::File { path: path.to_path_buf(), problem }
    };
    let file = File::open(path).map_err(mm_core::Error::io(path.as_ref()))?;
    // The crate panics on some damaged files; nothing of ours is inside.
    let table = catch_unwind(|| table(file)).map_err(|_| unreadable("it is damaged".into()))?;
    let (names, rows) = table.map_err(|error| unreadable(error.to_string()))?;
    let place = |line: usize| Place { path: path.clone(), line };
    sink.header(&place(0), &names.iter().map(String::as_str).collect::<Vec<_>>().into())?;
    for (row, number) in rows.into_iter().zip(1..) {
        let fields = row.map_err(|column| {
            let problem = "is neither text nor a number".into();
            PredictionError::Field { place: place(number), column, problem }
        })?;
        sink.row(&place(number), &fields)?;
    }
    Ok(())
}

/// The fields of a row, or the column that is neither text nor a number.
type Row = std::result::Result<StringRecord, String>;

/// The names of the columns, and the rows.
fn table(file: File) -> std::result::Result<(Vec<String>, Vec<Row>), ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let columns = reader.metadata().file_metadata().schema().get_fields();
    let names: Vec<String> = columns.iter().map(|column| column.name().to_string()).collect();
    let row = |row: std::result::Result<parquet::record::Row, ParquetError>| {
        let mut fields = StringRecord::new();
        for (name, field) in row?.get_column_iter() {
            match text(field) {
                Some(text) => fields.push_field(text.trim()),
                None => return Ok(Err(name.clone())),
            }
        }
        Ok(Ok(fields))
    };
    let rows = reader.get_row_iter(None)?.map(row).collect::<std::result::Result<_, ParquetError>>()?;
    Ok((names, rows))
}

fn text(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Byte(n) => n.to_string(),
        Field::Short(n) => n.to_string(),
        Field::Int(n) => n.to_string(),
        Field::Long(n) => n.to_string(),
        Field::UByte(n) => n.to_string(),
        Field::UShort(n) => n.to_string(),
        Field::UInt(n) => n.to_string(),
        Field::ULong(n) => n.to_string(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        _ => return None,
    })
}
