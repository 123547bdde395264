//! One test for each defect of candle 0.11.1 that we work around: the day candle mends it, the workaround can go.

use candle_core::{DType, Device, Tensor, Var};
use mm_core::nn::{BatchNorm, LayerNorm, Linear, Mode, Parameters, dropout, l2_normalize, linear, scatter_rows};
use mm_core::rng::Draws;
use mm_testing::{gradient_error, values};

type Result<T> = candle_core::Result<T>;

#[test]
fn fused_softmax_drops_the_gradient() {
    let x = values(&[3, 5], DType::F64);
    assert!(gradient_error(&x, |x| candle_nn::ops::softmax(x, 1)) < 1e-6);
    assert!(gradient_error(&x, |x| candle_nn::ops::log_softmax(x, 1)) < 1e-6);
}

#[test]
fn fused_layer_norm_drops_the_gradient() {
    let norm = LayerNorm::new(values(&[6], DType::F64), values(&[6], DType::F64), 1e-5);
    assert!(gradient_error(&values(&[3, 6], DType::F64), |x| norm.forward(x)) < 1e-6);
}

#[test]
fn initialisation_cannot_be_seeded() {
    let weights = |seed: u64, first: &str| {
        let parameters = Parameters::new(seed, &Device::Cpu);
        // Another layer made first must not shift the draws.
        linear(3, 2, parameters.builder().pp(first)).unwrap();
        linear(4, 3, parameters.builder().pp("layer")).unwrap();
        parameters.get("layer.weight").unwrap().to_vec2::<f32>().unwrap()
    };
    assert_eq!(weights(1, "a"), weights(1, "b"));
    assert_ne!(weights(1, "a"), weights(2, "a"));
    let bound = 0.5; // 1 / sqrt(4)
    assert!(weights(1, "a").iter().flatten().all(|w| w.abs() <= bound));
}

#[test]
fn dropout_cannot_be_seeded() {
    let ones = Tensor::ones((100, 100), DType::F32, &Device::Cpu).unwrap();
    let ids: Vec<u64> = (0..100).collect();
    let draw = |seed| {
        let dropped = dropout(&ones, 0.3, &ids, &Draws::new(seed, "dropout", &[])).unwrap();
        dropped.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let kept = draw(1).iter().filter(|&&x| x != 0.0).count() as f64 / 10_000.0;
    assert!((kept - 0.7).abs() < 0.02, "{kept}");
    assert!(draw(1).iter().all(|&x| x == 0.0 || (x - 1.0 / 0.7).abs() < 1e-6));
    assert!(dropout(&ones, 1.0, &ids, &Draws::new(1, "dropout", &[])).is_err());
    // A sample's mask is its own, wherever it stands.
    let turned = dropout(&ones.narrow(0, 0, 2).unwrap(), 0.3, &[7, 3], &Draws::new(1, "dropout", &[])).unwrap();
    assert_eq!(turned.to_vec2::<f32>().unwrap(), [draw(1)[700..800].to_vec(), draw(1)[300..400].to_vec()]);
}

#[test]
fn binary_cross_entropy_is_infinite_at_large_logits() {
    let logits = Tensor::new(&[200f32, -200.0, 200.0, -200.0], &Device::Cpu).unwrap();
    let targets = Tensor::new(&[1f32, 0.0, 0.0, 1.0], &Device::Cpu).unwrap();
    let loss = mm_core::loss::binary_cross_entropy_with_logits(&logits, &targets).unwrap().to_scalar::<f32>().unwrap();
    assert!((loss - 100.0).abs() < 1e-4, "{loss}"); // two right, two wrong by 200
}

#[test]
fn normalising_a_zero_row_gives_a_nan_gradient() {
    let x = Var::from_tensor(&Tensor::new(&[[0f32, 0.0], [3.0, 4.0]], &Device::Cpu).unwrap()).unwrap();
    let y = l2_normalize(&x, 1e-12).unwrap();
    assert_eq!(y.to_vec2::<f32>().unwrap(), [[0.0, 0.0], [0.6, 0.8]]);
    let gradients = y.sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&x).unwrap().to_vec2::<f32>().unwrap();
    assert!(gradient.iter().flatten().all(|g| g.is_finite()), "{gradient:?}");
    assert!(gradient_error(&values(&[3, 4], DType::F64), |x| l2_normalize(x, 1e-12)) < 1e-6);
}

#[test]
fn a_product_with_a_zero_mask_keeps_nan() {
    use mm_core::fusion::keep_present;
    use mm_core::{Presence, Subset};
    let feature = Tensor::new(&[[f32::NAN, 1.0], [2.0, 3.0]], &Device::Cpu).unwrap();
    let features = [Some(feature.clone()), Some(feature)];
    let presence = Presence::new(vec![Subset::single(1), Subset::full(2)]);
    let kept = keep_present(&features, &[&presence]).unwrap();
    assert_eq!(kept[0].as_ref().unwrap().to_vec2::<f32>().unwrap(), [[0.0, 0.0], [2.0, 3.0]]);
}

#[test]
fn variables_live_in_a_hash_map() {
    let parameters = Parameters::new(0, &Device::Cpu);
    for name in ["z", "b", "m", "a", "y"] {
        linear(2, 2, parameters.builder().pp(name)).unwrap();
    }
    let names = parameters.names();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(parameters.variables().into_iter().map(|(n, _)| n).collect::<Vec<_>>(), names);
}

#[test]
fn batch_norm_is_many_small_ops() {
    for (shape, relu) in [(vec![7, 5], false), (vec![7, 5], true), (vec![3, 4, 2, 2], false)] {
        let features = shape[1];
        let run = |dtype: DType, x: &Tensor| -> Result<Tensor> {
            let tensor = |offset: f64| (values(&[features], DType::F64) + offset)?.to_dtype(dtype);
            let running = Var::zeros(features, dtype, &Device::Cpu)?;
            let variance = Var::ones(features, dtype, &Device::Cpu)?;
            let norm = BatchNorm::new(tensor(2.0)?, tensor(0.1)?, running.as_tensor().clone(), variance.as_tensor().clone(), 1e-5, 0.1)?;
            if relu { norm.forward_relu(x, Mode::Train) } else { norm.forward(x, Mode::Train) }
        };
        // f64 takes the path of candle ops, f32 the fused one.
        let (x64, x32) = (values(&shape, DType::F64), values(&shape, DType::F32));
        let (y64, y32) = (run(DType::F64, &x64).unwrap(), run(DType::F32, &x32).unwrap().to_dtype(DType::F64).unwrap());
        let difference = (y64 - y32).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f64>().unwrap();
        assert!(difference < 1e-5, "{shape:?} relu {relu}: {difference}");
        if !relu {
            assert!(gradient_error(&x64, |x| run(DType::F64, x)) < 1e-6);
            assert!(gradient_error(&x32, |x| run(DType::F32, x)) < 2e-3);
        }
        // The same gradient from both paths, ReLU included.
        let gradient = |dtype: DType, x: &Tensor| {
            let x = Var::from_tensor(x).unwrap();
            let loss = run(dtype, &x).unwrap().sqr().unwrap().sum_all().unwrap();
            loss.backward().unwrap().get(&x).unwrap().to_dtype(DType::F64).unwrap()
        };
        let difference = (gradient(DType::F64, &x64) - gradient(DType::F32, &x32)).unwrap().abs().unwrap().flatten_all().unwrap();
        assert!(difference.max(0).unwrap().to_scalar::<f64>().unwrap() < 1e-4, "{shape:?} relu {relu}");
    }
}

#[test]
fn linear_has_the_gradients_of_its_composition() {
    let (weight, bias) = (values(&[3, 4], DType::F32), values(&[3], DType::F32));
    let layer = Linear::new(weight.clone(), Some(bias.clone()));
    let x = values(&[5, 4], DType::F32);
    let composed = x.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
    let difference = (layer.forward(&x).unwrap() - composed).unwrap().abs().unwrap().flatten_all().unwrap();
    assert!(difference.max(0).unwrap().to_scalar::<f32>().unwrap() < 1e-6);
    assert!(gradient_error(&x, |x| layer.forward(x)) < 1e-3);
    assert!(gradient_error(&weight, |w| Linear::new(w.clone(), Some(bias.clone())).forward(&x)) < 1e-3);
    assert!(gradient_error(&bias, |b| Linear::new(weight.clone(), Some(b.clone())).forward(&x)) < 1e-3);
}

#[test]
fn linear_with_relu_has_the_gradients_of_its_composition() {
    for biased in [true, false] {
        let variable = |shape: &[usize]| Var::from_tensor(&values(shape, DType::F32)).unwrap();
        let (x, weight, bias) = (variable(&[5, 4]), variable(&[3, 4]), variable(&[3]));
        let layer = Linear::new(weight.as_tensor().clone(), biased.then(|| bias.as_tensor().clone()));
        let (fused, composed) = (layer.forward_relu(&x).unwrap(), layer.forward(&x).unwrap().relu().unwrap());
        let numbers = fused.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers, composed.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let closed = numbers.iter().filter(|y| **y == 0.0).count();
        assert!((1..numbers.len()).contains(&closed), "{numbers:?}");
        let [of_fused, of_composed] = [fused, composed].map(|y| y.sqr().unwrap().sum_all().unwrap().backward().unwrap());
        for variable in [&x, &weight, &bias].into_iter().take(if biased { 3 } else { 2 }) {
            let [a, b] = [&of_fused, &of_composed].map(|g| g.get(variable).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap());
            assert_eq!(a, b);
        }
        // Away from the kinks: everything open, by a large bias.
        if biased {
            let open = Linear::new(weight.as_tensor().detach(), Some(Tensor::full(9f32, 3, &Device::Cpu).unwrap()));
            assert!(gradient_error(&values(&[5, 4], DType::F32), |x| open.forward_relu(x)) < 1e-3);
        }
    }
}

#[test]
fn scattering_rows_has_the_gather_as_its_gradient() {
    let x = values(&[2, 3], DType::F64);
    let y = scatter_rows(&x, &[1, 3], 4).unwrap().to_vec2::<f64>().unwrap();
    let rows = x.to_vec2::<f64>().unwrap();
    assert_eq!(y, [vec![0.0; 3], rows[0].clone(), vec![0.0; 3], rows[1].clone()]);
    assert!(gradient_error(&x, |x| scatter_rows(x, &[1, 3], 4)) < 1e-6);
}
