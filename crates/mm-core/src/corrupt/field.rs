//! Places and shapes that families of images and depth maps share: smooth random fields, clouds, shifts.

use crate::rng::Rng;
use rand::RngExt;
use std::f32::consts::TAU;

/// Fields along a side, of the largest clouds to the smallest; each octave is half as high as the one before.
const OCTAVES: [usize; 5] = [3, 6, 12, 24, 48];
/// A cloud is opaque where it is so thick, in parts of the height of the largest octave.
const OPAQUE: f32 = 0.15;

/// This share of some places: those with the lowest values, the earlier of equal ones.
pub(super) fn lowest(values: &[f32], places: impl Iterator<Item = usize>, share: f32) -> Vec<usize> {
    let mut places: Vec<usize> = places.collect();
    let count = (f64::from(share) * places.len() as f64).round() as usize;
    places.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    places.truncate(count);
    places
}

/// Smooth random hills: uniform heights at the corners of so many fields in either direction, bilinear in between.
pub(super) fn hills(height: usize, width: usize, fields: usize, random: &mut Rng) -> Vec<f32> {
    let corners: Vec<f32> = (0..(fields + 1) * (fields + 1)).map(|_| random.random()).collect();
    let place = |at: usize, side: usize| {
        let place = (at as f32 + 0.5) / side as f32 * fields as f32;
        let field = (place as usize).min(fields - 1);
        (field, place - field as f32)
    };
    let mut heights = Vec::with_capacity(height * width);
    for (row, down) in (0..height).map(|row| place(row, height)) {
        for (column, right) in (0..width).map(|column| place(column, width)) {
            let line = |row: usize| {
                let corners = &corners[row * (fields + 1) + column..];
                corners[0] * (1.0 - right) + corners[1] * right
            };
            heights.push(line(row) * (1.0 - down) + line(row + 1) * down);
        }
    }
    heights
}

/// How opaque clouds are that cover this share of the pixels: 0 where there is none, at an edge little, inside 1. A larger share thickens
/// each cloud.
pub(super) fn clouds(height: usize, width: usize, share: f32, random: &mut Rng) -> Vec<f32> {
    let mut heights = vec![0.0; height * width];
    for (octave, fields) in OCTAVES.into_iter().enumerate() {
        let weight = 0.5f32.powi(octave as i32);
        heights.iter_mut().zip(hills(height, width, fields, random)).for_each(|(sum, height)| *sum -= weight * height);
    }
    let covered = lowest(&heights, 0..height * width, share);
    let mut opacity = vec![0.0; height * width];
    // The sky begins where the thinnest cloud ends.
    if let Some(&edge) = covered.last() {
        let edge = heights[edge] + f32::EPSILON;
        covered.into_iter().for_each(|at| opacity[at] = ((edge - heights[at]) / OPAQUE).clamp(f32::EPSILON, 1.0));
    }
    opacity
}

/// Rows and columns of a shift by so many pixels in a random direction, the same one for all distances.
pub(super) fn shift_of(pixels: f32, random: &mut Rng) -> [isize; 2] {
    let (sin, cos) = (TAU * random.random::<f32>()).sin_cos();
    [sin, cos].map(|part| (pixels * part).round() as isize)
}

/// Moves a plane down and to the right by so many pixels; what comes in is `outside`, or the edge repeated.
pub(super) fn shifted(plane: &mut [f32], height: usize, width: usize, [down, right]: [isize; 2], outside: Option<f32>) {
    let before = plane.to_vec();
    let from = |at: usize, by: isize, side: usize| {
        let from = at as isize - by;
        let inside = (0..side as isize).contains(&from);
        (inside || outside.is_none()).then(|| from.clamp(0, side as isize - 1) as usize)
    };
    for (at, x) in plane.iter_mut().enumerate() {
        let place = from(at / width, down, height).zip(from(at % width, right, width));
        *x = place.map_or(outside.unwrap_or_default(), |(row, column)| before[row * width + column]);
    }
}
