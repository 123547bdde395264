//! The layers that dense networks add: convolution with ReLU, split blocks, learned enlargement, pyramid pooling.

use candle_core::{DType, Device, Tensor, Var};
use mm_core::dense::{ContextConfig, LearnedUpsample, PyramidPooling};
use mm_core::nn::{BlockKind, Conv2d, Conv2dConfig, Mode, Parameters, gather_rows, residual_block, scale_channels, scatter_rows};
use mm_testing::{bits, difference, gradient_error, values};

#[test]
fn convolution_with_relu_is_a_convolution_then_a_relu() {
    let configs = [Conv2dConfig::square(1, 1), Conv2dConfig { stride: (2, 1), padding: (1, 0), ..Conv2dConfig::default() }];
    for (kernel, config) in [[3, 3], [3, 1]].into_iter().zip(configs) {
        let shapes = [vec![2, 18, 9, 7], vec![20, 18, kernel[0], kernel[1]], vec![20]];
        let run = |dtype| {
            let [x, w, b] = [0, 1, 2].map(|i| Var::from_tensor(&values(&shapes[i], dtype)).unwrap());
            let y = Conv2d::new(w.as_tensor().clone(), Some(b.as_tensor().clone()), config).forward_relu(&x).unwrap();
            let all = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            [y, all.get(&x).unwrap().clone(), all.get(&w).unwrap().clone(), all.get(&b).unwrap().clone()]
        };
        for (i, (kernel, composed)) in run(DType::F32).iter().zip(&run(DType::F64)).enumerate() {
            assert!(difference(kernel, composed) < 1e-5, "{config:?}, result {i}");
        }
        let [x, w] = [0, 1].map(|i| values(&shapes[i], DType::F32));
        let (plain, fused) =
            (Conv2d::new(w.clone(), None, config).forward(&x).unwrap(), Conv2d::new(w, None, config).forward_relu(&x).unwrap());
        assert!(difference(&fused, &plain.relu().unwrap()) < 1e-6);
    }
}

/// A large bias keeps each ReLU open or shut by more than the step of the differences.
#[test]
fn convolution_with_relu_has_the_gradients_of_finite_differences() {
    let (x, w) = (values(&[2, 3, 4, 4], DType::F32), values(&[2, 3, 3, 3], DType::F32));
    let bias = Tensor::new(&[30f32, -30.0], &Device::Cpu).unwrap();
    let conv = |x: &Tensor, w: &Tensor, b: &Tensor| Conv2d::new(w.clone(), Some(b.clone()), Conv2dConfig::square(1, 1)).forward_relu(x);
    assert!(gradient_error(&x, |x| conv(x, &w, &bias)) < 2e-3);
    assert!(gradient_error(&w, |w| conv(&x, w, &bias)) < 2e-3);
    assert!(gradient_error(&bias, |b| conv(&x, &w, b)) < 2e-3);
}

/// The bias in front of a norm is folded into its shift: the first pass, later ones and a frozen one are as the layers one by one.
#[test]
fn split_blocks_fold_their_biases() {
    let parameters = Parameters::new(5, &Device::Cpu);
    let block = residual_block(BlockKind::NonBottleneck1d, 5, 7, 2, parameters.builder()).unwrap();
    for (name, variable) in parameters.variables() {
        let offset = if name.ends_with("var") { 1.5 } else { 0.0 };
        variable.set(&values(variable.dims(), DType::F32).affine(0.4, offset).unwrap()).unwrap();
    }
    let x = values(&[2, 5, 7, 6], DType::F32);
    // The running statistics of a norm do not look at the mode where there is one pixel: so does the pass without folding.
    let folded = block.forward(&x, Mode::Eval).unwrap();
    assert_eq!(folded.dims(), [2, 7, 4, 3]);
    for mode in [Mode::Eval, Mode::Eval, Mode::Frozen] {
        assert!(difference(&block.forward(&x, mode).unwrap(), &folded) < 1e-6);
    }
    let get = |name: &str| parameters.get(name).unwrap();
    let conv = |x: &Tensor, name: &str, stride, padding| {
        let config = Conv2dConfig { stride, padding, ..Conv2dConfig::default() };
        let bias = parameters.get(&format!("{name}.bias"));
        Conv2d::new(get(&format!("{name}.weight")), bias, config).forward(x).unwrap()
    };
    let norm = |x: &Tensor, name: &str, eps: f64| {
        let by_channel = |what: &str| get(&format!("{name}.{what}")).reshape((1, 7, 1, 1)).unwrap();
        let normal = x.broadcast_sub(&by_channel("running_mean")).unwrap();
        let normal = normal.broadcast_div(&(by_channel("running_var") + eps).unwrap().sqrt().unwrap()).unwrap();
        normal.broadcast_mul(&by_channel("weight")).unwrap().broadcast_add(&by_channel("bias")).unwrap()
    };
    let mut y = conv(&x, "conv3x1_1", (2, 1), (1, 0)).relu().unwrap();
    y = norm(&conv(&y, "conv1x3_1", (1, 2), (0, 1)), "bn1", 1e-3).relu().unwrap();
    y = conv(&y, "conv3x1_2", (1, 1), (1, 0)).relu().unwrap();
    y = norm(&conv(&y, "conv1x3_2", (1, 1), (0, 1)), "bn2", 1e-3);
    let shortcut = norm(&conv(&x, "downsample.0", (2, 2), (0, 0)), "downsample.1", 1e-5);
    assert!(difference(&folded, &(y + shortcut).unwrap().relu().unwrap()) < 1e-5);
}

/// It starts as bilinear interpolation, whose inner pixels keep a constant; a second layer on the same variables leaves them alone.
#[test]
fn learned_enlargement_starts_bilinear() {
    let parameters = Parameters::new(0, &Device::Cpu);
    let layer = LearnedUpsample::new(3, parameters.builder()).unwrap();
    let y = layer.forward(&Tensor::ones((1, 3, 4, 5), DType::F32, &Device::Cpu).unwrap()).unwrap();
    assert_eq!(y.dims(), [1, 3, 8, 10]);
    let inner = y.narrow(2, 1, 6).unwrap().narrow(3, 1, 8).unwrap();
    assert!(difference(&inner, &inner.ones_like().unwrap()) < 1e-6);
    let kernel = parameters.variable("conv.weight").unwrap();
    assert_eq!(kernel.flatten_all().unwrap().to_vec1::<f32>().unwrap()[..4], [1.0 / 16.0, 0.125, 1.0 / 16.0, 0.125]);
    kernel.set(&values(&[3, 1, 3, 3], DType::F32)).unwrap();
    LearnedUpsample::new(3, parameters.builder()).unwrap();
    assert_eq!(bits(&kernel), bits(&values(&[3, 1, 3, 3], DType::F32)));
    let x = values(&[1, 3, 3, 2], DType::F32);
    assert!(gradient_error(&x, |x| layer.forward(x)) < 2e-3);
}

/// The adaptive form has as many more parts as the map is larger than in training, rounded.
#[test]
fn pyramid_pooling_in_both_forms() {
    let config = ContextConfig { bins: vec![1, 2], adapted_to: Some([2, 3]) };
    let parameters = Parameters::new(1, &Device::Cpu);
    let adaptive = PyramidPooling::new(&config, 8, 6, parameters.builder()).unwrap();
    assert!(parameters.names().contains(&"features.0.conv.weight".into()));
    let x = values(&[2, 8, 4, 6], DType::F32);
    assert_eq!(adaptive.forward(&x, Mode::Eval).unwrap().dims(), [2, 6, 4, 6]);
    // Twice the size of training: 2 and 4 parts a side, as the plain form with these bins.
    let plain = Parameters::new(1, &Device::Cpu);
    let same = PyramidPooling::new(&ContextConfig { bins: vec![2, 4], adapted_to: None }, 8, 6, plain.builder()).unwrap();
    for (name, variable) in plain.variables() {
        variable.set(&parameters.get(&name.replace(".1.conv", ".conv").replace(".1.bn", ".bn")).unwrap()).unwrap();
    }
    assert_eq!(bits(&adaptive.forward(&x, Mode::Eval).unwrap()), bits(&same.forward(&x, Mode::Eval).unwrap()));
}

#[test]
fn gates_scale_channels() {
    for size in [(3, 5), (150, 160)] {
        let run = |dtype| {
            let (x, g) = (values(&[2, 3, size.0, size.1], dtype), values(&[2, 3], dtype));
            let (x, g) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&g).unwrap());
            let y = scale_channels(&x, &g).unwrap();
            let all = y.mul(&values(y.dims(), dtype)).unwrap().sum_all().unwrap().backward().unwrap();
            [y, all.get(&x).unwrap().clone(), all.get(&g).unwrap().clone()]
        };
        for (ours, composed) in run(DType::F32).iter().zip(&run(DType::F64)) {
            assert!(difference(ours, composed) < 1e-5, "{size:?}");
        }
    }
    let (x, g) = (values(&[2, 3, 3, 3], DType::F32), values(&[2, 3], DType::F32));
    assert!(gradient_error(&x, |x| scale_channels(x, &g)) < 2e-3);
    assert!(gradient_error(&g, |g| scale_channels(&x, g)) < 2e-3);
    assert!(scale_channels(&x, &values(&[3, 2], DType::F32)).unwrap_err().to_string().contains("[2, 3]"));
}

/// Rows are taken out and put back: either is the gradient of the other, as with candle's ops in f64.
#[test]
fn rows_are_gathered_and_scattered() {
    let rows = [0u32, 2, 3];
    for dtype in [DType::F32, DType::F64] {
        let limit = if dtype == DType::F32 { 2e-3 } else { 1e-6 };
        assert!(gradient_error(&values(&[5, 2, 3], dtype), |x| gather_rows(x, &rows)) < limit);
        assert!(gradient_error(&values(&[3, 2, 3], dtype), |x| scatter_rows(x, &rows, 5)) < limit);
    }
    let x = values(&[5, 2, 3], DType::F32);
    let taken = gather_rows(&x, &rows).unwrap();
    assert_eq!(taken.dims(), [3, 2, 3]);
    let back = scatter_rows(&taken, &rows, 5).unwrap();
    for row in 0..5u32 {
        let expected = if rows.contains(&row) { x.get(row as usize).unwrap() } else { x.get(0).unwrap().zeros_like().unwrap() };
        assert_eq!(bits(&back.get(row as usize).unwrap()), bits(&expected));
    }
    // A part of the columns is not contiguous.
    assert_eq!(gather_rows(&x.narrow(2, 1, 2).unwrap(), &rows).unwrap().dims(), [3, 2, 2]);
    let none = scatter_rows(&x.narrow(0, 0, 0).unwrap(), &[], 2).unwrap();
    assert_eq!(bits(&none), vec![0; 12]);
    for wrong in [[0u32, 2, 5], [2, 0, 3], [1, 1, 2]] {
        assert!(gather_rows(&x, &wrong).is_err() && scatter_rows(&taken, &wrong, 5).is_err());
    }
}
