//! Gradient modulation and unimodal losses: what they change in the gradients, and what they leave as it is.

use candle_core::{Device, Tensor};
use mm_baselines::{
    DeepEnsemble, DeepEnsembleConfig, GradientModulation, ModulationConfig, UnimodalConfig, UnimodalLosses, paces, with_gradient_times,
};
use mm_core::data::Source;
use mm_core::missing::MissingPattern;
use mm_core::recipe::{AnyRecipe, Recipe, Setup};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Presence, Subset};
use mm_testing::{bits, clear_to_weak, clear_to_weak_schema, difference, gradient_error_of, spoilt, with_presence};
use std::collections::BTreeMap;

const STEP: Step = Step { seed: 0, epoch: 0, epochs: 2, step: 0, steps: 1 };

/// By hand: of two sensors with .8 and .4 the first is twice as sure, 1 - tanh(.3 · 2) = .463.
#[test]
fn paces_by_hand() {
    let close = |found: Vec<f64>, expected: &[f64]| assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?}");
    close(paces(&[Some(0.8), Some(0.4)], 0.3), &[0.462950, 1.0]);
    // Of three, each is compared with the mean of the others: .9 with .45, and .6 with .6.
    close(paces(&[Some(0.9), Some(0.6), Some(0.3)], 0.5), &[1.0 - 1.0f64.tanh(), 1.0, 1.0]);
    close(paces(&[Some(0.5), None, Some(0.5)], 0.3), &[1.0; 3]);
    close(paces(&[Some(0.9), None], 0.3), &[1.0; 2]);
    close(paces(&[Some(0.9), Some(0.0)], 0.3), &[0.0, 1.0]);
}

#[test]
fn a_gradient_is_multiplied_and_the_value_is_not() {
    let x = Tensor::new(&[[0.3f32, -1.2, 2.0], [0.7, 0.1, -0.4]], &Device::Cpu).unwrap();
    assert_eq!(bits(&with_gradient_times(&x, 0.3).unwrap()), bits(&x));
    let squares = |x: &Tensor| -> mm_core::Result<Tensor> { Ok(x.sqr()?) };
    let error = gradient_error_of(&x, |x| squares(&with_gradient_times(x, 0.3)?), |x| Ok(squares(x)?.affine(0.3, 0.0)?));
    assert!(error < 1e-2, "{error}");
}

/// The gradients of a loss by name.
fn gradients(method: &dyn Method, losses: &Losses) -> BTreeMap<String, Tensor> {
    let store = losses.total().unwrap().backward().unwrap();
    let variables = method.parameters().variables();
    variables.into_iter().filter_map(|(name, var)| Some((name, store.get(&var)?.clone()))).collect()
}

fn modulation(alpha: f64) -> GradientModulation {
    let config = ModulationConfig { alpha, until: 0.5, ..ModulationConfig::default() };
    Recipe::method(&config, &Setup::new(&clear_to_weak_schema()), None).unwrap()
}

#[test]
fn only_the_encoder_that_is_ahead_is_slowed_down() {
    let batch = clear_to_weak(42, 1).batch(&(0..42).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let found = |alpha: f64, epoch: usize| {
        let mut method = modulation(alpha);
        let losses = method.loss(&batch, &Step { epoch, ..STEP }).unwrap();
        gradients(&method, &losses)
    };
    let (plain, slowed, late) = (found(0.0, 0), found(0.5, 0), found(0.5, 1));
    let mut factors = BTreeMap::new();
    for (name, gradient) in &plain {
        let (a, b) =
            (gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap(), slowed[name].flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let largest = (0..a.len()).max_by(|&i, &j| a[i].abs().total_cmp(&a[j].abs())).unwrap();
        let factor = f64::from(b[largest] / a[largest]);
        assert!(difference(&slowed[name], &(gradient * factor).unwrap()) < 1e-4, "{name}");
        assert!(difference(&late[name], gradient) < 1e-5, "{name}: after its share of the training nothing is modulated");
        let part = name.split('.').take(2).collect::<Vec<_>>().join(".");
        factors.entry(part).or_insert_with(Vec::new).push(factor);
    }
    // One factor for each encoder; all else keeps its gradient.
    for (part, factors) in &factors {
        assert!(factors.iter().all(|factor| (factor - factors[0]).abs() < 1e-3), "{part}: {factors:?}");
        assert!(part.starts_with("encoders.") || (factors[0] - 1.0).abs() < 1e-4, "{part}: {factors:?}");
    }
    // With three untrained sensors some are ahead of the mean of the others and some behind: 1 - tanh(.5 r) with r > 1 is below .54.
    let of = |part: &str| factors[part][0];
    let encoders = ["encoders.strong", "encoders.middle", "encoders.weak"].map(of);
    assert!(encoders.iter().any(|factor| *factor < 0.54) && encoders.iter().any(|factor| (factor - 1.0).abs() < 1e-3), "{encoders:?}");
}

fn unimodal(weight: f64) -> UnimodalLosses {
    let config = UnimodalConfig { weight, ..UnimodalConfig::default() };
    Recipe::method(&config, &Setup::new(&clear_to_weak_schema()), None).unwrap()
}

#[test]
fn heads_of_sensors_learn_but_are_not_deployed() {
    let all: Vec<Subset> = Subset::all_non_empty(3).collect();
    let batch = clear_to_weak(42, 1).batch(&(0..42).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let mixed = with_presence(&batch, Presence::new((0..42).map(|i| all[i % 7]).collect()));
    let mut method = unimodal(0.5);
    let losses = method.loss(&mixed, &STEP).unwrap();
    let values: BTreeMap<&str, f64> = losses.terms().map(|(name, value)| (name, f64::from(value.to_scalar::<f32>().unwrap()))).collect();
    let total = f64::from(losses.total().unwrap().to_scalar::<f32>().unwrap());
    assert!((total - values["task"] - 0.5 * values["unimodal"]).abs() < 1e-5, "{values:?}");
    let found = gradients(&method, &losses);
    assert!(["strong", "middle", "weak"].iter().all(|name| found.contains_key(&format!("unimodal.{name}.weight"))));
    assert!(method.model().parameters().names().iter().all(|name| !name.starts_with("unimodal.")));
    // What absent sensors hold is not read, and one that no sample has costs nothing.
    for value in [f32::NAN, f32::INFINITY] {
        let spoilt = spoilt(&mixed, value, |row, m| !all[row % 7].contains(m));
        assert_eq!(bits(&unimodal(0.5).loss(&spoilt, &STEP).unwrap().total().unwrap()), bits(&losses.total().unwrap()));
    }
    let alone = with_presence(&batch, Presence::uniform(Subset::single(1), 42));
    let losses = unimodal(0.5).loss(&alone, &STEP).unwrap();
    assert!(losses.total().unwrap().to_scalar::<f32>().unwrap().is_finite());
}

#[test]
fn members_of_an_ensemble_learn_from_their_sensors_alone_too() {
    let batch = clear_to_weak(42, 1).batch(&(0..42).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let ensemble = |members: usize, unimodal_weight: f64| -> DeepEnsemble {
        let config = DeepEnsembleConfig { missing: MissingPattern::Natural, members, unimodal_weight, ..DeepEnsembleConfig::default() };
        Recipe::method(&config, &Setup::new(&clear_to_weak_schema()), None).unwrap()
    };
    let terms = |method: &mut dyn Method| -> BTreeMap<String, f64> {
        let losses = method.loss(&batch, &STEP).unwrap();
        losses.terms().map(|(name, value)| (name.to_string(), f64::from(value.to_scalar::<f32>().unwrap()))).collect()
    };
    let (plain, with) = (terms(&mut ensemble(3, 0.0)), terms(&mut ensemble(3, 0.5)));
    assert_eq!(plain["task"], with["task"], "the heads change neither the first weights nor the draws of the members");
    assert!(!plain.contains_key("unimodal"));
    // Untrained heads of three members: each about the log of the three classes.
    assert!((with["unimodal"] / 3.0 - 3f64.ln()).abs() < 0.7, "{with:?}");

    let mut method = ensemble(2, 0.5);
    let losses = method.loss(&batch, &STEP).unwrap();
    let found = gradients(&method, &losses);
    assert!((0..2).all(|k| found.contains_key(&format!("members.{k}.unimodal.weak.bias"))));
    assert!(method.model().parameters().names().iter().all(|name| !name.contains("unimodal")));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let error = |recipe: &dyn AnyRecipe| recipe.validate().unwrap_err().to_string();
    assert!(error(&ModulationConfig { alpha: -1.0, ..ModulationConfig::default() }).contains("options.alpha"));
    assert!(error(&ModulationConfig { until: 2.0, ..ModulationConfig::default() }).contains("options.until"));
    assert!(error(&UnimodalConfig { weight: f64::NAN, ..UnimodalConfig::default() }).contains("options.weight"));
    assert!(error(&DeepEnsembleConfig { unimodal_weight: -0.5, ..DeepEnsembleConfig::default() }).contains("options.unimodal_weight"));
    let unknown = UnimodalConfig { missing: MissingPattern::Fixed("x".into()), ..UnimodalConfig::default() };
    assert!(Recipe::method(&unknown, &Setup::new(&clear_to_weak_schema()), None).is_err());
}
