//! SGD, Adam and AdamW as PyTorch defines them; on the CPU each buffer is updated in one pass, in place.

use super::written::Kinds;
use crate::error::{Error, Result};
use crate::nn::{Parameters, contiguous_f32, runs_on_cpu_kernels};
use candle_core::{CpuStorage, InplaceOp3, Layout, Tensor, Var, backprop::GradStore, bail};
use mm_kernels::optimizer::{AdamStep, SgdStep, adam_moment, adam_parameter, sgd_parameter, sgd_velocity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// An optimizer as written in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent.
    Sgd {
        /// Momentum factor; 0 is none.
        #[serde(default)]
        momentum: f64,
        /// L2 penalty, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
        /// Nesterov momentum.
        #[serde(default)]
        nesterov: bool,
    },
    /// Adam; the weight decay is added to the gradient.
    Adam {
        /// Decay of the running means of gradient and squared gradient.
        #[serde(default = "betas")]
        betas: [f64; 2],
        /// Added to the denominator.
        #[serde(default = "eps")]
        eps: f64,
        /// L2 penalty.
        #[serde(default)]
        weight_decay: f64,
    },
    /// AdamW; the weight decay acts on the parameter.
    AdamW {
        /// Decay of the running means of gradient and squared gradient.
        #[serde(default = "betas")]
        betas: [f64; 2],
        /// Added to the denominator.
        #[serde(default = "eps")]
        eps: f64,
        /// Decoupled weight decay.
        #[serde(default)]
        weight_decay: f64,
    },
}

impl Kinds for OptimizerConfig {
    const NAMES: &'static str = "`sgd`, `adam` and `adam_w`";
    const EXAMPLES: &'static str = "{ kind = \"sgd\", momentum = 0.9 } or { kind = \"adam_w\", weight_decay = 0.01 }";
}

/// Adam's usual decays.
fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

/// Adam's usual addition to the denominator.
fn eps() -> f64 {
    1e-8
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Sgd { momentum: 0.9, weight_decay: 5e-4, nesterov: true }
    }
}

impl OptimizerConfig {
    fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd { momentum, .. } if *momentum == 0.0 => &[],
            Self::Sgd { .. } => &["velocity"],
            Self::Adam { .. } | Self::AdamW { .. } => &["first_moment", "second_moment"],
        }
    }

    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        let within = |name: &str, value: f64, range: &str, fits: bool| match fits {
            true => Ok(()),
            false => Err(Error::config(format!("optimizer.{name}"), format!("must {range}, found {value}"))),
        };
        let unit = |name: &str, value: f64| within(name, value, "lie in [0, 1)", (0.0..1.0).contains(&value));
        let decay = |value: f64| within("weight_decay", value, "be a number that is not negative", value >= 0.0 && value.is_finite());
        match *self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                unit("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    return Err(Error::config("optimizer.nesterov", "needs a momentum above 0"));
                }
                decay(weight_decay)
            }
            Self::Adam { betas, eps, weight_decay } | Self::AdamW { betas, eps, weight_decay } => {
                betas.iter().try_for_each(|b| unit("betas", *b))?;
                within("eps", eps, "be a positive number", eps > 0.0 && eps.is_finite())?;
                decay(weight_decay)
            }
        }
    }
}

/// An optimizer with its state. Variables are visited in the order of their names.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    steps: u64,
    /// By slot and parameter name.
    state: BTreeMap<String, Var>,
}

impl Optimizer {
    /// A fresh optimizer.
    pub fn new(config: OptimizerConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { config, steps: 0, state: BTreeMap::new() })
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates every variable that has a gradient, with the learning rate times [`Parameters::learning_rate_factor`]; the others, and
    /// those of factor 0, stay as they are, state included.
    pub fn step(&mut self, parameters: &Parameters, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        self.steps += 1;
        for (name, var) in parameters.variables() {
            let factor = parameters.learning_rate_factor(&name);
            if let Some(gradient) = gradients.get(&var).filter(|_| factor != 0.0) {
                self.update(&name, &var, &gradient.contiguous()?, learning_rate * factor)?;
            }
        }
        Ok(())
    }

    fn slot(&mut self, slot: &str, name: &str, like: &Var) -> Result<Var> {
        let key = format!("{slot}:{name}");
        if let Some(var) = self.state.get(&key) {
            return Ok(var.clone());
        }
        let var = Var::zeros(like.shape(), like.dtype(), like.device())?;
        self.state.insert(key, var.clone());
        Ok(var)
    }

    fn update(&mut self, name: &str, var: &Var, gradient: &Tensor, learning_rate: f64) -> Result<()> {
        let slots: Vec<Var> = self.config.slots().iter().map(|slot| self.slot(slot, name, var)).collect::<Result<_>>()?;
        match (&self.config, slots.as_slice()) {
            (&OptimizerConfig::Sgd { momentum, weight_decay, nesterov }, slots) => {
                let step =
                    SgdStep { learning_rate: learning_rate as f32, momentum: momentum as f32, weight_decay: weight_decay as f32, nesterov };
                match slots.first() {
                    Some(velocity) => {
                        update_in_place(velocity, var, gradient, Update::SgdVelocity(step))?;
                        update_in_place(var, velocity, gradient, Update::SgdParameter(step))
                    }
                    // Without momentum the velocity would be the gradient itself.
                    None => update_in_place(var, gradient, gradient, Update::SgdParameter(SgdStep { nesterov: true, ..step })),
                }
            }
            (
                &OptimizerConfig::Adam { betas, eps, weight_decay } | &OptimizerConfig::AdamW { betas, eps, weight_decay },
                [first, second],
            ) => {
                let power = |beta: f64| (1.0 - beta.powi(i32::try_from(self.steps).unwrap_or(i32::MAX))) as f32;
                let step = AdamStep {
                    learning_rate: learning_rate as f32,
                    beta1: betas[0],
                    beta2: betas[1],
                    eps: eps as f32,
                    correction1: power(betas[0]),
                    correction2: power(betas[1]),
                    weight_decay: weight_decay as f32,
                    decoupled: matches!(self.config, OptimizerConfig::AdamW { .. }),
                };
                update_in_place(first, var, gradient, Update::AdamMoment { step, second: false })?;
                update_in_place(second, var, gradient, Update::AdamMoment { step, second: true })?;
                update_in_place(var, first, second, Update::AdamParameter(step))
            }
            _ => Err(Error::config("optimizer", "state and kind do not fit together")),
        }
    }

    /// The state as tensors, by slot and parameter name.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        self.state.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect()
    }

    /// Takes up a saved state; every tensor must belong to one of `parameters` and have its shape.
    pub fn restore(&mut self, parameters: &Parameters, state: BTreeMap<String, Tensor>, steps: u64, source: &Path) -> Result<()> {
        let mut restored = BTreeMap::new();
        for (key, tensor) in state {
            let owner =
                key.split_once(':').filter(|(slot, _)| self.config.slots().contains(slot)).and_then(|(_, name)| parameters.get(name));
            match owner {
                Some(owner) if owner.shape() == tensor.shape() => {
                    restored.insert(key, Var::from_tensor(&tensor.to_device(parameters.device())?)?)
                }
                Some(owner) => {
                    let problem = format!("tensor `{key}`: expected shape {:?}, found {:?}", owner.dims(), tensor.dims());
                    return Err(Error::weights(source, problem));
                }
                None => return Err(Error::weights(source, format!("tensor `{key}` belongs to no parameter or to another optimizer"))),
            };
        }
        self.state = restored;
        self.steps = steps;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Update {
    SgdVelocity(SgdStep),
    SgdParameter(SgdStep),
    AdamMoment { step: AdamStep, second: bool },
    AdamParameter(AdamStep),
}

fn update_in_place(target: &Var, a: &Tensor, b: &Tensor, update: Update) -> Result<()> {
    if runs_on_cpu_kernels(target) {
        target.inplace_op3(a, b, &update)?;
    } else {
        target.set(&update.composed(target, a, b)?)?;
    }
    Ok(())
}

impl Update {
    /// The same update made of candle ops, for other devices and dtypes.
    fn composed(&self, target: &Tensor, a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
        let target = target.detach();
        let (a, b) = (a.detach(), b.detach());
        match *self {
            Update::SgdVelocity(s) => (target * f64::from(s.momentum))? + (b + (a * f64::from(s.weight_decay))?)?,
            Update::SgdParameter(s) => {
                let direction = match s.nesterov {
                    true => ((b + (&target * f64::from(s.weight_decay))?)? + (a * f64::from(s.momentum))?)?,
                    false => a,
                };
                target - (direction * f64::from(s.learning_rate))?
            }
            Update::AdamMoment { step, second } => {
                let decay = if step.decoupled { 0.0 } else { f64::from(step.weight_decay) };
                let gradient = (b + (a * decay)?)?;
                let (beta, value) = if second { (step.beta2, gradient.sqr()?) } else { (step.beta1, gradient) };
                (target * beta)? + (value * (1.0 - beta))?
            }
            Update::AdamParameter(s) => {
                let keep = if s.decoupled { 1.0 - f64::from(s.learning_rate * s.weight_decay) } else { 1.0 };
                let denominator = ((b.sqrt()? / f64::from(s.correction2.sqrt()))? + f64::from(s.eps))?;
                (target * keep)? - ((a / denominator)? * f64::from(s.learning_rate / s.correction1))?
            }
        }
    }
}

impl InplaceOp3 for Update {
    fn name(&self) -> &'static str {
        "optimizer-update"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        target_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (a, b) = (contiguous_f32(a, a_layout)?, contiguous_f32(b, b_layout)?);
        let target = match (target, target_layout.contiguous_offsets()) {
            (CpuStorage::F32(data), Some((start, end))) => &mut data[start..end],
            _ => bail!("optimizer state must be contiguous f32"),
        };
        match *self {
            Update::SgdVelocity(step) => sgd_velocity(step, target, a, b),
            Update::SgdParameter(step) => sgd_parameter(step, target, a, b),
            Update::AdamMoment { step, second } => adam_moment(step, second, target, a, b),
            Update::AdamParameter(step) => adam_parameter(step, target, a, b),
        }
        .map_err(candle_core::Error::wrap)
    }
}
