//! Encoders in bf16, everything else in f32.

use candle_core::{DType, Device, Result, Tensor};
use mm_core::data::Source;
use mm_core::encoder::EncoderDType;
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::nn::{
    Conv2dConfig, Mode, Parameters, avg_pool2d, conv_norm, conv2d, depthwise_conv2d, layer_norm, linear, max_pool2d, squeeze_excite,
};
use mm_testing::{clear_to_weak, clear_to_weak_schema, difference, values};

/// Every layer of an image encoder, on `[batch, 3, 9, 9]`; its variables are f32.
fn small_encoder(x: &Tensor, parameters: &Parameters) -> Result<Tensor> {
    let vb = parameters.builder();
    let (three, mode) = (Conv2dConfig::square(1, 1), Mode::Train);
    let x = conv2d(3, 8, (3, 3), three, vb.pp("stem"))?.forward(x)?;
    let x = conv_norm((8, 8), (3, 3), three, vb.pp("conv"), vb.pp("norm"))?.forward_add_relu(&x, &x, mode)?;
    let x = depthwise_conv2d(8, (3, 3), three, vb.pp("depthwise"))?.forward(&max_pool2d(&x, 3, 2, 1)?)?;
    let x = squeeze_excite(8, 2, vb.pp("gate"))?.forward(&avg_pool2d(&x, 2, 1, 0)?)?.mean((2, 3))?;
    linear(8, 4, vb.pp("head"))?.forward(&layer_norm(8, 1e-5, vb.pp("layer_norm"))?.forward(&x)?)
}

#[test]
fn an_encoder_runs_in_bf16_with_variables_in_f32() {
    let run = |dtype: DType| {
        let parameters = Parameters::new(5, &Device::Cpu);
        let y = small_encoder(&values(&[4, 3, 9, 9], DType::F32).to_dtype(dtype).unwrap(), &parameters).unwrap();
        assert_eq!(y.dtype(), dtype);
        let y = y.to_dtype(DType::F32).unwrap();
        let all = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let trained = parameters.variables().into_iter().filter(|(name, _)| !name.contains("running"));
        let gradients: Vec<_> = trained.map(|(name, v)| (name, all.get(&v).expect("a gradient").clone())).collect();
        (y, gradients, parameters.get("norm.running_var").unwrap())
    };
    let ((half, half_gradients, half_variance), (full, gradients, variance)) = (run(DType::BF16), run(DType::F32));
    assert!(difference(&half, &full) < 0.03, "{}", difference(&half, &full));
    assert!(difference(&half, &full) > 1e-5, "bf16 rounds");
    assert!(difference(&half_variance, &variance) < 0.03);
    assert_eq!(half_gradients.len(), 14);
    let largest = |t: &Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    let scale = gradients.iter().map(|(_, g)| largest(g)).fold(0.0, f32::max);
    for ((name, half), (_, full)) in half_gradients.iter().zip(&gradients) {
        assert_eq!(half.dtype(), DType::F32, "{name}");
        let error = largest(&(half - full).unwrap());
        assert!(error < 0.1 * largest(full) + 0.01 * scale, "{name}: {error} of {}", largest(full));
    }
}

#[test]
fn a_network_with_encoders_in_bf16_gives_features_and_gradients_in_f32() {
    let config: NetworkConfig = toml::from_str("encoder_dtype = \"bf16\"").unwrap();
    assert_eq!(config.encoder_dtype, EncoderDType::Bf16);
    assert!(!toml::to_string(&NetworkConfig::default()).unwrap().contains("encoder_dtype"));
    let data = clear_to_weak(32, 1);
    let batch = data.batch(&(0..32).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let run = |config: &NetworkConfig| {
        let parameters = Parameters::new(1, &Device::Cpu);
        let network = FusionNetwork::new(config, &clear_to_weak_schema(), parameters.builder()).unwrap();
        let logits = network.forward(batch.inputs(), batch.presence(), Mode::Train).unwrap().prediction;
        let all = mm_core::loss::cross_entropy(&logits, batch.targets().values()).unwrap().backward().unwrap();
        for (name, variable) in parameters.variables().into_iter().filter(|(name, _)| !name.contains("running")) {
            assert_eq!(all.get(&variable).expect("a gradient").dtype(), DType::F32, "{name}");
        }
        logits
    };
    let (half, full) = (run(&config), run(&NetworkConfig::default()));
    assert_eq!(half.dtype(), DType::F32);
    let error = difference(&half, &full);
    assert!(error > 1e-6 && error < 0.05, "{error}");
}
