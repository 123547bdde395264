//! Residual networks: torchvision's parameters, shapes, and what a configuration may say.

use candle_core::{Device, Tensor};
use mm_core::data::{InputKind, InputSpec};
use mm_core::encoder::{EncoderConfig, ResNet, ResNetConfig, Stem};
use mm_core::nn::{Mode, Parameters};

fn parameters(config: &ResNetConfig) -> Parameters {
    let parameters = Parameters::new(0, &Device::Cpu);
    ResNet::new(config, 3, 1000, parameters.builder()).unwrap();
    parameters
}

#[test]
fn depths_have_the_published_parameter_counts() {
    for (depth, count) in [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)] {
        let parameters = parameters(&ResNetConfig { depth, ..Default::default() });
        assert_eq!(parameters.count(|_| true), count, "ResNet-{depth}");
    }
}

#[test]
fn bottlenecks_have_the_published_names() {
    let parameters = parameters(&ResNetConfig { depth: 50, stages: 2, ..Default::default() });
    let shape = |name: &str| parameters.get(name).unwrap_or_else(|| panic!("no {name}")).dims().to_vec();
    assert_eq!(shape("conv1.weight"), [64, 3, 7, 7]);
    assert_eq!(shape("layer1.0.conv3.weight"), [256, 64, 1, 1]);
    assert_eq!(shape("layer1.0.downsample.1.running_var"), [256]);
    assert_eq!(shape("layer2.0.conv2.weight"), [128, 128, 3, 3]);
    assert_eq!(shape("layer2.3.bn3.bias"), [512]);
    assert_eq!(shape("fc.weight"), [1000, 512]);
    assert!(parameters.get("layer2.1.downsample.0.weight").is_none());
}

#[test]
fn features_have_the_shape_the_encoder_tells() {
    for stem in [Stem::Large, Stem::Medium, Stem::Small] {
        for (depth, stages, channels, height, width) in [(18, 1, 1, 16, 15), (18, 4, 3, 33, 20), (50, 2, 4, 9, 1)] {
            let config = EncoderConfig::resnet(ResNetConfig { depth, stem, stages, width: 4, squeeze_excite: stages == 2 });
            let input = InputSpec::new(InputKind::Image, [channels, height, width]);
            let encoder = config.build("camera", &input, Parameters::new(1, &Device::Cpu).builder()).unwrap();
            let image = Tensor::randn(0f32, 1f32, (2, channels, height, width), &Device::Cpu).unwrap();
            for mode in [Mode::Train, Mode::Eval] {
                let feature = encoder.forward(&image.clone().into(), mode).unwrap();
                assert_eq!(&feature.dims()[1..], encoder.feature_shape(), "{config:?} in {mode:?}");
            }
        }
    }
}

/// The maps of the frames lie one below the other, so the mean over positions is that over frames too.
#[test]
fn a_video_is_its_frames() {
    let config = EncoderConfig::resnet(ResNetConfig { stem: Stem::Small, stages: 2, width: 4, ..Default::default() });
    let build =
        |kind, shape: &[usize]| config.build("camera", &InputSpec::new(kind, shape), Parameters::new(1, &Device::Cpu).builder()).unwrap();
    let (film, picture) = (build(InputKind::Video, &[2, 3, 9, 8]), build(InputKind::Image, &[2, 9, 8]));
    let values: Vec<f32> = (0..2 * 2 * 3 * 9 * 8).map(|i| (i as f32 * 0.73).sin()).collect();
    let video = Tensor::from_vec(values, (2, 2, 3, 9, 8), &Device::Cpu).unwrap();
    let feature = film.forward(&video.clone().into(), Mode::Eval).unwrap();
    assert_eq!((feature.dims(), film.feature_shape()), (&[2, 8, 15, 4][..], &[8, 15, 4][..]));
    for frame in 0..3 {
        let image = video.narrow(2, frame, 1).unwrap().squeeze(2).unwrap().contiguous().unwrap();
        let difference = (feature.narrow(2, 5 * frame, 5).unwrap() - picture.forward(&image.into(), Mode::Eval).unwrap()).unwrap();
        let largest = difference.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest < 1e-5, "frame {frame}: {largest}");
    }
    assert_eq!(film.forward(&video.into(), Mode::Train).unwrap().dims(), [2, 8, 15, 4]);
}

#[test]
fn a_configuration_names_the_field_that_is_wrong() {
    let build = |text: &str, shape: &[usize]| -> Result<(), String> {
        let config: EncoderConfig = toml::from_str(text).map_err(|e| e.to_string())?;
        let parameters = Parameters::new(0, &Device::Cpu);
        config.build("camera", &InputSpec::new(InputKind::Image, shape), parameters.builder()).map(|_| ()).map_err(|e| e.to_string())
    };
    let image = [1, 16, 15];
    assert_eq!(build("kind = 'resnet'\nwidth = 4", &image), Ok(()));
    assert_eq!(build("kind = 'resnet'\ndepth = 34\nstem = 'small'\nstages = 2\nwidth = 4\nsqueeze_excite = true", &image), Ok(()));
    assert_eq!(build("kind = 'mlp'\nwidths = [8]", &image), Ok(()));
    assert_eq!(build("kind = 'conv'\nwidths = [8, 4]", &image), Ok(()));
    for (text, shape, part) in [
        ("kind = 'resnet'\ndepth = 20", &image[..], "`encoders.camera.depth`"),
        ("kind = 'resnet'\nstages = 5", &image, "`encoders.camera.stages`"),
        ("kind = 'resnet'\nwidth = 0", &image, "`encoders.camera.width`"),
        ("kind = 'resnet'", &[12], "`encoders.camera.kind`"),
        ("kind = 'conv'\nwidths = [8]", &[12], "`encoders.camera.kind`"),
        ("kind = 'conv'\nwidths = [0]", &image, "`encoders.camera.widths`"),
        ("kind = 'mlp'\nwidths = []", &image, "`encoders.camera.widths`"),
        ("kind = 'resnet'\nstem = '5x5'", &image, "5x5"),
        ("kind = 'resnet'\ndept = 18", &image, "dept"),
    ] {
        let problem = build(text, shape).unwrap_err();
        assert!(problem.contains(part), "{text}: {problem}");
    }
}
