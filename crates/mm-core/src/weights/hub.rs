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
    #[cfg(feature = "hub")]
    if std::env::var_os("HF_HUB_OFFLINE").is_none_or(|value| value.is_empty() || value == "0") {
        return fetch_model(&hub_endpoint(), &hub_cache(), id, file);
    }
    cached_model(&hub_cache(), id, file)
}

/// Address of the Hub: `HF_ENDPOINT`, or `https://huggingface.co`.
#[cfg(feature = "hub")]
pub fn hub_endpoint() -> String {
    std::env::var("HF_ENDPOINT").ok().filter(|value| !value.is_empty()).unwrap_or_else(|| "https://huggingface.co".into())
}

/// [`cached_model`], downloaded into `cache` from the Hub at `endpoint` (or a mirror of it) where it is not there.
///
/// The token of `HF_TOKEN`, or the one that `hf auth login` left beside the cache, goes with the request. A transfer that breaks
/// off is resumed.
#[cfg(feature = "hub")]
pub fn fetch_model(endpoint: &str, cache: &Path, id: &str, file: &str) -> Result<PathBuf> {
    use hf_hub::{Cache, api::sync::ApiBuilder};
    if let Ok(path) = cached_model(cache, id, file) {
        return Ok(path);
    }
    let endpoint = endpoint.trim_end_matches('/');
    let builder = ApiBuilder::from_cache(Cache::new(cache.to_path_buf())).with_endpoint(endpoint.into()).with_retries(3);
    let token = std::env::var("HF_TOKEN").ok().filter(|value| !value.is_empty());
    let builder = if token.is_some() { builder.with_token(token) } else { builder };
    builder.build().and_then(|hub| hub.model(id.into()).download(file)).map_err(|problem| {
        let advice = advice(&problem);
        Error::weights(id, format!("`{file}` could not be fetched from {endpoint}: {problem}; {advice}"))
    })
}

#[cfg(feature = "hub")]
fn advice(problem: &hf_hub::api::sync::ApiError) -> &'static str {
    use hf_hub::api::sync::ApiError;
    match problem {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(404) => "there is no such model or file",
            ureq::Error::StatusCode(401 | 403) => "there is no such model, or it asks for a token (HF_TOKEN) that may read it",
            _ => "is the address right (HF_ENDPOINT), and the network up?",
        },
        ApiError::InvalidResume => "delete the files that end in `.part` below the model's folder in the cache",
        _ => "try again later, or fetch it with `hf download`",
    }
}

/// Ends of the names of weights files, which models do not have.
const WEIGHTS: [&str; 5] = ["safetensors", "pth", "pt", "th", "bin"];

/// Whether a path that does not exist may be the id of a model: two plain names.
pub(super) fn is_model_id(path: &Path) -> bool {
    let mut parts = path.components();
    let plain = |part: Option<Component>| matches!(part, Some(Component::Normal(_)));
    plain(parts.next())
        && plain(parts.next())
        && parts.next().is_none()
        && path.extension().is_none_or(|e| !WEIGHTS.iter().any(|extension| e == *extension))
}
