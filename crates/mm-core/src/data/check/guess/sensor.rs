//! The settings of a sensor, by some of its files.

use super::column::kind_of;
use super::numbers::{are_numbers, of_csv, of_numpy};
use super::quoted;
use crate::data::audio;
use crate::data::folder_entries::entries;
use crate::data::image::{Samples, decode};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Files of a sensor that are looked at.
pub(super) const LOOKED_AT: usize = 32;
/// Images up to this are taken as large as they are.
const SMALL: usize = 128;
/// A usual size for larger ones.
const USUAL: usize = 112;
/// Rates above this hold little that tells everyday sounds apart, and cost much.
const ENOUGH_RATE: u32 = 16_000;
/// Longer sounds are cut, unless the card says otherwise.
const LONGEST_SECONDS: f64 = 10.0;
/// Frames of a video, unless it has fewer.
const FRAMES: usize = 8;

/// A sensor in a card.
pub(super) struct Written {
    pub name: String,
    pub kind: &'static str,
    /// Column or folder, where it is not the name.
    pub column: Option<String>,
    /// Lines of its settings.
    pub settings: String,
}

impl Written {
    /// Without size and fit, where label maps say the size.
    pub fn sized_by_maps(self) -> Self {
        let sizes = |line: &&str| line.starts_with("size =") || line.starts_with("fit =");
        let settings = self.settings.lines().filter(|line| !sizes(line)).map(|line| format!("{line}\n")).collect();
        Self { settings, ..self }
    }

    /// As TOML.
    pub fn toml(&self) -> String {
        let column = self.column.iter().map(|column| format!("column = {}\n", quoted(column))).collect::<String>();
        format!("\n[[modality]]\nname = {}\nkind = \"{}\"\n{column}{}", quoted(&self.name), self.kind, self.settings)
    }
}

/// A file, or a part of it.
pub(super) type Reading = (PathBuf, Option<Range<u64>>);

/// A sensor of files that end as those of a kind do; its name may tell that images are depth maps. The readings of a video are folders.
pub(super) fn of_files(name: &str, kind: &'static str, column: Option<String>, readings: &[Reading]) -> Written {
    let step = readings.len().div_ceil(LOOKED_AT).max(1);
    let some: Vec<&Reading> = readings.iter().step_by(step).collect();
    let (kind, settings) = match kind {
        "audio" => ("audio", sounds(&some)),
        "text" if !are_numbers(&some) => ("text", String::new()),
        "text" | "series" => of_csv(&some),
        "array" => of_numpy(&some),
        "video" => ("video", frames(&some)),
        _ => images(name, &some),
    };
    Written { name: name.into(), kind, column, settings }
}

/// What a file of an image is.
struct Picture {
    size: [usize; 2],
    channels: usize,
    deep: bool,
    floating: bool,
}

/// Kind and settings of images.
fn images(name: &str, files: &[&Reading]) -> (&'static str, String) {
    let read = |(path, _): &&Reading| {
        let bitmap = decode(&std::fs::read(path).ok()?).ok()?;
        let deep = !matches!(bitmap.samples, Samples::U8(_));
        let floating = matches!(bitmap.samples, Samples::F32(_));
        Some(Picture { size: [bitmap.height, bitmap.width], channels: bitmap.channels, deep, floating })
    };
    let pictures: Vec<Picture> = files.iter().filter_map(read).collect();
    if pictures.is_empty() {
        let comment = format!("none of {} files could be read: correct channels and size", files.len());
        return ("image", format!("channels = \"rgb\"  # {comment}\nsize = [{USUAL}, {USUAL}]\n"));
    }
    let mut counts: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    pictures.iter().for_each(|picture| *counts.entry(picture.size).or_default() += 1);
    let mut seen: Vec<([usize; 2], usize)> = counts.into_iter().collect();
    seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    // Small images keep the size that most of them have.
    let ([height, width], most) = seen[0];
    let small = height.max(width) <= SMALL && 2 * most > pictures.len();
    let [height, width] = if small { [height, width] } else { [USUAL; 2] };
    let more = if seen.len() > 3 { " and others" } else { "" };
    let sizes: Vec<String> = seen.iter().take(3).map(|([h, w], count)| format!("{h} x {w} ({count})")).collect();
    let size = format!("size = [{height}, {width}]  # height, width; seen: {}{more}\n", sizes.join(", "));
    // Other ratios of sides would be stretched.
    let ratio = |[h, w]: [usize; 2]| h as f64 / w as f64;
    let stretched = pictures.iter().any(|picture| (ratio(picture.size) / ratio([height, width]) - 1.0).abs() > 0.1);
    let fit = if stretched { "fit = \"crop\"  # or \"pad\" to keep the edges\n" } else { "" };
    let words = ["depth", "disparity", "range"];
    let mostly = |is: &dyn Fn(&&Picture) -> bool| 2 * pictures.iter().filter(is).count() > pictures.len();
    if mostly(&|picture| picture.channels == 1) && words.iter().any(|word| name.to_lowercase().contains(word)) {
        let (scale, unit) = if mostly(&|picture| picture.floating) { ("1.0", "metres") } else { ("0.001", "millimetres") };
        return ("depth", format!("{size}scale = {scale}  # metres of 1 in the file: here {unit}\n{fit}"));
    }
    let gray = pictures.iter().all(|picture| picture.channels <= 2);
    let channels = if gray { "channels = \"gray\"\n" } else { "channels = \"rgb\"\n" };
    let alpha =
        if pictures.iter().any(|picture| picture.channels % 2 == 0) { "alpha = \"white\"  # what is behind transparency\n" } else { "" };
    let instead = "if these are distances, write kind = \"depth\" and scale =";
    let deep = match gray && pictures.iter().all(|picture| picture.deep) {
        true if mostly(&|picture| picture.floating) => format!("# floating point numbers: {instead} 1.0 (metres) instead of channels\n"),
        true => format!("# 16 bits a pixel: {instead} 0.001 (millimetres) instead of channels\n"),
        false => String::new(),
    };
    ("image", format!("{channels}{size}{fit}{alpha}{deep}"))
}

/// Settings of videos: folders, of each of which one frame is looked at.
fn frames(folders: &[&Reading]) -> String {
    let films: Vec<Vec<PathBuf>> = folders.iter().map(|(folder, _)| images_in(folder)).filter(|images| !images.is_empty()).collect();
    let middles: Vec<Reading> = films.iter().map(|images| (images[images.len() / 2].clone(), None)).collect();
    let mut counts: Vec<usize> = films.iter().map(Vec::len).collect();
    counts.sort();
    let frames = counts.get(counts.len() / 2).map_or(FRAMES, |median| FRAMES.min(*median));
    let seen = match (counts.first(), counts.last()) {
        (Some(least), Some(most)) => format!("frames that a model gets; seen: folders of {least} to {most} images"),
        _ => format!("none of {} folders holds an image: correct frames, channels and size", folders.len()),
    };
    // Without the name: a video has no depth maps.
    format!("frames = {frames}  # {seen}\n{}", images("", &middles.iter().collect::<Vec<_>>()).1)
}

/// The images of a folder, in the order of their names; none of one that cannot be read.
fn images_in(folder: &Path) -> Vec<PathBuf> {
    let mut images = entries(folder).unwrap_or_default();
    images.retain(|path| kind_of(&path.to_string_lossy()) == Some("image"));
    images
}

/// Settings of sounds.
fn sounds(files: &[&Reading]) -> String {
    let read = |(path, part): &&Reading| {
        let sound = audio::read(path, part.clone()).ok()?;
        Some((sound.rate, sound.channels.len(), sound.channels[0].len() as f64 / f64::from(sound.rate)))
    };
    let seen: Vec<(u32, usize, f64)> = files.iter().filter_map(read).collect();
    if seen.is_empty() {
        return format!("rate = {ENOUGH_RATE}  # none of {} files could be read: correct rate and seconds\nseconds = 1.0\n", files.len());
    }
    let mut rates: Vec<u32> = seen.iter().map(|(rate, ..)| *rate).collect();
    rates.sort();
    rates.dedup();
    let named: Vec<String> = rates.iter().take(4).map(u32::to_string).collect();
    let rate = rates[0].min(ENOUGH_RATE);
    let why = if rates[0] > ENOUGH_RATE { "; higher, if what matters lies above 8 kHz" } else { "" };
    let mut lengths: Vec<f64> = seen.iter().map(|(.., seconds)| *seconds).collect();
    lengths.sort_by(f64::total_cmp);
    let at = |share: f64| lengths[((lengths.len() - 1) as f64 * share).round() as usize];
    // Nineteen of twenty fit in.
    let seconds = ((at(0.95) * 10.0).ceil() / 10.0).clamp(0.1, LONGEST_SECONDS);
    format!(
        "rate = {rate}  # samples a second; seen: {}{why}\nseconds = {seconds:?}  # seen: {:.2} to {:.2}, half of them below {:.2}\nlength = \"pad\"\n",
        named.join(", "),
        at(0.0),
        at(1.0),
        at(0.5)
    )
}
