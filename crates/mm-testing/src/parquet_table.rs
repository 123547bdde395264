//! Tables as Parquet files.

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use std::sync::Arc;

/// Writes a table in CSV as pandas writes it to Parquet: whole numbers, numbers, texts, and nothing where a field is empty.
pub fn parquet(table: &str) -> Vec<u8> {
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let (names, rows) = (lines.next().expect("header"), lines.collect::<Vec<_>>());
    let all = |c: usize, is: fn(&str) -> bool| rows.iter().map(|row| row[c]).filter(|text| !text.is_empty()).all(is);
    let kind = |c: usize| match c {
        c if all(c, |text| text.parse::<i64>().is_ok()) => "INT64",
        c if all(c, |text| text.parse::<f64>().is_ok()) => "DOUBLE",
        _ => "BYTE_ARRAY",
    };
    let field = |(c, name): (usize, &&str)| format!("optional {} {name}{};", kind(c), if kind(c) == "BYTE_ARRAY" { " (UTF8)" } else { "" });
    let schema = format!("message table {{ {} }}", names.iter().enumerate().map(field).collect::<String>());
    let schema = Arc::new(parquet::schema::parser::parse_message_type(&schema).expect("schema"));
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Default::default()).expect("writer");
    let mut group = writer.next_row_group().expect("group");
    for c in 0..names.len() {
        let texts: Vec<&str> = rows.iter().map(|row| row[c]).collect();
        let levels: Vec<i16> = texts.iter().map(|text| i16::from(!text.is_empty())).collect();
        let given = || texts.iter().filter(|text| !text.is_empty());
        let mut column = group.next_column().expect("column").expect("one more");
        match kind(c) {
            "INT64" => {
                let numbers: Vec<i64> = given().map(|t| t.parse().expect("number")).collect();
                column.typed::<Int64Type>().write_batch(&numbers, Some(&levels), None)
            }
            "DOUBLE" => {
                let numbers: Vec<f64> = given().map(|t| t.parse().expect("number")).collect();
                column.typed::<DoubleType>().write_batch(&numbers, Some(&levels), None)
            }
            _ => {
                let texts: Vec<ByteArray> = given().map(|t| ByteArray::from(*t)).collect();
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)
            }
        }
        .expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.into_inner().expect("whole")
}
