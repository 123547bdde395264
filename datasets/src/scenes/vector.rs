//! Vectors in space: x to the right, y into the room, z up, in metres.

use std::ops::{Add, Mul, Sub};

/// A point, a direction or a colour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

/// A vector of three numbers.
pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    /// The scalar product.
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The product of each number with its own.
    pub fn times(self, other: Self) -> Self {
        vec3(self.x * other.x, self.y * other.y, self.z * other.z)
    }

    /// The length.
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The same direction of length 1.
    pub fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }

    /// How bright a colour is to an eye.
    pub fn luminance(self) -> f32 {
        0.299 * self.x + 0.587 * self.y + 0.114 * self.z
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        vec3(self.x * factor, self.y * factor, self.z * factor)
    }
}

/// A turn around the vertical axis: cosine and sine of its angle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub cos: f32,
    pub sin: f32,
}

impl Turn {
    /// From the world's axes to the turned ones.
    pub fn to_local(self, v: Vec3) -> Vec3 {
        vec3(self.cos * v.x + self.sin * v.y, self.cos * v.y - self.sin * v.x, v.z)
    }

    /// From the turned axes to the world's.
    pub fn to_world(self, v: Vec3) -> Vec3 {
        vec3(self.cos * v.x - self.sin * v.y, self.cos * v.y + self.sin * v.x, v.z)
    }
}
