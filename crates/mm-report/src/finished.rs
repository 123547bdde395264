//! Finished cells in the folders of benches: `DIR/cells/*/result.json`.

use crate::Error;
use crate::result::CellResult;
use crate::roster::Roster;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What some folders hold.
#[derive(Debug, Default)]
pub struct Finished {
    /// The cells that are rows of a report, by data, run and seed in the order of their names.
    pub results: Vec<CellResult>,
    /// What a reader must know: older results that were left out.
    pub notes: Vec<String>,
}

/// The part of a cell's `spec.json` that matters here.
#[derive(Default, Deserialize)]
struct Spec {
    /// Only a teacher of other cells.
    #[serde(default)]
    hidden: bool,
}

/// Reads the finished cells of benches. Of several results of one data set, run and seed in one folder the newest counts, as a bench
/// whose program or plan changed leaves them; in two folders they are refused, unless their numbers are equal. Cells that a
/// folder's plan has and no folder holds are noted.
pub fn read(folders: &[PathBuf]) -> Result<Finished, Error> {
    let (mut finished, mut rosters) = (Finished::default(), Vec::new());
    for folder in folders {
        let mut cells = read_folder(folder)?;
        cells.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| finished_at(b).cmp(finished_at(a))));
        let all = cells.len();
        cells.dedup_by(|older, newest| place(older) == place(newest));
        if cells.len() < all {
            let left_out = all - cells.len();
            finished.notes.push(format!(
                "{}: {left_out} older results of the same data, run and seed were left out; they are of another program or plan.",
                folder.display()
            ));
        }
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
        if let Some(roster) = Roster::read(folder)? {
            rosters.push(roster);
        }
    }
    rosters.dedup();
    let keys: BTreeSet<&str> = finished.results.iter().map(|cell| cell.key.as_str()).collect();
    finished.notes.extend(rosters.iter().flat_map(|roster| roster.missing(|key| keys.contains(key))));
    Ok(finished)
}

/// Whether two results of a cell say the same, but for what a clock or a machine says.
pub fn same_numbers(a: &CellResult, b: &CellResult) -> bool {
    let lasting = |result: &CellResult| serde_json::to_value(CellResult { cost: None, provenance: None, ..result.clone() }).ok();
    lasting(a) == lasting(b)
}

fn place(cell: &CellResult) -> (&str, &str, u64) {
    (&cell.data, &cell.run, cell.seed)
}

fn finished_at(cell: &CellResult) -> &str {
    cell.provenance.as_ref().map_or("", |p| &p.finished_at)
}

fn read_folder(folder: &Path) -> Result<Vec<CellResult>, Error> {
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
        let spec = std::fs::read(cell.join("spec.json")).ok().and_then(|text| serde_json::from_slice::<Spec>(&text).ok());
        if spec.unwrap_or_default().hidden {
            continue;
        }
        let corrupt =
            |error: serde_json::Error| wrong(&path, format!("not the result of a cell ({error}); remove it and run the bench again"));
        let result: CellResult = serde_json::from_slice(&text).map_err(corrupt)?;
        results.push(CellResult { folder: Some(cell), ..result });
    }
    match results.is_empty() {
        true => Err(wrong(folder, "no cell of this bench has finished".into())),
        false => Ok(results),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
