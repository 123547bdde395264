//! One and the same number in several rows, far from all others of its column: a code for no reading, such as -999.

use super::names::some;
use std::collections::HashSet;

/// Codes that are looked for at either end.
const CODES: usize = 2;
/// A code stands in as many rows.
const ROWS: usize = 3;
/// With fewer different numbers between its ends, a column may be one of classes or counts; fewer do beside numbers that are codes everywhere.
const DIFFERENT: usize = 8;
const DIFFERENT_OF_USUAL: usize = 3;
/// Numbers that grow by steps, such as doses, end far from the rest: another number has to be further away by this.
const FURTHER: f64 = 10.0;
/// Columns that are named.
const SHOWN: usize = 5;

/// The numbers of a column at its ends, zeros left out: where a thing is counted, most rows may have none.
#[derive(Default)]
pub(super) struct FarValues {
    rows: usize,
    /// The smallest numbers with how often they occur, the smallest first.
    low: Vec<(f64, usize)>,
    /// The largest, the largest first, with their sign turned.
    high: Vec<(f64, usize)>,
    different: HashSet<u64>,
}

impl FarValues {
    /// A further number.
    pub fn add(&mut self, value: f64) {
        self.rows += 1;
        if value == 0.0 || !value.is_finite() {
            return;
        }
        keep(&mut self.low, value);
        keep(&mut self.high, -value);
        if self.different.len() < DIFFERENT + 2 * CODES {
            self.different.insert(value.to_bits());
        }
    }

    /// Codes, each with how often it occurs: further from the next number than all others are from each other.
    pub fn codes(&self) -> Vec<(f64, usize)> {
        let mut ends: Vec<[usize; 2]> = (0..=CODES).flat_map(|low| (0..=CODES).map(move |high| [low, high])).collect();
        // All of them rather than some.
        ends.sort_by_key(|[low, high]| std::cmp::Reverse(low + high));
        let is_usual = |of: &[(f64, usize)], codes: usize| of[..codes].iter().all(|(value, _)| is_usual(*value));
        let is_code = |&[low, high]: &[usize; 2]| {
            let (Some((least, _)), Some((most, _))) = (self.low.get(low), self.high.get(high)) else { return false };
            let others = -most - least;
            let far = |of: &[(f64, usize)], codes: usize| {
                let [Some((next, _)), Some((code, _))] = [of.get(codes), of.get(codes.wrapping_sub(1))] else { return codes == 0 };
                // A sign that no other number has is as telling as nines.
                let by = if is_usual(of, codes) || *code < 0.0 && *next >= 0.0 { 1.0 } else { FURTHER };
                next - code > by * others
            };
            let often = |of: &[(f64, usize)], codes: usize| of[..codes].iter().all(|(_, count)| *count >= ROWS);
            let is_far = far(&self.low, low) && far(&self.high, high);
            low + high > 0 && others > 0.0 && is_far && often(&self.low, low) && often(&self.high, high)
        };
        let enough = |&[low, high]: &[usize; 2]| {
            let few = is_usual(&self.low, low) && is_usual(&self.high, high);
            self.different.len() >= low + high + if few { DIFFERENT_OF_USUAL } else { DIFFERENT }
        };
        let Some([low, high]) = ends.into_iter().find(is_code).filter(enough) else { return Vec::new() };
        self.low[..low].iter().copied().chain(self.high[..high].iter().map(|(value, count)| (-value, *count))).collect()
    }

    /// The codes of columns in words; `None` where there are none.
    pub fn in_words<'a>(columns: impl Iterator<Item = (String, &'a Self)>) -> Option<String> {
        let mut found = Vec::new();
        for (name, of) in columns {
            found.extend(of.codes().into_iter().map(|(value, count)| format!("{} of {name} in {count} of {} rows", shown(value), of.rows)));
        }
        (!found.is_empty()).then(|| {
            format!(
                "one and the same number in several rows, further from all others than these are from each other: {}",
                some(&found, SHOWN)
            )
        })
    }
}

/// Whether a number is written for none everywhere: nines, and the ends of whole numbers of 16 and 32 bits.
fn is_usual(value: f64) -> bool {
    let size = value.abs();
    let nines = (99.0..1e9).contains(&size) && size.fract() == 0.0 && (size as u64).to_string().bytes().all(|digit| digit == b'9');
    nines || [32767.0, 32768.0, 2147483647.0, 2147483648.0].contains(&size)
}

/// Counts a number where it is one of the smallest.
fn keep(smallest: &mut Vec<(f64, usize)>, value: f64) {
    let at = smallest.iter().position(|(known, _)| *known >= value).unwrap_or(smallest.len());
    match smallest.get_mut(at) {
        Some((known, count)) if *known == value => *count += 1,
        _ if at <= CODES => {
            smallest.insert(at, (value, 1));
            smallest.truncate(CODES + 1);
        }
        _ => {}
    }
}

/// A number with the digits that 32 bits have of it.
fn shown(value: f64) -> String {
    if value.abs() < 1e7 { format!("{}", value as f32) } else { format!("{value:.4e}") }
}
