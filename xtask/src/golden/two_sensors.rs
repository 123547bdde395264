//! The published networks of two different sensors, through the library's own types.

use super::case::{Case, Outputs};
use super::published::{filled, import_tensors, import_weights, mode};
use anyhow::{Result, bail};
use candle_core::Tensor;
use mm_core::data::{InputKind, InputSpec, Inputs, Schema, Target};
use mm_core::recipe::Setup;
use mm_core::train::Method;
use mm_core::{Modalities, Presence};
use mod_distill::{CrossFusion, CrossFusionConfig};
use udml::{Udml, UdmlConfig};

/// Order in which UDML's published head concatenates.
const AUDIO_VISUAL: [&str; 2] = ["audio", "visual"];
/// Order in which the published trunk for patches concatenates.
const PATCHES: [&str; 2] = ["hsi", "lidar"];

/// Schema and complete samples of the inputs of these names, for as many classes as the case says.
fn data(case: &Case, names: [&str; 2]) -> Result<(Schema, Inputs)> {
    let inputs = names.map(|name| case.tensor(name)).into_iter().collect::<Result<Vec<Tensor>>>()?;
    let classes = (0..case.param::<usize>("classes")?).map(|class| class.to_string());
    let specs = inputs.iter().map(spec).collect::<Result<_>>()?;
    let schema = Schema::new(Modalities::new(names)?, specs, Target::of_classes(classes))?;
    let samples = inputs[0].dim(0)?;
    let presence = Presence::uniform(schema.modalities.full(), samples);
    let inputs = Inputs::new(&schema.modalities, inputs.into_iter().map(Some), presence, (0..samples as u64).collect())?;
    Ok((schema, inputs))
}

/// A picture or a film, by the rank of its batch.
fn spec(input: &Tensor) -> Result<InputSpec> {
    match input.rank() {
        4 => Ok(InputSpec::new(InputKind::Image, &input.dims()[1..])),
        5 => Ok(InputSpec::new(InputKind::Video, &input.dims()[1..])),
        rank => bail!("an input of {rank} dimensions is neither images nor videos"),
    }
}

/// Fused and unimodal logits, noise levels and weights, with the dependence that the case gives.
pub fn udml(case: &Case) -> Result<Outputs> {
    let (schema, inputs) = data(case, AUDIO_VISUAL)?;
    let model = Udml::new(UdmlConfig::audio_visual(), &Setup::new(&schema).device(case.device()))?;
    let mut tensors = filled(case)?;
    tensors.insert("dependence.running_mean".into(), Tensor::new(case.param::<Vec<f32>>("dependence")?, case.device())?);
    import_tensors(case, &model.parameters(), &tensors, &udml::published_names(&schema.modalities))?;

    let output = model.deployed().output(&inputs)?;
    let mut outputs = Outputs::default().tensor("logits", &output.logits)?;
    for (m, name) in AUDIO_VISUAL.into_iter().enumerate() {
        outputs = outputs
            .tensor(&format!("logits_{name}"), &output.unimodal_logits.narrow(1, m, 1)?.squeeze(1)?)?
            .tensor(&format!("level_{name}"), &output.levels.narrow(1, m, 1)?)?
            .tensor(&format!("weight_{name}"), &output.weights.narrow(1, m, 1)?)?;
    }
    Ok(outputs)
}

/// The fused feature and the logits of the cross-fusion network.
pub fn cross_fusion(case: &Case) -> Result<Outputs> {
    let (schema, inputs) = data(case, PATCHES)?;
    let model = CrossFusion::new(CrossFusionConfig::default(), &Setup::new(&schema).device(case.device()).seed(0))?;
    import_weights(case, &Method::parameters(&model), &mod_distill::published_names(&schema.modalities))?;
    let fused = model.forward(&inputs, inputs.presence(), mode(case)?)?;
    Outputs::default().tensor("logits", &fused.prediction)?.tensor("feature", fused.feature()?)
}
