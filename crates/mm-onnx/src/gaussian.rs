//! Heads that give mean and log-variance of a feature.

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{EPS, Layer};
use crate::weights::Scope;

/// Up to here the variance is the exponential of what the head says; above, the log-variance goes on as a logarithm.
const EXPONENTIAL_UP_TO: f32 = 10.0;

/// One head: linear over the channels, with batch normalisation where configured.
pub(crate) fn predicted_mean(graph: &mut Graph, feature: &Value, norm: bool, scope: &Scope) -> Result<Value> {
    let layer = match norm {
        true => Layer::normed(&scope.pp("linear"), &scope.pp("norm"), EPS)?,
        false => Layer::of(&scope.pp("linear"))?,
    };
    layer.linear(graph, feature)
}

/// The log-variance; `scope` is that of its head.
pub(crate) fn log_variance(graph: &mut Graph, feature: &Value, norm: bool, scope: &Scope) -> Result<Value> {
    let said = predicted_mean(graph, feature, norm, scope)?;
    let limited = graph.with_number("Min", &said, EXPONENTIAL_UP_TO);
    let excess = graph.with_number("Sub", &said, EXPONENTIAL_UP_TO);
    let excess = graph.unary("Relu", &excess);
    let excess = graph.with_number("Add", &excess, 1.0);
    let excess = graph.unary("Log", &excess);
    Ok(graph.binary("Add", &limited, &excess))
}
