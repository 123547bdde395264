//! Rendered scenes as files, in the form in which a user's own data come: PNG files, a manifest and cards.

use super::{CLASSES, DEGREES_PER_LEVEL, KINDS, METRES_PER_NUMBER, Scene, render};
use bytes::Bytes;
use mm_core::data::{Bundle, NewFolder, Part};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Longest side of a scene.
const LONGEST_SIDE: usize = 2048;
/// Scenes of one data set.
const MOST_SCENES: u64 = 1_000_000;
/// The columns of the manifest.
const COLUMNS: [&str; 8] = ["id", "rgb", "depth", "thermal", "caption", "labels", "scene", "room"];

/// Which scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Of all draws.
    pub seed: u64,
    /// How many; from 20 on every part has some.
    pub scenes: u64,
    /// Height and width.
    pub size: [usize; 2],
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 0, scenes: 600, size: [120, 160] }
    }
}

/// Why scenes were not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A size that is not rendered.
    #[error("scenes of {} x {} pixels (height x width) are not rendered: each side is from 16 to {LONGEST_SIDE}", size[0], size[1])]
    Size {
        /// Height and width.
        size: [usize; 2],
    },

    /// A number of scenes that is not rendered.
    #[error("{scenes} scenes are not rendered: write a number from 20, with which every part has some, to {MOST_SCENES}")]
    Scenes {
        /// How many.
        scenes: u64,
    },

    /// Something is there already.
    #[error("{path} is there already and not empty: scenes are written into a new folder")]
    Occupied {
        /// The folder or file.
        path: PathBuf,
    },

    /// The folder cannot be made, or another run is making it.
    #[error(transparent)]
    Folder(#[from] mm_core::Error),

    /// A file could not be written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

type Result<T> = std::result::Result<T, Error>;

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { path, source }
}

impl Settings {
    fn validate(&self) -> Result<()> {
        if !self.size.iter().all(|side| (16..=LONGEST_SIDE).contains(side)) {
            return Err(Error::Size { size: self.size });
        }
        match (20..=MOST_SCENES).contains(&self.scenes) {
            true => Ok(()),
            false => Err(Error::Scenes { scenes: self.scenes }),
        }
    }

    /// The card of the classes of pixels.
    pub fn card(&self) -> String {
        let values: Vec<String> = (1..=CLASSES.len()).map(|value| value.to_string()).collect();
        let pixels = format!("[pixels]\nclasses = {}\nvalues = [{}]\nvoid = [0]\n", list(&CLASSES), values.join(", "));
        let about = "a class for each pixel; the caption is a column of the manifest and no sensor here";
        format!("{}label = \"labels\"\n\n{pixels}\n{}", self.head("scenes", about), self.sensors())
    }

    /// The card of the kinds of rooms.
    pub fn card_of_rooms(&self) -> String {
        let caption = "\n[[modality]]\nname = \"caption\"\nkind = \"text\"\ndimension = 256\n";
        let head = self.head("scenes-rooms", "the kind of the room for each scene");
        format!("{head}label = \"scene\"\nclasses = {}\n\n{}{caption}", list(&KINDS), self.sensors())
    }

    fn head(&self, name: &str, target: &str) -> String {
        let Self { seed, scenes, size: [height, width] } = self;
        format!(
            "# Written by `mm data render --scenes {scenes} --size {height}x{width} --seed {seed}`.\n\
             name = \"{name}\"\n\
             description = \"\"\"\n\
             SYNTHETIC: {scenes} rendered scenes of {height} x {width} pixels; {target}.\n\
             rgb, depth (noise that grows with the distance, holes at edges, on dark and on shiny surfaces) and thermal (blurred).\n\
             The camera alone tells striped boxes from checked ones, the depth sensor alone balls from pictures of balls,\n\
             the thermal camera alone cold boxes from warm ones. Rooms of the test are in no other part.\n\
             \"\"\"\n\
             licence = \"CC0 1.0: nothing of it was photographed\"\n\
             source = \"mm data render, seed {seed}\"\n\
             manifest = \"samples.csv\"\n\
             id = \"id\"\n\
             group = \"room\"\n\
             part = \"part\"\n"
        )
    }

    fn sensors(&self) -> String {
        let [height, width] = self.size;
        format!(
            "[[modality]]\nname = \"rgb\"\nkind = \"image\"\nchannels = \"rgb\"\nsize = [{height}, {width}]\n\n\
             # Metres, and a second channel: 1 where there is a reading.\n\
             [[modality]]\nname = \"depth\"\nkind = \"depth\"\nsize = [{height}, {width}]\nscale = {METRES_PER_NUMBER}\nvalid = true\n\n\
             # A grey level is {DEGREES_PER_LEVEL} degrees Celsius, from 0.\n\
             [[modality]]\nname = \"thermal\"\nkind = \"image\"\nchannels = \"gray\"\nsize = [{height}, {width}]\n"
        )
    }
}

fn list(names: &[&str]) -> String {
    format!("[{}]", names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
}

/// The files of one scene, by their names from the folder of the manifest, and its line there.
struct Files {
    images: [(String, Vec<u8>); 4],
    row: Vec<String>,
}

impl Files {
    fn of(settings: &Settings, index: u64) -> Self {
        let scene = render(settings.seed, index, settings.size);
        let id = format!("{index:06}");
        let Scene { size, rgb, depth, thermal, labels, .. } = &scene;
        let depth: Vec<u8> = depth.iter().flat_map(|number| number.to_be_bytes()).collect();
        let (grey, eight) = (png::ColorType::Grayscale, png::BitDepth::Eight);
        let images = [
            ("rgb", encode(*size, png::ColorType::Rgb, eight, rgb)),
            ("depth", encode(*size, grey, png::BitDepth::Sixteen, &depth)),
            ("thermal", encode(*size, grey, eight, thermal)),
            ("labels", encode(*size, grey, eight, labels)),
        ];
        let images = images.map(|(folder, bytes)| (format!("{folder}/{id}.png"), bytes));
        let [rgb, depth, thermal, labels] = [0, 1, 2, 3].map(|i| images[i].0.clone());
        let part = match scene.part {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        };
        let row = vec![id, rgb, depth, thermal, scene.caption, labels, scene.class.into(), format!("room {}", scene.room), part.into()];
        Self { images, row }
    }
}

/// A PNG file. Writing one to memory cannot fail: the sizes are checked, and the pixels are as many as they say.
fn encode([height, width]: [usize; 2], colour: png::ColorType, bits: png::BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(bits);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    written.expect("pixels in memory are written to memory");
    bytes
}

fn manifest(rows: &[Vec<String>]) -> String {
    let mut text = format!("{},part\n", COLUMNS.join(","));
    for row in rows {
        // Only captions hold commas, and none a quotation mark.
        let cells: Vec<String> = row.iter().map(|cell| if cell.contains(',') { format!("\"{cell}\"") } else { cell.clone() }).collect();
        text += &cells.join(",");
        text.push('\n');
    }
    text
}

/// The files of the scenes and their manifest, `samples.csv`, by their names from the manifest's folder.
pub(crate) fn files(settings: &Settings) -> Result<Vec<(String, Bytes)>> {
    settings.validate()?;
    let scenes: Vec<Files> = (0..settings.scenes).into_par_iter().map(|index| Files::of(settings, index)).collect();
    let rows: Vec<Vec<String>> = scenes.iter().map(|scene| scene.row.clone()).collect();
    let table = ("samples.csv".to_string(), manifest(&rows).into_bytes());
    Ok(scenes.into_iter().flat_map(|scene| scene.images).chain([table]).map(|(name, bytes)| (name, bytes.into())).collect())
}

/// The scenes in memory, and the manifest `samples.csv`, for [`Settings::card`] and [`Settings::card_of_rooms`]:
/// `FileCard::from_str(&settings.card(), "card.toml")?.open_bundle(&bundle)`.
pub fn bundle(settings: &Settings) -> Result<Bundle> {
    Ok(Bundle::new(files(settings)?))
}

/// Writes the scenes, their manifest and cards into a new folder, and returns the cards. The folder appears under its name when it is whole.
/// `progress` is told after each scene.
pub fn write(out: &Path, settings: &Settings, progress: &(dyn Fn() + Sync)) -> Result<[PathBuf; 2]> {
    settings.validate()?;
    if NewFolder::refuse(out).is_err() {
        return Err(Error::Occupied { path: out.into() });
    }
    let new = NewFolder::begin(out)?;
    let folder = new.path();
    for name in ["rgb", "depth", "thermal", "labels"] {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).map_err(io(&path))?;
    }
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(io(&path))
    };
    let one = |index: u64| {
        let Files { images, row } = Files::of(settings, index);
        images.iter().try_for_each(|(name, bytes)| put(name, bytes))?;
        progress();
        Ok(row)
    };
    let rows: Vec<Vec<String>> = (0..settings.scenes).into_par_iter().map(one).collect::<Result<_>>()?;
    put("samples.csv", manifest(&rows).as_bytes())?;
    put("card.toml", settings.card().as_bytes())?;
    put("rooms.toml", settings.card_of_rooms().as_bytes())?;
    put("README.md", README.as_bytes())?;
    new.finish()?;
    Ok(["card.toml", "rooms.toml"].map(|card| out.join(card)))
}

const README: &str = "\
# Rendered scenes

SYNTHETIC images by `mm data render`: nothing of them was photographed, and what a model reaches on them says nothing about real rooms.

- `card.toml`: a class for each pixel. `rooms.toml`: the kind of the room for each scene, with captions as a fourth sensor.
- `samples.csv`: the manifest. All scenes of a room are in one part.
- `rgb`: 8-bit colours. `depth`: 16 bits, millimetres, 0 where there is no reading. `thermal`: grey levels of 0.25 degrees Celsius from 0.
- `labels`: the number of the class of each pixel, from 1 in the order of `card.toml`; 0 is void.
";
