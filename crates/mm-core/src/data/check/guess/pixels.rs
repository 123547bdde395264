//! Label maps: which files are some, and the settings of them.

use super::column::key;
use super::quoted;
use crate::data::label_maps::{Numbers, numbers};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What folders and columns of label maps are called.
pub(super) const MAPS: [&str; 12] =
    ["label", "label_map", "mask", "segmentation", "annotation", "ground_truth", "semantic", "class_map", "truth", "seg", "gt", "target"];
/// A further word for images that show classes.
const INSTANCE: &str = "instance";
/// Maps that are looked at.
const LOOKED_AT: usize = 256;
/// More different numbers than this are the levels of a photograph.
pub(super) const MOST_CLASSES: usize = 200;
/// So many things are hardly in one picture.
const MOST_OF_A_FILE: usize = 64;
/// So few are classes, whatever the column is called.
pub(super) const FEW_CLASSES: usize = 32;
/// Longer side that is enough for a start.
const USUAL: usize = 160;
/// What most public data sets write for void.
const VOID: u16 = 255;

/// Label maps that were found.
pub(super) struct Maps {
    /// `[pixels]` of a card.
    pub card: String,
    pub void: Vec<u16>,
}

/// Whether a word of a name is one for label maps.
pub(in crate::data::check) fn called_as_maps(name: &str) -> bool {
    key(name).split('_').any(|word| MAPS.iter().chain([&INSTANCE]).any(|map| word == *map || word.strip_suffix('s') == Some(map)))
}

/// By some of the files; an error says why they are none: no file is one, or they hold one number or more than `most`.
pub(super) fn of_maps(files: &[PathBuf], most: usize) -> Result<Maps, String> {
    let step = files.len().div_ceil(LOOKED_AT).max(1);
    let (mut seen, mut sizes): (BTreeSet<u16>, BTreeMap<[usize; 2], usize>) = Default::default();
    let (mut read, mut refused, mut of_photographs) = (0, None, 0);
    for file in files.iter().step_by(step) {
        match std::fs::read(file).map_err(|error| format!("cannot be read: {error}")).and_then(|bytes| numbers(&bytes)) {
            Ok(Numbers { height, width, numbers, .. }) => {
                let of_file = BTreeSet::from_iter(numbers);
                of_photographs += usize::from(of_file.len() > MOST_OF_A_FILE);
                seen.extend(of_file);
                *sizes.entry([height, width]).or_default() += 1;
                read += 1;
            }
            Err(problem) => refused = refused.or_else(|| Some(format!("{} {problem}", file.display()))),
        }
    }
    let Some((&[height, width], _)) = sizes.iter().max_by_key(|(_, count)| **count) else {
        return Err(refused.unwrap_or_else(|| "it names no file".into()));
    };
    if 2 * of_photographs > read {
        return Err(format!("most of its files hold more than {MOST_OF_A_FILE} different numbers, as photographs do"));
    }
    match seen.len() {
        1 => return Err(format!("all pixels of its files are {}", seen.first().copied().unwrap_or_default())),
        count if count > most => {
            let advice = "if they are, write [pixels] in a card yourself (docs/src/kinds/pixels.md)";
            return Err(format!("its files hold {count} different numbers, and more than {most} are not guessed to be classes; {advice}"));
        }
        _ => {}
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
    let void = if has_void { vec![VOID] } else { Vec::new() };
    Ok(Maps { card, void })
}
