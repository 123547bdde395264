//! A convolution and the batch normalisation behind it: what prediction folds and keeps.

use candle_core::{DType, Device, Tensor};
use mm_core::nn::{Conv2d, Conv2dConfig, ConvNorm, Mode, Parameters, conv_norm};
use mm_testing::{bits, difference, values};
use std::path::Path;

/// A unit of 20 to 18 channels, and its variables.
fn unit(seed: u64) -> (ConvNorm, Parameters) {
    let parameters = Parameters::new(seed, &Device::Cpu);
    let vb = parameters.builder();
    let unit = conv_norm((20, 18), (3, 3), Conv2dConfig::square(1, 1), vb.pp("conv"), vb.pp("norm")).unwrap();
    (unit, parameters)
}

fn image(batch: usize) -> Tensor {
    values(&[batch, 20, 8, 8], DType::F32)
}

#[test]
fn folding_batch_norm_changes_rounding_only() {
    let (unit, parameters) = unit(1);
    for _ in 0..3 {
        unit.forward(&image(4), Mode::Train).unwrap();
    }
    let x = image(4);
    let weight = parameters.get("conv.weight").unwrap();
    let norm = mm_core::nn::batch_norm(18, parameters.builder().pp("norm")).unwrap();
    let convolved = Conv2d::new(weight, None, Conv2dConfig::square(1, 1)).forward(&x).unwrap();
    let residual = (convolved.affine(0.1, 0.3)).unwrap();
    let folded = unit.forward(&x, Mode::Eval).unwrap();
    assert!(difference(&folded, &norm.forward(&convolved, Mode::Eval).unwrap()) < 1e-5);
    let folded = unit.forward_relu(&x, Mode::Eval).unwrap();
    assert!(difference(&folded, &norm.forward_relu(&convolved, Mode::Eval).unwrap()) < 1e-5);
    let folded = unit.forward_add_relu(&x, &residual, Mode::Eval).unwrap();
    assert!(difference(&folded, &norm.forward_add_relu(&convolved, &residual, Mode::Eval).unwrap()) < 1e-5);
    let wrong = unit.forward_add_relu(&x, &x, Mode::Eval).unwrap_err().to_string();
    assert!(wrong.contains("same shape"), "{wrong}");
}

#[test]
fn folded_weights_are_never_stale() {
    let (unit_under_test, parameters) = unit(1);
    let x = image(2);
    let eval = |unit: &ConvNorm| bits(&unit.forward(&x, Mode::Eval).unwrap());
    let fresh = |parameters: &Parameters| {
        let (other, its) = unit(9);
        its.restore(&parameters.snapshot().unwrap(), Path::new("memory")).unwrap();
        eval(&other)
    };
    let check = |what: &str, before: Vec<u32>| {
        let now = eval(&unit_under_test);
        assert_ne!(now, before, "{what} changes the output");
        assert_eq!(now, fresh(&parameters), "{what}");
        assert_eq!(now, eval(&unit_under_test), "{what}, again");
        now
    };
    let mut last = eval(&unit_under_test);
    unit_under_test.forward(&x, Mode::Train).unwrap();
    last = check("a training pass", last);
    parameters.restore(&unit(2).1.snapshot().unwrap(), Path::new("memory")).unwrap();
    last = check("restored variables", last);
    // One number anywhere, its sign alone included.
    for (name, index, factor) in [("conv.weight", 1234, -1.0f32), ("norm.running_var", 7, 3.0), ("norm.weight", 17, 0.5)] {
        let variable = parameters.variables().into_iter().find(|(n, _)| n == name).unwrap().1;
        let mut numbers = variable.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        numbers[index] *= factor;
        variable.set(&Tensor::from_vec(numbers, variable.shape(), &Device::Cpu).unwrap()).unwrap();
        last = check(name, last);
    }
}

#[test]
fn passes_before_do_not_change_the_bits_of_a_prediction() {
    // At 4x4, one image is convolved directly and eight by Winograd's transforms.
    let small = |batch: usize| values(&[batch, 20, 4, 4], DType::F32);
    let (used, _) = unit(3);
    for batch in [8, 1, 8, 8, 8, 1, 1, 1, 8] {
        let fresh = unit(3).0.forward(&small(batch), Mode::Eval).unwrap();
        assert_eq!(bits(&used.forward(&small(batch), Mode::Eval).unwrap()), bits(&fresh), "batch {batch}");
    }
}

#[test]
fn threads_share_a_folded_unit() {
    let (unit, _) = unit(4);
    let expected = bits(&self::unit(4).0.forward(&image(2), Mode::Eval).unwrap());
    std::thread::scope(|scope| {
        let passes: Vec<_> = (0..4).map(|_| scope.spawn(|| bits(&unit.forward(&image(2), Mode::Eval).unwrap()))).collect();
        for pass in passes {
            assert_eq!(pass.join().unwrap(), expected);
        }
    });
}
