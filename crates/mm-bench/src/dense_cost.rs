//! Sizes of networks that predict every pixel.

use super::cost::Size;
use mm_core::data::Schema;
use mm_core::dense::{DenseConfig, DenseSensor, EsaNetConfig, UNetConfig};

/// The encoder of each sensor, and what all share.
pub fn dense_size(network: &DenseConfig, schema: &Schema) -> mm_core::Result<(Vec<Size>, Size)> {
    let sensors = DenseSensor::of_schema(schema)?;
    let channels: Vec<f64> = sensors.iter().map(|sensor| sensor.channels as f64).collect();
    let pixels = schema.inputs.first().map_or(0, |input| input.shape[1..].iter().product::<usize>()) as f64;
    let classes = schema.target.classes() as f64;
    Ok(match network {
        DenseConfig::UNet(config) => unet(config, &channels, classes, pixels),
        DenseConfig::EsaNet(config) => esanet(config, &channels, classes, pixels),
    })
}

/// Two 3x3 convolutions.
fn double(from: f64, to: f64, positions: f64) -> Size {
    let mut size = Size::layer(from, to, 9.0, positions);
    size.add(Size::layer(to, to, 9.0, positions));
    size
}

fn unet(config: &UNetConfig, sensors: &[f64], classes: f64, pixels: f64) -> (Vec<Size>, Size) {
    let widths: Vec<f64> = config.widths.iter().map(|&width| width as f64).collect();
    let at = |level: usize| pixels / 4f64.powi(level as i32);
    let sum = |layers: &mut dyn Iterator<Item = Size>| {
        layers.fold(Size::default(), |mut sum, layer| {
            sum.add(layer);
            sum
        })
    };
    let encoder = |&channels: &f64| {
        let from = std::iter::once(channels).chain(widths.iter().copied());
        sum(&mut from.zip(&widths).enumerate().map(|(level, (from, &to))| double(from, to, at(level))))
    };
    let decoder = widths.windows(2).enumerate().map(|(level, pair)| double(pair[0] + pair[1], pair[0], at(level)));
    let head = Size::layer(widths.first().copied().unwrap_or_default(), classes, 1.0, pixels);
    (sensors.iter().map(encoder).collect(), sum(&mut decoder.chain([head])))
}

/// Without gates and what enlarges maps, which cost little.
fn esanet(config: &EsaNetConfig, sensors: &[f64], classes: f64, pixels: f64) -> (Vec<Size>, Size) {
    let at = |level: usize| pixels / 4f64.powi(level as i32);
    let channels = config.encoder.channels().map(|channels| channels as f64);
    let depth = config.encoder.depth;
    let blocks = if depth == 18 { [2.0; 4] } else { [3.0, 4.0, 6.0, 3.0] };
    let encoder = |&from: &f64| {
        let mut size = Size::layer(from, channels[0], 49.0, at(1));
        for (stage, count) in blocks.into_iter().enumerate() {
            let width = (config.encoder.width << stage) as f64;
            // Taps of a block: twice 3x3; four times 3; or 1x1, 3x3 and 1x1 to four times the channels.
            let taps = match (depth, config.encoder.block) {
                (50, _) => 17.0,
                (_, Some(mm_core::dense::DenseBlock::Basic)) => 18.0,
                _ => 12.0,
            };
            size.add(Size::layer(width, width, taps * count, at(stage + 2)));
        }
        size
    };
    let [first, second, third] = config.decoder.channels.map(|channels| channels as f64);
    let mut shared = Size::layer(channels[4] * 3.0, first, 1.0, at(5));
    for ((from, to), level) in [(first, first), (first, second), (second, third)].into_iter().zip([5, 4, 3]) {
        shared.add(Size::layer(from, to, 9.0, at(level)));
        shared.add(Size::layer(to, to, 12.0 * config.decoder.blocks as f64, at(level)));
    }
    shared.add(Size::layer(third, classes, 9.0, at(2)));
    (sensors.iter().map(encoder).collect(), shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use mm_core::Modalities;
    use mm_core::data::{InputSpec, Target};
    use mm_core::nn::Parameters;
    use mm_core::task::PixelClasses;

    #[test]
    fn parameters_are_those_of_the_network() {
        let modalities = Modalities::new(["rgb", "depth"]).unwrap();
        let inputs = vec![InputSpec::image([3, 32, 64]), InputSpec::image([1, 32, 64])];
        let schema = Schema::new(modalities, inputs, Target::Pixels(PixelClasses::new(["a", "b", "c"]))).unwrap();
        for text in [
            "kind = 'unet'",
            "kind = 'unet'\nwidths = [8, 16]",
            "kind = 'esanet'\nencoder = { depth = 18, width = 16 }\ndecoder = { channels = [64, 32, 32], blocks = 1 }",
            "kind = 'esanet'\nencoder = { depth = 18, block = 'basic', width = 32 }",
            "kind = 'esanet'\nencoder = { depth = 50, width = 16 }",
        ] {
            let config: DenseConfig = toml::from_str(text).unwrap();
            let parameters = Parameters::for_loading(&Device::Cpu);
            config.build(&DenseSensor::of_schema(&schema).unwrap(), 3, parameters.builder()).unwrap();
            let (parts, mut size) = dense_size(&config, &schema).unwrap();
            parts.iter().for_each(|part| size.add(*part));
            let ratio = size.parameters / parameters.count(|_| true) as f64;
            assert!((0.75..1.25).contains(&ratio), "{text}: {ratio}");
        }
    }
}
