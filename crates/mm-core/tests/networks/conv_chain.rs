//! Layers that train as one op, against the same layers as ops of their own and against finite differences.

use candle_core::{DType, Device, Result, Tensor, Var};
use mm_core::nn::{BatchNorm, Conv2d, Conv2dConfig, ConvNorm, Lengths, Mode, Residual, conv_chain};
use mm_testing::{difference, gradient_error, values};

struct Layer {
    channels: (usize, usize),
    kernel: (usize, usize),
    config: Conv2dConfig,
    bias: bool,
    norm: bool,
    relu: bool,
}

impl Layer {
    fn new(channels: (usize, usize), kernel: (usize, usize), config: Conv2dConfig) -> Self {
        Self { channels, kernel, config, bias: false, norm: true, relu: true }
    }

    /// Weight, bias of the convolution, weight and bias of the norm: scale and offset of the numbers, and the shape.
    fn shapes(&self) -> Vec<(f64, f64, Vec<usize>)> {
        let (inputs, outputs) = self.channels;
        let weight = (0.7, 0.1, vec![outputs, inputs, self.kernel.0, self.kernel.1]);
        let bias = self.bias.then_some((0.5, 0.4, vec![outputs]));
        let norm = [(0.3, 1.2, vec![outputs]), (0.9, 0.3, vec![outputs])];
        [weight].into_iter().chain(bias).chain(norm.into_iter().filter(|_| self.norm)).collect()
    }

    fn parts<'a>(&self, tensors: &mut impl Iterator<Item = &'a Tensor>) -> (Conv2d, Option<BatchNorm>) {
        let mut next = || tensors.next().unwrap().clone();
        let conv = Conv2d::new(next(), self.bias.then(&mut next), self.config);
        let running = |value: f64| Var::from_tensor(&Tensor::full(value as f32, self.channels.1, &Device::Cpu).unwrap()).unwrap();
        let norm = self.norm.then(|| {
            let (mean, variance) = (running(0.2).as_tensor().clone(), running(0.9).as_tensor().clone());
            BatchNorm::new(next(), next(), mean, variance, 1e-5, 0.1).unwrap()
        });
        (conv, norm)
    }

    fn unit((conv, norm): &(Conv2d, Option<BatchNorm>)) -> ConvNorm {
        match norm {
            Some(norm) => ConvNorm::new(conv.clone(), norm.clone()),
            None => ConvNorm::without_norm(conv.clone()),
        }
    }
}

enum Beside {
    Nothing,
    Map,
    Input,
    Projection(Layer),
}

struct Row {
    input: [usize; 4],
    layers: Vec<Layer>,
    beside: Beside,
    lengths: Option<Lengths>,
}

impl Row {
    fn projection(&self) -> Option<&Layer> {
        if let Beside::Projection(layer) = &self.beside { Some(layer) } else { None }
    }

    /// Input, parameters of the layers and of the projection, and last a residual from elsewhere.
    fn tensors(&self) -> Vec<Tensor> {
        let mut shapes = vec![(1.0, 0.2, self.input.to_vec())];
        shapes.extend(self.layers.iter().chain(self.projection()).flat_map(Layer::shapes));
        let of = |shapes: &[(f64, f64, Vec<usize>)]| -> Vec<Tensor> {
            shapes.iter().map(|(scale, offset, shape)| values(shape, DType::F32).affine(*scale, *offset).unwrap()).collect()
        };
        if let Beside::Map = self.beside {
            let nothing = Row { beside: Beside::Nothing, layers: vec![], lengths: None, ..*self };
            let mut x = nothing.tensors().remove(0);
            let mut tensors = of(&shapes);
            for layer in &self.layers {
                x = layer.parts(&mut tensors[1..].iter()).0.forward(&x).unwrap();
            }
            tensors.push(x.affine(0.3, -0.2).unwrap());
            return tensors;
        }
        of(&shapes)
    }

    /// The output, and the running statistics after it.
    fn run(&self, tensors: &[Tensor], as_one: bool) -> Result<Vec<Tensor>> {
        let mut rest = tensors[1..].iter();
        let parts: Vec<_> = self.layers.iter().chain(self.projection()).map(|layer| layer.parts(&mut rest)).collect();
        let (layers, projection) = parts.split_at(self.layers.len());
        let input = &tensors[0];
        let output = if as_one {
            let units: Vec<ConvNorm> = parts.iter().map(Layer::unit).collect();
            let layers: Vec<_> = units.iter().zip(&self.layers).map(|(unit, layer)| (unit, layer.relu)).collect();
            let residual = match &self.beside {
                Beside::Nothing => Residual::Nothing,
                Beside::Map => Residual::Map(&tensors[tensors.len() - 1]),
                Beside::Input => Residual::Input,
                Beside::Projection(_) => Residual::Projection(&units[units.len() - 1]),
            };
            conv_chain(&layers, residual, self.lengths.as_ref(), input, Mode::Train)?
        } else {
            let residual = match &self.beside {
                Beside::Nothing => None,
                Beside::Map => Some(tensors[tensors.len() - 1].clone()),
                Beside::Input => Some(input.clone()),
                Beside::Projection(_) => Some(self.part(&projection[0], input, None, false)?),
            };
            let mut x = input.clone();
            for (i, (parts, layer)) in layers.iter().zip(&self.layers).enumerate() {
                x = self.part(parts, &x, residual.as_ref().filter(|_| i + 1 == layers.len()), layer.relu)?;
            }
            x
        };
        let norms = parts.iter().filter_map(|(_, norm)| norm.as_ref());
        Ok([output].into_iter().chain(norms.flat_map(|norm| <[_; 2]>::from(norm.running_statistics()).map(Tensor::clone))).collect())
    }

    /// One layer, from an op for the convolution and one for the norm.
    fn part(&self, (conv, norm): &(Conv2d, Option<BatchNorm>), x: &Tensor, residual: Option<&Tensor>, relu: bool) -> Result<Tensor> {
        let (x, mode) = (conv.forward(x)?, Mode::Train);
        match (norm, &self.lengths, residual) {
            (None, ..) if relu => x.relu(),
            (None, ..) => Ok(x),
            (Some(norm), Some(lengths), residual) => norm.forward_filled(&x, residual, relu, lengths, mode),
            (Some(norm), None, Some(residual)) if relu => norm.forward_add_relu(&x, residual, mode),
            (Some(norm), None, Some(residual)) => norm.forward(&x, mode)? + residual,
            (Some(norm), None, None) if relu => norm.forward_relu(&x, mode),
            (Some(norm), None, None) => norm.forward(&x, mode),
        }
    }
}

fn rows() -> Vec<Row> {
    let (plain, one) = (Conv2dConfig::square(1, 1), Conv2dConfig::default());
    let square = |inputs, outputs| Layer::new((inputs, outputs), (3, 3), plain);
    let strided = |inputs, outputs| Layer::new((inputs, outputs), (3, 3), Conv2dConfig::square(2, 1));
    let uneven = Conv2dConfig { stride: (2, 1), padding: (1, 0), dilation: (1, 2) };
    let pointwise = |inputs, outputs, stride| Layer::new((inputs, outputs), (1, 1), Conv2dConfig::square(stride, 0));
    let column = || Layer { bias: true, norm: false, ..Layer::new((3, 3), (3, 1), Conv2dConfig { padding: (1, 0), ..one }) };
    let row = || Layer { bias: true, ..Layer::new((3, 3), (1, 3), Conv2dConfig { padding: (0, 1), ..one }) };
    let time = |inputs, kernel, stride| {
        Layer::new((inputs, 3), (1, kernel), Conv2dConfig { stride: (1, stride), padding: (0, kernel / 2), dilation: (1, 1) })
    };
    let of = |input, layers, beside| Row { input, layers, beside, lengths: None };
    let lengths = Lengths::new(&Tensor::new(&[5u32, 2, 4], &Device::Cpu).unwrap(), 5).unwrap();
    vec![
        of([2, 3, 6, 5], vec![Layer { bias: true, ..square(3, 2) }], Beside::Nothing),
        of([3, 2, 7, 6], vec![Layer::new((2, 3), (3, 2), uneven)], Beside::Map),
        of([2, 3, 6, 5], vec![square(3, 2), square(2, 3)], Beside::Nothing),
        of([2, 3, 5, 4], vec![square(3, 3), square(3, 3)], Beside::Input),
        of([2, 3, 6, 6], vec![strided(3, 2), square(2, 2)], Beside::Projection(Layer { relu: false, ..pointwise(3, 2, 2) })),
        of([2, 3, 5, 4], vec![column(), row(), column(), row()], Beside::Input),
        of([7, 3, 1, 1], vec![pointwise(3, 4, 1), pointwise(4, 2, 1)], Beside::Projection(pointwise(3, 2, 1))),
        Row { lengths: Some(lengths), ..of([3, 2, 1, 9], vec![time(2, 3, 2), time(3, 3, 1)], Beside::Projection(time(2, 1, 2))) },
    ]
}

#[test]
fn one_op_trains_as_many() {
    for (i, row) in rows().iter().enumerate() {
        let variables: Vec<Var> = row.tensors().iter().map(|tensor| Var::from_tensor(tensor).unwrap()).collect();
        let tensors: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
        let (one, many) = (row.run(&tensors, true).unwrap(), row.run(&tensors, false).unwrap());
        for (one, many) in one.iter().zip(&many) {
            assert_eq!(difference(one, many), 0.0, "row {i}");
        }
        let gradients = |output: &Tensor| output.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let (of_one, again, of_many) = (gradients(&one[0]), gradients(&one[0]), gradients(&many[0]));
        for (variable, tensor) in tensors.iter().enumerate() {
            let expected = of_many.get(tensor).unwrap();
            assert_eq!(difference(of_one.get(tensor).unwrap(), expected), 0.0, "row {i}, variable {variable}");
            // The first pass took the maps out of the op.
            assert_eq!(difference(again.get(tensor).unwrap(), expected), 0.0, "row {i}, variable {variable}, a second pass");
        }
    }
}

#[test]
fn one_op_has_the_gradients_of_finite_differences() {
    for (i, row) in rows().iter().enumerate().filter(|(i, _)| *i != 6) {
        let mut tensors = row.tensors();
        let layers = row.layers.iter().chain(row.projection());
        let shapes: Vec<_> =
            layers.flat_map(|layer| layer.shapes().into_iter().map(|(_, offset, shape)| (offset, shape, layer.norm))).collect();
        let mut checked = vec![0];
        for (variable, (offset, shape, has_norm)) in (1..).zip(shapes) {
            // ReLUs that are open or shut by more than the step of the differences: biases of the norm, and of what has none.
            let decides = offset == 0.3 || (offset == 0.4 && !has_norm);
            if decides {
                let biases: Vec<f32> = (0..shape[0]).map(|channel| if channel % 2 == 0 { 9.0 } else { -9.0 }).collect();
                tensors[variable] = Tensor::new(biases, &Device::Cpu).unwrap();
            }
            // The norm takes a bias of its convolution away: its gradient is rounding.
            if !(offset == 0.4 && has_norm) {
                checked.push(variable);
            }
        }
        for variable in checked {
            let error = gradient_error(&tensors[variable], |x| {
                let mut tensors = tensors.clone();
                tensors[variable] = x.clone();
                row.run(&tensors, true).map(|mut outputs| outputs.remove(0))
            });
            assert!(error < 2e-2, "row {i}, variable {variable}: {error}");
        }
    }
}

#[test]
fn gradients_that_nobody_asks_for_are_left_out() {
    let row = &rows()[4];
    let mut tensors = row.tensors();
    let weight = Var::from_tensor(&tensors[1]).unwrap();
    tensors[1] = weight.as_tensor().clone();
    let gradients = row.run(&tensors, true).unwrap()[0].sqr().unwrap().sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&weight).is_some());
    assert!(tensors.iter().enumerate().all(|(i, tensor)| i == 1 || gradients.get(tensor).is_none()));
}

#[test]
fn one_pixel_is_normalised_with_the_running_statistics() {
    let row = &rows()[6];
    let mut tensors = row.tensors();
    tensors[0] = tensors[0].narrow(0, 0, 1).unwrap();
    let (one, many) = (row.run(&tensors, true).unwrap(), row.run(&tensors, false).unwrap());
    assert_eq!(difference(&one[0], &many[0]), 0.0);
    assert_eq!(one[1].to_vec1::<f32>().unwrap(), [0.2; 4]);
}

#[test]
fn what_does_not_fit_is_refused_in_training() {
    let row = &rows()[3];
    let tensors = row.tensors();
    let (conv, norm) = row.layers[0].parts(&mut tensors[1..].iter());
    let (ones, input) = (|| Tensor::ones(4, DType::F32, &Device::Cpu).unwrap(), &tensors[0]);
    let other = BatchNorm::new(ones(), ones(), ones(), ones(), 1e-5, 0.1).unwrap();
    let wrong = ConvNorm::new(conv.clone(), other).forward(input, Mode::Train).unwrap_err().to_string();
    assert!(wrong.contains("batch norm of 4 features"), "{wrong}");
    let residual = input.narrow(2, 0, 2).unwrap();
    let wrong = ConvNorm::new(conv, norm.unwrap()).forward_add_relu(input, &residual, Mode::Train).unwrap_err().to_string();
    assert!(wrong.contains("same shape"), "{wrong}");
}
