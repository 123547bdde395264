//! The file format: described inputs, expected outputs, the comparison.

use super::networks::WeightList;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor, Var, backprop::GradStore};
use mm_testing::fill_values;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Largest relative error of an output of an op.
const TOLERANCE: f64 = 1e-5;
/// Largest relative error of an output of a whole network.
const NETWORK_TOLERANCE: f64 = 1e-4;

/// A file of cases.
#[derive(Deserialize)]
pub struct GoldenFile {
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
pub struct Case {
    /// Which op.
    pub op: String,
    /// Name for people.
    pub name: String,
    /// Settings of the op.
    #[serde(default)]
    pub params: Value,
    /// Which network, where the op is one.
    pub network: Option<String>,
    /// Its weights; in the file only with the first case of a network.
    pub weights: Option<WeightList>,
    inputs: BTreeMap<String, Input>,
    outputs: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Fill { fill: Fill },
    Data { shape: Vec<usize>, data: Vec<f64> },
}

#[derive(Deserialize)]
struct Fill {
    key: u64,
    shape: Vec<usize>,
    scale: f64,
    offset: f64,
}

#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    data: Option<Vec<f64>>,
    sum: Option<f64>,
    l2: Option<f64>,
    first: Option<Vec<f64>>,
}

/// Named outputs of ours: shape and numbers.
#[derive(Default)]
pub struct Outputs(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Outputs {
    /// Adds a tensor.
    pub fn tensor(mut self, name: &str, tensor: &Tensor) -> Result<Self> {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        self.0.insert(name.into(), (tensor.dims().to_vec(), values));
        Ok(self)
    }

    /// Adds numbers with a shape.
    pub fn numbers(mut self, name: &str, shape: &[usize], values: Vec<f64>) -> Self {
        self.0.insert(name.into(), (shape.to_vec(), values));
        self
    }

    /// Adds a scalar.
    pub fn scalar(self, name: &str, value: f64) -> Self {
        self.numbers(name, &[], vec![value])
    }

    /// Adds the gradient of `variable` as `grad_<name>`.
    pub fn gradient(self, name: &str, variable: &Var, gradients: &GradStore) -> Result<Self> {
        let gradient = gradients.get(variable).with_context(|| format!("no gradient for `{name}`"))?;
        self.tensor(&format!("grad_{name}"), gradient)
    }
}

impl GoldenFile {
    /// Gives every case of a network without weights those of the preceding case of the same network.
    pub fn share_weights(&mut self) {
        let mut known: BTreeMap<String, WeightList> = BTreeMap::new();
        for case in &mut self.cases {
            let Some(network) = &case.network else { continue };
            match &case.weights {
                Some(weights) => {
                    known.insert(network.clone(), weights.clone());
                }
                None => case.weights = known.get(network).cloned(),
            }
        }
    }
}

impl Case {
    /// Names of what the case expects.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str)
    }

    fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
        match self.inputs.get(name).with_context(|| format!("the case has no input `{name}`"))? {
            Input::Fill { fill: f } => {
                let values = fill_values(f.key, f.shape.iter().product(), f.scale, f.offset);
                Ok((f.shape.clone(), values.into_iter().map(f64::from).collect()))
            }
            Input::Data { shape, data } => {
                ensure!(shape.iter().product::<usize>() == data.len(), "input `{name}`: {} numbers for shape {shape:?}", data.len());
                Ok((shape.clone(), data.clone()))
            }
        }
    }

    /// An input as an f32 tensor.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = self.values(name)?;
        Ok(Tensor::from_vec(values.into_iter().map(|v| v as f32).collect(), shape, &Device::Cpu)?)
    }

    /// An input as a variable, for gradients.
    pub fn variable(&self, name: &str) -> Result<Var> {
        Ok(Var::from_tensor(&self.tensor(name)?)?)
    }

    /// An input of class labels.
    pub fn labels(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = self.values(name)?;
        Ok(Tensor::from_vec(values.into_iter().map(|v| v as u32).collect(), shape, &Device::Cpu)?)
    }

    /// An input as plain numbers.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        Ok(self.values(name)?.1)
    }

    /// A setting that must be there.
    pub fn param<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.params.get(name).with_context(|| format!("the case has no parameter `{name}`"))?;
        serde_json::from_value(value.clone()).with_context(|| format!("parameter `{name}`"))
    }

    /// How many numbers an output has.
    pub fn output_length(&self, name: &str) -> Result<usize> {
        let output = self.outputs.get(name).with_context(|| format!("the case expects no `{name}`"))?;
        Ok(output.shape.iter().product())
    }

    /// The largest relative error over all expected outputs, `max|ours - golden| / max(1e-3, max|golden|)`; above the
    /// tolerance it is an error.
    pub fn compare(&self, outputs: &Outputs) -> Result<f64> {
        ensure!(!self.outputs.is_empty(), "the case expects nothing");
        let tolerance = if self.network.is_some() { NETWORK_TOLERANCE } else { TOLERANCE };
        let mut largest = 0.0f64;
        for (name, expected) in &self.outputs {
            let (shape, ours) = outputs.0.get(name).with_context(|| format!("we compute no output `{name}`"))?;
            ensure!(shape == &expected.shape, "output `{name}`: shape {shape:?}, expected {:?}", expected.shape);
            let error = match expected {
                Expected { data: Some(golden), .. } => relative_error(ours, golden)?,
                Expected { sum: Some(sum), l2: Some(l2), first: Some(first), .. } => {
                    ensure!(ours.len() >= first.len(), "output `{name}` is too short");
                    let norm = ours.iter().map(|v| v * v).sum::<f64>().sqrt();
                    // A sum of many numbers of both signs is measured against their norm.
                    let sum_error = (ours.iter().sum::<f64>() - sum).abs() / sum.abs().max(*l2).max(1e-3);
                    sum_error.max(relative_error(&[norm], &[*l2])?).max(relative_error(&ours[..first.len()], first)?)
                }
                _ => bail!("output `{name}` has neither data nor a summary"),
            };
            ensure!(error <= tolerance, "output `{name}`: relative error {error:.2e}, allowed {tolerance:.0e}");
            largest = largest.max(error);
        }
        Ok(largest)
    }
}

fn relative_error(ours: &[f64], golden: &[f64]) -> Result<f64> {
    ensure!(ours.len() == golden.len(), "{} numbers, expected {}", ours.len(), golden.len());
    ensure!(ours.iter().all(|v| v.is_finite()), "not finite");
    let scale = golden.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    Ok(ours.iter().zip(golden).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / scale)
}
