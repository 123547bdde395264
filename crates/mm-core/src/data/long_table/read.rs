//! The rows of a long table, column by column: which are numbers, which are the same within a series.

use super::super::decimal_marks::{Thousands, in_thousands};
use super::super::far_values::FarValues;
use super::super::manifest::TableStream;
use super::super::number::{Cell, Numbers, fits, says_no_number};
use super::super::table_text::Writing;
use super::super::text::parse_error;
use super::LongTable;
use super::time::{CLOCK, form_of, time_of};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// A column of numbers may have one cell in so many that is none: a slip, which is an error.
const SLIPS: usize = 10;

/// A table, read once.
pub(super) struct Rows {
    pub columns: Vec<String>,
    /// Line of each row.
    pub lines: Vec<usize>,
    /// By id, in the order of the file.
    pub ids: Vec<String>,
    /// Which id each row has.
    pub id: Vec<usize>,
    pub time: Option<Vec<f64>>,
    /// Whether all times are hours and minutes, without a date.
    pub is_clock: bool,
    /// The label of each row, as a position in `labels`.
    pub label: Option<Vec<Option<usize>>>,
    pub labels: Vec<String>,
    /// By column.
    pub cells: Vec<Cells>,
    pub remarks: Vec<String>,
}

/// What a column holds.
pub(super) struct Cells {
    /// The numbers of all rows, NaN where there is none; empty where the column holds something else.
    pub values: Vec<f32>,
    /// The value of each id, where it never changes within one (empty cells do not count); empty otherwise.
    pub constant: Vec<Option<String>>,
    /// Tells columns apart that are empty in different rows.
    pub gaps: u64,
    /// The first cell that is no number, with its line.
    no_number: Option<(usize, String)>,
    thousands: Thousands,
    numbers: usize,
    others: usize,
    varies: bool,
    written_empty: usize,
}

impl Cells {
    fn new() -> Self {
        let (values, constant, thousands) = (Vec::new(), Vec::new(), Thousands::default());
        Self { values, constant, gaps: 0, no_number: None, thousands, numbers: 0, others: 0, varies: false, written_empty: 0 }
    }

    fn add(&mut self, row: usize, line: usize, id: usize, text: &str, numbers: &Numbers) {
        let is_word = says_no_number(text);
        self.written_empty += usize::from(is_word);
        let value = match numbers.read(text.as_bytes()) {
            _ if is_word => f32::NAN,
            Cell::Number(value) if fits(value) => {
                self.numbers += 1;
                self.thousands.see(text, line);
                value as f32
            }
            Cell::Number(_) | Cell::Empty => f32::NAN,
            Cell::Text => {
                self.others += 1;
                self.no_number.get_or_insert_with(|| (line, text.chars().take(40).collect()));
                f32::NAN
            }
        };
        self.values.push(value);
        if value.is_nan() {
            // Any mixing of the numbers of the rows will do.
            self.gaps = (self.gaps ^ row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
        }
        if text.is_empty() || is_word || self.varies {
            return;
        }
        self.constant.resize(self.constant.len().max(id + 1), None);
        match &self.constant[id] {
            None => self.constant[id] = Some(text.into()),
            Some(known) if known != text => (self.varies, self.constant) = (true, Vec::new()),
            Some(_) => {}
        }
    }

    /// Drops what the column does not hold; an error where a few cells of many are no numbers.
    fn settle(&mut self, path: &Path, column: usize, name: &str, ids: usize, decimal_comma: bool) -> Result<()> {
        if !self.varies {
            self.constant.resize(ids, None);
        }
        let Some((line, text)) = &self.no_number else { return Ok(()) };
        if self.varies && self.others * SLIPS <= self.numbers {
            let advice = match text.contains(',') && !decimal_comma {
                true if in_thousands(text, ',') => {
                    "leave the comma out if it stands between thousands, else write a point, or separate the columns by semicolons"
                }
                true => "write numbers with a point, or separate the columns by semicolons",
                false => "mend it, or name it with --missing where it stands for no value",
            };
            return Err(parse_error(path, *line, column + 1, format!("`{text}` in column `{name}` is no number: {advice}")));
        }
        self.values = Vec::new();
        Ok(())
    }

    /// Whether the column holds numbers that change within a series.
    pub fn is_channel(&self) -> bool {
        self.varies && !self.values.is_empty() && self.numbers > 0
    }

    fn far_values(&self) -> FarValues {
        let mut far = FarValues::default();
        self.values.iter().filter(|value| !value.is_nan()).for_each(|value| far.add(f64::from(*value)));
        far
    }

    /// Whether it holds something else that changes.
    pub fn is_text(&self) -> Option<&(usize, String)> {
        self.no_number.as_ref().filter(|_| self.varies && self.values.is_empty())
    }
}

/// Reads a table.
pub(super) fn read(path: &Path, settings: &LongTable) -> Result<Rows> {
    let mut stream = TableStream::open(path)?;
    let mut rows = Rows::empty(&stream.table.columns);
    rows.remarks = stream.table.remarks();
    let mut reader = Reader::new(path, &rows.columns, settings, stream.delimiter() == Some(';'))?;
    while let Some(row) = stream.next()? {
        reader.add(&mut rows, row.line, &row.cells)?;
    }
    if rows.lines.is_empty() {
        return Err(Error::File { path: path.into(), problem: "has no rows".into() });
    }
    let (ids, mut words) = (rows.ids.len(), 0);
    for (at, (name, cells)) in rows.columns.iter().zip(&mut rows.cells).enumerate() {
        let has_a_use = [reader.time, reader.label].contains(&Some(at)) || settings.ignore.contains(name);
        if has_a_use {
            *cells = Cells::new();
            continue;
        }
        cells.settle(path, at, name, ids, reader.decimal_comma)?;
        words += if cells.is_channel() { cells.written_empty } else { 0 };
    }
    let channels: Vec<(usize, &String, &Cells)> = rows
        .columns
        .iter()
        .zip(&rows.cells)
        .enumerate()
        .map(|(at, (name, cells))| (at, name, cells))
        .filter(|(.., cells)| cells.is_channel())
        .collect();
    let thousands = Thousands::remark(channels.iter().map(|(at, name, cells)| (*at, name.as_str(), &cells.thousands)));
    let far: Vec<(String, FarValues)> = channels.iter().map(|(_, name, cells)| (format!("`{name}`"), cells.far_values())).collect();
    let far = FarValues::in_words(far.iter().map(|(name, of)| (name.clone(), of)));
    rows.remarks.extend(thousands);
    rows.remarks.extend(far.map(|found| format!("{found}; where it stands for no value, name it with --missing")));
    if words > 0 {
        rows.remarks.push(format!("{words} cells say that there is no value (NA, nan and the like), and count as empty"));
    }
    if reader.decimal_comma {
        rows.remarks.push("a comma in a number is taken for the decimal point, as the columns are separated by semicolons".into());
    }
    Ok(rows)
}

impl Rows {
    fn empty(columns: &[String]) -> Self {
        Self {
            columns: columns.to_vec(),
            lines: Vec::new(),
            ids: Vec::new(),
            id: Vec::new(),
            time: None,
            is_clock: true,
            label: None,
            labels: Vec::new(),
            cells: columns.iter().map(|_| Cells::new()).collect(),
            remarks: Vec::new(),
        }
    }
}

/// Where the columns with a use are, and what was seen.
struct Reader<'a> {
    path: &'a Path,
    id: Vec<usize>,
    time: Option<usize>,
    label: Option<usize>,
    numbers: Numbers<'a>,
    decimal_comma: bool,
    ids: HashMap<String, usize>,
    labels: HashMap<String, usize>,
    /// How times are written, and in which line the first is.
    form: Option<(&'static str, usize)>,
}

impl<'a> Reader<'a> {
    fn new(path: &'a Path, columns: &[String], settings: &'a LongTable, decimal_comma: bool) -> Result<Self> {
        let wrong = |problem: String| Error::File { path: path.into(), problem };
        let find = |name: &String| {
            let none = || wrong(format!("has no column `{name}`; there are: {}", super::super::names::some(columns, 12)));
            columns.iter().position(|column| column == name).ok_or_else(none)
        };
        if settings.id.is_empty() {
            let problem =
                format!("which series a row is of says --id: name one column or more of {}", super::super::names::some(columns, 12));
            return Err(wrong(problem));
        }
        settings.ignore.iter().map(find).collect::<Result<Vec<_>>>()?;
        let writing = Writing { missing: &settings.missing, decimal_comma, ..Writing::default() };
        Ok(Self {
            path,
            id: settings.id.iter().map(find).collect::<Result<_>>()?,
            time: settings.time.as_ref().map(find).transpose()?,
            label: settings.label.as_ref().and_then(|label| columns.iter().position(|column| column == label)),
            numbers: Numbers::new(&writing),
            decimal_comma,
            ids: HashMap::new(),
            labels: HashMap::new(),
            form: None,
        })
    }

    fn add(&mut self, rows: &mut Rows, line: usize, cells: &[String]) -> Result<()> {
        let wrong = |at: usize, problem: String| Err(parse_error(self.path, line, at + 1, problem));
        if let Some(&at) = self.id.iter().find(|&&at| cells[at].is_empty()) {
            return wrong(at, format!("column `{}` is empty, so which series the row is of is not known", rows.columns[at]));
        }
        let id = self.id.iter().map(|&at| cells[at].as_str()).collect::<Vec<_>>().join("/");
        let next = rows.ids.len();
        let id = *self.ids.entry(id).or_insert_with_key(|id| {
            rows.ids.push(id.clone());
            next
        });
        if let Some(at) = self.time {
            let Some(time) = time_of(&cells[at], self.decimal_comma) else {
                let problem = format!("`{}` is no time: write a number, 2024-01-31 10:00:00 or 10:00", cells[at]);
                return wrong(at, problem);
            };
            let form = form_of(&cells[at]);
            let (first, of) = *self.form.get_or_insert((form, line));
            if form != first {
                return wrong(at, format!("`{}` is {form}, and line {of} has {first}: write all times in one way", cells[at]));
            }
            rows.is_clock = form == CLOCK;
            rows.time.get_or_insert_default().push(time);
        }
        if let Some(at) = self.label {
            let next = rows.labels.len();
            let label = Some(&cells[at]).filter(|text| !text.is_empty()).map(|text| {
                *self.labels.entry(text.clone()).or_insert_with(|| {
                    rows.labels.push(text.clone());
                    next
                })
            });
            rows.label.get_or_insert_default().push(label);
        }
        let row = rows.lines.len();
        rows.lines.push(line);
        rows.id.push(id);
        rows.cells.iter_mut().zip(cells).for_each(|(column, text)| column.add(row, line, id, text, &self.numbers));
        Ok(())
    }
}
