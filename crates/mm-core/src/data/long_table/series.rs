//! Rows put together: by id, in the order of time, cut where the label changes.

use super::LongTable;
use super::read::Rows;
use crate::data::text::parse_error;
use crate::error::{Error, Result};
use std::path::Path;

/// The rows of one series, in order.
pub(super) struct Stretch {
    pub name: String,
    /// Which id its rows have.
    pub id: usize,
    pub rows: Vec<usize>,
    pub label: Option<usize>,
}

/// The series, and whether ids were cut.
pub(super) fn stretches(path: &Path, rows: &Rows, settings: &LongTable, remarks: &mut Vec<String>) -> Result<(Vec<Stretch>, bool)> {
    let mut by_id: Vec<Vec<usize>> = vec![Vec::new(); rows.ids.len()];
    rows.id.iter().enumerate().for_each(|(row, &id)| by_id[id].push(row));
    if let Some(time) = &rows.time {
        refuse_midnight(path, rows, &by_id, time, settings)?;
        by_id.iter_mut().for_each(|of| of.sort_by(|a, b| time[*a].total_cmp(&time[*b])));
        if settings.every.is_none() {
            refuse_twice(path, rows, &by_id, time, settings)?;
            remarks.extend(uneven(&by_id, time));
        }
    }
    let label = |row: usize| rows.label.as_ref().and_then(|labels| labels[row]);
    let changes = |of: &[usize]| {
        let mut labels = of.iter().filter_map(|&row| label(row));
        labels.next().is_some_and(|first| labels.any(|other| other != first))
    };
    let is_cut = by_id.iter().any(|of| changes(of));
    let (mut found, mut unlabelled) = (Vec::new(), 0);
    for (id, of) in by_id.into_iter().enumerate() {
        let before = found.len();
        if !is_cut {
            let label = of.iter().find_map(|&row| label(row));
            found.push(Stretch { name: rows.ids[id].clone(), id, rows: of, label });
            continue;
        }
        for stretch in of.chunk_by(|&a, &b| label(a) == label(b)) {
            match label(stretch[0]) {
                Some(label) => {
                    let name = format!("{}#{}", rows.ids[id], found.len() - before);
                    found.push(Stretch { name, id, rows: stretch.to_vec(), label: Some(label) });
                }
                None => unlabelled += stretch.len(),
            }
        }
    }
    if is_cut && 2 * found.len() > rows.lines.len() - unlabelled {
        let problem = "has a label that changes from row to row: name one that is the same in a series, or for long stretches of it";
        return Err(Error::File { path: path.into(), problem: problem.into() });
    }
    if unlabelled > 0 {
        remarks.push(format!("{unlabelled} rows without a label are left out, and the series end there"));
    }
    Ok((found, is_cut))
}

/// Times of day that go back by more than half a day: the next day has begun, and sorting would put it in front of the one before. Hours from
/// 24 on are counted from a beginning, and go back only where rows are out of order.
fn refuse_midnight(path: &Path, rows: &Rows, by_id: &[Vec<usize>], time: &[f64], settings: &LongTable) -> Result<()> {
    const DAY: f64 = 86_400.0;
    if !rows.is_clock || time.iter().any(|&time| time >= DAY) {
        return Ok(());
    }
    for (id, of) in by_id.iter().enumerate() {
        if let Some(pair) = of.windows(2).find(|pair| time[pair[0]] - time[pair[1]] > DAY / 2.0) {
            let problem = format!(
                "times without a date go past midnight in `{}` (line {} is later in the day): write the date, too, as in 2024-01-31 00:05, or \
                 count on, as in 24:05; where all rows are of one day, sort them by time",
                rows.ids[id], rows.lines[pair[0]]
            );
            return Err(parse_error(path, rows.lines[pair[1]], time_column(rows, settings), problem));
        }
    }
    Ok(())
}

/// The column of the time, from 1.
fn time_column(rows: &Rows, settings: &LongTable) -> usize {
    settings.time.as_ref().and_then(|name| rows.columns.iter().position(|column| column == name)).unwrap_or(0) + 1
}

/// Two rows of a series at one time: which comes first, nobody knows.
fn refuse_twice(path: &Path, rows: &Rows, by_id: &[Vec<usize>], time: &[f64], settings: &LongTable) -> Result<()> {
    for (id, of) in by_id.iter().enumerate() {
        if let Some(pair) = of.windows(2).find(|pair| time[pair[0]] == time[pair[1]]) {
            let (first, second) = (rows.lines[pair[0]], rows.lines[pair[1]]);
            let problem = format!(
                "series `{}` has another row at this time in line {first}; --every gives the length of a step, in which rows are averaged, and \
                 more columns in --id tell series apart",
                rows.ids[id]
            );
            return Err(parse_error(path, second, time_column(rows, settings), problem));
        }
    }
    Ok(())
}

/// That rows do not follow each other in equal times, where they do not.
fn uneven(by_id: &[Vec<usize>], time: &[f64]) -> Option<String> {
    let mut gaps: Vec<f64> = by_id.iter().flat_map(|of| of.windows(2).map(|pair| time[pair[1]] - time[pair[0]])).collect();
    gaps.sort_by(f64::total_cmp);
    let median = *gaps.get(gaps.len() / 2)?;
    let odd = gaps.iter().filter(|gap| (*gap - median).abs() > 0.05 * median).count();
    (100 * odd > gaps.len()).then(|| {
        let (least, most) = (gaps[0], gaps[gaps.len() - 1]);
        format!(
            "the rows of a series are {least} to {most} apart, half of them up to {median}: each is one step all the same; --every {median} puts \
             them on a grid of equal steps"
        )
    })
}
