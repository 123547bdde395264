//! `nn::backward` beside candle's own, and blocks that train as one op beside the same as ops of their own.

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, Var, bail};
use mm_core::nn::{
    BatchNorm, BlockKind, Conv2d, Conv2dConfig, ConvNorm, DepthwiseConv2d, LayerNorm, Linear, Mode, Parameters, Residual, backward,
    batch_norm, conv_chain, conv_norm, conv2d, depthwise_conv2d, is_running_statistic, layer_norm, linear, residual_blocks, residual_stage,
};
use mm_testing::{bits, difference, values};

/// A layer of each kind; the last one is used twice, and its weight once more by an op of candle's.
struct Network {
    parameters: Parameters,
    rows: [ConvNorm; 2],
    conv: Conv2d,
    depthwise: DepthwiseConv2d,
    norm: BatchNorm,
    layer_norm: LayerNorm,
    linear: Linear,
}

impl Network {
    fn new() -> Result<Self> {
        let parameters = Parameters::new(3, &Device::Cpu);
        let vb = parameters.builder();
        let config = Conv2dConfig::square(1, 1);
        let row = |name: &str| conv_norm((4, 4), (3, 3), config, vb.pp(name), vb.pp(format!("{name}.norm")));
        Ok(Self {
            rows: [row("first")?, row("second")?],
            conv: conv2d(3, 4, (3, 3), config, vb.pp("conv"))?,
            depthwise: depthwise_conv2d(4, (3, 3), config, vb.pp("depthwise"))?,
            norm: batch_norm(4, vb.pp("norm"))?,
            layer_norm: layer_norm(4, 1e-5, vb.pp("layer_norm"))?,
            linear: linear(4, 4, vb.pp("linear"))?,
            parameters,
        })
    }

    fn output(&self) -> Result<Tensor> {
        let [first, second] = &self.rows;
        let x = self.conv.forward_relu(&values(&[2, 3, 6, 5], DType::F32))?;
        let x = conv_chain(&[(first, true), (second, true)], Residual::Input, None, &x, Mode::Train)?;
        let x = self.norm.forward(&self.depthwise.forward(&x)?, Mode::Train)?;
        let x = self.layer_norm.forward(&x.mean((2, 3))?)?;
        let x = self.linear.forward(&self.linear.forward_relu(&x)?)?;
        x.sqr()?.sum_all()? + self.linear.weight().sqr()?.sum_all()?
    }

    /// The largest difference of two passes' gradients.
    fn difference(&self, a: &GradStore, b: &GradStore) -> f64 {
        let variables = self.parameters.variables().into_iter().filter(|(name, _)| !is_running_statistic(name));
        let differences: Vec<f64> = variables.map(|(_, var)| difference(a.get(&var).unwrap(), b.get(&var).unwrap())).collect();
        assert_eq!(differences.len(), 15);
        differences.into_iter().fold(0.0, f64::max)
    }
}

#[test]
fn every_variable_has_the_gradient_that_candle_finds() {
    let network = Network::new().unwrap();
    let (ours, candles) = (backward(&network.output().unwrap()).unwrap(), network.output().unwrap().backward().unwrap());
    assert!(network.difference(&ours, &candles) < 1e-5);
}

/// An op whose backward pass fails.
struct Breaks;

impl CustomOp1 for Breaks {
    fn name(&self) -> &'static str {
        "breaks"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((storage.clone(), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        bail!("as asked")
    }
}

#[test]
fn a_pass_that_fails_takes_nothing_from_the_next() {
    let network = Network::new().unwrap();
    let expected = network.output().unwrap().backward().unwrap();
    let broken = network.output().unwrap().apply_op1(Breaks).unwrap();
    assert!(backward(&broken).is_err());
    let after = network.output().unwrap().backward().unwrap();
    assert_eq!(network.difference(&after, &expected), 0.0);
}

/// Blocks that train as one op, beside the same blocks as ops of their own.
#[test]
fn blocks_in_a_row_are_those_blocks() {
    for (kind, stride) in [(BlockKind::Basic, 1), (BlockKind::Bottleneck, 2), (BlockKind::NonBottleneck1d, 2)] {
        let stage = || {
            let parameters = Parameters::new(5, &Device::Cpu);
            let blocks = residual_stage(kind, 4, 4, 3, stride, parameters.builder()).unwrap();
            (parameters, blocks)
        };
        let ((together, row), (apart, blocks)) = (stage(), stage());
        let input = Var::from_tensor(&values(&[2, 4, 6, 5], DType::F32)).unwrap();
        let output = residual_blocks(&row, &input, Mode::Train).unwrap();
        let expected = blocks.iter().try_fold(input.as_tensor().clone(), |x, block| block.forward(&x, Mode::Train)).unwrap();
        assert_eq!(bits(&output), bits(&expected), "{kind:?}");
        let loss = output.sqr().unwrap().sum_all().unwrap();
        let slopes = expected.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        // The second pass finds no maps, and computes them again.
        for gradients in [backward(&loss).unwrap(), loss.backward().unwrap()] {
            assert!(difference(gradients.get(&input).unwrap(), slopes.get(&input).unwrap()) < 1e-6, "{kind:?}");
            for ((name, a), (_, b)) in together.variables().into_iter().zip(apart.variables()) {
                match is_running_statistic(&name) {
                    true => assert_eq!(bits(&a), bits(&b), "{kind:?} {name}"),
                    false => assert!(difference(gradients.get(&a).unwrap(), slopes.get(&b).unwrap()) < 1e-6, "{kind:?} {name}"),
                }
            }
        }
    }
}
