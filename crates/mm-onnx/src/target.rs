//! From logits to what a user reads.

use crate::graph::{Graph, Value};
use crate::proto::{Attribute, DataType, ValueInfo};
use crate::sensors::needs_double;
use mm_core::data::Target;

/// Names that outputs have.
pub(crate) const OUTPUTS: [&str; 5] = ["logits", "probabilities", "numbers", "noise_levels", "sensor_weights"];

/// Added to probabilities before the logarithm, as the core does.
const LEAST_PROBABILITY: f32 = 1e-12;

/// What a method predicts.
pub(crate) struct Prediction {
    /// `[outputs]`, or `[classes, height, width]`.
    pub logits: Value,
    /// Boolean `[batch, 1]`: which samples have what the model needs. The others are told NaN.
    pub supported: Value,
    /// Further outputs, with a name of [`OUTPUTS`] and what they are.
    pub further: Vec<(&'static str, &'static str, Value)>,
}

impl Prediction {
    /// Logits of samples that have one of a model's sensors at least.
    pub fn of_any(graph: &mut Graph, sensors: &crate::sensors::Sensors, logits: Value) -> Self {
        Self { logits, supported: sensors.any(graph), further: Vec::new() }
    }
}

/// Adds the outputs for a target.
pub(crate) fn outputs(graph: &mut Graph, target: &Target, prediction: Prediction) -> Vec<ValueInfo> {
    let Prediction { logits, supported, further } = prediction;
    let mut outputs = Vec::new();
    let mut output = |graph: &mut Graph, name: &str, doc: &str, data_type: DataType, op: &str, x: &Value, attributes: Vec<Attribute>| {
        outputs.push(ValueInfo::batched(name, data_type, &x.shape, doc.into()));
        graph.named(name.into(), op, &[&x.name], x.shape.clone(), attributes);
    };
    let conditions = std::mem::take(&mut graph.conditions);
    let supported = conditions.iter().fold(supported, |all, condition| graph.binary("And", &all, condition));
    let mask = graph.stretched(&supported, logits.shape.len());
    let logits = graph.select(&mask, &logits, f32::NAN);
    let softmax = || vec![Attribute::int("axis", 1)];
    match target {
        Target::Numbers(numbers) => {
            let of = |number: f32| numbers.in_unit(&vec![number; logits.shape[0]]);
            let (mean, above) = (of(0.0), of(1.0));
            let std: Vec<f64> = above.iter().zip(&mean).map(|(above, mean)| above - mean).collect();
            let double = mean.iter().zip(&std).any(|(mean, std)| needs_double(*mean, *std));
            let (x, data_type) = if double { (graph.cast(&logits, DataType::Double), DataType::Double) } else { (logits, DataType::Float) };
            let [std, mean] = [std, mean].map(|values| match double {
                true => graph.doubles(&[values.len()], &values),
                false => graph.floats(&[values.len()], &values.iter().map(|x| *x as f32).collect::<Vec<_>>()),
            });
            let scaled = graph.node("Mul", &[&x.name, &std], x.shape.clone(), vec![]);
            let numbers = graph.node("Add", &[&scaled.name, &mean], x.shape, vec![]);
            output(graph, "numbers", "the predicted numbers, in the unit of the data", data_type, "Identity", &numbers, vec![]);
        }
        Target::Labels(_) => {
            output(graph, "probabilities", "probability of each label", DataType::Float, "Sigmoid", &logits, vec![]);
            output(graph, "logits", "log-odds of each label", DataType::Float, "Identity", &logits, vec![]);
        }
        Target::Pixels(_) => {
            let doc = "scores of each class at each pixel, [classes, height, width]; the largest is the class";
            output(graph, "logits", doc, DataType::Float, "Identity", &logits, vec![]);
        }
        _ => {
            output(graph, "probabilities", "probability of each class", DataType::Float, "Softmax", &logits, softmax());
            output(graph, "logits", "scores of each class, before the softmax", DataType::Float, "Identity", &logits, vec![]);
        }
    }
    for (name, doc, value) in further {
        let value = graph.select(&supported, &value, f32::NAN);
        output(graph, name, doc, DataType::Float, "Identity", &value, vec![]);
    }
    outputs
}

/// What members of an ensemble are averaged as: probabilities, or the numbers themselves.
pub(crate) fn expectation(graph: &mut Graph, target: &Target, logits: &Value) -> Value {
    match target {
        Target::Numbers(_) => logits.clone(),
        Target::Labels(_) => graph.unary("Sigmoid", logits),
        _ => graph.softmax(logits, 1),
    }
}

/// The logits whose [`expectation`] this is.
pub(crate) fn of_expectation(graph: &mut Graph, target: &Target, mean: &Value) -> Value {
    let log = |graph: &mut Graph, x: &Value| {
        let x = graph.with_number("Add", x, LEAST_PROBABILITY);
        graph.unary("Log", &x)
    };
    match target {
        Target::Numbers(_) => mean.clone(),
        Target::Labels(_) => {
            let one = graph.float(1.0);
            let against = graph.node("Sub", &[&one, &mean.name], mean.shape.clone(), vec![]);
            let [odds, against] = [mean.clone(), against].map(|x| log(graph, &x));
            graph.binary("Sub", &odds, &against)
        }
        _ => log(graph, mean),
    }
}

/// What is predicted, in a word, for the metadata.
pub(crate) fn word(target: &Target) -> &'static str {
    match target {
        Target::Numbers(_) => "numbers",
        Target::Labels(_) => "labels",
        Target::Pixels(_) => "pixels",
        _ => "classes",
    }
}
