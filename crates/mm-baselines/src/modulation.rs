//! Gradient modulation: the sensor that learns faster than the others is slowed down.
//!
//! X. Peng, Y. Wei, A. Deng, D. Wang, D. Hu: Balanced Multimodal Learning via On-the-fly Gradient Modulation, CVPR 2022 (OGM-GE).
//!
//! The paper has two sensors, and reads the confidence of each from its own part of a linear classifier's logits. Here the confidence is that of
//! the network's answer from the sensor alone, which for a trunk without layers (`sum`) is that part, and for others the nearest to it; and
//! where there are more sensors, each is compared with the mean of the others. The paper's noise on the gradients (GE) is left out.

use candle_core::Tensor;
use mm_core::data::{Batch, Targets};
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::missing::MissingPattern;
use mm_core::nn::Mode;
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::task::Task;
use mm_core::teacher::Teacher;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, Model, Presence, Result};
use serde::{Deserialize, Serialize};

/// Settings of [`GradientModulation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModulationConfig {
    /// The network.
    pub network: NetworkConfig,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
    /// How strongly a sensor is slowed down: its encoder's gradient is multiplied by `1 - tanh(alpha · ratio)` (Eq. 8).
    pub alpha: f64,
    /// Share of the training, from its beginning, in which gradients are modulated.
    pub until: f64,
}

impl Default for ModulationConfig {
    fn default() -> Self {
        Self { network: NetworkConfig::default(), missing: MissingPattern::Natural, alpha: 0.3, until: 1.0 }
    }
}

impl Recipe for ModulationConfig {
    const FAMILY: &'static str = "gradient-modulation";
    type Model = FusionModel;
    type Method = GradientModulation;

    fn model(&self, setup: &Setup) -> Result<FusionModel> {
        self.missing.check(&setup.schema().modalities)?;
        FusionModel::new(&self.network, setup.schema(), setup.parameters())
    }

    fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<GradientModulation> {
        Recipe::validate(self)?;
        Ok(GradientModulation { model: self.model(setup)?, config: self.clone() })
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn validate(&self) -> Result<()> {
        self.network.validate()?;
        if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
            return Err(Error::config("options.alpha", format!("is {}; it is a number from 0 on", self.alpha)));
        }
        match (0.0..=1.0).contains(&self.until) {
            true => Ok(()),
            false => Err(Error::config("options.until", format!("is {}; it is a share of the training, from 0 to 1", self.until))),
        }
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, _validation: &Presence) -> Result<()> {
        self.missing.check_samples(train, modalities)
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost { step: 1.4, ..RecipeCost::of_one_network(modalities) })
    }
}

/// A fusion network whose encoders learn at a pace of their own each.
pub struct GradientModulation {
    config: ModulationConfig,
    model: FusionModel,
}

impl GradientModulation {
    /// The features as they are, with gradients to the encoders that are modulated.
    fn modulated(&self, features: &[Option<Tensor>], drawn: &Presence, task: &dyn Task, targets: &Targets) -> Result<Vec<Option<Tensor>>> {
        let mut confidences = Vec::with_capacity(features.len());
        for (m, feature) in features.iter().enumerate() {
            let rows = drawn.rows_with(m);
            confidences.push(match feature {
                Some(feature) if !rows.is_empty() => Some(self.confidence(m, feature, &rows, task, targets)?),
                _ => None,
            });
        }
        let paces = paces(&confidences, self.config.alpha);
        let slowed = features.iter().zip(paces).map(|(feature, pace)| feature.as_ref().map(|f| with_gradient_times(f, pace)).transpose());
        slowed.collect()
    }

    /// Mean over the samples in `rows` of how much the network believes what is true from one sensor alone: `exp(-loss)`, which of classes is
    /// the probability of the true one.
    fn confidence(&self, m: usize, feature: &Tensor, rows: &[u32], task: &dyn Task, targets: &Targets) -> Result<f64> {
        let mut alone = vec![None; self.model.schema().modalities.len()];
        alone[m] = Some(feature.detach());
        let prediction = self.model.network().fuse(&alone, Mode::Eval)?.prediction;
        let losses = task.loss_per_sample(&prediction, targets)?.detach().to_vec1::<f32>()?;
        Ok(rows.iter().map(|&row| f64::from(-losses[row as usize]).exp()).sum::<f64>() / rows.len() as f64)
    }
}

/// What the gradient of each encoder is multiplied by, from the confidences of the sensors that are there: `1 - tanh(alpha · ratio)` where a
/// sensor's confidence is `ratio` times the mean of the others', and that is more than 1; else 1 (Eq. 7 and 8).
pub fn paces(confidences: &[Option<f64>], alpha: f64) -> Vec<f64> {
    let (sum, count) = confidences.iter().flatten().fold((0.0, 0usize), |(sum, count), confidence| (sum + confidence, count + 1));
    let pace = |confidence: &Option<f64>| {
        let Some(own) = confidence.filter(|_| count > 1) else { return 1.0 };
        let ratio = own * (count - 1) as f64 / (sum - own).max(f64::MIN_POSITIVE);
        if ratio > 1.0 { 1.0 - (alpha * ratio).tanh() } else { 1.0 }
    };
    confidences.iter().map(pace).collect()
}

/// The same values; what flows back through them is multiplied.
pub fn with_gradient_times(feature: &Tensor, factor: f64) -> Result<Tensor> {
    match factor == 1.0 {
        true => Ok(feature.clone()),
        // The value is added from a tensor without gradient, so that no digit of it is lost.
        false => {
            let scaled = (feature * factor)?;
            Ok((feature.detach() + (&scaled - scaled.detach())?)?)
        }
    }
}

impl Method for GradientModulation {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, network) = (self.model.schema(), self.model.network());
        let task = schema.target.task();
        let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let mut features = network.encode(batch.inputs(), &drawn, Mode::Train)?;
        if step.progress() < self.config.until {
            features = self.modulated(&features, &drawn, task, batch.targets())?;
        }
        let output = network.fuse(&features, Mode::Train)?;
        Ok(Losses::new("task", task.loss(&output.prediction, batch.targets())?))
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.schema().modalities, train, validation)
    }
}
