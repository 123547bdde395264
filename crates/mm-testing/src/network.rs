//! Gradients of whole networks.

use crate::fill_values;
use candle_core::{DType, Tensor};
use candle_nn::VarMap;
use std::fmt::Debug;

/// Sets every variable by formula: the rule of golden networks, by name and rank, so that a network in f32 and one in f64 are the same.
pub fn fill_variables(variables: &VarMap) {
    for (name, variable) in variables.data().lock().unwrap().iter() {
        let (scale, offset) = match variable.rank() {
            _ if name.ends_with("running_mean") => (0.1, 0.0),
            _ if name.ends_with("running_var") => (0.2, 1.0),
            0 | 1 if name.ends_with("weight") => (0.1, 1.0),
            0 | 1 => (0.05, 0.0),
            _ => ((6.0 / variable.dims()[1..].iter().product::<usize>() as f64).sqrt(), 0.0),
        };
        let key = name.bytes().fold(7u64, |key, byte| key.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let values = Tensor::from_vec(fill_values(key, variable.elem_count(), scale, offset), variable.shape(), variable.device()).unwrap();
        variable.set(&values.to_dtype(variable.dtype()).unwrap()).unwrap();
    }
}

/// Gradients of a scalar loss by all variables in f64, against central differences of some: for about `variables_checked` variables, spread over
/// all names, of its first number and of the one with the largest gradient. The largest error, each over its own gradient, but over a
/// thousandth of the largest one where that is more. Panics where a variable has no gradient, but for running statistics.
pub fn sampled_gradient_error<E: Debug>(variables: &VarMap, variables_checked: usize, loss: impl Fn() -> Result<Tensor, E>) -> f64 {
    // The best of three steps counts: the kink of a ReLU may lie within one, a wrong gradient is wrong with all.
    const STEPS: [f64; 3] = [1e-6, 1e-7, 1e-8];
    let all = variables.data().lock().unwrap();
    let mut trained: Vec<_> = all.iter().filter(|(name, _)| !name.contains("running_")).collect();
    trained.sort_by_key(|(name, _)| name.as_str());
    let gradients = loss().unwrap().backward().unwrap();
    let mut pairs = Vec::new();
    for (i, (name, variable)) in trained.iter().enumerate() {
        let gradient = gradients.get(variable).unwrap_or_else(|| panic!("no gradient for {name}"));
        if i % trained.len().div_ceil(variables_checked) != 0 {
            continue;
        }
        assert_eq!(variable.dtype(), DType::F64, "{name}");
        let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let values = variable.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let largest = (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs())).unwrap();
        for at in [0, largest] {
            let set = |by: f64| {
                let mut values = values.clone();
                values[at] += by;
                variable.set(&Tensor::from_vec(values, variable.shape(), variable.device()).unwrap()).unwrap();
            };
            let loss_at = |by: f64| {
                set(by);
                loss().unwrap().to_scalar::<f64>().unwrap()
            };
            let mut error = f64::INFINITY;
            for step in STEPS {
                let numeric = (loss_at(step) - loss_at(-step)) / (2.0 * step);
                error = error.min((gradient[at] - numeric).abs());
                if error < 1e-6 * gradient[at].abs() {
                    break;
                }
            }
            set(0.0);
            pairs.push((gradient[at].abs(), error));
        }
    }
    let scale = pairs.iter().fold(0.0f64, |scale, (gradient, _)| scale.max(*gradient));
    assert!(scale > 1e-6, "no gradient to compare");
    pairs.iter().map(|(gradient, error)| error / gradient.max(1e-3 * scale)).fold(0.0, f64::max)
}
