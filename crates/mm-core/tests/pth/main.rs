//! Checkpoints of PyTorch: what is read from them, and what is refused.

mod convert;
mod entries;
mod real;
mod refused;
mod tensors;
#[allow(dead_code, reason = "other tests use the rest")]
mod writer;

use candle_core::{DType, Device, Tensor};
use mm_core::weights::{PthError, ReadOptions, WeightsFile};
use mm_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// All tensors with these options.
fn read(path: &Path, options: &ReadOptions) -> Result<BTreeMap<String, Tensor>> {
    WeightsFile::open(path, options)?.read(&Device::Cpu, |_| true)
}

/// All tensors of a file of these bytes, and both containers must say the same.
fn tensors(value: &writer::Py, storages: &[(&str, u64, Vec<u8>)]) -> Result<BTreeMap<String, Tensor>> {
    let pickle = writer::pickle(value);
    let plain: Vec<(&str, Vec<u8>)> = storages.iter().map(|(key, _, bytes)| (*key, bytes.clone())).collect();
    let files = [writer::File::new("a.pth", &writer::zip(&pickle, &plain)), writer::File::new("b.th", &writer::legacy(&pickle, storages))];
    let [zip, legacy] = files.each_ref().map(|file| read(file.path(), &ReadOptions::default()));
    match (zip, legacy) {
        (Ok(zip), Ok(legacy)) => {
            assert_eq!(zip.keys().collect::<Vec<_>>(), legacy.keys().collect::<Vec<_>>());
            zip.iter()
                .for_each(|(name, tensor)| assert_eq!((tensor.dims(), numbers(tensor)), (legacy[name].dims(), numbers(&legacy[name]))));
            Ok(zip)
        }
        (Err(zip), Err(_)) => Err(zip),
        (zip, legacy) => panic!("one container is read and one is not: {:?}, {:?}", zip.err(), legacy.err()),
    }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The problem with a PyTorch checkpoint; the message names the file.
#[track_caller]
fn problem<T>(outcome: Result<T>) -> PthError {
    match outcome.err() {
        Some(Error::Pth { path, problem }) => {
            assert!(!path.as_os_str().is_empty());
            problem
        }
        other => panic!("{other:?}"),
    }
}
