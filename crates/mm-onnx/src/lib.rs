#![doc = include_str!("../README.md")]

mod dense;
mod encoder;
mod error;
mod gaussian;
mod graph;
mod layers;
mod method;
pub mod proto;
mod residual;
mod sensors;
mod target;
mod trunk;
mod weights;

pub use error::{Error, Result};
pub use sensors::PRESENCE;

use mm_core::Pipeline;
use mm_core::data::InputKind;
use mm_core::nn::Parameters;
use mm_core::pipeline::PipelineConfig;
use prost::Message;
use std::path::Path;

/// Bytes of a message, at most: readers of the format refuse more.
const LARGEST: usize = (1 << 31) - (1 << 20);

/// The ONNX model of a trained one.
pub fn export(pipeline: &Pipeline) -> Result<proto::Model> {
    export_parts(pipeline.config(), pipeline.model().parameters())
}

/// As [`export`], from what a saved model is made of.
pub fn export_parts(config: &PipelineConfig, parameters: &Parameters) -> Result<proto::Model> {
    let mut graph = graph::Graph::default();
    let prediction = method::deploy(&mut graph, config, &weights::Scope::new(parameters))?;
    let output = target::outputs(&mut graph, &config.schema.target, prediction);
    graph.prune(&output);
    let bytes = graph.bytes();
    if bytes > LARGEST {
        return Err(Error::TooLarge { bytes });
    }
    let graph::Graph { nodes, constants, inputs, .. } = graph;
    let metadata_props = metadata(config, &inputs);
    let graph = proto::Graph { node: nodes, name: config.family.clone(), initializer: constants, input: inputs, output };
    Ok(proto::Model {
        ir_version: proto::IR_VERSION,
        opset_import: vec![proto::OperatorSet { domain: String::new(), version: proto::OPSET }],
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: format!("a model of the family `{}` for {}", config.family, config.schema.modalities.names().join(", ")),
        graph: Some(graph),
        metadata_props,
    })
}

/// Writes a model to a file, in one step.
pub fn write(model: &proto::Model, path: &Path) -> Result<()> {
    Ok(mm_core::weights::write_atomically(path, &model.encode_to_vec())?)
}

/// What a program needs to know to feed the graph and to read its answers.
fn metadata(config: &PipelineConfig, inputs: &[proto::ValueInfo]) -> Vec<proto::Entry> {
    let schema = &config.schema;
    let read = || schema.modalities.names().iter().enumerate().filter(|(_, name)| inputs.iter().any(|input| input.name == **name));
    let sensors: Vec<String> = read().map(|(_, name)| name.clone()).collect();
    let kinds: Vec<String> = read().map(|(m, _)| kind(config, m)).collect();
    let json = |value: serde_json::Value| value.to_string();
    let entries = [
        ("family", config.family.clone()),
        ("library", config.library.clone()),
        ("sensors", json(sensors.into())),
        ("kinds", json(kinds.into())),
        ("target", target::word(&schema.target).into()),
        ("outputs", json(schema.target.output_names().to_vec().into())),
    ];
    entries.into_iter().map(|(key, value)| proto::Entry { key: key.into(), value }).collect()
}

/// The kind of a modality's readings by its name, or what its numbers are where no kind is known.
fn kind(config: &PipelineConfig, m: usize) -> String {
    match (config.kinds.get(m).and_then(Option::as_ref), config.schema.inputs[m].kind) {
        (Some(kind), _) => kind.kind.clone(),
        (None, InputKind::Vector) => "vector".into(),
        (None, kind) => format!("{kind:?}").to_lowercase(),
    }
}
