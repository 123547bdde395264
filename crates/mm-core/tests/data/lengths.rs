//! Readings that differ in length: what lies behind the end of one counts for nothing.

use candle_core::Device;
use mm_core::data::kinds::{Kind, Origin, Raw, Standardization};
use mm_core::data::{Array, FileRow, FileSource, InputKind, InputSpec, Source, Standardizer, Target, TargetValue};
use mm_core::{Error, Modalities, Result};
use std::path::Path;
use std::sync::Arc;

/// Two channels, at most four steps, from texts such as `1 2;3 4`.
struct Steps(Standardization);

impl Kind for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }

    fn input(&self) -> InputSpec {
        InputSpec::new(InputKind::Series, [2, 4])
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn decode(&self, _bytes: &[u8], path: &Path) -> Result<Array> {
        Err(Error::File { path: path.into(), problem: "is no text".into() })
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn raw(&self, origin: &Origin) -> Result<Raw> {
        match origin {
            Origin::Text(text) => Ok(Raw::Text(text.clone())),
            _ => panic!("a text"),
        }
    }

    fn features(&self, raw: Raw) -> Result<Array> {
        let Raw::Text(text) = raw else { panic!("a text") };
        let rows: Vec<Vec<f32>> = text.split(';').map(|row| row.split(' ').map(|x| x.parse().unwrap()).collect()).collect();
        let length = rows[0].len();
        let padded = rows.into_iter().flat_map(|mut row| {
            row.resize(4, 0.0);
            row
        });
        Ok(Array::new([2, 4], padded.collect()).with_length(length))
    }

    fn standardization(&self) -> Standardization {
        self.0.clone()
    }
}

fn source(standardization: Standardization) -> FileSource {
    let row = |i: usize, texts: [Option<&str>; 2]| {
        let origins = texts.iter().map(|text| text.map(|text| Origin::Text(text.into()))).collect();
        FileRow::new(format!("s{i}"), origins, TargetValue::Class((i % 2) as u32)).unwrap()
    };
    let rows = vec![
        row(0, [Some("1 3;10 30"), Some("5 5 5 5;5 5 5 5")]),
        row(1, [Some("5 5 7 9;50 50 70 90"), None]),
        row(2, [None, Some("1;2")]),
    ];
    let kinds: Vec<Arc<dyn Kind>> = vec![Arc::new(Steps(standardization)), Arc::new(Steps(Standardization::None))];
    FileSource::new(Modalities::new(["a", "b"]).unwrap(), kinds, Target::of_classes(["x", "y"]), rows).unwrap()
}

#[test]
fn batches_say_how_long_each_reading_is() {
    let batch = source(Standardization::Fitted).batch(&[0, 1, 2], &Device::Cpu).unwrap();
    let lengths = |name: &str| batch.inputs().reading(name).unwrap().unwrap().lengths.as_ref().unwrap().to_vec1::<u32>().unwrap();
    assert_eq!(lengths("a"), [2, 4, 0]);
    assert_eq!(lengths("b"), [4, 0, 1]);
    let picked = batch.inputs().select(&[1, 0]).unwrap();
    assert_eq!(picked.reading("a").unwrap().unwrap().lengths.as_ref().unwrap().to_vec1::<u32>().unwrap(), [4, 2]);
}

#[test]
fn statistics_are_of_what_is_filled() {
    let data = source(Standardization::Fitted);
    let standardizer = Standardizer::fit(&data, &[0, 1, 2]).unwrap();
    let [a, b] = standardizer.views() else { panic!("two modalities") };
    // 1, 3, 5, 5, 7, 9: no zeros of the padding.
    assert!((a.mean[0] - 5.0).abs() < 1e-12 && (a.std[0] - (40.0f64 / 6.0).sqrt()).abs() < 1e-12, "{a:?}");
    assert!((a.mean[1] - 50.0).abs() < 1e-12);
    assert_eq!((b.mean.as_slice(), b.std.as_slice()), ([0.0; 2].as_slice(), [1.0; 2].as_slice()), "not standardized");
    let mut sample = data.read(0).unwrap();
    standardizer.apply_array("a", sample.readings[0].as_mut().unwrap()).unwrap();
    let values = sample.readings[0].clone().unwrap().values.into_f32();
    let expected = [-4.0, -2.0, 0.0, 0.0].map(|x: f64| (x / a.std[0]) as f32);
    assert_eq!(values[..4], expected, "the padding stays 0");
}

#[test]
fn given_statistics_are_taken() {
    let given = |std: &[f64]| source(Standardization::Given { mean: vec![1.0, 2.0], std: std.to_vec() });
    let fitted = Standardizer::fit(&given(&[2.0, 4.0]), &[0, 1, 2]).unwrap();
    assert_eq!((fitted.views()[0].mean.as_slice(), fitted.views()[0].std.as_slice()), ([1.0, 2.0].as_slice(), [2.0, 4.0].as_slice()));
    let error = Standardizer::fit(&given(&[2.0]), &[0, 1, 2]).unwrap_err().to_string();
    assert!(error.contains("`a`"), "{error}");
}

/// Kinds that are read from whole files say what they cannot do.
#[test]
fn what_is_no_whole_file_is_refused() {
    let image = mm_core::data::kinds::Image::rgb(4);
    let part = Origin::File { path: "a.png".into(), part: Some(3..5) };
    let depth = mm_core::data::kinds::Depth::new(4);
    assert!(depth.raw(&part).unwrap_err().to_string().contains("leave out start and length"));
    let text = Origin::Text("a long sentence that goes on and on and on and on".into());
    let error = image.raw(&text).unwrap_err().to_string();
    assert!(error.contains("a long sentence") && error.contains("...") && error.contains("`image`"), "{error}");
}
