//! NYU Depth V2: rooms by camera and depth sensor, 40 classes.

use super::disk::found;
use super::error::{Error, Result};
use super::mat5::{Value, read, variable};
use super::mat73::Mat73;
use super::output::Output;
use super::png_files::{Pixels, encode};
use super::{Reader, Request};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

pub(super) const READER: Reader = Reader {
    name: "nyuv2",
    about: "1,449 frames of rooms by camera and depth sensor, 40 classes (NYU Depth V2, the labelled part)",
    licence: "none stated",
    how: "Get nyu_depth_v2_labeled.mat (2.8 GB) at cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html, and splits.mat and classMapping40.mat at \
          github.com/ankurhanda/nyuv2-meta-data, and put them into the folder. 1.2 GB of PNG files are written",
    prepare,
};

const HEADER: [&str; 8] = ["id", "rgb", "depth", "label", "scene", "room", "official", "part"];
/// Classes; 0 in the maps is void.
const CLASSES: usize = 40;
/// Frames of a file.
const MOST_FRAMES: usize = 1_000_000;

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let file = |name: &str, what: &str| found(request.root.join(name), what, READER.how);
    let labelled = file("nyu_depth_v2_labeled.mat", "the frames")?;
    let (splits, classes) = (file("splits.mat", "the published split")?, file("classMapping40.mat", "the 40 classes of the 894 names")?);
    let tested: BTreeSet<usize> = indices(&splits, "testNdxs")?;
    let trained: BTreeSet<usize> = indices(&splits, "trainNdxs")?;
    let mat = Mat73::open(&labelled)?;
    let map = ClassMap::new(&classes, &mat.texts("names")?, &labelled)?;
    // MATLAB counts columns first: frames, channels, columns, rows.
    let (images, depths, labels) = (mat.array("images", 4)?, mat.array("depths", 3)?, mat.array("labels", 3)?);
    let (frames, width, height) = (labels.shape()[0] as usize, labels.shape()[1] as usize, labels.shape()[2] as usize);
    let expected = [&[labels.shape()[0], 3][..], &labels.shape()[1..]].concat();
    if images.shape() != expected || depths.shape() != labels.shape() {
        let problem = format!("images, depths and labels have the shapes {:?}, {:?} and {:?}, which do not belong together", images.shape(), depths.shape(), labels.shape());
        return Err(Error::content(&labelled, problem));
    }
    let texts = |name: &str| if mat.has(name) { mat.texts(name) } else { Ok(vec![String::new(); frames.min(MOST_FRAMES)]) };
    let (scenes, rooms) = (texts("scenes")?, texts("sceneTypes")?);
    if scenes.len() != frames || rooms.len() != frames {
        return Err(Error::content(&labelled, format!("has {frames} frames, {} scenes and {} types of scenes", scenes.len(), rooms.len())));
    }
    let beyond = tested.iter().chain(&trained).filter(|&&index| index > frames).count();
    if beyond > 0 {
        output.remark(format!("the published split names {beyond} frames that the file does not have: it holds {frames}"));
    }
    // Of the training every tenth scene chooses the model: the published split has no validation.
    let training: BTreeSet<&String> = trained.iter().filter_map(|&index| scenes.get(index - 1)).collect();
    let validates: BTreeSet<&String> = training.into_iter().skip(9).step_by(10).collect();
    let size = [height, width];
    let mut rows = Vec::new();
    output.card("nyuv2.toml", &map.card("nyuv2", "part", "Models are chosen by every tenth scene of the published training."))?;
    output.card("nyuv2-published.toml", &map.card("nyuv2-published", "official", "The published split, which has no validation."))?;
    for folder in ["rgb", "depth", "label"] {
        output.folder(folder)?;
    }
    for &index in trained.union(&tested).filter(|&&index| index <= frames) {
        let official = match (trained.contains(&index), tested.contains(&index)) {
            (true, true) => return Err(Error::content(&splits, format!("has frame {index} in the training and in the test"))),
            (true, false) => "train",
            _ => "test",
        };
        let name = |folder: &str| format!("{folder}/{index:04}.png");
        let planes: Vec<u8> = mat.frame(&images, index - 1)?;
        let plane = width * height;
        let rgb: Vec<u8> = turned(size, |at| [planes[at], planes[plane + at], planes[2 * plane + at]]).into_iter().flatten().collect();
        let metres: Vec<f32> = mat.frame(&depths, index - 1)?;
        let depth = turned(size, |at| (metres[at] * 1000.0).round().clamp(0.0, 65_535.0) as u16);
        let numbers: Vec<u16> = mat.frame(&labels, index - 1)?;
        let label = turned(size, |at| map.class(numbers[at]));
        if let Some(unknown) = label.iter().position(Option::is_none) {
            let problem = format!("frame {index} has a label, row {}, column {}, that has no name", unknown / width, unknown % width);
            return Err(Error::content(&labelled, problem));
        }
        let label: Vec<u8> = label.into_iter().flatten().collect();
        for (folder, pixels) in [("rgb", Pixels::Rgb(&rgb)), ("depth", Pixels::Wide(&depth)), ("label", Pixels::Grey(&label))] {
            output.file(&name(folder), &encode(&name(folder), size, pixels)?)?;
        }
        let (scene, room) = (&scenes[index - 1], &rooms[index - 1]);
        let part = if official == "train" && validates.contains(scene) { "validation" } else { official };
        let cells = [&format!("{index:04}"), &name("rgb"), &name("depth"), &name("label"), scene, room, official, part];
        rows.push(cells.map(ToString::to_string).to_vec());
    }
    output.table("samples.csv", &HEADER, &rows)
}

/// An image by rows from one by columns.
fn turned<T>([height, width]: [usize; 2], pixel: impl Fn(usize) -> T) -> Vec<T> {
    (0..height * width).map(|at| pixel(at % width * height + at / width)).collect()
}

/// Frames of a list, counted from 1.
fn indices(splits: &Path, name: &str) -> Result<BTreeSet<usize>> {
    match variable(splits, read(splits)?, name)? {
        Value::Numbers(numbers) if numbers.iter().all(|&index| index >= 1.0 && index <= MOST_FRAMES as f64) => Ok(numbers.iter().map(|&index| index as usize).collect()),
        _ => Err(Error::content(splits, format!("`{name}` holds no numbers of frames, counted from 1"))),
    }
}

/// From the numbers in the labels to 40 classes.
struct ClassMap {
    names: Vec<String>,
    /// Of each number from 1, its class from 1.
    classes: Vec<u8>,
}

impl ClassMap {
    /// By the names of the numbers, which come with the frames, and the classes of the names.
    fn new(path: &Path, numbered: &[String], labelled: &Path) -> Result<Self> {
        let variables = read(path)?;
        let of = |name: &str| variable(path, variables.clone(), name);
        let texts = |name: &str| match of(name)? {
            Value::Cells(cells) => {
                let text = |cell: Value| if let Value::Text(text) = cell { Some(text) } else { None };
                cells.into_iter().map(text).collect::<Option<Vec<String>>>().ok_or_else(|| Error::content(path, format!("`{name}` holds not only texts")))
            }
            _ => Err(Error::content(path, format!("`{name}` holds no texts"))),
        };
        let (names, known) = (texts("className")?, texts("allClassName")?);
        let Value::Numbers(classes) = of("mapClass")? else {
            return Err(Error::content(path, "`mapClass` holds no numbers"));
        };
        if names.len() != CLASSES || classes.len() != known.len() || !classes.iter().all(|class| (1.0..=CLASSES as f64).contains(class)) {
            let problem = format!("has {} classes and {} classes of {} names; {CLASSES}, and one from 1 for each name, are expected", names.len(), classes.len(), known.len());
            return Err(Error::content(path, problem));
        }
        let by_name: HashMap<&String, u8> = known.iter().zip(classes.iter().map(|&class| class as u8)).collect();
        let class = |name: &String| {
            by_name.get(name).copied().ok_or_else(|| Error::content(labelled, format!("names a label `{name}`, which has no class in {}", path.display())))
        };
        Ok(Self { classes: numbered.iter().map(class).collect::<Result<_>>()?, names })
    }

    /// 0 for void; none for a number without a name.
    fn class(&self, number: u16) -> Option<u8> {
        match usize::from(number).checked_sub(1) {
            None => Some(0),
            Some(at) => self.classes.get(at).copied(),
        }
    }

    fn card(&self, name: &str, part: &str, about: &str) -> String {
        // As JSON a text is quoted as in TOML.
        let names: Vec<String> = self.names.iter().map(|name| serde_json::Value::from(name.as_str()).to_string()).collect();
        let values: Vec<String> = (1..=CLASSES).map(|value| value.to_string()).collect();
        include_str!("cards/nyuv2.toml")
            .replace("NAME", name)
            .replace("PART", part)
            .replace("ABOUT", about)
            .replace("\"CLASSES\"", &names.join(", "))
            .replace("[1]", &format!("[{}]", values.join(", ")))
    }
}
