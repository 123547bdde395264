//! A random geometric change, drawn once for a sample and applied alike to all its maps.

use super::super::AugmentConfig;
use crate::rng::Rng;
use rand::RngExt;

/// How a pixel is made of its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The mean of four, weighted by nearness; 0 from outside.
    Bilinear,
    /// The same of those that are not 0, and 0 where none is: depth in metres, where 0 is no reading.
    Readings,
}

/// A rotation and zoom about the centre and a shift, then a window, then perhaps flips; in parts of the map's height and width, so
/// that maps of different resolution that show the same scene still do so afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Whether left and right change places.
    pub flip: bool,
    /// Whether above and below change places.
    pub flip_vertical: bool,
    /// Angle of the rotation, counter-clockwise as the map is seen.
    pub degrees: f64,
    /// How much larger things become.
    pub zoom: f64,
    /// How far things move down and to the right.
    pub shift: [f64; 2],
    /// Upper edge of the window.
    pub top: f64,
    /// Left edge of the window.
    pub left: f64,
    /// Height of the window.
    pub height: f64,
    /// Width of the window.
    pub width: f64,
}

impl Geometry {
    /// Changes nothing.
    pub const IDENTITY: Self =
        Self { flip: false, flip_vertical: false, degrees: 0.0, zoom: 1.0, shift: [0.0; 2], top: 0.0, left: 0.0, height: 1.0, width: 1.0 };

    /// Draws a change; each draw is made whether it is used or not, so that none moves another.
    pub fn draw(config: &AugmentConfig, random: &mut Rng) -> Self {
        let mut uniform = || random.random::<f64>();
        let within = |[least, most]: [f64; 2], u: f64| least + (most - least) * u;
        let flip = uniform() < config.flip;
        let degrees = config.rotation * (2.0 * uniform() - 1.0);
        let area = within(config.crop_area, uniform());
        let aspect = within(config.crop_aspect.map(f64::ln), uniform()).exp();
        // A window that would be larger than the image ends at its border.
        let (height, width) = ((area / aspect).sqrt().min(1.0), (area * aspect).sqrt().min(1.0));
        let (top, left) = ((1.0 - height) * uniform(), (1.0 - width) * uniform());
        let zoom = within(config.zoom.map(f64::ln), uniform()).exp();
        let shift = [0; 2].map(|_| config.shift * (2.0 * uniform() - 1.0));
        let flip_vertical = uniform() < config.flip_vertical;
        let quarters = (4.0 * uniform()).floor();
        let degrees = degrees + if config.quarter_turns { 90.0 * quarters } else { 0.0 };
        Self { flip, flip_vertical, degrees, zoom, shift, top, left, height, width }
    }

    /// Changes `[channels, height, width]` row-major into `output` of the same shape; what comes in from outside is 0.
    pub fn apply(&self, map: &[f32], height: usize, width: usize, interpolation: Interpolation, output: &mut [f32]) {
        let plane = height * width;
        self.visit(height, width, |place, y, x| {
            let taps = taps(y, x, height, width);
            for (source, target) in map.chunks_exact(plane).zip(output.chunks_exact_mut(plane)) {
                let sum: f32 = taps.iter().map(|&(at, weight)| source[at] * weight).sum();
                target[place] = match interpolation {
                    Interpolation::Bilinear => sum,
                    Interpolation::Readings => {
                        let weight: f32 = taps.iter().filter(|(at, _)| source[*at] != 0.0).map(|(_, weight)| weight).sum();
                        if weight > 0.0 { sum / weight } else { 0.0 }
                    }
                };
            }
        });
    }

    /// Changes a map `[height, width]` of labels, which cannot be mixed: each pixel is its nearest, and `outside` from outside.
    pub fn apply_to_labels<L: Copy>(&self, labels: &[L], height: usize, width: usize, outside: L) -> Vec<L> {
        let mut output = vec![outside; labels.len()];
        self.visit(height, width, |place, y, x| {
            let (row, column) = ((y + 0.5).floor(), (x + 0.5).floor());
            if row >= 0.0 && row < height as f64 && column >= 0.0 && column < width as f64 {
                output[place] = labels[row as usize * width + column as usize];
            }
        });
        output
    }

    /// Calls `pixel(place, y, x)`: where in the map the pixel at a place comes from; whole numbers are the centres of pixels.
    fn visit(&self, height: usize, width: usize, mut pixel: impl FnMut(usize, f64, f64)) {
        let (h, w) = (height as f64, width as f64);
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        // Rounding must not mix a neighbour into a point that is a pixel's centre.
        let snap = |at: f64| if (at - at.round()).abs() < 1e-9 { at.round() } else { at };
        for (place, (i, j)) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))).enumerate() {
            // Centre of the pixel in the window, then in the changed map, then in the source; from its centre, in pixels.
            let (v, u) = ((i as f64 + 0.5) / h, (j as f64 + 0.5) / w);
            let u = if self.flip { 1.0 - u } else { u };
            let v = if self.flip_vertical { 1.0 - v } else { v };
            let y = (self.top + self.height * v - 0.5 - self.shift[0]) * h;
            let x = (self.left + self.width * u - 0.5 - self.shift[1]) * w;
            let (x, y) = ((x * cos - y * sin) / self.zoom, (x * sin + y * cos) / self.zoom);
            pixel(place, snap(y + h / 2.0 - 0.5), snap(x + w / 2.0 - 0.5));
        }
    }
}

/// The four pixels around a point and their weights; what lies outside has weight 0.
fn taps(y: f64, x: f64, height: usize, width: usize) -> [(usize, f32); 4] {
    let (down, right) = (y - y.floor(), x - x.floor());
    let corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)];
    corners.map(|(dy, dx)| {
        let (row, column) = (y.floor() + dy, x.floor() + dx);
        let weight = (if dy == 0.0 { 1.0 - down } else { down }) * (if dx == 0.0 { 1.0 - right } else { right });
        let inside = row >= 0.0 && row < height as f64 && column >= 0.0 && column < width as f64;
        if inside { (row as usize * width + column as usize, weight as f32) } else { (0, 0.0) }
    })
}
