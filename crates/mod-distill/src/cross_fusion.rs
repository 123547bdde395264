//! The network that fuses the sensors themselves by cross translation: what the method's teacher looks like, and a model of its own.

use crate::ConvTranslation;
use candle_core::Tensor;
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::encoder::EncoderConfig;
use mm_core::fusion::{Encoders, NetworkConfig, Trunk, TrunkConfig, keep_present, pool, visit_combination_sums, zero_where_absent};
use mm_core::missing::MissingPattern;
use mm_core::model::{Encoded, Output, Visit};
use mm_core::nn::{Linear, Mode, Parameters, gather_rows, linear, scatter_rows};
use mm_core::recipe::Setup;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, ModalityError, Model, Presence, Result, Subset};
use serde::{Deserialize, Serialize};

/// Settings of a [`CrossFusion`]; the defaults are the published network for small patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossFusionConfig {
    /// The encoders, whose features must be maps of one shape, and the trunk behind the fusion.
    pub network: NetworkConfig,
    /// Channels of each translator.
    pub width: usize,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
}

impl Default for CrossFusionConfig {
    fn default() -> Self {
        let network = NetworkConfig {
            encoder: Some(EncoderConfig::conv([32, 64])),
            trunk: TrunkConfig::Pointwise { widths: vec![128, 64] },
            ..NetworkConfig::default()
        };
        Self { network, width: 128, missing: MissingPattern::Natural }
    }
}

/// An encoder a modality, a [`ConvTranslation`] of their features, trunk and linear head.
///
/// A sample's fusion is the mean over the modalities that it has (published: all). Parameters: `encoders.<modality>.*`,
/// `fusion.translate_<k>.*` with k from 1 in the order of the modalities, `trunk.*`, `head.{weight, bias}`.
pub struct CrossFusion {
    config: CrossFusionConfig,
    schema: Schema,
    parameters: Parameters,
    encoders: Encoders,
    translation: ConvTranslation,
    trunk: Box<dyn Trunk>,
    head: Linear,
    mode: Mode,
}

impl CrossFusion {
    /// A network to be trained, or to be given weights.
    pub fn new(config: CrossFusionConfig, setup: &Setup) -> Result<Self> {
        let schema = setup.schema();
        config.network.validate()?;
        config.missing.check(&schema.modalities)?;
        let parameters = setup.parameters();
        let vb = parameters.builder();
        let names = schema.modalities.names();
        let encoders = Encoders::build(&config.network, schema, vb.pp("encoders"))?;
        let shapes = encoders.feature_shapes();
        if let Some((name, shape)) = names.iter().zip(&shapes).find(|(_, shape)| **shape != shapes[0]) {
            return Err(Error::shape(format!("feature of `{name}`"), format!("{:?}, as that of `{}`", shapes[0], names[0]), shape));
        }
        let translation = ConvTranslation::new(shapes[0], names.len(), config.width, vb.pp("fusion"))?;
        let trunk = config.network.trunk.build(&["fused".to_string()], &[translation.joint_shape()], vb.pp("trunk"))?;
        let head = linear(trunk.feature_shape()[0], schema.target.task().outputs(), vb.pp("head"))?;
        Ok(Self { config, schema: schema.clone(), parameters, encoders, translation, trunk, head, mode: Mode::Eval })
    }

    /// Feature and prediction of samples of which each uses the modalities of `presence` (within what it has).
    pub fn forward(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Output> {
        self.mean_of(self.joints(inputs, presence, mode)?.0, presence, mode)
    }

    /// From joints that are zero where absent, to the prediction.
    fn mean_of(&self, joints: Vec<Option<Tensor>>, presence: &Presence, mode: Mode) -> Result<Output> {
        let sum = joints.into_iter().flatten().map(Ok).reduce(|sum: Result<Tensor>, joint| Ok((sum? + joint?)?));
        let sum = sum.transpose()?.ok_or(ModalityError::NothingInBatch)?;
        let shares: Vec<f32> = presence.subsets().iter().map(|subset| 1.0 / subset.len() as f32).collect();
        let shares = Tensor::from_vec(shares, (presence.len(), 1, 1, 1), sum.device())?;
        self.finish(&sum.broadcast_mul(&shares)?, mode)
    }

    /// The joint of each modality, `[batch, ..]` and zero where it is absent, and how many encoders ran.
    fn joints(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<(Vec<Option<Tensor>>, usize)> {
        let encoded = if mode.is_train() && self.config.network.encode_dropped { inputs.presence() } else { presence };
        let (features, passes) = self.encoders.forward(inputs, encoded, mode)?;
        let joint = |(m, feature): (usize, &Option<Tensor>)| -> Result<Option<Tensor>> {
            let rows = presence.rows_with(m);
            let Some(feature) = feature.as_ref().filter(|_| !rows.is_empty()) else { return Ok(None) };
            // A translator of zeros is not zero: only what is there is translated.
            let joint = self.translation.joint(&gather_rows(feature, &rows)?, mode)?;
            Ok(Some(scatter_rows(&joint, &rows, inputs.len())?))
        };
        Ok((features.iter().enumerate().map(joint).collect::<Result<_>>()?, passes))
    }

    /// Everything behind the mean of the joints.
    fn finish(&self, mean: &Tensor, mode: Mode) -> Result<Output> {
        let feature = self.trunk.forward(&[Some(mean.clone())], mode)?;
        Ok(Output::with_feature(self.head.forward(&pool(&feature)?)?, feature))
    }
}

impl Model for CrossFusion {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Every modality is encoded and translated once.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let (joints, encoder_passes) = self.joints(inputs, inputs.presence(), self.mode)?;
        let tensors = joints.into_iter().map(|joint| joint.map(|joint| joint.detach())).collect();
        Ok(Encoded { tensors, presence: inputs.presence().clone(), encoder_passes })
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        Ok(self.mean_of(keep_present(&encoded.tensors, &[presence])?, presence, self.mode)?.detach())
    }

    /// A combination costs a mean and the trunk.
    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        visit_combination_sums(&zero_where_absent(encoded.tensors.clone())?, subsets, |i, sum| {
            let mean = (sum * f64::from(1.0 / subsets[i].len() as f32))?;
            visit(i, self.finish(&mean.detach(), self.mode)?.detach())
        })
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}

impl Method for CrossFusion {
    fn model(&self) -> &dyn Model {
        self
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        self
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let drawn = self.config.missing.draw_batch(batch.presence(), batch, &self.schema, &step.draws("missing"))?;
        let output = self.forward(batch.inputs(), &drawn, Mode::Train)?;
        Ok(Losses::new("task", self.schema.target.task().loss(&output.prediction, batch.targets())?))
    }
}
