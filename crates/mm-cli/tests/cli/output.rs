//! The folder of results: nothing in it is replaced or removed but what a bench wrote.

use super::birds;
use super::program::{bench, mm, results, said};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn plan(folder: &Path, epochs: usize) -> PathBuf {
    let plan = format!(
        "name = \"p\"\nseeds = [0]\ndata = [{{ name = \"birds\", card = \"birds.toml\" }}]\n\
         train = {{ epochs = {epochs} }}\nruns = [{{ method = \"full-only\" }}]\n"
    );
    let first = birds::write(folder, 60, &plan);
    let path = folder.join(format!("plan-{epochs}.toml"));
    std::fs::rename(first, &path).unwrap();
    path
}

/// Runs a bench that succeeds; how many cells were new.
fn run(plan: &Path, out: &Path, more: &[&str]) -> String {
    let output = bench(plan, out).args(more).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    said.lines().last().and_then(|line| line.split_once(" cells new")).unwrap_or_else(|| panic!("{said}")).0.to_string()
}

/// Runs a bench that is refused with one line.
fn refused(plan: &Path, out: &Path, more: &[&str]) -> String {
    let output = bench(plan, out).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    said(&output)
}

/// Every file below a folder, with its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(tree(&path)),
            false => _ = files.insert(path.clone(), std::fs::read(&path).unwrap()),
        }
    }
    files
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_folder_of_other_files_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = plan(folder.path(), 2);
    write(folder.path().join("cells/scope1/microscope.tif"), "raw");
    let before = tree(folder.path());
    for resume in ["--resume=false", "--resume=true"] {
        let message = refused(&path, folder.path(), &[resume]);
        for part in ["holds files that no bench wrote", "`cells/scope1`", "`plan-2.toml`", "`song.csv`", "--out"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
    // A report without a bench's cells is somebody's own.
    let out = folder.path().join("out");
    write(out.join("report.md"), "mine");
    assert!(refused(&path, &out, &[]).contains("`report.md`"));
    std::fs::remove_file(out.join("report.md")).unwrap();
    assert_eq!(run(&path, &out, &[]), "1 of 1");
    assert_eq!(run(&path, &out, &[]), "0 of 1");
    std::fs::remove_dir_all(&out).unwrap();
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_report_put_into_a_bench_s_folder_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (plan(folder.path(), 2), folder.path().join("out"));
    // Of a bench that was interrupted before its report.
    write(out.join("bench.lock"), "");
    let report = write(out.join("report.html"), "mine");
    let message = refused(&path, &out, &["--resume=false"]);
    assert!(message.contains("report.html was not written by a bench"), "{message}");
    assert_eq!(std::fs::read(&report).unwrap(), b"mine");
    std::fs::remove_file(&report).unwrap();
    assert_eq!(run(&path, &out, &[]), "1 of 1");
    assert!(report.exists());
    // Nor among those of a bench that has written its own.
    std::fs::write(&report, "mine").unwrap();
    let message = refused(&path, &out, &[]);
    assert!(message.contains("report.html was not written by a bench") && std::fs::read(&report).unwrap() == b"mine", "{message}");
}

#[test]
fn a_result_that_is_cut_off_is_named_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out, other) = (plan(folder.path(), 2), folder.path().join("out"), folder.path().join("other"));
    assert_eq!(run(&path, &out, &[]), "1 of 1");
    let (result, bytes) = results(&out).into_iter().next().unwrap();
    std::fs::write(&result, &bytes[..bytes.len() / 2]).unwrap();
    let output = mm().args(["bench", "merge"]).arg(&out).arg("--out").arg(&other).output().unwrap();
    assert!(
        !output.status.success() && said(&output).contains(&format!("{}: not the result of a cell", result.display())),
        "{}",
        said(&output)
    );
    assert!(results(&other).is_empty());
}

#[test]
fn starting_all_over_removes_what_this_plan_wrote_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, out) = (plan(folder.path(), 2), plan(folder.path(), 3), folder.path().join("out"));
    assert_eq!(run(&one, &out, &[]), "1 of 1");
    let of_one = results(&out);
    assert_eq!(run(&two, &out, &[]), "1 of 1");
    let of_two = results(&out).into_keys().find(|path| !of_one.contains_key(path)).unwrap();
    let checkpoints = of_two.with_file_name("checkpoints");
    let mine = [
        write(out.join("cells/scope1/microscope.tif"), "raw"),
        write(of_two.with_file_name("notes.txt"), "mine"),
        write(of_two.with_file_name(".tmp-notes"), "mine"),
        write(checkpoints.join("epoch-notes/state.txt"), "mine"),
    ];
    let temporary = write(of_two.with_file_name(".tmpAb12Cd"), "");
    let leftover = write(checkpoints.join("epoch-000001/state.json"), "{}");

    assert_eq!(run(&two, &out, &["--resume=false"]), "1 of 1");
    assert!(mine.iter().all(|path| path.exists()) && !leftover.exists() && !temporary.exists());
    assert!(of_one.iter().all(|(path, bytes)| std::fs::read(path).unwrap() == *bytes), "the other plan's cell was touched");
    assert_eq!(run(&one, &out, &[]), "0 of 1");
    // Of a cell that was killed behind its result.
    write(leftover.clone(), "{}");
    assert_eq!(run(&two, &out, &[]), "0 of 1");
    assert!(mine.iter().all(|path| path.exists()) && !leftover.exists());
}

/// As where the disk of the log is full.
#[cfg(target_os = "linux")]
#[test]
fn a_cell_whose_error_cannot_be_written_says_so_by_its_exit_code() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(mm().args(["cell", "nowhere"]).stderr(full).status().unwrap().code(), Some(74));
}

#[test]
fn results_of_versions_without_a_marker_are_known_by_their_cells() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (plan(folder.path(), 2), folder.path().join("out"));
    assert_eq!(run(&path, &out, &[]), "1 of 1");
    let unmark = || ["bench.lock", "bench.json"].iter().for_each(|name| std::fs::remove_file(out.join(name)).unwrap());
    unmark();
    assert_eq!(run(&path, &out, &[]), "0 of 1");
    unmark();
    write(out.join("cells/0123456789abcdef/spec.json"), "{}");
    assert!(refused(&path, &out, &[]).contains("cells/0123456789abcdef"));
}

#[test]
fn no_threads_and_no_cells_side_by_side_are_refused() {
    for (option, value, expected) in [("--jobs", "0", "at least 1"), ("--threads", "0", "at least 1"), ("--jobs", "100000", "at most 1024")]
    {
        let output = mm().args(["bench", option, value]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(option) && said(&output).contains(expected), "{}", said(&output));
    }
}
