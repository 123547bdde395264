//! Models of every network with made weights, and what they must say of samples of every combination of their sensors: for what exports them.

use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::{sigmoid, softmax};
use mm_core::data::kinds::{Audio, Kind, SavedKind, Series};
use mm_core::data::{Array, InputKind, InputSpec, Inputs, Reading, Schema, Target, Values, audio, audio::Length};
use mm_core::model::SensorTrust;
use mm_core::nn::Parameters;
use mm_core::pipeline::FORMAT;
use mm_core::recipe::{AnyRecipe, Setup};
use mm_core::rng::{self, Rng};
use mm_core::task::{Labels, Numbers, PixelClasses};
use mm_core::train::TrainConfig;
use mm_core::{Modalities, Pipeline, Presence, Subset};
use rand::RngExt;
use serde_json::json;
use std::path::Path;

/// A model to be made: a method by name, its options as TOML, and the data it is for.
pub struct Network {
    /// Says what is special about it.
    pub name: String,
    /// Name of the method.
    pub method: &'static str,
    /// Its options.
    pub options: String,
    schema: Schema,
    kinds: Vec<Option<SavedKind>>,
    /// Mean and standard deviation of all readings.
    scale: [f64; 2],
    gaps: bool,
}

/// Samples of every combination of a model's sensors, twice, and what it says of them.
pub struct Expected {
    /// By name: readings as they are before they are standardized (f32, f64 or i64 `[batch, ..]`), with NaN and nonsense where they are absent,
    /// `<sensor>.lengths` (i64 `[batch]`), and `presence` (u8 `[batch, sensors]`).
    pub inputs: Vec<(String, Tensor)>,
    /// By name, f64; NaN in the rows of combinations that the model does not support.
    pub outputs: Vec<(String, Tensor)>,
}

fn schema(sensors: &[(&str, InputSpec)], target: Target) -> Schema {
    let modalities = Modalities::new(sensors.iter().map(|(name, _)| *name)).unwrap();
    Schema::new(modalities, sensors.iter().map(|(_, input)| input.clone()).collect(), target).unwrap()
}

fn classes() -> Target {
    Target::of_classes(["a", "b", "c", "d"])
}

fn vectors() -> Schema {
    vectors_for(classes())
}

fn vectors_for(target: Target) -> Schema {
    schema(&[("strong", InputSpec::vector(6)), ("middle", InputSpec::vector(5)), ("weak", InputSpec::vector(4))], target)
}

fn images(target: Target) -> Schema {
    schema(&[("rgb", InputSpec::image([3, 21, 18])), ("depth", InputSpec::image([1, 21, 18]))], target)
}

fn network(name: &str, method: &'static str, options: &str, schema: Schema) -> Network {
    let kinds = vec![None; schema.inputs.len()];
    Network { name: format!("{method}, {name}"), method, options: options.into(), schema, kinds, scale: [0.5, 2.0], gaps: false }
}

fn with_kind(kind: &dyn Kind, name: &str, options: &str) -> Network {
    let made = schema(&[("sensor", kind.input()), ("vector", InputSpec::vector(3))], classes());
    Network { kinds: vec![Some(SavedKind::of(kind)), None], ..network(name, "modality-dropout", options, made) }
}

/// Each method with its default network, on three vectors.
pub fn exported_methods() -> Vec<Network> {
    let of = |method, name: &str, options: &str| network(name, method, options, vectors());
    vec![
        of("full-only", "default", ""),
        of("full-only", "two of three sensors", "missing = { fixed = 'strong+weak' }"),
        of("modality-dropout", "default", ""),
        of("mean-imputation", "default", ""),
        of("mean-imputation", "two of three sensors", "missing = { fixed = 'middle+weak' }"),
        of("per-combination", "default", ""),
        of("per-combination", "three of seven networks", "combinations = ['strong', 'strong+weak', 'full']"),
        of("late-fusion", "default", ""),
        of("logit-distillation", "default", ""),
        of("deep-ensemble", "two members", "members = 2"),
        of("gradient-modulation", "default", ""),
        of("unimodal-losses", "default", ""),
        of("mmanet", "default", ""),
        of("udml", "default", ""),
        of("udml", "spread, floor", "estimator_input = 'spread_detached'\nweight_floor = 0.2\nresidual = false\nfeature_bias = true"),
        of("udml", "features", "estimator_input = 'feature'\ntemperature = 1.5\neven_when_noisy = 0.0"),
        of("udml", "static", "weights = 'static'"),
        of("dmrnet", "default", ""),
        of("dmrnet", "no norm in the heads", "head_norm = false"),
        of("mod-distill", "two of three sensors", "available = ['strong', 'weak']"),
        of("mod-distill", "robust", "robust = true"),
        of("mod-distill", "robust, two of three", "robust = true\navailable = ['strong', 'weak']\ntranslation = { norm = true }"),
        of("mod-distill", "no translation", "available = ['middle']\nno_ctn = true"),
    ]
}

/// A network for vectors of sensors of these names.
pub fn exported_for(sensors: &[&str]) -> Network {
    let sensors: Vec<(&str, InputSpec)> = sensors.iter().map(|name| (*name, InputSpec::vector(4))).collect();
    network("sensors of these names", "modality-dropout", "", schema(&sensors, classes()))
}

/// Each encoder, trunk and target.
pub fn exported_encoders() -> Vec<Network> {
    let two = |name: &str, method, options: &str| network(name, method, options, images(classes()));
    let resnets = "[network.encoder]\nkind = 'resnet'\nwidth = 4\nstem = 'small'\nstages = 2\nsqueeze_excite = true\n";
    let conv = "[network.encoder]\nkind = 'conv'\nwidths = [4, 6]\n";
    let patches = schema(&[("lidar", InputSpec::image([2, 7, 7])), ("hyper", InputSpec::image([5, 7, 7]))], classes());
    let video = schema(&[("film", InputSpec::new(InputKind::Video, [3, 2, 20, 16])), ("vector", InputSpec::vector(3))], classes());
    let tokens = schema(&[("text", InputSpec::new(InputKind::Tokens, [7])), ("vector", InputSpec::vector(3))], classes());
    let bert = "[network.encoders.text]\nkind = 'bert'\nvocab_size = 50\nhidden_size = 8\nnum_hidden_layers = 2\nnum_attention_heads = 2\n\
                intermediate_size = 12\nmax_position_embeddings = 9\n";
    let sound = audio::AudioSettings { length: Length::Pad, ..audio::AudioSettings::new(8000, 0.6) };
    let (sound, series) = (Audio::new(sound).unwrap(), Series::new(2, 30).unwrap());
    let whole = Series::new(2, 30).unwrap().length(Length::Crop);
    let transformer = "[network.encoders.sensor]\nkind = 'transformer'\npatch = 4\nwidth = 8\nlayers = 2\nheads = 2\n";
    let temporal = "[network.encoders.sensor]\nkind = 'temporal'\nwidths = [4, 6]\nkernel = 3\nblocks = 2\ndilation = 2\n";
    let numbers = Numbers::new(["depth", "width"]);
    vec![
        two("cnn", "modality-dropout", ""),
        two("resnet, gates", "mmanet", resnets),
        two("resnet50, 7x7 stem", "modality-dropout", "[network.encoder]\nkind = 'resnet'\ndepth = 50\nwidth = 2\n"),
        two("resnet trunk", "modality-dropout", &format!("{resnets}[network.trunk]\nkind = 'resnet'\nwidths = [6, 8]\nblocks = [2, 1]\n")),
        network(
            "resnet trunk, two sizes",
            "modality-dropout",
            &format!("{resnets}[network.trunk]\nkind = 'resnet'\nwidths = [6]\nblocks = [1]\npool_to_smallest = true\n"),
            schema(&[("rgb", InputSpec::image([3, 18, 14])), ("depth", InputSpec::image([1, 10, 16]))], classes()),
        ),
        two("maps", "udml", resnets),
        two("maps", "dmrnet", &format!("{resnets}[network.trunk]\nkind = 'resnet'\nwidths = [6]\nblocks = [1]\n")),
        two(
            "maps",
            "mod-distill",
            &format!("available = ['rgb']\n{resnets}[network.trunk]\nkind = 'resnet'\nwidths = [6]\nblocks = [1]\n"),
        ),
        network(
            "pointwise trunk",
            "modality-dropout",
            &format!("{conv}[network.trunk]\nkind = 'pointwise'\nwidths = [6, 5]\n"),
            patches.clone(),
        ),
        network(
            "sum trunk, convolving translators",
            "mod-distill",
            &format!(
                "available = ['lidar']\ntrunk = {{ kind = 'pointwise', widths = [6, 5] }}\ntranslation = {{ residual = false, norm = false, \
                 convolution = 3 }}\n{conv}[network.trunk]\nkind = 'sum'\n"
            ),
            patches,
        ),
        network("video", "modality-dropout", "[network.encoders.film]\nkind = 'resnet'\nwidth = 2\nstem = '3x3'\nstages = 2\n", video),
        with_kind(&sound, "sound, cnn", ""),
        with_kind(&series, "series, temporal", ""),
        with_kind(&series, "series, temporal, maximum", &format!("{temporal}pooling = 'max'\n")),
        with_kind(&series, "series, temporal, both", &format!("{temporal}pooling = 'mean_max'\n")),
        with_kind(&whole, "series of one length, temporal", &format!("{temporal}pooling = 'mean_max'\n")),
        with_kind(&series, "series, transformer", transformer),
        with_kind(&whole, "series of one length, transformer", transformer),
        network("text", "modality-dropout", bert, tokens.clone()),
        network("text, first token, length 1", "mmanet", &format!("{bert}pooling = 'cls'\nnormalize = true\n"), tokens),
        Network { gaps: true, ..network("gaps in readings", "modality-dropout", "", vectors()) },
        Network { scale: [1.7e9, 30.0], ..network("times since 1970", "modality-dropout", "", vectors()) },
        network("labels", "modality-dropout", "", vectors_for(Target::Labels(Labels::new(["x", "y"])))),
        network("labels", "late-fusion", "", vectors_for(Target::Labels(Labels::new(["x", "y"])))),
        network("numbers", "udml", "", vectors_for(Target::Numbers(numbers.clone()))),
        network("numbers", "late-fusion", "", vectors_for(Target::Numbers(numbers))),
    ]
}

/// Each network that predicts every pixel, with each method.
pub fn exported_dense() -> Vec<Network> {
    let of = |name: &str, method, options: &str, network_options: &str| {
        network(name, method, &format!("{options}\n{network_options}"), images(Target::Pixels(PixelClasses::new(["road", "tree", "sky"]))))
    };
    let unet = "[network.dense]\nkind = 'unet'\nwidths = [3, 4, 5]\n";
    let gates = "[network.dense]\nkind = 'unet'\nwidths = [8, 8]\nfusion = 'squeeze_excite'\n";
    let esanet = "[network.dense]\nkind = 'esanet'\nencoder = { depth = 18, width = 4 }\ndecoder = { channels = [8, 4, 4], blocks = 1 }\n";
    let adapted = format!("{esanet}carrier = 'depth'\ncontext = {{ bins = [1, 3], adapted_to = [1, 1] }}\n");
    let noise = "[network.encoder]\nkind = 'cnn'\nwidths = [3, 4]\n";
    vec![
        of("unet", "modality-dropout", "", unet),
        of("unet, gates", "modality-dropout", "", gates),
        of("unet, one sensor", "full-only", "missing = { fixed = 'depth' }", unet),
        of("unet", "mean-imputation", "", unet),
        of("unet", "per-combination", "", unet),
        of("unet", "late-fusion", "", unet),
        of("unet, two members", "deep-ensemble", "members = 2", unet),
        of("unet", "mmanet", "", unet),
        of("unet", "dmrnet", "", unet),
        of("unet", "udml", "", &format!("{unet}{noise}")),
        of("unet, features", "udml", "estimator_input = 'feature'", gates),
        of("unet", "mod-distill", "available = ['rgb']", unet),
        of("unet, robust", "mod-distill", "robust = true", unet),
        of("esanet", "modality-dropout", "", esanet),
        of("esanet, another carrier, adapted context", "mmanet", "", &adapted),
        of("esanet", "mean-imputation", "", esanet),
        of("esanet, features", "udml", "estimator_input = 'feature'", esanet),
        of("esanet", "dmrnet", "", esanet),
        of("esanet", "mod-distill", "available = ['depth']", esanet),
    ]
}

/// Networks of common sizes, to be timed with so many samples at a time.
pub fn deployed_sizes() -> Vec<(Network, &'static [usize])> {
    let of = |name: &str, method, options: &str, sensors: &[(&str, InputSpec)], target: Target| {
        network(name, method, options, schema(sensors, target))
    };
    let views = [("fou", 76), ("fac", 216), ("kar", 64), ("pix", 240), ("zer", 47), ("mor", 6)];
    let views = views.map(|(name, width)| (name, InputSpec::vector(width)));
    let image = |channels, side| InputSpec::image([channels, side, side]);
    let photos = [("rgb", image(3, 112)), ("depth", image(1, 112))];
    let small = [("rgb", image(3, 64)), ("depth", image(1, 64))];
    let scenes = [("rgb", image(3, 96)), ("depth", image(1, 96))];
    let series = [("watch", InputSpec::new(InputKind::Series, [6, 512])), ("phone", InputSpec::new(InputKind::Series, [6, 512]))];
    let sound = Audio::new(audio::AudioSettings { length: Length::Crop, ..audio::AudioSettings::new(8000, 0.75) }).unwrap().input();
    let heard = [("sound", sound), ("image", image(1, 28))];
    let texts = [("text", InputSpec::new(InputKind::Tokens, [32])), ("vector", InputSpec::vector(8))];
    let resnet = "[network.encoder]\nkind = 'resnet'\nstem = '3x3'\nstages = 2\nsqueeze_excite = true\n[network.trunk]\nkind = 'resnet'\n";
    let transformer = "[network.encoder]\nkind = 'transformer'\npatch = 8\n";
    let pixels = || Target::Pixels(PixelClasses::new(["floor", "wall", "thing"]));
    let one = |name: &str, method, options: &str, sensors: &[(&str, InputSpec)], target| {
        (of(name, method, options, sensors, target), [1].as_slice())
    };
    let single = [("rgb", image(3, 224))];
    let published = "[network.encoder]\nkind = 'resnet'\n";
    vec![
        (of("ResNet-18, one image 224 x 224", "full-only", published, &single, classes()), &[1, 8]),
        one("MLP, six vectors", "modality-dropout", "", &views, classes()),
        one("MLP, six vectors", "udml", "", &views, classes()),
        one("MLP, six vectors", "dmrnet", "", &views, classes()),
        one("MLP, six vectors", "mod-distill", "robust = true", &views, classes()),
        one("MLP, six vectors", "late-fusion", "", &views, classes()),
        one("CNN, two images 64 x 64", "mmanet", "", &small, classes()),
        one("ResNet-18, two images 112 x 112", "mmanet", resnet, &photos, classes()),
        one("sound (log-mel) and image", "udml", "", &heard, classes()),
        one("temporal, two series of 512 steps", "mmanet", "", &series, classes()),
        one("transformer, two series of 512 steps", "mmanet", transformer, &series, classes()),
        one("MiniLM sizes, 32 tokens", "mmanet", "[network.encoders.text]\nkind = 'bert'\n", &texts, classes()),
        one("U-Net, two images 96 x 96", "mmanet", "", &scenes, pixels()),
        one("ESANet, two images 96 x 96", "mmanet", "[network.dense]\nkind = 'esanet'\n", &scenes, pixels()),
    ]
}

impl Network {
    /// Saves the model as `mm train` does, with weights that are made.
    pub fn save(&self, recipe: &dyn AnyRecipe, folder: &Path) {
        let [mean, std] = self.scale;
        let views = self.schema.modalities.names().iter().zip(&self.schema.inputs).map(|(name, input)| {
            let count = if input.kind == InputKind::Vector { input.elements() } else { input.shape[0] };
            let ids = input.kind == InputKind::Tokens;
            let count = if ids { 1 } else { count };
            let means: Vec<f64> = (0..count).map(|i| if ids { 0.0 } else { mean + 0.1 * i as f64 * std }).collect();
            let stds: Vec<f64> = (0..count).map(|i| if ids { 1.0 } else { std * (1.0 + 0.1 * i as f64) }).collect();
            json!({ "modality": name, "mean": means, "std": stds, "constant_seen": true, "gaps": self.gaps })
        });
        let numbers = if matches!(self.schema.target, Target::Numbers(_)) { vec![[1e5, 3.0], [-2.0, 0.5]] } else { Vec::new() };
        let standardizer = json!({ "views": views.collect::<Vec<_>>(), "numbers": numbers });
        let standardizer: mm_core::data::Standardizer = serde_json::from_value(standardizer).unwrap();
        let schema = standardizer.schema(&self.schema);
        let model = recipe.model(&Setup::new(&schema).seed(3)).unwrap();
        fill_parameters(model.parameters());
        std::fs::create_dir_all(folder).unwrap();
        model.parameters().save(&folder.join("model.safetensors"), |_| true).unwrap();
        let config = json!({
            "format": FORMAT,
            "library": "test",
            "family": recipe.family(),
            "settings": recipe.settings().unwrap(),
            "schema": schema,
            "kinds": self.kinds,
            "standardizer": standardizer,
            "training": { "config": TrainConfig::default(), "samples": 1, "steps": 1, "fingerprint": "", "notes": [] },
        });
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }
}

/// Statistics and shifts that are not the initial ones, which would hide mistakes.
fn fill_parameters(parameters: &Parameters) {
    for (name, variable) in parameters.variables() {
        let mut random = rng::stream(5, &name, &[]);
        let count = variable.elem_count();
        let normal = rng::standard_normal(&mut random, count);
        let values: Vec<f32> = match () {
            _ if name.ends_with("running_var") => normal.iter().map(|x| (0.3 * x).exp()).collect(),
            _ if name.ends_with("dependence.running_mean") => normal.iter().map(|x| x.abs()).collect(),
            _ if name.ends_with("running_mean") => normal.iter().map(|x| 0.3 * x).collect(),
            _ if name.ends_with("num_batches_tracked") => vec![2.0],
            _ if variable.rank() == 1 && name.ends_with("weight") => normal.iter().map(|x| 1.0 + 0.2 * x).collect(),
            _ if variable.rank() == 1 => normal.iter().map(|x| 0.3 * x).collect(),
            _ if name.contains("embedding") || name.ends_with("positions") => normal,
            _ => continue,
        };
        variable.set(&Tensor::from_vec(values, variable.shape(), variable.device()).unwrap()).unwrap();
    }
}

/// Samples for a saved model, and what it says of them.
pub fn expected(pipeline: &Pipeline) -> Expected {
    let (schema, model) = (pipeline.schema(), pipeline.model());
    let names = schema.modalities.names();
    let combinations: Vec<Subset> = Subset::all_non_empty(names.len()).flat_map(|subset| [subset, subset]).collect();
    let mut random = rng::stream(11, "samples", &[]);
    let (mut inputs, mut readings) = (Vec::new(), Vec::new());
    for (m, name) in names.iter().enumerate() {
        let columns: Vec<Column> =
            combinations.iter().enumerate().map(|(i, has)| column(pipeline, m, i, has.contains(m), &mut random)).collect();
        readings.push(reading(pipeline, m, &columns));
        if !model.reads().contains(m) {
            continue;
        }
        let given: Vec<f64> = columns.iter().flat_map(|column| column.given.clone()).collect();
        let shape: Vec<usize> = [combinations.len()].into_iter().chain(schema.inputs[m].shape.iter().copied()).collect();
        let given = Tensor::from_vec(given, shape, &Device::Cpu).unwrap();
        inputs.push((name.clone(), given));
        if columns[0].length.is_some() {
            let lengths: Vec<i64> = columns.iter().map(|column| column.length.unwrap_or_default()).collect();
            inputs.push((format!("{name}.lengths"), Tensor::new(lengths, &Device::Cpu).unwrap()));
        }
    }
    let mask = combinations.iter().flat_map(|has| model.reads().indices().map(|m| u8::from(has.contains(m))));
    let mask = Tensor::from_vec(mask.collect(), (combinations.len(), model.reads().len()), &Device::Cpu).unwrap();
    inputs.push(("presence".into(), mask));
    let supported: Vec<usize> = (0..combinations.len()).filter(|&i| model.supports(combinations[i])).collect();
    let all =
        Inputs::new(&schema.modalities, readings, Presence::new(combinations.clone()), (0..combinations.len() as u64).collect()).unwrap();
    let all = all.select(&supported).unwrap();
    let logits = model.predict(&all).unwrap().prediction.to_dtype(DType::F64).unwrap();
    let mut outputs = outputs(schema, &logits, &supported, combinations.len());
    if let Some(trust) = model.trust(&all).unwrap() {
        outputs.extend(trusted(schema, &trust));
    }
    Expected { inputs, outputs }
}

/// Noise levels and weights by sensor, 0 where it is absent; a model that knows them supports every combination.
fn trusted(schema: &Schema, trust: &[Vec<SensorTrust>]) -> [(String, Tensor); 2] {
    let names = schema.modalities.names();
    let of = |number: fn(&SensorTrust) -> f32| {
        let of_sample = |sample: &Vec<SensorTrust>| {
            let sensor = |name: &String| sample.iter().find(|sensor| sensor.modality == *name).map_or(0.0, number);
            names.iter().map(sensor).map(f64::from).collect::<Vec<f64>>()
        };
        let values = trust.iter().flat_map(of_sample).collect::<Vec<f64>>();
        Tensor::from_vec(values, (trust.len(), names.len()), &Device::Cpu).unwrap()
    };
    [("noise_levels".into(), of(|sensor| sensor.level)), ("sensor_weights".into(), of(|sensor| sensor.weight))]
}

/// A reading of one sample.
struct Column {
    /// What is given to the graph.
    given: Vec<f64>,
    /// What our own model gets; `None` where absent.
    array: Option<Array>,
    length: Option<i64>,
}

fn column(pipeline: &Pipeline, m: usize, row: usize, present: bool, random: &mut Rng) -> Column {
    let (name, input) = (&pipeline.schema().modalities.names()[m], &pipeline.schema().inputs[m]);
    let view = pipeline.config().standardizer.views().iter().find(|view| view.modality == *name).unwrap();
    let (count, last) = (input.elements(), *input.shape.last().unwrap());
    let ids = input.kind == InputKind::Tokens;
    let kind = pipeline.config().kinds[m].as_ref();
    let differs = ids || kind.is_some_and(|kind| kind.settings.get("length").is_none_or(|length| length == "pad"));
    // Long, short and, of what is not the only sensor, empty.
    let length = differs.then(|| if row % 5 == 4 && present { 0 } else { random.random_range(1..=last) });
    let size = count / view.mean.len();
    let normal = rng::standard_normal(random, count);
    let value = |i: usize| match ids {
        true => f64::from(random.random_range(0..50u32)),
        // Rounded as it is when it is given.
        false if view.mean[i / size] < 1e6 => f64::from((view.mean[i / size] + view.std[i / size] * f64::from(normal[i])) as f32),
        false => view.mean[i / size] + view.std[i / size] * f64::from(normal[i]),
    };
    let mut values: Vec<f64> = (0..count).map(value).collect();
    if view.gaps {
        values[row % count] = f64::NAN;
    }
    let behind = |i: usize| length.is_some_and(|length| i % last >= length);
    let nonsense = if ids { -7e9 } else { f64::NAN };
    let given = (0..count).map(|i| if !present || behind(i) { nonsense } else { values[i] }).collect();
    (0..count).filter(|i| behind(*i)).for_each(|i| values[i] = 0.0);
    let array = Array { shape: input.shape.clone(), values: Values::F64(values), length };
    Column { given, array: present.then_some(array), length: length.map(|length| if present { length as i64 } else { -3 }) }
}

/// The standardized readings of a modality.
fn reading(pipeline: &Pipeline, m: usize, columns: &[Column]) -> Option<Reading> {
    let (name, input) = (&pipeline.schema().modalities.names()[m], &pipeline.schema().inputs[m]);
    let (mut values, mut lengths) = (Vec::new(), Vec::new());
    for column in columns {
        lengths.push(column.array.as_ref().and_then(|array| array.length).unwrap_or_default() as u32);
        values.extend(match &column.array {
            Some(array) => {
                let mut array = array.clone();
                pipeline.config().standardizer.apply_array(name, &mut array).unwrap();
                array.values.into_f32()
            }
            None => vec![0.0; input.elements()],
        });
    }
    let shape: Vec<usize> = [columns.len()].into_iter().chain(input.shape.iter().copied()).collect();
    let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    let lengths = columns[0].length.map(|_| Tensor::new(lengths, &Device::Cpu).unwrap());
    Some(Reading { values, lengths })
}

fn outputs(schema: &Schema, logits: &Tensor, supported: &[usize], samples: usize) -> Vec<(String, Tensor)> {
    let mut named = Vec::new();
    match &schema.target {
        Target::Numbers(task) => {
            let rows = logits.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            let numbers: Vec<f64> = rows.iter().flat_map(|row| task.in_unit(row)).collect();
            named.push(("numbers", Tensor::from_vec(numbers, logits.shape(), &Device::Cpu).unwrap()));
        }
        Target::Pixels(_) => named.push(("logits", logits.clone())),
        Target::Labels(_) => named.extend([("probabilities", sigmoid(logits).unwrap()), ("logits", logits.clone())]),
        _ => named.extend([("probabilities", softmax(logits, D::Minus1).unwrap()), ("logits", logits.clone())]),
    }
    let spread = |tensor: Tensor| {
        let dims: Vec<usize> = [samples].into_iter().chain(tensor.dims()[1..].iter().copied()).collect();
        let size: usize = dims[1..].iter().product();
        let found = tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let mut values = vec![f64::NAN; samples * size];
        supported.iter().zip(found.chunks(size)).for_each(|(&row, found)| values[row * size..][..size].copy_from_slice(found));
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    };
    named.into_iter().map(|(name, tensor)| (name.to_string(), spread(tensor))).collect()
}
