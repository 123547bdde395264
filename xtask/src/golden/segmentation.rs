//! The published networks that predict every pixel, through the library's own builders.

use super::case::{Case, Outputs};
use super::published::{import_weights, mode};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use mm_core::data::{InputKind, InputSpec, Inputs, Schema, Target};
use mm_core::dense::{DenseConfig, DenseModel, DenseSensor, EsaNetConfig};
use mm_core::nn::{Mode, Parameters};
use mm_core::weights::NameMap;
use mm_core::{Modalities, Model, Presence};
use mod_distill::{DenseTranslation, DenseTranslationConfig};

/// Order of the sensors; the first carries the fused maps.
const SENSORS: [&str; 2] = ["rgb", "depth"];

/// The network for colour and depth with its regularization decoder: every combination that the case asks for.
pub fn mmanet(case: &Case) -> Result<Outputs> {
    let images = SENSORS.map(|name| case.tensor(name)).into_iter().collect::<Result<Vec<Tensor>>>()?;
    ensure!(images.iter().all(|image| image.rank() == 4), "an input is no batch of images");
    ensure!(mode(case)? == Mode::Eval, "only cases of prediction are known");
    let samples = images[0].dim(0)?;
    let specs = images.iter().map(|image| InputSpec::new(InputKind::Image, &image.dims()[1..])).collect();
    let classes = case.param::<usize>("classes")?;
    let schema = Schema::new(Modalities::new(SENSORS)?, specs, Target::of_classes((0..classes).map(|class| class.to_string())))?;
    let parameters = Parameters::for_loading(case.device());
    let model = DenseModel::new(&DenseConfig::EsaNet(EsaNetConfig::default()), &schema, classes, parameters.clone())?;
    // The weights of a network in training: the regularization decoder is among them.
    model.network().another_decoder(parameters.builder().pp("auxi_decoder"))?;
    import_weights(case, &parameters, &NameMap::new())?;

    let presence = Presence::uniform(schema.modalities.full(), samples);
    let inputs = Inputs::new(&schema.modalities, images.into_iter().map(Some), presence, (0..samples as u64).collect())?;
    let names: Vec<&str> = case.output_names().filter_map(|name| name.strip_prefix("logits:")).collect();
    let subsets = names.iter().map(|name| schema.modalities.parse(name)).collect::<mm_core::Result<Vec<_>>>()?;
    let predictions = model.predict_combinations(&inputs, &subsets)?;
    names
        .iter()
        .enumerate()
        .try_fold(Outputs::default(), |outputs, (i, name)| outputs.tensor(&format!("logits:{name}"), &predictions.get(i)?))
}

/// The network of cross translation, fed with the available sensor alone.
pub fn one_stage(case: &Case) -> Result<Outputs> {
    let available = case.tensor("available")?;
    ensure!(available.rank() == 4, "the input is no batch of images");
    ensure!(mode(case)? == Mode::Eval, "only cases of prediction are known");
    let parameters = Parameters::for_loading(case.device());
    let [rgb, depth] = SENSORS;
    let sensor = DenseSensor { name: rgb.into(), channels: available.dim(1)? };
    let network = DenseTranslation::new(
        &DenseTranslationConfig::default(),
        &[sensor],
        &[depth],
        case.param("classes")?,
        parameters.builder(),
        Some(parameters.builder()),
    )?;
    import_weights(case, &parameters, &NameMap::new())?;
    Outputs::default().tensor("logits", &network.forward(&available, Mode::Eval)?.fused.prediction)
}
