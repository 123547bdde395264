//! Encoders of series: lengths, gradients, settings.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use mm_core::data::{InputKind, InputSpec, Reading};
use mm_core::encoder::{Encoder, EncoderConfig, TemporalConfig, TimePooling, TransformerConfig};
use mm_core::nn::{Lengths, Mode, Parameters, is_running_statistic};
use std::collections::HashMap;

const CHANNELS: usize = 3;
const STEPS: usize = 27;

/// Small ones of all forms.
fn configs() -> Vec<EncoderConfig> {
    let temporal = |stride, dilation, blocks, pooling| {
        EncoderConfig::temporal(TemporalConfig { widths: vec![5, 8], kernel: 3, stride, dilation, blocks, pooling })
    };
    vec![
        temporal(2, 1, 1, TimePooling::Mean),
        temporal(1, 2, 2, TimePooling::MeanMax),
        temporal(3, 1, 1, TimePooling::Max),
        EncoderConfig::transformer(TransformerConfig { patch: 4, width: 8, layers: 2, heads: 2 }),
        EncoderConfig::transformer(TransformerConfig { patch: 1, width: 6, layers: 1, heads: 3 }),
    ]
}

fn input() -> InputSpec {
    InputSpec::new(InputKind::Series, [CHANNELS, STEPS])
}

fn built(config: &EncoderConfig) -> (Parameters, Box<dyn Encoder>) {
    let parameters = Parameters::new(0, &Device::Cpu);
    let encoder = config.build("motion", &input(), parameters.builder()).unwrap();
    // Far from the initial values: norms that are the identity, and zero biases, would hide errors.
    for (at, (name, variable)) in parameters.variables().into_iter().enumerate() {
        let positive = name.ends_with("running_var") || name.ends_with("norm.weight");
        let count = variable.elem_count();
        let value = |i: usize| ((i * 29 + at * 13) % 17) as f32 / 17.0 - 0.5;
        let moved: Vec<f32> = (0..count).map(|i| if positive { 1.0 + 0.5 * value(i) } else { 0.8 * value(i) }).collect();
        variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap()).unwrap();
    }
    (parameters, encoder)
}

fn values(batch: usize) -> Tensor {
    let wave = |i: usize| ((i * 7919 % 1013) as f32 / 1013.0 - 0.5) * 3.0;
    Tensor::from_vec((0..batch * CHANNELS * STEPS).map(wave).collect::<Vec<_>>(), (batch, CHANNELS, STEPS), &Device::Cpu).unwrap()
}

fn lengths(lengths: &[u32]) -> Option<Tensor> {
    Some(Tensor::new(lengths, &Device::Cpu).unwrap())
}

/// Other values behind the lengths.
fn filled_behind(values: &Tensor, lengths: &[u32], with: f32) -> Tensor {
    let mut numbers = values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (row, channel) in numbers.chunks_mut(STEPS).enumerate() {
        channel[lengths[row / CHANNELS] as usize..].fill(with);
    }
    Tensor::from_vec(numbers, values.shape(), &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn what_stands_behind_the_lengths_changes_nothing() {
    let filled = [27, 10, 1, 0, 26];
    for config in configs() {
        for mode in [Mode::Train, Mode::Eval, Mode::Frozen] {
            let run = |with: f32| {
                let (parameters, encoder) = built(&config);
                let reading = Reading { values: filled_behind(&values(5), &filled, with), lengths: lengths(&filled) };
                let feature = encoder.forward(&reading, mode).unwrap();
                assert_eq!(feature.dims()[1..], *encoder.feature_shape());
                let gradients = (mode == Mode::Train).then(|| {
                    let gradients = feature.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                    let of = |(name, variable): (String, Var)| (name, gradients.get(&variable).map(numbers));
                    parameters.variables().into_iter().map(of).collect::<Vec<_>>()
                });
                (numbers(&feature), gradients)
            };
            let (zeros, huge, nan) = (run(0.0), run(1e9), run(f32::NAN));
            assert!(zeros.0.iter().all(|x| x.is_finite()), "{config:?} {mode:?}");
            assert!(zeros == huge && zeros == nan, "{config:?} {mode:?}");
            let width = zeros.0.len() / 5;
            assert!(zeros.0[3 * width..4 * width].iter().all(|x| *x == 0.0), "a series without steps has the feature zero");
        }
    }
}

#[test]
fn a_sample_alone_has_the_feature_that_it_has_in_a_batch() {
    let filled = [27u32, 10, 1, 19];
    for config in configs() {
        let (_parameters, encoder) = built(&config);
        let together = Reading { values: values(4), lengths: lengths(&filled) };
        let together = encoder.forward(&together, Mode::Eval).unwrap();
        for (row, &steps) in filled.iter().enumerate() {
            let alone = values(4).narrow(0, row, 1).unwrap().narrow(2, 0, steps as usize).unwrap();
            let alone = numbers(&encoder.forward(&alone.into(), Mode::Eval).unwrap());
            let among = numbers(&together.narrow(0, row, 1).unwrap());
            let difference = alone.iter().zip(&among).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let largest = alone.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
            assert!(difference < 1e-4 * largest, "{config:?}, {steps} steps: {difference}");
        }
        // Lengths that are all of it are no lengths.
        let whole = numbers(&encoder.forward(&Reading { values: values(4), lengths: lengths(&[27; 4]) }, Mode::Eval).unwrap());
        let without = numbers(&encoder.forward(&values(4).into(), Mode::Eval).unwrap());
        assert!(whole.iter().zip(&without).all(|(a, b)| (a - b).abs() < 1e-4), "{config:?}");
    }
}

/// The same encoder of these parameters in f64, which takes candle's own ops.
fn in_f64(config: &EncoderConfig, parameters: &HashMap<String, Tensor>) -> Box<dyn Encoder> {
    config.build("motion", &input(), VarBuilder::from_tensors(parameters.clone(), DType::F64, &Device::Cpu)).unwrap()
}

/// Central differences in f64 check the gradient of sampled numbers of each parameter, and that gradient in f64 all of the kernels'.
#[test]
fn gradients_are_the_slopes() {
    let filled = [27, 13, 1, 20];
    for config in configs() {
        for lengths in [None, lengths(&filled)] {
            let (parameters, encoder) = built(&config);
            let trained: Vec<(String, Var)> = parameters.variables().into_iter().filter(|(name, _)| !is_running_statistic(name)).collect();
            let weigh = |feature: &Tensor| -> Tensor {
                let weights: Vec<f64> = (0..feature.elem_count()).map(|i| ((i * 37 % 11) as f64 - 5.0) / 5.0).collect();
                let weights = Tensor::from_vec(weights, feature.shape(), &Device::Cpu).unwrap();
                feature.to_dtype(DType::F64).unwrap().mul(&weights).unwrap().sum_all().unwrap()
            };
            let reading = Reading { values: values(4), lengths: lengths.clone() };
            let wide = Reading { values: values(4).to_dtype(DType::F64).unwrap(), lengths: lengths.clone() };
            let gradients = weigh(&encoder.forward(&reading, Mode::Train).unwrap()).backward().unwrap();

            let all: HashMap<String, Tensor> =
                parameters.variables().into_iter().map(|(name, v)| (name, v.as_tensor().to_dtype(DType::F64).unwrap())).collect();
            let variables: HashMap<String, Var> =
                trained.iter().map(|(name, _)| (name.clone(), Var::from_tensor(&all[name]).unwrap())).collect();
            let mut with_variables = all.clone();
            with_variables.extend(variables.iter().map(|(name, v)| (name.clone(), v.as_tensor().clone())));
            let slopes = weigh(&in_f64(&config, &with_variables).forward(&wide, Mode::Train).unwrap()).backward().unwrap();
            for (name, variable) in &trained {
                let slope = slopes.get(&variables[name]).unwrap_or_else(|| panic!("{config:?}: `{name}` has no gradient"));
                let slope = slope.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                let largest = slope.iter().fold(1e-2f64, |most, x| most.max(x.abs()));
                let found = numbers(gradients.get(variable).unwrap());
                let difference = slope.iter().zip(&found).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
                assert!(difference < 2e-3 * largest, "{config:?}, lengths {}: kernels of `{name}`: {difference}", lengths.is_some());
                for i in (0..slope.len()).step_by((slope.len() / 3).max(1)) {
                    let at = |delta: f64| {
                        let mut moved = all[name].flatten_all().unwrap().to_vec1::<f64>().unwrap();
                        moved[i] += delta;
                        let mut parameters = all.clone();
                        parameters.insert(name.clone(), Tensor::from_vec(moved, all[name].shape(), &Device::Cpu).unwrap());
                        weigh(&in_f64(&config, &parameters).forward(&wide, Mode::Train).unwrap()).to_scalar::<f64>().unwrap()
                    };
                    let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                    assert!((numeric - slope[i]).abs() < 1e-4 * largest, "{config:?}: `{name}` {i}: {numeric} {}", slope[i]);
                }
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    for config in configs() {
        let run = || {
            let parameters = Parameters::new(3, &Device::Cpu);
            let encoder = config.build("motion", &input(), parameters.builder()).unwrap();
            let reading = Reading { values: values(4), lengths: lengths(&[27, 3, 9, 20]) };
            let feature = encoder.forward(&reading, Mode::Train).unwrap();
            numbers(&feature).iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}

#[test]
fn costs_count_what_is_trained() {
    for config in configs() {
        let (parameters, encoder) = built(&config);
        let cost = config.cost(&input()).unwrap();
        let count = parameters.count_trained() as f64;
        // Biases and norms are few.
        assert!((0.6..=1.05).contains(&(cost.parameters / count)), "{config:?}: {} of {count}", cost.parameters);
        assert_eq!(vec![cost.channels as usize], encoder.feature_shape());
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let none = TemporalConfig::default();
    let refused = |config: EncoderConfig, input: InputSpec, words: &[&str]| {
        let parameters = Parameters::new(0, &Device::Cpu);
        let error = config.build("motion", &input, parameters.builder()).map(drop).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    let temporal = |config: TemporalConfig| EncoderConfig::temporal(config);
    refused(temporal(TemporalConfig { kernel: 4, ..none.clone() }), input(), &["kernel", "odd", "4"]);
    refused(temporal(TemporalConfig { stride: 0, ..none.clone() }), input(), &["stride"]);
    refused(temporal(TemporalConfig { widths: vec![], ..none.clone() }), input(), &["widths"]);
    refused(temporal(TemporalConfig { dilation: 9, blocks: 4, ..none.clone() }), input(), &["dilation", "fewer blocks"]);
    refused(temporal(none), InputSpec::vector(3), &["`temporal` reads series", "[3]"]);
    let small = TransformerConfig::default();
    refused(EncoderConfig::transformer(TransformerConfig { heads: 3, ..small }), input(), &["heads", "divide"]);
    refused(EncoderConfig::transformer(TransformerConfig { patch: 0, ..small }), input(), &["patch"]);
    refused(EncoderConfig::transformer(small), InputSpec::vector(3), &["`transformer` reads series"]);
    let long = InputSpec::new(InputKind::Series, [1, 1 << 20]);
    refused(EncoderConfig::transformer(TransformerConfig { patch: 2, ..small }), long, &["patch", "more steps to a patch"]);
}

#[test]
fn series_have_a_temporal_encoder_where_nobody_chose() {
    let chosen = |steps: usize| EncoderConfig::for_input("motion", &InputSpec::new(InputKind::Series, [2, steps])).unwrap();
    assert_eq!(chosen(15).kind(), "mlp");
    for steps in [16, 17, 100, 1000, 1024, 16_000, 1_000_000] {
        let config = chosen(steps);
        assert_eq!(config.kind(), "temporal");
        let parameters = Parameters::new(0, &Device::Cpu);
        config.build("motion", &InputSpec::new(InputKind::Series, [2, steps]), parameters.builder()).unwrap();
    }
    let widths = |steps| serde_json::to_value(chosen(steps)).unwrap()["widths"].clone();
    assert_eq!(
        (widths(16), widths(100), widths(16_000)),
        (serde_json::json!([32]), serde_json::json!([32, 64, 128]), serde_json::json!([32, 64, 128, 128, 128]))
    );
}

#[test]
fn means_and_largest_numbers_are_of_what_is_filled() {
    let x = Tensor::new(&[[[[1f32, 3.0, f32::NAN]], [[-2.0, -4.0, 1e9]]], [[[5.0, 0.0, 0.0]], [[6.0, 0.0, 0.0]]]], &Device::Cpu).unwrap();
    let lengths = Lengths::new(&Tensor::new(&[2u32, 0], &Device::Cpu).unwrap(), 3).unwrap();
    let zeroed = lengths.zero_behind(&x).unwrap();
    let numbers = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(numbers(&zeroed), [1.0, 3.0, 0.0, -2.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(numbers(&lengths.mean(&zeroed).unwrap()), [2.0, -3.0, 0.0, 0.0]);
    assert_eq!(numbers(&lengths.max(&x).unwrap()), [3.0, -2.0, 0.0, 0.0]);
    assert_eq!(lengths.strided(2).steps(), [1, 0]);
    assert!(Lengths::new(&Tensor::new(&[4u32], &Device::Cpu).unwrap(), 3).is_err());
    assert!(lengths.zero_behind(&x.narrow(0, 0, 1).unwrap()).is_err());
}
