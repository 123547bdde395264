//! One network for all combinations, as the baselines deploy it.

use crate::{FusionConfig, Imputation};
use candle_core::{DType, Tensor};
use mm_core::data::Inputs;
use mm_core::data::Schema;
use mm_core::fusion::{FusionModel, FusionNetwork};
use mm_core::model::{Encoded, Output, Visit};
use mm_core::nn::Parameters;
use mm_core::recipe::Setup;
use mm_core::{ModalityError, Model, Presence, Result, Subset};

/// A fusion network that reads the modalities it was trained on, with zeros or the training mean in place of what is absent.
pub struct BaselineModel {
    model: FusionModel,
    /// The modalities that training knows.
    reads: Subset,
    imputation: Imputation,
}

impl BaselineModel {
    pub(crate) fn new(config: &FusionConfig, setup: &Setup) -> Result<Self> {
        let modalities = &setup.schema().modalities;
        config.missing.check(modalities)?;
        let reads = config.missing.fixed(modalities)?.unwrap_or(modalities.full());
        let model = FusionModel::new(&config.network, setup.schema(), setup.parameters())?;
        Ok(Self { model, reads, imputation: config.imputation })
    }

    /// The network.
    pub fn network(&self) -> &FusionNetwork {
        self.model.network()
    }

    /// What it reads of a combination; an error where that is nothing.
    fn read(&self, subset: Subset) -> Result<Subset> {
        subset.intersection(self.reads).ok_or_else(|| {
            let [has, reads] = [subset, self.reads].map(|subset| self.schema().modalities.format(subset));
            ModalityError::NotRead { sample: None, has, reads, all: false }.into()
        })
    }

    fn read_all(&self, presence: &Presence) -> Result<Presence> {
        Ok(Presence::new(presence.subsets().iter().map(|&has| self.read(has)).collect::<Result<_>>()?))
    }

    /// The feature of an input of zeros, which is the training mean after standardisation: `[1, ..]`, by modality.
    fn mean_features(&self, inputs: &Inputs) -> Result<Vec<Option<Tensor>>> {
        let schema = self.schema();
        let zeros = schema.inputs.iter().map(|input| {
            let dims: Vec<usize> = std::iter::once(1).chain(input.shape.iter().copied()).collect();
            Ok(Some(Tensor::zeros(dims, DType::F32, inputs.device())?))
        });
        let full = Presence::uniform(schema.modalities.full(), 1);
        let zeros = Inputs::new(&schema.modalities, zeros.collect::<Result<Vec<_>>>()?, full.clone(), vec![0])?;
        Ok(self.network().encoders().forward(&zeros, &full, self.model.mode())?.0)
    }
}

impl Model for BaselineModel {
    fn schema(&self) -> &Schema {
        self.model.schema()
    }

    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    /// With mean imputation, the features of the mean come behind those of the samples.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        let mut encoded = self.model.encode(&inputs.with_presence(self.read_all(inputs.presence())?)?)?;
        if self.imputation == Imputation::Mean {
            let means = self.mean_features(inputs)?;
            encoded.encoder_passes += means.len();
            encoded.tensors.extend(means);
        }
        Ok(encoded)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        let presence = &self.read_all(presence)?;
        encoded.check(presence)?;
        match self.imputation {
            Imputation::ZeroFeature => self.model.fuse(encoded, presence),
            Imputation::Mean => {
                let (features, means) = encoded.tensors.split_at(self.schema().modalities.len());
                let chosen = features
                    .iter()
                    .zip(means)
                    .enumerate()
                    .map(|(m, (feature, mean))| mean.as_ref().map(|mean| choose(feature.as_ref(), mean, presence, m)).transpose());
                Ok(self.network().fuse(&chosen.collect::<Result<Vec<_>>>()?, self.model.mode())?.detach())
            }
        }
    }

    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        match self.imputation {
            Imputation::ZeroFeature => {
                let read: Vec<Subset> = subsets.iter().map(|&subset| self.read(subset)).collect::<Result<_>>()?;
                self.model.visit_encoded(encoded, &read, visit)
            }
            Imputation::Mean => {
                let batch = encoded.presence.len();
                subsets.iter().enumerate().try_for_each(|(i, &subset)| visit(i, self.fuse(encoded, &Presence::uniform(subset, batch))?))
            }
        }
    }

    fn reads(&self) -> Subset {
        self.reads
    }

    fn supports(&self, subset: Subset) -> bool {
        subset.intersection(self.reads).is_some()
    }

    fn freeze(&mut self) {
        self.model.freeze();
    }
}

/// The sample's own feature where present, the mean's elsewhere.
pub(crate) fn choose(feature: Option<&Tensor>, mean: &Tensor, presence: &Presence, m: usize) -> Result<Tensor> {
    let present: Vec<u8> = presence.subsets().iter().map(|s| u8::from(s.contains(m))).collect();
    let mut dims = mean.dims().to_vec();
    dims[0] = present.len();
    let mean = mean.broadcast_as(dims.as_slice())?;
    let Some(feature) = feature else { return Ok(mean.contiguous()?) };
    if present.iter().all(|&p| p == 1) {
        return Ok(feature.clone());
    }
    if present.iter().all(|&p| p == 0) {
        return Ok(mean.contiguous()?);
    }
    let mut mask_dims = vec![1; dims.len()];
    mask_dims[0] = present.len();
    let mask = Tensor::from_vec(present, mask_dims, feature.device())?.broadcast_as(dims.as_slice())?;
    Ok(mask.where_cond(feature, &mean.contiguous()?)?)
}
