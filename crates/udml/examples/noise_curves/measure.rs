//! What is measured of one trained model.

use anyhow::Result;
use candle_core::Tensor;
use mm_core::corrupt::{Corruption, Family, apply};
use mm_core::data::{Batch, Inputs};
use mm_core::{Subset, rng};
use rand::RngExt;
use std::collections::BTreeMap;
use udml::UdmlModel;

/// Noise levels of the curves: `0.4 (level - 1)` standard deviations; 1 is clean, 16 is beyond the training.
pub const LEVELS: [f32; 6] = [1.0, 3.0, 5.0, 7.0, 10.0, 16.0];
const STD_PER_LEVEL: f32 = 0.4;
/// Seeds of each kind of fault.
const FAULTS: u64 = 5;

/// One fault: how often each sample is still predicted right, and the mean weight of the faulty sensors.
pub struct Fault {
    pub correct: Vec<f64>,
    pub weight: f64,
}

pub struct Measured {
    pub seed: u64,
    /// By set of noisy views: one vector a level.
    pub curves: BTreeMap<String, Vec<Vec<bool>>>,
    pub faults: BTreeMap<String, Fault>,
    /// By view: correlation of injected and predicted level, levels uniform in 1 to 10.
    pub correlation: Vec<f64>,
    /// The same where half of the readings are clean, as in training.
    pub correlation_half_clean: Vec<f64>,
    pub clean_weights: Vec<f64>,
    pub dependence: Vec<f64>,
}

impl Measured {
    pub fn line(&self) -> String {
        let accuracy = |correct: &[bool]| correct.iter().filter(|c| **c).count() as f64 / correct.len() as f64;
        let curves = self.curves.iter().map(|(set, levels)| {
            let points: Vec<String> = levels.iter().map(|c| format!("{:.3}", accuracy(c))).collect();
            format!("{set} {}", points.join(" "))
        });
        let faults = self
            .faults
            .iter()
            .map(|(name, f)| format!("{name} {:.3} (w {:.3})", f.correct.iter().sum::<f64>() / f.correct.len() as f64, f.weight));
        let numbers = |values: &[f64]| values.iter().map(|x| format!("{x:.2}")).collect::<Vec<_>>().join(" ");
        let all: Vec<String> = curves.chain(faults).collect();
        format!(
            "{}; correlation {} / {}; clean weights {}; d {}",
            all.join(", "),
            numbers(&self.correlation),
            numbers(&self.correlation_half_clean),
            numbers(&self.clean_weights),
            numbers(&self.dependence)
        )
    }
}

/// Runs all tests on a test batch of standardized inputs.
pub fn measure(model: &UdmlModel, test: &Batch, seed: u64) -> Result<Measured> {
    let (test, labels) = (test.inputs(), test.targets().values().to_vec1::<u32>()?);
    let views = test.modalities();
    let correct = |inputs: &Inputs| -> Result<Vec<bool>> {
        let predicted = model.output(inputs)?.logits.argmax(1)?.to_vec1::<u32>()?;
        Ok(predicted.iter().zip(&labels).map(|(p, y)| p == y).collect())
    };
    let mut curves = BTreeMap::new();
    for set in ["fac+pix", "fac+kar+pix", "all"] {
        let subset = views.parse(set)?;
        let level = |&level: &f32| correct(&noisy(test, seed, |m, _| if subset.contains(m) { level } else { 1.0 })?.0);
        curves.insert(set.to_string(), LEVELS.iter().map(level).collect::<Result<_>>()?);
    }
    let mut faults = BTreeMap::new();
    let mut sets: Vec<(String, Subset)> = views.names().iter().enumerate().map(|(m, name)| (name.clone(), Subset::single(m))).collect();
    sets.push(("fac+pix".into(), views.parse("fac+pix")?));
    for (name, subset) in sets {
        for family in [Family::Dead, Family::Stuck] {
            let mut fault = Fault { correct: vec![0.0; labels.len()], weight: 0.0 };
            for i in 0..FAULTS {
                let inputs = apply(test, Corruption::new(family, 5)?, subset, seed * FAULTS + i)?;
                let right = correct(&inputs)?;
                fault.correct.iter_mut().zip(right).for_each(|(share, r)| *share += f64::from(u8::from(r)) / FAULTS as f64);
                let weights = column_means(&model.output(&inputs)?.weights)?;
                fault.weight += subset.indices().map(|m| weights[m]).sum::<f64>() / (subset.len() as u64 * FAULTS) as f64;
            }
            faults.insert(format!("{} {name}", family.name()), fault);
        }
    }
    Ok(Measured {
        seed,
        curves,
        faults,
        correlation: correlations(model, test, seed, |_, u| 1.0 + 9.0 * u)?,
        correlation_half_clean: correlations(model, test, seed, |_, u| if u < 0.5 { 1.0 } else { 1.0 + 18.0 * (u - 0.5) })?,
        clean_weights: column_means(&model.output(test)?.weights)?,
        dependence: model.dependence()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect(),
    })
}

/// Adds noise at `level(modality, u)` with u uniform by reading; also gives the levels, by modality.
fn noisy(inputs: &Inputs, seed: u64, level: impl Fn(usize, f32) -> f32) -> Result<(Inputs, Vec<Vec<f64>>)> {
    let mut levels = Vec::new();
    let mut noisy = inputs.clone();
    for m in 0..inputs.modalities().len() {
        let mut of_view = Vec::new();
        let Some(reading) = inputs.at(m) else { anyhow::bail!("the numerals have all views") };
        let mut values = reading.values.to_vec2::<f32>()?;
        for (reading, &row) in values.iter_mut().zip(inputs.ids()) {
            let mut random = rng::stream(seed, "test noise", &[row, m as u64]);
            let level = level(m, random.random());
            let std = STD_PER_LEVEL * (level - 1.0);
            let noise = rng::standard_normal(&mut random, reading.len());
            reading.iter_mut().zip(noise).for_each(|(x, z)| *x += std * z);
            of_view.push(f64::from(level));
        }
        levels.push(of_view);
        noisy = noisy.with_values(m, Tensor::new(values, inputs.device())?)?;
    }
    Ok((noisy, levels))
}

fn correlations(model: &UdmlModel, test: &Inputs, seed: u64, level: impl Fn(usize, f32) -> f32) -> Result<Vec<f64>> {
    let (inputs, injected) = noisy(test, seed, level)?;
    let predicted = model.output(&inputs)?.levels.t()?.to_vec2::<f32>()?;
    Ok(injected.iter().zip(predicted).map(|(s, t)| correlation(s, &t.into_iter().map(f64::from).collect::<Vec<_>>())).collect())
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

fn column_means(table: &Tensor) -> Result<Vec<f64>> {
    Ok(table.mean(0)?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
}
