//! What stands in the rooms, and where.

use super::draw::Draw;
use super::materials::{Material, Texture, paint, two_paints, wood};
use super::shapes::Shape;
use super::vector::{Turn, Vec3, vec3};
use super::world::{Body, Light, World};
use super::{KINDS, Label};

/// How many of each thing a kind of room has, at least and at most, in the order of [`KINDS`]. The two of a pair that only one sensor tells
/// apart are equally frequent in every kind, so that nothing else gives them away.
const COUNTS: [(Label, [[usize; 2]; KINDS.len()]); 11] = [
    (Label::Table, [[0, 1], [1, 2], [0, 1], [1, 2]]),
    (Label::Picture, [[0, 1], [0, 1], [1, 3], [0, 1]]),
    (Label::Ball, [[0, 1], [0, 1], [1, 3], [0, 1]]),
    (Label::StripedBox, [[1, 3], [0, 1], [0, 1], [0, 1]]),
    (Label::CheckedBox, [[1, 3], [0, 1], [0, 1], [0, 1]]),
    (Label::ColdBox, [[0, 2], [0, 1], [0, 1], [1, 2]]),
    (Label::WarmBox, [[0, 2], [0, 1], [0, 1], [1, 2]]),
    (Label::Tin, [[0, 1], [2, 4], [0, 1], [1, 3]]),
    (Label::Person, [[0, 1], [0, 2], [0, 1], [0, 1]]),
    (Label::Lamp, [[0, 1], [1, 1], [0, 1], [0, 1]]),
    (Label::Void, [[0, 2], [0, 1], [0, 0], [0, 1]]),
];

/// Tries to find a free place; a thing that finds none is left out.
const TRIES: usize = 30;

/// Puts the things of its kind into a room. The tables come first, so that others can stand on them; the rest in an order by chance, so that
/// none has the better places.
pub(super) fn furnish(world: &mut World, draw: &mut Draw) {
    let mut places = Places::default();
    let (tables, others) = COUNTS.split_at(1);
    let mut wanted = Vec::new();
    for (label, counts) in others {
        let [low, high] = counts[world.kind];
        wanted.extend(std::iter::repeat_n(*label, draw.whole(low, high)));
    }
    let [low, high] = tables[0].1[world.kind];
    (0..draw.whole(low, high)).for_each(|_| table(world, &mut places, draw));
    while !wanted.is_empty() {
        let label = wanted.swap_remove(draw.whole(0, wanted.len() - 1));
        match label {
            Label::Picture | Label::Ball => on_wall(world, &mut places, draw, label),
            Label::StripedBox | Label::CheckedBox | Label::ColdBox | Label::WarmBox => chest(world, &mut places, draw, label),
            Label::Tin => tin(world, &mut places, draw),
            Label::Person => person(world, &mut places, draw),
            Label::Lamp => lamp(world, &mut places, draw),
            _ => heap(world, &mut places, draw),
        }
    }
}

/// What is taken already.
#[derive(Default)]
struct Places {
    floor: Vec<(Vec3, f32)>,
    wall: Vec<(Vec3, f32)>,
    tables: Vec<Tabletop>,
}

struct Tabletop {
    centre: Vec3,
    half: Vec3,
    turn: Turn,
    taken: Vec<(Vec3, f32)>,
}

impl Places {
    /// A free place on the floor in front of the camera, for something so wide.
    fn floor(&mut self, world: &World, draw: &mut Draw, radius: f32) -> Option<Vec3> {
        let (size, camera) = (world.room.size, &world.camera);
        for _ in 0..TRIES {
            let y = draw.between(1.6, size.y - radius - 0.1);
            let ahead = y - camera.place.y;
            let x = camera.place.x + ahead * (camera.forward.x / camera.forward.y + draw.between(-0.5, 0.5));
            let place = vec3(x, y, 0.0);
            if x > radius + 0.05 && x < size.x - radius - 0.05 && is_free(&self.floor, place, radius) {
                self.floor.push((place, radius));
                return Some(place);
            }
        }
        None
    }

    /// A free place on a table.
    fn table(&mut self, draw: &mut Draw, radius: f32) -> Option<Vec3> {
        if self.tables.is_empty() {
            return None;
        }
        let last = self.tables.len() - 1;
        let table = &mut self.tables[draw.whole(0, last)];
        for _ in 0..TRIES {
            let (x, y) = ((table.half.x - radius).max(0.0), (table.half.y - radius).max(0.0));
            let offset = table.turn.to_world(vec3(draw.between(-x, x), draw.between(-y, y), 0.0));
            let place = table.centre + offset;
            if is_free(&table.taken, place, radius) {
                table.taken.push((place, radius));
                return Some(place);
            }
        }
        None
    }

    /// On a table as often as not, where there is one with room; else on the floor. With the place comes how large things are there.
    fn table_or_floor(&mut self, world: &World, draw: &mut Draw, radius: f32, on_table: f32) -> Option<(Vec3, f32)> {
        let place = if draw.chance(0.5) { self.table(draw, radius * on_table) } else { None };
        place.map(|place| (place, on_table)).or_else(|| Some((self.floor(world, draw, radius)?, 1.0)))
    }
}

fn is_free(taken: &[(Vec3, f32)], place: Vec3, radius: f32) -> bool {
    taken.iter().all(|(other, theirs)| (*other - place).length() > radius + theirs)
}

/// A body that is no more than its shape, as warm as the room.
fn body(world: &World, thing: usize, shape: Shape, material: Material) -> Body {
    Body { shape, material, label: world.things[thing], thing, heat: world.air, painted: false, casts_shadow: true }
}

fn upright(centre: Vec3, half: Vec3, turn: Turn) -> Shape {
    Shape::Box { centre, half, turn }
}

fn table(world: &mut World, places: &mut Places, draw: &mut Draw) {
    let half = vec3(draw.between(0.45, 0.8), draw.between(0.35, 0.5), 0.025);
    let Some(foot) = places.floor(world, draw, half.length()) else { return };
    let (turn, height, colour) = (draw.turn(), draw.between(0.65, 0.85), wood(draw));
    let top = foot + vec3(0.0, 0.0, height - half.z);
    let thing = world.thing(Label::Table as u8);
    let material = Material::of(Texture::Grain(4.0), [colour, colour * 0.75]);
    world.bodies.push(body(world, thing, upright(top, half, turn), material));
    let leg = vec3(0.03, 0.03, height / 2.0 - half.z);
    for (x, y) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
        let corner = turn.to_world(vec3(x * (half.x - 0.05), y * (half.y - 0.05), leg.z));
        world.bodies.push(body(world, thing, upright(foot + corner, leg, turn), Material::plain(colour * 0.8)));
    }
    places.tables.push(Tabletop { centre: foot + vec3(0.0, 0.0, height), half, turn, taken: Vec::new() });
}

/// Half a ball on the wall, or a picture of one: the same draws, the same paint, the same temperature.
fn on_wall(world: &mut World, places: &mut Places, draw: &mut Draw, label: Label) {
    let (size, camera, radius) = (world.room.size, world.camera, draw.between(0.2, 0.38));
    let ahead = camera.forward.x / camera.forward.y;
    let place = (0..TRIES).find_map(|_| {
        let z = draw.between(0.9, size.z - 0.6);
        let place = match draw.whole(0, 3) {
            0 => vec3(0.0, draw.between(0.55, 0.9) * size.y, z),
            1 => vec3(size.x, draw.between(0.55, 0.9) * size.y, z),
            _ => vec3(draw.between(0.1, 0.9) * size.x, size.y, z),
        };
        let across = (place.x - camera.place.x) / (place.y - camera.place.y) - ahead;
        (across.abs() < 0.5 && is_free(&places.wall, place, radius)).then_some(place)
    });
    let Some(place) = place else { return };
    places.wall.push((place, radius));
    let colours = two_paints(draw);
    let texture = if draw.chance(0.5) { Texture::Plain } else { Texture::Stripes(2.5) };
    let material = Material::of(texture, colours).shiny(if draw.chance(0.3) { 0.4 } else { 0.0 });
    let thing = world.thing(label as u8);
    let heat = world.air + draw.between(-0.7, 0.7);
    let shape = Shape::Sphere { centre: place, radius };
    let ball = body(world, thing, shape, material);
    world.bodies.push(Body { heat, painted: label == Label::Picture, casts_shadow: false, ..ball });
}

/// A box of one of four classes: two differ by their texture only, two by their temperature only.
fn chest(world: &mut World, places: &mut Places, draw: &mut Draw, label: Label) {
    let half = vec3(draw.between(0.17, 0.32), draw.between(0.17, 0.32), draw.between(0.17, 0.32));
    let Some((foot, scale)) = places.table_or_floor(world, draw, (half.x * half.x + half.y * half.y).sqrt(), 0.6) else { return };
    let (half, turn, colours) = (half * scale, draw.turn(), two_paints(draw));
    let texture = match label {
        Label::StripedBox => Texture::Stripes(2.5),
        Label::CheckedBox => Texture::Checks(2.5),
        _ => Texture::Plain,
    };
    let shine = if draw.chance(0.25) { 0.5 } else { 0.0 };
    let heat = match label {
        Label::ColdBox => draw.between(5.0, 11.0),
        Label::WarmBox => draw.between(36.0, 46.0),
        _ => world.air + draw.between(-1.0, 1.0),
    };
    let thing = world.thing(label as u8);
    let shape = upright(foot + vec3(0.0, 0.0, half.z), half, turn);
    let plain = body(world, thing, shape, Material::of(texture, colours).shiny(shine));
    world.bodies.push(Body { heat, ..plain });
}

fn tin(world: &mut World, places: &mut Places, draw: &mut Draw) {
    let (radius, height) = (draw.between(0.12, 0.22), draw.between(0.3, 0.6));
    let Some((foot, scale)) = places.table_or_floor(world, draw, radius, 0.55) else { return };
    let texture = if draw.chance(0.4) { Texture::Stripes(1.5) } else { Texture::Plain };
    let material = Material::of(texture, two_paints(draw)).shiny(draw.between(0.6, 1.0));
    let thing = world.thing(Label::Tin as u8);
    let shape = Shape::Cylinder { foot, radius: radius * scale, height: height * scale };
    let heat = world.air + draw.between(-1.0, 1.0);
    let cold = body(world, thing, shape, material);
    world.bodies.push(Body { heat, ..cold });
}

fn person(world: &mut World, places: &mut Places, draw: &mut Draw) {
    let tall = draw.between(0.7, 1.1);
    let radius = 0.2 * tall;
    let Some(foot) = places.floor(world, draw, radius) else { return };
    let (clothes, shade) = (two_paints(draw), draw.between(0.35, 1.0));
    let thing = world.thing(Label::Person as u8);
    let up = |height: f32| foot + vec3(0.0, 0.0, height * tall);
    let part = |shape: Shape, colour: Vec3, heat: f32| (shape, Material::plain(colour), heat);
    let parts = [
        part(Shape::Cylinder { foot, radius: radius * 0.8, height: 0.75 * tall }, clothes[0], 28.0),
        part(Shape::Cylinder { foot: up(0.75), radius, height: 0.6 * tall }, clothes[1], 30.0),
        part(Shape::Sphere { centre: up(1.48), radius: 0.14 * tall }, vec3(0.85, 0.62, 0.48) * shade, 34.0),
    ];
    let change = draw.between(-1.0, 1.0);
    for (shape, material, heat) in parts {
        let cold = body(world, thing, shape, material);
        world.bodies.push(Body { heat: heat + change, ..cold });
    }
}

fn lamp(world: &mut World, places: &mut Places, draw: &mut Draw) {
    let (radius, height) = (draw.between(0.13, 0.19), draw.between(1.1, 1.6));
    let Some((foot, scale)) = places.table_or_floor(world, draw, radius, 0.7) else { return };
    // One on a table is lower.
    let height = if scale < 1.0 { 0.3 } else { height };
    let (is_on, thing) = (draw.chance(0.75), world.thing(Label::Lamp as u8));
    let stem = body(world, thing, Shape::Cylinder { foot, radius: 0.03, height }, Material::plain(vec3(0.3, 0.3, 0.32)).shiny(0.5));
    world.bodies.push(stem);
    let centre = foot + vec3(0.0, 0.0, height + radius * scale * 0.9);
    let shade = Material::plain(vec3(0.85, 0.8, 0.7));
    let head = body(world, thing, Shape::Sphere { centre, radius: radius * scale }, shade);
    if is_on {
        world.bodies.push(Body { heat: draw.between(50.0, 62.0), material: Material { glow: 1.0, ..shade }, casts_shadow: false, ..head });
        world.lights.push(Light { place: centre, power: vec3(0.55, 0.48, 0.35), warmth: 2.0 });
    } else {
        world.bodies.push(head);
    }
}

/// Small things that nobody has labelled.
fn heap(world: &mut World, places: &mut Places, draw: &mut Draw) {
    let Some((foot, _)) = places.table_or_floor(world, draw, 0.2, 1.0) else { return };
    let thing = world.thing(Label::Void as u8);
    for _ in 0..draw.whole(3, 5) {
        let radius = draw.between(0.05, 0.09);
        let centre = foot + vec3(draw.between(-0.12, 0.12), draw.between(-0.12, 0.12), radius);
        let material = Material::plain(paint(draw));
        world.bodies.push(body(world, thing, Shape::Sphere { centre, radius }, material));
    }
}
