//! A first convolution for other channels than the published one's three.

use crate::error::Result;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// How the weights of a convolution for other channels are made of published ones `[outputs, channels, height, width]`. The new channels
/// are all alike; where the number of channels is the same, nothing changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelRule {
    /// Each of N channels gets the sum over the published ones divided by N: N equal channels give what the published network gives for
    /// a grey picture, whose three channels are equal.
    #[default]
    Sum,
    /// Each gets the mean over the published ones: a channel weighs as much as one of them did.
    Mean,
}

impl ChannelRule {
    /// The weights for so many channels, at least 1.
    pub fn adapted(self, published: &Tensor, channels: usize) -> Result<Tensor> {
        let found = published.dim(1)?;
        if found == channels {
            return Ok(published.clone());
        }
        let divisor = match self {
            Self::Sum => channels,
            Self::Mean => found,
        };
        let one = (published.sum_keepdim(1)? / divisor.max(1) as f64)?;
        let mut shape = published.dims().to_vec();
        shape[1] = channels;
        Ok(one.broadcast_as(shape)?.contiguous()?)
    }
}
