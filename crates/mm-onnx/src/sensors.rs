//! The inputs of a graph: readings, lengths and presence, and what becomes of readings before a network sees them.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::proto::{Attribute, DataType};
use mm_core::Subset;
use mm_core::data::{InputKind, InputSpec, ViewStatistics};
use mm_core::pipeline::{LARGEST, PipelineConfig};

/// Name of the input that says which sensors a sample has.
pub const PRESENCE: &str = "presence";

/// A sensor as a network sees it.
pub(crate) struct Sensor {
    /// Its name.
    pub name: String,
    /// What its readings are.
    pub spec: InputSpec,
    /// Standardized; zero where the sensor is absent, whatever was given.
    pub value: Value,
    /// How much of the last dimension is filled, int64 `[batch, 1]`, where readings differ in length.
    pub lengths: Option<Value>,
    /// Boolean `[batch, 1]`; none of a sensor that the model does not read.
    present: Option<Value>,
}

/// The sensors of a schema, in its order.
pub(crate) struct Sensors {
    /// By position in the schema.
    pub all: Vec<Sensor>,
    /// Which sensors the model reads.
    pub reads: Subset,
    /// Boolean `[batch, sensors]`, of those that the model reads.
    pub presence: Value,
}

impl Sensors {
    /// Adds the inputs of the sensors that a model reads, in the order of the schema, and `presence` behind them.
    pub fn new(graph: &mut Graph, config: &PipelineConfig, reads: Subset) -> Result<Self> {
        let names = config.schema.modalities.names();
        let read: Vec<&str> = reads.indices().filter_map(|m| names.get(m).map(String::as_str)).collect();
        refuse_equal_names(&read, config)?;
        graph.reserved = read.iter().flat_map(|name| [name.to_string(), lengths_name(name)]).collect();
        let doc = format!("which sensors each sample has, in this order: {}", read.join(", "));
        let presence = Value { name: PRESENCE.into(), shape: vec![read.len()] };
        let mut all = Vec::with_capacity(names.len());
        for (m, (name, spec)) in names.iter().zip(&config.schema.inputs).enumerate() {
            let column = reads.indices().position(|read| read == m);
            let present = column.map(|column| graph.column(&presence, column));
            let (value, lengths) = match &present {
                Some(present) => reading(graph, config, m, present)?,
                None => (graph.zeros(&spec.shape), None),
            };
            all.push(Sensor { name: name.clone(), spec: spec.clone(), value, lengths, present });
        }
        graph.input(PRESENCE, DataType::Bool, &[read.len()], doc);
        Ok(Self { all, reads, presence })
    }

    /// All sensors of the schema.
    pub fn full(&self) -> Subset {
        Subset::full(self.all.len())
    }

    /// `x` of the samples that have sensor `m`, zero elsewhere.
    pub fn masked(&self, graph: &mut Graph, m: usize, x: &Value) -> Value {
        match &self.all[m].present {
            Some(present) => {
                let mask = graph.stretched(present, x.shape.len());
                graph.select(&mask, x, 0.0)
            }
            None => graph.zeros(&x.shape),
        }
    }

    /// Boolean `[batch, 1]`: which samples have sensor `m`; `None` where the model does not read it.
    pub fn present(&self, m: usize) -> Option<&Value> {
        self.all[m].present.as_ref()
    }

    /// Which sensors each sample has, as numbers 1 and 0: `[batch, sensors]` of those that the model reads.
    pub fn shares(&self, graph: &mut Graph) -> Value {
        graph.cast(&self.presence, DataType::Float)
    }

    /// How many sensors each sample has, of those that the model reads: `[batch, 1]`.
    pub fn count(&self, graph: &mut Graph) -> Value {
        let present = self.shares(graph);
        graph.reduce_sum(&present, 1)
    }

    /// Whether a sample has one of the sensors that the model reads.
    pub fn any(&self, graph: &mut Graph) -> Value {
        self.fold(graph, self.reads, "Or")
    }

    /// Whether a sample has all sensors of a combination, of which the model reads some.
    pub fn has_all(&self, graph: &mut Graph, subset: Subset) -> Value {
        self.fold(graph, subset, "And")
    }

    /// Whether a sample has exactly the sensors of a combination.
    pub fn has_exactly(&self, graph: &mut Graph, subset: Subset) -> Value {
        let mut result = self.has_all(graph, subset);
        for m in self.reads.indices().filter(|&m| !subset.contains(m)) {
            let Some(present) = self.present(m) else { continue };
            let absent = graph.unary("Not", present);
            result = graph.binary("And", &result, &absent);
        }
        result
    }

    fn fold(&self, graph: &mut Graph, subset: Subset, op: &str) -> Value {
        let mut columns = subset.indices().filter_map(|m| self.present(m));
        // A combination is never empty, and a model reads a sensor at least.
        let first = columns.next().unwrap_or(&self.presence).clone();
        columns.fold(first, |all, column| graph.binary(op, &all, column))
    }
}

/// Adds the input of a reading: standardized, and zero where absent.
fn reading(graph: &mut Graph, config: &PipelineConfig, m: usize, present: &Value) -> Result<(Value, Option<Value>)> {
    let (name, spec) = (&config.schema.modalities.names()[m], &config.schema.inputs[m]);
    let statistics = config.standardizer.views().iter().find(|view| view.modality == *name);
    let (data_type, doc) = match spec.kind {
        InputKind::Tokens => (DataType::Int64, "numbers of tokens".to_string()),
        _ if statistics.is_some_and(|view| view.mean.iter().zip(&view.std).any(|(mean, std)| needs_double(*mean, *std))) => {
            (DataType::Double, format!("{}; double precision, since single would round what differs between readings", what(spec)))
        }
        _ => (DataType::Float, what(spec)),
    };
    // What says whether a number was measured follows from the others: a program gives NaN for those that were not.
    let measured = measured(config, m);
    let (doc, mut shape) =
        (if measured.is_empty() { doc } else { format!("{doc}; NaN where a number was not measured") }, spec.shape.clone());
    shape[0] -= measured.len();
    let mut given = graph.input(name, data_type, &shape, doc);
    if !measured.is_empty() {
        let gap = graph.unary("IsNaN", &given);
        let there = graph.unary("Not", &gap);
        let there = graph.cast(&there, data_type);
        let positions = graph.ints(&measured);
        let flags = graph.node("Gather", &[&there.name, &positions], [measured.len()], vec![Attribute::int("axis", 1)]);
        given = graph.concat(&[given, flags]);
    }
    let lengths = differs_in_length(config, m).then(|| {
        let last = spec.shape.last().copied().unwrap_or(0);
        let given = graph.input(&lengths_name(name), DataType::Int64, &[], format!("how much of the last dimension of `{name}` is filled"));
        let given = graph.stretched(&given, 1);
        let [none, all] = [0, last as i64].map(|number| graph.ints(&[number]));
        let bounded = graph.node("Min", &[&given.name, &all], [1], vec![]);
        let bounded = graph.node("Max", &[&bounded.name, &none], [1], vec![]);
        graph.node("Where", &[&present.name, &bounded.name, &all], [1], vec![])
    });
    let rank = spec.shape.len();
    let mut mask = graph.stretched(present, rank);
    if let Some(lengths) = &lengths {
        let filled = filled(graph, lengths, spec.shape.last().copied().unwrap_or(0), rank);
        mask = graph.node("And", &[&mask.name, &filled.name], filled.shape, vec![]);
    }
    if data_type == DataType::Int64 {
        let zero = graph.ints(&[0]);
        return Ok((graph.node("Where", &[&mask.name, &given.name, &zero], spec.shape.clone(), vec![]), lengths));
    }
    let mut value = given;
    if let Some(view) = statistics {
        value = standardized(graph, &value, view, spec, data_type);
    }
    let value = graph.select(&mask, &value, 0.0);
    let finite = finite(graph, &value);
    graph.conditions.push(finite);
    Ok((value, lengths))
}

/// Whether all numbers of a sample are finite as [`LARGEST`] says: what a runtime makes of NaN in a ReLU is its own affair, and may be zero.
fn finite(graph: &mut Graph, x: &Value) -> Value {
    let numbers = graph.flatten(x);
    let sizes = graph.unary("Abs", &numbers);
    let [most, half] = [LARGEST, 0.5].map(|number| graph.float(number));
    // NaN is not less or equal; the largest number of some runtimes passes it over.
    let within = graph.node("LessOrEqual", &[&sizes.name, &most], sizes.shape.clone(), vec![]);
    let within = graph.cast(&within, DataType::Float);
    let least = graph.reduce("ReduceMin", &within, 1);
    graph.node("Less", &[&half, &least.name], [1], vec![])
}

/// Positions of the numbers of a modality behind which a column says whether they were measured, in the order of these columns; none where the model
/// does not know its columns by name.
pub(crate) fn measured(config: &PipelineConfig, m: usize) -> Vec<i64> {
    let name = &config.schema.modalities.names()[m];
    let known = config.columns.variables.get(name).is_some_and(|names| names.len() == config.schema.inputs[m].elements());
    if config.schema.inputs[m].kind != InputKind::Vector || !config.standardizer.has_gaps(name) || !known {
        return Vec::new();
    }
    config.columns.measured(name).into_iter().map(|at| at as i64).collect()
}

/// `(x - mean) / std`; the mean where a number was not measured.
fn standardized(graph: &mut Graph, x: &Value, view: &ViewStatistics, spec: &InputSpec, data_type: DataType) -> Value {
    let mut dims = vec![view.mean.len()];
    if spec.kind != InputKind::Vector {
        dims.resize(spec.shape.len(), 1);
    }
    let mut value = x.clone();
    if view.mean.iter().any(|mean| *mean != 0.0) || view.std.iter().any(|std| *std != 1.0) {
        let mut constant = |values: &[f64]| match data_type {
            DataType::Double => graph.doubles(&dims, values),
            _ => graph.floats(&dims, &values.iter().map(|x| *x as f32).collect::<Vec<_>>()),
        };
        let (mean, std) = (constant(&view.mean), constant(&view.std));
        let centred = graph.node("Sub", &[&value.name, &mean], x.shape.clone(), vec![]);
        value = graph.node("Div", &[&centred.name, &std], x.shape.clone(), vec![]);
    }
    if data_type == DataType::Double {
        value = graph.cast(&value, DataType::Float);
    }
    if view.gaps {
        let gap = graph.unary("IsNaN", &value);
        let measured = graph.unary("Not", &gap);
        value = graph.select(&measured, &value, 0.0);
    }
    value
}

/// Whether numbers of this mean and deviation lose what tells them apart when they are rounded to single precision.
pub(crate) fn needs_double(mean: f64, std: f64) -> bool {
    mean.abs() * f64::from(f32::EPSILON) > 1e-5 * std
}

/// Boolean `[batch, 1, .., size]` of `rank` dimensions behind the batch: which positions of the last one are filled.
pub(crate) fn filled(graph: &mut Graph, lengths: &Value, size: usize, rank: usize) -> Value {
    let positions: Vec<i64> = (0..size as i64).collect();
    let positions = graph.ints(&positions);
    let lengths = graph.stretched(lengths, rank);
    let mut shape = vec![1; rank];
    shape[rank - 1] = size;
    graph.node("Less", &[&positions, &lengths.name], shape, vec![])
}

/// Name of the input of the lengths of a sensor's readings.
pub(crate) fn lengths_name(sensor: &str) -> String {
    format!("{sensor}.lengths")
}

/// Whether readings of a modality differ in length. Sounds and series say in the settings of their kind what becomes of shorter ones.
pub(crate) fn differs_in_length(config: &PipelineConfig, m: usize) -> bool {
    match (config.schema.inputs[m].kind, config.kinds.get(m).and_then(Option::as_ref)) {
        (InputKind::Tokens, _) => true,
        (InputKind::Spectrogram | InputKind::Series, Some(kind)) => match kind.kind.as_str() {
            "audio" | "series" => kind.settings.get("length").is_none_or(|length| length == "pad"),
            "array" => false,
            _ => true,
        },
        _ => false,
    }
}

/// What a reading is, for the input's documentation.
fn what(spec: &InputSpec) -> String {
    let dimensions = match spec.kind {
        InputKind::Vector => "[features]",
        InputKind::Image => "[channels, height, width]",
        InputKind::Video => "[channels, frames, height, width]",
        InputKind::Spectrogram => "[channels, bands, frames]",
        InputKind::Series => "[channels, time]",
        _ => "",
    };
    format!("readings as they are decoded, {dimensions}, not standardized")
}

/// Refuses modalities that have the name of another input or of an output.
fn refuse_equal_names(read: &[&str], config: &PipelineConfig) -> Result<()> {
    for name in read {
        let of =
            |other: &&&str| differs_in_length(config, config.schema.modalities.index(other).unwrap_or(0)) && lengths_name(other) == **name;
        let other = match read.iter().find(of) {
            Some(other) => format!("the lengths of `{other}`"),
            None if *name == PRESENCE => "the input that says which sensors are there".into(),
            None if crate::target::OUTPUTS.contains(name) => "an output of the graph".into(),
            None => continue,
        };
        return Err(Error::Name { name: name.to_string(), other });
    }
    Ok(())
}
