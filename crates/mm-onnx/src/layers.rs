//! Layers of networks as nodes. A normalisation is folded into the layer before it, in f64.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::proto::Attribute;
use crate::weights::{Array, Scope};

/// Added to the variance in batch normalisations, unless a network says otherwise.
pub(crate) const EPS: f64 = 1e-5;

/// Weight `[outputs, inputs, ..]` and bias of a linear layer or a convolution.
pub(crate) struct Layer {
    weight: Array,
    bias: Option<Vec<f32>>,
    name: String,
}

/// Form of a convolution.
#[derive(Clone, Copy)]
pub(crate) struct Convolution {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

impl Convolution {
    /// The same in both directions.
    pub fn square(stride: usize, padding: usize) -> Self {
        Self { stride: [stride; 2], padding: [padding; 2], dilation: [1; 2] }
    }
}

impl Layer {
    /// `weight`, and `bias` where there is one.
    pub fn of(scope: &Scope) -> Result<Self> {
        let weight = scope.get("weight")?;
        let bias = if scope.has("bias") { Some(scope.vector("bias", weight.shape[0])?) } else { None };
        Ok(Self { weight, bias, name: scope.prefix().into() })
    }

    /// A layer and the batch normalisation behind it, as it is in prediction.
    pub fn normed(layer: &Scope, norm: &Scope, eps: f64) -> Result<Self> {
        let mut layer = Self::of(layer)?;
        let outputs = layer.weight.shape[0];
        let [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(|name| norm.vector(name, outputs));
        let (weight, shift, mean, variance) = (weight?, bias?, mean?, variance?);
        let size = layer.weight.values.len() / outputs;
        let mut bias = layer.bias.unwrap_or_else(|| vec![0.0; outputs]);
        for (k, row) in layer.weight.values.chunks_exact_mut(size).enumerate() {
            let scale = f64::from(weight[k]) / (f64::from(variance[k]) + eps).sqrt();
            row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
            bias[k] = ((f64::from(bias[k]) - f64::from(mean[k])) * scale + f64::from(shift[k])) as f32;
        }
        layer.bias = Some(bias);
        Ok(layer)
    }

    /// The columns that read inputs from `start` on, without the bias.
    pub fn part(&self, start: usize, count: usize) -> Self {
        let rows = self.weight.values.chunks_exact(self.weight.shape[1]);
        let values = rows.flat_map(|row| row[start..start + count].to_vec()).collect();
        Self { weight: Array { shape: vec![self.weight.shape[0], count], values }, bias: None, name: self.name.clone() }
    }

    /// The bias alone.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    fn check(&self, inputs: usize, x: &Value) -> Result<()> {
        match self.weight.shape[1] == inputs {
            true => Ok(()),
            false => Err(Error::Parameter {
                name: format!("{}.weight", self.name),
                problem: format!("has shape {:?}, and reads what has shape {:?}", self.weight.shape, x.shape),
            }),
        }
    }

    /// Linear in vectors `[inputs]`, or in the channels of each position of a map `[inputs, height, width]`.
    pub fn linear(&self, graph: &mut Graph, x: &Value) -> Result<Value> {
        if x.shape.len() == 3 {
            let mut shape = self.weight.shape.clone();
            shape.resize(4, 1);
            let weight = Array { shape, values: self.weight.values.clone() };
            return Self { weight, bias: self.bias.clone(), name: self.name.clone() }.conv(graph, x, Convolution::square(1, 0));
        }
        self.check(x.shape[0], x)?;
        let mut inputs = vec![x.name.clone(), graph.floats(&self.weight.shape, &self.weight.values)];
        inputs.extend(self.bias.as_ref().map(|bias| graph.floats(&[bias.len()], bias)));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Ok(graph.node("Gemm", &inputs, [self.weight.shape[0]], vec![Attribute::int("transB", 1)]))
    }

    /// Linear in each row of `[rows, inputs]`.
    pub fn of_rows(&self, graph: &mut Graph, x: &Value) -> Result<Value> {
        let (outputs, inputs) = (self.weight.shape[0], self.weight.shape[1]);
        self.check(x.shape[1], x)?;
        let transposed: Vec<f32> =
            (0..inputs).flat_map(|i| (0..outputs).map(move |o| o * inputs + i)).map(|at| self.weight.values[at]).collect();
        let weight = graph.floats(&[inputs, outputs], &transposed);
        let product = graph.node("MatMul", &[&x.name, &weight], [x.shape[0], outputs], vec![]);
        let Some(bias) = &self.bias else { return Ok(product) };
        let bias = graph.floats(&[outputs], bias);
        Ok(graph.node("Add", &[&product.name, &bias], product.shape, vec![]))
    }

    /// A convolution of `[inputs, height, width]`.
    pub fn conv(&self, graph: &mut Graph, x: &Value, form: Convolution) -> Result<Value> {
        self.check(x.shape[0], x)?;
        Ok(self.grouped(graph, x, form, 1))
    }

    /// A convolution of each channel alone.
    pub fn depthwise(&self, graph: &mut Graph, x: &Value, form: Convolution) -> Result<Value> {
        self.check(1, x)?;
        Ok(self.grouped(graph, x, form, x.shape[0]))
    }

    fn grouped(&self, graph: &mut Graph, x: &Value, form: Convolution, groups: usize) -> Value {
        let Convolution { stride, padding, dilation } = form;
        let kernel = [self.weight.shape[2], self.weight.shape[3]];
        let size = |i: usize| (x.shape[1 + i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1;
        let mut inputs = vec![x.name.clone(), graph.floats(&self.weight.shape, &self.weight.values)];
        inputs.extend(self.bias.as_ref().map(|bias| graph.floats(&[bias.len()], bias)));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let attributes = vec![
            Attribute::ints("kernel_shape", kernel),
            Attribute::ints("strides", stride),
            Attribute::ints("pads", [padding[0], padding[1], padding[0], padding[1]]),
            Attribute::ints("dilations", dilation),
            Attribute::int("group", groups as i64),
        ];
        graph.node("Conv", &inputs, [self.weight.shape[0], size(0), size(1)], attributes)
    }
}

/// A linear layer, batch normalisation and ReLU, of vectors or of each position of maps.
pub(crate) fn linear_norm_relu(graph: &mut Graph, x: &Value, linear: &Scope, norm: &Scope) -> Result<Value> {
    let y = Layer::normed(linear, norm, EPS)?.linear(graph, x)?;
    Ok(graph.unary("Relu", &y))
}

/// A convolution, batch normalisation and ReLU.
pub(crate) fn conv_norm_relu(graph: &mut Graph, x: &Value, conv: &Scope, norm: &Scope, form: Convolution) -> Result<Value> {
    let y = Layer::normed(conv, norm, EPS)?.conv(graph, x, form)?;
    Ok(graph.unary("Relu", &y))
}

/// Normalises the last dimension.
pub(crate) fn layer_norm(graph: &mut Graph, x: &Value, scope: &Scope, eps: f64) -> Result<Value> {
    let width = x.shape.last().copied().unwrap_or(1);
    let [weight, bias] = [scope.vector("weight", width)?, scope.vector("bias", width)?].map(|values| graph.floats(&[width], &values));
    let attributes = vec![Attribute::int("axis", -1), Attribute::float("epsilon", eps as f32)];
    Ok(graph.node("LayerNormalization", &[&x.name, &weight, &bias], x.shape.clone(), attributes))
}

/// The exact GELU, `x Φ(x)`.
pub(crate) fn gelu(graph: &mut Graph, x: &Value) -> Value {
    let scaled = graph.with_number("Mul", x, std::f32::consts::FRAC_1_SQRT_2);
    let erf = graph.unary("Erf", &scaled);
    let share = graph.with_number("Add", &erf, 1.0);
    let product = graph.binary("Mul", x, &share);
    graph.with_number("Mul", &product, 0.5)
}

/// Mean over the positions of a map; a vector stays as it is.
pub(crate) fn pool(graph: &mut Graph, x: &Value) -> Value {
    if x.shape.len() != 3 {
        return x.clone();
    }
    let mean = graph.node("GlobalAveragePool", &[&x.name], [x.shape[0], 1, 1], vec![]);
    graph.flatten(&mean)
}

/// Largest number of each window.
pub(crate) fn max_pool(graph: &mut Graph, x: &Value, kernel: usize, stride: usize, padding: usize) -> Value {
    let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
    let attributes =
        vec![Attribute::ints("kernel_shape", [kernel; 2]), Attribute::ints("strides", [stride; 2]), Attribute::ints("pads", [padding; 4])];
    graph.node("MaxPool", &[&x.name], [x.shape[0], size(x.shape[1]), size(x.shape[2])], attributes)
}

/// Means over a grid of nearly equal parts.
pub(crate) fn adaptive_pool(graph: &mut Graph, x: &Value, [rows, columns]: [usize; 2]) -> Value {
    let &[channels, height, width] = x.shape.as_slice() else { return x.clone() };
    if [height, width] == [rows, columns] {
        return x.clone();
    }
    if height.is_multiple_of(rows) && width.is_multiple_of(columns) {
        let part = [height / rows, width / columns];
        let attributes = vec![Attribute::ints("kernel_shape", part), Attribute::ints("strides", part)];
        return graph.node("AveragePool", &[&x.name], [channels, rows, columns], attributes);
    }
    // Parts overlap: a linear map of the rows, and one of the columns.
    let of_columns = graph.floats(&[width, columns], &transposed(&means(width, columns), columns, width));
    let of_rows = graph.floats(&[rows, height], &means(height, rows));
    let lines = graph.node("MatMul", &[&x.name, &of_columns], [channels, height, columns], vec![]);
    graph.node("MatMul", &[&of_rows, &lines.name], [channels, rows, columns], vec![])
}

/// The matrix `[parts, size]` of means over parts.
fn means(size: usize, parts: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; parts * size];
    for (part, row) in matrix.chunks_exact_mut(size).enumerate() {
        let (from, to) = (part * size / parts, ((part + 1) * size).div_ceil(parts));
        row[from..to].fill(1.0 / (to - from) as f32);
    }
    matrix
}

fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}

/// Channels scaled by a gate that sees the whole map.
pub(crate) fn squeeze_excite(graph: &mut Graph, x: &Value, scope: &Scope) -> Result<Value> {
    let pooled = pool(graph, x);
    let hidden = Layer::of(&scope.pp("fc.0"))?.linear(graph, &pooled)?;
    let hidden = graph.unary("Relu", &hidden);
    let gate = Layer::of(&scope.pp("fc.2"))?.linear(graph, &hidden)?;
    let gate = graph.unary("Sigmoid", &gate);
    let gate = graph.stretched(&gate, 3);
    Ok(graph.binary("Mul", x, &gate))
}

/// A batch normalisation that is behind no layer, as it is in prediction.
pub(crate) fn batch_norm(graph: &mut Graph, x: &Value, scope: &Scope, eps: f64) -> Result<Value> {
    let channels = x.shape[0];
    let names = ["weight", "bias", "running_mean", "running_var"];
    let values = names.map(|name| scope.vector(name, channels)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut inputs = vec![x.name.clone()];
    inputs.extend(values.iter().map(|values| graph.floats(&[channels], values)));
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    Ok(graph.node("BatchNormalization", &inputs, x.shape.clone(), vec![Attribute::float("epsilon", eps as f32)]))
}
