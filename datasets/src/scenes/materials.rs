//! What surfaces look like: colours and textures.

use super::draw::Draw;
use super::shapes::Spot;
use super::vector::{Vec3, vec3};

/// What a surface shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Material {
    pub texture: Texture,
    pub colours: [Vec3; 2],
    /// How much it mirrors the lights, from 0 to 1.
    pub shine: f32,
    /// Light that it gives itself.
    pub glow: f32,
}

/// How two colours are laid out. Lengths are those of [`Spot`]: from -1 to 1 on a body, metres on the room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Texture {
    Plain,
    /// Bands, so many a unit.
    Stripes(f32),
    /// Fields, so many a unit.
    Checks(f32),
    /// Clouds, so many a unit.
    Grain(f32),
}

impl Material {
    /// One colour.
    pub fn plain(colour: Vec3) -> Self {
        Self { texture: Texture::Plain, colours: [colour; 2], shine: 0.0, glow: 0.0 }
    }

    /// Two colours.
    pub fn of(texture: Texture, colours: [Vec3; 2]) -> Self {
        Self { texture, colours, shine: 0.0, glow: 0.0 }
    }

    /// The same that mirrors lights.
    pub fn shiny(self, shine: f32) -> Self {
        Self { shine, ..self }
    }

    /// The colour at a spot.
    pub fn colour(&self, spot: &Spot) -> Vec3 {
        let [a, b] = self.colours;
        let odd = |x: f32, per_unit: f32| (x * per_unit).floor() as i32 & 1 == 1;
        match self.texture {
            Texture::Plain => a,
            Texture::Stripes(per_unit) => [a, b][usize::from(odd(spot.along, per_unit))],
            Texture::Checks(per_unit) => [a, b][usize::from(odd(spot.along, per_unit) ^ odd(spot.across, per_unit))],
            Texture::Grain(per_unit) => a + (b - a) * clouds(spot.across * per_unit, spot.along * per_unit),
        }
    }
}

/// Smooth noise over the plane, from 0 to 1.
fn clouds(x: f32, y: f32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let (right, up) = (x - column, y - row);
    let knot = |dx: i32, dy: i32| scrambled(column as i32 + dx, row as i32 + dy);
    let along = |dy: i32| knot(0, dy) + right * (knot(1, dy) - knot(0, dy));
    along(0) + up * (along(1) - along(0))
}

/// A number from 0 to 1 for each point of a lattice.
fn scrambled(x: i32, y: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1 << 24) as f32
}

/// Colours of things.
const PAINTS: [Vec3; 10] = [
    vec3(0.75, 0.18, 0.15),
    vec3(0.15, 0.35, 0.70),
    vec3(0.20, 0.55, 0.25),
    vec3(0.80, 0.65, 0.15),
    vec3(0.55, 0.25, 0.60),
    vec3(0.85, 0.45, 0.15),
    vec3(0.80, 0.80, 0.78),
    vec3(0.35, 0.60, 0.65),
    vec3(0.40, 0.27, 0.17),
    // Dark: a depth sensor gets little light back.
    vec3(0.04, 0.04, 0.05),
];

/// A colour of a thing, never twice the same.
pub(super) fn paint(draw: &mut Draw) -> Vec3 {
    let factor = draw.between(0.8, 1.1);
    draw.one_of(&PAINTS) * factor
}

/// Two colours that differ.
pub(super) fn two_paints(draw: &mut Draw) -> [Vec3; 2] {
    loop {
        let (a, b) = (paint(draw), paint(draw));
        if (a - b).length() > 0.35 {
            return [a, b];
        }
    }
}

/// A pale colour, as walls have.
pub(super) fn pale(draw: &mut Draw) -> Vec3 {
    let grey = draw.between(0.55, 0.85);
    vec3(grey * draw.between(0.85, 1.0), grey * draw.between(0.85, 1.0), grey * draw.between(0.8, 1.0))
}

/// A colour of wood.
pub(super) fn wood(draw: &mut Draw) -> Vec3 {
    vec3(0.50, 0.34, 0.20) * draw.between(0.5, 1.3)
}
