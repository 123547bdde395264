//! The small convolutional encoder, and what inputs are encoded by where nobody chose.

use candle_core::{Device, Tensor};
use mm_core::data::{InputKind, InputSpec, Reading};
use mm_core::encoder::{CnnConfig, CnnEncoder, Encoder, EncoderConfig, EncoderRecipe};
use mm_core::nn::{Mode, Parameters};

fn encoder(shape: [usize; 3], config: &CnnConfig) -> (Parameters, CnnEncoder) {
    let parameters = Parameters::new(0, &Device::Cpu);
    let encoder = CnnEncoder::new(shape, config, parameters.builder()).unwrap();
    (parameters, encoder)
}

/// What happens in a quarter of the time is seen in that quarter's numbers alone, but for what convolutions reach.
#[test]
fn the_feature_keeps_the_cells_of_the_grid() {
    let config = CnnConfig { widths: vec![4, 8], grid: [1, 4] };
    let (_parameters, encoder) = encoder([1, 8, 64], &config);
    let feature = |from: usize| -> Vec<f32> {
        let values: Vec<f32> = (0..8 * 64).map(|i| if (from..from + 4).contains(&(i % 64)) { 1.0 } else { 0.0 }).collect();
        let reading = Tensor::from_vec(values, (1, 1, 8, 64), &Device::Cpu).unwrap().into();
        let feature = encoder.forward(&reading, Mode::Eval).unwrap();
        assert_eq!(feature.dims(), [1, 32]);
        feature.flatten_all().unwrap().to_vec1().unwrap()
    };
    assert_eq!(encoder.feature_shape(), [32]);
    // Four numbers of a channel are its quarters. An event in the middle of the second and one in that of the third, exchanged.
    let (second, third) = (feature(22), feature(38));
    for channel in 0..8 {
        let (a, b) = (&second[4 * channel..][..4], &third[4 * channel..][..4]);
        assert!((a[1] - b[2]).abs() < 1e-5 && (a[2] - b[1]).abs() < 1e-5, "{a:?} {b:?}");
    }
    assert!(second.iter().zip(&third).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn readings_too_small_for_the_layers_are_refused() {
    let parameters = Parameters::new(0, &Device::Cpu);
    let config = CnnConfig { widths: vec![4, 4, 4], grid: [2, 2] };
    let error = CnnEncoder::new([1, 8, 7], &config, parameters.builder()).err().unwrap().to_string();
    assert!(error.contains("8 x 7, halved 2 times, is 2 x 1") && error.contains("fewer widths"), "{error}");
    let vector = config.build("gps", &InputSpec::vector(3), parameters.builder()).err().unwrap().to_string();
    assert!(vector.contains("`gps` has shape [3]"), "{vector}");
    assert!(CnnConfig { grid: [0, 1], ..config }.validate().is_err());
}

#[test]
fn every_input_has_an_encoder_or_an_advice() {
    let chosen = |kind, shape: &[usize]| EncoderConfig::for_input("rgb", &InputSpec::new(kind, shape));
    let widths = |kind, shape: &[usize]| serde_json::to_value(chosen(kind, shape).unwrap()).unwrap()["widths"].as_array().unwrap().len();
    assert_eq!(chosen(InputKind::Vector, &[7]).unwrap(), EncoderConfig::mlp([128, 64]));
    assert_eq!(widths(InputKind::Image, &[3, 28, 28]), 3);
    assert_eq!(widths(InputKind::Image, &[3, 224, 224]), 6);
    assert_eq!(widths(InputKind::Spectrogram, &[1, 40, 63]), 4);
    assert_eq!(chosen(InputKind::Image, &[1, 3, 100]).unwrap().kind(), "mlp");
    let tokens = chosen(InputKind::Tokens, &[32]).unwrap_err().to_string();
    assert!(tokens.contains("network.encoders.rgb") && tokens.contains("bert"), "{tokens}");
    // Whatever is chosen can be built, down to the smallest image.
    for (height, width) in (1..40).flat_map(|h| [1, 3, 4, 5, 31, 200].map(|w| (h, w))) {
        for kind in [InputKind::Image, InputKind::Spectrogram] {
            let input = InputSpec::new(kind, [1, height, width]);
            let parameters = Parameters::new(0, &Device::Cpu);
            EncoderConfig::for_input("x", &input).unwrap().build("x", &input, parameters.builder()).unwrap();
        }
    }
}

/// A short sound has the same feature as a long one that does the same half as fast.
#[test]
fn columns_divide_what_a_reading_has() {
    let config = CnnConfig { widths: vec![3], grid: [1, 2] };
    let (_parameters, encoder) = encoder([1, 4, 16], &config);
    // Constant in each half, of 4 or of 8 columns; behind that is padding.
    let feature = |half: usize| -> Vec<f32> {
        let value = |column: usize| {
            if column < half {
                1.0
            } else if column < 2 * half {
                3.0
            } else {
                0.0
            }
        };
        let values: Vec<f32> = (0..4 * 16).map(|i| value(i % 16)).collect();
        let values = Tensor::from_vec(values, (1, 1, 4, 16), &Device::Cpu).unwrap();
        let lengths = Some(Tensor::new(&[2 * half as u32], &Device::Cpu).unwrap());
        encoder.forward(&Reading { values, lengths }, Mode::Eval).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    // Without padding the cells are those of a reading that has no lengths.
    let whole = Tensor::rand(0f32, 1.0, (1, 1, 4, 16), &Device::Cpu).unwrap();
    let of = |lengths: Option<Tensor>| -> Vec<f32> {
        let reading = Reading { values: whole.clone(), lengths };
        encoder.forward(&reading, Mode::Eval).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let close = |a: &[f32], b: &[f32], within: f32| a.iter().zip(b).all(|(a, b)| (a - b).abs() < within);
    assert!(close(&of(None), &of(Some(Tensor::new(&[16u32], &Device::Cpu).unwrap())), 1e-6));
    // Edges of the halves differ by a column of four or of eight.
    let (short, long) = (feature(4), feature(8));
    assert!(short.iter().zip(&long).all(|(a, b)| (a - b).abs() <= 0.3 * a.abs().max(b.abs()) + 0.05), "{short:?} {long:?}");
}
