//! Fusion of maps: residual encoders and trunk over every combination.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputKind, InputSpec, Schema, Target};
use mm_core::fusion::FusionModel;
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters, is_running_statistic};
use mm_core::{Modalities, Model, Presence, Result, Subset};
use mm_testing::difference;

/// A camera, a depth camera of the same size, and a third sensor.
fn schema(third: InputSpec) -> Schema {
    let image = |channels| InputSpec::new(InputKind::Image, [channels, 16, 15]);
    Schema::new(Modalities::new(["rgb", "depth", "third"]).unwrap(), vec![image(3), image(1), third], Target::of_classes(["a", "b", "c"]))
        .unwrap()
}

fn image(channels: usize, height: usize, width: usize) -> InputSpec {
    InputSpec::new(InputKind::Image, [channels, height, width])
}

const IMAGES: &str = "encoder = { kind = 'resnet', stem = 'small', stages = 2, width = 4, squeeze_excite = true }
    trunk = { kind = 'resnet', widths = [8, 12], blocks = [2, 1] }";

/// For small patches: every position alone behind the encoders, or their sum.
const PATCHES: [&str; 2] = [
    "encoder = { kind = 'conv', widths = [5, 6] }
    trunk = { kind = 'pointwise', widths = [8, 5] }",
    "encoder = { kind = 'conv', widths = [6] }
    trunk = { kind = 'sum' }",
];

fn model(text: &str, schema: &Schema) -> Result<FusionModel> {
    FusionModel::new(&toml::from_str(text).unwrap(), schema, Parameters::new(3, &Device::Cpu))
}

/// The message of what must not be built.
fn refused(text: &str, schema: &Schema) -> String {
    model(text, schema).map(|_| ()).unwrap_err().to_string()
}

/// Four samples; `absent` fills what a sample lacks.
fn batch(schema: &Schema, presence: &[u16], absent: f32) -> Batch {
    let subsets: Vec<Subset> = presence.iter().map(|&bits| Subset::from_bits(bits).unwrap()).collect();
    let input = |(m, spec): (usize, &InputSpec)| {
        let count = spec.elements();
        let value = |i: usize| if subsets[i / count].contains(m) { (i as f32 * 0.37 + m as f32).sin() } else { absent };
        let values: Vec<f32> = (0..count * subsets.len()).map(value).collect();
        let mut shape = vec![subsets.len()];
        shape.extend(&spec.shape);
        Some(Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    };
    let readings = schema.inputs.iter().enumerate().map(input).collect();
    let labels = Tensor::new(vec![0u32, 1, 2, 0][..subsets.len()].to_vec(), &Device::Cpu).unwrap();
    let ids = (0..subsets.len() as u64).collect();
    mm_testing::batch(&schema.modalities, readings, Presence::new(subsets), labels, ids)
}

/// Results of prediction hold no graph, those of training do: with norms, and without any.
#[test]
fn prediction_hands_out_no_graph() -> Result<()> {
    for text in ["", IMAGES, PATCHES[0], PATCHES[1]] {
        let schema = schema(image(2, 16, 15));
        let model = model(text, &schema)?;
        let network = model.network();
        let batch = batch(&schema, &[7, 7, 5, 2], 0.0);
        for mode in [Mode::Eval, Mode::Train] {
            let features = network.encode(batch.inputs(), batch.presence(), mode)?;
            let fused = network.fuse(&features, mode)?;
            let results = features.iter().flatten().chain(fused.tensors());
            assert!(results.into_iter().all(|t| t.track_op() == mode.is_train()), "{text} {mode:?}");
        }
        model.visit_combinations(batch.inputs(), &[Subset::full(3)], &|_, output| {
            assert!(output.tensors().count() == 2 && output.tensors().all(|t| !t.track_op()), "{text}");
            Ok(())
        })?;
    }
    Ok(())
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn all_combinations_agree_with_each_alone() {
    let schema = schema(image(2, 16, 15));
    for text in [IMAGES, PATCHES[0], PATCHES[1]] {
        let model = model(text, &schema).unwrap();
        let batch = batch(&schema, &[7, 7, 7, 7], 0.0);
        let subsets: Vec<Subset> = (1..8).map(|bits| Subset::from_bits(bits).unwrap()).collect();
        let together = model.predict_combinations(batch.inputs(), &subsets).unwrap();
        assert_eq!(model.encode(batch.inputs()).unwrap().encoder_passes, 3);
        for (i, &subset) in subsets.iter().enumerate() {
            let alone = model.network().forward(batch.inputs(), &Presence::uniform(subset, 4), Mode::Eval).unwrap().prediction;
            assert!(difference(&together.get(i).unwrap(), &alone) <= 1e-5);
        }
    }
}

#[test]
fn an_absent_image_changes_no_bit() {
    let schema = schema(image(2, 16, 15));
    for text in [IMAGES, PATCHES[0], PATCHES[1]] {
        let model = model(text, &schema).unwrap();
        let presence = [7, 5, 2, 1];
        let logits = |absent: f32| {
            let batch = batch(&schema, &presence, absent);
            numbers(&model.predict(batch.inputs()).unwrap().prediction)
        };
        let zeros = logits(0.0);
        assert!(zeros.iter().all(|v| v.is_finite()));
        assert_eq!(zeros, logits(f32::NAN));
        assert_eq!(zeros, logits(1e30));
    }
}

#[test]
fn training_on_the_concatenation_equals_the_sum_of_the_parts() {
    let schema = schema(image(2, 16, 15));
    let model = model(IMAGES, &schema).unwrap();
    let network = model.network();
    // The last modality is absent everywhere.
    let batch = batch(&schema, &[3, 1, 2, 3], 0.0);
    let features = network.encode(batch.inputs(), batch.presence(), Mode::Train).unwrap();
    let parts: Vec<Tensor> = features.iter().enumerate().filter_map(|(m, f)| Some(network.trunk().part(m, f.as_ref()?).unwrap())).collect();
    let sum = (&parts[0] + &parts[1]).unwrap();
    let concatenated = network.trunk().forward(&features, Mode::Train).unwrap();
    assert_eq!(&concatenated.dims()[1..], network.trunk().feature_shape());
    assert!(difference(&network.trunk().finish(&sum, Mode::Train).unwrap(), &concatenated) <= 1e-4);
}

#[test]
fn every_parameter_gets_a_gradient() {
    let schema = schema(image(2, 16, 15));
    // Without the gate, whose one hidden unit may be dead.
    for text in [&IMAGES.replace("true", "false"), PATCHES[0], PATCHES[1]] {
        let model = model(text, &schema).unwrap();
        let batch = batch(&schema, &[7, 5, 6, 3], f32::NAN);
        let output = model.network().forward(batch.inputs(), batch.presence(), Mode::Train).unwrap();
        let gradients = cross_entropy(&output.prediction, batch.targets().values()).unwrap().backward().unwrap();
        for (name, variable) in model.parameters().variables().into_iter().filter(|(name, _)| !is_running_statistic(name)) {
            let gradient = numbers(gradients.get(&variable).unwrap_or_else(|| panic!("no gradient for {name}")));
            assert!(gradient.iter().all(|g| g.is_finite()) && gradient.iter().any(|&g| g != 0.0), "{name}");
        }
    }
}

#[test]
fn maps_of_different_sizes_are_refused_or_pooled() {
    let schema = schema(image(1, 32, 20));
    let problem = refused(IMAGES, &schema);
    assert!(problem.contains("`third`") && problem.contains("`rgb`") && problem.contains("pool_to_smallest"), "{problem}");
    for text in PATCHES {
        let problem = refused(text, &schema);
        assert!(problem.contains("`third`") && problem.contains("trunk.kind"), "{problem}");
    }

    let model = model(&IMAGES.replace("blocks", "pool_to_smallest = true, blocks"), &schema).unwrap();
    let network = model.network();
    // 8x8 of the two cameras against 16x10: they meet at 8x8, and two stages halve twice.
    assert_eq!(network.trunk().feature_shape(), [12, 2, 2]);
    let batch = batch(&schema, &[7, 4, 3, 7], 0.0);
    for mode in [Mode::Train, Mode::Eval] {
        assert_eq!(network.forward(batch.inputs(), batch.presence(), mode).unwrap().feature().unwrap().dims(), [4, 12, 2, 2]);
    }
}

#[test]
fn vectors_join_images_in_an_mlp_trunk_only() {
    let schema = schema(InputSpec::vector(6));
    let mixed = "encoders = { third = { kind = 'mlp', widths = [5] } }\n".to_string() + IMAGES;
    let problem = refused(&mixed, &schema);
    assert!(problem.contains("trunk.kind") && problem.contains("`third`"), "{problem}");

    let mlp = mixed.split("trunk").next().unwrap().to_string() + "trunk = { kind = 'mlp', widths = [16] }";
    let model = model(&mlp, &schema).unwrap();
    let batch = batch(&schema, &[7, 4, 3, 5], f32::NAN);
    assert!(
        numbers(&model.network().forward(batch.inputs(), batch.presence(), Mode::Train).unwrap().prediction).iter().all(|v| v.is_finite())
    );
}

#[test]
fn a_trunk_with_wrong_stages_names_the_field() {
    let schema = schema(image(2, 16, 15));
    for (from, to, field) in [
        ("widths = [8, 12], blocks = [2, 1]", "widths = [], blocks = []", "`trunk.widths`"),
        ("blocks = [2, 1]", "blocks = [2]", "`trunk.blocks`"),
        ("blocks = [2, 1]", "blocks = [2, 0]", "`trunk.blocks`"),
    ] {
        let problem = refused(&IMAGES.replace(from, to), &schema);
        assert!(problem.contains(field), "{to}: {problem}");
    }
}
