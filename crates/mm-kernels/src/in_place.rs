//! The forward pass of a linear layer for few rows, which reads the weights where they are.
//!
//! A general matrix product first copies both operands into the order of its inner loop. With as few rows as a sentence has words, copying
//! the weights takes half of the time. Here only the rows are rearranged, into panels of 32, and the weights are broadcast.

use crate::dense::LinearShape;
use crate::layout::{Finish, pixels_to_planes, planes_to_pixels};
use crate::microkernel::{PANEL, Product, Rows, Run, panel_columns};
use crate::scratch::{self, Scratch};
use crate::simd::Level;
use crate::threads::{Shared, for_each};

/// Outputs that a task computes at a time: whole register tiles of every level.
const BLOCK: usize = 84;

/// Whether this way is the faster one, as measured: a third to nine tenths of the time of a general product. Below 8 rows most of a vector
/// would be empty.
pub(crate) fn suits(shape: LinearShape) -> bool {
    let LinearShape { rows, inputs, outputs } = shape;
    let wide = rows <= 128 && rows.is_multiple_of(PANEL) && inputs >= 96;
    outputs >= 8 && inputs >= 8 && ((8..=PANEL).contains(&rows) || rows > 0 && wide)
}

/// `output = input weightᵀ + bias`, then ReLU if `relu`; the lengths are those of the shape.
pub(crate) fn forward(
    level: Level,
    shape: LinearShape,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    output: &mut [f32],
) {
    let LinearShape { rows, inputs, outputs } = shape;
    assert!(input.len() == rows * inputs && weight.len() == outputs * inputs && output.len() == rows * outputs, "checked before");
    let (panels, blocks) = (rows.div_ceil(PANEL), outputs.div_ceil(BLOCK));
    let packed = packed(level, input, rows, inputs);
    let shared = Shared::new(output);
    for_each(blocks * panels, rows * inputs * outputs, |task| {
        let (first, panel) = (task / panels * BLOCK, task % panels);
        let (count, row) = (BLOCK.min(outputs - first), panel * PANEL);
        let mut sums = [0.0f32; BLOCK * PANEL];
        if let Some(bias) = bias {
            sums.chunks_exact_mut(PANEL).zip(&bias[first..]).for_each(|(sums, bias)| sums.fill(*bias));
        }
        let mut offsets = [0; BLOCK];
        offsets.iter_mut().enumerate().for_each(|(i, at)| *at = (first + i) * inputs);
        let product = Product {
            a: weight.as_ptr(),
            rows: Rows::At(&offsets[..count]),
            b: packed[panel * inputs * PANEL..].as_ptr(),
            b_step: PANEL,
            columns: panel_columns(row, rows),
            runs: &[Run { a: 0, b: 0, length: inputs }],
            c: sums.as_mut_ptr(),
            c_step: PANEL,
            accumulate: bias.is_some(),
        };
        let finish = Finish { relu, ..Finish::NOTHING };
        // SAFETY: `weight` holds the block's rows, `packed` the panel, `sums` the block; tasks own disjoint (rows, columns) of the output.
        unsafe {
            product.run(level);
            let to = shared.pointer().add(row * outputs + first);
            pixels_to_planes(level, sums.as_ptr(), PANEL, (count, PANEL.min(rows - row)), to, outputs, finish);
        }
    });
}

/// The rows in panels `[panel, k, PANEL]`, zero where there is none.
fn packed(level: Level, input: &[f32], rows: usize, inputs: usize) -> Scratch {
    let panels = rows.div_ceil(PANEL);
    let length = panels * inputs * PANEL;
    let mut packed = if rows.is_multiple_of(PANEL) { scratch::take(length) } else { scratch::take_zeroed(length) };
    let shared = Shared::new(&mut packed);
    for_each(panels, input.len(), |panel| {
        let row = panel * PANEL;
        // SAFETY: tasks own disjoint panels; the input holds the rows that are left.
        unsafe {
            let to = shared.range(panel * inputs * PANEL, inputs * PANEL).as_mut_ptr();
            planes_to_pixels(level, input[row * inputs..].as_ptr(), inputs, (PANEL.min(rows - row), inputs), to, |k| k * PANEL);
        }
    });
    packed
}
