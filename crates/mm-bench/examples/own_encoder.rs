//! An encoder of one's own, named in a plan beside ours: one layer whose activation is a sine.
//!
//! `cargo run --release -p mm-bench --example own_encoder -- bench crates/mm-bench/examples/own_encoder.toml --quick --out target/own-encoder`

use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_bench::Registry;
use mm_core::Result;
use mm_core::data::{InputSpec, Reading};
use mm_core::encoder::{Encoder, EncoderCost, EncoderKind, EncoderRecipe};
use mm_core::nn::{Linear, Mode, check_widths, linear};
use serde::Deserialize;
use std::process::ExitCode;

/// Its settings in a plan: `encoder = { kind = "sine", width = 64 }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SineConfig {
    width: usize,
}

impl EncoderRecipe for SineConfig {
    fn validate(&self) -> Result<()> {
        check_widths("width", &[self.width])
    }

    fn build(&self, _name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(Sine { layer: linear(input.elements(), self.width, vb)?, shape: [self.width] }))
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        EncoderCost::chain(input.elements() as f64, &[self.width], 1.0, 1.0)
    }
}

struct Sine {
    layer: Linear,
    shape: [usize; 1],
}

impl Encoder for Sine {
    fn forward(&self, reading: &Reading, _mode: Mode) -> Result<Tensor> {
        Ok(self.layer.forward(&reading.values.flatten_from(1)?)?.sin()?)
    }

    fn feature_shape(&self) -> &[usize] {
        &self.shape
    }
}

fn main() -> ExitCode {
    mm_bench::main(Registry::default().with_encoder(EncoderKind::new::<SineConfig>("sine")))
}
