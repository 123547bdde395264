//! The network of cross translation at five depths: branches, joints, sizes, gradients.

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use mm_core::data::{InputKind, InputSpec, Inputs, Schema, Target};
use mm_core::dense::{BackboneConfig, ContextConfig, DecoderConfig, DenseBlock, DenseConfig, DenseSensor, EsaNetConfig};
use mm_core::nn::{Mode, Parameters, is_running_statistic};
use mm_core::{Error, Modalities, ModalityError, Model, Presence, Subset};
use mm_testing::{bits, difference, fill, fill_variables, sampled_gradient_error, values};
use mod_distill::{DenseTranslation, DenseTranslationConfig, DenseTranslationModel, reconstruction_of_maps};

fn config() -> DenseTranslationConfig {
    DenseTranslationConfig {
        encoder: BackboneConfig { depth: 18, block: Some(DenseBlock::NonBottleneck1d), width: 4 },
        context: ContextConfig { bins: vec![1, 2], adapted_to: None },
        decoder: DecoderConfig { channels: [10, 8, 6], blocks: 1 },
    }
}

fn sensor(name: &str, channels: usize) -> DenseSensor {
    DenseSensor { name: name.into(), channels }
}

/// Two available sensors, as many privileged ones as there are names.
fn network(privileged: &[&str], vb: VarBuilder) -> DenseTranslation {
    DenseTranslation::new(&config(), &[sensor("rgb", 3), sensor("thermal", 1)], privileged, 3, vb.clone(), Some(vb)).unwrap()
}

fn image(dtype: DType) -> Tensor {
    fill(21, &[2, 4, 40, 37], 1.0, 0.0).to_dtype(dtype).unwrap()
}

#[test]
fn training_gives_both_predictions_and_the_joints() {
    for privileged in [&["depth"][..], &["depth", "radar"]] {
        let parameters = Parameters::new(2, &Device::Cpu);
        let network = network(privileged, parameters.builder());
        let trained = network.forward(&image(DType::F32), Mode::Train).unwrap();
        assert_eq!(trained.restored.len(), privileged.len());
        for output in [&trained.fused].into_iter().chain(&trained.restored) {
            assert_eq!(output.prediction.dims(), [2, 3, 40, 37]);
            let sides: Vec<&[usize]> = output.side.iter().map(|side| &side.dims()[2..]).collect();
            assert_eq!(sides, [[5, 5], [3, 3], [2, 2]]);
            // As the features of a teacher: two skips and the context.
            let channels: Vec<usize> = output.features.iter().map(|feature| feature.dims()[1]).collect();
            assert_eq!(channels, [8, 10, 10]);
        }
        assert_eq!(trained.translated.len(), 4);
        let mut by_hand = 0.0;
        for depth in &trained.translated {
            assert_eq!((depth.maps.len(), depth.joints.len()), (1 + privileged.len(), 1 + privileged.len()));
            for (map, joint) in depth.maps.iter().zip(&depth.joints) {
                let joint = joint.narrow(1, 0, map.dim(1).unwrap()).unwrap();
                by_hand += (joint - map).unwrap().sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
            }
        }
        let loss = reconstruction_of_maps(&trained.translated).unwrap();
        assert!((loss.to_scalar::<f32>().unwrap() - by_hand).abs() < 1e-4 * by_hand);
        assert!(matches!(reconstruction_of_maps(&[]), Err(Error::Config { .. })));
    }
}

/// Prediction reads no parameter that only the restored branch's own prediction has: NaN there changes nothing.
#[test]
fn what_only_training_needs_is_not_read_in_prediction() {
    let parameters = Parameters::new(2, &Device::Cpu);
    let network = network(&["depth"], parameters.builder());
    let before = network.forward(&image(DType::F32), Mode::Eval).unwrap();
    assert!(before.restored.is_empty() && before.translated.is_empty() && before.fused.side.is_empty());
    let own = ["decoder.", "context_module.", "skip_layer1.", "skip_layer2.", "skip_layer3."];
    let mut spoilt = 0;
    for (name, variable) in parameters.variables() {
        if own.iter().any(|prefix| name.starts_with(prefix)) {
            variable.set(&(variable.as_tensor() * f64::NAN).unwrap()).unwrap();
            spoilt += 1;
        }
    }
    let after = network.forward(&image(DType::F32), Mode::Eval).unwrap();
    assert!(spoilt > 100 && bits(&before.fused.prediction) == bits(&after.fused.prediction));
    assert!(parameters.names().iter().any(|name| name.starts_with("skip_layer3_rgb_thermal_hall.")));
}

/// All losses at once, in f64: every parameter has a gradient, that of finite differences.
#[test]
fn gradients_equal_finite_differences() {
    let variables = VarMap::new();
    let network = network(&["depth"], VarBuilder::from_varmap(&variables, DType::F64, &Device::Cpu));
    fill_variables(&variables);
    // The reconstruction detaches the maps, which differences would move: its gradient is checked where it is defined.
    let loss = || -> mm_core::Result<Tensor> {
        let output = network.forward(&image(DType::F64), Mode::Train)?;
        let mut loss = Tensor::zeros((), DType::F64, &Device::Cpu)?;
        for output in [&output.fused].into_iter().chain(&output.restored) {
            for prediction in [&output.prediction].into_iter().chain(&output.side) {
                loss = (loss + prediction.tanh()?.mul(&values(prediction.dims(), DType::F64))?.sum_all()?)?;
            }
        }
        for (i, joint) in output.translated.iter().flat_map(|depth| &depth.joints).enumerate() {
            loss = (loss + (joint.sqr()?.mean_all()? * (1.0 + i as f64))?)?;
        }
        Ok(loss)
    };
    let error = sampled_gradient_error(&variables, 30, loss);
    assert!(error < 1e-4, "{error:.1e}");
}

/// The same weights, f32 kernels and candle ops in f64.
#[test]
fn kernels_predict_what_f64_does() {
    let predict = |dtype| {
        let variables = VarMap::new();
        let network = network(&["depth", "radar"], VarBuilder::from_varmap(&variables, dtype, &Device::Cpu));
        fill_variables(&variables);
        network.forward(&image(dtype), Mode::Eval).unwrap().fused.prediction
    };
    assert!(difference(&predict(DType::F32), &predict(DType::F64)) < 1e-4);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let parameters = Parameters::for_loading(&Device::Cpu);
    let build = |available: &[DenseSensor], privileged: &[&str]| {
        DenseTranslation::new(&config(), available, privileged, 3, parameters.builder(), None)
    };
    for (available, privileged) in [(vec![], &["depth"][..]), (vec![sensor("rgb", 3)], &[]), (vec![sensor("rgb", 3)], &["rgb"])] {
        assert!(matches!(build(&available, privileged), Err(Error::Config { field, .. }) if field == "available"));
    }
    let network = network(&["depth"], Parameters::new(0, &Device::Cpu).builder());
    assert!(matches!(
        network.forward(&Tensor::zeros((1, 3, 32, 32), DType::F32, &Device::Cpu).unwrap(), Mode::Eval),
        Err(Error::Shape { .. })
    ));
    let published = Parameters::for_loading(&Device::Cpu);
    DenseTranslation::new(
        &DenseTranslationConfig::default(),
        &[sensor("rgb", 3)],
        &["depth"],
        5,
        published.builder(),
        Some(published.builder()),
    )
    .unwrap();
    // All that golden/networks.json lists, without running statistics.
    assert_eq!(published.names().len(), 996);
    assert!(published.names().iter().filter(|name| !is_running_statistic(name)).count() < 996);
}

/// Reads the available sensors alone, whatever the privileged one holds; refuses samples without them.
#[test]
fn the_deployed_model_reads_what_is_available() {
    let modalities = Modalities::new(["rgb", "depth", "thermal"]).unwrap();
    let specs = [3, 2, 1].map(|channels| InputSpec::new(InputKind::Image, [channels, 40, 37])).to_vec();
    let schema = Schema::new(modalities.clone(), specs, Target::of_classes(["a", "b"])).unwrap();
    let available = modalities.parse("rgb+thermal").unwrap();
    let DenseTranslationConfig { encoder, context, decoder } = config();
    let network = DenseConfig::EsaNet(EsaNetConfig { encoder, context, decoder, carrier: None });
    let model = DenseTranslationModel::new(&network, &schema, available, 3, Parameters::new(2, &Device::Cpu), None).unwrap();
    let maps = image(DType::F32);
    let inputs = |depth: f32, has: [u16; 2]| {
        let depth = Tensor::full(depth, (2, 2, 40, 37), &Device::Cpu).unwrap();
        let readings = [maps.narrow(1, 0, 3).unwrap(), depth, maps.narrow(1, 3, 1).unwrap()].map(Some);
        let presence = Presence::new(has.map(|bits| Subset::from_bits(bits).unwrap()).to_vec());
        Inputs::new(&modalities, readings, presence, vec![0, 1]).unwrap()
    };
    let found = model.predict(&inputs(f32::NAN, [0b111, 0b101])).unwrap();
    let expected = model.network().forward(&maps, Mode::Eval).unwrap().fused;
    assert!(difference(&found.prediction, &expected.prediction) < 1e-6);
    assert_eq!(found.features.len(), 3);
    let mut passes = model.encode(&inputs(0.0, [0b111, 0b111])).unwrap().encoder_passes;
    assert_eq!(passes, 2);
    passes = model.visit_combinations(&inputs(0.0, [0b111; 2]), &[available, modalities.full()], &|_, _| Ok(())).unwrap();
    assert_eq!(passes, 2);
    assert!(model.supports(modalities.full()) && !model.supports(Subset::single(0)));
    let refused = |has| match model.predict(&inputs(0.0, has)) {
        Err(Error::Modality(ModalityError::NotRead { sample, has, .. })) => (sample, has),
        other => panic!("{:?}", other.map(|output| output.prediction)),
    };
    assert_eq!(refused([0b111, 0b011]), (Some(1), "rgb+depth".into()));
    assert_eq!(refused([0b001, 0b011]), (Some(0), "rgb".into()));
}
