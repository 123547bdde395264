//! A scene before anybody looks at it: the room, what stands in it, the lights and the camera.

use super::draw::Draw;
use super::materials::{Material, Texture, pale, wood};
use super::shapes::{Room, Shape};
use super::vector::{Vec3, vec3};

/// A part of a thing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    pub shape: Shape,
    pub material: Material,
    /// The number of its class in label maps.
    pub label: u8,
    /// Which thing it is a part of.
    pub thing: usize,
    /// Its temperature in degrees Celsius.
    pub heat: f32,
    /// Whether it is a picture on the wall, painted so that it looks from the camera as the body would: it is as far away as the wall.
    pub painted: bool,
    pub casts_shadow: bool,
}

/// A lamp that is on, or one at the ceiling.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    pub place: Vec3,
    /// Its light at one metre.
    pub power: Vec3,
    /// Degrees by which it warms what is near.
    pub warmth: f32,
}

/// The camera of all three sensors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Camera {
    pub place: Vec3,
    pub forward: Vec3,
    pub right: Vec3,
    pub up: Vec3,
}

/// Half the width of the image at a distance of one metre: 60 degrees are seen.
pub(super) const HALF_WIDTH: f32 = 0.577_350_3;

impl Camera {
    fn towards(place: Vec3, direction: Vec3) -> Self {
        let forward = direction.unit();
        let right = vec3(forward.y, -forward.x, 0.0).unit();
        let up = vec3(right.y * forward.z, -right.x * forward.z, right.x * forward.y - right.y * forward.x);
        Self { place, forward, right, up }
    }
}

/// Everything of a scene.
#[derive(Debug)]
pub(super) struct World {
    pub room: Room,
    pub floor: Material,
    pub wall: Material,
    pub ceiling: Material,
    /// The temperature of the room in degrees Celsius.
    pub air: f32,
    /// Light that comes from everywhere.
    pub ambient: f32,
    pub bodies: Vec<Body>,
    pub lights: Vec<Light>,
    pub camera: Camera,
    /// The label of each thing.
    pub things: Vec<u8>,
    /// Which kind of room it is.
    pub kind: usize,
}

impl World {
    /// The empty room of a number, seen and lit as in one of its scenes.
    pub fn empty(seed: u64, room: u64, kinds: usize, draw: &mut Draw) -> Self {
        let mut fixed = Draw::new(seed, "room", room);
        let size = vec3(fixed.between(4.0, 5.6), fixed.between(4.2, 6.2), fixed.between(2.5, 3.0));
        let kind = fixed.whole(0, kinds - 1);
        let (ground, shade) = (wood(&mut fixed), fixed.between(0.55, 0.85));
        let floor = match fixed.whole(0, 2) {
            0 => Material::of(Texture::Grain(3.0), [ground, ground * shade]),
            1 => Material::of(Texture::Checks(2.0), [ground, ground * shade]),
            _ => Material::of(Texture::Grain(9.0), [pale(&mut fixed) * 0.7, ground]),
        };
        let (front, shade) = (pale(&mut fixed), fixed.between(0.85, 0.97));
        let wall = match fixed.whole(0, 2) {
            0 => Material::plain(front),
            1 => Material::of(Texture::Grain(4.0), [front, front * shade]),
            _ => Material::of(Texture::Stripes(3.0), [front, front * shade]),
        };
        let air = fixed.between(17.0, 24.0);
        let night = draw.chance(0.15);
        let level = if night { draw.between(0.03, 0.12) } else { draw.between(0.6, 1.2) };
        let lights = (0..draw.whole(1, 2)).map(|_| {
            let place = vec3(draw.between(0.2, 0.8) * size.x, draw.between(0.15, 0.75) * size.y, size.z - 0.1);
            let tint = vec3(1.0, draw.between(0.9, 1.0), draw.between(0.75, 1.0));
            Light { place, power: tint * (2.6 * level), warmth: 0.0 }
        });
        let lights = lights.collect();
        let place = vec3(size.x * draw.between(0.4, 0.6), 0.25, draw.between(1.35, 1.75));
        let camera = Camera::towards(place, vec3(draw.between(-0.25, 0.25), 1.0, draw.between(-0.34, -0.14)));
        let (room, ceiling, ambient) = (Room { size }, Material::plain(vec3(0.8, 0.8, 0.8)), 0.22 * level);
        Self { room, floor, wall, ceiling, air, ambient, bodies: Vec::new(), lights, camera, things: Vec::new(), kind }
    }

    /// Begins a thing; its bodies follow.
    pub fn thing(&mut self, label: u8) -> usize {
        self.things.push(label);
        self.things.len() - 1
    }
}
