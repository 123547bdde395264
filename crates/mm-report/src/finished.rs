//! Finished cells in the folders of benches: `DIR/cells/*/result.json`.

use crate::Error;
use crate::result::CellResult;
use crate::roster::Roster;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What some folders hold.
#[derive(Debug, Default)]
pub struct Finished {
    /// The cells that are rows of a report, in the order of the plan; without one by data, run and seed in the order of their names.
    pub results: Vec<CellResult>,
    /// What a reader must know: results that were left out, cells that are missing.
    pub notes: Vec<String>,
}

/// Reads the finished cells of benches: those of the plan that a folder was last run with, as it was then. Of a folder without a plan, which
/// older versions left, the newest of several results of one data set, run and seed counts. Results of one cell in two folders are
/// refused, unless their numbers are equal. Cells that a folder's plan has and no folder holds are noted.
pub fn read(folders: &[PathBuf]) -> Result<Finished, Error> {
    let (mut finished, mut rosters) = (Finished::default(), Vec::<Roster>::new());
    for folder in folders {
        let roster = Roster::read(folder)?;
        let (cells, left_out) = match &roster {
            Some(roster) => of_plan(read_folder(folder)?, roster),
            None => newest(read_folder(folder)?),
        };
        if cells.is_empty() {
            return Err(Error::Results { path: folder.clone(), problem: "no cell of this bench has finished".into() });
        }
        finished.notes.extend(left_out.map(|what| format!("{}: {what}", folder.display())));
        let mut equal = 0;
        for cell in cells {
            match finished.results.iter().find(|other| place(other) == place(&cell)) {
                // Two machines computed the same.
                Some(other) if other.key == cell.key && same_numbers(other, &cell) => equal += 1,
                Some(_) => {
                    let twice = format!("{} / {} / seed {}", cell.data, cell.run, cell.seed);
                    let problem = format!("its cell {twice} is in another of these folders, too, with other numbers; give one of them");
                    return Err(Error::Results { path: folder.clone(), problem });
                }
                None => finished.results.push(cell),
            }
        }
        if equal > 0 {
            finished.notes.push(format!("{}: {equal} of its cells were computed elsewhere, too, with equal numbers.", folder.display()));
        }
        rosters.extend(roster);
    }
    rosters.dedup();
    if let [roster] = &rosters[..] {
        let at = |cell: &CellResult| {
            roster.cells.iter().position(|listed| listed.key == cell.key && listed.run == cell.run && listed.data == cell.data)
        };
        finished.results.sort_by_cached_key(|cell| at(cell).unwrap_or(usize::MAX));
    }
    let keys: BTreeSet<&str> = finished.results.iter().map(|cell| cell.key.as_str()).collect();
    finished.notes.extend(rosters.iter().flat_map(|roster| roster.missing(|key| keys.contains(key))));
    Ok(finished)
}

/// Whether two results of a cell say the same, but for what a clock or a machine says.
pub fn same_numbers(a: &CellResult, b: &CellResult) -> bool {
    let lasting = |result: &CellResult| serde_json::to_value(CellResult { cost: None, provenance: None, ..result.clone() }).ok();
    lasting(a) == lasting(b)
}

/// The cells of a plan under the names that it has for them, and what to say of the others; before the first has finished, the newest.
fn of_plan(all: Vec<Found>, roster: &Roster) -> (Vec<CellResult>, Option<String>) {
    let rows = roster.cells.iter().filter(|listed| !listed.hidden);
    let named = rows.filter_map(|listed| {
        let found = all.iter().find(|found| found.cell.key == listed.key)?;
        Some(CellResult { data: listed.data.clone(), run: listed.run.clone(), ..found.cell.clone() })
    });
    let cells: Vec<CellResult> = named.collect();
    if cells.is_empty() {
        let note = format!("no cell of its plan `{}` has finished; shown are the newest results of others.", roster.plan);
        return (newest(all).0, Some(note));
    }
    let keys = roster.keys();
    let others = all.iter().filter(|found| !found.hidden && !keys.contains(found.cell.key.as_str())).count();
    let note =
        || format!("{others} results that are not of its plan `{}` were left out; they are of another program or plan.", roster.plan);
    (cells, (others > 0).then(note))
}

/// The newest result of each data set, run and seed, and what to say of the others.
fn newest(all: Vec<Found>) -> (Vec<CellResult>, Option<String>) {
    let mut cells: Vec<CellResult> = all.into_iter().filter(|found| !found.hidden).map(|found| found.cell).collect();
    let all = cells.len();
    cells.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| finished_at(b).cmp(finished_at(a))));
    cells.dedup_by(|older, newest| place(older) == place(newest));
    let left_out = all - cells.len();
    let note = || format!("{left_out} older results of the same data, run and seed were left out; they are of another program or plan.");
    (cells, (left_out > 0).then(note))
}

fn place(cell: &CellResult) -> (&str, &str, u64) {
    (&cell.data, &cell.run, cell.seed)
}

fn finished_at(cell: &CellResult) -> &str {
    cell.provenance.as_ref().map_or("", |p| &p.finished_at)
}

/// The result that a file in a cell's folder holds; refused where it is not that of the cell with this key and seed, or was changed.
pub fn parse(folder: &Path, text: &[u8], of: Option<(&str, u64)>) -> Result<CellResult, Error> {
    let wrong = |problem: String| Error::Results {
        path: folder.join("result.json"),
        problem: format!("{problem}; remove it and run the bench again"),
    };
    let result = CellResult::from_bytes(text).map_err(wrong)?;
    match of {
        Some((key, seed)) if key != result.key || seed != result.seed => {
            Err(wrong(format!("the result of the cell {} with seed {}, and not of {key} with seed {seed}", result.key, result.seed)))
        }
        _ => Ok(CellResult { folder: Some(folder.into()), ..result }),
    }
}

/// A finished cell, and whether it was computed as a teacher of other cells only.
struct Found {
    cell: CellResult,
    hidden: bool,
}

fn read_folder(folder: &Path) -> Result<Vec<Found>, Error> {
    let cells = folder.join("cells");
    let wrong = |path: &Path, problem: String| Error::Results { path: path.into(), problem };
    let entries = std::fs::read_dir(&cells).map_err(|error| wrong(&cells, format!("{error}; `--results` names the folder of a bench")))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<BTreeSet<PathBuf>>>();
    let mut results = Vec::new();
    for cell in paths.map_err(|error| wrong(&cells, error.to_string()))? {
        let path = cell.join("result.json");
        let text = match std::fs::read(&path) {
            // Not finished, or no cell.
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => continue,
            text => text.map_err(|error| wrong(&path, error.to_string()))?,
        };
        let spec = std::fs::read(cell.join("spec.json")).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let spec = spec.unwrap_or_default();
        let of = spec["key"].as_str().zip(spec["resolved"]["train"]["seed"].as_u64());
        let hidden = spec["hidden"].as_bool().unwrap_or_default();
        results.push(Found { cell: parse(&cell, &text, of)?.with_defined_scores(), hidden });
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::Listed;
    use crate::synthetic::Synthetic;

    /// A bench's folder with these cells.
    fn bench(cells: &[CellResult]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("folder");
        for cell in cells {
            let at = folder.path().join("cells").join(&cell.key);
            std::fs::create_dir_all(&at).expect("made");
            std::fs::write(at.join("result.json"), serde_json::to_vec(cell).expect("json")).expect("written");
        }
        folder
    }

    fn read_all(folders: &[&tempfile::TempDir]) -> Result<Finished, Error> {
        read(&folders.iter().map(|folder| folder.path().to_path_buf()).collect::<Vec<_>>())
    }

    #[test]
    fn the_newest_result_counts_and_teachers_are_no_rows() {
        let mut cells = Synthetic::small().results();
        let mut older = cells[0].clone();
        older.key = "older".into();
        older.provenance.as_mut().expect("made up").finished_at = "2025-01-01T00:00:00Z".into();
        cells.insert(0, older);
        let folder = bench(&cells);
        // A cell that has not finished, and a file of somebody.
        std::fs::create_dir_all(folder.path().join("cells/unfinished")).expect("made");
        std::fs::write(folder.path().join("cells/notes.txt"), "mine").expect("written");
        let finished = read_all(&[&folder]).expect("read");
        assert!(finished.results.len() == 4 && finished.results.iter().all(|cell| cell.key != "older"));
        assert!(finished.notes[0].contains("1 older results"), "{:?}", finished.notes);
        let teacher = folder.path().join("cells").join(&cells[1].key);
        std::fs::write(teacher.join("spec.json"), "{\"hidden\": true}").expect("written");
        assert_eq!(read_all(&[&folder]).expect("read").results.len(), 4, "the older result is the only one then");
    }

    /// A plan that was changed and changed back: the cells of the change are newer, and no rows.
    #[test]
    fn the_plan_that_ran_last_says_which_cells_are_rows() {
        let mut cells = Synthetic::small().results();
        let listed = |cell: &CellResult| Listed {
            key: cell.key.clone(),
            data: cell.data.clone(),
            run: cell.run.clone(),
            seed: cell.seed,
            hidden: false,
        };
        let mut plan: Vec<Listed> = cells.iter().rev().map(listed).collect();
        // The same cell under another name.
        plan.push(Listed { run: "again".into(), ..listed(&cells[0]) });
        let mut roster = Roster { plan: "tiny".into(), description: String::new(), failure: Default::default(), cells: plan };
        let mut changed = cells[0].clone();
        changed.key = "changed".into();
        changed.provenance.as_mut().expect("made up").finished_at = "2999-01-01T00:00:00Z".into();
        cells.push(changed);
        let folder = bench(&cells);
        roster.write(folder.path()).expect("written");
        let finished = read_all(&[&folder]).expect("read");
        let found: Vec<(&str, &str)> = finished.results.iter().map(|cell| (cell.key.as_str(), cell.run.as_str())).collect();
        assert_eq!(found, roster.cells.iter().map(|cell| (cell.key.as_str(), cell.run.as_str())).collect::<Vec<_>>());
        assert!(
            finished.notes.len() == 1 && finished.notes[0].contains("1 results that are not of its plan `tiny`"),
            "{:?}",
            finished.notes
        );
        // As long as nothing of it has finished, what there is.
        roster.cells.iter_mut().for_each(|cell| cell.key += "-new");
        roster.write(folder.path()).expect("written");
        let finished = read_all(&[&folder]).expect("read");
        assert!(finished.results.len() == 4 && finished.results.iter().any(|cell| cell.key == "changed"));
        assert!(finished.notes[0].contains("no cell of its plan `tiny` has finished; shown are the newest"), "{:?}", finished.notes);
    }

    #[test]
    fn a_result_that_was_changed_or_is_of_another_cell_is_refused() {
        let cells = Synthetic::small().results();
        let folder = bench(&cells);
        let cell = folder.path().join("cells").join(&cells[0].key);
        let write = |name: &str, bytes: &[u8]| std::fs::write(cell.join(name), bytes).expect("written");
        let read = || read_all(&[&folder]).map(|finished| finished.results.len()).map_err(|error| error.to_string());
        let bytes = cells[0].to_bytes().expect("json");
        write("result.json", &bytes);
        assert_eq!(read(), Ok(cells.len()));
        // However it is laid out.
        let mut value: Value = serde_json::from_slice(&bytes).expect("json");
        write("result.json", &serde_json::to_vec_pretty(&value).expect("json"));
        assert_eq!(read(), Ok(cells.len()));
        value["summary"]["mean"] = 0.987.into();
        write("result.json", value.to_string().as_bytes());
        assert!(read().expect_err("refused").contains("changed since the bench wrote it"));
        write("result.json", &cells[1].to_bytes().expect("json"));
        let spec = format!("{{\"key\": {:?}, \"resolved\": {{\"train\": {{\"seed\": {}}}}}}}", cells[0].key, cells[0].seed);
        write("spec.json", spec.as_bytes());
        let problem = read().expect_err("refused");
        assert!(problem.contains(&format!("and not of {} with seed {}", cells[0].key, cells[0].seed)), "{problem}");
    }

    #[test]
    fn what_cannot_be_reported_is_refused() {
        let cells = Synthetic::small().results();
        let mut other = cells[0].clone();
        other.combinations[0].metrics.score += 0.01;
        let (one, two, same) = (bench(&cells), bench(&[other]), bench(&cells[..1]));
        let refused = |folders: &[&tempfile::TempDir]| read_all(folders).map(|_| ()).expect_err("refused").to_string();
        assert!(refused(&[&one, &two]).contains("tiny / modality-dropout / seed 0 is in another of these folders"));
        let twice = read_all(&[&one, &same]).expect("equal numbers");
        assert!(twice.results.len() == cells.len() && twice.notes[0].contains("1 of its cells were computed elsewhere, too"));
        let empty = tempfile::tempdir().expect("folder");
        assert!(refused(&[&empty]).contains("names the folder of a bench"));
        std::fs::create_dir(empty.path().join("cells")).expect("made");
        assert!(refused(&[&empty]).contains("no cell of this bench has finished"));
        std::fs::write(one.path().join("cells").join(&cells[0].key).join("result.json"), "{").expect("written");
        assert!(refused(&[&one]).contains("not the result of a cell"));
    }
}
