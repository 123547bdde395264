//! Models of the Hugging Face Hub, from the cache that its tools share; with the feature `hub` also from the Hub itself.

use super::import::FILES;
use super::source::index_parts;
use crate::error::{Error, Result};
use std::path::{Component, Path, PathBuf};

/// The cache folder of the Hub's tools: `HF_HUB_CACHE`, `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub`, or in the home folder.
pub fn hub_cache() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HOME").unwrap_or_default().join(".cache");
    let tools = || folder("HF_HOME").unwrap_or_else(|| folder("XDG_CACHE_HOME").unwrap_or_else(home).join("huggingface"));
    folder("HF_HUB_CACHE").unwrap_or_else(|| tools().join("hub"))
}

/// `file` of the model `id` (`owner/name`, or `owner/name@revision`), in the state that its revision (`main` where none is named) had when
/// it was fetched into `cache`.
pub fn cached_model(cache: &Path, id: &str, file: &str) -> Result<PathBuf> {
    find_cached(cache, id, file)?.ok_or_else(|| absent(cache, id, file))
}

fn absent(cache: &Path, id: &str, file: &str) -> Error {
    let (model, revision) = split(id);
    let revision = if revision == MAIN { String::new() } else { format!(" --revision {revision}") };
    let fetch = format!("fetch it with `hf download {model} {file}{revision}`");
    Error::weights(id, format!("there is no `{file}`, or no such model, in the cache {}; {fetch}", cache.display()))
}

fn find_cached(cache: &Path, id: &str, file: &str) -> Result<Option<PathBuf>> {
    let (model, revision) = split(id);
    if !is_plain(revision) {
        return Err(Error::weights(id, format!("`{}` is no name of a revision", revision.escape_debug())));
    }
    let folder = cache.join(format!("models--{}", model.replace('/', "--")));
    // A commit has no file that says which it is.
    let commit = std::fs::read_to_string(folder.join("refs").join(revision)).unwrap_or_else(|_| revision.into());
    let path = folder.join("snapshots").join(commit.trim()).join(file);
    Ok(path.is_file().then_some(path))
}

/// The revision where none is named.
const MAIN: &str = "main";

/// Model and revision.
fn split(id: &str) -> (&str, &str) {
    id.split_once('@').unwrap_or((id, MAIN))
}

/// Whether these are names below a folder, and not a way out of it.
fn is_plain(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// `file` of the model `id` from the cache; with the feature `hub`, and unless `HF_HUB_OFFLINE` is set, fetched where it is
/// not there.
pub(super) fn model_file(id: &str, file: &str) -> Result<PathBuf> {
    find(id, file)?.ok_or_else(|| nowhere(id, file))
}

/// The file with the weights of the model `id`, as [`model_file`]; of an index, all files that it names are there then.
pub(super) fn model_weights(id: &str) -> Result<PathBuf> {
    // What is in the cache is asked of nobody.
    let first = |find: &dyn Fn(&str) -> Result<Option<PathBuf>>| FILES.into_iter().find_map(|file| find(file).transpose()).transpose();
    let cached = first(&|file| find_cached(&hub_cache(), id, file))?;
    let path = cached.map_or_else(|| first(&|file| find(id, file)), |path| Ok(Some(path)))?.ok_or_else(|| nowhere(id, FILES[0]))?;
    if path.to_string_lossy().ends_with("index.json") {
        for part in index_parts(&path)? {
            model_file(id, &part)?;
        }
    }
    Ok(path)
}

/// Looks a file up; `None` where the model does not have it.
fn find(id: &str, file: &str) -> Result<Option<PathBuf>> {
    #[cfg(feature = "hub")]
    if !offline() {
        return fetch(&hub_endpoint(), &hub_cache(), id, file);
    }
    find_cached(&hub_cache(), id, file)
}

#[cfg(feature = "hub")]
fn offline() -> bool {
    std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off"))
}

/// The error for a file that [`find`] did not find.
fn nowhere(id: &str, file: &str) -> Error {
    #[cfg(feature = "hub")]
    if !offline() {
        return unknown(&hub_endpoint(), id, file);
    }
    absent(&hub_cache(), id, file)
}

/// Address of the Hub: `HF_ENDPOINT`, or `https://huggingface.co`.
#[cfg(feature = "hub")]
pub fn hub_endpoint() -> String {
    std::env::var("HF_ENDPOINT").ok().filter(|value| !value.is_empty()).unwrap_or_else(|| "https://huggingface.co".into())
}

/// [`cached_model`], downloaded into `cache` from the Hub at `endpoint` (or a mirror of it) where it is not there.
///
/// The token of `HF_TOKEN`, or the one that `hf auth login` left beside the cache, goes with the request. A transfer that breaks
/// off is resumed; one that cannot be leaves no file that looks whole.
#[cfg(feature = "hub")]
pub fn fetch_model(endpoint: &str, cache: &Path, id: &str, file: &str) -> Result<PathBuf> {
    fetch(endpoint, cache, id, file)?.ok_or_else(|| unknown(endpoint, id, file))
}

#[cfg(feature = "hub")]
fn unknown(endpoint: &str, id: &str, file: &str) -> Error {
    let revision = if split(id).1 == MAIN { "" } else { ", or no such revision" };
    Error::weights(id, format!("`{file}` could not be fetched from {endpoint}: there is no such model or file{revision}"))
}

#[cfg(feature = "hub")]
fn fetch(endpoint: &str, cache: &Path, id: &str, file: &str) -> Result<Option<PathBuf>> {
    use hf_hub::api::sync::{ApiBuilder, ApiError};
    use hf_hub::{Cache, Repo, RepoType};
    if let Some(path) = find_cached(cache, id, file)? {
        return Ok(Some(path));
    }
    let endpoint = endpoint.trim_end_matches('/');
    let builder = ApiBuilder::from_cache(Cache::new(cache.to_path_buf())).with_endpoint(endpoint.into()).with_retries(3);
    let token = std::env::var("HF_TOKEN").ok().filter(|value| !value.is_empty());
    let builder = if token.is_some() { builder.with_token(token) } else { builder };
    let (model, revision) = split(id);
    let repo = Repo::with_revision(model.into(), RepoType::Model, revision.into());
    match builder.build().and_then(|hub| hub.repo(repo).download(file)) {
        Ok(path) => Ok(Some(path)),
        Err(ApiError::RequestError(error)) if matches!(*error, ureq::Error::StatusCode(404)) => Ok(None),
        Err(problem) => {
            let advice = advice(&problem);
            Err(Error::weights(id, format!("`{file}` could not be fetched from {endpoint}: {problem}; {advice}")))
        }
    }
}

#[cfg(feature = "hub")]
fn advice(problem: &hf_hub::api::sync::ApiError) -> &'static str {
    use hf_hub::api::sync::ApiError;
    match problem {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(401 | 403) => "there is no such model, or it asks for a token (HF_TOKEN) that may read it",
            _ => "is the address right (HF_ENDPOINT), and the network up?",
        },
        ApiError::InvalidResume => "delete the files that end in `.part` below the model's folder in the cache",
        _ => "try again later, or fetch it with `hf download`",
    }
}

/// Ends of the names of weights files, which models do not have.
const WEIGHTS: [&str; 5] = ["safetensors", "pth", "pt", "th", "bin"];

/// Whether a path that does not exist may be the id of a model: two plain names, and perhaps a revision.
pub(crate) fn is_model_id(path: &Path) -> bool {
    let Some(id) = path.to_str() else { return false };
    let model = Path::new(split(id).0);
    model.components().count() == 2
        && is_plain(split(id).0)
        && model.extension().is_none_or(|e| !WEIGHTS.iter().any(|extension| e == *extension))
}
