//! Embeds sentences with a checkpoint of all-MiniLM-L6-v2 and times it:
//! `cargo run --release --example embed -- FOLDER`, or without a folder with weights drawn at random.

use candle_core::{Device, Tensor};
use mm_core::data::Reading;
use mm_core::encoder::{BertConfig, BertEncoder, Encoder, published_bert_names};
use mm_core::nn::{Mode, Parameters};
use mm_core::text::Tokenizer;
use mm_core::weights::from_pretrained;
use std::path::Path;
use std::time::Instant;

/// Tokens of a sentence in the timing.
const LENGTH: usize = 32;

fn main() -> mm_core::Result<()> {
    let folder = std::env::args().nth(1);
    let config = folder.as_ref().map_or(Ok(BertConfig::default()), |folder| BertConfig::from_folder(Path::new(folder)))?;
    let parameters = Parameters::for_loading(&Device::Cpu);
    let encoder = BertEncoder::new(&config, 256, parameters.builder())?;
    if let Some(folder) = &folder {
        from_pretrained(&parameters, folder, &published_bert_names(""))?.complete(Path::new(folder))?;
        let tokenizer = Tokenizer::open(&Path::new(folder).join("tokenizer.json"), 256)?;
        let sentences = ["A robot lost its depth camera.", "The robot's depth sensor failed.", "Bread is baked in an oven."];
        let embeddings = sentences.map(|sentence| embed(&encoder, &tokenizer, sentence));
        let [first, others @ ..] = embeddings;
        let first = first?;
        for (sentence, other) in sentences[1..].iter().zip(others) {
            let other = other?;
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let cosine = dot(&first, &other) / (dot(&first, &first) * dot(&other, &other)).sqrt();
            println!("{cosine:.3} like \"{}\": \"{sentence}\"", sentences[0]);
        }
    }
    for batch in [1, 8, 32] {
        let ids: Vec<f32> = (0..batch * LENGTH).map(|i| (1000 + i * 7919 % 29_000) as f32).collect();
        let reading = Reading::from(Tensor::from_vec(ids, (batch, LENGTH), &Device::Cpu)?);
        let mut times: Vec<f64> = (0..30)
            .map(|_| {
                let start = Instant::now();
                encoder.forward(&reading, Mode::Eval).map(|_| 1e3 * start.elapsed().as_secs_f64())
            })
            .collect::<mm_core::Result<_>>()?;
        times.sort_by(f64::total_cmp);
        println!("{batch} sentences of {LENGTH} tokens: {:.2} ms (best of 30), {:.2} ms (median)", times[0], times[15]);
    }
    Ok(())
}

fn embed(encoder: &BertEncoder, tokenizer: &Tokenizer, sentence: &str) -> mm_core::Result<Vec<f32>> {
    let tokens = tokenizer.encode(sentence)?;
    let values = Tensor::from_vec(tokens.values, (1, tokenizer.length()), &Device::Cpu)?;
    let reading = Reading { values, lengths: Some(Tensor::new(&[tokens.length as u32], &Device::Cpu)?) };
    Ok(encoder.forward(&reading, Mode::Eval)?.flatten_all()?.to_vec1()?)
}
