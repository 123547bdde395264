//! The file format: described inputs, expected outputs, the comparison.

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

/// Version of the format.
pub const VERSION: u64 = 1;
/// Length of the longest side of an input or output, and of the largest number of a setting.
const LONGEST: usize = 8192;
/// Numbers that the inputs of a case may have together, so that what is computed from them stays small, too.
const INPUT_NUMBERS: usize = 1 << 22;
/// Numbers that the outputs of a case, or the weights of its network, may have together.
const NUMBERS: usize = 1 << 26;

/// Names and shapes of a network's published parameters.
pub type WeightList = Vec<(String, Vec<usize>)>;

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
    #[serde(skip)]
    device: Option<Device>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Fill { fill: Fill },
    Data { shape: Vec<usize>, data: Vec<f64> },
}

impl Input {
    fn shape(&self) -> &[usize] {
        match self {
            Input::Fill { fill: Fill { shape, .. } } | Input::Data { shape, .. } => shape,
        }
    }
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
    /// Reads a file of the known version, with at least one case.
    pub fn parse(text: &[u8]) -> Result<Self> {
        /// Read first: a file of another version may look different in everything else.
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        ensure!(!text.trim_ascii().is_empty(), "the file is empty");
        let Version { version } = serde_json::from_slice(text)?;
        ensure!(version == VERSION, "its version is {version}, and only version {VERSION} is known");
        let mut file: Self = serde_json::from_slice(text)?;
        ensure!(!file.cases.is_empty(), "it has no cases");
        file.share_weights();
        Ok(file)
    }

    /// Computes the cases on this device.
    pub fn on(&mut self, device: &Device) {
        self.cases.iter_mut().for_each(|case| case.device = Some(device.clone()));
    }

    /// Gives every case of a network without weights those of the preceding case of the same network.
    fn share_weights(&mut self) {
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

/// Refuses shapes with a side above `longest`, or with more than `limit` numbers together.
fn check_sizes<'a>(what: &str, shapes: impl Iterator<Item = (&'a str, &'a [usize])>, longest: usize, limit: usize) -> Result<()> {
    let mut total = 0usize;
    for (name, shape) in shapes {
        let count = shape.iter().try_fold(1usize, |count, &n| if n <= longest { count.checked_mul(n) } else { None });
        total = match count.and_then(|count| total.checked_add(count)) {
            Some(total) if total <= limit => total,
            _ => bail!("{what} `{name}` of shape {shape:?} is too large: sides to {longest}, {limit} numbers in all {what}s"),
        };
    }
    Ok(())
}

/// The largest whole number in a setting.
fn largest(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or_default(),
        Value::Array(values) => values.iter().map(largest).max().unwrap_or_default(),
        Value::Object(values) => values.values().map(largest).max().unwrap_or_default(),
        _ => 0,
    }
}

impl Case {
    /// Refuses what would take more memory than any case needs.
    pub fn check_size(&self) -> Result<()> {
        let inputs = self.inputs.iter().map(|(name, input)| (name.as_str(), input.shape()));
        let outputs = self.outputs.iter().map(|(name, output)| (name.as_str(), output.shape.as_slice()));
        let weights = self.weights.iter().flatten().map(|(name, shape)| (name.as_str(), shape.as_slice()));
        check_sizes("input", inputs, LONGEST, INPUT_NUMBERS)?;
        check_sizes("output", outputs, LONGEST, NUMBERS)?;
        // A table of words is longer than any input.
        check_sizes("weight", weights, NUMBERS, NUMBERS)?;
        let largest = largest(&self.params);
        ensure!(largest <= LONGEST as u64, "a parameter of {largest} is too large: at most {LONGEST}");
        Ok(())
    }

    /// Refuses an output whose shape is not the expected one, before it is computed.
    pub fn expect_shape(&self, name: &str, shape: &[usize]) -> Result<()> {
        let expected = &self.outputs.get(name).with_context(|| format!("the case expects no `{name}`"))?.shape;
        ensure!(expected == shape, "output `{name}`: shape {shape:?}, expected {expected:?}");
        Ok(())
    }

    /// Names of what the case expects.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str)
    }

    /// Where the case is computed.
    pub fn device(&self) -> &Device {
        self.device.as_ref().unwrap_or(&Device::Cpu)
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
        Ok(Tensor::from_vec(values.into_iter().map(|v| v as f32).collect(), shape, self.device())?)
    }

    /// An input as a variable, for gradients.
    pub fn variable(&self, name: &str) -> Result<Var> {
        Ok(Var::from_tensor(&self.tensor(name)?)?)
    }

    /// An input of class labels.
    pub fn labels(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = self.values(name)?;
        Ok(Tensor::from_vec(values.into_iter().map(|v| v as u32).collect(), shape, self.device())?)
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
