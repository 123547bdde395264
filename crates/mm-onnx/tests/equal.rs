//! The graphs say what the models say: of every combination of sensors, with NaN in place of what is absent, run by tract.

use candle_core::{DType, Tensor};
use mm_bench::Registry;
use mm_core::Pipeline;
use mm_testing::{Expected, Network, expected, exported_dense, exported_encoders, exported_for, exported_methods};
use prost::Message;
use std::io::Cursor;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// Largest distance from our own model, beside 1 or the number itself.
const TOLERANCE: f64 = 1e-4;

fn load(network: &Network) -> Pipeline {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let options: toml::Table = toml::from_str(&network.options).unwrap();
    let recipe = registry.method(network.method).unwrap().recipe(&options).unwrap();
    network.save(&*recipe, folder.path());
    registry.from_pretrained(folder.path()).unwrap_or_else(|error| panic!("{}: {error:#}", network.name))
}

/// A tensor as the graph's input wants it.
fn given(values: &Tensor, wanted: DatumType) -> TValue {
    let shape = values.dims().to_vec();
    let values = values.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let tensor = match wanted {
        DatumType::F32 => tract_onnx::prelude::Tensor::from_shape(&shape, &values.iter().map(|x| *x as f32).collect::<Vec<_>>()),
        DatumType::F64 => tract_onnx::prelude::Tensor::from_shape(&shape, &values),
        DatumType::I64 => tract_onnx::prelude::Tensor::from_shape(&shape, &values.iter().map(|x| *x as i64).collect::<Vec<_>>()),
        DatumType::Bool => tract_onnx::prelude::Tensor::from_shape(&shape, &values.iter().map(|x| *x != 0.0).collect::<Vec<_>>()),
        other => panic!("no input is {other:?}"),
    };
    tensor.unwrap().into_tvalue()
}

/// All outputs by name.
fn run(bytes: &[u8], inputs: &[(String, Tensor)]) -> TractResult<Vec<(String, Vec<f64>)>> {
    let model = tract_onnx::onnx().model_for_read(&mut Cursor::new(bytes))?;
    let outlets: Vec<OutletId> = model.input_outlets()?.to_vec();
    let mut values = tvec![];
    for outlet in outlets {
        let name = model.node(outlet.node).name.clone();
        let wanted = model.outlet_fact(outlet)?.datum_type.concretize().unwrap();
        let (_, tensor) = inputs.iter().find(|(input, _)| *input == name).unwrap_or_else(|| panic!("nothing is given for `{name}`"));
        values.push(given(tensor, wanted));
    }
    let names: Vec<String> = model.output_outlets()?.iter().map(|outlet| model.node(outlet.node).name.clone()).collect();
    let plan = model.into_typed()?.into_decluttered()?.into_runnable()?;
    let found = plan.run(values)?;
    let numbers = |value: TValue| -> TractResult<Vec<f64>> {
        let value = value.into_tensor().cast_to_dt(DatumType::F64)?.into_owned();
        Ok(unsafe { value.as_slice_unchecked::<f64>() }.to_vec())
    };
    names.into_iter().zip(found).map(|(name, value)| Ok((name, numbers(value)?))).collect()
}

/// What is wrong with the graph of a network; nothing, where it is equal.
fn problem(network: &Network) -> Option<String> {
    let pipeline = load(network);
    let Expected { inputs, outputs } = expected(&pipeline);
    let model = match mm_onnx::export(&pipeline) {
        Ok(model) => model,
        Err(error) => return Some(format!("export: {error}")),
    };
    let found = match run(&model.encode_to_vec(), &inputs) {
        Ok(found) => found,
        Err(error) => return Some(format!("run: {error:?}")),
    };
    for (name, wanted) in outputs {
        let Some((_, found)) = found.iter().find(|(found, _)| *found == name) else { return Some(format!("no output `{name}`")) };
        let wanted = wanted.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(wanted.len(), found.len(), "{}: {name}", network.name);
        let finite: Vec<f64> = wanted.iter().copied().filter(|x| x.is_finite()).collect();
        let (least, most) = finite.iter().fold((f64::MAX, f64::MIN), |(least, most), x| (least.min(*x), most.max(*x)));
        assert!(most - least > 1e-3, "{}: {name} says {least} to {most} of everything: nothing is compared", network.name);
        let far = |(wanted, found): (&f64, &f64)| match wanted.is_nan() || found.is_nan() {
            true if wanted.is_nan() && found.is_nan() => 0.0,
            true => f64::INFINITY,
            false => (wanted - found).abs() / wanted.abs().max(1.0),
        };
        let furthest = wanted.iter().zip(found).map(far).fold(0.0, f64::max);
        if furthest > TOLERANCE {
            return Some(format!("`{name}` is off by {furthest}"));
        }
    }
    None
}

fn all_equal(networks: Vec<Network>) {
    let wanted = std::env::var("MM_ONNX_ONLY").unwrap_or_default();
    let networks = networks.iter().filter(|network| network.name.contains(&wanted));
    let problems: Vec<String> = networks.filter_map(|network| Some(format!("{}: {}", network.name, problem(network)?))).collect();
    assert!(problems.is_empty(), "{} networks are not equal:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn methods() {
    all_equal(exported_methods());
}

#[test]
fn encoders_trunks_and_targets() {
    all_equal(exported_encoders());
}

#[test]
fn networks_for_every_pixel() {
    all_equal(exported_dense());
}

/// A runtime may make zero of a NaN in a ReLU: nobody must take what follows for an answer.
#[test]
fn a_reading_that_is_not_finite_is_answered_with_nan() {
    let networks = exported_methods();
    let pipeline = load(networks.iter().find(|network| network.name == "modality-dropout, default").unwrap());
    let Expected { inputs, .. } = expected(&pipeline);
    let model = mm_onnx::export(&pipeline).unwrap().encode_to_vec();
    let of = |inputs: &[(String, Tensor)]| {
        let found = run(&model, inputs).unwrap();
        found.into_iter().find(|(name, _)| name == "probabilities").unwrap().1
    };
    let before = of(&inputs);
    assert!(before.iter().all(|x| x.is_finite()));
    let classes = before.len() / inputs[0].1.dims()[0];
    // The last sample has all sensors.
    let last = inputs[0].1.dims()[0] - 1;
    // The last is finite, but more than a network can compute with.
    for spoilt in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e17] {
        let mut inputs = inputs.clone();
        let (width, mut values) = (inputs[1].1.dims()[1], inputs[1].1.flatten_all().unwrap().to_vec1::<f64>().unwrap());
        values[last * width + 2] = spoilt;
        inputs[1].1 = Tensor::from_vec(values, inputs[1].1.shape(), inputs[1].1.device()).unwrap();
        let after = of(&inputs);
        assert!(after[last * classes..].iter().all(|x| x.is_nan()), "{spoilt}: {:?}", &after[last * classes..]);
        assert_eq!(after[..last * classes], before[..last * classes]);
    }
}

#[test]
fn sensors_may_be_called_as_nodes() {
    let network = exported_for(&["/Sub_1", "/Where_2"]);
    let graph = mm_onnx::export(&load(&network)).unwrap().graph.unwrap();
    let names: Vec<&String> = graph.node.iter().flat_map(|node| &node.output).chain(graph.input.iter().map(|input| &input.name)).collect();
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len(), "{names:?}");
    assert_eq!(problem(&network), None);
}

/// A model that knows its columns by name finds by itself what was not measured: as if a program had said it in columns of its own.
#[test]
fn whether_a_number_was_measured_follows_from_nan() {
    let networks = exported_encoders();
    let pipeline = load(networks.iter().find(|network| network.name == "modality-dropout, gaps in readings").unwrap());
    let Expected { mut inputs, .. } = expected(&pipeline);
    let samples = inputs[0].1.dims()[0];
    let mut rows = inputs[0].1.to_vec2::<f64>().unwrap();
    for row in &mut rows {
        (row[4], row[5]) = (f64::from(u8::from(!row[1].is_nan())), f64::from(u8::from(!row[3].is_nan())));
    }
    assert!(rows.iter().any(|row| row[5] == 1.0) && rows.iter().any(|row| row[5] == 0.0));
    inputs[0].1 = Tensor::new(rows, &candle_core::Device::Cpu).unwrap();
    let told = run(&mm_onnx::export(&pipeline).unwrap().encode_to_vec(), &inputs).unwrap();

    let mut config = pipeline.config().clone();
    let names = ["a", "b", "c", "d", "b.measured", "d.measured"].map(String::from);
    config.columns.variables.insert("strong".into(), names.to_vec());
    let model = mm_onnx::export_parts(&config, pipeline.model().parameters()).unwrap();
    inputs[0].1 = inputs[0].1.narrow(1, 0, 4).unwrap();
    let found = run(&model.encode_to_vec(), &inputs).unwrap();
    assert_eq!(told.len(), found.len());
    for ((name, told), (_, found)) in told.iter().zip(&found) {
        assert!(told.len() >= samples && told.iter().zip(found).all(|(told, found)| (told - found).abs() < 1e-6), "{name}");
    }
    assert_eq!(entry(&model, "columns").unwrap(), r#"[["a","b","c","d"],null,null]"#);
}

fn entry(model: &mm_onnx::proto::Model, key: &str) -> Option<String> {
    model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
}

#[test]
fn the_metadata_say_how_readings_are_made_and_answers_are_taken() {
    let networks = exported_encoders();
    let pipeline = load(networks.iter().find(|network| network.name == "modality-dropout, sound, cnn").unwrap());
    let mut config = serde_json::to_value(pipeline.config()).unwrap();
    let model = mm_onnx::export(&pipeline).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&entry(&model, "settings").unwrap()).unwrap();
    assert_eq!(settings, serde_json::json!([config["kinds"][0]["settings"], null]));
    assert!(settings[0]["rate"] == 8000 && settings[0]["hop"].is_number(), "{settings}");
    assert_eq!((entry(&model, "threshold"), entry(&model, "test_flips")), (None, None));
    config["schema"]["threshold"] = 0.3.into();
    config["training"]["config"]["test_flips"] = true.into();
    let config = serde_json::from_value(config).unwrap();
    let model = mm_onnx::export_parts(&config, pipeline.model().parameters()).unwrap();
    assert_eq!((entry(&model, "threshold").as_deref(), entry(&model, "test_flips").as_deref()), (Some("0.3"), Some("true")));
}
