//! The BERT encoder: gradients, padding, published weights.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use mm_core::data::{InputKind, InputSpec, Reading};
use mm_core::encoder::{BertConfig, BertEncoder, Encoder, EncoderConfig, EncoderDType, Pooling, published_bert_names};
use mm_core::nn::{Mode, Parameters, Sequences, attention, gelu, layer_norm};
use mm_core::text::{TextError, Tokenizer};
use mm_core::weights::from_pretrained;
use mm_core::{Error, rng};
use mm_testing::{bits, difference, gradient_error, minilm, values};
use rand::RngExt;
use std::collections::BTreeMap;

fn tiny() -> BertConfig {
    BertConfig {
        vocab_size: 20,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 24,
        max_position_embeddings: 8,
        layer_norm_eps: 1e-5,
        ..BertConfig::default()
    }
}

/// Parameters of this type, larger than initial ones so that no path is close to linear.
fn parameters(config: &BertConfig, dtype: DType) -> (Parameters, BertEncoder) {
    let parameters = Parameters::new(3, &Device::Cpu);
    let vb = VarBuilder::from_backend(Box::new(parameters.clone()), dtype, Device::Cpu);
    let encoder = BertEncoder::new(config, 6, vb).unwrap();
    for (name, variable) in parameters.variables() {
        let mut random = rng::stream(5, &name, &[]);
        let centre = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
        let numbers: Vec<f64> = (0..variable.elem_count()).map(|_| centre + random.random_range(-0.4..0.4)).collect();
        variable.set(&Tensor::from_vec(numbers, variable.shape(), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()).unwrap();
    }
    (parameters, encoder)
}

fn reading(ids: &[[f32; 6]], lengths: &[u32]) -> Reading {
    let values = Tensor::from_vec(ids.concat(), (ids.len(), 6), &Device::Cpu).unwrap();
    Reading { values, lengths: Some(Tensor::new(lengths, &Device::Cpu).unwrap()) }
}

fn texts() -> Reading {
    reading(&[[2.0, 7.0, 9.0, 7.0, 3.0, 0.0], [2.0, 3.0, 0.0, 0.0, 0.0, 0.0], [2.0, 11.0, 19.0, 4.0, 5.0, 3.0]], &[5, 2, 6])
}

/// `Σ feature u`, with `u` fixed and uneven.
fn weighed(encoder: &BertEncoder, mode: Mode) -> Tensor {
    let y = encoder.forward(&texts(), mode).unwrap();
    y.mul(&values(y.dims(), y.dtype())).unwrap().sum_all().unwrap()
}

/// Every number of every parameter, in f64; and the f32 kernels against them.
#[test]
fn gradients_are_finite_differences() {
    for (pooling, normalize) in [(Pooling::Mean, false), (Pooling::Cls, false), (Pooling::Mean, true)] {
        let config = BertConfig { pooling, normalize, ..tiny() };
        let (wide, encoder) = parameters(&config, DType::F64);
        let gradients = weighed(&encoder, Mode::Train).backward().unwrap();
        let (narrow, narrow_encoder) = parameters(&config, DType::F32);
        let narrow_gradients = weighed(&narrow_encoder, Mode::Train).backward().unwrap();
        let narrow: BTreeMap<String, Var> = narrow.variables().into_iter().collect();
        for (name, variable) in wide.variables() {
            let old = variable.as_tensor().copy().unwrap();
            let numbers = old.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let at = |i: usize, step: f64| {
                let mut moved = numbers.clone();
                moved[i] += step;
                variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap()).unwrap();
                weighed(&encoder, Mode::Eval).to_scalar::<f64>().unwrap()
            };
            // Every number of short parameters, every eleventh of long ones.
            let every = if numbers.len() > 100 { 11 } else { 1 };
            let places: Vec<usize> = (0..numbers.len()).step_by(every).collect();
            let numeric: Vec<f64> = places.iter().map(|&i| (at(i, 1e-5) - at(i, -1e-5)) / 2e-5).collect();
            variable.set(&old).unwrap();
            let exact = gradients.get(&variable).unwrap_or_else(|| panic!("{name} has no gradient"));
            let flat = exact.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let picked: Vec<f64> = places.iter().map(|&i| flat[i]).collect();
            // A bias of keys changes no softmax.
            assert!(name.contains("key.bias") || numeric.iter().any(|g| g.abs() > 1e-4), "{name}");
            let error = difference(&Tensor::new(picked, &Device::Cpu).unwrap(), &Tensor::new(numeric, &Device::Cpu).unwrap());
            assert!(error < 1e-6, "{name}: {error}");
            let error = difference(narrow_gradients.get(&narrow[&name]).unwrap(), exact);
            assert!(error < 5e-5 || name.contains("key.bias"), "{name} in f32: {error}");
        }
        let error = difference(&weighed(&narrow_encoder, Mode::Eval), &weighed(&encoder, Mode::Eval));
        assert!(error < 1e-5, "{error}");
    }
}

#[test]
fn layers_have_gradients_on_either_path() {
    let sequences = Sequences::new(&[3, 0, 1, 2]);
    for (dtype, allowed) in [(DType::F64, 1e-7), (DType::F32, 3e-3)] {
        let x = values(&[6, 4], dtype);
        // candle writes 1 / sqrt(2 π) with six digits.
        assert!(gradient_error(&x, gelu) < 10.0 * allowed, "{}", gradient_error(&x, gelu));
        let parameters = Parameters::new(1, &Device::Cpu);
        let vb = VarBuilder::from_backend(Box::new(parameters), dtype, Device::Cpu);
        let norm = layer_norm(4, 1e-3, vb).unwrap();
        assert!(gradient_error(&x, |x| norm.forward(x)) < allowed, "{}", gradient_error(&x, |x| norm.forward(x)));
        let other = (values(&[6, 4], dtype) * 0.7).unwrap().sin().unwrap();
        for place in 0..3 {
            let of = |x: &Tensor| {
                let [q, k, v]: [&Tensor; 3] = std::array::from_fn(|i| if i == place { x } else { &other });
                attention(q, k, v, 2, &sequences)
            };
            assert!(gradient_error(&x, of) < allowed, "{place}: {}", gradient_error(&x, of));
        }
    }
}

#[test]
fn attention_that_does_not_fit_is_an_error() {
    let x = values(&[3, 4], DType::F32);
    let sequences = Sequences::new(&[2, 1]);
    assert!(attention(&x, &x, &x, 3, &sequences).is_err() && attention(&x, &x, &x, 0, &sequences).is_err());
    assert!(attention(&x, &x, &x, 2, &Sequences::new(&[2])).is_err());
    assert!(attention(&x, &values(&[2, 4], DType::F32), &x, 2, &sequences).is_err());
    assert_eq!((sequences.len(), sequences.rows()), (2, 3));
}

/// Whatever stands behind the end of a text, and whatever else is in the batch.
#[test]
fn padding_never_changes_the_feature() {
    for pooling in [Pooling::Mean, Pooling::Cls] {
        let (_, encoder) = parameters(&BertConfig { pooling, ..tiny() }, DType::F32);
        let feature = |reading: &Reading| encoder.forward(reading, Mode::Eval).unwrap();
        let three = feature(&texts());
        for fill in [1.0, 19.0, -3.0, 1e9, f32::NAN, f32::INFINITY] {
            let filled = [[2.0, 7.0, 9.0, 7.0, 3.0, fill], [2.0, 3.0, fill, fill, fill, fill], [2.0, 11.0, 19.0, 4.0, 5.0, 3.0]];
            assert_eq!(bits(&feature(&reading(&filled, &[5, 2, 6]))), bits(&three), "{fill}");
        }
        for (row, length) in [(0, 5), (1, 2), (2, 6)] {
            let values = texts().values.narrow(0, row, 1).unwrap().narrow(1, 0, length).unwrap();
            let alone = feature(&Reading::from(values));
            assert!(difference(&alone, &three.narrow(0, row, 1).unwrap()) < 1e-6);
        }
        // A text without tokens is zero and disturbs no other; so is a batch of them.
        let some = feature(&reading(&[[f32::NAN; 6], [2.0, 3.0, 0.0, 0.0, 0.0, 0.0]], &[0, 2]));
        assert!(bits(&some.narrow(0, 0, 1).unwrap()).iter().all(|bits| *bits == 0));
        assert!(difference(&some.narrow(0, 1, 1).unwrap(), &three.narrow(0, 1, 1).unwrap()) < 1e-6);
        assert_eq!(bits(&feature(&reading(&[[9.0; 6]; 2], &[0, 0]))), [0; 32]);
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let (_, encoder) = parameters(&tiny(), DType::F32);
    for id in [20.0, -1.0, 0.5, f32::NAN] {
        let found = encoder.forward(&reading(&[[2.0, id, 0.0, 0.0, 0.0, 0.0]], &[2]), Mode::Eval).unwrap_err();
        let Error::Text(TextError::TokenId { id: told, vocabulary: 20 }) = found else { panic!("{found}") };
        assert!(told == id || id.is_nan());
    }
    assert!(encoder.forward(&reading(&[[2.0; 6]], &[7]), Mode::Eval).is_err());
    assert!(encoder.forward(&reading(&[[2.0; 6]], &[2, 2]), Mode::Eval).is_err());
    assert!(encoder.forward(&values(&[2, 3, 4], DType::F32).into(), Mode::Eval).is_err());
}

#[test]
fn an_encoder_is_built_from_its_settings() {
    let config: EncoderConfig = toml::from_str(
        "kind = \"bert\"\nvocab_size = 20\nhidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\nintermediate_size = 8\npooling = \"cls\"",
    )
    .unwrap();
    let tokens = InputSpec::new(InputKind::Tokens, [6]);
    let build = |dtype: EncoderDType| {
        let parameters = Parameters::new(0, &Device::Cpu);
        let encoder = dtype.wrap(config.build("note", &tokens, parameters.builder()).unwrap());
        (parameters, encoder)
    };
    let (built, encoder) = build(EncoderDType::F32);
    assert_eq!(encoder.feature_shape(), [16]);
    let counted = built.count(|_| true) as f64;
    assert_eq!(config.cost(&tokens).unwrap().parameters, counted);
    // Ids above 256 are not whole numbers of bf16: the encoder gets them as they are.
    let (_, half) = build(EncoderDType::Bf16);
    assert_eq!(bits(&half.forward(&texts(), Mode::Eval).unwrap()), bits(&encoder.forward(&texts(), Mode::Eval).unwrap()));

    let problem = |input: &InputSpec, config: BertConfig| {
        let parameters = Parameters::new(0, &Device::Cpu);
        EncoderConfig::new("bert", config).build("note", input, parameters.builder()).map(drop).unwrap_err().to_string()
    };
    assert!(problem(&InputSpec::image([3, 4, 4]), tiny()).contains("encoders.note"));
    assert!(problem(&InputSpec::vector(6), tiny()).contains("features = \"tokens\""));
    assert!(problem(&InputSpec::new(InputKind::Tokens, [9]), tiny()).contains("8 positions"));
    assert!(problem(&tokens, BertConfig { num_attention_heads: 3, ..tiny() }).contains("do not divide"));
    assert!(problem(&tokens, BertConfig { vocab_size: 0, ..tiny() }).contains("vocab_size"));
    let huge = BertConfig { hidden_size: 1 << 16, intermediate_size: 1 << 20, num_attention_heads: 1, ..tiny() };
    assert!(problem(&tokens, huge).contains("numbers"));
}

/// Numbers of every parameter of the embeddings and of two layers of the real checkpoint, at places drawn at random, in f64; and the
/// gradients of f32 beside those.
#[test]
fn gradients_of_a_real_checkpoint_are_finite_differences() {
    let Some(folder) = minilm() else { return };
    let config = BertConfig::from_folder(&folder).unwrap();
    assert_eq!(config, BertConfig::default());
    let parameters = Parameters::for_loading(&Device::Cpu);
    let vb = VarBuilder::from_backend(Box::new(parameters.clone()), DType::F64, Device::Cpu);
    let encoder = BertEncoder::new(&config, 16, vb).unwrap();
    from_pretrained(&parameters, &folder, &published_bert_names("")).unwrap().complete(&folder).unwrap();
    let f32_parameters = Parameters::for_loading(&Device::Cpu);
    let f32_encoder = BertEncoder::new(&config, 16, f32_parameters.builder()).unwrap();
    from_pretrained(&f32_parameters, &folder, &published_bert_names("")).unwrap().complete(&folder).unwrap();

    let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"), 16).unwrap();
    let texts = ["A robot lost its depth camera.", "It rains."].map(|text| tokenizer.encode(text).unwrap());
    let lengths = Tensor::new(texts.each_ref().map(|text| text.length as u32).as_slice(), &Device::Cpu).unwrap();
    let ids = texts.into_iter().flat_map(|text| text.values).collect::<Vec<f32>>();
    let reading = Reading { values: Tensor::from_vec(ids, (2, 16), &Device::Cpu).unwrap(), lengths: Some(lengths) };
    let loss = |encoder: &BertEncoder, mode: Mode| {
        let y = encoder.forward(&reading, mode).unwrap();
        y.mul(&values(y.dims(), y.dtype())).unwrap().sum_all().unwrap()
    };
    let gradients = loss(&encoder, Mode::Train).backward().unwrap();
    let f32_gradients = loss(&f32_encoder, Mode::Train).backward().unwrap();
    let f32_variables: BTreeMap<String, Var> = f32_parameters.variables().into_iter().collect();
    let all = parameters.variables();
    let mut random = rng::stream(0, "places", &[]);
    // Every kind of layer: tables, attention, feed-forward part and norms, at both ends.
    let sampled = |name: &str| ["embeddings.", "encoder.layer.0.", "encoder.layer.5."].iter().any(|part| name.starts_with(part));
    assert_eq!(all.iter().filter(|(name, _)| sampled(name)).count(), 5 + 2 * 16);
    for (name, variable) in all.iter().filter(|(name, _)| sampled(name)) {
        let exact = gradients.get(variable).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        // The row of a token that is in the texts, for the table of words.
        let place = match name.as_str() {
            "embeddings.word_embeddings.weight" => 1037 * 384 + 5,
            // A place in a text, and the segment that all tokens are of.
            "embeddings.position_embeddings.weight" => random.random_range(0..5 * 384),
            "embeddings.token_type_embeddings.weight" => random.random_range(0..384),
            _ => random.random_range(0..exact.len()),
        };
        let old = variable.as_tensor().copy().unwrap();
        let numbers = old.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let at = |step: f64| {
            let mut moved = numbers.clone();
            moved[place] += step;
            variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap()).unwrap();
            loss(&encoder, Mode::Eval).to_scalar::<f64>().unwrap()
        };
        let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
        variable.set(&old).unwrap();
        let scale = exact.iter().fold(1e-6f64, |largest, g| largest.max(g.abs()));
        assert!((exact[place] - numeric).abs() < 1e-5 * scale + 1e-8, "{name} at {place}: {} {numeric}", exact[place]);
        let error = difference(f32_gradients.get(&f32_variables[name]).unwrap(), gradients.get(variable).unwrap());
        assert!(error < 1e-3 || name.contains("key.bias"), "{name} in f32: {error}");
    }
}
