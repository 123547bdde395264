//! Settings of the method.

use crate::{DenseUdml, DenseUdmlModel, Udml, UdmlModel};
use crate::{NoiseConfig, NoiseFamily, log_noise_level_loss, noise_level_loss};
use candle_core::Tensor;
use mm_core::encoder::{EncoderConfig, ResNetConfig};
use mm_core::fusion::NetworkConfig;
use mm_core::missing::MissingPattern;
use mm_core::nn::check_widths;
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::Method;
use mm_core::{Error, Modalities, Model, Presence, Result};
use serde::{Deserialize, Serialize};

/// Settings of UDML; the defaults are those that measured best on vectors. Where they differ from the published code the field
/// says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UdmlConfig {
    /// The encoders. UDML has no trunk: its head is linear in the concatenation of features.
    pub network: NetworkConfig,
    /// How sensors go missing in training (published: not at all).
    pub missing: MissingPattern,
    /// Whether each sample weighs its modalities by their noise.
    pub weights: WeightForm,
    /// Synthetic noise of the training inputs.
    pub noise: NoiseConfig,
    /// Biases in the linear layers of the probabilistic features (published: yes). The normalisation behind them cancels them:
    /// they only matter for reading published weights.
    pub feature_bias: bool,
    /// What the noise level is estimated from.
    pub estimator_input: EstimatorInput,
    /// Hidden width of the estimator (published: 256).
    pub estimator_width: usize,
    /// Dropout inside the estimator (published: 0.1).
    pub estimator_dropout: f32,
    /// How the standing reliance on each modality is measured.
    pub dependence: DependenceForm,
    /// Share of the old value in the moving average of the dependence (published: 0).
    pub dependence_momentum: f64,
    /// Features are scaled by `1 + w` as published, which bounds the suppression of a noisy modality; off: by `w`.
    pub residual: bool,
    /// No gradient from the classification through the weights into the estimator (published: flows).
    pub detach_weights: bool,
    /// Divides the log-levels in the softmax of the weights by half of this: 2 is `1 / t` instead of `1 / t²`, 1 as published.
    pub temperature: f64,
    /// This share of the weights is spread evenly (published: 0).
    pub weight_floor: f64,
    /// How fast the weights become even when also the cleanest modality of a sample is noisy; 0: not at all, as published.
    pub even_when_noisy: f64,
    /// Weight of the unimodal losses, whose mean over modalities is taken (published, for two modalities: 8).
    pub lambda_unimodal: f64,
    /// Weight of the KL term (published: 0 to 1e-3).
    pub lambda_kl: f64,
    /// Weight of the noise level regression (published: 0.1, of the squared loss).
    pub lambda_level: f64,
    /// What the noise level regression minimises.
    pub level_loss: LevelLoss,
    /// Prior of the features.
    pub prior: Prior,
    /// Share of the run on clean inputs, before noise begins (published: 0.5).
    pub clean_share: f64,
    /// Share of the run with weights that do not look at the noise (published: 0.6).
    pub static_share: f64,
}

impl Default for UdmlConfig {
    fn default() -> Self {
        Self {
            network: NetworkConfig::default(),
            missing: MissingPattern::Uniform,
            weights: WeightForm::Dynamic,
            noise: NoiseConfig::default(),
            feature_bias: false,
            estimator_input: EstimatorInput::OwnEncoder,
            estimator_width: 128,
            estimator_dropout: 0.0,
            dependence: DependenceForm::LeaveOneOut,
            dependence_momentum: 0.95,
            residual: true,
            detach_weights: true,
            temperature: 1.0,
            weight_floor: 0.0,
            even_when_noisy: 4.0,
            lambda_unimodal: 0.5,
            lambda_kl: 1e-4,
            lambda_level: 3.0,
            level_loss: LevelLoss::Log,
            prior: Prior::Standard,
            clean_share: 0.0,
            static_share: 1.0 / 3.0,
        }
    }
}

impl UdmlConfig {
    /// The published estimator, weights and noise, as far as they concern vectors; the schedule and the loss weights stay.
    pub fn published() -> Self {
        let noise = NoiseConfig { families: vec![NoiseFamily::Gaussian], ..NoiseConfig::default() };
        Self {
            missing: MissingPattern::Full,
            noise,
            estimator_input: EstimatorInput::SpreadDetached,
            estimator_width: 256,
            estimator_dropout: 0.1,
            dependence: DependenceForm::LoneModality,
            dependence_momentum: 0.0,
            detach_weights: false,
            even_when_noisy: 0.0,
            lambda_level: 0.1,
            level_loss: LevelLoss::Squared,
            prior: Prior::NoiseLevel,
            ..Self::default()
        }
    }

    /// The published network for sound and film, a ResNet-18 a modality, with the settings published for CREMA-D.
    ///
    /// Any number of modalities that are images (such as spectrograms of one channel) or videos, of any sizes. The noise is that
    /// of [`UdmlConfig::published`], on standardized values.
    pub fn audio_visual() -> Self {
        let encoder = EncoderConfig::resnet(ResNetConfig::default());
        Self {
            network: NetworkConfig { encoder: Some(encoder), ..NetworkConfig::default() },
            feature_bias: true,
            lambda_unimodal: 8.0,
            lambda_kl: 1e-5,
            clean_share: 0.5,
            static_share: 0.6,
            ..Self::published()
        }
    }

    /// The baseline: fusion with all weights 1, under the same noise.
    pub fn static_fusion() -> Self {
        Self { weights: WeightForm::Static, ..Self::default() }
    }
}

impl Recipe for UdmlConfig {
    const FAMILY: &'static str = "udml";
    type Model = UdmlModel;
    type Method = Udml;

    fn model(&self, setup: &Setup) -> Result<UdmlModel> {
        UdmlModel::new(self.clone(), setup)
    }

    fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Udml> {
        Udml::new(self.clone(), setup)
    }

    fn dense_model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        Ok(Box::new(DenseUdmlModel::new(self.clone(), setup)?))
    }

    fn dense_method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Ok(Box::new(DenseUdml::new(self.clone(), setup)?))
    }

    fn dense_has_encoders(&self) -> bool {
        self.weights == WeightForm::Dynamic && self.estimator_input == EstimatorInput::OwnEncoder
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.noise.validate()?;
        let lambdas = [
            ("lambda_unimodal", self.lambda_unimodal),
            ("lambda_kl", self.lambda_kl),
            ("lambda_level", self.lambda_level),
            ("even_when_noisy", self.even_when_noisy),
        ];
        for (field, value) in lambdas {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(field, format!("must be a number that is not negative, found {value}")));
            }
        }
        let shares = [("clean_share", self.clean_share), ("static_share", self.static_share), ("weight_floor", self.weight_floor)];
        for (field, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::config(field, format!("must lie between 0 and 1, found {value}")));
            }
        }
        let below_one = [("dependence_momentum", self.dependence_momentum), ("estimator_dropout", f64::from(self.estimator_dropout))];
        for (field, value) in below_one {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::config(field, format!("must be at least 0 and below 1, found {value}")));
            }
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::config("temperature", format!("must be positive, found {}", self.temperature)));
        }
        check_widths("estimator_width", &[self.estimator_width])?;
        if self.weights == WeightForm::Dynamic && self.lambda_level == 0.0 {
            return Err(Error::config(
                "lambda_level",
                "dynamic weights need a trained estimator; for weights of 1 set `weights = \"static\"`",
            ));
        }
        Ok(())
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, _validation: &Presence) -> Result<()> {
        self.missing.check_samples(train, modalities)
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost { step: 2.5, ..RecipeCost::of_one_network(modalities) })
    }
}

/// How modalities are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightForm {
    /// By noise level and dependence, sample by sample.
    #[default]
    Dynamic,
    /// All weights 1 and no estimator: the fair baseline when the inputs get the same noise.
    Static,
}

/// What the noise level of a modality is estimated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EstimatorInput {
    /// Mean and log-variance of the feature; the level loss also trains the encoder, which costs accuracy.
    Feature,
    /// The same without gradient into the encoder.
    FeatureDetached,
    /// The feature of a second encoder of the same kind, which only the level loss trains. Twice the encoders, but neither
    /// task spoils the other.
    #[default]
    OwnEncoder,
    /// The spread alone, without gradient, by an estimator without activation: the published form.
    SpreadDetached,
}

/// How the reliance on a modality is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependenceForm {
    /// By what the logits lose without the modality, on features that are not scaled.
    #[default]
    LeaveOneOut,
    /// By the logits of the modality alone, scaled and with the bias, as the published code does.
    LoneModality,
}

/// Prior of the features in the KL term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// N(0, 1).
    #[default]
    Standard,
    /// N(0, s) with the noise level s as variance, as the first published code.
    NoiseLevel,
}

/// What the noise level regression minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelLoss {
    /// `(ln t - ln s)²`: the weights depend on ratios of levels only, and no sample has a large gradient.
    #[default]
    Log,
    /// `(t - s)²`, as published.
    Squared,
}

impl LevelLoss {
    /// Of log-levels and true levels, as [`noise_level_loss`].
    pub(crate) fn of(self, log_level: &Tensor, level: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
        match self {
            Self::Log => log_noise_level_loss(log_level, level, present),
            Self::Squared => noise_level_loss(log_level, level, present),
        }
    }
}
