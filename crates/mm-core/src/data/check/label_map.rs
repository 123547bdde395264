//! Label maps: what stands in them, and what is wrong with them.

use super::findings::{Form, Level, PixelClass, Pixels, Shown, Unreadable, Verdict};
use super::look::{Look, size_in_words};
use super::subject::Subject;
use super::verdicts::{count, verdict};
use crate::data::image::smaller;
use crate::data::kinds::Origin;
use crate::data::label_maps::{AsItIs, Unknown};
use crate::data::labels::look_alikes;
use crate::data::names::some;
use crate::data::{LabelMaps, PixelLabels, class_colour};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Longer side of a picture of a map.
const PICTURE: usize = 96;
/// Places that a verdict names at most.
const PLACES: usize = 1000;
/// Classes that a verdict names.
const NAMED: usize = 8;
/// A class with a smaller share of the labelled pixels is told.
const RARE: f64 = 0.01;
/// The largest number of 8 bits: void, or the object of a mask.
const WHITE: u16 = 255;
/// Ratios of sides that differ by less are taken for the same.
const SAME_RATIO: f64 = 0.01;

/// One label map, looked at.
pub(super) struct MapLook {
    size: [usize; 2],
    /// Pixels by label: void, then the classes.
    pixels: Vec<u64>,
    unknown: BTreeMap<u16, Unknown>,
    /// The numbers that its pixels have, and their colours where the file has a palette.
    numbers: BTreeSet<u16>,
    colours: BTreeMap<u16, [u8; 3]>,
    picture: Option<Vec<u8>>,
}

impl MapLook {
    /// Of a file.
    pub fn of(maps: &LabelMaps, origin: &Origin, picture: bool) -> Result<Self> {
        let AsItIs { labels, unknown, file } = maps.read_as_it_is(origin)?;
        let numbers = BTreeSet::from_iter(file.numbers);
        let colours = numbers.iter().filter_map(|&number| Some((number, *file.palette.get(usize::from(number))?))).collect();
        let mut pixels = vec![0; maps.classes.len() + 1];
        labels.labels().iter().for_each(|&label| pixels[usize::from(label)] += 1);
        // Numbers of no class are told apart from void.
        pixels[0] -= unknown.values().map(|found| found.pixels).sum::<u64>();
        let picture = if picture { Some(picture_of(&labels)?) } else { None };
        Ok(Self { size: [labels.height(), labels.width()], pixels, unknown, numbers, colours, picture })
    }

    /// For the page.
    pub fn shown(&mut self) -> Shown {
        Shown { picture: self.picture.take(), text: None, form: size_in_words(self.size) }
    }
}

/// A small picture in the colours of the classes, as a PNG file.
fn picture_of(labels: &PixelLabels) -> Result<Vec<u8>> {
    let [height, width] = smaller([labels.height(), labels.width()], PICTURE);
    labels.resized(height, width)?.to_png()
}

/// What was found in all label maps.
#[derive(Default)]
pub(super) struct MapTally {
    read: usize,
    unreadable: Vec<Unreadable>,
    /// Height and width, and how often they occur.
    pub sizes: BTreeMap<[usize; 2], usize>,
    /// By part, pixels by label.
    pixels: Vec<Vec<u64>>,
    /// By label, in how many maps it is.
    maps: Vec<usize>,
    /// By number of no class: pixels, and the maps that hold it.
    unknown: BTreeMap<u16, (u64, Vec<String>)>,
    /// Maps without a pixel of a class.
    empty: Vec<String>,
    other_size: Vec<String>,
    other_ratio: Vec<String>,
    /// By number, the colours that palettes give it, each with the first map.
    colours: BTreeMap<u16, BTreeMap<[u8; 3], String>>,
    /// Maps of nothing but 0 and 255.
    of_255: Vec<String>,
    /// Maps with another number than these.
    of_others: usize,
}

impl MapTally {
    /// Of the maps of so many parts.
    pub fn new(maps: &LabelMaps, parts: usize) -> Self {
        let labels = maps.classes.len() + 1;
        Self { pixels: vec![vec![0; labels]; parts], maps: vec![0; labels], ..Self::default() }
    }

    /// Adds the map of a row, of a part, whose images are these.
    pub fn add(&mut self, subject: &Subject, row: usize, part: usize, map: Result<MapLook>, images: &[Option<Result<Look>>]) {
        let map = match map {
            Ok(map) => map,
            Err(error) => {
                let (sample, place) = (subject.samples[row].id.clone(), subject.map_listed_at(row));
                return self.unreadable.push(Unreadable { sample, place, problem: error.to_string() });
            }
        };
        let file = || subject.samples[row].map.as_ref().map(Origin::to_string).unwrap_or_default();
        self.read += 1;
        *self.sizes.entry(map.size).or_default() += 1;
        for (label, &pixels) in map.pixels.iter().enumerate() {
            self.pixels[part][label] += pixels;
            self.maps[label] += usize::from(pixels > 0);
        }
        for (number, found) in &map.unknown {
            let (pixels, places) = self.unknown.entry(*number).or_default();
            *pixels += found.pixels;
            let [row, column] = [found.first / map.size[1], found.first % map.size[1]];
            places.push(format!("{}: {} from ({row}, {column}) on", file(), count(found.pixels as usize, "pixel")));
        }
        for (number, colour) in map.colours {
            self.colours.entry(number).or_default().entry(colour).or_insert_with(file);
        }
        match map.numbers.iter().any(|number| ![0, WHITE].contains(number)) {
            true => self.of_others += 1,
            false if map.numbers.contains(&WHITE) => self.of_255.push(file()),
            false => {}
        }
        if map.pixels[1..].iter().all(|&pixels| pixels == 0) && map.unknown.is_empty() {
            self.empty.push(file());
        }
        let seen: Vec<(&str, [usize; 2])> = (subject.sensors.iter().zip(images))
            .filter_map(|(sensor, look)| Some((sensor.name.as_str(), look.as_ref()?.as_ref().ok()?.size?)))
            .collect();
        if seen.is_empty() || seen.iter().any(|(_, size)| *size == map.size) {
            return;
        }
        let ratio = |[height, width]: [usize; 2]| height as f64 / width as f64;
        let images: Vec<String> = seen.iter().map(|(name, size)| format!("{name} {}", size_in_words(*size))).collect();
        let place = format!("{}: {}, and {}", file(), size_in_words(map.size), images.join(", "));
        match seen.iter().any(|(_, size)| (ratio(*size) / ratio(map.size) - 1.0).abs() < SAME_RATIO) {
            true => self.other_size.push(place),
            false => self.other_ratio.push(place),
        }
    }

    /// What is wrong.
    pub fn verdicts(&self, subject: &Subject, maps: &LabelMaps) -> Vec<Verdict> {
        let about = "label maps";
        let mut verdicts = Vec::new();
        let mut tell = |level: Level, found: String, advice: &str, places: &[String]| {
            verdicts.push(verdict(level, about, found, advice, places.iter().take(PLACES).cloned().collect()));
        };
        let maps_in_words = |n: usize| count(n, "label map");
        for alike in look_alikes(maps.classes.iter().map(String::as_str)) {
            let advice = "if they are one, give their pixels one number; otherwise give them names that are told apart";
            tell(Level::Warning, format!("classes of the card that look alike: {}", alike.join(", ")), advice, &[]);
        }
        if !self.unreadable.is_empty() {
            let place =
                |one: &Unreadable| if one.place.is_empty() { one.problem.clone() } else { format!("{}: {}", one.place, one.problem) };
            let places: Vec<String> = self.unreadable.iter().map(place).collect();
            tell(Level::Error, format!("{} cannot be read", maps_in_words(places.len())), "mend them, or take their samples out", &places);
        }
        for (number, (pixels, places)) in &self.unknown {
            let found = format!(
                "{number} is the number of no class and not void: {} in {}",
                count(*pixels as usize, "pixel"),
                maps_in_words(places.len())
            );
            tell(Level::Error, found, "name it in `values` of [pixels], with its class in `classes`, or in `void`", places);
        }
        if self.read == 0 {
            return verdicts;
        }
        let total = |label: usize| self.pixels.iter().map(|part| part[label]).sum::<u64>();
        let labelled: u64 = (1..self.maps.len()).map(total).sum();
        let (never, occur): (Vec<usize>, Vec<usize>) = (0..maps.classes.len()).partition(|class| total(class + 1) == 0);
        let named = |classes: &[usize]| some(&classes.iter().map(|&class| maps.classes[class].as_str()).collect::<Vec<_>>(), NAMED);
        match (occur.as_slice(), never.is_empty()) {
            ([], _) => tell(Level::Error, "no pixel is of a class".into(), "are `values` and `void` of [pixels] those of the files?", &[]),
            ([only], _) => {
                let found = format!("all labelled pixels are of the class `{}`", maps.classes[*only]);
                tell(Level::Error, found, "there is nothing to tell apart: are `values` and `void` of [pixels] those of the files?", &[]);
            }
            (_, false) => {
                let advice = "nothing is measured for them: take them out of `classes`, or correct `values`";
                tell(Level::Warning, format!("classes of the card that no pixel has: {}", named(&never)), advice, &[]);
            }
            (_, true) => {}
        }
        let parts = subject.parts();
        if let Some(train) = parts.iter().position(|part| part == "train") {
            let only_in = |here: usize, there: usize| -> Vec<usize> {
                let [here, there] = [&self.pixels[here], &self.pixels[there]];
                occur.iter().copied().filter(|class| here[class + 1] > 0 && there[class + 1] == 0).collect()
            };
            for (p, part) in parts.iter().enumerate() {
                let untaught = only_in(p, train);
                if !untaught.is_empty() {
                    let found = format!("classes in {part} and not in train: {}", named(&untaught));
                    tell(Level::Warning, found, "no model can learn them: their IoU will be 0", &[]);
                }
                let lacking = only_in(train, p);
                if !lacking.is_empty() && self.pixels[p].iter().any(|&pixels| pixels > 0) {
                    let advice = "a mean IoU counts such a class, as 0, only where a model predicts it: means of two models are then over other classes";
                    tell(Level::Remark, format!("classes in train and not in {part}: {}", named(&lacking)), advice, &[]);
                }
            }
        }
        let share = |label: usize| total(label) as f64 / labelled.max(1) as f64;
        let rare = occur.iter().filter(|class| share(*class + 1) < RARE);
        let rare: Vec<String> = rare.map(|&class| format!("{} ({:.2} %)", maps.classes[class], 100.0 * share(class + 1))).collect();
        if !rare.is_empty() && occur.len() > 1 {
            let advice = "class_weights = \"median_frequency\" in [train] makes their pixels count more; read the IoU by class, not the pixel accuracy";
            tell(Level::Remark, format!("classes with less than 1 % of the labelled pixels: {}", some(&rare, NAMED)), advice, &[]);
        }
        let void = total(0) as f64 / (total(0) + labelled).max(1) as f64;
        if void > 0.5 && labelled > 0 {
            let found = format!("{:.0} % of the pixels are void", 100.0 * void);
            tell(Level::Warning, found, "they count for nothing: is a class among the numbers of `void` of [pixels]?", &[]);
        }
        let several = self.colours.iter().filter(|(_, colours)| colours.len() > 1);
        let several: Vec<String> = several
            .map(|(number, colours)| {
                let shown: Vec<String> = colours.iter().map(|([r, g, b], file)| format!("#{r:02x}{g:02x}{b:02x} in {file}")).collect();
                format!("{number} is {}", some(&shown, 3))
            })
            .collect();
        if !several.is_empty() {
            let found = format!("palettes give {} another colour in other files", if several.len() == 1 { "a number" } else { "numbers" });
            let advice = "numbers count, not colours: a program that keeps only the colours of a picture numbers them anew in each. Write the number \
                          of the class into all files";
            tell(Level::Warning, found, advice, &several);
        }
        if maps.classes.len() <= 2 && maps.void.contains(&WHITE) && !self.of_255.is_empty() && self.of_others > 0 {
            let found = format!("{} of {} hold nothing but 0 and 255, and 255 is void", self.of_255.len(), maps_in_words(self.read));
            let advice = "if 255 is what is 1 in the others, nothing of it counts: write one number for it in all files";
            tell(Level::Warning, found, advice, &self.of_255);
        }
        if !self.empty.is_empty() && labelled > 0 {
            let advice = "there is nothing to learn or to measure from them: take their samples out";
            tell(
                Level::Warning,
                format!("{} of {} have no pixel of a class", self.empty.len(), maps_in_words(self.read)),
                advice,
                &self.empty,
            );
        }
        if !self.other_ratio.is_empty() {
            let found = format!(
                "{} of {} have another ratio of sides than every image of the sample",
                self.other_ratio.len(),
                maps_in_words(self.read)
            );
            tell(Level::Warning, found, "all are stretched to one size: do they show the same part of the scene?", &self.other_ratio);
        }
        if !self.other_size.is_empty() {
            let found =
                format!("{} of {} are of another size than every image of the sample", self.other_size.len(), maps_in_words(self.read));
            tell(Level::Remark, found, "they are brought to the size of the card, each pixel to its nearest", &self.other_size);
        }
        verdicts
    }

    /// For people.
    pub fn findings(self, maps: &LabelMaps) -> Pixels {
        let of = |label: usize| self.pixels.iter().map(|part| part[label]).collect::<Vec<u64>>();
        let class = |(k, (name, number)): (usize, (&String, u16))| PixelClass {
            name: name.clone(),
            number,
            colour: class_colour(k),
            pixels: of(k + 1),
            maps: self.maps[k + 1],
        };
        let mut sizes: Vec<(String, usize)> = self.sizes.iter().map(|(size, count)| (size_in_words(*size), *count)).collect();
        sizes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Pixels {
            maps: self.read,
            size: maps.size,
            sizes: Form { what: "size", values: sizes },
            classes: maps.classes.iter().zip(maps.numbers()).enumerate().map(class).collect(),
            void: of(0),
            unreadable: self.unreadable,
        }
    }
}
