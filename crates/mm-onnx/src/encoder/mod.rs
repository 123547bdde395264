//! Encoders: a sensor's reading in, a feature out.

mod bert;
mod cnn;
mod conv;
mod mlp;
mod resnet;
mod sequence;
mod temporal;
mod transformer;

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::sensors::{Sensor, Sensors};
use crate::weights::Scope;
use mm_core::Subset;
use mm_core::encoder::{EncoderConfig, EncoderDType};
use mm_core::fusion::NetworkConfig;
use serde::de::DeserializeOwned;

/// Adds an encoder and returns the feature, which means nothing where the sensor is absent.
type Encode = fn(&mut Graph, &Sensor, &EncoderConfig, &Scope) -> Result<Value>;

/// The encoders that have a form in ONNX; a new one is its file and a line here.
const ENCODERS: [(&str, Encode); 7] = [
    ("bert", bert::encode),
    ("cnn", cnn::encode),
    ("conv", conv::encode),
    ("mlp", mlp::encode),
    ("resnet", resnet::encode),
    ("temporal", temporal::encode),
    ("transformer", transformer::encode),
];

/// The features of the sensors of `subset`, in the order of the schema; they mean nothing where a sensor is absent.
pub(crate) fn encode_all(
    graph: &mut Graph,
    sensors: &Sensors,
    config: &NetworkConfig,
    subset: Subset,
    scope: &Scope,
) -> Result<Vec<(usize, Value)>> {
    if config.encoder_dtype != EncoderDType::F32 {
        let problem = "computes in bf16, whose rounding a graph of f32 does not have: train with `network.encoder_dtype = \"f32\"`";
        return Err(Error::unsupported("`network.encoder_dtype`", problem));
    }
    let encode_one = |m: usize| {
        let sensor = &sensors.all[m];
        let encoder = config.encoder_of(&sensor.name, &sensor.spec)?;
        let encode = ENCODERS.iter().find(|(kind, _)| *kind == encoder.kind()).map(|(_, encode)| encode).ok_or_else(|| {
            let known = ENCODERS.map(|(kind, _)| kind).join(", ");
            let problem = format!("is of the kind `{}`, which has no form in ONNX; those that have: {known}", encoder.kind());
            Error::unsupported(format!("the encoder of `{}`", sensor.name), problem)
        })?;
        Ok((m, encode(graph, sensor, &encoder, &scope.pp(&sensor.name))?))
    };
    subset.indices().map(encode_one).collect()
}

/// [`encode_all`], with zero where a sensor is absent.
pub(crate) fn encode_present(
    graph: &mut Graph,
    sensors: &Sensors,
    config: &NetworkConfig,
    subset: Subset,
    scope: &Scope,
) -> Result<Vec<Value>> {
    let features = encode_all(graph, sensors, config, subset, scope)?;
    Ok(features.into_iter().map(|(m, feature)| sensors.masked(graph, m, &feature)).collect())
}

/// The settings of an encoder as the type of its kind.
fn settings<E: DeserializeOwned>(config: &EncoderConfig) -> Result<E> {
    let settings = serde_json::Value::Object(config.settings().clone());
    serde_json::from_value(settings).map_err(|source| Error::Settings { family: format!("encoder {}", config.kind()), source })
}
