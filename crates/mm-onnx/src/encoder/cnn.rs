//! A small convolutional network whose feature are means over a grid.

use super::settings;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, adaptive_pool, conv_norm_relu, max_pool};
use crate::proto::{Attribute, DataType};
use crate::sensors::Sensor;
use crate::weights::Scope;
use mm_core::encoder::{CnnConfig, EncoderConfig};

pub(super) fn encode(graph: &mut Graph, sensor: &Sensor, config: &EncoderConfig, scope: &Scope) -> Result<Value> {
    let CnnConfig { widths, grid } = settings(config)?;
    let mut x = sensor.value.clone();
    for i in 0..widths.len() {
        if i > 0 {
            x = max_pool(graph, &x, 2, 2, 0);
        }
        x = conv_norm_relu(graph, &x, &scope.pp(i).pp("conv"), &scope.pp(i).pp("norm"), Convolution::square(1, 1))?;
    }
    let cells = match &sensor.lengths {
        Some(lengths) => filled_cells(graph, &x, lengths, grid, 1 << (widths.len() - 1)),
        None => adaptive_pool(graph, &x, grid),
    };
    Ok(graph.flatten(&cells))
}

/// Means over a grid whose columns divide what each sample has; `lengths`, int64 `[batch, 1]`, are in columns of the reading, of which
/// `halvings` became one.
fn filled_cells(graph: &mut Graph, x: &Value, lengths: &Value, [rows, columns]: [usize; 2], halvings: usize) -> Value {
    let &[channels, _, width] = x.shape.as_slice() else { return x.clone() };
    let int = |graph: &mut Graph, op: &str, x: &Value, number: usize| {
        let number = graph.ints(&[number as i64]);
        graph.node(op, &[&x.name, &number], x.shape.clone(), vec![])
    };
    // What is left of a part of a column counts as a column, and a sample has at least one.
    let filled = int(graph, "Add", lengths, halvings - 1);
    let filled = int(graph, "Div", &filled, halvings);
    let filled = int(graph, "Min", &filled, width);
    let filled = int(graph, "Max", &filled, 1);
    // Of each cell the first column, and the one behind its last: [batch, cells].
    let cell = |graph: &mut Graph, plus: usize, round: usize| {
        let numbers: Vec<i64> = (0..columns).map(|cell| (cell + plus) as i64).collect();
        let numbers = graph.ints(&numbers);
        let product = graph.node("Mul", &[&filled.name, &numbers], [columns], vec![]);
        let product = int(graph, "Add", &product, round);
        int(graph, "Div", &product, columns)
    };
    let (from, to) = (cell(graph, 0, 0), cell(graph, 1, columns - 1));
    let count = graph.binary("Sub", &to, &from);
    let count = graph.cast(&count, DataType::Float);
    let one = graph.float(1.0);
    let share = graph.node("Div", &[&one, &count.name], [columns], vec![]);
    // The shares of each column of the map in each cell: [batch, width, cells].
    let along = |graph: &mut Graph, x: &Value| {
        let axes = graph.ints(&[1]);
        graph.node("Unsqueeze", &[&x.name, &axes], [1, columns], vec![])
    };
    let [from, to, share] = [from, to, share].map(|x| along(graph, &x));
    let positions: Vec<i64> = (0..width as i64).collect();
    let positions = graph.ints(&positions);
    let axes = graph.ints(&[1]);
    let positions = graph.node("Unsqueeze", &[&positions, &axes], [1], vec![]);
    let before = graph.node("Less", &[&positions.name, &from.name], [width, columns], vec![]);
    let begun = graph.unary("Not", &before);
    let open = graph.node("Less", &[&positions.name, &to.name], [width, columns], vec![]);
    let within = graph.binary("And", &begun, &open);
    let zero = graph.float(0.0);
    let shares = graph.node("Where", &[&within.name, &share.name, &zero], [width, columns], vec![]);
    let lines = adaptive_pool(graph, x, [rows, width]);
    let lines = graph.reshape(&lines, &[channels * rows, width]);
    graph.node("MatMul", &[&lines.name, &shares.name], [channels * rows, columns], Vec::<Attribute>::new())
}
