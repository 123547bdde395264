//! What is deployed: encoders, probabilistic features, estimators, weights and head.

use crate::dependence::Dependence;
use crate::estimator::{NoiseEstimator, ids_of, log_levels};
use crate::head::combination_logits;
use crate::{
    ConcatHead, EstimatorInput, GaussianFeature, Prior, UdmlConfig, UdmlOutput, WeightForm, fused_logits, gaussian_kl, reparameterize,
    unimodal_logits,
};
use candle_core::{DType, Tensor};
use mm_core::data::{Inputs, Schema};
use mm_core::fusion::{Encoders, pool};
use mm_core::model::{Encoded, Output, SensorTrust, Visit};
use mm_core::nn::{GaussianHeads, GaussianHeadsConfig, Mode, Parameters, gather_rows, scatter_rows};
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::Step;
use mm_core::{Error, Model, Presence, Result, Subset};

/// Combinations whose weights are held at a time.
const TOGETHER: usize = 64;

/// A fusion that estimates how noisy each modality of each sample is, and trusts the cleaner ones.
///
/// Parameters: `encoders.<modality>.*`, `features.<modality>.{mean, log_var}.*`, `estimators.<modality>.*`,
/// `head.{weight, bias}` and `dependence.running_mean`. All of them are deployed, and they are all that training carries from
/// step to step.
pub struct UdmlModel {
    config: UdmlConfig,
    schema: Schema,
    parameters: Parameters,
    encoders: Encoders,
    features: Vec<GaussianHeads>,
    /// Empty in static fusion.
    estimators: Vec<NoiseEstimator>,
    /// Where the estimators do not read the probabilistic features.
    noise_encoders: Option<Encoders>,
    head: ConcatHead,
    dependence: Dependence,
    mode: Mode,
}

/// What one run of the encoders gives.
pub(crate) struct Run {
    /// Share of each modality in the logits, `[batch, modalities, classes]`; 0 where absent.
    pub parts: Tensor,
    /// Log-levels `[batch, modalities]`; 0 where absent.
    pub log_level: Tensor,
    /// 1 or 0, `[batch, modalities]`.
    pub present: Tensor,
    /// Where a level was estimated, which may be more: 1 or 0, `[batch, modalities]`.
    pub estimated: Tensor,
    /// By modality: the rows that have it, and the distribution of their features.
    pub gaussians: Vec<Option<(Vec<u32>, GaussianFeature)>>,
    pub encoder_passes: usize,
}

impl UdmlModel {
    /// Builds the network.
    pub(crate) fn new(config: UdmlConfig, setup: &Setup) -> Result<Self> {
        config.validate()?;
        let (schema, parameters) = (setup.schema().clone(), setup.parameters());
        config.missing.check(&schema.modalities)?;
        let vb = parameters.builder();
        let encoders = Encoders::build(&config.network, &schema, vb.pp("encoders"))?;
        // The head reads features pooled over positions: one number a channel.
        let widths: Vec<usize> = encoders.feature_shapes().iter().map(|shape| shape[0]).collect();
        let named = || schema.modalities.names().iter().zip(&widths);
        let heads = GaussianHeadsConfig { bias: config.feature_bias, norm: true };
        let features = named().map(|(name, &width)| GaussianHeads::new(width, heads, vb.pp("features").pp(name)));
        let features = features.collect::<Result<_>>()?;
        let estimators = named().filter(|_| config.weights == WeightForm::Dynamic);
        let estimators = estimators.map(|(name, &width)| NoiseEstimator::new(width, &config, vb.pp("estimators").pp(name)));
        let estimators = estimators.collect::<Result<_>>()?;
        let own = config.weights == WeightForm::Dynamic && config.estimator_input == EstimatorInput::OwnEncoder;
        let noise_encoders = own.then(|| Encoders::build(&config.network, &schema, vb.pp("noise_encoders"))).transpose()?;
        let dependence = Dependence::new(widths.len(), config.dependence_momentum, vb.pp("dependence"))?;
        let head = ConcatHead::build(widths.clone(), schema.target.task().outputs(), vb.pp("head"))?;
        Ok(Self { config, schema, parameters, encoders, features, estimators, noise_encoders, head, dependence, mode: Mode::Eval })
    }

    /// The settings.
    pub fn config(&self) -> &UdmlConfig {
        &self.config
    }

    /// How much the model relies on each modality: positive, `[modalities]`; all equal before the first step.
    pub fn dependence(&self) -> Result<Tensor> {
        self.dependence.value()
    }

    /// The moving average behind [`UdmlModel::dependence`], for training.
    pub(crate) fn dependence_mean(&self) -> &Dependence {
        &self.dependence
    }

    /// The classifier.
    pub(crate) fn head(&self) -> &ConcatHead {
        &self.head
    }

    /// Logits, noise levels and weights, each sample with the modalities that it has.
    pub fn output(&self, inputs: &Inputs) -> Result<UdmlOutput> {
        let run = self.run(inputs, inputs.presence(), None)?;
        let weights = self.weights(&run.log_level, &run.present)?;
        let (bias, residual) = (&self.head.bias().detach(), self.config.residual);
        Ok(UdmlOutput {
            logits: fused_logits(&run.parts, &weights, bias, residual)?,
            unimodal_logits: unimodal_logits(&run.parts, &weights, bias, residual)?,
            levels: (run.log_level / 2.0)?.exp()?.mul(&run.present)?,
            weights,
        })
    }

    /// Runs encoders, distribution heads and estimators on what is present; with a `step` in training mode.
    pub(crate) fn run(&self, inputs: &Inputs, presence: &Presence, step: Option<&Step>) -> Result<Run> {
        let mode = if step.is_some() { Mode::Train } else { self.mode };
        let (samples, modalities) = (inputs.len(), self.features.len());
        let (features, passes) = match step.is_some() && self.config.network.encode_dropped {
            true => self.encoders.forward(inputs, inputs.presence(), mode)?,
            false => self.encoders.forward(inputs, presence, mode)?,
        };
        let device = self.parameters.device();
        let classes = self.head.bias().dim(0)?;
        let (mut parts, mut gaussians) = (Vec::new(), Vec::new());
        for (m, feature) in features.iter().enumerate() {
            let rows = presence.rows_with(m);
            let Some(feature) = feature.as_ref().filter(|_| !rows.is_empty()) else {
                parts.push(Tensor::zeros((samples, classes), DType::F32, device)?);
                gaussians.push(None);
                continue;
            };
            let gaussian = self.features[m].forward(&gather_rows(feature, &rows)?, mode)?;
            let sample = match step {
                Some(step) => {
                    let draws = step.draws(&format!("feature sample {m}"));
                    let noise = draws.standard_normal(&ids_of(inputs, &rows), gaussian.mean.elem_count() / rows.len());
                    reparameterize(&gaussian.mean, &gaussian.log_var, &Tensor::from_vec(noise, gaussian.mean.shape(), device)?)?
                }
                None => gaussian.mean.clone(),
            };
            parts.push(scatter_rows(&self.head.part(m, &pool(&sample)?)?, &rows, samples)?);
            gaussians.push(Some((rows, gaussian)));
        }
        let parts = Tensor::stack(&parts, 1)?;
        let mask = |presence: &Presence| Tensor::from_vec(presence.to_mask(modalities), (samples, modalities), device);
        let (log_level, estimated, noise_passes) = match &self.noise_encoders {
            // They have no part in what is dropped: in training they see all that the data has.
            Some(encoders) => {
                let seen = if mode.is_train() { inputs.presence() } else { presence };
                let (features, passes) = encoders.forward(inputs, seen, mode)?;
                let read = (0..modalities).map(|m| {
                    let rows = seen.rows_with(m);
                    features[m].as_ref().filter(|_| !rows.is_empty()).map(|f| Ok((pool(&gather_rows(f, &rows)?)?, rows))).transpose()
                });
                (log_levels(&self.estimators, read.collect::<Result<_>>()?, inputs, step)?, mask(seen)?, passes)
            }
            None => {
                let read = (0..modalities).map(|m| {
                    let present = gaussians[m].as_ref().zip(self.estimators.get(m));
                    present
                        .map(|((rows, gaussian), estimator): (&(Vec<u32>, _), _)| Ok((estimator.input(gaussian)?, rows.clone())))
                        .transpose()
                });
                (log_levels(&self.estimators, read.collect::<Result<_>>()?, inputs, step)?, mask(presence)?, 0)
            }
        };
        let (parts, log_level) = if mode.is_train() { (parts, log_level) } else { (parts.detach(), log_level.detach()) };
        let (present, encoder_passes) = (mask(presence)?, passes + noise_passes);
        Ok(Run { parts, log_level, present, estimated, gaussians, encoder_passes })
    }

    /// As [`UdmlConfig::weigh`], with the dependence that was measured.
    pub(crate) fn weights(&self, log_level: &Tensor, present: &Tensor) -> Result<Tensor> {
        self.config.weigh(log_level, &self.dependence.value()?, present)
    }

    /// Sum over modalities of the KL of their features; `levels` is `[batch, modalities]`.
    pub(crate) fn kl(&self, encoded: &Run, levels: &Tensor) -> Result<Tensor> {
        let mut total = Tensor::zeros((), DType::F32, self.parameters.device())?;
        for (m, entry) in encoded.gaussians.iter().enumerate() {
            let Some((rows, gaussian)) = entry else { continue };
            let index = Tensor::from_slice(rows, rows.len(), levels.device())?;
            let variance = match self.config.prior {
                Prior::Standard => None,
                Prior::NoiseLevel => Some(levels.narrow(1, m, 1)?.contiguous()?.squeeze(1)?.index_select(&index, 0)?),
            };
            total = (total + gaussian_kl(&gaussian.mean, &gaussian.log_var, variance.as_ref())?)?;
        }
        Ok(total)
    }
}

/// The parts and log-levels that [`UdmlModel::encode`] left.
fn encoded_parts(encoded: &Encoded) -> Result<(&Tensor, &Tensor)> {
    match encoded.tensors.as_slice() {
        [Some(parts), Some(log_level)] => Ok((parts, log_level)),
        _ => Err(Error::shape("encoded", "parts and log-levels of this model", encoded.tensors.len())),
    }
}

impl Model for UdmlModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let Run { parts, log_level, encoder_passes, .. } = self.run(inputs, inputs.presence(), None)?;
        Ok(Encoded { tensors: vec![Some(parts), Some(log_level)], presence: inputs.presence().clone(), encoder_passes })
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        let (parts, log_level) = encoded_parts(encoded)?;
        let present = Tensor::from_vec(presence.to_mask(self.features.len()), log_level.shape(), log_level.device())?;
        // What is left out has weight 0, but the residual form adds its part all the same.
        let parts = match *presence == encoded.presence {
            true => parts.clone(),
            false => parts.broadcast_mul(&present.unsqueeze(2)?)?,
        };
        let weights = self.weights(log_level, &present)?;
        Ok(Output::new(fused_logits(&parts, &weights, &self.head.bias().detach(), self.config.residual)?))
    }

    /// A combination costs its weights and a sum of parts.
    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        let (parts, log_level) = encoded_parts(encoded)?;
        for (number, some) in subsets.chunks(TOGETHER).enumerate() {
            let mask = Presence::new(some.to_vec()).to_mask(self.features.len());
            let mask = Tensor::from_vec(mask, (some.len(), self.features.len()), log_level.device())?;
            let weights = (0..some.len()).map(|i| {
                let present = mask.narrow(0, i, 1)?.broadcast_as(log_level.shape())?.contiguous()?;
                self.weights(log_level, &present)
            });
            let weights = Tensor::stack(&weights.collect::<Result<Vec<_>>>()?, 0)?;
            let logits = combination_logits(parts, &weights, &mask, &self.head.bias().detach(), self.config.residual)?;
            (0..some.len()).try_for_each(|i| visit(number * TOGETHER + i, Output::new(logits.get(i)?)))?;
        }
        Ok(())
    }

    fn trust(&self, inputs: &Inputs) -> Result<Option<Vec<Vec<SensorTrust>>>> {
        match self.config.weights {
            WeightForm::Dynamic => self.output(inputs)?.trust(inputs.presence(), &self.schema.modalities).map(Some),
            WeightForm::Static => Ok(None),
        }
    }

    fn knows_trust(&self) -> bool {
        self.config.weights == WeightForm::Dynamic
    }

    fn predict_with_trust(&self, inputs: &Inputs) -> Result<(Output, Option<Vec<Vec<SensorTrust>>>)> {
        if !self.knows_trust() {
            return Ok((self.predict(inputs)?, None));
        }
        inputs.check_modalities(&self.schema.modalities)?;
        let output = self.output(inputs)?;
        let trust = output.trust(inputs.presence(), &self.schema.modalities)?;
        Ok((Output::new(output.logits), Some(trust)))
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}
