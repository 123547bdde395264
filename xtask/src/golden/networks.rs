//! Whole networks with the published names, weights filled by formula.

use super::case::{Case, Outputs};
use super::published::{by_published_name, import_weights, labels, mode};
use super::{face_spoofing, segmentation, two_sensors};
use anyhow::{Context, Result, bail};
use mm_core::encoder::{ResNet, ResNetConfig};
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters, with_exact_sums};
use mm_core::weights::NameMap;

/// A case of op `network`, with sums that a training pass of another program is comparable with.
pub fn network(case: &Case) -> Result<Outputs> {
    with_exact_sums(|| compute(case))
}

fn compute(case: &Case) -> Result<Outputs> {
    match case.network.as_deref().context("the case names no network")? {
        "torchvision_resnet18" => torchvision_resnet18(case),
        "mmanet_teacher_surf" => face_spoofing::mmanet_teacher(case),
        "mmanet_surf" => face_spoofing::mmanet(case),
        "dmrnet_surf" => face_spoofing::dmrnet(case),
        "udml_av" => two_sensors::udml(case),
        "cross_fusion_patch" => two_sensors::cross_fusion(case),
        "mmanet_segmentation" => segmentation::mmanet(case),
        "one_stage_segmentation" => segmentation::one_stage(case),
        unknown => bail!("unknown network `{unknown}`"),
    }
}

/// torchvision's ResNet-18: forward, and one training step's loss, gradients and running statistics.
fn torchvision_resnet18(case: &Case) -> Result<Outputs> {
    let parameters = Parameters::new(0, case.device());
    let image = case.tensor("image")?;
    let network = ResNet::new(&ResNetConfig::default(), image.dim(1)?, 10, parameters.builder())?;
    let map = NameMap::new();
    import_weights(case, &parameters, &map)?;
    let logits = network.forward(&image, mode(case)?)?;
    let outputs = Outputs::default().tensor("logits", &logits)?;
    if mode(case)? == Mode::Eval {
        return Ok(outputs);
    }
    let loss = cross_entropy(&logits, &labels(case)?)?;
    by_published_name(outputs.tensor("loss", &loss)?, case, &parameters, &map, &loss.backward()?)
}
