//! Other sizes of maps.

use crate::graph::{Graph, Value};
use crate::proto::Attribute;

/// Height and width raised to multiples of `stride`: the last row and column are repeated.
pub(super) fn padded(graph: &mut Graph, x: &Value, stride: usize) -> Value {
    let (height, width) = (x.shape[1], x.shape[2]);
    let more = [height.next_multiple_of(stride) - height, width.next_multiple_of(stride) - width];
    if more == [0, 0] {
        return x.clone();
    }
    let pads = graph.ints(&[0, 0, 0, 0, 0, 0, more[0] as i64, more[1] as i64]);
    graph.node("Pad", &[&x.name, &pads], [x.shape[0], height + more[0], width + more[1]], vec![Attribute::string("mode", "edge")])
}

/// The upper left pixels.
pub(super) fn crop(graph: &mut Graph, x: &Value, [height, width]: [usize; 2]) -> Value {
    let rows = graph.narrow(x, 2, 0, height);
    graph.narrow(&rows, 3, 0, width)
}

/// Nearest neighbour, to any size.
pub(super) fn nearest(graph: &mut Graph, x: &Value, [height, width]: [usize; 2]) -> Value {
    let &[channels, from_height, from_width] = x.shape.as_slice() else { return x.clone() };
    if [from_height, from_width] == [height, width] {
        return x.clone();
    }
    if height.is_multiple_of(from_height) && width.is_multiple_of(from_width) {
        let scales = graph.floats(&[4], &[1.0, 1.0, (height / from_height) as f32, (width / from_width) as f32]);
        let attributes = vec![
            Attribute::string("mode", "nearest"),
            Attribute::string("coordinate_transformation_mode", "asymmetric"),
            Attribute::string("nearest_mode", "floor"),
        ];
        return graph.node("Resize", &[&x.name, "", &scales], [channels, height, width], attributes);
    }
    let along = |graph: &mut Graph, x: &Value, axis: usize, to: usize| {
        let from = x.shape[axis - 1];
        let sources: Vec<i64> = (0..to).map(|at| (at * from / to) as i64).collect();
        let sources = graph.ints(&sources);
        let mut shape = x.shape.clone();
        shape[axis - 1] = to;
        graph.node("Gather", &[&x.name, &sources], shape, vec![Attribute::int("axis", axis as i64)])
    };
    let rows = along(graph, x, 2, height);
    along(graph, &rows, 3, width)
}
