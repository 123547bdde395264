//! Points and commas in numbers: decimal marks, or separators between thousands.

use super::names::some;
use super::table_text::cell;

/// Columns that a remark names.
const SHOWN: usize = 5;

/// Whether a text is a whole number with a mark between groups of three digits, as one sets thousands apart: `1,294`, `12.345.678`.
pub(super) fn in_thousands(text: &str, mark: char) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    let is_whole = digits.chars().all(|c| c.is_ascii_digit() || c == mark);
    digits.split_once(mark).is_some_and(|(first, others)| {
        is_whole && (1..=3).contains(&first.len()) && !first.starts_with('0') && others.split(mark).all(|group| group.len() == 3)
    })
}

/// Whether the marks in the numbers of a column stand between thousands.
#[derive(Clone, Default)]
pub(super) struct Thousands {
    /// The first number with such a mark, and its line.
    first: Option<(usize, String)>,
    /// A number shows that they do not.
    is_decimal: bool,
    /// Whether there are numbers without a mark.
    plain: bool,
    /// The smallest and the largest of these that has three digits.
    hundreds: Option<[u64; 2]>,
}

impl Thousands {
    /// A further number.
    pub fn see(&mut self, text: &str, line: usize) {
        if self.is_decimal {
            return;
        }
        let mark = text.chars().find(|c| [',', '.'].contains(c));
        match (mark, text.trim_start_matches(['-', '+']).parse::<u64>()) {
            (Some(mark), _) if in_thousands(text, mark) => _ = self.first.get_or_insert_with(|| (line, text.into())),
            (None, Ok(number @ 0..1000)) => {
                self.plain = true;
                if number >= 100 {
                    let [low, high] = self.hundreds.unwrap_or([number; 2]);
                    self.hundreds = Some([low.min(number), high.max(number)]);
                }
            }
            (None, Err(_)) => {}
            // Who sets thousands apart writes no `1234`, and no `0,125`.
            _ => self.is_decimal = true,
        }
    }

    /// Whether they may: all marks have three digits behind them, and numbers below 1000 have none.
    pub fn may_be(&self) -> bool {
        self.first.is_some() && !self.is_decimal && self.plain
    }

    /// A number where they hardly are anything else, and its line. Measurements of three decimals have no whole numbers of some hundreds
    /// beside them, but for a code such as 999.
    pub fn found(&self) -> Option<(usize, &str)> {
        let differ = self.hundreds.is_some_and(|[low, high]| low < high);
        self.first.as_ref().filter(|_| differ && self.may_be()).map(|(line, text)| (*line, text.as_str()))
    }

    /// A remark on columns that were read as decimal numbers.
    pub fn remark<'a>(columns: impl Iterator<Item = (usize, &'a str, &'a Self)>) -> Option<String> {
        let shown = |(at, name, of): (usize, &str, &Self)| {
            of.found().map(|(line, text)| format!("`{name}` (`{text}` in line {line}, column {})", at + 1))
        };
        let found: Vec<String> = columns.filter_map(shown).collect();
        (!found.is_empty()).then(|| {
            format!(
                "numbers of {} are read as decimal numbers, and look as if their marks stood between thousands: write them without",
                some(&found, SHOWN)
            )
        })
    }
}

/// The decimal marks of a table. With a decimal comma, a point may be a decimal point or stand between thousands: one column must not have both.
pub(super) struct DecimalMarks {
    /// Whether numbers may have a decimal comma.
    on: bool,
    /// Whether the column has had a comma, a point.
    seen: Vec<[bool; 2]>,
    thousands: Vec<Thousands>,
}

impl DecimalMarks {
    pub fn new(on: bool, columns: usize) -> Self {
        Self { on, seen: vec![[false; 2]; if on { columns } else { 0 }], thousands: vec![Thousands::default(); columns] }
    }

    /// A further number.
    pub fn see(&mut self, column: usize, field: &[u8], line: usize) -> std::result::Result<(), String> {
        self.thousands[column].see(cell(field), line);
        if !self.on {
            return Ok(());
        }
        let seen = &mut self.seen[column];
        seen[0] |= field.contains(&b',');
        seen[1] |= field.contains(&b'.');
        match seen {
            [true, true] => Err(format!(
                "`{}`: this column has numbers with a decimal comma and numbers with a point; write all alike, without separators between thousands",
                cell(field)
            )),
            _ => Ok(()),
        }
    }

    pub fn remarks(&self, names: &[String]) -> Vec<String> {
        let points: Vec<String> = (0..self.seen.len()).filter(|&c| self.seen[c][1]).map(|c| (c + 1).to_string()).collect();
        let points = (!points.is_empty())
            .then(|| format!("decimal = \",\", but the points of columns {} are read as decimal points", points.join(", ")));
        let columns = names.iter().zip(&self.thousands).enumerate().map(|(at, (name, of))| (at, name.as_str(), of));
        points.into_iter().chain(Thousands::remark(columns)).collect()
    }
}
