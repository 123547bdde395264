//! Label maps: which files are some, and the settings of them.

use super::quoted;
use crate::data::label_maps::numbers;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What folders and columns of label maps are called.
pub(super) const MAPS: [&str; 12] =
    ["label", "label_map", "mask", "segmentation", "annotation", "ground_truth", "semantic", "class_map", "truth", "seg", "gt", "target"];
/// Maps that are looked at.
const LOOKED_AT: usize = 256;
/// More different numbers than this are the levels of a photograph.
pub(super) const MOST_CLASSES: usize = 200;
/// So few are classes, whatever the column is called.
pub(super) const FEW_CLASSES: usize = 32;
/// Longer side that is enough for a start.
const USUAL: usize = 160;
/// What most public data sets write for void.
const VOID: u16 = 255;

/// `[pixels]` of a card, by some of the maps; `None` where no file is one, or where they hold one number or more than `most`.
pub(super) fn of_maps(files: &[PathBuf], most: usize) -> Option<String> {
    let step = files.len().div_ceil(LOOKED_AT).max(1);
    let (mut seen, mut sizes): (BTreeSet<u16>, BTreeMap<[usize; 2], usize>) = Default::default();
    let mut read = 0;
    for file in files.iter().step_by(step) {
        let Some((height, width, numbers)) = std::fs::read(file).ok().and_then(|bytes| numbers(&bytes).ok()) else { continue };
        seen.extend(numbers);
        *sizes.entry([height, width]).or_default() += 1;
        read += 1;
    }
    let (&[height, width], _) = sizes.iter().max_by_key(|(_, count)| **count)?;
    if !(2..=most).contains(&seen.len()) {
        return None;
    }
    // 0 and 255 alone are a mask of two classes.
    let has_void = seen.contains(&VOID) && seen.iter().any(|number| ![0, VOID].contains(number));
    let values: Vec<u16> = seen.into_iter().filter(|number| !(has_void && *number == VOID)).collect();
    let names: Vec<String> = values.iter().map(|number| quoted(&format!("class_{number}"))).collect();
    let mut card =
        format!("\n[pixels]\nclasses = [{}]  # write their names; numbers seen in {read} of {} maps\n", names.join(", "), files.len());
    if !values.iter().copied().eq(0..values.len() as u16) {
        card += &format!("values = [{}]\n", values.iter().map(u16::to_string).collect::<Vec<_>>().join(", "));
    }
    card += match (has_void, values.contains(&VOID)) {
        (true, _) => "void = [255]  # pixels that count for nothing; is 0 one, too?\n",
        (false, true) => "void = []\n",
        (false, false) => "",
    };
    let longer = height.max(width);
    let side = |side: usize| if longer > USUAL { (side * USUAL).div_ceil(longer) } else { side };
    card +=
        &format!("size = [{}, {}]  # height, width of maps and sensors; most maps have {height} x {width}\n", side(height), side(width));
    Some(card)
}
