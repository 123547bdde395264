//! BERT (Devlin et al. 2019) and what shares its architecture, such as MiniLM, as the encoder of texts.

mod config;
mod layers;

pub use config::{BertConfig, Pooling};

use super::{Encoder, EncoderKind};
use crate::data::Reading;
use crate::error::{Error, Result};
use crate::nn::{Mode, Sequences, l2_normalize, scatter_rows};
use crate::text::TextError;
use crate::weights::NameMap;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use layers::{Embeddings, Layer};

pub(super) const NAME: &str = "bert";

/// Below this a feature is not divided by its length.
const SHORTEST: f64 = 1e-12;

/// For the list of encoders.
pub(super) fn kind() -> EncoderKind {
    EncoderKind::new::<BertConfig>(NAME).with_checkpoint_settings(BertConfig::settings_of)
}

/// Token ids `[batch, length]` to a vector a text, `[batch, hidden_size]`.
///
/// `Reading::lengths` says how many tokens each text has; what stands behind them is never read, and a text without tokens has the
/// feature zero. Without lengths every text has all tokens. An id outside of the vocabulary is [`TextError::TokenId`].
///
/// Parameters have the names of Hugging Face's checkpoints: `embeddings.word_embeddings.weight`,
/// `encoder.layer.0.attention.self.query.weight` and so on, so that weights are read by [`crate::weights::from_pretrained`] with
/// [`published_bert_names`]. There is no dropout.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use mm_core::data::Reading;
/// use mm_core::encoder::{BertConfig, BertEncoder, Encoder};
/// use mm_core::nn::{Mode, Parameters};
/// let parameters = Parameters::new(0, &Device::Cpu);
/// let config = BertConfig { vocab_size: 100, hidden_size: 16, num_attention_heads: 2, intermediate_size: 32, ..Default::default() };
/// let encoder = BertEncoder::new(&config, 4, parameters.builder())?;
/// let values = Tensor::new(&[[2f32, 7.0, 9.0, 3.0], [2.0, 3.0, 0.0, 0.0]], &Device::Cpu)?;
/// let reading = Reading { values, lengths: Some(Tensor::new(&[4u32, 2], &Device::Cpu)?) };
/// assert_eq!(encoder.forward(&reading, Mode::Eval)?.dims(), [2, 16]);
/// # Ok::<(), mm_core::Error>(())
/// ```
pub struct BertEncoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    vocabulary: usize,
    pooling: Pooling,
    normalize: bool,
    feature_shape: [usize; 1],
}

/// How published names of BERT checkpoints become the names of an encoder whose parameters begin with `prefix`, such as
/// `encoders.text.`; the heads of pre-training are left out.
pub fn published_bert_names(prefix: &str) -> NameMap {
    let skipped = ["pooler.", "cls.", "classifier.", "embeddings.position_ids", "bert.pooler.", "bert.embeddings.position_ids"];
    skipped.into_iter().fold(NameMap::new(), NameMap::skip).rename("bert.", prefix).rename("", prefix)
}

impl BertEncoder {
    /// Builds the layers for texts of at most `length` tokens.
    pub fn new(config: &BertConfig, length: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        if length > config.max_position_embeddings {
            let problem = format!("texts of {length} tokens are longer than the {} positions of the encoder", config.max_position_embeddings);
            return Err(Error::config("max_position_embeddings", problem));
        }
        let layer = |number: usize| Layer::new(config, vb.pp("encoder.layer").pp(number));
        Ok(Self {
            embeddings: Embeddings::new(config, vb.pp("embeddings"))?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            vocabulary: config.vocab_size,
            pooling: config.pooling,
            normalize: config.normalize,
            feature_shape: [config.hidden_size],
        })
    }

    fn pool(&self, x: &Tensor, texts: &Sequences) -> Result<Tensor> {
        // Texts without tokens have no row to pool; their features are zeros.
        let filled: Vec<(usize, (usize, usize))> = texts.spans().enumerate().filter(|(_, (_, length))| *length > 0).collect();
        let (count, device) = (filled.len(), x.device());
        let pooled = match self.pooling {
            Pooling::Cls => {
                let first: Vec<u32> = filled.iter().map(|(_, (start, _))| *start as u32).collect();
                x.index_select(&Tensor::from_vec(first, count, device)?, 0)?
            }
            Pooling::Mean => {
                let owner = filled.iter().zip(0u32..).flat_map(|((_, (_, length)), number)| std::iter::repeat_n(number, *length));
                let owner = Tensor::from_vec(owner.collect::<Vec<u32>>(), texts.rows(), device)?;
                let sums = Tensor::zeros((count, x.dim(1)?), x.dtype(), device)?.index_add(&owner, x, 0)?;
                let shares = filled.iter().map(|(_, (_, length))| 1.0 / *length as f64).collect::<Vec<f64>>();
                sums.broadcast_mul(&Tensor::from_vec(shares, (count, 1), device)?.to_dtype(x.dtype())?)?
            }
        };
        let rows: Vec<u32> = filled.iter().map(|(text, _)| *text as u32).collect();
        Ok(scatter_rows(&pooled, &rows, texts.len())?)
    }
}

/// The tokens of a batch, one text behind the other.
struct Packed {
    /// u32 `[tokens]`.
    ids: Tensor,
    /// Place of each token in its text, u32 `[tokens]`.
    places: Tensor,
    texts: Sequences,
    longest: usize,
}

impl Packed {
    /// One copy from the device: what is padded is then computed nowhere.
    fn of(reading: &Reading, vocabulary: usize) -> Result<Self> {
        let &[batch, length] = reading.values.dims() else {
            return Err(Error::shape("token ids", "[batch, length]", reading.values.dims()));
        };
        let numbers = reading.values.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let lengths: Vec<usize> = match &reading.lengths {
            Some(lengths) => lengths.to_device(&Device::Cpu)?.to_vec1::<u32>()?.into_iter().map(|n| n as usize).collect(),
            None => vec![length; batch],
        };
        if let Some(found) = lengths.iter().find(|n| **n > length) {
            return Err(Error::shape("lengths of the texts", format!("at most {length}"), found));
        }
        if lengths.len() != batch {
            return Err(Error::shape("lengths of the texts", format!("[{batch}]"), [lengths.len()]));
        }
        let texts = Sequences::new(&lengths);
        let mut ids = Vec::with_capacity(texts.rows());
        for (row, length) in numbers.chunks_exact(length.max(1)).zip(&lengths) {
            for &number in &row[..*length] {
                if !(number >= 0.0 && number < vocabulary as f32 && number.fract() == 0.0) {
                    return Err(TextError::TokenId { id: number, vocabulary }.into());
                }
                ids.push(number as u32);
            }
        }
        let places: Vec<u32> = lengths.iter().flat_map(|length| 0..*length as u32).collect();
        let tensor = |values: Vec<u32>| Tensor::from_vec(values, texts.rows(), reading.values.device());
        let longest = lengths.into_iter().max().unwrap_or_default();
        Ok(Self { ids: tensor(ids)?, places: tensor(places)?, texts, longest })
    }
}

impl Encoder for BertEncoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        let Packed { ids, places, texts, longest } = Packed::of(reading, self.vocabulary)?;
        if texts.rows() == 0 {
            return Ok(Tensor::zeros((texts.len(), self.feature_shape[0]), reading.values.dtype(), reading.values.device())?);
        }
        let mut x = mode.result(self.embeddings.forward(&ids, &places, longest)?);
        for layer in &self.layers {
            // Without a graph what a layer computed is freed before the next.
            x = mode.result(layer.forward(&x, &texts)?);
        }
        let feature = self.pool(&x, &texts)?;
        Ok(if self.normalize { l2_normalize(&feature, SHORTEST)? } else { feature })
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }

    fn reads_ids(&self) -> bool {
        true
    }
}
