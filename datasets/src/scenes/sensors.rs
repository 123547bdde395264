//! From what a perfect sensor would see to what three real ones give.

use super::draw::Draw;
use super::view::{View, encoded};

/// Degrees Celsius of each grey level of the thermal images; 0 is 0 degrees.
pub const DEGREES_PER_LEVEL: f32 = 0.25;
/// Metres of each number of the depth maps.
pub const METRES_PER_NUMBER: f32 = 0.001;

/// Red, green and blue of each pixel, with noise that is stronger in the dark.
pub(super) fn rgb(view: &View, draw: &mut Draw) -> Vec<u8> {
    view.light.iter().flat_map(|&light| encoded(light, [draw.noise(), draw.noise(), draw.noise()])).collect()
}

/// Millimetres along the camera's axis, 0 where there is no reading: at the far side of edges, on dark, shiny and slanted surfaces, and at a few
/// pixels anywhere. Noise grows with the square of the distance, as with projected patterns (Khoshelham and Elberink 2012: 1.5 mm at 1 m).
pub(super) fn depth(view: &View, size: [usize; 2], draw: &mut Draw) -> Vec<u16> {
    let [height, width] = size;
    let blots = draw.field(size, 4);
    let mut depth = Vec::with_capacity(height * width);
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            let metres = view.metres[at];
            let around = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then(|| at + 1),
                (y > 0).then(|| at - width),
                (y + 1 < height).then(|| at + width),
            ];
            let behind_edge = around.into_iter().flatten().any(|other| view.metres[other] < 0.94 * metres);
            // Blots are about 0.5: holes hang together.
            let is_hole = blots[at] < 0.6 * view.unseen[at] + if behind_edge { 0.45 } else { 0.0 } || draw.chance(0.002);
            let noise = draw.noise() * (0.0005 + 0.0015 * metres * metres);
            let reading = ((metres + noise) / METRES_PER_NUMBER).round();
            depth.push(if is_hole { 0 } else { reading.clamp(1.0, 65_535.0) as u16 });
        }
    }
    depth
}

/// Grey levels of [`DEGREES_PER_LEVEL`], blurred by cheap optics, with noise of 0.4 degrees.
pub(super) fn thermal(view: &View, size: [usize; 2], draw: &mut Draw) -> Vec<u8> {
    let blurred = blur(&view.heat, size);
    let level = |heat: &f32| ((heat + 0.4 * draw.noise()) / DEGREES_PER_LEVEL).round().clamp(0.0, 255.0) as u8;
    blurred.iter().map(level).collect()
}

/// The binomial filter of five pixels in both directions; pixels of the edge are repeated outwards.
fn blur(values: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
    const WEIGHTS: [f32; 5] = [1.0, 4.0, 6.0, 4.0, 1.0];
    let inside = |i: usize, step: usize, length: usize| (i + step).saturating_sub(2).min(length - 1);
    let filter = |place: &dyn Fn(usize) -> f32| (0..5).map(|k| WEIGHTS[k] * place(k)).sum::<f32>() / 16.0;
    let across: Vec<f32> = (0..height * width)
        .map(|at| {
            let (row, x) = (at / width * width, at % width);
            filter(&|k| values[row + inside(x, k, width)])
        })
        .collect();
    (0..height * width)
        .map(|at| {
            let (y, x) = (at / width, at % width);
            filter(&|k| across[inside(y, k, height) * width + x])
        })
        .collect()
}
