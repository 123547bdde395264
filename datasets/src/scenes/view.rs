//! Rays through the pixels: what each one hits, and how bright it is.

use super::label_of_side;
use super::shapes::{Side, Spot};
use super::vector::Vec3;
use super::world::{Body, Camera, HALF_WIDTH, World};

/// What a perfect sensor would see, row by row.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Distance along the camera's axis, in metres.
    pub metres: Vec<f32>,
    /// Light, linear: 1 is what the camera takes for white.
    pub light: Vec<Vec3>,
    pub labels: Vec<u8>,
    /// The thing, or none for floor, ceiling and walls.
    pub things: Vec<Option<usize>>,
    /// Temperature in degrees Celsius.
    pub heat: Vec<f32>,
    /// How little a depth sensor's own light comes back, from 0 to 1: dark and shiny surfaces, and those seen from the side.
    pub unseen: Vec<f32>,
}

/// What a ray hits.
#[derive(Clone, Copy)]
struct Hit {
    metres: f32,
    /// Where the surface is that is seen; of a picture where what it shows would be.
    seen: f32,
    body: Option<usize>,
}

/// Casts a ray through the middle of each pixel.
pub(super) fn look(world: &World, [height, width]: [usize; 2]) -> View {
    let (camera, focal) = (&world.camera, width as f32 / 2.0 / HALF_WIDTH);
    let ray = |x: usize, y: usize| {
        let (right, up) = ((x as f32 + 0.5 - width as f32 / 2.0) / focal, (height as f32 / 2.0 - y as f32 - 0.5) / focal);
        camera.forward + camera.right * right + camera.up * up
    };
    let mut hits = Vec::with_capacity(height * width);
    for y in 0..height {
        hits.extend((0..width).map(|x| {
            let metres = world.room.distance(camera.place, ray(x, y));
            Hit { metres, seen: metres, body: None }
        }));
    }
    // Each body is tried only where it can be seen.
    for (index, body) in world.bodies.iter().enumerate() {
        let [rows, columns] = window(camera, body, focal, [height, width]);
        for y in rows {
            for x in columns.clone() {
                let (hit, direction) = (&mut hits[y * width + x], ray(x, y));
                let distance = body.shape.distance(camera.place, direction);
                let metres = match body.painted && distance.is_finite() {
                    // A picture is where the wall behind it is, and nothing is between the two.
                    true => world.room.distance(camera.place, direction).max(distance) - 1e-3,
                    false => distance,
                };
                if metres < hit.metres {
                    *hit = Hit { metres, seen: distance, body: Some(index) };
                }
            }
        }
    }
    let mut view = View::default();
    for (at, hit) in hits.iter().enumerate() {
        view.add(world, hit, ray(at % width, at / width));
    }
    view
}

/// Rows and columns that a body may cover.
fn window(camera: &Camera, body: &Body, focal: f32, [height, width]: [usize; 2]) -> [std::ops::Range<usize>; 2] {
    let (centre, radius) = body.shape.bound();
    let to = centre - camera.place;
    let (ahead, right, down) = (to.dot(camera.forward), to.dot(camera.right), -to.dot(camera.up));
    if ahead - radius < 0.05 {
        return match ahead + radius < 0.05 {
            true => [0..0, 0..0],
            false => [0..height, 0..width],
        };
    }
    // The sphere around it lies in a cube, whose corners bound it in the image.
    let span = |across: f32, pixels: usize| {
        let place = |side: f32, depth: f32| side / depth * focal + pixels as f32 / 2.0;
        let (low, high) = (across - radius, across + radius);
        let first = place(low, ahead - radius).min(place(low, ahead + radius));
        let last = place(high, ahead - radius).max(place(high, ahead + radius));
        (first.floor().max(0.0) as usize).min(pixels)..(last.ceil().max(0.0) as usize).min(pixels)
    };
    [span(down, height), span(right, width)]
}

impl View {
    fn add(&mut self, world: &World, hit: &Hit, direction: Vec3) {
        let point = world.camera.place + direction * hit.seen;
        let (spot, material, label, mut heat) = match hit.body {
            Some(index) => {
                let body = &world.bodies[index];
                (body.shape.spot(point), body.material, body.label, body.heat)
            }
            None => {
                let (side, spot) = world.room.spot(point);
                let material = match side {
                    Side::Floor => world.floor,
                    Side::Ceiling => world.ceiling,
                    Side::Wall => world.wall,
                };
                // Warm air rises.
                let rise = 0.6 * (point.z - 1.2);
                (spot, material, label_of_side(side) as u8, world.air + rise - if side == Side::Floor { 1.0 } else { 0.0 })
            }
        };
        let toward = direction.unit() * -1.0;
        let colour = material.colour(&spot);
        let mut light = colour * (world.ambient + material.glow * 1.5);
        let mut gloss = 0.0f32;
        for lamp in &world.lights {
            let to = lamp.place - point;
            let square = to.dot(to);
            // A lamp warms what it shines on; what is at its own heat already, hardly.
            heat += lamp.warmth * 0.15 / (0.15 + square);
            let ray = to.unit();
            let facing = spot.normal.dot(ray);
            if facing <= 0.0 || is_shaded(world, hit.body, point + spot.normal * 2e-3, lamp.place) {
                continue;
            }
            light = light + colour.times(lamp.power) * (facing / square.max(0.05));
            let glint = spot.normal.dot((ray + toward).unit()).max(0.0);
            let power = (0..5).fold(glint, |power, _| power * power);
            light = light + lamp.power * (material.shine * power * 0.8 / square.max(0.05));
            gloss = gloss.max(power);
        }
        // A depth sensor lights the scene itself, from the camera.
        let facing = spot_facing(hit, world, &spot, toward);
        let dark = (1.0 - colour.luminance() / 0.12).clamp(0.0, 1.0);
        let mirror = material.shine * (0.25 + 0.75 * gloss).min(1.0);
        let slanted = (1.0 - facing / 0.25).clamp(0.0, 1.0);
        self.metres.push(hit.metres);
        self.light.push(light);
        self.labels.push(label);
        self.things.push(hit.body.map(|index| world.bodies[index].thing));
        self.heat.push(heat);
        self.unseen.push(dark.max(mirror).max(slanted));
    }
}

/// How much a surface faces the camera, from 0 to 1. A picture faces as the wall does.
fn spot_facing(hit: &Hit, world: &World, spot: &Spot, toward: Vec3) -> f32 {
    match hit.body.is_some_and(|index| world.bodies[index].painted) {
        true => world.room.spot(world.camera.place + toward * (-hit.metres)).1.normal.dot(toward).abs(),
        false => spot.normal.dot(toward).abs(),
    }
}

/// Whether something stands between a point and a light.
fn is_shaded(world: &World, own: Option<usize>, point: Vec3, light: Vec3) -> bool {
    let to = light - point;
    let square = to.dot(to);
    world.bodies.iter().enumerate().any(|(index, body)| {
        // A body that bulges outwards shades itself where it turns away from the light, which is known already.
        if !body.casts_shadow || own == Some(index) {
            return false;
        }
        let (centre, radius) = body.shape.bound();
        let along = (to.dot(centre - point) / square).clamp(0.0, 1.0);
        let gap = point + to * along - centre;
        gap.dot(gap) < radius * radius && body.shape.distance(point, to) < 1.0
    })
}

/// A colour as three numbers from 0 to 255, brightened as cameras do.
pub(super) fn encoded(light: Vec3, noise: [f32; 3]) -> [u8; 3] {
    let channel = |x: f32, noise: f32| {
        // The root instead of the power 1 / 2.2, which systems round differently.
        let value = x.clamp(0.0, 1.0).sqrt();
        ((value + noise * (0.01 + 0.02 * (1.0 - value))) * 255.0).round().clamp(0.0, 255.0) as u8
    };
    [channel(light.x, noise[0]), channel(light.y, noise[1]), channel(light.z, noise[2])]
}
