//! Published parameters of a network in a case: filled by formula, imported, and found again by their names.

use super::case::{Case, Outputs};
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use mm_core::nn::{Mode, Parameters};
use mm_core::weights::{NameMap, import};
use mm_testing::fill_values;
use std::collections::BTreeMap;
use std::path::Path;

/// Fills the weights of a case and imports them; every published name must find its parameter, and the other way round.
pub fn import_weights(case: &Case, parameters: &Parameters, map: &NameMap) -> Result<()> {
    import_tensors(case, parameters, &filled(case)?, map)
}

/// As [`import_weights`], with tensors that the weight list lacks.
pub fn import_tensors(case: &Case, parameters: &Parameters, tensors: &BTreeMap<String, Tensor>, map: &NameMap) -> Result<()> {
    let source = Path::new(&case.name);
    Ok(import(parameters, tensors, map, source)?.complete(source)?)
}

/// The published tensors of a case.
pub fn filled(case: &Case) -> Result<BTreeMap<String, Tensor>> {
    let weights = case.weights.as_ref().context("neither the case nor one before it lists the weights of the network")?;
    let tensor = |(name, shape): &(String, Vec<usize>)| {
        let (scale, offset) = scale_and_offset(name, shape);
        let values = fill_values(fnv1a(name), shape.iter().product(), scale, offset);
        Ok((name.clone(), Tensor::from_vec(values, shape.as_slice(), case.device())?))
    };
    weights.iter().map(tensor).collect()
}

/// The rule of the format, by name and rank.
fn scale_and_offset(name: &str, shape: &[usize]) -> (f64, f64) {
    match shape.len() {
        _ if name.ends_with("running_mean") => (0.1, 0.0),
        _ if name.ends_with("running_var") => (0.2, 1.0),
        0 | 1 if name.ends_with("weight") => (0.1, 1.0),
        0 | 1 => (0.05, 0.0),
        _ => {
            let factor = if name.contains("logvar") { 0.02 } else { 1.0 };
            (factor * (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt(), 0.0)
        }
    }
}

/// The 64-bit hash of Fowler, Noll and Vo.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// The mode of a case.
pub fn mode(case: &Case) -> Result<Mode> {
    match case.param::<String>("mode")?.as_str() {
        "train" => Ok(Mode::Train),
        "eval" => Ok(Mode::Eval),
        unknown => bail!("unknown mode `{unknown}`"),
    }
}

/// Labels that are a setting of the case.
pub fn labels(case: &Case) -> Result<Tensor> {
    Ok(Tensor::new(case.param::<Vec<u32>>("labels")?, case.device())?)
}

/// Adds every output of the case that is named `grad:<published name>`, or by the published name of a tensor itself.
pub fn by_published_name(
    mut outputs: Outputs,
    case: &Case,
    parameters: &Parameters,
    map: &NameMap,
    gradients: &GradStore,
) -> Result<Outputs> {
    let variables: BTreeMap<String, _> = parameters.variables().into_iter().collect();
    for output in case.output_names() {
        let published = output.strip_prefix("grad:").unwrap_or(output);
        let Some(variable) = map.apply(published).and_then(|ours| variables.get(&ours)) else { continue };
        outputs = match output.starts_with("grad:") {
            true => outputs.tensor(output, gradients.get(variable).with_context(|| format!("no gradient for `{published}`"))?)?,
            false => outputs.tensor(output, variable)?,
        };
    }
    Ok(outputs)
}
