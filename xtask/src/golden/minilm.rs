//! Token ids and sentence embeddings of a real checkpoint, all-MiniLM-L6-v2.

use super::case::VERSION;
use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use mm_core::data::Reading;
use mm_core::encoder::{BertConfig, BertEncoder, Encoder, published_bert_names};
use mm_core::nn::{Mode, Parameters};
use mm_core::text::Tokenizer;
use mm_core::weights::from_pretrained;
use serde::Deserialize;
use std::path::Path;

/// Tokens of a text at most.
const LENGTH: usize = 256;
/// Largest error of a number of an embedding.
const TOLERANCE: f32 = 1e-4;

/// Texts, and what a checkpoint makes of them.
#[derive(Deserialize)]
pub struct Texts {
    version: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    token_ids: Vec<u32>,
    tokens: usize,
    embedding: Vec<f32>,
}

impl Texts {
    /// Reads a file of the known version, with at least one case; `None` if it is of another kind.
    pub fn parse(value: &serde_json::Value) -> Result<Option<Self>> {
        if value.pointer("/cases/0/embedding").is_none() {
            return Ok(None);
        }
        let texts = Self::deserialize(value).context("it is no file of texts and embeddings")?;
        ensure!(texts.version == VERSION, "its version is {}, and only {VERSION} is known", texts.version);
        Ok(Some(texts))
    }

    /// The outcome of each case on the checkpoint in a folder.
    pub fn compare(&self, folder: &Path, device: &Device) -> Result<Vec<(String, Result<String>)>> {
        let config = BertConfig { normalize: true, ..BertConfig::from_folder(folder)? };
        let parameters = Parameters::for_loading(device);
        let encoder = BertEncoder::new(&config, LENGTH, parameters.builder())?;
        from_pretrained(&parameters, folder, &published_bert_names(""))?.complete(folder)?;
        let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"), LENGTH)?;
        let outcome = |case: &Case| {
            // A name for people; texts may be long.
            let name = format!("{:?}", case.text.chars().take(40).collect::<String>());
            (name, compare(case, &tokenizer, &encoder, device).map(|error| format!("{} tokens, error {error:.1e}", case.tokens)))
        };
        Ok(self.cases.iter().map(outcome).collect())
    }
}

/// The largest error of the embedding.
fn compare(case: &Case, tokenizer: &Tokenizer, encoder: &BertEncoder, device: &Device) -> Result<f32> {
    let tokens = tokenizer.encode(&case.text)?;
    let ids: Vec<u32> = tokens.values[..tokens.length].iter().map(|id| *id as u32).collect();
    ensure!(ids.len() == case.tokens, "{} tokens, expected {}", ids.len(), case.tokens);
    // Of a long text the file has the first ids.
    ensure!(!case.token_ids.is_empty() && ids.starts_with(&case.token_ids), "token ids {ids:?}, expected {:?}", case.token_ids);
    let values = Tensor::from_vec(tokens.values, (1, LENGTH), device)?;
    let reading = Reading { values, lengths: Some(Tensor::new(&[tokens.length as u32], device)?) };
    let found = encoder.forward(&reading, Mode::Eval)?.flatten_all()?.to_vec1::<f32>()?;
    ensure!(found.len() == case.embedding.len(), "{} numbers, expected {}", found.len(), case.embedding.len());
    ensure!(found.iter().all(|x| x.is_finite()), "not finite");
    let error = found.iter().zip(&case.embedding).fold(0.0f32, |largest, (a, b)| largest.max((a - b).abs()));
    ensure!(error <= TOLERANCE, "error {error:.2e}, allowed {TOLERANCE:.0e}");
    Ok(error)
}
