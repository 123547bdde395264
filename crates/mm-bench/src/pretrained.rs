//! Published weights in the options of a run: where they are, and that a result depends on what they hold.

use anyhow::{Context, Result};
use mm_core::encoder::EncoderConfig;
use mm_core::recipe::AnyRecipe;
use mm_core::weights::pretrained_hash;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The setting of an encoder.
const PRETRAINED: &str = "pretrained";

/// Completes the encoders of the options' network that begin with published weights: paths count from `folder`, and sizes come from the
/// checkpoint.
pub fn located(options: &mut Table, folder: &Path) -> Result<()> {
    let Some(Value::Table(network)) = options.get_mut("network") else { return Ok(()) };
    let mut encoders: Vec<(String, &mut Value)> = Vec::new();
    for (name, value) in network.iter_mut() {
        match (name.as_str(), value) {
            ("encoder", encoder) => encoders.push(("network.encoder".into(), encoder)),
            ("encoders", Value::Table(by_name)) => {
                encoders.extend(by_name.iter_mut().map(|(name, encoder)| (format!("network.encoders.{name}"), encoder)));
            }
            _ => {}
        }
    }
    for (field, encoder) in encoders {
        if encoder.get(PRETRAINED).is_some() {
            let config: EncoderConfig = encoder.clone().try_into().with_context(|| format!("`{field}`"))?;
            *encoder = Value::try_from(config.located(folder).with_context(|| format!("`{field}`"))?)?;
        }
    }
    Ok(())
}

/// The hashes of checkpoints, each computed once: runs and seeds share them.
#[derive(Default)]
pub struct Hashes(BTreeMap<String, String>);

impl Hashes {
    /// The hash of each checkpoint that a recipe's encoders begin with, by its place.
    pub fn of(&mut self, recipe: &dyn AnyRecipe) -> Result<BTreeMap<String, String>> {
        let mut hashes = BTreeMap::new();
        for source in recipe.network().pretrained_weights().map(|pretrained| &pretrained.from) {
            let hash = match self.0.get(source) {
                Some(hash) => hash.clone(),
                None => pretrained_hash(Path::new(source))?,
            };
            self.0.insert(source.clone(), hash.clone());
            hashes.insert(source.clone(), hash);
        }
        Ok(hashes)
    }
}

/// The options with the hash of each checkpoint in place of its path: where a file lies does not matter, what it holds does.
pub fn by_content(options: &Table, hashes: &BTreeMap<String, String>) -> Table {
    let replaced = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(path) if matches!(name.as_str(), PRETRAINED | "from") => Value::String(hashes.get(path).unwrap_or(path).clone()),
            Value::Table(table) => Value::Table(by_content(table, hashes)),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    options.iter().map(replaced).collect()
}
