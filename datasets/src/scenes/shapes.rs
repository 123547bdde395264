//! What rays can hit: spheres, boxes, upright cylinders, and the room around them.

use super::vector::{Turn, Vec3, vec3};

/// Rays that begin on a surface do not hit it again.
const NEAREST: f32 = 1e-3;

/// A body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Sphere {
        centre: Vec3,
        radius: f32,
    },
    /// Half its sides, turned around the vertical axis.
    Box {
        centre: Vec3,
        half: Vec3,
        turn: Turn,
    },
    /// Upright, standing on `foot`.
    Cylinder {
        foot: Vec3,
        radius: f32,
        height: f32,
    },
}

/// Where a surface was hit: its outward normal, and where on it, for textures: from -1 to 1 along the sides of a face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub normal: Vec3,
    pub across: f32,
    pub along: f32,
}

impl Shape {
    /// Centre and radius of a sphere around it.
    pub fn bound(&self) -> (Vec3, f32) {
        match *self {
            Self::Sphere { centre, radius } => (centre, radius),
            Self::Box { centre, half, .. } => (centre, half.length()),
            Self::Cylinder { foot, radius, height } => {
                (foot + vec3(0.0, 0.0, height / 2.0), (radius * radius + height * height / 4.0).sqrt())
            }
        }
    }

    /// How far along `direction`, in multiples of it, the ray from `origin` enters; infinite where it passes by or begins inside.
    pub fn distance(&self, origin: Vec3, direction: Vec3) -> f32 {
        match *self {
            Self::Sphere { centre, radius } => {
                let from = origin - centre;
                let (a, b, c) = (direction.dot(direction), from.dot(direction), from.dot(from) - radius * radius);
                entered(a, b, c)
            }
            Self::Box { centre, half, turn } => {
                let (o, d) = (turn.to_local(origin - centre), turn.to_local(direction));
                let (x0, x1) = slab(o.x, d.x, half.x);
                let (y0, y1) = slab(o.y, d.y, half.y);
                let (z0, z1) = slab(o.z, d.z, half.z);
                let (enter, leave) = (x0.max(y0).max(z0), x1.min(y1).min(z1));
                if enter <= leave && enter > NEAREST { enter } else { f32::INFINITY }
            }
            Self::Cylinder { foot, radius, height } => {
                let from = origin - foot;
                let (a, b) = (direction.x * direction.x + direction.y * direction.y, from.x * direction.x + from.y * direction.y);
                let side = entered(a, b, from.x * from.x + from.y * from.y - radius * radius);
                let at = from.z + side * direction.z;
                let side = if side.is_finite() && at >= 0.0 && at <= height { side } else { f32::INFINITY };
                let level = if direction.z < 0.0 { height } else { 0.0 };
                let cap = (level - from.z) / direction.z;
                let (x, y) = (from.x + cap * direction.x, from.y + cap * direction.y);
                let cap = if cap > NEAREST && x * x + y * y <= radius * radius { cap } else { f32::INFINITY };
                side.min(cap)
            }
        }
    }

    /// The surface at a point on it.
    pub fn spot(&self, point: Vec3) -> Spot {
        match *self {
            Self::Sphere { centre, radius } => {
                let normal = (point - centre) * (1.0 / radius);
                Spot { normal, across: normal.x, along: normal.z }
            }
            Self::Box { centre, half, turn } => {
                let p = turn.to_local(point - centre);
                let (x, y, z) = (p.x / half.x, p.y / half.y, p.z / half.z);
                let (normal, across, along) = if x.abs() >= y.abs() && x.abs() >= z.abs() {
                    (vec3(x.signum(), 0.0, 0.0), y, z)
                } else if y.abs() >= z.abs() {
                    (vec3(0.0, y.signum(), 0.0), x, z)
                } else {
                    (vec3(0.0, 0.0, z.signum()), x, y)
                };
                Spot { normal: turn.to_world(normal), across, along }
            }
            Self::Cylinder { foot, radius, height } => {
                let p = point - foot;
                let on_cap = p.x * p.x + p.y * p.y < 0.998 * radius * radius;
                let normal = match on_cap {
                    true => vec3(0.0, 0.0, if p.z > height / 2.0 { 1.0 } else { -1.0 }),
                    false => vec3(p.x / radius, p.y / radius, 0.0),
                };
                Spot { normal, across: p.x / radius, along: 2.0 * p.z / height - 1.0 }
            }
        }
    }
}

/// The smaller root of `a t² + 2 b t + c`, where the ray enters.
fn entered(a: f32, b: f32, c: f32) -> f32 {
    let discriminant = b * b - a * c;
    if discriminant < 0.0 || a < 1e-12 {
        return f32::INFINITY;
    }
    let t = (-b - discriminant.sqrt()) / a;
    if t > NEAREST { t } else { f32::INFINITY }
}

/// Where a ray is between two planes at `-half` and `half`.
fn slab(origin: f32, direction: f32, half: f32) -> (f32, f32) {
    // A direction of 0 never leaves: a number that small is as good.
    let inverse = 1.0 / if direction.abs() < 1e-9 { 1e-9 } else { direction };
    let (a, b) = ((-half - origin) * inverse, (half - origin) * inverse);
    (a.min(b), a.max(b))
}

/// A surface of the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Floor,
    Ceiling,
    Wall,
}

/// From (0, 0, 0) to these metres.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub size: Vec3,
}

impl Room {
    /// Where a ray from inside meets floor, ceiling or a wall.
    pub fn distance(&self, origin: Vec3, direction: Vec3) -> f32 {
        let leave = |origin: f32, direction: f32, size: f32| match direction {
            d if d > 1e-9 => (size - origin) / d,
            d if d < -1e-9 => -origin / d,
            _ => f32::INFINITY,
        };
        let (x, y) = (leave(origin.x, direction.x, self.size.x), leave(origin.y, direction.y, self.size.y));
        x.min(y).min(leave(origin.z, direction.z, self.size.z))
    }

    /// Which surface a point lies on, its normal into the room, and where on it, in metres.
    pub fn spot(&self, point: Vec3) -> (Side, Spot) {
        let gaps = [point.z, self.size.z - point.z, point.x, self.size.x - point.x, point.y, self.size.y - point.y];
        let nearest = (1..6).fold(0, |best, i| if gaps[i] < gaps[best] { i } else { best });
        let (side, normal, across, along) = match nearest {
            0 => (Side::Floor, vec3(0.0, 0.0, 1.0), point.x, point.y),
            1 => (Side::Ceiling, vec3(0.0, 0.0, -1.0), point.x, point.y),
            2 => (Side::Wall, vec3(1.0, 0.0, 0.0), point.y, point.z),
            3 => (Side::Wall, vec3(-1.0, 0.0, 0.0), point.y, point.z),
            4 => (Side::Wall, vec3(0.0, 1.0, 0.0), point.x, point.z),
            _ => (Side::Wall, vec3(0.0, -1.0, 0.0), point.x, point.z),
        };
        (side, Spot { normal, across, along })
    }
}
