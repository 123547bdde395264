//! UDML: the shares of the sensors in the logits, weighted by how noisy each sensor of each sample is.

use super::settings;
use crate::encoder::{encode_all, encode_present};
use crate::error::Result;
use crate::gaussian::{log_variance, predicted_mean};
use crate::graph::{Graph, Value};
use crate::layers::{Layer, pool};
use crate::sensors::Sensors;
use crate::target::Prediction;
use crate::weights::Scope;
use mm_core::pipeline::PipelineConfig;
use udml::{EstimatorInput, UdmlConfig, WeightForm};

/// Score of a sensor that is absent: far below any other, and finite.
const ABSENT: f32 = -1e30;
/// The least reliance on a sensor.
const LEAST_DEPENDENCE: f32 = 1e-6;

pub(super) fn deploy(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    let udml: UdmlConfig = settings(config)?;
    let schema = &config.schema;
    let sensors = Sensors::new(graph, config, schema.modalities.full())?;
    if schema.target.is_dense() {
        return crate::dense::udml(graph, &sensors, &udml, scope);
    }
    let full = sensors.full();
    let features = encode_all(graph, &sensors, &udml.network, full, &scope.pp("encoders"))?;
    let head = Layer::of(&scope.pp("head"))?;
    let (mut parts, mut read, mut start) = (Vec::new(), Vec::new(), 0);
    for (m, feature) in &features {
        let scope = scope.pp("features").pp(&sensors.all[*m].name);
        let mean = predicted_mean(graph, feature, true, &scope.pp("mean"))?;
        let pooled = pool(graph, &mean);
        let part = head.part(start, feature.shape[0]).linear(graph, &pooled)?;
        start += feature.shape[0];
        parts.push(sensors.masked(graph, *m, &part));
        if udml.weights == WeightForm::Dynamic && udml.estimator_input != EstimatorInput::OwnEncoder {
            let log_var = log_variance(graph, feature, true, &scope.pp("log_var"))?;
            read.push(match udml.estimator_input {
                EstimatorInput::SpreadDetached => {
                    let half = graph.with_number("Mul", &log_var, 0.5);
                    let spread = graph.unary("Exp", &half);
                    pool(graph, &spread)
                }
                _ => {
                    let log_var = pool(graph, &log_var);
                    graph.concat(&[pooled, log_var])
                }
            });
        }
    }
    if udml.weights == WeightForm::Dynamic && udml.estimator_input == EstimatorInput::OwnEncoder {
        let features = encode_present(graph, &sensors, &udml.network, full, &scope.pp("noise_encoders"))?;
        read = features.iter().map(|feature| pool(graph, feature)).collect();
    }
    let dependence = dependence(&scope.pp("dependence"), features.len())?;
    let weights = Weights::of(graph, &sensors, &udml, &read, &dependence, scope)?;
    let scaled = parts.iter().enumerate().map(|(m, part)| {
        let weight = graph.column(&weights.weights, m);
        let scale = if udml.residual { graph.with_number("Add", &weight, 1.0) } else { weight };
        graph.binary("Mul", part, &scale)
    });
    let scaled: Vec<Value> = scaled.collect();
    let mut logits = graph.sum(&scaled);
    if let Some(bias) = head.bias() {
        let bias = graph.floats(&[bias.len()], bias);
        logits = graph.node("Add", &[&logits.name, &bias], logits.shape, vec![]);
    }
    Ok(Prediction { further: weights.further(), ..Prediction::of_any(graph, &sensors, logits) })
}

/// How much the model relies on each sensor; what was never measured counts like the largest.
fn dependence(scope: &Scope, sensors: usize) -> Result<Vec<f32>> {
    let measured = scope.vector("running_mean", sensors)?;
    let largest = measured.iter().copied().fold(f32::MIN, f32::max);
    Ok(measured.iter().map(|&x| if x > 0.0 { x } else { largest }.max(LEAST_DEPENDENCE)).collect())
}

/// How far each sensor of each sample is trusted.
pub(crate) struct Weights {
    /// `[batch, sensors]`: 0 where absent.
    pub weights: Value,
    /// Estimated noise levels, `[batch, sensors]`: 0 where absent; none in static fusion.
    levels: Option<Value>,
}

impl Weights {
    /// From what the estimators read of each sensor, and the dependence on each.
    pub fn of(
        graph: &mut Graph,
        sensors: &Sensors,
        config: &UdmlConfig,
        read: &[Value],
        dependence: &[f32],
        scope: &Scope,
    ) -> Result<Self> {
        let present = sensors.shares(graph);
        if config.weights == WeightForm::Static {
            return Ok(Self { weights: present, levels: None });
        }
        let estimate = |(sensor, read): (&crate::sensors::Sensor, &Value)| {
            let scope = scope.pp("estimators").pp(&sensor.name);
            let hidden = Layer::of(&scope.pp(0))?.linear(graph, read)?;
            // The published estimator is affine.
            let hidden = if config.estimator_input == EstimatorInput::SpreadDetached { hidden } else { graph.unary("Relu", &hidden) };
            Layer::of(&scope.pp(1))?.linear(graph, &hidden)
        };
        let log_levels = sensors.all.iter().zip(read).map(estimate).collect::<Result<Vec<_>>>()?;
        let log_level = graph.concat(&log_levels);
        let log_level = graph.select(&sensors.presence, &log_level, 0.0);
        let scaled = graph.with_number("Mul", &log_level, (1.0 / config.temperature) as f32);
        let score = graph.unary("Neg", &scaled);
        let reliance = graph.floats(&[dependence.len()], &dependence.iter().map(|x| x.ln()).collect::<Vec<_>>());
        let score = graph.node("Sub", &[&score.name, &reliance], score.shape, vec![]);
        let score = graph.select(&sensors.presence, &score, ABSENT);
        let shares = graph.softmax(&score, 1);
        let count = sensors.count(graph);
        let mut weights = graph.binary("Mul", &shares, &count);
        if config.even_when_noisy > 0.0 {
            weights = softened(graph, sensors, &weights, &log_level, f64::from(config.noise.max_level), config.even_when_noisy);
        }
        if config.weight_floor > 0.0 {
            let kept = graph.with_number("Mul", &weights, (1.0 - config.weight_floor) as f32);
            let even = graph.with_number("Mul", &present, config.weight_floor as f32);
            weights = graph.binary("Add", &kept, &even);
        }
        let half = graph.with_number("Mul", &log_level, 0.5);
        let level = graph.unary("Exp", &half);
        let levels = Some(graph.select(&sensors.presence, &level, 0.0));
        Ok(Self { weights, levels })
    }

    /// As further outputs; nothing in static fusion.
    pub fn further(self) -> Vec<(&'static str, &'static str, Value)> {
        let Some(levels) = self.levels else { return Vec::new() };
        vec![
            ("noise_levels", "estimated noise of each sensor, in the order of `presence`: 1 is clean, 0 stands where it is absent", levels),
            ("sensor_weights", "weight of each sensor, in the order of `presence`: 1 on average over those that are there", self.weights),
        ]
    }
}

/// Weights that become even as the cleanest sensor of the sample becomes noisy.
fn softened(graph: &mut Graph, sensors: &Sensors, weights: &Value, log_level: &Value, max_level: f64, power: f64) -> Value {
    let among = graph.select(&sensors.presence, log_level, (2.0 * max_level.ln()) as f32);
    let cleanest = graph.reduce("ReduceMin", &among, 1);
    let cleanest = graph.with_number("Mul", &cleanest, 0.5);
    let cleanest = graph.unary("Exp", &cleanest);
    let contrast = graph.with_number("Sub", &cleanest, max_level as f32);
    let contrast = graph.with_number("Div", &contrast, (1.0 - max_level) as f32);
    let contrast = graph.with_number("Max", &contrast, 0.0);
    let contrast = graph.with_number("Min", &contrast, 1.0);
    let contrast = graph.with_number("Pow", &contrast, power as f32);
    let present = sensors.shares(graph);
    let trusted = graph.binary("Mul", &present, &contrast);
    let even = graph.binary("Sub", &present, &trusted);
    let kept = graph.binary("Mul", weights, &contrast);
    graph.binary("Add", &kept, &even)
}
