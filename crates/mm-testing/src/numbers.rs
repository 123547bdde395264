//! Numbers of tensors, to feed and to compare.

use candle_core::{DType, Device, Tensor};
use mm_core::nn::Parameters;

/// Numbers in -1.25..1.25, spread over the tensor.
pub fn values(shape: &[usize], dtype: DType) -> Tensor {
    let count: usize = shape.iter().product();
    let data: Vec<f64> = (0..count).map(|i| ((i * 7919 % 101) as f64 - 50.0) / 40.0).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// Largest difference of two tensors, over the largest number of the second (at least 1e-3); infinite where one is NaN.
pub fn difference(found: &Tensor, expected: &Tensor) -> f64 {
    let numbers = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (numbers(found), numbers(expected));
    let scale = expected.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    found.iter().zip(&expected).fold(0.0f64, |m, (a, b)| if (a - b).is_nan() { f64::INFINITY } else { m.max((a - b).abs()) }) / scale
}

/// The bits of an f32 tensor, whatever its shape.
pub fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// The bits of all parameters, by name.
pub fn parameter_bits(parameters: &Parameters) -> Vec<(String, Vec<u32>)> {
    parameters.snapshot().unwrap().iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
}
