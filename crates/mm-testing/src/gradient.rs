//! Gradients against central differences.

use crate::difference;
use candle_core::{DType, Tensor, Var};
use std::fmt::Debug;

/// Largest difference between the gradient of `Σ f(x) u` and its central differences, over the largest of them (at least 1e-3).
///
/// `u` is fixed and uneven, so that sums cannot hide errors. Panics where there is no gradient at all.
pub fn gradient_error<E: Debug>(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor, E>) -> f64 {
    gradient_error_of(x, &f, &f)
}

/// [`gradient_error`] with the differences of another function, which does not move what `f` detaches.
pub fn gradient_error_of<E: Debug>(
    x: &Tensor,
    f: impl Fn(&Tensor) -> Result<Tensor, E>,
    value: impl Fn(&Tensor) -> Result<Tensor, E>,
) -> f64 {
    let weigh = |y: &Tensor| -> Tensor {
        let count = y.elem_count();
        let u: Vec<f32> = (0..count).map(|i| ((i * 37 % 11) as f32 - 5.0) / 5.0).collect();
        let u = Tensor::from_vec(u, y.shape(), y.device()).unwrap().to_dtype(y.dtype()).unwrap();
        y.mul(&u).unwrap().to_dtype(DType::F64).unwrap().sum_all().unwrap()
    };
    let variable = Var::from_tensor(x).unwrap();
    let gradients = weigh(&f(variable.as_tensor()).unwrap()).backward().unwrap();
    let values = x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let eps = if x.dtype() == DType::F64 { 1e-6 } else { 1e-2 };
    let at = |i: usize, delta: f64| -> f64 {
        let mut moved = values.clone();
        moved[i] += delta;
        let moved = Tensor::from_vec(moved, x.shape(), x.device()).unwrap().to_dtype(x.dtype()).unwrap();
        weigh(&value(&moved).unwrap()).to_scalar::<f64>().unwrap()
    };
    let numeric: Vec<f64> = (0..values.len()).map(|i| (at(i, eps) - at(i, -eps)) / (2.0 * eps)).collect();
    assert!(numeric.iter().any(|g| g.abs() > 1e-6), "no gradient to compare");
    difference(gradients.get(&variable).expect("a gradient"), &Tensor::from_vec(numeric, x.shape(), x.device()).unwrap())
}
