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

impl MethodName {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::FullOnly,
        Self::ModalityDropout,
        Self::MeanImputation,
        Self::PerCombination,
        Self::LateFusion,
        Self::LogitDistillation,
        Self::StaticFusionNoise,
        Self::Mmanet,
        Self::Udml,
        Self::Dmrnet,
        Self::ModDistill,
    ];
}

/// More networks than memory holds: ten sensors have 1023 combinations.
const MOST_NETWORKS: usize = 1024;

/// Options of the baselines.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BaselineOptions {
    network: NetworkConfig,
    /// Missing pattern of the baselines that train one network.
    missing: Option<MissingPattern>,
    /// Combinations of `per-combination`; all by default.
    combinations: Option<Vec<String>>,
    /// Settings of `logit-distillation`.
    distillation: Option<DistillationConfig>,
}

impl BaselineOptions {
    /// Refuses options of other baselines, and settings that cannot work for any data.
    fn validate(&self, method: MethodName) -> Result<()> {
        let ensemble = matches!(method, MethodName::LateFusion | MethodName::PerCombination);
        let foreign = [
            ("missing", self.missing.is_some() && ensemble),
            ("combinations", self.combinations.is_some() && method != MethodName::PerCombination),
            ("distillation", self.distillation.is_some() && method != MethodName::LogitDistillation),
        ];
        match foreign.iter().find(|(_, foreign)| *foreign) {
            Some((option, _)) => bail!("`{method}` has no option `{option}`"),
            None => Ok(self.network.validate()?),
        }
    }

    /// Settings of the baselines that train one network.
    fn fusion(self, method: MethodName) -> Result<FusionConfig> {
        let config = match method {
            MethodName::FullOnly => FusionConfig::full_only(),
            MethodName::ModalityDropout => FusionConfig::modality_dropout(),
            MethodName::MeanImputation => FusionConfig::mean_imputation(),
            MethodName::LogitDistillation => FusionConfig::logit_distillation(),
            other => bail!("`{other}` is not one network"),
        };
        let missing = self.missing.unwrap_or(config.missing);
        Ok(FusionConfig { network: self.network, missing, distillation: self.distillation.or(config.distillation), ..config })
    }
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
        method => options::<BaselineOptions>(resolved)?.validate(method),
    }
}

/// Refuses data that the method cannot be trained on, before anything is trained: modalities that its options name and the data lacks, and
/// samples that lack what it needs.
pub fn check_data(resolved: &Resolved, loaded: &LoadedData) -> Result<()> {
    let (schema, modalities) = (loaded.data.schema(), &loaded.data.schema().modalities);
    let members = members(resolved, schema)?;
    let split = loaded.split_with(resolved.train_per_class, resolved.train.seed)?;
    let presence = |rows: &[usize]| Presence::new(rows.iter().map(|&row| loaded.data.presence(row)).collect());
    let (train, validation) = (presence(&split.train), presence(&split.validation));
    check_samples(resolved, modalities, &members, &train, &validation)
        .with_context(|| format!("`{}` cannot be trained on this", resolved.method))
}

fn check_samples(resolved: &Resolved, modalities: &Modalities, members: &[Subset], train: &Presence, validation: &Presence) -> Result<()> {
    if let Some(absent) = (0..modalities.len()).find(|&m| train.rows_with(m).is_empty()) {
        bail!("none of the {} training samples has `{}`; take the modality out of the card", train.len(), modalities.names()[absent]);
    }
    match resolved.method {
        MethodName::Mmanet => options::<MmanetConfig>(resolved)?.check_samples(modalities, train, validation)?,
        MethodName::Udml | MethodName::StaticFusionNoise => udml_config(resolved)?.missing.check_samples(train, modalities)?,
        MethodName::Dmrnet => options::<DmrnetConfig>(resolved)?.check_samples(modalities, train, validation)?,
        MethodName::ModDistill => options::<ModDistillConfig>(resolved)?.check_samples(modalities, train)?,
        MethodName::LateFusion | MethodName::PerCombination => Ensemble::check_training(modalities, members, train)?,
        method => options::<BaselineOptions>(resolved)?.fusion(method)?.check_samples(modalities, train)?,
    }
    Ok(())
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

/// The cell that trains the teacher this cell needs: full-only training of the same network, on the modalities that the teacher sees.
pub fn teacher_of(resolved: &Resolved, modalities: &Modalities) -> Result<Option<Resolved>> {
    let mut teacher = toml::Table::new();
    match resolved.method {
        MethodName::Mmanet | MethodName::LogitDistillation => {}
        MethodName::ModDistill => {
            let sees = options::<ModDistillConfig>(resolved)?.teacher_subset(modalities)?;
            if sees != modalities.full() {
                teacher.insert("missing".into(), toml::Value::try_from(MissingPattern::Fixed(modalities.format(sees)))?);
            }
        }
        _ => return Ok(None),
    }
    teacher.extend(resolved.options.get("network").map(|network| ("network".to_string(), network.clone())));
    Ok(Some(Resolved { method: MethodName::FullOnly, options: teacher, teacher: None, ..resolved.clone() }))
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
    Ok(match resolved.method {
        MethodName::LateFusion => Box::new(Ensemble::late_fusion(&options.network, schema, seed, device)?),
        MethodName::PerCombination => {
            Box::new(Ensemble::per_combination(&options.network, schema, &members(resolved, schema)?, seed, device)?)
        }
        method => {
            let config = options.fusion(method)?;
            let teacher = config.distillation.is_some().then(|| load_teacher(&config.network, schema, device, teacher)).transpose()?;
            let fusion = Fusion::new(config, schema, seed, device)?;
            Box::new(match teacher {
                Some(teacher) => fusion.with_teacher(teacher),
                None => fusion,
            })
        }
    })
}

fn load_teacher(network: &NetworkConfig, schema: &Schema, device: &Device, path: Option<&std::path::Path>) -> Result<FusionNetwork> {
    let path = path.context("the teacher's cell is missing")?;
    let parameters = Parameters::new(0, device);
    let teacher = FusionNetwork::new(network, schema, parameters.builder())?;
    parameters.load(path)?;
    Ok(teacher)
}
