//! Token ids and sentence embeddings of a real checkpoint, all-MiniLM-L6-v2.

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use mm_core::data::Reading;
use mm_core::encoder::{BertConfig, BertEncoder, Encoder, published_bert_names};
use mm_core::nn::{Mode, Parameters};
use mm_core::text::Tokenizer;
use mm_core::weights::from_pretrained;
use serde::Deserialize;
use std::path::Path;
use std::process::ExitCode;

/// Tokens of a text at most.
const LENGTH: usize = 256;
/// Largest error of a number of an embedding.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct File {
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

/// Runs the cases on the checkpoint in a folder: one line a case, and `N passed, N failed` at the end.
pub fn run(text: &[u8], folder: &Path) -> Result<ExitCode> {
    let file: File = serde_json::from_slice(text).context("this is no file of texts and embeddings; other files take no --model")?;
    ensure!(file.version == 1 && !file.cases.is_empty(), "only version 1 with at least one case is known");
    let config = BertConfig { normalize: true, ..BertConfig::from_folder(folder)? };
    let parameters = Parameters::for_loading(&Device::Cpu);
    let encoder = BertEncoder::new(&config, LENGTH, parameters.builder())?;
    from_pretrained(&parameters, folder, &published_bert_names(""))?.complete(folder)?;
    let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"), LENGTH)?;
    let (mut passed, mut failed) = (0, 0);
    for case in &file.cases {
        // A name for people; texts may be long.
        let name: String = case.text.chars().take(40).collect();
        match compare(case, &tokenizer, &encoder) {
            Ok(error) => {
                passed += 1;
                println!("ok      {name:?} ({} tokens, error {error:.1e})", case.tokens);
            }
            Err(problem) => {
                failed += 1;
                println!("FAILED  {name:?}: {problem:#}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The largest error of the embedding.
fn compare(case: &Case, tokenizer: &Tokenizer, encoder: &BertEncoder) -> Result<f32> {
    let tokens = tokenizer.encode(&case.text)?;
    let ids: Vec<u32> = tokens.values[..tokens.length].iter().map(|id| *id as u32).collect();
    ensure!(case.tokens == case.token_ids.len(), "{} token ids are said to be {}", case.token_ids.len(), case.tokens);
    ensure!(ids == case.token_ids, "token ids {ids:?}, expected {:?}", case.token_ids);
    let values = Tensor::from_vec(tokens.values, (1, LENGTH), &Device::Cpu)?;
    let reading = Reading { values, lengths: Some(Tensor::new(&[tokens.length as u32], &Device::Cpu)?) };
    let found = encoder.forward(&reading, Mode::Eval)?.flatten_all()?.to_vec1::<f32>()?;
    ensure!(found.len() == case.embedding.len(), "{} numbers, expected {}", found.len(), case.embedding.len());
    ensure!(found.iter().all(|x| x.is_finite()), "not finite");
    let error = found.iter().zip(&case.embedding).fold(0.0f32, |largest, (a, b)| largest.max((a - b).abs()));
    ensure!(error <= TOLERANCE, "error {error:.2e}, allowed {TOLERANCE:.0e}");
    Ok(error)
}
