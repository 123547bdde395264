//! A small transformer over time.

use super::{Encoder, EncoderCost, EncoderKind, EncoderRecipe};
use crate::data::{InputSpec, Reading};
use crate::error::{Error, Result};
use crate::nn::{LayerNorm, Lengths, Linear, Mode, Sequences, attention, gelu, layer_norm};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

pub(super) const NAME: &str = "transformer";

/// Widest vector of a patch.
const LARGEST_WIDTH: usize = 1 << 13;
/// Layers, at most.
const MOST_LAYERS: usize = 128;
/// Patches of a series, at most: attention compares each with each.
const MOST_PATCHES: usize = 1 << 14;
/// Spread of initial weights.
const INITIAL: Init = Init::Randn { mean: 0.0, stdev: 0.02 };
/// Added to the variance in layer normalisations.
const EPS: f64 = 1e-5;

/// For the list of encoders.
pub(super) fn kind() -> EncoderKind {
    EncoderKind::new::<TransformerConfig>(NAME)
}

/// Settings of a [`TransformerEncoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformerConfig {
    /// Steps that become one vector.
    pub patch: usize,
    /// Numbers of such a vector, and of the feature.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of the attention; they divide the width.
    pub heads: usize,
}

impl Default for TransformerConfig {
    fn default() -> Self {
        Self { patch: 5, width: 64, layers: 2, heads: 4 }
    }
}

impl TransformerConfig {
    /// Numbers of a layer: attention, and a feed-forward part of four times the width.
    fn layer_parameters(&self) -> f64 {
        (12 * self.width * self.width + 13 * self.width) as f64
    }
}

impl EncoderRecipe for TransformerConfig {
    fn validate(&self) -> Result<()> {
        let sizes = [
            ("patch", self.patch, 1 << 16),
            ("width", self.width, LARGEST_WIDTH),
            ("layers", self.layers, MOST_LAYERS),
            ("heads", self.heads, self.width.max(1)),
        ];
        for (field, size, most) in sizes {
            if !(1..=most).contains(&size) {
                return Err(Error::config(field, format!("must be 1 to {most}, found {size}")));
            }
        }
        match self.width.is_multiple_of(self.heads) {
            true => Ok(()),
            false => Err(Error::config("heads", format!("{} heads do not divide width = {}", self.heads, self.width))),
        }
    }

    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        match *input.shape {
            [channels, steps] => Ok(Box::new(TransformerEncoder::new([channels, steps], self, vb)?)),
            _ => {
                let problem = format!("`transformer` reads series [channels, steps], but `{name}` has shape {:?}", input.shape);
                Err(Error::config("kind", problem))
            }
        }
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        let patches = input.shape.last().copied().unwrap_or(1).div_ceil(self.patch.max(1)) as f64;
        let (layers, width) = (self.layers as f64, self.width as f64);
        let embedding = (input.shape[0] * self.patch) as f64 * width;
        let of_layers = layers * self.layer_parameters();
        EncoderCost {
            parameters: embedding + patches * width + of_layers,
            // With the scores and weighted values of each layer.
            multiplications: patches * (embedding + of_layers) + layers * 2.0 * patches * patches * width,
            channels: width,
            positions: 1.0,
        }
    }
}

/// Attention and a feed-forward part, each added to its input, which they get normalised (Xiong et al. 2020).
struct Layer {
    heads: usize,
    attention_norm: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    feed_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
}

fn linear(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
    let weight = vb.get_with_hints((outputs, inputs), "weight", INITIAL)?;
    Ok(Linear::new(weight, Some(vb.get_with_hints(outputs, "bias", Init::Const(0.0))?)))
}

impl Layer {
    fn new(&TransformerConfig { width, heads, .. }: &TransformerConfig, vb: VarBuilder) -> Result<Self> {
        let of = |name: &str, inputs, outputs| linear(inputs, outputs, vb.pp(name));
        Ok(Self {
            heads,
            attention_norm: layer_norm(width, EPS, vb.pp("attention_norm"))?,
            query: of("query", width, width)?,
            key: of("key", width, width)?,
            value: of("value", width, width)?,
            attention_output: of("attention_output", width, width)?,
            feed_norm: layer_norm(width, EPS, vb.pp("feed_norm"))?,
            intermediate: of("intermediate", width, 4 * width)?,
            output: of("output", 4 * width, width)?,
        })
    }

    /// Patches of all series one behind the other, `[rows, width]`.
    fn forward(&self, x: &Tensor, series: &Sequences) -> Result<Tensor> {
        let normal = self.attention_norm.forward(x)?;
        let (query, key, value) = (self.query.forward(&normal)?, self.key.forward(&normal)?, self.value.forward(&normal)?);
        let x = (x + self.attention_output.forward(&attention(&query, &key, &value, self.heads, series)?)?)?;
        let normal = self.feed_norm.forward(&x)?;
        Ok((&x + self.output.forward(&gelu(&self.intermediate.forward(&normal)?)?)?)?)
    }
}

/// Patches of some steps, each a vector, through layers of attention (Vaswani et al. 2017), and their mean: `[batch, channels, steps]` to
/// `[batch, width]`.
///
/// [`Reading::lengths`] says how many steps each sample has: a series is as many patches as these fill, the last one filled up with zeros,
/// and attends to its own patches alone. What stands behind the lengths changes nothing, and nothing is computed for it; a sample without
/// steps has the feature zero.
///
/// Parameters: `embedding.{weight, bias}`, `[width, channels * patch]`, `positions`, `[patches, width]`, of layer `i` those of
/// `layers.i.{attention_norm, query, key, value, attention_output, feed_norm, intermediate, output}`, and `norm.{weight, bias}`. There is no
/// dropout.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use mm_core::data::Reading;
/// use mm_core::encoder::{Encoder, TransformerConfig, TransformerEncoder};
/// use mm_core::nn::{Mode, Parameters};
/// let parameters = Parameters::new(0, &Device::Cpu);
/// let encoder = TransformerEncoder::new([3, 100], &TransformerConfig::default(), parameters.builder())?;
/// let reading = Reading { values: Tensor::rand(0f32, 1.0, (2, 3, 100), &Device::Cpu)?, lengths: None };
/// assert_eq!(encoder.forward(&reading, Mode::Eval)?.dims(), [2, 64]);
/// # Ok::<(), mm_core::Error>(())
/// ```
pub struct TransformerEncoder {
    embedding: Linear,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    patch: usize,
    feature_shape: [usize; 1],
}

impl TransformerEncoder {
    /// Builds the layers for series of at most so many steps.
    pub fn new([channels, steps]: [usize; 2], config: &TransformerConfig, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let patches = steps.div_ceil(config.patch);
        if patches > MOST_PATCHES {
            let problem = format!("{steps} steps are {patches} patches, more than {MOST_PATCHES}");
            return Err(Error::config("patch", format!("{problem}: take more steps to a patch, or shorter series")));
        }
        Ok(Self {
            embedding: linear(channels * config.patch, config.width, vb.pp("embedding"))?,
            positions: vb.get_with_hints((patches, config.width), "positions", INITIAL)?,
            layers: (0..config.layers).map(|i| Layer::new(config, vb.pp("layers").pp(i))).collect::<Result<_>>()?,
            norm: layer_norm(config.width, EPS, vb.pp("norm"))?,
            patch: config.patch,
            feature_shape: [config.width],
        })
    }

    /// `[batch, channels, steps]` as rows `[batch * patches, channels * patch]`.
    fn patches(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, steps) = x.dims3()?;
        let patches = steps.div_ceil(self.patch);
        let whole = x.pad_with_zeros(2, 0, patches * self.patch - steps)?;
        let cut = whole.reshape((batch, channels, patches, self.patch))?.transpose(1, 2)?;
        Ok(cut.reshape((batch * patches, channels * self.patch))?)
    }
}

impl Encoder for TransformerEncoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        let &[batch, _, steps] = reading.values.dims() else {
            return Err(Error::shape("series", "[batch, channels, steps]", reading.values.dims()));
        };
        let (device, width, patches) = (reading.values.device(), self.feature_shape[0], steps.div_ceil(self.patch));
        if patches > self.positions.dim(0)? {
            let longest = self.positions.dim(0)? * self.patch;
            return Err(Error::shape("series", format!("at most {longest} steps"), reading.values.dims()));
        }
        let lengths = Lengths::of(reading.lengths.as_ref(), steps)?;
        let mut x = self.patches(&match &lengths {
            Some(lengths) => lengths.zero_behind(&reading.values.unsqueeze(2)?)?.squeeze(2)?,
            None => reading.values.clone(),
        })?;
        let counts = lengths.map_or_else(|| vec![patches; batch], |lengths| lengths.strided(self.patch).steps().to_vec());
        let series = Sequences::new(&counts);
        if series.rows() == 0 {
            return Ok(Tensor::zeros((batch, width), reading.values.dtype(), device)?);
        }
        let rows = |place: &dyn Fn(usize, usize) -> usize| {
            let rows = counts.iter().enumerate().flat_map(|(n, count)| (0..*count).map(move |at| place(n, at) as u32));
            Tensor::from_vec(rows.collect::<Vec<u32>>(), series.rows(), device)
        };
        if series.rows() < batch * patches {
            x = x.index_select(&rows(&|n, at| n * patches + at)?, 0)?;
        }
        let positions = self.positions.index_select(&rows(&|_, at| at)?, 0)?;
        let mut x = mode.result((self.embedding.forward(&x)? + positions)?);
        for layer in &self.layers {
            x = mode.result(layer.forward(&x, &series)?);
        }
        let x = self.norm.forward(&x)?;
        let shares: Vec<f64> = counts.iter().flat_map(|count| std::iter::repeat_n(1.0 / *count as f64, *count)).collect();
        let shares = Tensor::from_vec(shares, (series.rows(), 1), device)?.to_dtype(x.dtype())?;
        let sums = Tensor::zeros((batch, width), x.dtype(), device)?;
        Ok(sums.index_add(&rows(&|n, _| n)?, &x.broadcast_mul(&shares)?, 0)?)
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
