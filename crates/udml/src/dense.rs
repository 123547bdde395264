//! A class of every pixel: the maps of each sensor are scaled by how clean it is before they are fused. Ours, not in the paper.

use crate::estimator::{NoiseEstimator, log_levels};
use crate::method::CLIP_NORM;
use crate::output::sensor_trust;
use crate::{EstimatorInput, UdmlConfig, WeightForm};
use candle_core::{DType, Tensor};
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::dense::{DenseConfig, DenseNetwork, DenseSensor, FusedMaps};
use mm_core::fusion::{Encoders, pool};
use mm_core::model::{Encoded, Output, SensorTrust};
use mm_core::nn::{Mode, Parameters, gather_rows};
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Model, Presence, Result};

/// A network for every pixel that estimates how noisy each sensor of each sample is, and scales the sensor's maps at every depth.
///
/// The scale of a sensor is `(1 + w_m) / 2` (`residual`) or `w_m`: 1 on average over the sensors that a sample has, so that equal trust is
/// the plain network. The weights are those of a class of a sample without the dependence: to measure it, every step would decode once more
/// for each sensor. Where `estimator_input` says so, the estimator has encoders of its own: those that would encode the sensors for a class
/// of a sample (`network.encoder`). Otherwise it reads the mean over all positions of the deepest map that no other sensor has a part in.
///
/// Parameters: those of the network, `estimators.<sensor>.*` and `noise_encoders.<sensor>.*`. All of them are deployed.
pub struct DenseUdmlModel {
    config: UdmlConfig,
    schema: Schema,
    parameters: Parameters,
    network: Box<dyn DenseNetwork>,
    /// None in static fusion.
    estimators: Vec<NoiseEstimator>,
    /// Where the estimators do not read the network's maps.
    noise_encoders: Option<Encoders>,
    mode: Mode,
}

impl DenseUdmlModel {
    /// Builds the network.
    pub(crate) fn new(config: UdmlConfig, setup: &Setup) -> Result<Self> {
        config.validate()?;
        check_options(&config)?;
        let (schema, parameters) = (setup.schema().clone(), setup.parameters());
        config.missing.check(&schema.modalities)?;
        let vb = parameters.builder();
        let dense = config.network.dense.clone().unwrap_or_default();
        let sensors = DenseSensor::of_schema(&schema)?;
        let network = dense.build(&sensors, schema.target.classes(), vb.clone())?;
        let dynamic = config.weights == WeightForm::Dynamic;
        let noise_encoders =
            config.dense_has_encoders().then(|| Encoders::build(&config.network, &schema, vb.pp("noise_encoders"))).transpose()?;
        let widths = match &noise_encoders {
            Some(encoders) => encoders.feature_shapes().iter().map(|shape| shape[0]).collect(),
            None => channels_of_own_maps(&dense, &sensors),
        };
        let named = sensors.iter().zip(widths).filter(|_| dynamic);
        let estimators = named.map(|(sensor, width)| NoiseEstimator::of_width(width, &config, vb.pp("estimators").pp(&sensor.name)));
        let estimators = estimators.collect::<Result<_>>()?;
        Ok(Self { config, schema, parameters, network, estimators, noise_encoders, mode: Mode::Eval })
    }

    /// The settings.
    pub fn config(&self) -> &UdmlConfig {
        &self.config
    }

    /// Log-levels `[batch, sensors]` of the sensors of `presence`, 0 elsewhere, and how many encoders ran for them. `encoded` are the maps
    /// of these sensors, where there are no other encoders.
    fn log_levels(&self, inputs: &Inputs, presence: &Presence, encoded: Option<&Encoded>, step: Option<&Step>) -> Result<(Tensor, usize)> {
        let mode = if step.is_some() { Mode::Train } else { self.mode };
        let (maps, passes) = match (&self.noise_encoders, encoded) {
            (_, _) if self.estimators.is_empty() => (Vec::new(), 0),
            (Some(encoders), _) => encoders.forward(inputs, presence, mode)?,
            (None, Some(encoded)) => (self.network.own_maps(encoded)?, 0),
            (None, None) => {
                let encoded = self.network.encode(inputs, presence, mode)?;
                (self.network.own_maps(&encoded)?, encoded.encoder_passes)
            }
        };
        let detached = self.config.estimator_input == EstimatorInput::FeatureDetached;
        let read = |m: usize| -> Result<Option<(Tensor, Vec<u32>)>> {
            let rows = presence.rows_with(m);
            let Some(map) = maps.get(m).and_then(Option::as_ref).filter(|_| !rows.is_empty()) else { return Ok(None) };
            let pooled = pool(&gather_rows(map, &rows)?)?;
            Ok(Some((if detached { pooled.detach() } else { pooled }, rows)))
        };
        let read = (0..self.schema.modalities.len()).map(read).collect::<Result<_>>()?;
        Ok((log_levels(&self.estimators, read, inputs, step)?, passes))
    }

    /// Weights `[batch, sensors]`: 0 where absent, 1 on average elsewhere.
    fn weights(&self, log_level: &Tensor, presence: &Presence) -> Result<Tensor> {
        let sensors = self.schema.modalities.len();
        let present = Tensor::from_vec(presence.to_mask(sensors), (presence.len(), sensors), log_level.device())?;
        self.config.weigh(log_level, &Tensor::ones(sensors, DType::F32, log_level.device())?, &present)
    }

    /// The fused maps of the sensors of `presence`, scaled by their weights.
    fn fuse_trusted(&self, encoded: &Encoded, presence: &Presence, log_level: &Tensor, mode: Mode) -> Result<FusedMaps> {
        if self.config.weights == WeightForm::Static {
            return self.network.fuse(encoded, presence, mode);
        }
        let weights = self.weights(log_level, presence)?;
        let scales = if self.config.residual { ((weights + 1.0)? * 0.5)? } else { weights };
        self.network.fuse_weighted(encoded, presence, Some(&scales), mode)
    }

    fn trust_of(&self, log_level: &Tensor, presence: &Presence) -> Result<Vec<Vec<SensorTrust>>> {
        let levels = (log_level.detach() / 2.0)?.exp()?;
        sensor_trust(&levels, &self.weights(log_level, presence)?.detach(), presence, &self.schema.modalities)
    }
}

/// Channels of [`DenseNetwork::own_maps`], by sensor.
fn channels_of_own_maps(dense: &DenseConfig, sensors: &[DenseSensor]) -> Vec<usize> {
    let of_sensor = |(m, sensor): (usize, &DenseSensor)| match dense {
        DenseConfig::UNet(unet) => unet.widths.last().copied().unwrap_or_default(),
        DenseConfig::EsaNet(esanet) => {
            let carries = esanet.carrier.as_ref().map_or(m == 0, |carrier| *carrier == sensor.name);
            let [stem, .., deepest] = esanet.encoder.channels();
            if carries { stem } else { deepest }
        }
    };
    sensors.iter().enumerate().map(of_sensor).collect()
}

/// Refuses options that say nothing where every pixel has a class.
fn check_options(config: &UdmlConfig) -> Result<()> {
    if config.weights == WeightForm::Dynamic && config.estimator_input == EstimatorInput::SpreadDetached {
        let problem = "reads the spread of a probabilistic feature, and maps of pixels have none: use `own_encoder`, `feature` or \
                       `feature_detached`";
        return Err(Error::config("estimator_input", problem));
    }
    let default = UdmlConfig::default();
    let unread = [
        ("feature_bias", config.feature_bias != default.feature_bias),
        ("prior", config.prior != default.prior),
        ("dependence", config.dependence != default.dependence),
        ("dependence_momentum", config.dependence_momentum != default.dependence_momentum),
        ("lambda_kl", config.lambda_kl != default.lambda_kl && config.lambda_kl != 0.0),
        ("lambda_unimodal", config.lambda_unimodal != default.lambda_unimodal && config.lambda_unimodal != 0.0),
    ];
    match unread.into_iter().find(|(_, set)| *set) {
        Some((field, _)) => Err(Error::config(field, "has no meaning where every pixel has a class: leave it out")),
        None => Ok(()),
    }
}

/// What [`DenseUdmlModel::encode`] left: the network's part, and the log-levels.
fn split(encoded: &Encoded) -> Result<(Encoded, &Tensor)> {
    match encoded.tensors.split_last() {
        Some((Some(log_level), maps)) => Ok((Encoded { tensors: maps.to_vec(), ..encoded.clone() }, log_level)),
        _ => Err(Error::shape("encoded", "maps and log-levels of this model", encoded.tensors.len())),
    }
}

impl Model for DenseUdmlModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The log-levels come behind the maps.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let mut encoded = self.network.encode(inputs, inputs.presence(), self.mode)?;
        let (log_level, passes) = self.log_levels(inputs, inputs.presence(), Some(&encoded), None)?;
        encoded.tensors.push(Some(log_level.detach()));
        encoded.encoder_passes += passes;
        Ok(encoded)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        let (maps, log_level) = split(encoded)?;
        Ok(self.network.decode(&self.fuse_trusted(&maps, presence, log_level, self.mode)?, self.mode)?.detach())
    }

    fn trust(&self, inputs: &Inputs) -> Result<Option<Vec<Vec<SensorTrust>>>> {
        if !self.knows_trust() {
            return Ok(None);
        }
        inputs.check_modalities(&self.schema.modalities)?;
        let (log_level, _) = self.log_levels(inputs, inputs.presence(), None, None)?;
        self.trust_of(&log_level, inputs.presence()).map(Some)
    }

    fn knows_trust(&self) -> bool {
        self.config.weights == WeightForm::Dynamic
    }

    fn predict_with_trust(&self, inputs: &Inputs) -> Result<(Output, Option<Vec<Vec<SensorTrust>>>)> {
        let encoded = self.encode(inputs)?;
        let output = self.fuse(&encoded, inputs.presence())?;
        let (_, log_level) = split(&encoded)?;
        let trust = self.knows_trust().then(|| self.trust_of(log_level, inputs.presence())).transpose()?;
        Ok((output, trust))
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}

/// UDML where every pixel has a class: the task's loss at all scales of the network, and the levels of the injected noise.
pub struct DenseUdml {
    model: DenseUdmlModel,
}

impl DenseUdml {
    /// A model to be trained.
    pub fn new(config: UdmlConfig, setup: &Setup) -> Result<Self> {
        Ok(Self { model: DenseUdmlModel::new(config, setup)? })
    }
}

impl Method for DenseUdml {
    /// `L_task + λ_l L_level`.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (model, config, schema) = (&self.model, &self.model.config, &self.model.schema);
        let drawn = config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let noisy = config.noisy(batch.inputs(), schema, step)?;
        let inputs = &noisy.inputs;
        let encoded = self.model.network.encode(inputs, &drawn, Mode::Train)?;
        // Encoders of its own have no part in what is dropped: they see all that the data has.
        let seen = if model.noise_encoders.is_some() { inputs.presence() } else { &drawn };
        let (log_level, _) = model.log_levels(inputs, seen, Some(&encoded), Some(step))?;
        let weighed = match (config.ignores_levels(step), config.detach_weights) {
            (true, _) => log_level.zeros_like()?,
            (false, true) => log_level.detach(),
            (false, false) => log_level.clone(),
        };
        let output = model.network.decode(&model.fuse_trusted(&encoded, &drawn, &weighed, Mode::Train)?, Mode::Train)?;
        let loss = schema.target.task().loss_of_scales(&output.prediction, &output.side, batch.targets())?;
        let losses = Losses::new("task", loss);
        if config.weights == WeightForm::Static {
            return Ok(losses);
        }
        let sensors = schema.modalities.len();
        let estimated = Tensor::from_vec(seen.to_mask(sensors), (batch.len(), sensors), inputs.device())?;
        Ok(losses.with("level", config.lambda_level, config.level_loss.of(&log_level, &noisy.levels, Some(&estimated))?))
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.model.config.check_samples(&self.model.schema.modalities, train, validation)
    }

    fn clip_norm(&self) -> Option<f64> {
        Some(CLIP_NORM)
    }

    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }
}
