//! The card of a table of samples.

use super::column::{Column, ENDINGS, Holds, kind_of};
use super::long::steps_of_series;
use super::marked;
use super::panels::{Panel, panels};
use super::pixels::{FEW_CLASSES, MOST_CLASSES, of_maps};
use super::roles::{PARTS, Roles};
use super::sensor::{LOOKED_AT, Reading, Written, of_files};
use super::{COPY, Guess, name_of, named_from, quoted};
use crate::data::Part;
use crate::data::check::copied::Told;
use crate::data::check::findings::Verdict;
use crate::data::manifest::{Row, Table, TableStream};
use crate::data::names::some;
use crate::error::{Error, Result};
use crate::weights::folder_of;
use std::collections::BTreeSet;
use std::path::Path;

/// Guesses it.
pub(super) fn guess(path: &Path, beside: &Path) -> Result<Guess> {
    let table = Table::read(path)?;
    let of_commas = !table.is_typed && TableStream::open(path)?.delimiter() == Some(',');
    let columns: Vec<Column> = (0..table.columns.len()).map(|column| Column::of(&table, column, of_commas)).collect();
    refuse_sample_as_header(&table, &columns)?;
    refuse_odd_part(&table, &columns)?;
    let cell = |row: usize, column: usize| table.rows[row].cells[column].clone();
    let mut roles = Roles::of(&columns, table.rows.len()).without_cut_groups(&columns, cell, table.rows.len());
    let folder = path.parent().unwrap_or(Path::new(""));
    let files = |column: usize| readings(&table, folder, column).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let called = roles.label_maps(&columns);
    let (mut maps, mut refused) = (None, None);
    match called.map(|column| (column, of_maps(&files(column), MOST_CLASSES))) {
        Some((column, Ok(found))) => maps = Some((column, found)),
        Some((column, Err(why))) => refused = Some(format!("column `{}` is not taken for label maps: {why}", columns[column].name)),
        None => {}
    }
    if roles.label.is_none() && maps.is_none() {
        let images = (0..columns.len()).rev().filter(|&column| columns[column].holds == Holds::Files("image"));
        maps = images.filter_map(|column| Some((column, of_maps(&files(column), FEW_CLASSES).ok()?))).next();
    }
    roles.label = maps.as_ref().map(|(column, _)| *column).or(roles.label);
    let pixels = maps.map(|(_, pixels)| pixels);
    let Some(label) = roles.label else {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let what = "no column looks like the class of a sample";
        let problem = refused.map(|why| format!("{what}, and {why}")).unwrap_or_else(|| {
            format!("{what}: call it `label`; there are: {} (a label has two values or more, each of them often)", some(&names, 12))
        });
        return Err(Error::File { path: path.into(), problem });
    };
    let csv = !table.is_typed;
    let mut remarks = table.remarks();
    remarks.append(&mut roles.remarks);
    remarks.extend(refused);
    remarks.extend(roles.part.is_none().then(|| parts_beside(path)).flatten());
    remarks.extend(steps_of_series(path, &table, &columns, &roles));
    let mut sensors = sensors(path, &table, &columns, &roles, &mut remarks);
    let mut findings = marked::findings(&table, &columns, &roles);
    findings.retain(|finding| !sensors.iter().any(|sensor| sensor.name == name_of(&finding.about)));
    findings.append(&mut roles.findings);
    if let Some(maps) = &pixels {
        (sensors, remarks) = maps_only(sensors, remarks);
        for copy in copies(&table, folder, &columns, label, &maps.void) {
            sensors.retain(|sensor| sensor.name != name_of(copy));
            remarks.push(format!("column `{copy}` {COPY}"));
        }
    }
    let file = named_from(path, beside)?;
    let name = name_of(&path.file_stem().unwrap_or_default().to_string_lossy().replace(".csv", ""));
    let mut card = format!("# Guessed by `mm data check` from {} rows: look it over, and correct what is wrong.\n", table.rows.len());
    card += &format!("name = {}\n", quoted(&name));
    let key = |what: &str, column: Option<usize>, why: &str| {
        let named = column.filter(|&column| columns[column].name != what);
        named.map(|column| format!("{what} = {}{why}\n", quoted(columns[column].name))).unwrap_or_default()
    };
    let is_quantity = pixels.is_none() && columns[label].is_quantity();
    let classes = match &pixels {
        Some(_) => "  # label maps: a class for each pixel".into(),
        None if is_quantity => format!("  # {} different numbers: a quantity", columns[label].distinct),
        None => format!("  # {} classes", columns[label].distinct),
    };
    if is_quantity {
        card += &format!("task = \"numbers\"\ntargets = [{}]{classes}\n", quoted(columns[label].name));
    }
    let of_classes = roles.label.filter(|_| !is_quantity);
    // Vectors in files of their own are none of the table's numbers.
    let has_files = |sensor: &Written| columns.iter().any(|c| name_of(c.name) == sensor.name && matches!(c.holds, Holds::Files(_)));
    let of_files = sensors.iter().any(|sensor| sensor.kind != "vector" || has_files(sensor)) || !csv;
    if of_files {
        card += &format!("manifest = {}\n", quoted(&file));
        card += &key("label", of_classes, &classes);
        card += &key("part", roles.part, "");
        card += &key("group", roles.group, "  # samples of one group stay in one part");
        card += &key("id", roles.id, "");
        if columns[label].cells.len() < table.rows.len() {
            card += "missing_label = \"drop\"  # some rows have no label\n";
        }
        card += pixels.as_ref().map_or("", |maps| &maps.card);
        sensors.iter().for_each(|sensor| card += &sensor.toml());
        if sensors.is_empty() {
            return Err(no_sensor(path, &columns, &roles, csv, &findings));
        }
        return Ok(Guess { card, remarks, findings });
    }
    let categories: Vec<Option<Vec<&str>>> = columns.iter().map(Column::categories).collect();
    let is_read = |c: usize| (columns[c].is_numbers() || categories[c].is_some()) && !roles.has(c);
    let numbers: Vec<usize> = (0..columns.len()).filter(|&c| is_read(c)).collect();
    remarks.retain(|remark| !remark.contains(PLAIN) && !remark.contains(ODD));
    if numbers.is_empty() {
        return Err(no_sensor(path, &columns, &roles, csv, &findings));
    }
    remarks.extend(odd((0..columns.len())
        .filter(|&c| columns[c].is_odd() && !roles.has(c) && !is_read(c))
        .map(|c| columns[c].name)
        .collect()));
    let (words, _) = missing_words(&columns, &numbers, of_classes);
    let is_empty = |row: usize, column: usize| {
        let cell = &table.rows[row].cells[column];
        cell.is_empty() || !words.is_empty() && words.contains(&quoted(cell))
    };
    let panels = panels(&columns, &numbers, &name, table.rows.len(), &is_empty);
    let has_nothing = |row: usize| numbers.iter().all(|&column| is_empty(row, column));
    card += &numbers_toml(&columns, &roles, &numbers, (of_classes, &classes));
    if (0..table.rows.len()).any(has_nothing) {
        card += "no_reading = \"drop\"  # rows without any reading are left out\n";
    }
    if roles.label.is_some_and(|label| columns[label].cells.len() < table.rows.len()) {
        card += "missing_label = \"drop\"  # some rows have no label\n";
    }
    for Panel { name: sensor, columns: of, absent, partial } in panels {
        let names: Vec<String> = of.iter().map(|&column| quoted(columns[column].name)).collect();
        let seen = if absent > 0 {
            format!("  # absent in {absent} of {} rows: all its cells are empty", table.rows.len())
        } else {
            String::new()
        };
        card += &format!("\n[[view]]\nmodality = {}{seen}\nfile = {}\ncolumns = [{}]\n", quoted(&sensor), quoted(&file), names.join(", "));
        let words: Vec<String> =
            of.iter().filter_map(|&column| Some(words_toml(columns[column].name, categories[column].as_ref()?))).collect();
        if !words.is_empty() {
            card += &format!("categories = {{ {} }}  # words: take out what is not known before the class is\n", words.join(", "));
        }
        if partial > 0 {
            card += &format!(
                "partial = \"indicate\"  # some of its cells are empty in {partial} of {} rows, which keep the sensor: a column says what was measured\n",
                table.rows.len()
            );
        }
        let (words, are_classes) = missing_words(&columns, &of, of_classes);
        if are_classes {
            card += &format!("missing = [{}]  # cells that stand for no reading: take out those that say more\n", words.join(", "));
        }
    }
    Ok(Guess { card, remarks, findings })
}

/// The sensors that give maps, without sizes of their own; a network for pixels reads no others.
fn maps_only(sensors: Vec<Written>, mut remarks: Vec<String>) -> (Vec<Written>, Vec<String>) {
    let (maps, others): (Vec<Written>, Vec<Written>) =
        sensors.into_iter().partition(|sensor| ["image", "depth", "array"].contains(&sensor.kind));
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|sensor| sensor.name.as_str()).collect();
        remarks.push(format!("columns {} are left out: what predicts pixels reads images, depth maps and arrays", some(&names, 8)));
    }
    (maps.into_iter().map(Written::sized_by_maps).collect(), remarks)
}

/// The columns of images that show the label maps once more.
fn copies<'t>(table: &Table, folder: &Path, columns: &[Column<'t>], label: usize, void: &[u16]) -> Vec<&'t str> {
    let file = |row: &Row, at: usize| Some(&row.cells[at]).filter(|cell| !cell.is_empty()).map(|cell| folder.join(cell));
    let pairs = |at: usize| table.rows.iter().filter_map(|row| Some((file(row, label)?, file(row, at)?))).collect::<Vec<_>>();
    let images = (0..columns.len()).filter(|&at| at != label && columns[at].holds == Holds::Files("image"));
    images.filter(|&at| Told::of(&pairs(at), void).is_copy()).map(|at| columns[at].name).collect()
}

/// The first line names the columns; one that names a file is a sample.
fn refuse_sample_as_header(table: &Table, columns: &[Column]) -> Result<()> {
    let sample = |column: &Column| matches!(column.holds, Holds::Files(_)) && kind_of(column.name).is_some();
    match columns.iter().position(sample) {
        Some(at) => {
            let problem = format!(
                "`{}` is a file and no name of a column: write a line with the names of the columns above this one",
                columns[at].name
            );
            Err(table.error(1, at, problem))
        }
        None => Ok(()),
    }
}

/// A column that says the parts, but for some rows something else: to draw other parts would mix what the user keeps apart.
fn refuse_odd_part(table: &Table, columns: &[Column]) -> Result<()> {
    let is_part = |cell: &str| cell.parse::<Part>().is_ok();
    for (at, column) in columns.iter().enumerate().filter(|(_, column)| PARTS.contains(&column.key().as_str())) {
        let parts = column.cells.iter().filter(|cell| is_part(cell)).count();
        let odd = table.rows.iter().find(|row| !row.cells[at].is_empty() && !is_part(&row.cells[at]));
        if let Some(row) = odd.filter(|_| 2 * parts > column.cells.len()) {
            let problem = format!("`{}` is no part: use train, validation or test, or give the column another name", row.cells[at]);
            return Err(table.error(row.line, at, problem));
        }
    }
    Ok(())
}

/// Says so where a table is called as a part, and others beside it as other parts: `train.csv` and `test.csv`.
fn parts_beside(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let words = |name: &str| name.split(['_', '-', '.', ' ']).map(String::from).collect::<Vec<_>>();
    let ours = words(name);
    let at = ours.iter().position(|word| word.parse::<Part>().is_ok())?;
    let is_other = |other: &str| {
        let theirs = words(other);
        let differ: Vec<usize> = (0..ours.len()).filter(|&i| theirs.get(i) != Some(&ours[i])).collect();
        theirs.len() == ours.len() && differ == [at] && theirs[at].parse::<Part>().is_ok()
    };
    let entries = std::fs::read_dir(folder_of(path)).ok()?;
    let mut others: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| is_other(name)).collect();
    others.sort();
    let first = others.first()?;
    Some(format!("{name} may be one part, and {first} another: `mm data concat` puts tables of parts into one, with a column `part`"))
}

/// An error about a table without a sensor; numbers in typed tables are told from other columns by their names only.
fn no_sensor(path: &Path, columns: &[Column], roles: &Roles, csv: bool, findings: &[Verdict]) -> Error {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let numbers: Vec<&str> = (0..columns.len()).filter(|&c| columns[c].is_numbers() && !roles.has(c)).map(|c| columns[c].name).collect();
    let problem = match numbers.first().filter(|_| !csv) {
        Some(first) => format!(
            "its numbers belong to no sensor: {}; name the sensor before a point, as in `camera.{first}`, or save the table as CSV",
            some(&numbers, 8)
        ),
        None => format!("no column looks like a sensor (files, sentences, numbers); there are: {}", some(&names, 12)),
    };
    let unread: Vec<(&str, String)> = columns.iter().filter_map(|column| Some((column.name, column.unread_ending()?))).collect();
    let problem = if unread.is_empty() { problem } else { format!("{problem}; {}", not_read(&unread)) };
    let problem = findings.iter().fold(problem, |problem, finding| format!("{problem}; {}: {}", finding.found, finding.advice));
    Error::File { path: path.into(), problem }
}

/// Columns of files that are not read, each with an ending.
fn not_read(columns: &[(&str, String)]) -> String {
    let columns: Vec<String> = columns.iter().map(|(name, ending)| format!("`{name}` has files that end in .{ending}")).collect();
    let read: Vec<&str> = ENDINGS.iter().flat_map(|(_, endings)| *endings).copied().collect();
    format!("{}, and what is read ends in {}", some(&columns, 8), read.join(", "))
}

/// In a remark on numbers that are no sensor.
const PLAIN: &str = "hold numbers and are left out";

/// The sensors whose readings are files, sentences, or numbers under a common name.
fn sensors(path: &Path, table: &Table, columns: &[Column], roles: &Roles, remarks: &mut Vec<String>) -> Vec<Written> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut sensors: Vec<Written> = Vec::new();
    let (mut plain, mut odd, mut paths): (Vec<&str>, Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new(), Vec::new());
    let mut unread: Vec<(&str, String)> = Vec::new();
    for (at, column) in columns.iter().enumerate().filter(|(at, _)| !roles.has(*at)) {
        let name = name_of(column.name);
        let renamed = (name != column.name).then(|| column.name.to_string());
        let (stem, variable) = column.name.split_once('.').unwrap_or((column.name, ""));
        if column.name.is_empty() {
            remarks.push("a column without a name is left out: name it, if it is a sensor".into());
            continue;
        }
        let kind = match &column.holds {
            Holds::Files(kind) => Some(*kind),
            Holds::Text | Holds::Names | Holds::Marked if names_folders(folder, column) => Some("video"),
            _ => None,
        };
        if let Some(kind) = kind {
            let readings = readings(table, folder, at);
            sensors.push(of_files(&name, kind, renamed, &readings));
            continue;
        }
        if let Some(ending) = column.unread_ending() {
            unread.push((column.name, ending));
            continue;
        }
        match &column.holds {
            Holds::Text => sensors.push(Written { name, kind: "text", column: renamed, settings: String::new() }),
            // The place of a reading in its file.
            Holds::Numbers { .. } if ["start", "length", "end"].contains(&variable) && columns.iter().any(|c| c.name == stem) => {}
            Holds::Numbers { .. } if !variable.is_empty() => {
                let count = columns.iter().filter(|other| other.is_numbers() && other.name.starts_with(&format!("{stem}."))).count();
                if !sensors.iter().any(|sensor| sensor.kind == "vector" && sensor.name == name_of(stem)) {
                    let renamed = (name_of(stem) != stem).then(|| stem.to_string());
                    sensors.push(Written {
                        name: name_of(stem),
                        kind: "vector",
                        column: renamed,
                        settings: format!("features = {count}\n"),
                    });
                }
            }
            Holds::Numbers { .. } => plain.push(column.name),
            Holds::Names if column.is_of_files() => paths.push(column.name),
            // A finding says so.
            Holds::Marked => {}
            Holds::Names | Holds::Nothing | Holds::Files(_) => odd.push(column.name),
        }
    }
    if !plain.is_empty() {
        let advice = format!("to use them as a sensor, call them `place.{}` and so on", plain[0]);
        remarks.push(format!("columns {} {PLAIN}; {advice}", some(&plain, 8)));
    }
    if !paths.is_empty() {
        let advice = "write the names of files with their ending, such as photos/1.png";
        remarks
            .push(format!("columns {} are left out: they look like files, and there are none of these names; {advice}", some(&paths, 8)));
    }
    if !unread.is_empty() {
        remarks.push(format!("left out: {}", not_read(&unread)));
    }
    remarks.extend(self::odd(odd));
    sensors
}

/// In a remark on columns that are no sensor.
const ODD: &str = "they hold neither files, sentences nor numbers";

fn odd(columns: Vec<&str>) -> Option<String> {
    let advice = "where single words are readings, add a [[modality]] of kind \"text\", or in a table of numbers list them in `categories` of the view";
    (!columns.is_empty()).then(|| format!("columns {} are left out: {ODD}; {advice}", some(&columns, 8)))
}

/// The categories of a column, as a card has them.
fn words_toml(column: &str, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("{} = [{}]", quoted(column), words.join(", "))
}

/// The files that a column names, or the parts of them.
fn readings(table: &Table, folder: &Path, at: usize) -> Vec<Reading> {
    let number = |suffix: &str| table.column(&format!("{}.{suffix}", table.columns[at]));
    let (start, length) = (number("start"), number("length"));
    let reading = |row: &Row| -> Option<Reading> {
        let cell = Some(&row.cells[at]).filter(|cell| !cell.is_empty())?;
        let whole = |column: Option<usize>| column.and_then(|column| row.cells[column].trim_end_matches(".0").parse::<u64>().ok());
        let part = match (whole(start), whole(length)) {
            (from, Some(length)) => Some(from.unwrap_or(0)..from.unwrap_or(0).saturating_add(length)),
            (Some(from), None) => Some(from..u64::MAX),
            (None, None) => None,
        };
        Some((folder.join(cell), part))
    };
    table.rows.iter().filter_map(reading).collect()
}

/// Whether most cells name a folder: of frames of a video.
fn names_folders(folder: &Path, column: &Column) -> bool {
    let some = column.cells.iter().take(LOOKED_AT);
    2 * some.clone().filter(|cell| folder.join(cell).is_dir()).count() > some.len()
}

/// Label and the like of a table of numbers, and how it is written.
fn numbers_toml(columns: &[Column], roles: &Roles, numbers: &[usize], (of_classes, classes): (Option<usize>, &str)) -> String {
    let mut card = String::new();
    let mut key = |what: &str, column: Option<usize>, why: &str| {
        column.iter().for_each(|&column| card += &format!("{what} = {}{why}\n", quoted(columns[column].name)));
    };
    key("label", of_classes, classes);
    key("part", roles.part, "");
    key("group", roles.group, "  # samples of one group stay in one part");
    key("id", roles.id, "");
    let (words, are_classes) = missing_words(columns, numbers, of_classes);
    if numbers.iter().any(|&column| matches!(columns[column].holds, Holds::Numbers { comma: true, .. })) {
        card += "decimal = \",\"\n";
    }
    if !words.is_empty() && !are_classes {
        card += &format!("missing = [{}]  # cells that stand for no reading: take out those that say more\n", words.join(", "));
    }
    card
}

/// Words in these columns that stand for no number; whether one is a class as well, so that they are of the sensors alone.
fn missing_words(columns: &[Column], numbers: &[usize], of_classes: Option<usize>) -> (Vec<String>, bool) {
    let words = |column: &usize| match &columns[*column].holds {
        Holds::Numbers { missing, .. } => missing.clone(),
        _ => columns[*column].unknown().map(String::from).collect(),
    };
    // A number to a program, and no reading to who wrote it.
    let nan = |column: &usize| columns[*column].cells.iter().find(|cell| cell.eq_ignore_ascii_case("nan")).map(ToString::to_string);
    let words: BTreeSet<String> = numbers.iter().flat_map(words).chain(numbers.iter().filter_map(nan)).collect();
    let are_classes = of_classes.is_some_and(|label| columns[label].cells.iter().any(|cell| words.contains(*cell)));
    (words.iter().map(|word| quoted(word)).collect(), are_classes)
}
