//! Pyramid pooling (Zhao et al. 2017): every position sees means over large parts of the map.

use crate::error::{Error, Result};
use crate::nn::{Conv2dConfig, ConvNorm, Mode, adaptive_avg_pool2d, check_widths, conv_norm, upsample_nearest2d};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Pyramid pooling as written in a configuration; by default means over 1x1 and 5x5 parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContextConfig {
    /// Into how many parts height and width are divided, a branch each.
    pub bins: Vec<usize>,
    /// The adaptive form: height and width of the deepest map in training, 1/32 of the images'. On larger maps there are as many more parts,
    /// so that a part stays as large as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapted_to: Option<[usize; 2]>,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self { bins: vec![1, 5], adapted_to: None }
    }
}

impl ContextConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        if self.bins.is_empty() || self.bins.len() > 16 || self.bins.iter().any(|bins| !(1..=256).contains(bins)) {
            let problem = format!("1 to 16 branches that divide a side into 1 to 256 parts are possible, found {:?}", self.bins);
            return Err(Error::config("context.bins", problem));
        }
        match self.adapted_to {
            Some(size) if size.contains(&0) => {
                Err(Error::config("context.adapted_to", format!("height and width of a map are above 0, found {size:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Parts of a map of this size for a branch.
    fn parts(&self, bins: usize, size: (usize, usize)) -> (usize, usize) {
        // Rounded to the next whole number.
        let times = |size: usize, trained: usize| ((2 * size + trained) / (2 * trained)).max(1);
        match self.adapted_to {
            None => (bins, bins),
            Some([height, width]) => (bins * times(size.0, height), bins * times(size.1, width)),
        }
    }
}

/// Means over parts of the map, 1x1 convolutions of them, enlarged by nearest neighbour; and a 1x1 convolution of all with the map.
///
/// Parameters: `features.<branch>.1.{conv, bn}.*` (in the adaptive form, as published, without the `1.`) and `final_conv.{conv, bn}.*`.
pub struct PyramidPooling {
    config: ContextConfig,
    branches: Vec<ConvNorm>,
    last: ConvNorm,
}

impl PyramidPooling {
    /// From maps of so many channels to `outputs`.
    pub fn new(config: &ContextConfig, channels: usize, outputs: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        check_widths("context", &[channels, outputs])?;
        let reduced = (channels / config.bins.len()).max(1);
        let pointwise = |channels, vb: VarBuilder| conv_norm(channels, (1, 1), Conv2dConfig::default(), vb.pp("conv"), vb.pp("bn"));
        let branch = |i: usize| {
            let vb = vb.pp("features").pp(i);
            pointwise((channels, reduced), if config.adapted_to.is_some() { vb } else { vb.pp(1) })
        };
        let branches = (0..config.bins.len()).map(branch).collect::<candle_core::Result<_>>()?;
        let last = pointwise((channels + reduced * config.bins.len(), outputs), vb.pp("final_conv"))?;
        Ok(Self { config: config.clone(), branches, last })
    }

    /// `[batch, channels, height, width]` to `[batch, outputs, height, width]`.
    pub fn forward(&self, map: &Tensor, mode: Mode) -> Result<Tensor> {
        let (_, _, height, width) = map.dims4()?;
        let mut all = vec![map.clone()];
        for (branch, &bins) in self.branches.iter().zip(&self.config.bins) {
            let means = adaptive_avg_pool2d(map, self.config.parts(bins, (height, width)))?;
            all.push(upsample_nearest2d(&branch.forward_relu(&means, mode)?, (height, width))?);
        }
        Ok(mode.result(self.last.forward_relu(&Tensor::cat(&all, 1)?, mode)?))
    }
}
