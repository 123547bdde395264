//! Layers on images: the kernels against the same layer made of candle ops, and gradients against finite differences.

#[path = "support/gradients.rs"]
mod gradients;

use candle_core::{DType, Device, Result, Tensor, Var};
use gradients::{difference, gradient_error, values};
use mm_core::nn::{BatchNorm, Mode};

fn norm(features: usize, dtype: DType) -> BatchNorm {
    let tensor = |scale: f64, offset: f64| values(&[features], DType::F64).affine(scale, offset).unwrap().to_dtype(dtype).unwrap();
    let running = |t: Tensor| Var::from_tensor(&t).unwrap().as_tensor().clone();
    BatchNorm::new(tensor(0.5, 1.5), tensor(1.0, 0.1), running(tensor(0.2, 0.3)), running(tensor(0.3, 1.0)), 1e-5, 0.1).unwrap()
}

/// `relu(norm(x) + r)`, fused.
fn fused(x: &Tensor, r: &Tensor, mode: Mode) -> Result<Tensor> {
    norm(x.dim(1)?, x.dtype()).forward_add_relu(x, r, mode)
}

#[test]
fn batch_norm_with_residual_is_the_same_from_kernel_and_candle_ops() {
    for shape in [vec![3, 4, 5, 3], vec![6, 5], vec![4, 3, 1, 1]] {
        let inputs = |dtype| {
            let r = values(&shape, DType::F64).affine(-0.7, 0.2).unwrap().to_dtype(dtype).unwrap();
            (Var::from_tensor(&values(&shape, dtype)).unwrap(), Var::from_tensor(&r).unwrap())
        };
        for mode in [Mode::Train, Mode::Eval] {
            let run = |dtype| {
                let (x, r) = inputs(dtype);
                fused(&x, &r, mode).unwrap()
            };
            assert!(difference(&run(DType::F32), &run(DType::F64)) < 2e-6, "{shape:?} {mode:?}");
        }
        let gradients = |dtype| {
            let (x, r) = inputs(dtype);
            let norm = norm(shape[1], dtype);
            let y = norm.forward_add_relu(&x, &r, Mode::Train).unwrap();
            let all = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let (mean, variance) = norm.running_statistics();
            [all.get(&x).unwrap().clone(), all.get(&r).unwrap().clone(), mean.clone(), variance.clone()]
        };
        for (kernel, composed) in gradients(DType::F32).iter().zip(&gradients(DType::F64)) {
            assert!(difference(kernel, composed) < 2e-6, "{shape:?}");
        }
    }
}

#[test]
fn batch_norm_with_residual_has_the_gradients_of_finite_differences() {
    // A bias that keeps the ReLU open or shut by more than the step of the differences.
    let bias = Tensor::new(&[6.0, -6.0], &Device::Cpu).unwrap();
    for dtype in [DType::F32, DType::F64] {
        let (x, r) = (values(&[3, 2, 3, 2], dtype), values(&[3, 2, 3, 2], dtype));
        let (weight, bias) = (values(&[2], dtype), bias.to_dtype(dtype).unwrap());
        let run = |x: &Tensor, r: &Tensor, weight: &Tensor, bias: &Tensor| {
            let running = |value: f64| Var::from_tensor(&weight.zeros_like()?.affine(0.0, value)?);
            let (mean, variance) = (running(0.0)?.as_tensor().clone(), running(1.0)?.as_tensor().clone());
            BatchNorm::new(weight.clone(), bias.clone(), mean, variance, 1e-5, 0.1)?.forward_add_relu(x, r, Mode::Train)
        };
        let limit = if dtype == DType::F32 { 2e-3 } else { 1e-6 };
        assert!(gradient_error(&x, |x| run(x, &r, &weight, &bias)) < limit);
        assert!(gradient_error(&r, |r| run(&x, r, &weight, &bias)) < limit);
        assert!(gradient_error(&weight, |w| run(&x, &r, w, &bias)) < limit);
        let bias_error = gradient_error(&bias, |b| run(&x, &r, &weight, b));
        assert!(bias_error < limit, "{bias_error}");
    }
}

#[test]
fn one_pixel_has_no_variance() {
    let norm = norm(3, DType::F32);
    let before = norm.running_statistics().0.to_vec1::<f32>().unwrap();
    let x = values(&[1, 3, 1, 1], DType::F32);
    let (train, eval) = (norm.forward(&x, Mode::Train).unwrap(), norm.forward(&x, Mode::Eval).unwrap());
    assert_eq!(train.flatten_all().unwrap().to_vec1::<f32>().unwrap(), eval.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    assert_eq!(norm.running_statistics().0.to_vec1::<f32>().unwrap(), before);
}

#[test]
fn batch_norm_refuses_what_does_not_fit() {
    let norm = norm(3, DType::F32);
    let message = |x: &[usize], r: &[usize]| {
        norm.forward_add_relu(&values(x, DType::F32), &values(r, DType::F32), Mode::Train).unwrap_err().to_string()
    };
    assert!(message(&[2, 4, 2, 2], &[2, 4, 2, 2]).contains("3 features"));
    assert!(message(&[2, 3, 2, 2], &[2, 3, 2, 1]).contains("same shape"));
    assert!(message(&[2, 3, 2], &[2, 3, 2]).contains("[batch, features]"));
}
