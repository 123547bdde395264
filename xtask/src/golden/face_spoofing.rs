//! The published three-camera networks, through the methods' own builders.

use super::case::{Case, Outputs};
use super::published::{by_published_name, import_weights, labels, mode};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use dmrnet::{Dmrnet, DmrnetConfig};
use mm_core::data::{Batch, InputKind, InputSpec, Inputs, Schema, Target, Targets};
use mm_core::fusion::FusionNetwork;
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::Setup;
use mm_core::train::Method;
use mm_core::{Modalities, Presence, Subset};
use mmanet::{Mmanet, MmanetConfig};

/// Order in which MMANet concatenates.
const MMANET_ORDER: [&str; 3] = ["rgb", "depth", "ir"];
/// Order in which DMRNet concatenates, and the case's slots.
const DMRNET_ORDER: [&str; 3] = ["rgb", "ir", "depth"];

/// Schema and complete batch of the inputs called `inputs`, as the modalities `names`.
fn data(case: &Case, names: [&str; 3], inputs: [&str; 3]) -> Result<(Schema, Batch)> {
    let images = inputs.map(|name| case.tensor(name)).into_iter().collect::<Result<Vec<Tensor>>>()?;
    let spec = |image: &Tensor| Ok(InputSpec::new(InputKind::Image, image.dims().get(1..).context("an input without samples")?));
    let specs = images.iter().map(spec).collect::<Result<_>>()?;
    let schema = Schema::new(Modalities::new(names)?, specs, Target::of_classes(["attack", "live"]))?;
    let samples = images[0].dim(0)?;
    let labels = labels(case).or_else(|_| Ok::<_, anyhow::Error>(Tensor::zeros(samples, candle_core::DType::U32, case.device())?))?;
    let presence = Presence::uniform(schema.modalities.full(), samples);
    let inputs = Inputs::new(&schema.modalities, images.into_iter().map(Some), presence, (0..samples as u64).collect())?;
    let batch = Batch::new(inputs, Targets::new(labels))?;
    Ok((schema, batch))
}

/// The full-modality teacher.
pub fn mmanet_teacher(case: &Case) -> Result<Outputs> {
    let (schema, batch) = data(case, MMANET_ORDER, MMANET_ORDER)?;
    let parameters = Parameters::new(0, case.device());
    let network = FusionNetwork::new(&MmanetConfig::face_anti_spoofing().network, &schema, parameters.builder())?;
    import_weights(case, &parameters, &mmanet::published_names(&schema.modalities))?;
    let fused = network.forward(batch.inputs(), batch.presence(), mode(case)?)?;
    Outputs::default().tensor("logits", &fused.prediction)?.tensor("layer4", fused.feature()?)
}

/// The deployment network and its regularization branch: every combination, or a training step with a mask a sample.
pub fn mmanet(case: &Case) -> Result<Outputs> {
    let (schema, batch) = data(case, MMANET_ORDER, MMANET_ORDER)?;
    let config = MmanetConfig::face_anti_spoofing();
    let teacher = FusionNetwork::new(&config.network, &schema, Parameters::new(0, case.device()).builder())?;
    let model = Mmanet::new(config, &Setup::new(&schema).device(case.device()), teacher)?;
    let map = mmanet::published_names(&schema.modalities);
    let parameters = model.parameters();
    import_weights(case, &parameters, &map)?;
    let network = model.network();
    let regularization = |features: &[Option<Tensor>], mode| model.regularization_logits(features, mode)?.context("no branch");
    if mode(case)? == Mode::Eval {
        let mut outputs = Outputs::default();
        let names: Vec<&str> = case.output_names().filter_map(|name| name.strip_prefix("logits:")).collect();
        let subsets = names.iter().map(|name| schema.modalities.parse(name)).collect::<mm_core::Result<Vec<_>>>()?;
        let predictions = model.model().predict_combinations(batch.inputs(), &subsets)?;
        for (i, (name, &subset)) in names.iter().zip(&subsets).enumerate() {
            let features = network.encode(batch.inputs(), &Presence::uniform(subset, batch.len()), Mode::Eval)?;
            outputs = outputs
                .tensor(&format!("logits:{name}"), &predictions.get(i)?)?
                .tensor(&format!("regularization_logits:{name}"), &regularization(&features, Mode::Eval)?)?;
        }
        return Ok(outputs);
    }
    let masks: Vec<[u16; 3]> = case.param("masks")?;
    let subset = |mask: &[u16; 3]| Subset::from_bits(mask.iter().enumerate().map(|(m, bit)| bit << m).sum());
    let drawn = Presence::new(masks.iter().map(subset).collect::<mm_core::Result<_>>()?);
    let features = network.encode(batch.inputs(), &drawn, Mode::Train)?;
    let fused = network.fuse(&features, Mode::Train)?;
    let branch = regularization(&features, Mode::Train)?;
    let loss = (cross_entropy(&fused.prediction, batch.targets().values())? + (cross_entropy(&branch, batch.targets().values())? * 0.5)?)?;
    let outputs = Outputs::default()
        .tensor("logits", &fused.prediction)?
        .tensor("regularization_logits", &branch)?
        .tensor("layer4", fused.feature()?)?
        .tensor("loss", &loss)?;
    by_published_name(outputs, case, &parameters, &map, &loss.backward()?)
}

/// Logits, mean and standard deviation of the representation for the masks that the case asks for.
pub fn dmrnet(case: &Case) -> Result<Outputs> {
    let (schema, batch) = data(case, DMRNET_ORDER, ["slot_0", "slot_1", "slot_2"])?;
    let model = Dmrnet::new(DmrnetConfig::face_anti_spoofing(), &Setup::new(&schema).device(case.device()))?;
    import_weights(case, &model.parameters(), &dmrnet::published_names(&schema.modalities))?;
    let mut outputs = Outputs::default();
    for mask in case.output_names().filter_map(|name| name.strip_prefix("logits:")) {
        ensure!(mask.len() == DMRNET_ORDER.len(), "mask `{mask}`");
        let bits = mask.bytes().enumerate().map(|(slot, digit)| u16::from(digit == b'1') << slot).sum();
        let subset = Subset::from_bits(bits)?;
        let alive = batch.inputs().with_presence(Presence::uniform(subset, batch.len()))?;
        let distribution = model.deployed().distribution(&alive)?;
        outputs = outputs
            .tensor(&format!("logits:{mask}"), &model.model().predict_combinations(batch.inputs(), &[subset])?.get(0)?)?
            .tensor(&format!("mean:{mask}"), &distribution.mean)?
            .tensor(&format!("std:{mask}"), &(distribution.log_var * 0.5)?.exp()?)?;
    }
    Ok(outputs)
}
