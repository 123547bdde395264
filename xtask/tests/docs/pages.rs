//! The pages of the documentation and what is marked in them.

use std::path::{Path, PathBuf};

/// A page.
pub struct Page {
    /// Fenced blocks, in order.
    pub blocks: Vec<Block>,
    /// What stands between backticks elsewhere, with its place.
    pub spans: Vec<(String, String)>,
}

/// A fenced block.
pub struct Block {
    /// File and line.
    pub place: String,
    /// What stands behind the opening fence.
    pub info: String,
    /// Its lines.
    pub text: String,
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every page: the README, the book, the READMEs of the crates and of the golden values.
pub fn pages() -> Vec<Page> {
    let mut files = vec![root().join("README.md"), root().join("xtask/tests/golden/README.md")];
    collect(&root().join("docs/src"), &mut files);
    files.extend(std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path().join("README.md")));
    files.retain(|file| file.exists());
    assert!(files.len() > 20, "{files:?}");
    files.iter().map(|file| page(file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
}

fn page(file: &Path) -> Page {
    let text = std::fs::read_to_string(file).unwrap();
    let place = |line: usize| format!("{}:{}", file.strip_prefix(root()).unwrap().display(), line + 1);
    let mut page = Page { blocks: Vec::new(), spans: Vec::new() };
    let (mut block, mut prose, mut from) = (None::<Block>, String::new(), 0);
    for (number, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut block) {
            (Some(_), Some(_)) => page.blocks.extend(block.take()),
            (Some(info), None) => block = Some(Block { place: place(number), info: info.trim().into(), text: String::new() }),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            // A span may run over the end of a line, but not of a paragraph.
            (None, None) if line.trim().is_empty() => {
                page.spans.extend(spans(&prose).map(|span| (place(from), span)));
                (prose, from) = (String::new(), number + 1);
            }
            (None, None) => prose += &format!("{} ", line.trim()),
        }
    }
    page.spans.extend(spans(&prose).map(|span| (place(from), span)));
    assert!(block.is_none(), "{}: a block without an end", file.display());
    page
}

/// What stands between single backticks.
fn spans(prose: &str) -> impl Iterator<Item = String> {
    prose.split('`').skip(1).step_by(2).map(str::to_string)
}
