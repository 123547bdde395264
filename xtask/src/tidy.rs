//! `cargo xtask tidy`: house rules as a test.

use anyhow::{Context, Result};
use mm_bench::Registry;
use mm_core::data::{DatasetCard, FileCard};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Longest file, in lines.
const LONGEST_FILE: usize = 500;

/// Checks the tree this program was built from.
pub fn run() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    let mut problems = Vec::new();
    let mut sources = Vec::new();
    for folder in ["crates", "datasets", "xtask", "fuzz"] {
        collect(&root.join(folder), "rs", &mut sources)?;
    }
    for path in &sources {
        check_source(root, path, &mut problems)?;
    }
    check_tested(&sources, &mut problems)?;
    check_cards(root, &mut problems)?;
    check_layout(root, &mut problems)?;
    check_methods(root, &mut problems)?;
    for problem in &problems {
        println!("{problem}");
    }
    println!("{} files, {} problems", sources.len(), problems.len());
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All files below `folder` with an extension, `target` left out.
fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() && path.file_name().is_none_or(|n| n != "target") {
            collect(&path, extension, found)?;
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    Ok(())
}

fn check_source(root: &Path, path: &Path, problems: &mut Vec<String>) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        problems.push(format!("{name}: {lines} lines, at most {LONGEST_FILE}: one subject a file"));
    }
    let tests = ["/tests/", "/examples/", "/mm-testing/"].iter().any(|part| name.contains(part));
    let mut in_tests = false;
    // Put together, so that this file does not find itself.
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimpl", "emented!(")];
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        in_tests |= ["#[cfg(test)]", "#[cfg(all(test,"].iter().any(|tests| code.starts_with(tests));
        if unfinished.iter().any(|mark| line.contains(mark)) {
            problems.push(format!("{name}:{}: unfinished work", number + 1));
        }
        let panics = code.contains(concat!(".unw", "rap()")) && !code.starts_with("//");
        if panics && !tests && !in_tests {
            problems.push(format!("{name}:{}: unwrap outside tests", number + 1));
        }
    }
    Ok(())
}

/// No file has tests whose crate says that it has none: they would not run.
fn check_tested(sources: &[PathBuf], problems: &mut Vec<String>) -> Result<()> {
    for path in sources {
        let Some(source) = path.ancestors().find(|folder| folder.ends_with("src")) else { continue };
        let manifest = source.with_file_name("Cargo.toml");
        let untested = |text: String| text.contains("[lib]\ntest = false");
        if std::fs::read_to_string(manifest).is_ok_and(untested) && std::fs::read_to_string(path)?.contains(concat!("#[te", "st]")) {
            problems.push(format!("{}: the manifest has `test = false`: move the tests to tests/", path.display()));
        }
    }
    Ok(())
}

fn check_cards(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let mut cards = Vec::new();
    collect(&root.join("datasets"), "toml", &mut cards)?;
    cards.retain(|card| !card.ends_with("Cargo.toml"));
    for card in cards {
        let text = std::fs::read_to_string(&card).with_context(|| format!("reading {}", card.display()))?;
        let read = match FileCard::is_meant_by(&text) {
            true => FileCard::from_path(&card).map(drop),
            false => DatasetCard::from_path(&card).map(drop),
        };
        if let Err(error) = read {
            problems.push(format!("{}: {error}", card.display()));
        }
    }
    Ok(())
}

/// Every path in the code block of docs/src/layout.md exists, and every crate and module folder is named there.
fn check_layout(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let page = root.join("docs/src/layout.md");
    let text = std::fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    let block: Vec<&str> = text.split("```").nth(1).unwrap_or_default().lines().skip(1).collect();
    let listed: Vec<&str> = block.iter().filter_map(|line| line.split_whitespace().next()).collect();
    for path in &listed {
        if !root.join(path).exists() {
            problems.push(format!("docs/src/layout.md: `{path}` does not exist"));
        }
    }
    for folder in ["crates", "crates/mm-core/src", "xtask/src"] {
        for entry in std::fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() && !listed.contains(&path.as_str()) {
                problems.push(format!("docs/src/layout.md does not name `{path}`"));
            }
        }
    }
    Ok(())
}

/// The table of methods in docs/src/methods.md is that of the registry.
fn check_methods(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let page = root.join("docs/src/methods.md");
    let text = std::fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    let registry = Registry::default();
    let rows = registry.methods().iter().map(|method| format!("| `{}` | {} |\n", method.name(), method.summary()));
    let table = format!("| `method = ` | |\n|---|---|\n{}\n", rows.collect::<String>());
    if !text.contains(&table) {
        problems.push(format!("docs/src/methods.md should have this table of the methods:\n{table}"));
    }
    Ok(())
}
