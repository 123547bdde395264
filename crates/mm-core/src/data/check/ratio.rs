//! A `size` of another ratio of sides than that of the files, where each pixel has a class: often height and width are exchanged.

use super::findings::{Level, Verdict};
use super::look::size_in_words;
use super::scan::Scanned;
use super::subject::Subject;
use super::verdicts::verdict;
use std::collections::BTreeMap;

/// A side may be longer by this share than the ratio of the files says, or by a pixel.
const SAME: f64 = 0.05;

/// Height and width, and how often they occur.
type Sizes = BTreeMap<[usize; 2], usize>;

/// A warning where most label maps are stretched, with the sensors whose images are, too; none where no sensor has images.
pub(super) fn stretched(subject: &Subject, scanned: &Scanned) -> Option<Verdict> {
    let size @ [height, width] = subject.maps.as_ref()?.size?;
    let images = subject.sensors.iter().zip(&scanned.sensors).map(|(sensor, tally)| (sensor.name.as_str(), &tally.image_sizes));
    let images: Vec<(&str, &Sizes)> = images.filter(|(_, sizes)| !sizes.is_empty()).collect();
    let maps = scanned.maps.iter().filter(|_| !images.is_empty()).map(|maps| ("label maps", &maps.sizes));
    if scanned.maps.as_ref().is_some_and(|maps| !maps.sizes.is_empty() && share(&maps.sizes, size) >= 0.5) {
        // Images of another ratio than the label maps are told where these are compared.
        return None;
    }
    let stretched: Vec<(&str, &Sizes)> = maps.chain(images.iter().copied()).filter(|(_, sizes)| share(sizes, size) < 0.5).collect();
    let found: Vec<String> = stretched.iter().filter_map(|(name, sizes)| most_frequent(name, sizes, size)).collect();
    if found.is_empty() {
        return None;
    }
    let advice = match stretched.iter().all(|(_, sizes)| share(sizes, [width, height]) > 0.5) {
        true => format!("a size is [height, width], and here they are exchanged: write size = [{width}, {height}]"),
        false => "all files are stretched to it: write a size, [height, width], of their ratio of sides".into(),
    };
    let found = format!("size = {size:?} has another ratio of sides than most files: {}", found.join(", "));
    Some(verdict(Level::Warning, "size", found, advice, Vec::new()))
}

/// The most frequent of the sizes that are stretched, in words.
fn most_frequent(name: &str, sizes: &Sizes, size: [usize; 2]) -> Option<String> {
    let (found, count) = sizes.iter().filter(|(found, _)| !is_of_ratio(**found, size)).max_by_key(|(_, count)| **count)?;
    Some(format!("{name} {} ({count})", size_in_words(*found)))
}

/// Of files, the share that has the ratio of a size; all where there are none.
fn share(sizes: &Sizes, size: [usize; 2]) -> f64 {
    let all: usize = sizes.values().sum();
    let alike: usize = sizes.iter().filter(|(found, _)| is_of_ratio(**found, size)).map(|(_, count)| count).sum();
    if all == 0 { 1.0 } else { alike as f64 / all as f64 }
}

fn is_of_ratio(found: [usize; 2], size: [usize; 2]) -> bool {
    let factor = (0..2).map(|side| size[side] as f64 / found[side] as f64).fold(f64::INFINITY, f64::min);
    (0..2).all(|side| size[side] as f64 - found[side] as f64 * factor <= (SAME * size[side] as f64).max(1.0))
}
