//! Comparing tensors, and gradients with finite differences.
#![allow(dead_code)] // each test file uses a part of it

use candle_core::{DType, Device, Tensor, Var};

/// Largest difference between the gradient of `Σ f(x) u` and its central differences, over the largest gradient.
/// `u` is fixed and uneven, so that sums cannot hide errors.
pub fn gradient_error(x: &Tensor, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> f64 {
    let weigh = |y: &Tensor| -> Tensor {
        let count = y.elem_count();
        let u: Vec<f32> = (0..count).map(|i| ((i * 37 % 11) as f32 - 5.0) / 5.0).collect();
        let u = Tensor::from_vec(u, y.shape(), y.device()).unwrap().to_dtype(y.dtype()).unwrap();
        y.mul(&u).unwrap().to_dtype(DType::F64).unwrap().sum_all().unwrap()
    };
    let variable = Var::from_tensor(x).unwrap();
    let gradients = weigh(&f(variable.as_tensor()).unwrap()).backward().unwrap();
    let analytic =
        gradients.get(&variable).expect("a gradient").to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let values = x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let eps = if x.dtype() == DType::F64 { 1e-6 } else { 1e-2 };
    let at = |i: usize, delta: f64| -> f64 {
        let mut moved = values.clone();
        moved[i] += delta;
        let moved = Tensor::from_vec(moved, x.shape(), x.device()).unwrap().to_dtype(x.dtype()).unwrap();
        weigh(&f(&moved).unwrap()).to_scalar::<f64>().unwrap()
    };
    let numeric: Vec<f64> = (0..values.len()).map(|i| (at(i, eps) - at(i, -eps)) / (2.0 * eps)).collect();
    let scale = numeric.iter().fold(1e-3f64, |m, g| m.max(g.abs()));
    analytic.iter().zip(&numeric).fold(0.0f64, |m, (a, n)| m.max((a - n).abs())) / scale
}

/// Numbers in -1.25..1.25, spread over the tensor.
pub fn values(shape: &[usize], dtype: DType) -> Tensor {
    let count: usize = shape.iter().product();
    let data: Vec<f64> = (0..count).map(|i| ((i * 7919 % 101) as f64 - 50.0) / 40.0).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// Largest difference of two tensors, over the largest number of the second (at least 1e-3).
pub fn difference(found: &Tensor, expected: &Tensor) -> f64 {
    let numbers = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (numbers(found), numbers(expected));
    let scale = expected.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    found.iter().zip(&expected).fold(0.0f64, |m, (a, b)| if (a - b).is_nan() { f64::INFINITY } else { m.max((a - b).abs()) }) / scale
}
