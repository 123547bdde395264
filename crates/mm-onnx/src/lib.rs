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
    let metadata_props = metadata(config, &graph.inputs);
    let bytes = graph.bytes() + metadata_props.iter().map(|entry| entry.value.len()).sum::<usize>();
    if bytes > LARGEST {
        return Err(Error::TooLarge { bytes });
    }
    let graph::Graph { nodes, constants, inputs, .. } = graph;
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
    let settings: Vec<_> = read().map(|(m, _)| config.kinds.get(m).and_then(Option::as_ref).map(|kind| kind.settings.clone())).collect();
    // Of numbers, since what says whether one was measured is found by the graph.
    let columns = |(m, name): (usize, &String)| {
        let names = config.columns.variables.get(name)?;
        Some(names[..names.len() - sensors::measured(config, m).len()].to_vec())
    };
    let columns: Vec<Option<Vec<String>>> = read().map(columns).collect();
    let json = |value: serde_json::Value| value.to_string();
    let entries = [
        ("family", config.family.clone()),
        ("library", config.library.clone()),
        ("sensors", json(sensors.into())),
        ("kinds", json(kinds.into())),
        ("settings", json(settings.into())),
        ("columns", json(columns.into())),
        ("target", target::word(&schema.target).into()),
        ("outputs", json(schema.target.output_names().to_vec().into())),
    ];
    let threshold = schema.threshold().map(|threshold| ("threshold", threshold.to_string()));
    let asked = [("test_flips", config.training.config.test_flips), ("test_turns", config.training.config.test_turns)];
    let asked = asked.into_iter().filter(|(_, is_on)| *is_on).map(|(key, is_on)| (key, is_on.to_string()));
    entries.into_iter().chain(threshold).chain(asked).map(|(key, value)| proto::Entry { key: key.into(), value }).collect()
}

/// The kind of a modality's readings by its name, or what its numbers are where no kind is known.
fn kind(config: &PipelineConfig, m: usize) -> String {
    match (config.kinds.get(m).and_then(Option::as_ref), config.schema.inputs[m].kind) {
        (Some(kind), _) => kind.kind.clone(),
        (None, InputKind::Vector) => "vector".into(),
        (None, kind) => format!("{kind:?}").to_lowercase(),
    }
}
