//! A convolution and the batch normalisation behind it: one op in training, folded weights at prediction.

use candle_core::{DType, Device, Tensor, Var};
use mm_core::nn::{BatchNorm, Conv2d, Conv2dConfig, ConvNorm, Lengths, Mode, Parameters, conv_norm};
use mm_testing::{bits, difference, gradient_error, values};
use std::path::Path;

/// Input, weight, bias of the convolution, weight and bias of the norm.
type Tensors = [Tensor; 5];

/// Channels, height and width of the input; what the convolution does; whether it has a bias, whether a ReLU is behind.
struct Form {
    input: [usize; 4],
    kernel: (usize, usize),
    config: Conv2dConfig,
    bias: bool,
    relu: bool,
    lengths: Option<Lengths>,
}

impl Form {
    fn tensors(&self) -> Tensors {
        let of = |shape: &[usize], scale: f64, offset: f64| values(shape, DType::F32).affine(scale, offset).unwrap();
        let (inputs, outputs) = (self.input[1], 3);
        let weight = of(&[outputs, inputs, self.kernel.0, self.kernel.1], 0.7, 0.1);
        [of(&self.input, 1.0, 0.2), weight, of(&[outputs], 0.5, 0.4), of(&[outputs], 0.3, 1.2), of(&[outputs], 0.9, 0.3)]
    }

    fn parts(&self, tensors: &Tensors) -> (Conv2d, BatchNorm) {
        let [_, weight, bias, norm_weight, norm_bias] = tensors;
        let running = |value: f64| Var::from_tensor(&norm_bias.affine(0.0, value).unwrap()).unwrap().as_tensor().clone();
        let norm = BatchNorm::new(norm_weight.clone(), norm_bias.clone(), running(0.2), running(0.9), 1e-5, 0.1).unwrap();
        (Conv2d::new(weight.clone(), self.bias.then(|| bias.clone()), self.config), norm)
    }

    /// Output, running mean and running variance.
    fn as_one(&self, tensors: &Tensors) -> candle_core::Result<[Tensor; 3]> {
        let (conv, norm) = self.parts(tensors);
        let unit = ConvNorm::new(conv, norm.clone());
        let output = match &self.lengths {
            Some(lengths) => unit.forward_filled(&tensors[0], None, self.relu, lengths, Mode::Train)?,
            None if self.relu => unit.forward_relu(&tensors[0], Mode::Train)?,
            None => unit.forward(&tensors[0], Mode::Train)?,
        };
        let (mean, variance) = norm.running_statistics();
        Ok([output, mean.clone(), variance.clone()])
    }

    fn as_two(&self, tensors: &Tensors) -> candle_core::Result<[Tensor; 3]> {
        let (conv, norm) = self.parts(tensors);
        let between = conv.forward(&tensors[0])?;
        let output = match &self.lengths {
            Some(lengths) => norm.forward_filled(&between, None, self.relu, lengths, Mode::Train)?,
            None if self.relu => norm.forward_relu(&between, Mode::Train)?,
            None => norm.forward(&between, Mode::Train)?,
        };
        let (mean, variance) = norm.running_statistics();
        Ok([output, mean.clone(), variance.clone()])
    }

    /// The tensors that the output depends on.
    fn used(&self) -> impl Iterator<Item = usize> {
        let bias = self.bias;
        (0..5).filter(move |&i| i != 2 || bias)
    }
}

fn forms() -> Vec<Form> {
    let plain = Conv2dConfig::square(1, 1);
    let strided = Conv2dConfig { stride: (2, 1), padding: (1, 0), dilation: (1, 2) };
    let form = |input, kernel, config, bias, relu| Form { input, kernel, config, bias, relu, lengths: None };
    let series = form([3, 2, 1, 9], (1, 3), Conv2dConfig { padding: (0, 1), ..Conv2dConfig::default() }, false, true);
    let lengths = Lengths::new(&Tensor::new(&[9u32, 4, 6], &Device::Cpu).unwrap(), 9).unwrap();
    vec![
        form([2, 3, 6, 5], (3, 3), plain, false, true),
        form([2, 3, 6, 5], (3, 3), plain, true, false),
        form([3, 2, 7, 6], (3, 2), strided, true, true),
        form([4, 5, 2, 3], (1, 1), Conv2dConfig::default(), false, false),
        Form { lengths: Some(lengths), ..series },
    ]
}

#[test]
fn one_op_trains_as_two() {
    for (i, form) in forms().iter().enumerate() {
        let variables = form.tensors().map(|tensor| Var::from_tensor(&tensor).unwrap());
        let tensors = variables.each_ref().map(|variable| variable.as_tensor().clone());
        let (one, two) = (form.as_one(&tensors).unwrap(), form.as_two(&tensors).unwrap());
        for (one, two) in one.iter().zip(&two) {
            assert_eq!(difference(one, two), 0.0, "form {i}");
        }
        let gradients = |output: &Tensor| output.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let (of_one, again, of_two) = (gradients(&one[0]), gradients(&one[0]), gradients(&two[0]));
        for variable in form.used() {
            let get = |all: &candle_core::backprop::GradStore| all.get(&tensors[variable]).unwrap().clone();
            // The norm takes a bias of the convolution away, so its gradient is rounding.
            let has_gradient = variable != 2;
            assert!(!has_gradient || difference(&get(&of_two), &get(&of_two).zeros_like().unwrap()) > 0.0, "form {i}, variable {variable}");
            assert_eq!(difference(&get(&of_one), &get(&of_two)), 0.0, "form {i}, variable {variable}");
            // The first pass took the map between the two out of the op.
            assert_eq!(difference(&get(&again), &get(&of_two)), 0.0, "form {i}, variable {variable}, a second pass over the graph");
        }
    }
}

#[test]
fn one_op_has_the_gradients_of_finite_differences() {
    for (i, form) in forms().iter().enumerate() {
        let mut tensors = form.tensors();
        // Of a ReLU that is open or shut by more than the step of the differences.
        tensors[4] = Tensor::new(&[6.0f32, -6.0, 6.0], &Device::Cpu).unwrap();
        for variable in form.used().filter(|&variable| variable != 2) {
            let error = gradient_error(&tensors[variable], |x| {
                let mut tensors = tensors.clone();
                tensors[variable] = x.clone();
                form.as_one(&tensors).map(|[output, ..]| output)
            });
            assert!(error < 4e-3, "form {i}, variable {variable}: {error}");
        }
    }
}

#[test]
fn one_pixel_is_normalised_with_the_running_statistics() {
    let form = &forms()[3];
    let mut tensors = form.tensors();
    tensors[0] = (0..4).filter(|&dim| dim != 1).fold(tensors[0].clone(), |x, dim| x.narrow(dim, 0, 1).unwrap());
    let ([one, mean, _], [two, ..]) = (form.as_one(&tensors).unwrap(), form.as_two(&tensors).unwrap());
    assert_eq!(difference(&one, &two), 0.0);
    assert_eq!(mean.to_vec1::<f32>().unwrap(), [0.2; 3]);
}

#[test]
fn what_does_not_fit_is_refused_in_training_too() {
    let form = &forms()[0];
    let (conv, _) = form.parts(&form.tensors());
    let other = norm_of(4);
    let wrong = ConvNorm::new(conv, other).forward(&form.tensors()[0], Mode::Train).unwrap_err().to_string();
    assert!(wrong.contains("batch norm of 4 features"), "{wrong}");
}

fn norm_of(features: usize) -> BatchNorm {
    let ones = || Tensor::ones(features, DType::F32, &Device::Cpu).unwrap();
    BatchNorm::new(ones(), ones(), ones(), ones(), 1e-5, 0.1).unwrap()
}

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
