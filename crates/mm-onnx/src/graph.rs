//! A graph as it grows: nodes, constants, and the shapes of what flows between them.

use crate::proto::{Attribute, DataType, Node, Tensor, ValueInfo};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

/// What flows along an edge, by its name.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub name: String,
    /// Without the batch, which comes first.
    pub shape: Vec<usize>,
}

/// Nodes in the order in which they can run.
#[derive(Default)]
pub(crate) struct Graph {
    pub nodes: Vec<Node>,
    pub constants: Vec<Tensor>,
    pub inputs: Vec<ValueInfo>,
    /// Boolean `[batch, 1]`: what must hold of a sample besides, or it is answered with NaN.
    pub conditions: Vec<Value>,
    /// Names of inputs, that nothing else may have.
    pub reserved: BTreeSet<String>,
    /// How many nodes of a kind there are: for their names.
    counts: BTreeMap<String, usize>,
    /// Small constants by what they hold, so that none is there twice.
    known: BTreeMap<(i32, Vec<i64>, Vec<u8>), String>,
    /// Nodes by what they compute, so that nothing is computed twice.
    computed: BTreeMap<Vec<u8>, Value>,
}

/// Smaller constants are shared.
const SMALL: usize = 1024;

impl Graph {
    /// Adds an input.
    pub fn input(&mut self, name: &str, data_type: DataType, shape: &[usize], doc: String) -> Value {
        self.inputs.push(ValueInfo::batched(name, data_type, shape, doc));
        Value { name: name.into(), shape: shape.to_vec() }
    }

    fn unique(&mut self, kind: &str) -> String {
        let count = self.counts.entry(kind.into()).or_default();
        loop {
            *count += 1;
            let name = format!("/{kind}_{count}");
            if !self.reserved.contains(&name) {
                return name;
            }
        }
    }

    /// The output, of shape `shape`, of a node, which is added unless there is one that computes the same.
    pub fn node(&mut self, op: &str, inputs: &[&str], shape: impl Into<Vec<usize>>, attribute: Vec<Attribute>) -> Value {
        let input = inputs.iter().map(|input| input.to_string()).collect();
        let key = Node { input, op_type: op.into(), attribute: attribute.clone(), ..Node::default() }.encode_to_vec();
        if let Some(value) = self.computed.get(&key) {
            return value.clone();
        }
        let name = self.unique(op);
        let value = self.named(name, op, inputs, shape, attribute);
        self.computed.insert(key, value.clone());
        value
    }

    /// Leaves out what no output needs.
    pub fn prune(&mut self, outputs: &[ValueInfo]) {
        let mut needed: BTreeSet<String> = outputs.iter().map(|output| output.name.clone()).collect();
        let mut nodes = std::mem::take(&mut self.nodes);
        for node in nodes.iter().rev() {
            if node.output.iter().any(|output| needed.contains(output)) {
                needed.extend(node.input.iter().cloned());
            }
        }
        nodes.retain(|node| node.output.iter().any(|output| needed.contains(output)));
        self.nodes = nodes;
        self.constants.retain(|constant| needed.contains(&constant.name));
    }

    /// Adds a node whose output has a name that a user sees.
    pub fn named(&mut self, name: String, op: &str, inputs: &[&str], shape: impl Into<Vec<usize>>, attribute: Vec<Attribute>) -> Value {
        let input = inputs.iter().map(|input| input.to_string()).collect();
        self.nodes.push(Node { input, output: vec![name.clone()], name: name.clone(), op_type: op.into(), attribute });
        Value { name, shape: shape.into() }
    }

    fn raw(&mut self, data_type: DataType, dims: &[usize], raw_data: Vec<u8>) -> String {
        let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        if raw_data.len() > SMALL {
            let name = self.unique("constant");
            self.constants.push(Tensor { dims, data_type: data_type as i32, name: name.clone(), raw_data });
            return name;
        }
        let key = (data_type as i32, dims.clone(), raw_data.clone());
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = self.unique("constant");
        self.known.insert(key, name.clone());
        self.constants.push(Tensor { dims, data_type: data_type as i32, name: name.clone(), raw_data });
        name
    }

    /// A constant of f32 numbers.
    pub fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        self.raw(DataType::Float, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// One number.
    pub fn float(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    /// A constant of f64 numbers.
    pub fn doubles(&mut self, dims: &[usize], values: &[f64]) -> String {
        self.raw(DataType::Double, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A constant list of whole numbers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.raw(DataType::Int64, &[values.len()], values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Bytes of all constants.
    pub fn bytes(&self) -> usize {
        self.constants.iter().map(|constant| constant.raw_data.len()).sum()
    }

    /// An operation on one value that keeps its shape.
    pub fn unary(&mut self, op: &str, x: &Value) -> Value {
        self.node(op, &[&x.name], x.shape.clone(), vec![])
    }

    /// An operation on two values of one shape, or of which the second is stretched to the first.
    pub fn binary(&mut self, op: &str, x: &Value, y: &Value) -> Value {
        self.node(op, &[&x.name, &y.name], x.shape.clone(), vec![])
    }

    /// An operation with a number.
    pub fn with_number(&mut self, op: &str, x: &Value, number: f32) -> Value {
        let number = self.float(number);
        self.node(op, &[&x.name, &number], x.shape.clone(), vec![])
    }

    /// The sum of values of one shape.
    pub fn sum(&mut self, values: &[Value]) -> Value {
        let mut sum = values[0].clone();
        for value in &values[1..] {
            sum = self.binary("Add", &sum, value);
        }
        sum
    }

    /// Values side by side, along the first dimension behind the batch.
    pub fn concat(&mut self, values: &[Value]) -> Value {
        if let [only] = values {
            return only.clone();
        }
        let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
        let mut shape = values[0].shape.clone();
        shape[0] = values.iter().map(|value| value.shape[0]).sum();
        self.node("Concat", &names, shape, vec![Attribute::int("axis", 1)])
    }

    /// All numbers of a sample as one vector.
    pub fn flatten(&mut self, x: &Value) -> Value {
        match x.shape.len() {
            1 => x.clone(),
            _ => self.node("Flatten", &[&x.name], [x.shape.iter().product()], vec![Attribute::int("axis", 1)]),
        }
    }

    /// Another shape of a sample; the batch is what remains.
    pub fn reshape(&mut self, x: &Value, shape: &[usize]) -> Value {
        let sizes: Vec<i64> = [-1].into_iter().chain(shape.iter().map(|&size| size as i64)).collect();
        let sizes = self.ints(&sizes);
        self.node("Reshape", &[&x.name, &sizes], shape, vec![])
    }

    /// Dimensions in another order, the batch (0) included.
    pub fn transpose(&mut self, x: &Value, order: &[usize]) -> Value {
        let shape: Vec<usize> = order[1..].iter().map(|&at| x.shape[at - 1]).collect();
        self.node("Transpose", &[&x.name], shape, vec![Attribute::ints("perm", order.iter().copied())])
    }

    /// From `start` on `count` along a dimension, the batch being 0.
    pub fn narrow(&mut self, x: &Value, axis: usize, start: usize, count: usize) -> Value {
        if x.shape[axis - 1] == count {
            return x.clone();
        }
        let [from, to, axes] = [start, start + count, axis].map(|number| self.ints(&[number as i64]));
        let mut shape = x.shape.clone();
        shape[axis - 1] = count;
        self.node("Slice", &[&x.name, &from, &to, &axes], shape, vec![])
    }

    /// Column of `[batch, columns]`, as `[batch, 1]`.
    pub fn column(&mut self, x: &Value, column: usize) -> Value {
        let column = self.ints(&[column as i64]);
        self.node("Gather", &[&x.name, &column], [1], vec![Attribute::int("axis", 1)])
    }

    /// Zeros for each sample. What tells how many samples there are is the presence, which is never NaN.
    pub fn zeros(&mut self, shape: &[usize]) -> Value {
        let presence = Value { name: crate::sensors::PRESENCE.into(), shape: vec![1] };
        let column = self.column(&presence, 0);
        let column = self.cast(&column, DataType::Float);
        let column = self.stretched(&column, shape.len());
        let zeros = self.floats(shape, &vec![0.0; shape.iter().product()]);
        self.node("Mul", &[&column.name, &zeros], shape, vec![])
    }

    /// `x` where `mask`, the number elsewhere. Selects, never multiplies: a NaN that is not selected stays out.
    pub fn select(&mut self, mask: &Value, x: &Value, number: f32) -> Value {
        let number = self.float(number);
        self.node("Where", &[&mask.name, &x.name, &number], x.shape.clone(), vec![])
    }

    /// `[batch, n]` of booleans or numbers as f32.
    pub fn cast(&mut self, x: &Value, to: DataType) -> Value {
        self.node("Cast", &[&x.name], x.shape.clone(), vec![Attribute::int("to", to as i64)])
    }

    /// Further dimensions of one at the end, so that `[batch, 1]` fits values of `rank` dimensions behind the batch.
    pub fn stretched(&mut self, x: &Value, rank: usize) -> Value {
        let from = x.shape.len();
        if from >= rank {
            return x.clone();
        }
        let axes: Vec<i64> = (from + 1..=rank).map(|axis| axis as i64).collect();
        let axes = self.ints(&axes);
        let mut shape = x.shape.clone();
        shape.resize(rank, 1);
        self.node("Unsqueeze", &[&x.name, &axes], shape, vec![])
    }

    /// Sum over dimensions, the batch being 0, which stay as one.
    pub fn reduce_sum(&mut self, x: &Value, axis: usize) -> Value {
        let axes = self.ints(&[axis as i64]);
        let mut shape = x.shape.clone();
        shape[axis - 1] = 1;
        self.node("ReduceSum", &[&x.name, &axes], shape, vec![Attribute::int("keepdims", 1)])
    }

    /// Mean, largest or smallest number along a dimension, which stays as one.
    pub fn reduce(&mut self, op: &str, x: &Value, axis: usize) -> Value {
        let mut shape = x.shape.clone();
        shape[axis - 1] = 1;
        self.node(op, &[&x.name], shape, vec![Attribute::ints("axes", [axis]), Attribute::int("keepdims", 1)])
    }

    /// Softmax along a dimension, the batch being 0.
    pub fn softmax(&mut self, x: &Value, axis: usize) -> Value {
        self.node("Softmax", &[&x.name], x.shape.clone(), vec![Attribute::int("axis", axis as i64)])
    }
}
