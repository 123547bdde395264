//! The method as a whole: encoders, probabilistic features, estimators, weights and head, and when each acts.

use crate::dependence::Dependence;
use crate::estimator::NoiseEstimator;
use crate::head::combination_logits;
use crate::{
    ConcatHead, DependenceForm, EstimatorInput, GaussianFeature, LevelLoss, Prior, SensorTrust, UdmlConfig, UdmlOutput, WeightForm,
    fused_logits, gaussian_kl, inject_noise, leave_one_out_dependence, log_noise_level_loss, lone_modality_dependence, noise_level_loss,
    reparameterize, soften, udml_weights, unimodal_logits,
};
use candle_core::{DType, Device, Tensor};
use mm_core::data::{Batch, Schema};
use mm_core::fusion::{Encoders, pool};
use mm_core::loss::cross_entropy;
use mm_core::loss::cross_entropy_per_sample;
use mm_core::nn::{GaussianHeads, GaussianHeadsConfig, Mode, Parameters, scatter_rows};
use mm_core::predict::{Predictions, Predictor};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Presence, Result, Subset, rng};

/// Largest gradient norm where the training settings name none. With two or three rows in a batch, a batch normalisation passes on
/// gradients of hundreds, and the head, which reads samples of the features directly, answers with larger ones in the next step.
/// Batches of 16 and more stay below, so that nothing is cut there.
const CLIP_NORM: f64 = 30.0;

/// UDML: fusion that estimates how noisy each modality of each sample is, and trusts the cleaner ones.
///
/// Parameters: `encoders.<modality>.*`, `features.<modality>.{mean, log_var}.*`, `estimators.<modality>.*`,
/// `head.{weight, bias}` and `dependence.running_mean`. All of them are deployed, and they are all that training carries from
/// step to step.
pub struct Udml {
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
}

/// Puts a [`Udml`] together.
pub struct UdmlBuilder {
    schema: Schema,
    config: UdmlConfig,
    seed: u64,
    device: Device,
}

impl UdmlBuilder {
    /// Settings other than the defaults.
    pub fn config(mut self, config: UdmlConfig) -> Self {
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

    /// A model to be trained, or to load weights into with [`Parameters::load`] on [`Method::parameters`].
    pub fn build(self) -> Result<Udml> {
        self.config.validate()?;
        self.config.missing.check(&self.schema.modalities)?;
        let parameters = Parameters::new(self.seed, &self.device);
        let vb = parameters.builder();
        let encoders = Encoders::build(&self.config.network, &self.schema, vb.pp("encoders"))?;
        // The head reads features pooled over positions: one number a channel.
        let widths: Vec<usize> = encoders.feature_shapes().iter().map(|shape| shape[0]).collect();
        let named = || self.schema.modalities.names().iter().zip(&widths);
        let heads = GaussianHeadsConfig { bias: self.config.feature_bias, norm: true };
        let features = named().map(|(name, &width)| GaussianHeads::new(width, heads, vb.pp("features").pp(name)));
        let features = features.collect::<Result<_>>()?;
        let estimators = named().filter(|_| self.config.weights == WeightForm::Dynamic);
        let estimators = estimators.map(|(name, &width)| NoiseEstimator::new(width, &self.config, vb.pp("estimators").pp(name)));
        let estimators = estimators.collect::<Result<_>>()?;
        let own = self.config.weights == WeightForm::Dynamic && self.config.estimator_input == EstimatorInput::OwnEncoder;
        let noise_encoders = own.then(|| Encoders::build(&self.config.network, &self.schema, vb.pp("noise_encoders"))).transpose()?;
        let dependence = Dependence::new(widths.len(), self.config.dependence_momentum, vb.pp("dependence"))?;
        let head = ConcatHead::build(widths.clone(), self.schema.target.classes(), vb.pp("head"))?;
        Ok(Udml { config: self.config, schema: self.schema, parameters, encoders, features, estimators, noise_encoders, head, dependence })
    }
}

/// What one run of the encoders gives.
struct Encoded {
    /// Share of each modality in the logits, `[batch, modalities, classes]`; 0 where absent.
    parts: Tensor,
    /// Log-levels `[batch, modalities]`; 0 where absent.
    log_level: Tensor,
    /// 1 or 0, `[batch, modalities]`.
    present: Tensor,
    /// Where a level was estimated, which may be more: 1 or 0, `[batch, modalities]`.
    estimated: Tensor,
    /// By modality: the rows that have it, and the distribution of their features.
    gaussians: Vec<Option<(Vec<u32>, GaussianFeature)>>,
    encoder_passes: usize,
}

impl Udml {
    /// A builder for data of this schema.
    pub fn builder(schema: Schema) -> UdmlBuilder {
        UdmlBuilder { schema, config: UdmlConfig::default(), seed: 0, device: Device::Cpu }
    }

    /// The settings.
    pub fn config(&self) -> &UdmlConfig {
        &self.config
    }

    /// How much the model relies on each modality: positive, `[modalities]`; all equal before the first step.
    pub fn dependence(&self) -> Result<Tensor> {
        self.dependence.value()
    }

    /// Logits, noise levels and weights, each sample with the modalities that it has.
    pub fn output(&self, batch: &Batch) -> Result<UdmlOutput> {
        let encoded = self.encode(batch, &batch.presence, None)?;
        let weights = self.weights(&encoded.log_level, &encoded.present)?;
        let (bias, residual) = (&self.head.bias().detach(), self.config.residual);
        Ok(UdmlOutput {
            logits: fused_logits(&encoded.parts, &weights, bias, residual)?,
            unimodal_logits: unimodal_logits(&encoded.parts, &weights, bias, residual)?,
            levels: (encoded.log_level / 2.0)?.exp()?.mul(&encoded.present)?,
            weights,
        })
    }

    /// How far each sensor of each sample is trusted; only the modalities that the sample has.
    pub fn trust(&self, batch: &Batch) -> Result<Vec<Vec<SensorTrust>>> {
        self.output(batch)?.trust(&batch.presence, &self.schema.modalities)
    }

    /// Runs encoders, distribution heads and estimators on what is present; with a `step` in training mode.
    fn encode(&self, batch: &Batch, presence: &Presence, step: Option<&Step>) -> Result<Encoded> {
        let mode = if step.is_some() { Mode::Train } else { Mode::Eval };
        let (samples, modalities) = (batch.len(), self.features.len());
        let encoded = match step.is_some() && self.config.network.encode_dropped {
            true => self.encoders.forward(batch, &batch.presence, mode)?,
            false => self.encoders.forward(batch, presence, mode)?,
        };
        let device = self.parameters.device();
        let classes = self.head.bias().dim(0)?;
        let (mut parts, mut gaussians) = (Vec::new(), Vec::new());
        for (m, feature) in encoded.tensors.iter().enumerate() {
            let rows = presence.rows_with(m);
            let Some(feature) = feature.as_ref().filter(|_| !rows.is_empty()) else {
                parts.push(Tensor::zeros((samples, classes), DType::F32, device)?);
                gaussians.push(None);
                continue;
            };
            let gaussian = self.features[m].forward(&gather(feature, &rows)?, mode)?;
            let sample = match step {
                Some(step) => {
                    let noise = rng::standard_normal(&mut step.rng(&format!("feature sample {m}")), gaussian.mean.elem_count());
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
                let seen = if mode.is_train() { &batch.presence } else { presence };
                let features = encoders.forward(batch, seen, mode)?;
                let inputs = (0..modalities).map(|m| {
                    let rows = seen.rows_with(m);
                    features.tensors[m].as_ref().filter(|_| !rows.is_empty()).map(|f| Ok((pool(&gather(f, &rows)?)?, rows))).transpose()
                });
                (self.log_levels(inputs.collect::<Result<_>>()?, samples, step)?, mask(seen)?, features.encoder_passes)
            }
            None => {
                let inputs = (0..modalities).map(|m| {
                    let present = gaussians[m].as_ref().zip(self.estimators.get(m));
                    present
                        .map(|((rows, gaussian), estimator): (&(Vec<u32>, _), _)| Ok((estimator.input(gaussian)?, rows.clone())))
                        .transpose()
                });
                (self.log_levels(inputs.collect::<Result<_>>()?, samples, step)?, mask(presence)?, 0)
            }
        };
        let (parts, log_level) = if mode.is_train() { (parts, log_level) } else { (parts.detach(), log_level.detach()) };
        let (present, encoder_passes) = (mask(presence)?, encoded.encoder_passes + noise_passes);
        Ok(Encoded { parts, log_level, present, estimated, gaussians, encoder_passes })
    }

    /// Log-levels `[samples, modalities]` from what each estimator reads, `[rows, ..]`, and its rows; 0 elsewhere.
    fn log_levels(&self, inputs: Vec<Option<(Tensor, Vec<u32>)>>, samples: usize, step: Option<&Step>) -> Result<Tensor> {
        let of_modality = |(m, input): (usize, Option<(Tensor, Vec<u32>)>)| match (input, self.estimators.get(m)) {
            (Some((input, rows)), Some(estimator)) => {
                let mut dropout = step.map(|step| step.rng(&format!("estimator dropout {m}")));
                Ok(scatter_rows(&estimator.forward(&input, dropout.as_mut())?, &rows, samples)?)
            }
            _ => Ok(Tensor::zeros((samples, 1), DType::F32, self.parameters.device())?),
        };
        let columns = inputs.into_iter().enumerate().map(of_modality).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&columns, 1)?)
    }

    /// Dynamic weights (Eq. of section 2.5, softened as configured), or 1 for what is present in static fusion.
    fn weights(&self, log_level: &Tensor, present: &Tensor) -> Result<Tensor> {
        if self.config.weights == WeightForm::Static {
            return Ok(present.clone());
        }
        let mut weights = udml_weights(&(log_level / self.config.temperature)?, &self.dependence.value()?, Some(present))?;
        if self.config.even_when_noisy > 0.0 {
            weights = soften(&weights, log_level, present, f64::from(self.config.noise.max_level), self.config.even_when_noisy)?;
        }
        if self.config.weight_floor > 0.0 {
            weights = ((weights * (1.0 - self.config.weight_floor))? + (present * self.config.weight_floor)?)?;
        }
        Ok(weights)
    }

    /// Sum over modalities of the KL of their features; `levels` is `[batch, modalities]`.
    fn kl(&self, encoded: &Encoded, levels: &Tensor) -> Result<Tensor> {
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

/// The rows of a feature `[batch, ..]` that have the modality (ascending).
fn gather(feature: &Tensor, rows: &[u32]) -> Result<Tensor> {
    match rows.len() == feature.dim(0)? {
        true => Ok(feature.clone()),
        false => Ok(feature.index_select(&Tensor::from_slice(rows, rows.len(), feature.device())?, 0)?),
    }
}

impl Predictor for Udml {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        let encoded = self.encode(batch, &batch.presence, None)?;
        let weights = self.weights(&encoded.log_level, &encoded.present)?;
        fused_logits(&encoded.parts, &weights, &self.head.bias().detach(), self.config.residual)
    }

    /// Every modality is encoded once; a combination costs its weights and a sum of parts.
    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        if subsets.is_empty() {
            return Err(Error::Modality("no combination was asked for".into()));
        }
        let encoded = self.encode(batch, &batch.presence, None)?;
        let modalities = self.features.len();
        let mask = Presence::new(subsets.to_vec()).to_mask(modalities);
        let mask = Tensor::from_vec(mask, (subsets.len(), modalities), batch.device())?;
        let weights = (0..subsets.len()).map(|i| {
            let present = mask.narrow(0, i, 1)?.broadcast_as(encoded.log_level.shape())?.contiguous()?;
            self.weights(&encoded.log_level, &present)
        });
        let weights = Tensor::stack(&weights.collect::<Result<Vec<_>>>()?, 0)?;
        let logits = combination_logits(&encoded.parts, &weights, &mask, &self.head.bias().detach(), self.config.residual)?;
        Ok(Predictions { logits, encoder_passes: encoded.encoder_passes })
    }
}

impl Method for Udml {
    /// Section 2.7: `L_fus + λ_u L_uni + λ_kl Σ KL + λ_l L_unc`.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let modalities = self.schema.modalities.len();
        let progress = step.epoch as f64 / step.epochs.max(1) as f64;
        let drawn = self.config.missing.draw(&batch.presence, &self.schema.modalities, &mut step.rng("missing"))?;
        let clean = crate::NoiseConfig::clean();
        let noise = if progress < self.config.clean_share { &clean } else { &self.config.noise };
        let noisy = inject_noise(batch, noise, step.seed, step.epoch as u64)?;
        let encoded = self.encode(&noisy.batch, &drawn, Some(step))?;

        let log_level = if self.config.detach_weights { encoded.log_level.detach() } else { encoded.log_level.clone() };
        let weights = match progress < self.config.static_share {
            true => self.weights(&log_level.zeros_like()?, &encoded.present)?,
            false => self.weights(&log_level, &encoded.present)?,
        };
        let (bias, residual) = (self.head.bias(), self.config.residual);
        let logits = fused_logits(&encoded.parts, &weights, bias, residual)?;
        let unimodal = unimodal_logits(&encoded.parts, &weights, bias, residual)?;

        let mut losses = Losses::new("task", cross_entropy(&logits, &batch.labels)?);
        if self.config.lambda_unimodal > 0.0 {
            let labels = batch.labels.unsqueeze(1)?.broadcast_as((batch.len(), modalities))?.flatten_all()?;
            let each = cross_entropy_per_sample(&unimodal.flatten(0, 1)?, &labels)?;
            let mean = (each.mul(&encoded.present.flatten_all()?)?.sum_all()? / (batch.len() * modalities) as f64)?;
            losses = losses.with("unimodal", self.config.lambda_unimodal, mean);
        }
        if self.config.lambda_kl > 0.0 {
            losses = losses.with("kl", self.config.lambda_kl, self.kl(&encoded, &noisy.levels)?);
        }
        if self.config.weights == WeightForm::Dynamic {
            let loss = match self.config.level_loss {
                LevelLoss::Log => log_noise_level_loss,
                LevelLoss::Squared => noise_level_loss,
            };
            let level = loss(&encoded.log_level, &noisy.levels, Some(&encoded.estimated))?;
            losses = losses.with("level", self.config.lambda_level, level);
        }
        // Measured after the forward pass, used in the next step.
        self.dependence.update(&match self.config.dependence {
            DependenceForm::LeaveOneOut => leave_one_out_dependence(&encoded.parts, Some(&encoded.present))?,
            DependenceForm::LoneModality => lone_modality_dependence(&unimodal, Some(&encoded.present))?,
        })?;
        Ok(losses)
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        self.config.missing.check_samples(train, &self.schema.modalities)
    }

    fn clip_norm(&self) -> Option<f64> {
        Some(CLIP_NORM)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
