//! Models of the Hugging Face Hub, from the cache that its tools share; with the feature `hub` also from the Hub itself.

use crate::error::{Error, Result};
use std::path::{Component, Path, PathBuf};

/// The cache folder of the Hub's tools: `HF_HUB_CACHE`, `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub`, or in the home folder.
pub fn hub_cache() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HOME").unwrap_or_default().join(".cache");
    let tools = || folder("HF_HOME").unwrap_or_else(|| folder("XDG_CACHE_HOME").unwrap_or_else(home).join("huggingface"));
    folder("HF_HUB_CACHE").unwrap_or_else(|| tools().join("hub"))
}

/// `file` of the model `id` (`owner/name`), in the revision that `main` had when it was fetched into `cache`.
pub fn cached_model(cache: &Path, id: &str, file: &str) -> Result<PathBuf> {
    let absent = || {
        let fetch = format!("fetch it with `hf download {id} {file}`");
        Error::weights(id, format!("there is no such file, nor such a model in the cache {}; {fetch}", cache.display()))
    };
    let folder = cache.join(format!("models--{}", id.replace('/', "--")));
    let revision = std::fs::read_to_string(folder.join("refs/main")).map_err(|_| absent())?;
    let path = folder.join("snapshots").join(revision.trim()).join(file);
    if path.is_file() { Ok(path) } else { Err(absent()) }
}

/// `file` of the model `id` from the cache; with the feature `hub`, and unless `HF_HUB_OFFLINE` is set, fetched where it is
/// not there.
pub(super) fn model_file(id: &str, file: &str) -> Result<PathBuf> {
    let cached = cached_model(&hub_cache(), id, file);
    #[cfg(feature = "hub")]
    if cached.is_err() && std::env::var_os("HF_HUB_OFFLINE").is_none_or(|value| value.is_empty() || value == "0") {
        return fetch(id, file).map_err(|e| Error::weights(id, format!("`{file}` could not be fetched from the Hub: {e}")));
    }
    cached
}

/// Downloads into the cache.
#[cfg(feature = "hub")]
fn fetch(id: &str, file: &str) -> hf_hub::HFResult<PathBuf> {
    let (owner, name) = hf_hub::split_id(id);
    hf_hub::HFClientSync::new()?.model(owner, name).download_file().filename(file).send()
}

/// Whether a path that does not exist may be the id of a model: two plain names.
pub(super) fn is_model_id(path: &Path) -> bool {
    let mut parts = path.components();
    let plain = |part: Option<Component>| matches!(part, Some(Component::Normal(_)));
    plain(parts.next()) && plain(parts.next()) && parts.next().is_none() && path.extension().is_none_or(|e| e != "safetensors")
}
