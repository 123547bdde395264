//! Files joined to samples.

use super::ids::{FileReport, RowMaps, by_id, by_rows, file_reports, likeness};
use super::labels::{Labels, Unusable, alike_groups, hardly_classes, look_alikes, seen};
use super::names::{some, suggestion};
use super::read_as::{GROUP, ID, KEY_NAMES, LABEL, PART, WEIGHT};
use super::reader::{KeyColumn, Table};
use super::split::{Part, torn};
use super::table::TableTargets;
use super::text::parse_error;
use super::{DataError, Schema, TableDataset};
use crate::error::{Error, Result};
use crate::modality::{Modalities, Presence, Subset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// How the rows of several files belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Row `i` of every file is sample `i`.
    #[default]
    Rows,
    /// Rows with the same id are one sample, in the order of the first file.
    Id,
}

/// What reading found, modality by modality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewReport {
    /// Name of the modality.
    pub modality: String,
    /// Names of its features.
    pub features: Vec<String>,
    /// Samples that have no reading of it.
    pub absent: usize,
    /// Samples where it counts as missing because of a value that is not finite.
    pub non_finite: usize,
    /// Lines in which only some of its cells are empty: it counts as missing there, or such cells become the training mean.
    pub partial: usize,
    /// Whether all samples that have it have the same values.
    pub constant: bool,
    /// Columns that were left out because they hold no numbers or have no name.
    pub ignored: Vec<String>,
}

/// Samples of joined files.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Joined {
    /// The samples.
    pub data: TableDataset,
    /// By sample, the modalities that count as missing because of a value that is not finite: bit `m` is modality `m`.
    pub non_finite: Vec<u16>,
    /// What was found, modality by modality.
    pub report: Vec<ViewReport>,
    /// What was found, file by file.
    pub files: Vec<FileReport>,
    /// What to know about the data before using it, in words.
    pub remarks: Vec<String>,
}

/// How files become samples.
pub(super) struct Joining<'a> {
    pub how: Join,
    pub allow_unmatched: bool,
    pub labels: Labels<'a>,
    /// Columns of labels or numbers that are to be predicted; none where a class is.
    pub targets: &'a [String],
    /// The measure that heads the report.
    pub score: Option<&'a str>,
    /// What to do with a sample without any reading.
    pub no_reading: Unusable,
    /// The position of the label column, if the card gives it by position: in every file.
    pub label_position: Option<i64>,
}

/// Joins tables to samples.
pub(super) fn join(tables: Vec<Table>, joining: &Joining) -> Result<Joined> {
    let modalities = Modalities::new(tables.iter().filter_map(|t| t.modality.clone()))?;
    let mut remarks: Vec<String> =
        tables.iter().flat_map(|t| t.remarks.iter().map(|remark| format!("{}: {remark}", t.path.display()))).collect();
    remarks.dedup();
    let mut maps = match joining.how {
        Join::Rows => {
            refuse_other_order(&tables)?;
            by_rows(&tables)?
        }
        Join::Id => by_id(&tables, joining.allow_unmatched, &mut remarks)?,
    };
    let files = file_reports(&tables, &maps);
    let all = maps[0].len();
    let missing = joining.labels.missing;
    // By sample, the texts of what is to be predicted; `None` where there is nothing.
    let label_texts: Vec<Option<Vec<String>>> = match joining.targets.is_empty() {
        true => {
            let texts = key(&tables, &maps, LABEL, missing).map_err(|error| by_position(error, joining, &tables))?;
            texts.ok_or(DataError::NoLabelColumn)?.into_iter().map(|text| text.map(|text| vec![text])).collect()
        }
        false => target_texts(&tables, &maps, joining)?,
    };
    let presence = presence(&tables, &maps, joining.no_reading)?;
    let kept: Vec<usize> = (0..all).filter(|&s| label_texts[s].is_some() && presence[s].is_some()).collect();
    let unlabelled = label_texts.iter().filter(|l| l.is_none()).count();
    if unlabelled > 0 {
        let marks = if joining.labels.none.is_empty() { "" } else { "; cells of the card's `missing` count as none" };
        remarks.push(format!("{unlabelled} samples without a label are left out{marks}"));
    }
    if all - unlabelled > kept.len() {
        remarks.push(format!("{} samples without any reading are left out", all - unlabelled - kept.len()));
    }
    if kept.is_empty() {
        let is_labelled = |t: &&Table| t.keys[LABEL].is_some() || t.targets.iter().any(Option::is_some);
        let labelled = tables.iter().find(is_labelled).unwrap_or(&tables[0]);
        let (path, line) = (&labelled.path, labelled.header.line);
        return Err(parse_error(path, line, 1, "no sample has a label here and a reading in a file of a modality"));
    }
    if kept.len() < all {
        maps.iter_mut().for_each(|rows| *rows = kept.iter().map(|&s| rows[s]).collect());
    }
    let texts: Vec<&[String]> = kept.iter().filter_map(|&s| label_texts[s].as_deref()).collect();
    let presence: Vec<Subset> = kept.iter().filter_map(|&s| presence[s]).collect();
    let given = |key_number: usize| -> Result<Option<Vec<String>>> {
        Ok(key(&tables, &maps, key_number, Unusable::Error)?.map(|texts| texts.into_iter().flatten().collect()))
    };
    let (ids, groups) = (given(ID)?, given(GROUP)?);
    let parts: Option<Vec<Part>> = match given(PART)? {
        Some(texts) => Some(texts.iter().enumerate().map(|(s, t)| parse_part(&tables, &maps, s, t)).collect::<Result<_>>()?),
        None => None,
    };
    remarks.extend(groups.as_ref().and_then(|groups| alike_groups(groups.iter().map(String::as_str))));
    if let (Some(groups), Some(parts)) = (&groups, &parts) {
        no_group_in_two_parts(&tables, &maps, groups, parts)?;
    }
    // That they are numbers was checked where they were read.
    let weights = given(WEIGHT)?.map(|texts| texts.iter().map(|text| text.parse().unwrap_or(1.0)).collect::<Vec<f32>>());
    let (target, targets) = match joining.targets.is_empty() {
        true => {
            let texts: Vec<&str> = texts.iter().map(|texts| texts[0].as_str()).collect();
            let (classes, labels) = joining.labels.classes(&texts);
            check_classes(&tables, &maps, &classes, &labels, &joining.labels, &mut remarks)?;
            (joining.labels.task.target(classes)?, TableTargets::Classes(labels))
        }
        false => {
            let values = texts.iter().map(|texts| joining.labels.value(texts.iter().map(String::as_str)));
            (joining.labels.task.target(joining.targets.to_vec())?, TableTargets::Values(values.collect()))
        }
    };

    let gathered = joining.how == Join::Id || kept.len() < all;
    let non_finite = (0..kept.len()).map(|s| bits(&tables, &maps, s)).collect();
    let mut report = Vec::new();
    let mut inputs = Vec::new();
    let mut columns = Vec::new();
    let mut all_offsets = Vec::new();
    let mut indicators = Vec::new();
    for (m, (table, rows)) in tables.into_iter().zip(&maps).filter(|(t, _)| t.modality.is_some()).enumerate() {
        let (modality, width) = (table.modality.unwrap_or_default(), table.features.len());
        let having = presence.iter().filter(|s| s.contains(m)).count();
        if having == 0 {
            return Err(DataError::AbsentModality { modality, path: table.path }.into());
        }
        let values = if gathered { gather(&table.values, width, rows) } else { table.values };
        let mut present = values.chunks_exact(width).zip(&presence).filter(|(_, s)| s.contains(m)).map(|(x, _)| x);
        let first = present.next().unwrap_or_default();
        let constant = having > 1 && present.all(|x| x == first);
        if constant {
            remarks.push(format!("modality `{modality}` has the same values in every sample"));
        }
        let non_finite = rows.iter().flatten().filter(|&&row| table.non_finite[row]).count();
        if non_finite > 0 {
            remarks.push(format!("modality `{modality}` counts as missing in {non_finite} samples: values that are not finite"));
        }
        match (table.partial, table.indicators > 0) {
            (0, _) => {}
            (lines, true) => remarks.push(format!("modality `{modality}` has empty cells in {lines} lines: they become the training mean")),
            (lines, false) => {
                remarks.push(format!("modality `{modality}` counts as missing in {lines} lines: some of its cells are empty"))
            }
        }
        inputs.push(table.input);
        report.push(ViewReport {
            modality,
            features: table.features,
            absent: presence.len() - having - non_finite,
            non_finite,
            partial: table.partial,
            constant,
            ignored: table.ignored,
        });
        columns.push(values);
        all_offsets.push(table.offsets);
        indicators.push(table.indicators);
    }
    let schema = Schema::new(modalities, inputs, target)?.scored_by(joining.score)?;
    let data = TableDataset::with_offsets(schema, columns, all_offsets, indicators, Presence::new(presence), targets)?;
    let data = data.with_names(ids, groups, parts);
    let data = match weights {
        Some(weights) => data.with_weights(weights)?,
        None => data,
    };
    remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
    Ok(Joined { data, non_finite, report, files, remarks })
}

/// What is to be predicted of each sample, column by column; `None` where one of them says nothing.
fn target_texts(tables: &[Table], maps: &RowMaps, joining: &Joining) -> Result<Vec<Option<Vec<String>>>> {
    let mut rows: Vec<Option<Vec<String>>> = vec![Some(Vec::with_capacity(joining.targets.len())); maps[0].len()];
    for (target, name) in joining.targets.iter().enumerate() {
        let found = merged(tables, maps, Merged { key: LABEL, name, of: &|table| table.targets[target].as_ref() }, joining.labels.missing)?;
        let Some(texts) = found else {
            let near = suggestion(name, tables.iter().flat_map(|t| &t.header.names).map(String::as_str));
            let problem = format!("there is no column `{name}`, which is to be predicted, in any file; {near}");
            return Err(parse_error(&tables[0].path, tables[0].header.line, 1, problem));
        };
        for (row, text) in rows.iter_mut().zip(texts) {
            match (row.as_mut(), text) {
                (Some(row), Some(text)) => row.push(text),
                _ => *row = None,
            }
        }
    }
    Ok(rows)
}

/// A column that several files may have.
struct Merged<'m> {
    key: usize,
    /// What it is called.
    name: &'m str,
    of: &'m dyn Fn(&Table) -> Option<&KeyColumn>,
}

/// Refuses files that are joined line by line, though columns called as ids say that their rows are in another order.
fn refuse_other_order(tables: &[Table]) -> Result<()> {
    let sorted = |column: &KeyColumn| {
        let mut values = column.values.clone();
        values.sort_unstable();
        values
    };
    let mut with_ids = tables.iter().filter_map(|table| Some((table, table.unasked_id.as_ref()?)));
    let Some((first, ids)) = with_ids.next() else { return Ok(()) };
    let Some((other, column)) = with_ids.find(|(_, other)| other.values != ids.values && sorted(other) == sorted(ids)) else {
        return Ok(());
    };
    let problem = format!(
        "column `{}` holds the names of {} in another order, and the files are joined line by line: write id = {:?} and join = \"id\" in the card",
        other.header.names[column.column],
        first.path.display(),
        first.header.names[ids.column]
    );
    Err(parse_error(&other.path, other.header.line, column.column + 1, problem))
}

/// The values of a key, one a sample; files that have it must agree. A label may be missing, if such samples are dropped.
fn key(tables: &[Table], maps: &RowMaps, key: usize, missing: Unusable) -> Result<Option<Vec<Option<String>>>> {
    merged(tables, maps, Merged { key, name: KEY_NAMES[key], of: &|table| table.keys[key].as_ref() }, missing)
}

fn merged(tables: &[Table], maps: &RowMaps, Merged { key, name, of }: Merged, missing: Unusable) -> Result<Option<Vec<Option<String>>>> {
    let mut merged: Vec<Option<(&str, &Path, usize)>> = vec![None; maps[0].len()];
    let having: Vec<(&Table, &Vec<Option<usize>>)> = tables.iter().zip(maps).filter(|(t, _)| of(t).is_some()).collect();
    for &(table, rows) in &having {
        let Some(column) = of(table) else { continue };
        for (known, row) in merged.iter_mut().zip(rows) {
            let Some(row) = *row else { continue };
            let (value, line) = (column.values[row].as_str(), table.lines[row]);
            match known {
                Some((first, path, first_line)) if *first != value && !value.is_empty() => {
                    let mut problem = format!("the {name} is `{value}`, but `{first}` in {}:{first_line}", path.display());
                    if key == ID {
                        problem += "; for files in another order use join = \"id\"";
                    }
                    return Err(parse_error(&table.path, line, column.column + 1, problem));
                }
                Some(_) => {}
                None if value.is_empty() => {}
                None => *known = Some((value, &table.path, line)),
            }
        }
    }
    if having.is_empty() {
        return Ok(None);
    }
    if let (Some(sample), Unusable::Error) = (merged.iter().position(Option::is_none), missing) {
        return Err(without_key(tables, maps, (key, name), sample, &having));
    }
    Ok(Some(merged.into_iter().map(|value| value.map(|(text, ..)| text.to_string())).collect()))
}

/// Labels that disagree where the card names the label column by its position: that is meant for every file.
fn by_position(error: Error, joining: &Joining, tables: &[Table]) -> Error {
    let (Some(position), Error::Parse { path, line, column, problem }) = (joining.label_position, &error) else { return error };
    let columns: Vec<String> = tables
        .iter()
        .filter_map(|t| Some(format!("`{}` of {}", t.header.names[t.keys[LABEL].as_ref()?.column], t.path.display())))
        .collect();
    if columns.len() < 2 {
        return error;
    }
    let problem = format!(
        "{problem}; label = {position} in the card is meant for every file: {}; name the column instead (label = \"...\"), or write \
         `label` in the view that has it",
        columns.join(", ")
    );
    parse_error(path, *line, *column, problem)
}

/// The error for a sample that no file has the key of: its id, the files, and how it might match.
fn without_key(
    tables: &[Table],
    maps: &RowMaps,
    (key, name): (usize, &str),
    sample: usize,
    having: &[(&Table, &Vec<Option<usize>>)],
) -> Error {
    let (table, row) = place(tables, maps, sample);
    let files: Vec<String> = having.iter().map(|(t, _)| t.path.display().to_string()).collect();
    let files = files.join(", ");
    let Some(ids) = table.keys[ID].as_ref() else {
        return parse_error(&table.path, table.lines[row], 1, format!("{files} lacks the {name} of this sample"));
    };
    let id = ids.values[row].as_str();
    let known: Vec<&str> = having.iter().filter_map(|(t, _)| t.keys[ID].as_ref()).flat_map(|c| &c.values).map(String::as_str).collect();
    let mut problem = format!("no file has the {name} of the id `{id}`; those with a {name} are {files}");
    problem += &match likeness(&[id], &known) {
        Some(likeness) => format!("; {likeness}"),
        None if key == LABEL => "; add it, or write missing_label = \"drop\" in the card to leave such samples out".into(),
        None => "; add it".into(),
    };
    parse_error(&table.path, table.lines[row], ids.column + 1, problem)
}

/// A table and row where the sample is (every sample is in one).
fn place<'a>(tables: &'a [Table], maps: &RowMaps, sample: usize) -> (&'a Table, usize) {
    let found = tables.iter().zip(maps).find_map(|(table, rows)| rows[sample].map(|row| (table, row)));
    found.unwrap_or((&tables[0], 0))
}

/// File, line and column of a sample's key.
fn place_of_key<'a>(tables: &'a [Table], maps: &RowMaps, key: usize, sample: usize) -> (&'a Path, usize, usize) {
    let found = tables.iter().zip(maps).find_map(|(t, rows)| Some((t, rows[sample]?, t.keys[key].as_ref()?.column)));
    let (table, row, column) = found.unwrap_or((&tables[0], 0, 0));
    (&table.path, table.lines[row], column + 1)
}

fn parse_part(tables: &[Table], maps: &RowMaps, sample: usize, text: &str) -> Result<Part> {
    text.parse().map_err(|problem: String| {
        let (path, line, column) = place_of_key(tables, maps, PART, sample);
        parse_error(path, line, column, problem)
    })
}

/// A group (a person, a device) in training and in the test would let a model recognise it.
fn no_group_in_two_parts(tables: &[Table], maps: &RowMaps, groups: &[String], parts: &[Part]) -> Result<()> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (sample, group) in groups.iter().enumerate() {
        let known = *first.entry(group).or_insert(sample);
        if parts[known] != parts[sample] {
            let (path, line, column) = place_of_key(tables, maps, GROUP, sample);
            let (other, other_line, _) = place_of_key(tables, maps, GROUP, known);
            let problem = torn(group, parts[sample], parts[known], &format!("{}:{other_line}", other.display()));
            return Err(parse_error(path, line, column, problem));
        }
    }
    Ok(())
}

/// Refuses labels that are no classes, and says what looks like a mistake.
fn check_classes(
    tables: &[Table],
    maps: &RowMaps,
    classes: &[String],
    labels: &[u32],
    given: &Labels,
    remarks: &mut Vec<String>,
) -> Result<()> {
    let at = |problem: String| {
        let (path, line, column) = place_of_key(tables, maps, LABEL, 0);
        Err(parse_error(path, line, column, problem))
    };
    let mut counts = vec![0usize; classes.len()];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    let found: Vec<usize> = (0..classes.len()).filter(|&c| counts[c] > 0).collect();
    if let [only] = found[..] {
        return at(format!(
            "every sample has the label `{}`: there is nothing to tell apart; name the column of the classes",
            classes[only]
        ));
    }
    if given.classes.is_none()
        && let Some(problem) = hardly_classes(&labels.iter().map(|&label| classes[label as usize].as_str()).collect::<Vec<_>>())
    {
        return at(problem);
    }
    for same in look_alikes(classes.iter().map(String::as_str)) {
        let shown: Vec<String> = same.iter().map(|c| format!("`{}`", seen(c))).collect();
        remarks.push(format!("the labels {} are different classes; are they one? Then write them alike", shown.join(", ")));
    }
    for class in (0..classes.len()).filter(|&c| counts[c] == 0) {
        remarks.push(format!("no sample has the class `{}` that the card lists", classes[class]));
    }
    Ok(())
}

/// What each sample has; `None` where that is nothing and such samples are dropped.
fn presence(tables: &[Table], maps: &RowMaps, no_reading: Unusable) -> Result<Vec<Option<Subset>>> {
    let of_modality: Vec<(&Table, &Vec<Option<usize>>)> = tables.iter().zip(maps).filter(|(t, _)| t.modality.is_some()).collect();
    let has = |sample: usize, m: usize| of_modality[m].1[sample].is_some_and(|row| of_modality[m].0.present[row]);
    let subsets: Vec<Option<Subset>> =
        (0..maps[0].len()).map(|sample| Subset::from_indices((0..of_modality.len()).filter(|&m| has(sample, m))).ok()).collect();
    let empty: Vec<usize> = (0..subsets.len()).filter(|&s| subsets[s].is_none()).collect();
    match empty.first() {
        Some(&sample) if no_reading == Unusable::Error => {
            let names: Vec<String> = empty
                .iter()
                .map(|&s| {
                    let (table, row) = place(tables, maps, s);
                    table.keys[ID].as_ref().map_or_else(|| format!("line {}", table.lines[row]), |ids| format!("`{}`", ids.values[row]))
                })
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (table, row) = place(tables, maps, sample);
            let problem = format!(
                "{} samples have no reading at all: {}; take them out of the files, or write no_reading = \"drop\" in the card to leave them out",
                names.len(),
                some(&names, 40)
            );
            Err(parse_error(&table.path, table.lines[row], 1, problem))
        }
        _ => Ok(subsets),
    }
}

/// The modalities of a sample that are missing because of a value that is not finite.
fn bits(tables: &[Table], maps: &RowMaps, sample: usize) -> u16 {
    let of_modality = tables.iter().zip(maps).filter(|(t, _)| t.modality.is_some());
    of_modality.enumerate().fold(0, |bits, (m, (table, rows))| match rows[sample] {
        Some(row) if table.non_finite[row] => bits | 1 << m,
        _ => bits,
    })
}

fn gather(values: &[f32], width: usize, rows: &[Option<usize>]) -> Vec<f32> {
    let mut gathered = Vec::with_capacity(rows.len() * width);
    for row in rows {
        match row {
            Some(row) => gathered.extend_from_slice(&values[row * width..][..width]),
            None => gathered.resize(gathered.len() + width, 0.0),
        }
    }
    gathered
}
