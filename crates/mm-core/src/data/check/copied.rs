//! Images that show the label maps once more: in colours, or each thing with a number of its own.

use super::findings::{Level, Verdict};
use super::guess::called_as_maps;
use super::subject::Subject;
use super::verdicts::verdict;
use crate::data::LabelMaps;
use crate::data::image::{Samples, decode};
use crate::data::kinds::Origin;
use crate::data::label_maps::{Numbers, numbers};
use crate::data::names::some;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Files that are compared.
const COMPARED: usize = 8;
/// Fewer say little.
const LEAST: usize = 2;
/// A file of more colours than so many for each class is no picture of classes: a thermal image has levels, too, and each thing of a map of
/// things a colour.
const FEW: usize = 8;
/// Classes that a verdict names.
const NAMED: usize = 8;

/// Which numbers of label maps can be read off images.
#[derive(Default)]
pub(super) struct Told {
    told: Vec<u16>,
    of: usize,
}

impl Told {
    /// By some pairs of a label map and an image: a number is told if, in every pair, its pixels have colours that no other number has.
    pub fn of(pairs: &[(PathBuf, PathBuf)], void: &[u16]) -> Self {
        let (mut told, mut compared): (BTreeMap<u16, bool>, usize) = Default::default();
        let some = COMPARED.min(pairs.len());
        for (map, image) in (0..some).map(|i| &pairs[i * pairs.len() / some]) {
            let Some(Numbers { height, width, numbers, .. }) = std::fs::read(map).ok().and_then(|bytes| numbers(&bytes).ok()) else {
                continue;
            };
            let Some((size, colours)) = colours(image) else { continue };
            let mut numbers_of: HashMap<u64, BTreeSet<u16>> = HashMap::new();
            for (pixel, number) in numbers.into_iter().enumerate().filter(|(_, number)| !void.contains(number)) {
                // A copy may be larger or smaller: the pixel at the same place.
                let [row, column] = [(pixel / width, height, size[0]), (pixel % width, width, size[1])]
                    .map(|(at, of, size)| (2 * at + 1) * size / (2 * of));
                numbers_of.entry(colours[row * size[1] + column]).or_default().insert(number);
            }
            let classes = numbers_of.values().flatten().collect::<BTreeSet<_>>().len();
            if numbers_of.len() > FEW * classes {
                return Self::default();
            }
            // Where there is one class only, any image tells it.
            if classes < 2 {
                continue;
            }
            compared += 1;
            for same in numbers_of.values() {
                same.iter().for_each(|number| *told.entry(*number).or_insert(true) &= same.len() == 1);
            }
        }
        let of = told.len();
        let told = told.into_iter().filter(|(_, alone)| *alone && compared >= LEAST).map(|(number, _)| number).collect();
        Self { told, of }
    }

    /// Whether all are told but one, such as the background.
    pub fn is_copy(&self) -> bool {
        !self.told.is_empty() && self.told.len() + 1 >= self.of
    }
}

/// Height, width, and a number for the colour of each pixel; `None` where the file cannot be read or holds floating point numbers.
fn colours(path: &Path) -> Option<([usize; 2], Vec<u64>)> {
    let bitmap = decode(&std::fs::read(path).ok()?).ok()?;
    let colours = match &bitmap.samples {
        Samples::U8(samples) => joined(samples, bitmap.channels),
        Samples::U16(samples) => joined(samples, bitmap.channels),
        Samples::F32(_) => return None,
    };
    Some(([bitmap.height, bitmap.width], colours))
}

fn joined<T: Copy + Into<u64>>(samples: &[T], channels: usize) -> Vec<u64> {
    samples.chunks_exact(channels).map(|pixel| pixel.iter().fold(0, |joined, &x| joined << 16 | x.into())).collect()
}

/// Sensors off whose pixels the classes can be read, and those that are called as label maps are.
pub(super) fn verdicts(subject: &Subject) -> Vec<Verdict> {
    let images = subject.sensors.iter().enumerate().filter(|(_, sensor)| sensor.kind == "image" && subject.of_files);
    images
        .filter_map(|(m, sensor)| subject.maps.as_ref().and_then(|maps| read_off(subject, m, maps)).or_else(|| named(&sensor.name)))
        .collect()
}

fn read_off(subject: &Subject, m: usize, maps: &LabelMaps) -> Option<Verdict> {
    let file = |origin: &Option<Origin>| match origin {
        Some(Origin::File { path, part: None }) => Some(path.clone()),
        _ => None,
    };
    let pairs: Vec<(PathBuf, PathBuf)> =
        subject.samples.iter().filter_map(|sample| Some((file(&sample.map)?, file(sample.origins.get(m)?)?))).collect();
    let told = Told::of(&pairs, &maps.void).told;
    let classes = maps.classes.iter().zip(maps.numbers()).filter(|(_, number)| told.contains(number));
    let classes: Vec<&str> = classes.map(|(name, _)| name.as_str()).collect();
    (!classes.is_empty()).then(|| {
        let found = format!("the colour of a pixel tells exactly whether it is of a class: {}", some(&classes, NAMED));
        let advice = "is it the label in other words? Take it out, unless it is known before the classes are";
        verdict(Level::Warning, &subject.sensors[m].name, found, advice, Vec::new())
    })
}

fn named(sensor: &str) -> Option<Verdict> {
    called_as_maps(sensor).then(|| {
        let advice = "take it out if it shows what is to be found; if it is what is to be predicted, a card needs [pixels] and its column as `label`";
        verdict(Level::Remark, sensor, "is called as label maps are, and a model is given it as an image", advice, Vec::new())
    })
}
