//! Several networks that predict together.

use super::settings;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::sensors::Sensors;
use crate::target::{Prediction, expectation, of_expectation};
use crate::trunk::logits;
use crate::weights::Scope;
use mm_baselines::{Combine, DeepEnsembleConfig, EnsembleConfig};
use mm_core::data::Target;
use mm_core::pipeline::PipelineConfig;

/// Members for fixed combinations: late fusion, and one network for each combination.
pub(super) fn by_combination(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    let EnsembleConfig { network, combine, combinations } = settings(config)?;
    let schema = &config.schema;
    let sensors = Sensors::new(graph, config, schema.modalities.full())?;
    let members = EnsembleConfig { network: network.clone(), combine, combinations }.members(&schema.modalities)?;
    let (mut sums, mut counts) = (Vec::new(), Vec::new());
    for subset in members {
        let scope = scope.pp(schema.modalities.format(subset));
        // A member that was never trained does not predict.
        if scope.get("num_batches_tracked")?.values.first().is_none_or(|batches| *batches <= 0.0) {
            continue;
        }
        let logits = match &schema.target {
            Target::Pixels(_) => crate::dense::member(graph, &sensors, &network, subset, &scope)?,
            _ => logits(graph, &sensors, &network, subset, &scope)?,
        };
        let expectation = expectation(graph, &schema.target, &logits);
        let speaks = match combine {
            Combine::Average => sensors.has_all(graph, subset),
            Combine::Exact => sensors.has_exactly(graph, subset),
        };
        let mask = graph.stretched(&speaks, expectation.shape.len());
        sums.push(graph.select(&mask, &expectation, 0.0));
        counts.push(graph.cast(&speaks, crate::proto::DataType::Float));
    }
    if sums.is_empty() {
        return Err(Error::unsupported("the ensemble", "has no member that was trained"));
    }
    let (sum, count) = (graph.sum(&sums), graph.sum(&counts));
    let supported = positive(graph, &count);
    // Where nobody speaks the answer is replaced by NaN in any case.
    let divisor = graph.with_number("Max", &count, 1.0);
    let divisor = graph.stretched(&divisor, sum.shape.len());
    let mean = graph.binary("Div", &sum, &divisor);
    let logits = of_expectation(graph, &schema.target, &mean);
    Ok(Prediction { logits, supported, further: Vec::new() })
}

fn positive(graph: &mut Graph, count: &Value) -> Value {
    let zero = graph.float(0.0);
    graph.node("Greater", &[&count.name, &zero], count.shape.clone(), vec![])
}

/// Members for all combinations, whose logits are averaged.
pub(super) fn deep(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    let DeepEnsembleConfig { network, members, .. } = settings(config)?;
    let schema = &config.schema;
    let sensors = Sensors::new(graph, config, schema.modalities.full())?;
    let member = |k: usize| {
        let scope = scope.pp("members").pp(k);
        match &schema.target {
            Target::Pixels(_) => crate::dense::logits(graph, &sensors, &network, &scope),
            _ => logits(graph, &sensors, &network, sensors.full(), &scope),
        }
    };
    let all = (0..members).map(member).collect::<Result<Vec<_>>>()?;
    let sum = graph.sum(&all);
    let mean = graph.with_number("Mul", &sum, 1.0 / members as f32);
    Ok(Prediction::of_any(graph, &sensors, mean))
}
