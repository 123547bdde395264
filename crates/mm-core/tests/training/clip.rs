//! Gradient clipping.

use candle_core::{Device, Tensor};
use candle_nn::Init;
use mm_core::nn::Parameters;
use mm_core::optim::clip_gradient_norm;
use mm_core::{Error, NonFiniteError, Result};

/// The gradients of a sum weighted by `a` and `b`, clipped.
fn clipped(a: [f32; 2], b: Vec<f32>, max_norm: f64) -> Result<(f64, Vec<f32>)> {
    let parameters = Parameters::new(0, &Device::Cpu);
    let (x, y) = (
        parameters.builder().get_with_hints(2, "x", Init::Const(1.0))?,
        parameters.builder().get_with_hints(b.len(), "y", Init::Const(1.0))?,
    );
    let loss = ((x * Tensor::new(&a, &Device::Cpu)?)?.sum_all()? + (y * Tensor::new(b, &Device::Cpu)?)?.sum_all()?)?;
    let mut gradients = loss.backward()?;
    let norm = clip_gradient_norm(&parameters, &mut gradients, max_norm)?;
    let of = |(_, var): (String, candle_core::Var)| gradients.get(&var).map(|g| g.to_vec1::<f32>()).transpose();
    let all: Vec<Vec<f32>> = parameters.variables().into_iter().filter_map(|v| of(v).transpose()).collect::<candle_core::Result<_>>()?;
    Ok((norm, all.concat()))
}

#[test]
fn the_joint_norm_is_cut_and_a_small_one_left_alone() {
    let (norm, gradients) = clipped([3.0, 0.0], vec![0.0, 0.0, 4.0], 1.0).unwrap();
    assert!((norm - 5.0).abs() < 1e-12);
    let expected = [0.6, 0.0, 0.0, 0.0, 0.8];
    assert!(gradients.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-6), "{gradients:?}");
    assert_eq!(clipped([3.0, 0.0], vec![0.0, 0.0, 4.0], 5.1).unwrap(), (norm, vec![3.0, 0.0, 0.0, 0.0, 4.0]));
    // More numbers than lanes.
    assert!((clipped([0.0, 0.0], vec![2.0; 25], 100.0).unwrap().0 - 10.0).abs() < 1e-12);
}

#[test]
fn large_gradients_are_cut_and_infinite_ones_are_an_error() {
    let (norm, gradients) = clipped([3e30, 0.0], vec![4e30], 1.0).unwrap();
    assert!((norm / 5e30 - 1.0).abs() < 1e-6);
    assert!((gradients[0] - 0.6).abs() < 1e-5 && (gradients[2] - 0.8).abs() < 1e-5, "{gradients:?}");
    for bad in [f32::NAN, f32::INFINITY] {
        let error = clipped([1.0, 1.0], vec![bad], 1.0).unwrap_err();
        assert!(matches!(&error, Error::NonFinite(NonFiniteError::Gradient { parameter }) if parameter == "y"), "{error}");
    }
}
