//! Views of several files joined to samples.

use super::view::{GROUP, ID, KEY_NAMES, LABEL, PART, View};
use super::{Schema, TableDataset, Target};
use super::{split::Part, text::parse_error};
use crate::error::{Error, Result};
use crate::modality::{Modalities, Presence, Subset};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
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

/// What reading found, view by view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewReport {
    /// Name of the modality.
    pub modality: String,
    /// Names of its features.
    pub features: Vec<String>,
    /// Samples that lack it in the file.
    pub absent: usize,
    /// Samples where it counts as missing because of a value that is not finite.
    pub non_finite: usize,
    /// Whether all samples that have it have the same values.
    pub constant: bool,
    /// Columns that were left out because they hold no numbers.
    pub ignored: Vec<String>,
}

/// Samples of joined files.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Joined {
    /// The samples.
    pub data: TableDataset,
    /// Id of each sample, if there is an id column.
    pub ids: Option<Vec<String>>,
    /// Group of each sample, if there is a group column.
    pub groups: Option<Vec<String>>,
    /// The fixed split, if there is a column of it.
    pub parts: Option<Vec<Part>>,
    /// What was found, modality by modality.
    pub report: Vec<ViewReport>,
}

/// Sample -> row of each view.
type RowMaps = Vec<Vec<Option<usize>>>;

/// Joins views to samples.
pub(super) fn join(views: Vec<View>, how: Join, allow_unmatched: bool) -> Result<Joined> {
    let modalities = Modalities::new(views.iter().map(|v| v.modality.clone()))?;
    let maps = match how {
        Join::Rows => by_rows(&views)?,
        Join::Id => by_id(&views, allow_unmatched)?,
    };
    let label_texts = key(&views, &maps, LABEL)?.ok_or_else(|| Error::Data("no file has a label column; name one with `label`".into()))?;
    let ids = key(&views, &maps, ID)?;
    let groups = key(&views, &maps, GROUP)?;
    let parts = match key(&views, &maps, PART)? {
        Some(texts) => Some(texts.iter().enumerate().map(|(s, t)| parse_part(&views, &maps, s, t)).collect::<Result<_>>()?),
        None => None,
    };
    let presence = presence(&views, &maps)?;
    let (classes, labels) = classes(&label_texts);
    if classes.len() == 1 {
        tracing::warn!(class = classes[0], "every sample has the same label");
    }

    let mut report = Vec::new();
    let mut inputs = Vec::new();
    let mut columns = Vec::new();
    for (m, (view, rows)) in views.into_iter().zip(&maps).enumerate() {
        let width = view.features.len();
        let having = presence.iter().filter(|s| s.contains(m)).count();
        if having == 0 {
            return Err(Error::Data(format!("modality `{}` ({}) is absent in every sample", view.modality, view.path.display())));
        }
        let values = if how == Join::Rows { view.values } else { gather(&view.values, width, rows) };
        let mut present = values.chunks_exact(width).zip(&presence).filter(|(_, s)| s.contains(m)).map(|(x, _)| x);
        let first = present.next().unwrap_or_default();
        let constant = having > 1 && present.all(|x| x == first);
        if constant {
            tracing::warn!(modality = view.modality, "the modality has the same values in every sample");
        }
        if view.non_finite > 0 {
            tracing::warn!(
                modality = view.modality,
                samples = view.non_finite,
                "values that are not finite: the modality counts as missing there"
            );
        }
        inputs.push(view.input);
        report.push(ViewReport {
            modality: view.modality,
            features: view.features,
            absent: presence.len() - having - view.non_finite,
            non_finite: view.non_finite,
            constant,
            ignored: view.ignored,
        });
        columns.push(values);
    }
    let schema = Schema::new(modalities, inputs, Target::Classes(classes))?;
    let data = TableDataset::new(schema, columns, Presence::new(presence), labels)?;
    Ok(Joined { data, ids, groups, parts, report })
}

fn by_rows(views: &[View]) -> Result<RowMaps> {
    let samples = views[0].lines.len();
    if let Some(other) = views.iter().find(|v| v.lines.len() != samples) {
        return Err(Error::Data(format!(
            "{} has {samples} rows, {} has {}; files joined by row need the same number, or join by an id column with join = \"id\"",
            views[0].path.display(),
            other.path.display(),
            other.lines.len()
        )));
    }
    Ok(vec![(0..samples).map(Some).collect(); views.len()])
}

fn by_id(views: &[View], allow_unmatched: bool) -> Result<RowMaps> {
    let mut order: Vec<&str> = Vec::new();
    let mut sample_of: HashMap<&str, usize> = HashMap::new();
    let mut row_of: Vec<HashMap<&str, usize>> = Vec::new();
    for view in views {
        let Some(ids) = &view.keys[ID] else {
            return Err(parse_error(&view.path, 1, 1, "files joined by id need an id column; name it with `id`"));
        };
        let mut rows = HashMap::new();
        let mut twice: BTreeMap<&str, usize> = BTreeMap::new();
        for (row, id) in ids.values.iter().enumerate() {
            if rows.insert(id.as_str(), row).is_some() {
                twice.entry(id).or_insert(row);
            }
            sample_of.entry(id).or_insert_with(|| {
                order.push(id);
                order.len() - 1
            });
        }
        if let Some(row) = twice.values().min() {
            let problem = format!("ids that appear twice: {}; an id is one sample", some(twice.keys().copied()));
            return Err(parse_error(&view.path, view.lines[*row], ids.column + 1, problem));
        }
        row_of.push(rows);
    }
    for (view, rows) in views.iter().zip(&row_of) {
        let lacking: Vec<&str> = order.iter().copied().filter(|id| !rows.contains_key(id)).collect();
        if !lacking.is_empty() && !allow_unmatched {
            return Err(Error::Data(format!(
                "{} lacks ids that other files have: {}; add them, or set allow_unmatched = true to take the modality as absent there",
                view.path.display(),
                some(lacking.into_iter())
            )));
        }
    }
    Ok(row_of.iter().map(|rows| order.iter().map(|id| rows.get(id).copied()).collect()).collect())
}

/// Up to five names, and how many more.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(5);
    let shown = names.take(5).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// The values of a key, one a sample; files that have it must agree.
fn key(views: &[View], maps: &RowMaps, key: usize) -> Result<Option<Vec<String>>> {
    let mut merged: Vec<Option<(String, &Path, usize)>> = vec![None; maps[0].len()];
    let mut found = false;
    for (view, rows) in views.iter().zip(maps) {
        let Some(column) = &view.keys[key] else { continue };
        found = true;
        for (known, row) in merged.iter_mut().zip(rows) {
            let Some(row) = *row else { continue };
            let (value, line) = (&column.values[row], view.lines[row]);
            match known {
                Some((first, path, first_line)) if first != value => {
                    let mut problem = format!("the {} is `{value}`, but `{first}` in {}:{first_line}", KEY_NAMES[key], path.display());
                    if key == ID {
                        problem += "; for files in another order use join = \"id\"";
                    }
                    return Err(parse_error(&view.path, line, column.column + 1, problem));
                }
                Some(_) => {}
                None => *known = Some((value.clone(), &view.path, line)),
            }
        }
    }
    if !found {
        return Ok(None);
    }
    let values = merged.into_iter().enumerate().map(|(sample, value)| match value {
        Some((value, ..)) => Ok(value),
        None => {
            let (view, row) = place(views, maps, sample);
            Err(parse_error(&view.path, view.lines[row], 1, format!("no file has the {} of this sample", KEY_NAMES[key])))
        }
    });
    values.collect::<Result<_>>().map(Some)
}

/// A view and row where the sample is (every sample is in one).
fn place<'a>(views: &'a [View], maps: &RowMaps, sample: usize) -> (&'a View, usize) {
    let found = views.iter().zip(maps).find_map(|(view, rows)| rows[sample].map(|row| (view, row)));
    found.unwrap_or((&views[0], 0))
}

fn parse_part(views: &[View], maps: &RowMaps, sample: usize, text: &str) -> Result<Part> {
    text.parse().map_err(|problem: String| {
        let found = views.iter().zip(maps).find_map(|(v, rows)| Some((v, rows[sample]?, v.keys[PART].as_ref()?.column)));
        let (view, row, column) = found.unwrap_or((&views[0], 0, 0));
        parse_error(&view.path, view.lines[row], column + 1, problem)
    })
}

fn presence(views: &[View], maps: &RowMaps) -> Result<Vec<Subset>> {
    let samples = maps[0].len();
    let subsets = (0..samples).map(|sample| {
        let has = |m: &usize| maps[*m][sample].is_some_and(|row| views[*m].present[row]);
        Subset::from_indices((0..views.len()).filter(has)).map_err(|_| {
            let (view, row) = place(views, maps, sample);
            let id = view.keys[ID].as_ref().map_or(String::new(), |ids| format!(" (id `{}`)", ids.values[row]));
            let problem = format!("sample {}{id} has no modality at all; leave it out of the files", sample + 1);
            parse_error(&view.path, view.lines[row], 1, problem)
        })
    });
    subsets.collect()
}

/// Class names in order (by number if all are integers), and the label of each sample.
fn classes(texts: &[String]) -> (Vec<String>, Vec<u32>) {
    let mut numbers: HashMap<&str, u32> = texts.iter().map(|t| (t.as_str(), 0)).collect();
    let mut names: Vec<&str> = numbers.keys().copied().collect();
    names.sort_unstable();
    if names.iter().all(|n| n.parse::<i64>().is_ok()) {
        names.sort_by_key(|n| n.parse::<i64>().unwrap_or_default());
    }
    for (label, name) in (0..).zip(&names) {
        numbers.insert(name, label);
    }
    let labels = texts.iter().map(|t| numbers[t.as_str()]).collect();
    (names.into_iter().map(String::from).collect(), labels)
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
