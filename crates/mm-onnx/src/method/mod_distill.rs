//! Modality distillation: an own and a restored feature of the available sensors, cross-translated.

use super::settings;
use crate::encoder::encode_present;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, EPS, Layer, conv_norm_relu, linear_norm_relu, pool};
use crate::sensors::{Sensor, Sensors};
use crate::target::Prediction;
use crate::trunk::{head, trunk};
use crate::weights::Scope;
use mm_core::Subset;
use mm_core::pipeline::PipelineConfig;
use mod_distill::ModDistillConfig;

pub(super) fn deploy(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    let student: ModDistillConfig = settings(config)?;
    let schema = &config.schema;
    let available = student.available_subset(&schema.modalities)?;
    let sensors = Sensors::new(graph, config, available)?;
    let supported = if student.robust { sensors.any(graph) } else { sensors.has_all(graph, available) };
    if schema.target.is_dense() {
        let logits = crate::dense::mod_distill(graph, &sensors, &student, available, scope)?;
        return Ok(Prediction { logits, supported, further: Vec::new() });
    }
    let own_scope = scope.pp("own");
    let features = encode_present(graph, &sensors, &student.network, available, &own_scope.pp("encoders"))?;
    let own = trunk(graph, &student.network.trunk, &features, &own_scope.pp("trunk"))?;
    let restored_scope = scope.pp("restored");
    let restored = match student.robust {
        true => completed(graph, &sensors, &student, available, &features, &restored_scope)?,
        false => {
            let features = encode_present(graph, &sensors, &student.network, available, &restored_scope.pp("encoders"))?;
            trunk(graph, &student.network.trunk, &features, &restored_scope.pp("trunk"))?
        }
    };
    let fused = joined(graph, &student, &restored, &own, &scope.pp("fusion"))?;
    let feature = trunk(graph, &student.trunk, &[fused], &scope.pp("trunk"))?;
    let logits = head(graph, &feature, &scope.pp("head"))?;
    Ok(Prediction { logits, supported, further: Vec::new() })
}

/// The restored feature of the robust mode: what is missing is restored from the mean of the features that are there.
fn completed(
    graph: &mut Graph,
    sensors: &Sensors,
    config: &ModDistillConfig,
    available: Subset,
    features: &[Value],
    scope: &Scope,
) -> Result<Value> {
    let pooled: Vec<Value> = features.iter().map(|feature| pool(graph, feature)).collect();
    let sum = graph.sum(&pooled);
    let count = sensors.count(graph);
    let count = graph.with_number("Max", &count, 1.0);
    let mean = graph.binary("Div", &sum, &count);
    let mut encoded = available.indices().zip(pooled);
    let mut next = encoded.next();
    let mut complete = Vec::with_capacity(sensors.all.len());
    for (m, Sensor { name, .. }) in sensors.all.iter().enumerate() {
        let restored = linear_norm_relu(graph, &mean, &scope.pp(name).pp("linear"), &scope.pp(name).pp("norm"))?;
        complete.push(match (&next, sensors.present(m)) {
            (Some((own, feature)), Some(present)) if *own == m => {
                let chosen = graph.node("Where", &[&present.name, &feature.name, &restored.name], restored.shape, vec![]);
                next = encoded.next();
                chosen
            }
            _ => restored,
        });
    }
    trunk(graph, &config.network.trunk, &complete, &scope.pp("trunk"))
}

/// The fusion of restored and own feature.
fn joined(graph: &mut Graph, config: &ModDistillConfig, restored: &Value, own: &Value, scope: &Scope) -> Result<Value> {
    if config.no_ctn {
        let both = [restored, own].map(|feature| pool(graph, feature));
        let both = graph.concat(&both);
        let fused = Layer::of(scope)?.linear(graph, &both)?;
        return Ok(graph.unary("Relu", &fused));
    }
    let joint = |graph: &mut Graph, feature: &Value| {
        let translated = (1..=2).map(|k| {
            let scope = scope.pp(format!("translate_{k}"));
            match config.translation.convolution {
                Some(_) => conv_norm_relu(graph, feature, &scope.pp("conv"), &scope.pp("norm"), Convolution::square(2, 1)),
                None => {
                    let translated = Layer::of(&scope)?.linear(graph, feature)?;
                    Ok(graph.unary("Relu", &translated))
                }
            }
        });
        let translated = translated.collect::<Result<Vec<_>>>()?;
        Ok::<Value, crate::error::Error>(graph.concat(&translated))
    };
    let joints = [joint(graph, restored)?, joint(graph, own)?];
    let mean = half(graph, &joints);
    if config.translation.convolution.is_some() {
        return Ok(mean);
    }
    let fuse = scope.pp("fuse");
    let mut fused = Layer::of(&fuse)?.linear(graph, &mean)?;
    if config.translation.residual {
        let features = half(graph, &[restored.clone(), own.clone()]);
        fused = graph.binary("Add", &fused, &features);
    }
    if config.translation.norm {
        fused = crate::layers::batch_norm(graph, &fused, &scope.pp("norm"), EPS)?;
    }
    Ok(graph.unary("Relu", &fused))
}

fn half(graph: &mut Graph, both: &[Value; 2]) -> Value {
    let sum = graph.sum(both);
    graph.with_number("Mul", &sum, 0.5)
}
