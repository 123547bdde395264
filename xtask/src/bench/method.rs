//! The methods and baselines by name.

use super::cell::Resolved;
use anyhow::{Context, Result, bail};
use candle_core::Device;
use dmrnet::{Dmrnet, DmrnetConfig};
use mm_baselines::{DistillationConfig, Ensemble, Fusion, FusionConfig};
use mm_core::data::{Dataset, LoadedData, Schema, parse_table};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::nn::Parameters;
use mm_core::train::Method;
use mm_core::{Modalities, Presence, Subset, missing::MissingPattern};
use mmanet::{Mmanet, MmanetConfig};
use mod_distill::{ModDistill, ModDistillConfig};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use udml::{Udml, UdmlConfig};

/// A method of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodName {
    /// Trained on complete samples only.
    FullOnly,
    /// Trained with random combinations.
    ModalityDropout,
    /// Full-only training, training mean in place of absent sensors.
    MeanImputation,
    /// One network for each combination: an upper reference.
    PerCombination,
    /// Mean of unimodal predictions.
    LateFusion,
    /// Modality dropout with the softened predictions of a full-modality teacher.
    LogitDistillation,
    /// Static fusion trained with the same noise as `udml`.
    StaticFusionNoise,
    /// The mmanet crate.
    Mmanet,
    /// The udml crate.
    Udml,
    /// The dmrnet crate.
    Dmrnet,
    /// The mod-distill crate.
    ModDistill,
}

impl std::fmt::Display for MethodName {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => f.write_str(&name),
            _ => write!(f, "{self:?}"),
        }
    }
}

/// More networks than memory holds: ten sensors have 1023 combinations.
const MOST_NETWORKS: usize = 1024;

/// Options of the baselines.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BaselineOptions {
    network: NetworkConfig,
    /// Missing pattern of `modality-dropout` and `logit-distillation`.
    missing: Option<MissingPattern>,
    /// Combinations of `per-combination`; all by default.
    combinations: Option<Vec<String>>,
    /// Settings of `logit-distillation`.
    distillation: Option<DistillationConfig>,
}

fn options<T: DeserializeOwned>(resolved: &Resolved) -> Result<T> {
    Ok(parse_table("options", resolved.options.clone())?)
}

/// Refuses options that the method does not know.
pub fn check_options(resolved: &Resolved) -> Result<()> {
    match resolved.method {
        MethodName::Mmanet => Ok(options::<MmanetConfig>(resolved)?.validate()?),
        MethodName::Udml | MethodName::StaticFusionNoise => Ok(udml_config(resolved)?.validate()?),
        MethodName::Dmrnet => Ok(options::<DmrnetConfig>(resolved)?.validate()?),
        MethodName::ModDistill => Ok(options::<ModDistillConfig>(resolved)?.validate()?),
        _ => Ok(options::<BaselineOptions>(resolved)?.network.validate()?),
    }
}

/// Refuses data that the method cannot be trained on: too many sensors for `per-combination`, or `mod-distill` may need modalities that a
/// training sample lacks.
pub fn check_data(resolved: &Resolved, loaded: &LoadedData) -> Result<()> {
    members(resolved, loaded.data.schema())?;
    if resolved.method != MethodName::ModDistill {
        return Ok(());
    }
    let (config, modalities): (ModDistillConfig, _) = (options(resolved)?, &loaded.data.schema().modalities);
    // Names that the data does not have, and a teacher without modalities.
    config.teacher_subset(modalities)?;
    let rows = loaded.split_with(resolved.train_per_class, resolved.train.seed)?.train;
    let presence = Presence::new(rows.iter().map(|&row| loaded.data.presence(row)).collect());
    Ok(config.check_samples(modalities, &presence)?)
}

/// The modalities of each network that a method trains: most train one for all.
pub fn members(resolved: &Resolved, schema: &Schema) -> Result<Vec<Subset>> {
    let count = schema.modalities.len();
    match resolved.method {
        MethodName::LateFusion => Ok((0..count).map(Subset::single).collect()),
        MethodName::PerCombination => {
            let named = options::<BaselineOptions>(resolved)?.combinations;
            let wanted = named.as_ref().map_or((1 << count) - 1, Vec::len);
            if wanted > MOST_NETWORKS {
                bail!(
                    "`{}` trains a network for each of {wanted} combinations of {count} sensors, at most {MOST_NETWORKS} are possible; \
                     name those it is to train: options = {{ combinations = [\"{}\", \"full\"] }}",
                    resolved.method,
                    schema.modalities.names().join("\", \"")
                );
            }
            match named {
                Some(names) => distinct_combinations(&schema.modalities, &names).context("`options.combinations`"),
                None => Ok(Subset::all_non_empty(count).collect()),
            }
        }
        _ => Ok(vec![schema.modalities.full()]),
    }
}

/// Reads combinations; one that is named twice would count twice.
pub fn distinct_combinations(modalities: &Modalities, names: &[String]) -> Result<Vec<Subset>> {
    if names.is_empty() {
        bail!("the list is empty: name combinations, or leave it out to have all");
    }
    let mut subsets = Vec::with_capacity(names.len());
    for name in names {
        let subset = modalities.parse(name)?;
        if let Some(before) = subsets.iter().position(|s| *s == subset) {
            bail!("{:?} and {name:?} are the same combination: keep one", names[before]);
        }
        subsets.push(subset);
    }
    Ok(subsets)
}

/// The cell that trains the teacher this cell needs: full-only training of the same network.
pub fn teacher_of(resolved: &Resolved) -> Result<Option<Resolved>> {
    let network = match resolved.method {
        MethodName::Mmanet | MethodName::LogitDistillation | MethodName::ModDistill => resolved.options.get("network").cloned(),
        _ => return Ok(None),
    };
    let options = network.map(|network| ("network".to_string(), network)).into_iter().collect();
    Ok(Some(Resolved { method: MethodName::FullOnly, options, teacher: None, ..resolved.clone() }))
}

/// Options of `udml`, or of the same network with static weights.
fn udml_config(resolved: &Resolved) -> Result<UdmlConfig> {
    let defaults = match resolved.method {
        MethodName::StaticFusionNoise => UdmlConfig::static_fusion(),
        _ => UdmlConfig::default(),
    };
    let mut merged = toml::Table::try_from(defaults)?;
    merged.extend(resolved.options.clone());
    Ok(parse_table("options", merged)?)
}

/// Builds the untrained method. `teacher` holds the parameters of the teacher's cell.
pub fn build(resolved: &Resolved, schema: &Schema, device: &Device, teacher: Option<&std::path::Path>) -> Result<Box<dyn Method>> {
    let seed = resolved.train.seed;
    match resolved.method {
        MethodName::Mmanet => {
            let config: MmanetConfig = options(resolved)?;
            let teacher = load_teacher(&config.network, schema, device, teacher)?;
            Ok(Box::new(Mmanet::builder(schema.clone()).config(config).seed(seed).device(device).build_with_teacher(teacher)?))
        }
        MethodName::Udml | MethodName::StaticFusionNoise => {
            Ok(Box::new(Udml::builder(schema.clone()).config(udml_config(resolved)?).seed(seed).device(device).build()?))
        }
        MethodName::Dmrnet => Ok(Box::new(Dmrnet::builder(schema.clone()).config(options(resolved)?).seed(seed).device(device).build()?)),
        MethodName::ModDistill => {
            let config: ModDistillConfig = options(resolved)?;
            let teacher = load_teacher(&config.network, schema, device, teacher)?;
            Ok(Box::new(ModDistill::builder(schema.clone()).config(config).seed(seed).device(device).build_with_teacher(teacher)?))
        }
        _ => build_baseline(resolved, schema, device, teacher),
    }
}

fn build_baseline(resolved: &Resolved, schema: &Schema, device: &Device, teacher: Option<&std::path::Path>) -> Result<Box<dyn Method>> {
    let seed = resolved.train.seed;
    let options: BaselineOptions = options(resolved)?;
    let network = options.network;
    let fusion = |config: FusionConfig| FusionConfig {
        network: network.clone(),
        missing: options.missing.clone().unwrap_or(config.missing),
        ..config
    };
    Ok(match resolved.method {
        MethodName::FullOnly => Box::new(Fusion::new(fusion(FusionConfig::full_only()), schema, seed, device)?),
        MethodName::ModalityDropout => Box::new(Fusion::new(fusion(FusionConfig::modality_dropout()), schema, seed, device)?),
        MethodName::MeanImputation => Box::new(Fusion::new(fusion(FusionConfig::mean_imputation()), schema, seed, device)?),
        MethodName::LateFusion => Box::new(Ensemble::late_fusion(&network, schema, seed, device)?),
        MethodName::PerCombination => Box::new(Ensemble::per_combination(&network, schema, &members(resolved, schema)?, seed, device)?),
        MethodName::LogitDistillation => {
            let mut config = fusion(FusionConfig::logit_distillation());
            config.distillation = options.distillation.or(config.distillation);
            Box::new(Fusion::new(config, schema, seed, device)?.with_teacher(load_teacher(&network, schema, device, teacher)?))
        }
        other => bail!("`{other}` is no baseline"),
    })
}

fn load_teacher(network: &NetworkConfig, schema: &Schema, device: &Device, path: Option<&std::path::Path>) -> Result<FusionNetwork> {
    let path = path.context("the teacher's cell is missing")?;
    let parameters = Parameters::new(0, device);
    let teacher = FusionNetwork::new(network, schema, parameters.builder())?;
    parameters.load(path)?;
    Ok(teacher)
}
