//! What a cell costs, roughly: for the order of cells and the estimate of `--dry-run`.

use super::cell::Resolved;
use super::dense_cost::dense_size;
use anyhow::Result;
use mm_core::data::{InputSpec, Schema, Source, Split};
use mm_core::encoder::EncoderCost;
use mm_core::eval::default_combinations;
use mm_core::fusion::{NetworkConfig, TrunkConfig};
use mm_core::recipe::AnyRecipe;
use mm_core::train::Selection;

/// Seconds of one core, measured with the default network, 2 to 16 sensors and batches of 4 to 256.
mod rate {
    /// Start of a process.
    pub const PROCESS: f64 = 0.02;
    /// One value of a table, read from text.
    pub const VALUE: f64 = 1e-7;
    /// Initial value, checksums and file of one parameter.
    pub const PARAMETER: f64 = 6e-8;
    /// One parameter in one step of the optimizer, its gradient included.
    pub const UPDATE: f64 = 2e-9;
    /// The same where the parameters do not fit the caches.
    pub const LARGE_UPDATE: f64 = 9e-9;
    /// One multiplication of the network for one training sample, forward and backward.
    pub const TRAINED: f64 = 6e-11;
    /// One multiplication for one sample that is predicted.
    pub const PREDICTED: f64 = 3e-11;
}

/// Parameters that the caches hold.
const CACHED: f64 = 2e6;

/// Size of a part of a network.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) parameters: f64,
    /// For one sample.
    pub(super) multiplications: f64,
}

impl Size {
    /// Weights that are used at so many positions of a map.
    pub(super) fn layer(inputs: f64, outputs: f64, kernel: f64, positions: f64) -> Self {
        let parameters = inputs * outputs * kernel;
        Self { parameters, multiplications: parameters * positions }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.parameters += other.parameters;
        self.multiplications += other.multiplications;
    }

    fn times(self, count: f64) -> Self {
        Self { parameters: self.parameters * count, multiplications: self.multiplications * count }
    }
}

/// What the cost of every cell of a data set hangs on.
pub struct Scale<'a> {
    schema: &'a Schema,
    /// Numbers in the data set.
    values: f64,
    /// Sizes are those of all seeds.
    split: Split,
    /// All combinations, or those drawn from them.
    combinations: usize,
}

impl<'a> Scale<'a> {
    /// For a data set and the split of one seed.
    pub fn new(source: &'a dyn Source, split: Split, seed: u64) -> Self {
        let schema = source.schema();
        let values = source.len() as f64 * schema.inputs.iter().map(InputSpec::elements).sum::<usize>() as f64;
        Self { schema, values, split, combinations: default_combinations(schema.modalities.len(), seed).len() }
    }

    /// Seconds that one core needs for a cell.
    pub fn seconds(&self, resolved: &Resolved, recipe: &dyn AnyRecipe) -> Result<f64> {
        let (train, split) = (&resolved.train, &self.split);
        let (parts, shared) = network_size(recipe.network(), self.schema)?;
        let cost = recipe.cost(&self.schema.modalities)?;
        let mut size = Size::default();
        for member in cost.networks {
            size.add(shared);
            member.indices().filter_map(|m| parts.get(m)).for_each(|part| size.add(*part));
        }
        let batch = train.batch_size.min(split.train.len()).max(1);
        let steps = (split.train.len() / batch * train.epochs) as f64;
        let update = if size.parameters > CACHED { rate::LARGE_UPDATE } else { rate::UPDATE };
        let step = cost.step * (size.parameters * update + batch as f64 * size.multiplications * rate::TRAINED);

        // Encoders run once a sample, what is behind them once a combination.
        let behind = shared.multiplications * cost.fuse;
        let predicted = |combinations: usize| (size.multiplications + behind * combinations as f64) * rate::PREDICTED;
        let validations = match (train.validate_every, train.select == Selection::BestValidation || train.patience.is_some()) {
            (0, false) => 0,
            (every, _) => train.epochs.div_ceil(every.max(1)),
        };
        let validation = (validations * split.validation.len()) as f64 * predicted(self.combinations);
        let evaluated = resolved.combinations.as_ref().map_or(self.combinations, Vec::len) + resolved.corruptions.len();
        let test = split.test.len() as f64 * predicted(evaluated);
        Ok(rate::PROCESS + self.values * rate::VALUE + size.parameters * rate::PARAMETER + steps * step + validation + test)
    }
}

/// The part of each modality, encoder and share of the trunk's first layer, and what all share.
fn network_size(network: &NetworkConfig, schema: &Schema) -> Result<(Vec<Size>, Size)> {
    if schema.target.is_dense() {
        return Ok(dense_size(&network.dense.clone().unwrap_or_default(), schema)?);
    }
    let named = schema.modalities.names().iter().zip(&schema.inputs);
    let encoders =
        named.map(|(name, input)| network.encoder_of(name, input)?.cost(input)).collect::<mm_core::Result<Vec<EncoderCost>>>()?;
    let widths: Vec<usize> = match &network.trunk {
        TrunkConfig::Mlp { widths } | TrunkConfig::Pointwise { widths } => widths.clone(),
        TrunkConfig::ResNet(config) => config.widths.clone(),
        TrunkConfig::Sum => Vec::new(),
    };
    // Vectors behind maps are their means.
    let mut positions = match &network.trunk {
        TrunkConfig::Mlp { .. } => 1.0,
        // Every stage halves height and width.
        TrunkConfig::ResNet(_) => encoders.iter().map(|encoder| encoder.positions / 4.0).fold(1.0, f64::max),
        _ => encoders.iter().map(|encoder| encoder.positions).fold(1.0, f64::max),
    };
    let kernel = if matches!(network.trunk, TrunkConfig::ResNet(_)) { 9.0 } else { 1.0 };
    let first = widths.first().map_or(0.0, |&width| width as f64);
    let part = |encoder: &EncoderCost| {
        let mut part = Size { parameters: encoder.parameters, multiplications: encoder.multiplications };
        part.add(Size::layer(encoder.channels, first, kernel, positions));
        part
    };
    let parts = encoders.iter().map(part).collect();
    let mut shared = Size::default();
    for (stage, &width) in widths.iter().enumerate() {
        let width = width as f64;
        let resnet = if let TrunkConfig::ResNet(config) = &network.trunk { Some(config) } else { None };
        if stage > 0 {
            positions = if resnet.is_some() { (positions / 4.0).max(1.0) } else { positions };
            shared.add(Size::layer(widths[stage - 1] as f64, width, kernel, positions));
        }
        if let Some(config) = resnet {
            // The first convolution is the one from the stage before.
            shared.add(Size::layer(width, width, kernel, positions).times(2.0 * config.blocks[stage] as f64 - 1.0));
        }
    }
    let last = widths.last().map_or_else(|| encoders.first().map_or(1.0, |encoder| encoder.channels), |&width| width as f64);
    shared.add(Size::layer(last, schema.target.task().outputs() as f64, 1.0, 1.0));
    Ok((parts, shared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use mm_core::Modalities;
    use mm_core::data::Target;
    use mm_core::fusion::FusionNetwork;
    use mm_core::nn::Parameters;

    fn schema(inputs: Vec<InputSpec>) -> Schema {
        let names: Vec<String> = (0..inputs.len()).map(|m| format!("m{m}")).collect();
        Schema::new(Modalities::new(names).unwrap(), inputs, Target::of_classes(["a", "b", "c"])).unwrap()
    }

    #[test]
    fn parameters_are_those_of_the_network() {
        let image = |size| InputSpec::image([3, size, size]);
        let cases = [
            ("", vec![InputSpec::vector(40), InputSpec::vector(7)]),
            ("encoder = { kind = 'conv', widths = [16, 32] }\ntrunk = { kind = 'pointwise', widths = [64, 32] }", vec![image(8), image(8)]),
            ("encoder = { kind = 'resnet', depth = 18 }", vec![image(64)]),
            ("encoder = { kind = 'resnet', depth = 50, stem = '3x3' }\ntrunk = { kind = 'sum' }", vec![image(64)]),
            (
                "encoder = { kind = 'resnet', depth = 18, stem = 'small', stages = 2, width = 32 }\ntrunk = { kind = 'resnet' }",
                vec![image(16); 2],
            ),
        ];
        for (text, inputs) in cases {
            let (network, schema): (NetworkConfig, _) = (toml::from_str(text).unwrap(), schema(inputs));
            let parameters = Parameters::new(0, &Device::Cpu);
            FusionNetwork::new(&network, &schema, parameters.builder()).unwrap();
            let (parts, mut size) = network_size(&network, &schema).unwrap();
            parts.iter().for_each(|part| size.add(*part));
            let ratio = size.parameters / parameters.count(|_| true) as f64;
            assert!((0.85..1.15).contains(&ratio), "{text}: {ratio}");
        }
    }

    /// Known answers: multiplications of torchvision's networks for an image of 224x224, in billions.
    #[test]
    fn multiplications_are_those_of_published_networks() {
        for (depth, expected) in [(18, 1.81), (34, 3.66), (50, 4.09)] {
            let network: NetworkConfig = toml::from_str(&format!("encoder = {{ kind = 'resnet', depth = {depth} }}")).unwrap();
            let (parts, _) = network_size(&network, &schema(vec![InputSpec::image([3, 224, 224])])).unwrap();
            let ratio = parts[0].multiplications / 1e9 / expected;
            assert!((0.85..1.15).contains(&ratio), "{depth}: {ratio}");
        }
    }
}
