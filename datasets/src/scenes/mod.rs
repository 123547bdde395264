//! Rendered scenes: rooms with tables, boxes, balls, tins, lamps and people, seen by a camera, a depth sensor and a thermal camera, with a class
//! for each pixel, a caption and the kind of the room. They are SYNTHETIC: for trying methods and programs, not for claims about the world.
//!
//! Each sensor tells two classes apart that the others cannot: the camera striped boxes and checked ones, the depth sensor balls on the wall and
//! pictures of such balls, the thermal camera cold boxes and warm ones.
//!
//! A scene depends on its seed, its number and its size only: not on the number of threads, and, because nothing but additions, products, quotients
//! and roots is used, not on the machine.
//!
//! ```
//! let scene = mm_datasets::scenes::render(7, 0, [60, 80]);
//! assert_eq!((scene.rgb.len(), scene.depth.len(), scene.labels.len()), (3 * 60 * 80, 60 * 80, 60 * 80));
//! ```

mod caption;
mod draw;
mod files;
mod furniture;
mod materials;
mod sensors;
mod shapes;
mod vector;
mod view;
mod world;

pub(crate) use files::files;
pub use files::{Error, Settings, bundle, write};
pub use sensors::{DEGREES_PER_LEVEL, METRES_PER_NUMBER};

use draw::Draw;
use mm_core::data::Part;
use shapes::Side;
use world::World;

/// Classes of pixels; label maps hold their place from 1, and 0 (void) where nobody has labelled anything.
pub const CLASSES: [&str; 12] =
    ["wall", "floor", "table", "picture", "ball", "striped box", "checked box", "cold box", "warm box", "tin", "person", "lamp"];

/// The number of a class in label maps: [`CLASSES`] from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Label {
    Void,
    Wall,
    Floor,
    Table,
    Picture,
    Ball,
    StripedBox,
    CheckedBox,
    ColdBox,
    WarmBox,
    Tin,
    Person,
    Lamp,
}

fn label_of_side(side: Side) -> Label {
    match side {
        Side::Floor => Label::Floor,
        Side::Ceiling | Side::Wall => Label::Wall,
    }
}

/// Kinds of rooms: classes of whole scenes.
pub const KINDS: [&str; 4] = ["store room", "dining room", "gallery", "laboratory"];

/// Scenes of one room: the same walls and floor, other things, another light and view.
pub const SCENES_PER_ROOM: u64 = 4;

/// The part of each room of ten. Scenes of one room never stand in two parts.
const PARTS: [Part; 10] = {
    use Part::{Test, Train, Validation};
    [Train, Train, Validation, Train, Test, Train, Train, Test, Train, Train]
};

/// A scene as the sensors give it. All images have the same size and view, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Height and width.
    pub size: [usize; 2],
    /// Red, green and blue of each pixel.
    pub rgb: Vec<u8>,
    /// Millimetres along the camera's axis; 0 where there is no reading.
    pub depth: Vec<u16>,
    /// Temperature in quarters of a degree Celsius from 0.
    pub thermal: Vec<u8>,
    /// Of each pixel the class, counted from 1 ([`CLASSES`]); 0 is void.
    pub labels: Vec<u8>,
    /// Metres along the camera's axis without noise and holes: what no sensor gives, for checks.
    pub metres: Vec<f32>,
    /// What stands in the room, by an inattentive witness.
    pub caption: String,
    /// The kind of the room, one of [`KINDS`].
    pub class: &'static str,
    /// The number of the room.
    pub room: u64,
    /// The part that its room is in.
    pub part: Part,
}

/// Renders the scene of a number, `size` = `[height, width]`.
///
/// # Panics
/// If a side of the size is 0.
pub fn render(seed: u64, index: u64, size: [usize; 2]) -> Scene {
    assert!(size[0] > 0 && size[1] > 0, "a scene has pixels");
    let room = index / SCENES_PER_ROOM;
    let mut draw = Draw::new(seed, "scene", index);
    let mut world = World::empty(seed, room, KINDS.len(), &mut draw);
    furniture::furnish(&mut world, &mut draw);
    let view = view::look(&world, size);
    let of = |purpose: &str| Draw::new(seed, purpose, index);
    Scene {
        size,
        rgb: sensors::rgb(&view, &mut of("scene rgb")),
        depth: sensors::depth(&view, size, &mut of("scene depth")),
        thermal: sensors::thermal(&view, size, &mut of("scene thermal")),
        caption: caption::caption(&world, &view, &mut of("scene caption")),
        labels: view.labels,
        metres: view.metres,
        class: KINDS[world.kind],
        room,
        part: PARTS[(room % PARTS.len() as u64) as usize],
    }
}
