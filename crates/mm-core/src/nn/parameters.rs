//! Parameters by name: seeded initial values, fixed order, safetensors in and out.

use crate::error::{Error, Result};
use crate::rng;
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::init::{Init, NormalOrUniform};
use candle_nn::var_builder::SimpleBackend;
use rand::RngExt;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

type Variables = BTreeMap<String, Var>;

/// Numbers that one parameter can have (8 GiB).
const LARGEST_PARAMETER: usize = 1 << 31;

/// A store of named variables. Clones share the same variables.
///
/// ```
/// use candle_core::Device;
/// use mm_core::nn::{Parameters, linear};
/// let parameters = Parameters::new(7, &Device::Cpu);
/// let layer = linear(3, 2, parameters.builder().pp("head"))?;
/// assert_eq!(parameters.names(), ["head.bias", "head.weight"]);
/// # Ok::<(), mm_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Parameters {
    /// `None` in a store that is to be loaded.
    seed: Option<u64>,
    device: Device,
    variables: Arc<RwLock<Variables>>,
    frozen: Arc<AtomicBool>,
    /// By the beginning of names.
    learning_rate_factors: Arc<RwLock<BTreeMap<String, f64>>>,
}

/// What code that has a builder and not the store says to the store: a builder passes on nothing but names of tensors.
///
/// A tensor of this name "is there" where the values of all are about to be loaded.
const TO_BE_LOADED: &str = "(to be loaded)";
/// A "tensor" of this name is the factor on the learning rate of all that the builder makes.
const LEARNING_RATE_FACTOR: &str = "(learning rate factor)";

/// Whether the values of what a builder makes are about to be loaded, so that no others are needed.
pub(crate) fn is_to_be_loaded(vb: &candle_nn::VarBuilder) -> bool {
    vb.contains_tensor(TO_BE_LOADED)
}

/// Tells the store of a builder to train what it makes with the learning rate times `factor`; other stores than [`Parameters`] refuse.
pub(crate) fn set_learning_rate_factor(vb: &candle_nn::VarBuilder, factor: f64) -> candle_core::Result<()> {
    vb.get_with_hints((), LEARNING_RATE_FACTOR, Init::Const(factor)).map(drop)
}

/// Whether a name belongs to a statistic that is measured, not trained.
pub fn is_running_statistic(name: &str) -> bool {
    name.ends_with("running_mean") || name.ends_with("running_var") || name.ends_with("num_batches_tracked")
}

impl Parameters {
    /// An empty store; variables made through [`Parameters::builder`] are initialised from `(seed, name)`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed: Some(seed), ..Self::for_loading(device) }
    }

    /// An empty store for a network whose weights are about to be loaded: variables start at zero, no random number is
    /// drawn, which for large networks takes longer than reading their weights, and no pretrained encoder is read.
    pub fn for_loading(device: &Device) -> Self {
        Self::of(Variables::new(), device)
    }

    /// A store of variables that others may have as well.
    pub(crate) fn of(variables: Variables, device: &Device) -> Self {
        Self {
            seed: None,
            device: device.clone(),
            variables: Arc::new(RwLock::new(variables)),
            frozen: Arc::default(),
            learning_rate_factors: Arc::default(),
        }
    }

    /// The device of all variables.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A candle-nn builder whose variables live in this store; an existing name returns the existing variable.
    pub fn builder(&self) -> candle_nn::VarBuilder<'static> {
        candle_nn::VarBuilder::from_backend(Box::new(self.clone()), DType::F32, self.device.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, Variables> {
        self.variables.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Variables> {
        self.variables.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// All variables with their names, sorted by name.
    pub fn variables(&self) -> Vec<(String, Var)> {
        self.read().iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    /// A store of these variables and another's, both shared with their stores.
    pub fn joined(&self, other: &Self) -> Self {
        let all = self.variables().into_iter().chain(other.variables()).collect();
        let mut factors = self.factors().clone();
        factors.extend(other.factors().clone());
        Self { frozen: self.frozen.clone(), learning_rate_factors: Arc::new(RwLock::new(factors)), ..Self::of(all, &self.device) }
    }

    fn factors(&self) -> RwLockReadGuard<'_, BTreeMap<String, f64>> {
        self.learning_rate_factors.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Trains the variables whose names begin with `prefix`, such as `encoders.rgb.`, with the learning rate times `factor`; 0 leaves them
    /// as they are.
    pub fn set_learning_rate_factor(&self, prefix: &str, factor: f64) {
        self.learning_rate_factors.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(prefix.into(), factor);
    }

    /// How many numbers training changes: without running statistics and frozen encoders.
    pub fn count_trained(&self) -> usize {
        self.count(|name| self.learning_rate_factor(name) != 0.0)
    }

    /// What the learning rate of this variable is multiplied by: the factor of the longest beginning of its name that has one, or 1.
    pub fn learning_rate_factor(&self, name: &str) -> f64 {
        let factors = self.factors();
        let fitting = factors.iter().filter(|(prefix, _)| name.starts_with(prefix.as_str()));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(1.0, |(_, factor)| *factor)
    }

    /// From now on [`Parameters::restore`] and [`Parameters::load`] refuse: a model relies on the values.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<Tensor> {
        self.read().get(name).map(|var| var.as_tensor().clone())
    }

    /// The variable called `name`.
    pub fn variable(&self, name: &str) -> Option<Var> {
        self.read().get(name).cloned()
    }

    /// How many numbers there are (running statistics left out) among the names that `keep` accepts.
    pub fn count(&self, keep: impl Fn(&str) -> bool) -> usize {
        let variables = self.read();
        let trained = variables.iter().filter(|(name, _)| !is_running_statistic(name) && keep(name));
        trained.map(|(_, var)| var.elem_count()).sum()
    }

    /// A copy of all values, by name; shares nothing with the variables.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        self.read().iter().map(|(name, var)| Ok((name.clone(), var.as_tensor().copy()?.detach()))).collect()
    }

    /// Sets every variable from `values`. Missing, unexpected and misshapen tensors are refused, and then nothing changes.
    pub fn restore(&self, values: &BTreeMap<String, Tensor>, source: &Path) -> Result<()> {
        if self.frozen.load(Ordering::Relaxed) {
            return Err(Error::weights(source, "the model is frozen, and would not see other weights: load them into a new one"));
        }
        let variables = self.read();
        let missing: Vec<&str> = variables.keys().filter(|n| !values.contains_key(*n)).map(String::as_str).collect();
        let unexpected: Vec<&str> = values.keys().filter(|n| !variables.contains_key(*n)).map(String::as_str).collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(Error::weights(source, format!("the tensors are not this model's; {}", name_lists(&missing, &unexpected))));
        }
        for (name, var) in variables.iter() {
            let value = &values[name];
            if value.shape() != var.shape() || value.dtype() != var.dtype() {
                let problem =
                    format!("tensor `{name}`: expected {:?} {:?}, found {:?} {:?}", var.dtype(), var.dims(), value.dtype(), value.dims());
                return Err(Error::weights(source, problem));
            }
        }
        for (name, var) in variables.iter() {
            var.set(&values[name].to_device(&self.device)?)?;
        }
        Ok(())
    }

    /// Writes the variables that `keep` accepts to a safetensors file, replacing it in one step.
    pub fn save(&self, path: &Path, keep: impl Fn(&str) -> bool) -> Result<()> {
        let kept = self.read().iter().filter(|(name, _)| keep(name)).map(|(n, v)| (n.clone(), v.as_tensor().clone())).collect();
        crate::weights::save(path, &kept, None)
    }

    /// Reads all variables from a safetensors file written by [`Parameters::save`] with the same architecture.
    ///
    /// Values that are NaN or infinite are refused; [`Parameters::restore`] with what [`crate::weights::load`] reads takes them.
    pub fn load(&self, path: &Path) -> Result<()> {
        let (values, _) = crate::weights::load(path, &self.device)?;
        let advice = "such a model predicts nothing; `Parameters::restore` takes them if they are meant";
        let check = |(name, value): (&String, &Tensor)| crate::weights::refuse_non_finite(name, value, path, advice);
        values.par_iter().try_for_each(check)?;
        self.restore(&values, path)
    }
}

/// The first names of both lists, for an error.
pub(crate) fn name_lists<S: AsRef<str>>(missing: &[S], unexpected: &[S]) -> String {
    let list = |what: &str, names: &[S]| if names.is_empty() { String::new() } else { format!("{what} {} ", name_list(names)) };
    format!("{}{}", list("missing", missing), list("unexpected", unexpected)).trim_end().to_string()
}

/// How many names there are, and the first of them.
pub(crate) fn name_list<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(5).map(AsRef::as_ref).collect();
    format!("{}: {}{}", names.len(), shown.join(", "), if names.len() > shown.len() { ", ..." } else { "" })
}

impl SimpleBackend for Parameters {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        if let (Some(prefix), Init::Const(factor)) = (name.strip_suffix(LEARNING_RATE_FACTOR), init) {
            self.set_learning_rate_factor(prefix, factor);
            return Tensor::new(factor, device);
        }
        let mut variables = self.write();
        if let Some(var) = variables.get(name) {
            if var.shape() != &shape {
                candle_core::bail!("parameter `{name}` exists with shape {:?}, asked for {shape:?}", var.dims());
            }
            return Ok(var.as_tensor().clone());
        }
        let count = shape.dims().iter().try_fold(1usize, |product, n| product.checked_mul(*n));
        if count.is_none_or(|count| count > LARGEST_PARAMETER) {
            candle_core::bail!(
                "parameter `{name}` of shape {shape:?} would have more than {LARGEST_PARAMETER} numbers: choose narrower layers"
            );
        }
        let var = match self.seed {
            Some(seed) => Var::from_tensor(&Tensor::from_vec(initial_values(seed, name, &shape, init), shape, device)?.to_dtype(dtype)?)?,
            None => Var::zeros(shape, dtype, device)?,
        };
        let tensor = var.as_tensor().clone();
        variables.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        match self.read().get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => candle_core::bail!("no parameter is called `{name}`"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        (self.seed.is_none() && name.ends_with(TO_BE_LOADED)) || self.read().contains_key(name)
    }
}

fn initial_values(seed: u64, name: &str, shape: &Shape, init: Init) -> Vec<f32> {
    let count = shape.elem_count();
    let mut rng = rng::stream(seed, &format!("init:{name}"), &[]);
    let mut uniform = |low: f64, high: f64| -> Vec<f32> { (0..count).map(|_| (low + (high - low) * rng.random::<f64>()) as f32).collect() };
    match init {
        Init::Const(value) => vec![value as f32; count],
        Init::Uniform { lo, up } => uniform(lo, up),
        Init::Randn { mean, stdev } => normal(&mut rng, count, mean, stdev),
        Init::Kaiming { dist, fan, non_linearity } => {
            let std = non_linearity.gain() / (fan.for_shape(shape).max(1) as f64).sqrt();
            match dist {
                NormalOrUniform::Uniform => uniform(-std * 3f64.sqrt(), std * 3f64.sqrt()),
                NormalOrUniform::Normal => normal(&mut rng, count, 0.0, std),
            }
        }
    }
}

fn normal(rng: &mut rng::Rng, count: usize, mean: f64, std: f64) -> Vec<f32> {
    rng::standard_normal(rng, count).into_iter().map(|z| (mean + std * f64::from(z)) as f32).collect()
}
