//! Methods as settings: a [`Recipe`] becomes a method once the data are known, and a [`MethodSpec`] is a recipe by name.

use crate::data::{Schema, parse_table};
use crate::error::{Error, Result};
use crate::fusion::NetworkConfig;
use crate::modality::{Modalities, Presence, Subset};
use crate::model::Model;
use crate::nn::Parameters;
use crate::teacher::Teacher;
use crate::train::Method;
use candle_core::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Where and for what a model is built.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    schema: &'a Schema,
    /// `None`: the weights are about to be loaded.
    seed: Option<u64>,
    device: Device,
}

impl<'a> Setup<'a> {
    /// For data of this schema: seed 0, on the CPU.
    pub fn new(schema: &'a Schema) -> Self {
        Self { schema, seed: Some(0), device: Device::Cpu }
    }

    /// Seed of the initial weights and of what is drawn once for a run.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Draws no initial weights: they are about to be loaded.
    pub fn for_loading(self) -> Self {
        Self { seed: None, ..self }
    }

    /// Device of the weights.
    pub fn device(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }

    /// What samples hold.
    pub fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// The seed; 0 where weights are loaded.
    pub fn seed_value(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// An empty store of parameters.
    pub fn parameters(&self) -> Parameters {
        match self.seed {
            Some(seed) => Parameters::new(seed, &self.device),
            None => Parameters::for_loading(&self.device),
        }
    }
}

/// The settings of a method, as a plan or a saved model holds them.
pub trait Recipe: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What a saved model of such settings says it is; several methods by name may be choices of one family.
    const FAMILY: &'static str;
    /// What is deployed.
    type Model: Model + 'static;
    /// What trains it.
    type Method: Method + 'static;

    /// An untrained model, to be given weights.
    fn model(&self, setup: &Setup) -> Result<Self::Model>;

    /// A method ready to be trained. `teacher` is there if [`Recipe::teacher_sees`] asks for one.
    fn method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Self::Method>;

    /// [`Recipe::model`] for data of which every pixel is predicted.
    fn dense_model(&self, _setup: &Setup) -> Result<Box<dyn Model>> {
        Err(no_dense_form(Self::FAMILY))
    }

    /// [`Recipe::method`] for data of which every pixel is predicted.
    fn dense_method(&self, _setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Err(no_dense_form(Self::FAMILY))
    }

    /// Whether its model for every pixel has encoders of [`NetworkConfig`] beside those of its network.
    fn dense_has_encoders(&self) -> bool {
        false
    }

    /// Its network: a teacher is trained on the same.
    fn network(&self) -> &NetworkConfig;

    /// The same, for a program that says what encoders of its own are.
    fn network_mut(&mut self) -> &mut NetworkConfig;

    /// Refuses settings that cannot work for any data.
    fn validate(&self) -> Result<()> {
        self.network().validate()
    }

    /// Refuses data that it cannot be trained on: what the samples for training and those for validation have.
    fn check_samples(&self, _modalities: &Modalities, _train: &Presence, _validation: &Presence) -> Result<()> {
        Ok(())
    }

    /// The modalities that the teacher it needs was trained on, if it needs one.
    fn teacher_sees(&self, _modalities: &Modalities) -> Result<Option<Subset>> {
        Ok(None)
    }

    /// The option that says when losses of the method's own begin, and their first epoch (from 0), where they do not begin at once.
    fn begins(&self) -> Option<(&'static str, usize)> {
        None
    }

    /// What it costs beside one network trained on the same samples.
    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost::of_one_network(modalities))
    }

    /// The given teacher, or an error that says how to give one.
    fn need(teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Teacher>>
    where
        Self: Sized,
    {
        teacher.ok_or_else(|| Error::config("teacher", "this method learns from a teacher: train one (full-only) and give it"))
    }
}

fn no_dense_form(family: &str) -> Error {
    Error::config("method", format!("`{family}` predicts a class of a sample; this data asks for a class of every pixel"))
}

/// What a method costs, roughly: for the order of runs and estimates.
#[derive(Debug, Clone, PartialEq)]
pub struct RecipeCost {
    /// The modalities of each network that is trained.
    pub networks: Vec<Subset>,
    /// Cost of a training step beside that of the networks alone.
    pub step: f64,
    /// Cost of a prediction behind the encoders, for each combination, beside that of a network.
    pub fuse: f64,
}

impl RecipeCost {
    /// One network for all modalities.
    pub fn of_one_network(modalities: &Modalities) -> Self {
        Self { networks: vec![modalities.full()], step: 1.0, fuse: 1.0 }
    }
}

/// A [`Recipe`] whose type is not known: what a program that runs methods by name needs of it.
pub trait AnyRecipe: Send + Sync {
    /// As [`Recipe::model`].
    fn model(&self, setup: &Setup) -> Result<Box<dyn Model>>;
    /// As [`Recipe::method`].
    fn method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>>;
    /// As [`Recipe::dense_has_encoders`].
    fn dense_has_encoders(&self) -> bool;
    /// As [`Recipe::network`].
    fn network(&self) -> &NetworkConfig;
    /// As [`Recipe::network_mut`].
    fn network_mut(&mut self) -> &mut NetworkConfig;
    /// As [`Recipe::validate`].
    fn validate(&self) -> Result<()>;
    /// As [`Recipe::check_samples`].
    fn check_samples(&self, modalities: &Modalities, train: &Presence, validation: &Presence) -> Result<()>;
    /// As [`Recipe::teacher_sees`].
    fn teacher_sees(&self, modalities: &Modalities) -> Result<Option<Subset>>;
    /// As [`Recipe::begins`].
    fn begins(&self) -> Option<(&'static str, usize)>;
    /// As [`Recipe::cost`].
    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost>;
    /// As [`Recipe::FAMILY`].
    fn family(&self) -> &'static str;
    /// All settings, as a saved model holds them.
    fn settings(&self) -> Result<serde_json::Value>;

    /// What to know before a training of so many epochs: that the method's own losses never begin in it.
    fn begins_too_late(&self, epochs: usize) -> Option<String> {
        let (option, begin) = self.begins().filter(|(_, begin)| *begin >= epochs)?;
        Some(format!(
            "`{}` trains without losses of its own: they begin after {begin} epochs (`{option} = {begin}`), and `epochs` is {epochs}; set \
             `epochs` to {} or more, or `{option}` among its options to less",
            self.family(),
            begin.saturating_add(1)
        ))
    }
}

impl<R: Recipe> AnyRecipe for R {
    fn model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        match setup.schema().target.is_dense() {
            true => self.dense_model(setup),
            false => Ok(Box::new(Recipe::model(self, setup)?)),
        }
    }

    fn method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        match setup.schema().target.is_dense() {
            true => self.dense_method(setup, teacher),
            false => Ok(Box::new(Recipe::method(self, setup, teacher)?)),
        }
    }

    fn dense_has_encoders(&self) -> bool {
        Recipe::dense_has_encoders(self)
    }

    fn network(&self) -> &NetworkConfig {
        Recipe::network(self)
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        Recipe::network_mut(self)
    }

    fn validate(&self) -> Result<()> {
        Recipe::validate(self)
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, validation: &Presence) -> Result<()> {
        Recipe::check_samples(self, modalities, train, validation)
    }

    fn teacher_sees(&self, modalities: &Modalities) -> Result<Option<Subset>> {
        Recipe::teacher_sees(self, modalities)
    }

    fn begins(&self) -> Option<(&'static str, usize)> {
        Recipe::begins(self)
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Recipe::cost(self, modalities)
    }

    fn family(&self) -> &'static str {
        R::FAMILY
    }

    fn settings(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|e| Error::config("settings", e.to_string()))
    }
}

/// A method by name: what a registry lists.
#[derive(Clone)]
pub struct MethodSpec {
    name: &'static str,
    family: &'static str,
    summary: &'static str,
    refused: &'static [&'static str],
    defaults: Arc<dyn Fn() -> Result<toml::Table> + Send + Sync>,
    parse: fn(toml::Table) -> Result<Box<dyn AnyRecipe>>,
    load: fn(serde_json::Value) -> serde_json::Result<Box<dyn AnyRecipe>>,
}

impl MethodSpec {
    /// A recipe with its default settings under a name, such as `modality-dropout`; the summary is a phrase for tables.
    pub fn new<R: Recipe>(name: &'static str, summary: &'static str, defaults: fn() -> R) -> Self {
        let defaults = move || toml::Table::try_from(defaults()).map_err(|e| Error::config("options", e.to_string()));
        Self {
            name,
            family: R::FAMILY,
            summary,
            refused: &[],
            defaults: Arc::new(defaults),
            parse: |table| Ok(Box::new(parse_table::<R>("options", table)?)),
            load: |settings| Ok(Box::new(serde_json::from_value::<R>(settings)?)),
        }
    }

    /// Refuses these options under this name: the name stands for a choice of them.
    pub fn without(self, options: &'static [&'static str]) -> Self {
        Self { refused: options, ..self }
    }

    fn refuses(&self, option: &str) -> bool {
        self.refused.contains(&option)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What its saved models say they are.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// What it does, in a phrase.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// The options and their defaults, those without a default left out.
    pub fn defaults(&self) -> Result<toml::Table> {
        let mut defaults = (self.defaults)()?;
        defaults.retain(|option, _| !self.refuses(option));
        Ok(defaults)
    }

    /// The recipe with some options set; what it does not know is refused.
    pub fn recipe(&self, options: &toml::Table) -> Result<Box<dyn AnyRecipe>> {
        if let Some(option) = options.keys().find(|option| self.refuses(option)) {
            return Err(Error::config(format!("options.{option}"), format!("`{}` has no option `{option}`", self.name)));
        }
        let mut all = (self.defaults)()?;
        all.extend(options.clone());
        (self.parse)(all)
    }

    /// The recipe of a saved model.
    pub fn saved(&self, settings: serde_json::Value) -> serde_json::Result<Box<dyn AnyRecipe>> {
        (self.load)(settings)
    }
}

impl std::fmt::Debug for MethodSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("MethodSpec").field("name", &self.name).finish_non_exhaustive()
    }
}
