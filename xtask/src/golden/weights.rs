//! Published checkpoints: every tensor's shape, type and numbers, one case a file.

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device};
use mm_core::weights::{ReadOptions, WHOLE, WeightsFile};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Largest relative error of a sum or number.
const TOLERANCE: f64 = 1e-6;

/// A sum of numbers of both signs is measured against this part of the sum of their absolute values where it is smaller: rounding in
/// 64 bits, in whatever order, is far below.
const CANCELLED: f64 = 1e-8;

/// What each tensor of each file must be.
#[derive(Deserialize)]
pub struct WeightsFiles {
    version: u64,
    files: BTreeMap<String, BTreeMap<String, Expected>>,
}

#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    dtype: String,
    sum: f64,
    abs_sum: f64,
    first: Vec<f64>,
}

impl WeightsFiles {
    /// Reads a file of the known version, with at least one file; `None` if it is of another kind.
    pub fn parse(value: &serde_json::Value) -> Result<Option<Self>> {
        if value.get("files").is_none() {
            return Ok(None);
        }
        let files = Self::deserialize(value).context("it is no file of checkpoints")?;
        ensure!(files.version == super::case::VERSION, "its version is {}, and only {} is known", files.version, super::case::VERSION);
        ensure!(!files.files.is_empty(), "it names no files");
        Ok(Some(files))
    }

    /// The largest relative error of each file in `folder`, and how many tensors it has.
    pub fn compare<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (&'a str, Result<(f64, usize)>)> {
        self.files.iter().map(move |(name, tensors)| (name.as_str(), compare(&folder.join(name), tensors)))
    }
}

fn compare(path: &Path, expected: &BTreeMap<String, Expected>) -> Result<(f64, usize)> {
    // Names as `torch.load` gives them.
    let file = WeightsFile::open(path, &ReadOptions { entry: Some(WHOLE.into()), keep_prefix: true })?;
    let infos = file.tensors();
    if let Some(extra) = infos.iter().find(|info| !expected.contains_key(&info.name)) {
        bail!("tensor `{}` is not expected", extra.name);
    }
    let infos: BTreeMap<&str, _> = infos.iter().map(|info| (info.name.as_str(), info)).collect();
    let tensors = file.read(&Device::Cpu, |_| true)?;
    let mut largest = 0f64;
    for (name, expected) in expected {
        let (info, tensor) = infos.get(name.as_str()).zip(tensors.get(name)).with_context(|| format!("tensor `{name}` is missing"))?;
        ensure!(info.shape == expected.shape, "tensor `{name}`: shape {:?}, expected {:?}", info.shape, expected.shape);
        ensure!(info.dtype == words(&expected.dtype)?, "tensor `{name}`: {}, expected {}", info.dtype, expected.dtype);
        let numbers = tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let (sum, abs_sum) = numbers.iter().fold((0.0, 0.0), |(sum, abs_sum), x| (sum + x, abs_sum + x.abs()));
        ensure!(numbers.len() >= expected.first.len(), "tensor `{name}` is too short");
        let mut pairs = vec![(sum, expected.sum), (abs_sum, expected.abs_sum)];
        pairs.extend(numbers.into_iter().zip(expected.first.iter().copied()));
        let floor = (CANCELLED * expected.abs_sum).max(f64::MIN_POSITIVE);
        let error = pairs.iter().fold(0f64, |error, (ours, golden)| error.max((ours - golden).abs() / golden.abs().max(floor)));
        ensure!(error <= TOLERANCE, "tensor `{name}`: relative error {error:.2e}, allowed {TOLERANCE:.0e}");
        largest = largest.max(error);
    }
    Ok((largest, expected.len()))
}

/// A type in the words of safetensors.
fn words(dtype: &str) -> Result<&'static str> {
    Ok(match dtype {
        "float64" => "F64",
        "float32" => "F32",
        "float16" => "F16",
        "bfloat16" => "BF16",
        "int64" => "I64",
        "int32" => "I32",
        "int16" => "I16",
        "int8" => "I8",
        "uint8" => "U8",
        "bool" => "BOOL",
        unknown => bail!("unknown type `{unknown}`"),
    })
}
