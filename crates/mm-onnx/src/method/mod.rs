//! What each family of methods deploys, as a graph.

mod dmrnet;
mod ensemble;
mod fusion;
mod mod_distill;
pub(crate) mod udml;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::target::Prediction;
use crate::weights::Scope;
use mm_core::pipeline::PipelineConfig;
use mm_core::recipe::Recipe;
use serde::de::DeserializeOwned;

/// Adds the inputs and the network of a model.
type Deploy = fn(&mut Graph, &PipelineConfig, &Scope) -> Result<Prediction>;

/// The families of methods that have a form in ONNX; a new one is its file and a line here.
const FAMILIES: [(&str, Deploy); 9] = [
    (mm_baselines::FusionConfig::FAMILY, fusion::baseline),
    (mm_baselines::ModulationConfig::FAMILY, fusion::modulation),
    (mm_baselines::UnimodalConfig::FAMILY, fusion::unimodal),
    (mmanet::MmanetConfig::FAMILY, fusion::mmanet),
    (mm_baselines::EnsembleConfig::FAMILY, ensemble::by_combination),
    (mm_baselines::DeepEnsembleConfig::FAMILY, ensemble::deep),
    (::udml::UdmlConfig::FAMILY, udml::deploy),
    (::dmrnet::DmrnetConfig::FAMILY, dmrnet::deploy),
    (::mod_distill::ModDistillConfig::FAMILY, mod_distill::deploy),
];

/// Why the families that are known and not in [`FAMILIES`] are not.
const REFUSED: [(&str, &str); 2] = [
    (mm_baselines::NearestConfig::FAMILY, "looks absent features up among the training samples, which is no computation of a graph"),
    (mm_baselines::RegressionConfig::FAMILY, "solves a system of equations for each combination of sensors, which a graph cannot"),
];

/// Adds the inputs and the network of a model of any family.
pub(crate) fn deploy(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    if let Some((_, deploy)) = FAMILIES.iter().find(|(family, _)| *family == config.family) {
        return deploy(graph, config, scope);
    }
    let part = format!("the method (family `{}`)", config.family);
    let instead = "train another method, such as `modality-dropout` or `mmanet`";
    match REFUSED.iter().find(|(family, _)| *family == config.family) {
        Some((_, why)) => Err(Error::unsupported(part, format!("{why}: {instead}"))),
        None => {
            let known = FAMILIES.map(|(family, _)| family).join(", ");
            Err(Error::unsupported(part, format!("has no form in ONNX; those that have: {known}")))
        }
    }
}

/// The settings of a family as their type.
fn settings<C: DeserializeOwned>(config: &PipelineConfig) -> Result<C> {
    serde_json::from_value(config.settings.clone()).map_err(|source| Error::Settings { family: config.family.clone(), source })
}
