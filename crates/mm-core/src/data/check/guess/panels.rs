//! Which columns of numbers are a sensor: those of one name, and of the others those that are empty in the same rows.

use super::column::Column;
use super::name_of;

/// More sensors than that have more combinations than anyone looks at: empty cells are then gaps of one sensor.
const MOST: usize = 8;
/// A column that alone is empty in a smaller share of the rows has gaps, and is no sensor of its own.
const OFTEN: f64 = 0.1;
/// Columns are empty in the same rows where so large a share of these rows is common to them.
const ALIKE: f64 = 0.9;

/// A sensor.
pub(super) struct Panel {
    pub name: String,
    pub columns: Vec<usize>,
    /// In how many rows all of its cells are empty.
    pub absent: usize,
    /// In how many rows some are.
    pub partial: usize,
}

/// The sensors of these columns: what stands before the first point of their names, and of the others by `is_empty` of a row and column.
/// `all` is what a sensor is called whose columns have nothing in common.
pub(super) fn panels(columns: &[Column], numbers: &[usize], all: &str, rows: usize, is_empty: &dyn Fn(usize, usize) -> bool) -> Vec<Panel> {
    let mut named: Vec<(String, Vec<usize>)> = Vec::new();
    let mut plain = Vec::new();
    for &column in numbers {
        let Some((sensor, _)) = columns[column].name.split_once('.') else {
            plain.push(column);
            continue;
        };
        let name = name_of(sensor);
        match named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, of)) => of.push(column),
            None => named.push((name, vec![column])),
        }
    }
    let gaps = |column: usize| (0..rows).filter(|&row| is_empty(row, column)).collect::<Vec<usize>>();
    let mut whole: Vec<usize> = Vec::new();
    // Columns, and the rows in which the first of them is empty.
    let mut groups: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for &column in &plain {
        let gaps = gaps(column);
        match groups.iter_mut().find(|(_, known)| are_alike(known, &gaps)) {
            _ if gaps.is_empty() => whole.push(column),
            Some((of, _)) => of.push(column),
            None => groups.push((vec![column], gaps)),
        }
    }
    let is_sensor = |(of, gaps): &(Vec<usize>, Vec<usize>)| of.len() > 1 && gaps.len() > 1 || gaps.len() as f64 >= OFTEN * rows as f64;
    let (mut apart, strays): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_sensor);
    whole.extend(strays.into_iter().flat_map(|(of, _)| of));
    if apart.len() > MOST {
        whole.extend(apart.drain(..).flat_map(|(of, _)| of));
    }
    whole.sort_unstable();
    let alone = whole.is_empty() && apart.len() == 1 && named.is_empty();
    let taken: Vec<String> = named.iter().map(|(name, _)| name.clone()).chain([all.to_string()]).collect();
    let mut sensors: Vec<(String, Vec<usize>)> = Vec::new();
    if !whole.is_empty() {
        sensors.push((all.into(), whole));
    }
    for (of, _) in apart {
        let name = if alone { all.to_string() } else { common_name(columns, &of) };
        let is_taken = |name: &String| taken.contains(name) && !alone || sensors.iter().any(|(known, _)| known == name);
        let numbered = (2..).map(|k| format!("{name}_{k}"));
        let name = std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default();
        sensors.push((name, of));
    }
    let panel = |(name, of): (String, Vec<usize>)| {
        let empty = |row: usize| of.iter().filter(|&&column| is_empty(row, column)).count();
        let [mut absent, mut partial] = [0; 2];
        (0..rows).map(empty).for_each(|empty| {
            absent += usize::from(empty == of.len());
            partial += usize::from(empty > 0 && empty < of.len());
        });
        Panel { name, columns: of, absent, partial }
    };
    sensors.into_iter().chain(named).map(panel).collect()
}

/// Whether two lists of rows, in order, are nearly the same.
fn are_alike(a: &[usize], b: &[usize]) -> bool {
    let common = a.iter().filter(|row| b.binary_search(row).is_ok()).count();
    common as f64 >= ALIKE * (a.len() + b.len() - common) as f64
}

/// What the names of several columns begin with (`lab` of `lab_crp`, `lab_ldh`), or the first of them.
fn common_name(columns: &[Column], of: &[usize]) -> String {
    let first = columns[of[0]].name;
    let stems = first.match_indices(['_', '-', ' ']).map(|(at, _)| &first[..at]).filter(|stem| !stem.is_empty());
    let shared =
        |stem: &&str| of.iter().all(|&c| columns[c].name.strip_prefix(*stem).is_some_and(|rest| rest.starts_with(['_', '-', ' '])));
    name_of(stems.rev().find(shared).filter(|_| of.len() > 1).unwrap_or(first))
}
