//! What a program knows by name: methods, and encoders of its own.

use crate::cell::Resolved;
use crate::child;
use crate::dataset::{Dataset, hex};
use anyhow::{Context, Result, anyhow, bail};
use candle_core::Device;
use mm_core::data::{Schema, nearest};
use mm_core::encoder::{EncoderKind, FeatureCache};
use mm_core::recipe::{AnyRecipe, MethodSpec, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::Method;
use mm_core::{Modalities, Pipeline, Presence, Subset, missing::MissingPattern};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The method that trains teachers.
const TEACHER: &str = "full-only";

/// The methods that a program can run, by name.
#[derive(Clone)]
pub struct Registry {
    methods: Vec<MethodSpec>,
    /// Besides those that every program knows.
    encoders: Vec<EncoderKind>,
    /// Whether methods or encoders are a program's own.
    extended: bool,
    /// Of frozen encoders.
    features: Option<Arc<FeatureCache>>,
    /// Where models are built and loaded.
    device: Device,
}

impl Default for Registry {
    /// The baselines and the four methods.
    fn default() -> Self {
        let mut methods = Vec::from(mm_baselines::specs());
        methods.extend(udml::specs());
        methods.extend([mmanet::spec(), dmrnet::spec(), mod_distill::spec()]);
        Self { methods, encoders: Vec::new(), extended: false, features: None, device: Device::Cpu }
    }
}

impl Registry {
    /// Adds a method, or puts it in the place of the one of that name.
    pub fn with(mut self, method: MethodSpec) -> Self {
        self.methods.retain(|known| known.name() != method.name());
        self.methods.push(method);
        self.extended = true;
        self
    }

    /// Adds an encoder, by name: plans can then say `encoder = { kind = "name", .. }`.
    pub fn with_encoder(mut self, encoder: EncoderKind) -> Self {
        self.encoders.push(encoder);
        self.extended = true;
        self
    }

    /// Keeps the features of frozen encoders in `cache`.
    pub fn with_feature_cache(mut self, cache: FeatureCache) -> Self {
        self.features = Some(Arc::new(cache));
        self
    }

    /// Builds and loads models on `device`; without it on the CPU.
    pub fn on(mut self, device: &Device) -> Self {
        self.device = device.clone();
        self
    }

    /// Where models are built and loaded.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The methods that were added to those of [`Registry::default`].
    pub(crate) fn added(&self) -> impl Iterator<Item = &MethodSpec> {
        let ours = Self::default().methods;
        self.methods.iter().filter(move |method| ours.iter().all(|known| known.name() != method.name()))
    }

    /// What can change a result besides settings and data: the version of the numbers of this library, which every machine and every build
    /// of it shares; for a program with methods or encoders of its own the hash of its file, since nobody else knows when those change.
    pub fn computes(&self) -> String {
        static HASH: OnceLock<Option<String>> = OnceLock::new();
        let file = || child::program().and_then(|path| Ok(hex(&Sha256::digest(std::fs::read(path)?)))).ok();
        match self.extended.then(|| HASH.get_or_init(file).clone()).flatten() {
            Some(hash) => format!("program {hash}"),
            None => format!("numbers {}", mm_core::NUMBERS),
        }
    }

    /// The methods.
    pub fn methods(&self) -> &[MethodSpec] {
        &self.methods
    }

    /// The method of a name.
    pub fn method(&self, name: &str) -> Result<&MethodSpec> {
        let names = || self.methods.iter().map(MethodSpec::name);
        self.methods.iter().find(|method| method.name() == name).ok_or_else(|| {
            let near = nearest(name, names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_else(|| ".".into());
            anyhow!("no method is called `{name}`{near} There are: {}", names().collect::<Vec<_>>().join(", "))
        })
    }

    /// Loads a model that [`Pipeline::save_pretrained`] wrote, of any method.
    pub fn from_pretrained(&self, folder: impl AsRef<Path>) -> Result<Pipeline> {
        let mut families: Vec<&str> = self.methods.iter().map(MethodSpec::family).collect();
        families.dedup();
        let saved = |family: &str, settings: serde_json::Value| {
            let recipe = self.methods.iter().find(|method| method.family() == family).map(|method| method.saved(settings)).transpose()?;
            let resolved = recipe.map(|mut recipe| recipe.network_mut().resolve_encoders(&self.encoders).map(|()| recipe)).transpose();
            resolved.map_err(serde::de::Error::custom)
        };
        Ok(Pipeline::load(folder.as_ref(), &families, &saved, &self.device)?)
    }

    /// The recipe of a cell; refuses options that the method does not know, and values that cannot work.
    pub(crate) fn recipe(&self, resolved: &Resolved) -> Result<Box<dyn AnyRecipe>> {
        let mut recipe = self.method(&resolved.method)?.recipe(&resolved.options)?;
        recipe.network_mut().resolve_encoders(&self.encoders)?;
        if let Some(cache) = &self.features {
            recipe.network_mut().cache_features(cache);
        }
        recipe.validate()?;
        Ok(recipe)
    }

    /// The cell that trains the teacher that this cell needs: full-only training of the same network, on the modalities that the teacher
    /// sees.
    pub(crate) fn teacher_of(&self, resolved: &Resolved, recipe: &dyn AnyRecipe, modalities: &Modalities) -> Result<Option<Resolved>> {
        let Some(sees) = recipe.teacher_sees(modalities)? else { return Ok(None) };
        let mut options = toml::Table::new();
        if sees != modalities.full() {
            options.insert("missing".into(), toml::Value::try_from(MissingPattern::Fixed(modalities.format(sees)))?);
        }
        options.extend(resolved.options.get("network").map(|network| ("network".to_string(), network.clone())));
        Ok(Some(Resolved { method: TEACHER.into(), options, teacher: None, ..resolved.clone() }))
    }

    /// Builds the untrained method; `teacher` holds the parameters of the teacher's cell.
    pub fn build(&self, resolved: &Resolved, schema: &Schema, teacher: Option<&Path>) -> Result<Box<dyn Method>> {
        let recipe = self.recipe(resolved)?;
        let setup = Setup::new(schema).seed(resolved.train.seed).device(&self.device);
        let teacher: Option<Box<dyn Teacher>> = match recipe.teacher_sees(&schema.modalities)? {
            None => None,
            Some(_) => {
                let of_teacher = self.teacher_of(resolved, &*recipe, &schema.modalities)?.context("the teacher's settings are missing")?;
                let model = self.recipe(&of_teacher)?.model(&Setup::new(schema).for_loading().device(&self.device))?;
                model.parameters().load(teacher.context("the teacher's cell is missing")?)?;
                Some(Box::new(AnyTeacher(model)))
            }
        };
        Ok(recipe.method(&setup, teacher)?)
    }
}

/// A model of any type as a teacher.
struct AnyTeacher(Box<dyn mm_core::Model>);

impl Teacher for AnyTeacher {
    fn teach(&self, inputs: &mm_core::data::Inputs) -> mm_core::Result<mm_core::model::Output> {
        Ok(self.0.predict(inputs)?.detach())
    }
}

/// Refuses data that a method cannot be trained on, before anything is trained: modalities that its options name and the data lacks, and
/// samples that lack what it needs. `kept` is what samples keep where absence is simulated.
pub(crate) fn check_data(recipe: &dyn AnyRecipe, resolved: &Resolved, data: &Dataset, kept: Option<&Presence>) -> Result<()> {
    let modalities = &data.source.schema().modalities;
    let split = data.draw(resolved.training_samples(), resolved.train.seed)?;
    let of_row = |row: usize| kept.map_or_else(|| data.source.meta(row).presence, |kept| kept.subsets()[row]);
    let presence = |rows: &[usize]| Presence::new(rows.iter().map(|&row| of_row(row)).collect());
    let (train, validation) = (presence(&split.train), presence(&split.validation));
    let check = || -> Result<()> {
        if let Some(absent) = (0..modalities.len()).find(|&m| train.rows_with(m).is_empty()) {
            bail!("none of the {} training samples has `{}`; take the modality out of the card", train.len(), modalities.names()[absent]);
        }
        if !split.train.is_empty() && split.train.iter().all(|&row| data.source.meta(row).weight == 0.0) {
            bail!(
                "all {} training samples have the weight 0, and nothing would be learnt: correct the column of weights",
                split.train.len()
            );
        }
        if let (true, Some(field)) = (resolved.train_on_validation, resolved.train.needs_validation()) {
            bail!("`{field}` needs validation samples, and with `train_on_validation = true` none is left: take one of the two out");
        }
        resolved.train.check(&*data.source, &split.validation)?;
        // Its networks are made without weights, which takes no time: whether there can be such.
        recipe.model(&Setup::new(data.source.schema()).for_loading())?;
        Ok(recipe.check_samples(modalities, &train, &validation)?)
    };
    check().with_context(|| format!("`{}` cannot be trained on this", resolved.method))
}

/// Whether the encoders that a plan names are part of the networks; `None` where it names none.
pub(crate) fn uses_encoders(recipe: &dyn AnyRecipe, resolved: &Resolved, schema: &Schema) -> Option<bool> {
    let network = resolved.options.get("network")?.as_table()?;
    let named = network.contains_key("encoder") || network.contains_key("encoders");
    named.then(|| !schema.target.is_dense() || recipe.dense_has_encoders())
}

/// Says that encoders are named for nothing.
pub(crate) const UNUSED_ENCODERS: &str = "`encoder` and `encoders` of the network change nothing: where every pixel has a class, networks have \
                                          encoders of their own; for pixels write [network.dense]";

/// Combinations by name, as a plan lists them.
pub(crate) fn distinct_combinations(modalities: &Modalities, names: &[String]) -> Result<Vec<Subset>> {
    Ok(modalities.parse_distinct(names)?)
}
