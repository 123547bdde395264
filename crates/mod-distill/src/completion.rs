//! The restored branch of the robust mode: what is missing, restored from the mean of what is there.

use crate::available::AvailableEncoders;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::data::Schema;
use mm_core::fusion::{NetworkConfig, Trunk, pool};
use mm_core::nn::{BatchNorm, Linear, Mode, batch_norm, linear_no_bias, scatter_rows};
use mm_core::{Error, ModalityError, Presence, Result, Subset};

/// One restorer `ReLU(BatchNorm(Linear(mean of the present features)))` for each modality that can be missing, and a trunk behind
/// the features of all modalities, encoded or restored: `<modality>.{linear, norm}.*`, `trunk.*`.
pub(crate) struct Completion {
    /// By modality of the schema.
    restorers: Vec<(Linear, BatchNorm)>,
    trunk: Box<dyn Trunk>,
}

impl Completion {
    /// For the features of these encoders, which must have the same width (pooled).
    pub fn new(config: &NetworkConfig, schema: &Schema, encoders: &AvailableEncoders, vb: VarBuilder) -> Result<Self> {
        let shapes = encoders.feature_shapes();
        let width = shapes[0][0];
        if let Some(other) = shapes.iter().find(|shape| shape[0] != width) {
            let problem = format!("robust mode takes means of features, which needs one width; found {width} and {}", other[0]);
            return Err(Error::config("network.encoders", problem));
        }
        let restorer = |name: &String| -> Result<(Linear, BatchNorm)> {
            let vb = vb.pp(name);
            Ok((linear_no_bias(width, width, vb.pp("linear"))?, batch_norm(width, vb.pp("norm"))?))
        };
        let restorers = schema.modalities.names().iter().map(restorer).collect::<Result<Vec<_>>>()?;
        let trunk = config.trunk.build(schema.modalities.names(), &vec![&[width] as &[usize]; restorers.len()], vb.pp("trunk"))?;
        Ok(Self { restorers, trunk })
    }

    /// The restored feature `[batch, ..]` from encoded ones by modality, zero in the rows that `presence` leaves out.
    pub fn forward(&self, features: &[Option<Tensor>], presence: &Presence, mode: Mode) -> Result<Tensor> {
        let encoded: Vec<Option<Tensor>> = features.iter().map(|f| f.as_ref().map(pool).transpose()).collect::<Result<_>>()?;
        let batch = presence.len();
        let sum = sum(encoded.iter().flatten())?;
        let shares: Vec<f32> = presence.subsets().iter().map(|s| 1.0 / s.len() as f32).collect();
        let mean = sum.broadcast_mul(&Tensor::from_vec(shares, (batch, 1), sum.device())?)?;
        let complete = |(m, encoded): (usize, &Option<Tensor>)| -> Result<Option<Tensor>> {
            let missing: Vec<u32> = (0u32..).zip(presence.subsets()).filter(|(_, s)| !s.contains(m)).map(|(row, _)| row).collect();
            if missing.is_empty() {
                return Ok(encoded.clone());
            }
            let source = match missing.len() == batch {
                true => mean.clone(),
                false => mean.index_select(&Tensor::from_slice(&missing, missing.len(), mean.device())?, 0)?,
            };
            let restored = scatter_rows(&self.restore(m, &source, mode)?, &missing, batch)?;
            Ok(Some(match encoded {
                Some(encoded) => (encoded + restored)?,
                None => restored,
            }))
        };
        let complete: Vec<Option<Tensor>> = encoded.iter().enumerate().map(complete).collect::<Result<_>>()?;
        self.trunk.forward(&complete, mode)
    }

    /// As if every sample had exactly `subset`; rows of samples that lack one of its modalities have no meaning.
    pub fn predict(&self, features: &[Option<Tensor>], subset: Subset, mode: Mode) -> Result<Tensor> {
        // A modality that no sample has counts as zero: there is no valid row then.
        let Some(any) = features.iter().flatten().next() else {
            return Err(ModalityError::NothingInBatch.into());
        };
        let zero = any.zeros_like()?;
        let chosen = |m: usize| subset.contains(m).then(|| features[m].clone().unwrap_or_else(|| zero.clone()));
        let features: Vec<Option<Tensor>> = (0..features.len()).map(chosen).collect();
        self.forward(&features, &Presence::uniform(subset, any.dim(0)?), mode)
    }

    fn restore(&self, modality: usize, mean: &Tensor, mode: Mode) -> Result<Tensor> {
        let (linear, norm) = &self.restorers[modality];
        Ok(norm.forward_relu(&linear.forward(mean)?, mode)?)
    }
}

fn sum<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for tensor in tensors {
        sum = Some(match sum {
            Some(sum) => (sum + tensor)?,
            None => tensor.clone(),
        });
    }
    sum.ok_or_else(|| ModalityError::NothingInBatch.into())
}
