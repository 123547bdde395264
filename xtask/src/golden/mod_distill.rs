//! The cases of modality distillation.

use super::case::{Case, Outputs};
use anyhow::Result;
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use mm_core::nn::{Linear, Mode};
use mod_distill::CrossTranslation;

/// Maximum mean discrepancy of features.
pub fn mmd(case: &Case) -> Result<Outputs> {
    let restored = case.variable("restored")?;
    let loss = mod_distill::maximum_mean_discrepancy(
        &restored,
        &case.tensor("privileged")?,
        case.param("kernel_mul")?,
        case.param("kernel_num")?,
    )?;
    Outputs::default().tensor("loss", &loss)?.gradient("restored", &restored, &loss.backward()?)
}

/// Product kernel over feature and prediction.
pub fn joint_mmd(case: &Case) -> Result<Outputs> {
    alignment(case, |r, p, zr, zp| {
        let (mul, num, bandwidth) = (case.param("kernel_mul")?, case.param("kernel_num")?, case.param("prediction_bandwidth")?);
        Ok(mod_distill::joint_mmd(r, p, zr, zp, mul, num, bandwidth)?)
    })
}

/// Discrepancy of features plus KL of predictions.
pub fn joint_adaptation(case: &Case) -> Result<Outputs> {
    alignment(case, |r, p, zr, zp| {
        Ok(mod_distill::joint_adaptation(r, p, zr, zp, case.param("alpha")?, case.param("beta")?, case.param("temperature")?)?)
    })
}

/// A loss of restored against privileged features and logits, with the gradients of the restored side.
fn alignment(case: &Case, loss: impl Fn(&Tensor, &Tensor, &Tensor, &Tensor) -> Result<Tensor>) -> Result<Outputs> {
    let (restored, logits) = (case.variable("restored")?, case.variable("restored_logits")?);
    let loss = loss(&restored, &case.tensor("privileged")?, &logits, &case.tensor("privileged_logits")?)?;
    let gradients: GradStore = loss.backward()?;
    let outputs = Outputs::default().tensor("loss", &loss)?;
    outputs.gradient("restored", &restored, &gradients)?.gradient("restored_logits", &logits, &gradients)
}

/// Cross translation of image-like features, the published form: 1x1 convolutions without normalisation.
pub fn cross_translation(case: &Case) -> Result<Outputs> {
    let first_weight = case.variable("translate_1.weight")?;
    let layer = |name: &str, weight: &Tensor| -> Result<Linear> {
        Ok(Linear::new(weight.flatten_from(1)?, Some(case.tensor(&format!("{name}.bias"))?)))
    };
    let translators = vec![layer("translate_1", &first_weight)?, layer("translate_2", &case.tensor("translate_2.weight")?)?];
    let translation = CrossTranslation::from_layers(translators, layer("fuse", &case.tensor("fuse.weight")?)?);
    let (restored, available) = (case.variable("restored")?, case.tensor("available")?);
    let translated = translation.forward(&restored, &available, Mode::Train)?;
    let reconstruction = mod_distill::reconstruction(&translated, &restored, &available)?;
    let gradients = (translated.fused.sqr()?.sum_all()? + &reconstruction)?.backward()?;
    let outputs = Outputs::default()
        .tensor("fused", &translated.fused)?
        .tensor("joint_restored", &translated.joint_restored)?
        .tensor("joint_available", &translated.joint_available)?
        .tensor("reconstruction", &reconstruction)?;
    outputs.gradient("restored", &restored, &gradients)?.gradient("translate_1.weight", &first_weight, &gradients)
}
