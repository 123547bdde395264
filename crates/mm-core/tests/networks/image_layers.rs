//! Layers on images: the kernels against the same layer made of candle ops, and gradients against finite differences.

use candle_core::{DType, Device, Result, Tensor, Var};
use mm_core::nn::{BatchNorm, Conv2d, Conv2dConfig, DepthwiseConv2d, Mode, max_pool2d};
use mm_testing::{difference, gradient_error, values};

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

#[test]
fn convolution_with_bias_is_the_same_from_kernel_and_candle_ops() {
    let square = Conv2dConfig::square;
    let uneven = Conv2dConfig { stride: (2, 1), padding: (0, 2), dilation: (1, 1) };
    let lines = Conv2dConfig { stride: (1, 1), padding: (2, 0), dilation: (2, 2) };
    let cropped = Conv2dConfig { stride: (3, 3), padding: (3, 2), dilation: (1, 1) };
    let dilated = Conv2dConfig { dilation: (2, 2), ..square(2, 3) };
    let cases = [
        ([3, 3], square(1, 1)),
        ([3, 3], square(2, 1)),
        ([1, 1], square(2, 0)),
        ([7, 7], square(2, 3)),
        ([5, 3], uneven),
        ([3, 1], lines),
        ([1, 1], cropped),
        ([3, 3], dilated),
    ];
    // Strides leave another rest of the height than of the width in the second size.
    for ((kernel, config), size) in cases.into_iter().flat_map(|case| [[9, 7], [10, 13], [12, 8]].map(|size| (case, size))) {
        // 20 channels at 9x7 go through Winograd's transforms where the kernel allows.
        let shapes = [vec![2, 20, size[0], size[1]], vec![18, 20, kernel[0], kernel[1]], vec![18]];
        let run = |dtype| {
            let [x, w, b] = [0, 1, 2].map(|i| Var::from_tensor(&values(&shapes[i], dtype)).unwrap());
            let y = Conv2d::new(w.as_tensor().clone(), Some(b.as_tensor().clone()), config).forward(&x).unwrap();
            let all = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            [y, all.get(&x).unwrap().clone(), all.get(&w).unwrap().clone(), all.get(&b).unwrap().clone()]
        };
        for (i, (kernel, composed)) in run(DType::F32).iter().zip(&run(DType::F64)).enumerate() {
            assert!(difference(kernel, composed) < 1e-5, "{config:?}, {size:?}, result {i}: {}", difference(kernel, composed));
        }
    }
    let (x, w, b) = (values(&[2, 3, 4, 4], DType::F32), values(&[2, 3, 3, 3], DType::F32), values(&[2], DType::F32));
    let conv = |x: &Tensor, w: &Tensor, b: &Tensor| Conv2d::new(w.clone(), Some(b.clone()), square(1, 1)).forward(x);
    assert!(gradient_error(&x, |x| conv(x, &w, &b)) < 2e-3);
    assert!(gradient_error(&w, |w| conv(&x, w, &b)) < 2e-3);
    assert!(gradient_error(&b, |b| conv(&x, &w, b)) < 2e-3);
}

#[test]
fn depthwise_convolution_is_the_same_from_kernel_and_candle_ops() {
    let uneven = Conv2dConfig { stride: (2, 1), padding: (0, 2), dilation: (1, 1) };
    let dilated = Conv2dConfig { dilation: (2, 2), ..Conv2dConfig::square(1, 2) };
    for (kernel, config) in [([3, 3], Conv2dConfig::square(2, 1)), ([3, 3], dilated), ([5, 3], uneven)] {
        let shapes = [vec![2, 4, 10, 7], vec![4, 1, kernel[0], kernel[1]], vec![4]];
        let layer = |w: &Tensor, b: &Tensor| DepthwiseConv2d::new(w.clone(), Some(b.clone()), config);
        let run = |dtype| {
            let [x, w, b] = [0, 1, 2].map(|i| Var::from_tensor(&values(&shapes[i], dtype)).unwrap());
            let y = layer(&w, &b).forward(&x).unwrap();
            let all = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            [y, all.get(&x).unwrap().clone(), all.get(&w).unwrap().clone(), all.get(&b).unwrap().clone()]
        };
        for (i, (kernel, composed)) in run(DType::F32).iter().zip(&run(DType::F64)).enumerate() {
            assert!(difference(kernel, composed) < 2e-6, "{config:?}, result {i}: {}", difference(kernel, composed));
        }
        let [x, w, b] = [0, 1, 2].map(|i| values(&shapes[i], DType::F32));
        assert!(gradient_error(&x, |x| layer(&w, &b).forward(x)) < 2e-3);
        assert!(gradient_error(&w, |w| layer(w, &b).forward(&x)) < 2e-3);
    }
}

#[test]
fn depthwise_convolution_refuses_other_channels() {
    let layer = DepthwiseConv2d::new(values(&[3, 1, 3, 3], DType::F32), None, Conv2dConfig::default());
    let message = layer.forward(&values(&[1, 4, 5, 5], DType::F32)).unwrap_err().to_string();
    assert!(message.contains("4 channels"), "{message}");
}

#[test]
fn max_pooling_is_the_same_from_kernel_and_candle_ops() {
    let run = |dtype| {
        let x = Var::from_tensor(&(values(&[2, 3, 7, 6], dtype) - 2.0).unwrap()).unwrap();
        let y = max_pool2d(&x, 3, 2, 1).unwrap();
        let all = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        [y, all.get(&x).unwrap().clone()]
    };
    for (kernel, composed) in run(DType::F32).iter().zip(&run(DType::F64)) {
        assert!(difference(kernel, composed) < 1e-6);
    }
}
