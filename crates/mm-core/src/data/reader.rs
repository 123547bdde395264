//! One CSV file read: the values of its features, the texts of its keys.

use super::categories::{self, position, unknown};
use super::decimal_marks::DecimalMarks;
use super::names::some;
use super::number::{Cell, Numbers, advice, fits, has_decimal_comma};
use super::offset::{collapsed, distances, offsets};
use super::read_as::{ID, KEY_NAMES, Keys, LABEL, ReadAs, WEIGHT};
use super::roles::{Header, Role, comment_mark, one_field, roles};
use super::row_names::{Digits, are_ids, counts_rows, is_called_id};
use super::table_text::{TableText, cell};
use super::text::parse_error;
use super::view::{NonFinite, Partial};
use super::{Column, InputSpec};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// What the name of a column ends in that says where another one has numbers.
pub(in crate::data) const MEASURED: &str = ".measured";

/// A key column of one file.
pub(super) struct KeyColumn {
    /// Index in the header.
    pub column: usize,
    /// One text a row; empty only where a label is missing and may be.
    pub values: Vec<String>,
}

/// One file as read.
pub(super) struct Table {
    pub path: PathBuf,
    /// `None` for a file of labels alone.
    pub modality: Option<String>,
    pub header: Header,
    pub features: Vec<String>,
    /// Form of a sample's features.
    pub input: InputSpec,
    /// `[rows, features]`, as distances from the offsets; zeros where absent.
    pub values: Vec<f32>,
    /// What is added to each feature; empty where nothing is.
    pub offsets: Vec<f64>,
    pub present: Vec<bool>,
    /// Rows that count as absent because of a value that is not finite.
    pub non_finite: Vec<bool>,
    /// How many rows have some empty cells, and count as absent because of it or keep gaps.
    pub partial: usize,
    /// How many of the last features say whether a cell of another was empty; rows that are present may hold NaN then.
    pub indicators: usize,
    /// Line of each row.
    pub lines: Vec<usize>,
    pub keys: Keys<KeyColumn>,
    /// Of each label or number that is to be predicted, where the file has it.
    pub targets: Vec<Option<KeyColumn>>,
    /// A column that is called as ids are, where the card names none.
    pub unasked_id: Option<KeyColumn>,
    /// Columns that no one asked for and that are left out.
    pub ignored: Vec<String>,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// Lines with a mistake that are named of a file, at most.
const MOST_MISTAKES: usize = 1000;

/// Reads a file. With a place for mistakes, the first of each line that has one goes there, and the file is still refused.
pub(super) fn read_table(reading: &ReadAs, path: &Path, bytes: &[u8], mistakes: Option<&mut Vec<Error>>) -> Result<Table> {
    let keys = reading.own.iter().zip(&reading.defaults).filter_map(|(own, default)| own.or(*default));
    let names: Vec<&str> = keys.chain(reading.columns.into_iter().flatten()).filter_map(Column::name).collect();
    let text = TableText::open(path, bytes, &reading.writing, &names)?;
    let Some((names, line)) = text.header()? else {
        return Err(parse_error(path, 1, 1, "the file is empty; a header line with column names is needed"));
    };
    let header = Header { names, line };
    let mut remarks = Vec::new();
    let mut ignored = Vec::new();
    let mut roles = roles(reading, path, &header, text.delimiter(), &mut ignored)?;
    let mut rows = read_rows(path, &text, reading, &header, &roles, None);
    // Perhaps what is wrong is in a column that holds no numbers, which is no feature unless it was asked for.
    let in_vain = rows.as_ref().map_or(true, |rows| !rows.lines.is_empty() && !rows.present.contains(&true));
    if in_vain && reading.columns.is_none() && leave_out_text(path, &text, reading, &header, &mut roles, &mut ignored)? {
        if !roles.contains(&Role::Feature) {
            let modality = reading.modality.unwrap_or_default();
            return Err(header.error(
                path,
                0,
                format!("no column of modality `{modality}` holds numbers{}", one_field(&header, text.delimiter())),
            ));
        }
        rows = read_rows(path, &text, reading, &header, &roles, None);
    }
    if let (Err(_), Some(mistakes)) = (&rows, mistakes) {
        // What ends the reading early is the error that is there already, or a mistake too many.
        read_rows(path, &text, reading, &header, &roles, Some(mistakes)).err();
    }
    let mut rows = rows?;
    if rows.lines.is_empty() {
        return Err(parse_error(path, header.line + 1, 1, "there are no samples after the header line"));
    }
    if reading.writing.delimiter.is_none() && text.delimiter() != ',' {
        remarks.push(format!("read with the delimiter {:?}", text.delimiter()));
    }
    if !ignored.is_empty() {
        remarks.push(format!("columns without use are left out: {}", ignored.join(", ")));
    }
    remarks.extend(rows.remarks);
    let mut features = feature_names(&header, &roles, reading);
    let columns = features.len();
    if reading.partial == Partial::Indicate && rows.partial > 0 {
        rows.values = with_indicators(rows.values, &rows.present, &mut features);
    }
    let indicators = features.len() - columns;
    let input = reading.shape.map_or_else(|| InputSpec::vector(features.len()), InputSpec::image);
    if reading.modality.is_some() && input.elements() != features.len() {
        let problem = format!(
            "modality `{}` has {} feature columns, but `shape = {:?}` needs {}; correct the shape, or list the `columns`",
            reading.modality.unwrap_or_default(),
            features.len(),
            input.shape,
            input.elements()
        );
        return Err(header.error(path, 0, problem));
    }
    let mut keys: Keys<KeyColumn> = [const { None }; 5];
    for (key, values) in rows.keys.into_iter().enumerate() {
        let column = roles.iter().position(|r| *r == Role::Key(key));
        keys[key] = column.map(|column| KeyColumn { column, values });
    }
    let targets = rows.targets.into_iter().enumerate().map(|(target, values)| {
        let column = roles.iter().position(|r| *r == Role::Target(target))?;
        Some(KeyColumn { column, values })
    });
    let targets = targets.collect();
    let (width, has) = (features.len(), |row: usize| rows.present[row]);
    let offsets = offsets(&rows.values, width, has);
    let collapsed: Vec<&str> = collapsed(&rows.values, width, &offsets, has).into_iter().map(|f| features[f].as_str()).collect();
    if !collapsed.is_empty() {
        remarks.push(format!(
            "different numbers become equal in 32 bits in the columns {}; subtract a constant or change the unit",
            some(&collapsed, 5)
        ));
    }
    Ok(Table {
        path: path.into(),
        modality: reading.modality.map(String::from),
        header,
        features,
        input,
        values: distances(rows.values, &offsets),
        offsets,
        present: rows.present,
        non_finite: rows.non_finite,
        partial: rows.partial,
        indicators,
        lines: rows.lines,
        keys,
        targets,
        unasked_id: rows.unasked_id,
        ignored,
        remarks,
    })
}

/// The names of the numbers, in their order.
fn feature_names(header: &Header, roles: &[Role], reading: &ReadAs) -> Vec<String> {
    let features = header.names.iter().zip(roles).filter(|(_, role)| **role == Role::Feature);
    let names = features.map(|(column, _)| match reading.categories.get(column) {
        Some(known) => known.iter().map(|category| categories::name(column, category)).collect(),
        None => vec![column.clone()],
    });
    names.flatten().collect()
}

#[derive(Default)]
struct Rows {
    values: Vec<f64>,
    present: Vec<bool>,
    lines: Vec<usize>,
    keys: [Vec<String>; 5],
    targets: Vec<Vec<String>>,
    unasked_id: Option<KeyColumn>,
    non_finite: Vec<bool>,
    partial: usize,
    remarks: Vec<String>,
}

/// All rows; a mistake is an error, or goes to the others where these are wanted, and the rows are of no use then.
fn read_rows(
    path: &Path,
    text: &TableText,
    reading: &ReadAs,
    header: &Header,
    roles: &[Role],
    mut mistakes: Option<&mut Vec<Error>>,
) -> Result<Rows> {
    let numbers = Numbers::new(&reading.writing);
    let features = roles.iter().filter(|r| **r == Role::Feature).count();
    let categories: Vec<Option<&[String]>> = header.names.iter().map(|name| reading.categories.get(name).map(Vec::as_slice)).collect();
    let modality = reading.modality.unwrap_or_default();
    let targets = vec![Vec::new(); reading.targets.len()];
    let mut rows = Rows { values: Vec::with_capacity(text.len() / 4), targets, ..Rows::default() };
    let mut marks = DecimalMarks::new(reading.writing.decimal_comma, roles.len());
    let mut digits = vec![Digits::default(); roles.len()];
    if !roles.contains(&Role::Key(ID)) {
        let is_id = |column: &usize| matches!(roles[*column], Role::Skip | Role::Feature) && is_called_id(&header.names[*column]);
        rows.unasked_id = (0..roles.len()).find(is_id).map(|column| KeyColumn { column, values: Vec::new() });
    }
    let mut trailing = 0;
    let mut records = text.records();
    records.next()?; // the header
    while let Some((record, line)) = records.next()? {
        let mut read = || -> Result<()> {
            let error = |column: usize, problem: String| Err(parse_error(path, line, column + 1, problem));
            // A delimiter at the end of the line, with nothing behind it.
            let empty_end = record.len() == roles.len() + 1 && record.iter().next_back().is_some_and(|field| cell(field).is_empty());
            trailing += usize::from(empty_end);
            if record.len() != roles.len() && !empty_end {
                return error(record.len().min(roles.len()), wrong_length(record, roles.len()));
            }
            let start = rows.values.len();
            let (mut empty, mut first_empty, mut finite) = (0, 0, true);
            for (column, (field, role)) in record.iter().zip(roles).enumerate() {
                match role {
                    Role::Skip => {}
                    Role::Key(key) => {
                        let text = key_cell(field, *key, reading).map_err(|problem| parse_error(path, line, column + 1, problem))?;
                        rows.keys[*key].push(text)
                    }
                    Role::Target(target) => {
                        let read =
                            reading.labels.read_column(cell(field)).map_err(|problem| parse_error(path, line, column + 1, problem))?;
                        rows.targets[*target].push(read.unwrap_or_default().into());
                    }
                    Role::Feature if let Some(known) = categories[column] => {
                        let text = cell(field);
                        let is = (numbers.read(field) != Cell::Empty).then(|| position(known, text));
                        match is {
                            Some(Some(is)) => rows.values.extend((0..known.len()).map(|k| f64::from(u8::from(k == is)))),
                            Some(None) => return error(column, unknown(known, text, &header.names[column], true)),
                            None => {
                                first_empty = if empty == 0 { column } else { first_empty };
                                empty += 1;
                                rows.values.extend(known.iter().map(|_| 0.0));
                            }
                        }
                    }
                    Role::Feature => match numbers.read(field) {
                        Cell::Number(value) => {
                            if !fits(value) {
                                finite = false;
                                if reading.non_finite == NonFinite::Error {
                                    return error(
                                        column,
                                        format!(
                                            "`{}` is not finite; empty the modality's cells, or set non_finite = \"absent\"",
                                            cell(field)
                                        ),
                                    );
                                }
                            }
                            marks.see(column, field, line).map_err(|problem| parse_error(path, line, column + 1, problem))?;
                            digits[column].see(cell(field));
                            rows.values.push(value);
                        }
                        Cell::Empty => {
                            first_empty = if empty == 0 { column } else { first_empty };
                            empty += 1;
                            rows.values.push(f64::NAN);
                        }
                        Cell::Text => return error(column, advice(cell(field), modality, &header.names[column])),
                    },
                }
            }
            let partial = empty > 0 && empty < features;
            if partial && reading.partial == Partial::Error {
                return error(
                    first_empty,
                    format!(
                        "this cell is empty, but modality `{modality}` has other values in this line; fill it in, empty all {features} cells if the \
                         sensor was missing, or write partial = \"absent\" in the card to take such lines as missing (\"indicate\" to keep them)"
                    ),
                );
            }
            rows.partial += usize::from(partial);
            let present = finite && (empty == 0 || partial && reading.partial == Partial::Indicate);
            rows.present.push(present);
            rows.non_finite.push(!finite);
            rows.lines.push(line);
            if let Some(id) = &mut rows.unasked_id {
                id.values.extend(record.iter().nth(id.column).map(|field| cell(field).to_string()));
            }
            if !present {
                rows.values[start..].fill(0.0);
            }
            Ok(())
        };
        match (read(), &mut mistakes) {
            (Err(error), Some(mistakes)) if mistakes.len() < MOST_MISTAKES => mistakes.push(error),
            (read, _) => read?,
        }
    }
    if let Some((line, count)) = records.blank_lines() {
        rows.remarks.push(format!("blank lines are skipped: {count}, the first is line {line}"));
    }
    if trailing > 0 {
        rows.remarks.push(format!("a delimiter at the end of the line is ignored, in {trailing} lines"));
    }
    rows.remarks.extend(marks.remarks(&header.names));
    if reading.columns.is_none() {
        rows.remarks.extend(row_names(&rows.values, reading, header, roles, &digits));
    }
    Ok(rows)
}

/// A remark on features that nobody asked for and that name rows.
fn row_names(values: &[f64], reading: &ReadAs, header: &Header, roles: &[Role], digits: &[Digits]) -> Option<String> {
    let widths = header.names.iter().zip(roles).map(|(name, role)| match role {
        Role::Feature => reading.categories.get(name).map_or(1, Vec::len),
        _ => 0,
    });
    let mut width = 0;
    let starts: Vec<usize> = widths.map(|of| (width, width += of).0).collect();
    let is_number = |column: usize| roles[column] == Role::Feature && !reading.categories.contains_key(&header.names[column]);
    let names_rows = |feature: usize, name: &str| {
        let numbers = || values.iter().skip(feature).step_by(width.max(1)).copied();
        counts_rows(numbers()) || is_called_id(name) && are_ids(numbers())
    };
    let found = (0..roles.len())
        .filter(|&column| is_number(column) && (digits[column].are_names() || names_rows(starts[column], &header.names[column])));
    let found: Vec<&str> = found.map(|column| header.names[column].as_str()).collect();
    (!found.is_empty()).then(|| {
        let ignore: Vec<String> = found.iter().map(|name| format!("{name:?}")).collect();
        format!(
            "the columns {} look like names of rows, which measure nothing, and are read as features: name one as `id`, or write ignore = [{}] in the card",
            some(&found, 5),
            ignore.join(", ")
        )
    })
}

/// The values with a column behind them for each of those that have gaps in rows that are present: 1 where there is a number, 0 elsewhere.
fn with_indicators(values: Vec<f64>, present: &[bool], features: &mut Vec<String>) -> Vec<f64> {
    let width = features.len();
    let rows = || values.chunks_exact(width).zip(present);
    let with_gaps: Vec<usize> = (0..width).filter(|&f| rows().any(|(row, present)| *present && row[f].is_nan())).collect();
    let measured = |row: &[f64], present: bool, f: usize| if present && !row[f].is_nan() { 1.0 } else { 0.0 };
    let widened = rows().flat_map(|(row, &present)| row.iter().copied().chain(with_gaps.iter().map(move |&f| measured(row, present, f))));
    let widened = widened.collect();
    let names: Vec<String> = with_gaps.iter().map(|&f| format!("{}{MEASURED}", features[f])).collect();
    features.extend(names);
    widened
}

fn wrong_length(record: &csv::ByteRecord, expected: usize) -> String {
    let mut problem = format!("the line has {} fields, the header has {expected}", record.len());
    let first = record.get(0).map(cell).unwrap_or_default();
    if let Some(mark) = comment_mark(first) {
        problem += &format!("; if lines with `{mark}` are comments, write comment = {mark:?} in the card");
    } else if record.len() + 1 == expected || record.len() == expected + 1 {
        problem += "; is a delimiter missing or one too many, or a decimal comma without quotes?";
    }
    problem
}

fn key_cell(field: &[u8], key: usize, reading: &ReadAs) -> std::result::Result<String, String> {
    let text = cell(field);
    // A quote that is never closed swallows the lines below it.
    if text.contains(['\n', '\r']) {
        return Err(format!("the {} spans lines; is a closing quote missing?", KEY_NAMES[key]));
    }
    match text {
        _ if key == LABEL => Ok(reading.labels.read(text)?.unwrap_or_default().into()),
        "" => Err(format!("the {} is empty; every sample needs one", KEY_NAMES[key])),
        _ if key == WEIGHT => {
            let has_comma = has_decimal_comma(text);
            let number = if has_comma && reading.writing.decimal_comma { text.replace(',', ".") } else { text.into() };
            match number.parse::<f32>() {
                Ok(weight) if weight >= 0.0 && weight.is_finite() => Ok(number),
                _ if has_comma && !reading.writing.decimal_comma => {
                    Err(format!("`{text}` is no weight of a sample; if its comma is a decimal comma, write decimal = \",\" in the card"))
                }
                _ => Err(format!("`{text}` is no weight of a sample: a finite number that is not negative")),
            }
        }
        text => Ok(text.into()),
    }
}

/// What the cells of a column are.
#[derive(Clone, Default)]
struct Kinds {
    /// Holds a finite number.
    numbers: bool,
    /// Where a `nan` or `inf` is.
    not_finite: Option<usize>,
    /// The first text, and its line.
    text: Option<(String, usize)>,
    /// All texts are numbers but for a decimal comma.
    commas: bool,
}

/// Takes the role of a feature from columns without numbers; whether there were any. An error where it is not clear what they are.
fn leave_out_text(
    path: &Path,
    text: &TableText,
    reading: &ReadAs,
    header: &Header,
    roles: &mut [Role],
    ignored: &mut Vec<String>,
) -> Result<bool> {
    let numbers = Numbers::new(&reading.writing);
    let mut kinds = vec![Kinds { commas: true, ..Kinds::default() }; roles.len()];
    let mut records = text.records();
    records.next()?;
    while let Ok(Some((record, line))) = records.next() {
        for (kinds, field) in kinds.iter_mut().zip(record) {
            match numbers.read(field) {
                Cell::Number(value) if fits(value) => kinds.numbers = true,
                Cell::Number(_) => kinds.not_finite = kinds.not_finite.or(Some(line)),
                Cell::Empty => {}
                Cell::Text => {
                    kinds.commas &= has_decimal_comma(cell(field));
                    kinds.text.get_or_insert_with(|| (cell(field).into(), line));
                }
            }
        }
    }
    let before = ignored.len();
    for (column, (role, kinds)) in roles.iter_mut().zip(&kinds).enumerate().filter(|(_, (role, _))| **role == Role::Feature) {
        let name = &header.names[column];
        if reading.categories.contains_key(name) {
            continue;
        }
        match (&kinds.text, kinds.not_finite) {
            _ if kinds.numbers => continue,
            (Some((text, line)), _) if kinds.commas => return Err(parse_error(path, *line, column + 1, advice(text, "", name))),
            (Some((text, line)), Some(other)) => {
                let shown: String = text.chars().take(40).collect();
                return Err(parse_error(
                    path,
                    *line,
                    column + 1,
                    format!(
                        "column `{name}` holds text (`{shown}` here); the `nan` in line {other} is no number among text; leave the column out \
                         with ignore = [{name:?}]"
                    ),
                ));
            }
            (None, Some(_)) => continue,
            _ => {}
        }
        *role = Role::Skip;
        ignored.push(name.clone());
    }
    Ok(ignored.len() > before)
}
