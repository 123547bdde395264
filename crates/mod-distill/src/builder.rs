//! Puts a model together.

use crate::balance::Uncertainties;
use crate::branch::Branches;
use crate::fusion::Fusion;
use crate::method::{BALANCE, ModDistill, RESTORED_HEAD};
use crate::teaching::{Counts, Teaching};
use crate::{Balance, ModDistillConfig};
use candle_core::Device;
use mm_core::Result;
use mm_core::data::Schema;
use mm_core::nn::{Parameters, linear};
use mm_core::teacher::{CachedTeacher, Teacher};

/// Puts a [`ModDistill`] together.
pub struct ModDistillBuilder {
    schema: Schema,
    config: ModDistillConfig,
    seed: u64,
    device: Device,
}

impl ModDistillBuilder {
    pub(crate) fn new(schema: Schema) -> Self {
        Self { schema, config: ModDistillConfig::default(), seed: 0, device: Device::Cpu }
    }

    /// The settings; at least `available` (or `robust`) has to be given.
    pub fn config(mut self, config: ModDistillConfig) -> Self {
        self.config = config;
        self
    }

    /// Seed of the initial weights (0 by default).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Device of the weights (the CPU by default).
    pub fn device(mut self, device: &Device) -> Self {
        self.device = device.clone();
        self
    }

    /// A model to be trained with the help of `teacher`, which was trained on what [`ModDistillConfig::teacher`] says.
    pub fn build_with_teacher(self, teacher: impl Teacher + 'static) -> Result<ModDistill> {
        let mut model = self.build()?;
        let teacher_sees = model.config.teacher_subset(&model.schema.modalities)?;
        let teacher: Box<dyn Teacher> = match model.config.cache_teacher {
            true => Box::new(CachedTeacher::with_budget(Box::new(teacher), model.config.teacher_cache_mib)),
            false => Box::new(teacher),
        };
        let vb = model.parameters.builder();
        let head = linear(model.branches.feature_shape()[0], model.schema.target.classes(), vb.pp(RESTORED_HEAD))?;
        let uncertainties = match model.config.balance {
            Balance::Fixed => None,
            Balance::Uncertainty => Some(Uncertainties::new(vb.pp(BALANCE))?),
        };
        model.teaching = Some(Teaching { teacher, teacher_sees, head, uncertainties, counts: Counts::default() });
        Ok(model)
    }

    /// A model for prediction: load its weights with [`Parameters::load`] on [`Method::parameters`](mm_core::train::Method::parameters).
    pub fn build(self) -> Result<ModDistill> {
        let Self { schema, config, seed, device } = self;
        config.validate()?;
        let available = config.available_subset(&schema.modalities)?;
        let parameters = Parameters::new(seed, &device);
        let vb = parameters.builder();
        let branches = Branches::new(&config.network, &schema, available, config.robust, vb.clone())?;
        let fusion = Fusion::new(&config, branches.feature_shape(), schema.target.classes(), vb)?;
        Ok(ModDistill { config, schema, available, parameters, branches, fusion, teaching: None })
    }
}
