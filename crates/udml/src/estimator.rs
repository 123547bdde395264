//! The noise-aware estimator (section 2.2): from a feature's distribution to the noise level of its input.

use crate::{EstimatorInput, GaussianFeature, UdmlConfig};
use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use mm_core::Result;
use mm_core::data::Inputs;
use mm_core::fusion::pool;
use mm_core::nn::{Linear, dropout, linear, scatter_rows};
use mm_core::rng::Draws;
use mm_core::train::Step;

/// `Σ_m mean_b (t_m[b] - s_m[b])²` with the predicted level `t = exp(x / 2)`: log-levels x and true levels s are
/// `[batch, modalities]`; with `present` (1 or 0, of the same shape) the mean is over the samples that have the modality.
pub fn noise_level_loss(log_level: &Tensor, level: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    mean_over_present(&((log_level / 2.0)?.exp()? - level)?.sqr()?, present)
}

/// `Σ_m mean_b (ln t_m[b] - ln s_m[b])²` with `ln t = x / 2`; shapes as in [`noise_level_loss`]. Ours, not published.
pub fn log_noise_level_loss(log_level: &Tensor, level: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    mean_over_present(&((log_level / 2.0)? - level.log()?)?.sqr()?, present)
}

fn mean_over_present(error: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    match present {
        None => Ok(error.mean(0)?.sum_all()?),
        Some(present) => Ok((error.mul(present)?.sum(0)? / present.sum(0)?.maximum(1.0)?)?.sum_all()?),
    }
}

/// Two layers from the pooled feature to the log-level x. Parameters: `0.*` and `1.*`.
pub(crate) struct NoiseEstimator {
    input: EstimatorInput,
    dropout: f32,
    first: Linear,
    second: Linear,
}

impl NoiseEstimator {
    /// For a probabilistic feature of so many channels, or one of an own encoder.
    pub fn new(channels: usize, config: &UdmlConfig, vb: VarBuilder) -> Result<Self> {
        let inputs = match config.estimator_input {
            EstimatorInput::SpreadDetached | EstimatorInput::OwnEncoder => channels,
            EstimatorInput::Feature | EstimatorInput::FeatureDetached => 2 * channels,
        };
        Self::of_width(inputs, config, vb)
    }

    /// Reads so many numbers.
    pub fn of_width(inputs: usize, config: &UdmlConfig, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            input: config.estimator_input,
            dropout: config.estimator_dropout,
            first: linear(inputs, config.estimator_width, vb.pp(0))?,
            second: linear(config.estimator_width, 1, vb.pp(1))?,
        })
    }

    /// What the estimator reads of a probabilistic feature: `[rows, 2 channels]`, or the spread alone.
    pub fn input(&self, feature: &GaussianFeature) -> Result<Tensor> {
        match self.input {
            EstimatorInput::SpreadDetached => Ok(pool(&feature.spread()?)?.detach()),
            EstimatorInput::FeatureDetached => Ok(Tensor::cat(&[pool(&feature.mean)?, pool(&feature.log_var)?], 1)?.detach()),
            _ => Ok(Tensor::cat(&[pool(&feature.mean)?, pool(&feature.log_var)?], 1)?),
        }
    }

    /// Log-levels `[rows, 1]`; dropout only where the rows' ids and their draws are given.
    pub fn forward(&self, input: &Tensor, random: Option<(&[u64], &Draws)>) -> Result<Tensor> {
        let mut hidden = match self.input {
            // The published estimator is affine.
            EstimatorInput::SpreadDetached => self.first.forward(input)?,
            _ => self.first.forward_relu(input)?,
        };
        if let Some((ids, draws)) = random {
            hidden = dropout(&hidden, self.dropout, ids, draws)?;
        }
        Ok(self.second.forward(&hidden)?)
    }
}

/// Log-levels `[samples, modalities]` from what each estimator reads, `[rows, ..]`, and its rows; 0 elsewhere.
pub(crate) fn log_levels(
    estimators: &[NoiseEstimator],
    read: Vec<Option<(Tensor, Vec<u32>)>>,
    inputs: &Inputs,
    step: Option<&Step>,
) -> Result<Tensor> {
    let of_modality = |(m, input): (usize, Option<(Tensor, Vec<u32>)>)| match (input, estimators.get(m)) {
        (Some((input, rows)), Some(estimator)) => {
            let draws = step.map(|step| step.draws(&format!("estimator dropout {m}")));
            let ids = ids_of(inputs, &rows);
            let levels = estimator.forward(&input, draws.as_ref().map(|draws| (ids.as_slice(), draws)))?;
            Ok(scatter_rows(&levels, &rows, inputs.len())?)
        }
        _ => Ok(Tensor::zeros((inputs.len(), 1), DType::F32, inputs.device())?),
    };
    let columns = read.into_iter().enumerate().map(of_modality).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&columns, 1)?)
}

/// The numbers of the samples in some rows.
pub(crate) fn ids_of(inputs: &Inputs, rows: &[u32]) -> Vec<u64> {
    rows.iter().map(|&row| inputs.ids()[row as usize]).collect()
}
