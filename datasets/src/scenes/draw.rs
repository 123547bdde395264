//! Random draws in additions, products and roots only, which every processor rounds alike.

use super::vector::Turn;
use mm_core::rng::{Rng, stream};
use rand::RngExt;

/// The draws of one scene or room for one purpose.
pub(super) struct Draw(Rng);

impl Draw {
    /// Those of `(seed, purpose, index)`.
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        Self(stream(seed, purpose, &[index]))
    }

    /// At least 0 and below 1.
    pub fn unit(&mut self) -> f32 {
        (self.0.random::<u32>() >> 8) as f32 / (1 << 24) as f32
    }

    /// Between two numbers.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A whole number from `low` to `high`, both included.
    pub fn whole(&mut self, low: usize, high: usize) -> usize {
        low + ((self.unit() * (high - low + 1) as f32) as usize).min(high - low)
    }

    /// Whether what has this probability happens.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.whole(0, of.len() - 1)]
    }

    /// A direction in the plane: a point in the unit disc, brought to its edge, because sines differ between systems.
    pub fn turn(&mut self) -> Turn {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 0.01 && square < 1.0 {
                let length = square.sqrt();
                return Turn { cos: x / length, sin: y / length };
            }
        }
    }

    /// Noise of mean 0 and deviation 1: the sum of four equal draws, nearly Gaussian.
    pub fn noise(&mut self) -> f32 {
        let bits = self.0.random::<u64>();
        let sum: u32 = (0..4).map(|i| (bits >> (16 * i)) as u32 & 0xffff).sum();
        // Four draws from 0 to 65,535 have the mean 131,070 and the deviation 37,837.
        (sum as f32 - 131_070.0) / 37_837.0
    }

    /// A smooth field over an image, from 0 to 1 about 0.5, whose hills are `cell` pixels wide.
    pub fn field(&mut self, [height, width]: [usize; 2], cell: usize) -> Vec<f32> {
        let columns = width / cell + 2;
        let knots: Vec<f32> = (0..(height / cell + 2) * columns).map(|_| self.unit()).collect();
        let part = |i: usize| (i / cell, (i % cell) as f32 / cell as f32);
        let mut field = Vec::with_capacity(height * width);
        for y in 0..height {
            let (row, down) = part(y);
            let (above, below) = knots[row * columns..(row + 2) * columns].split_at(columns);
            for x in 0..width {
                let (column, right) = part(x);
                let along = |knots: &[f32]| knots[column] + right * (knots[column + 1] - knots[column]);
                let upper = along(above);
                field.push(upper + down * (along(below) - upper));
            }
        }
        field
    }
}
