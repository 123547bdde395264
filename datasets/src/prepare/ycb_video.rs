//! YCB-Video: 21 household things on tables, filmed by camera and depth sensor.

use super::disk::{found, lines, names, text};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) const READER: Reader = Reader {
    name: "ycb-video",
    about: "frames of 92 films of 21 household things on tables, by camera and depth sensor (YCB-Video)",
    licence: "MIT",
    how: "Get YCB_Video_Dataset.zip at rse-lab.cs.washington.edu/projects/posecnn and unpack it. The folder holds data/0000/000001-color.png, \
          -depth.png and -label.png, and the published lists image_sets/train.txt and image_sets/keyframe.txt (lines such as 0048/000001)",
    prepare,
};

/// Of the published test films the first is 48, the last 59.
const TESTED: std::ops::RangeInclusive<u32> = 48..=59;
/// Neighbouring frames hardly differ: of the films for training every so many is taken.
const STRIDE: u32 = 10;
/// Films whose frames choose the model: every tenth of the training.
const VALIDATES: u32 = 10;

const HEADER: [&str; 6] = ["id", "rgb", "depth", "label", "film", "part"];

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let data = found(request.root.join("data"), "the films", READER.how)?;
    let lists = request.root.join("image_sets");
    let frames = match lists.is_dir() {
        true => published(&lists)?,
        false => {
            output.remark(format!(
                "without the lists in image_sets every {STRIDE}th frame is taken; films 48 to 59 are the test, as published, and a film cut into three where there are no others"
            ));
            found_frames(&data)?
        }
    };
    let (mut rows, mut absent) = (Vec::new(), 0);
    for (film, frame, part) in frames {
        let file = |what: &str| data.join(&film).join(format!("{frame}-{what}.png"));
        let label = found(file("label"), "the classes of the pixels of a frame", READER.how)?;
        let mut row = vec![format!("{film}/{frame}")];
        for what in ["color", "depth"] {
            let image = file(what);
            absent += usize::from(!image.is_file());
            row.push(if image.is_file() { output.place(&image)? } else { String::new() });
        }
        row.extend([output.place(&label)?, format!("film {film}"), part.into()]);
        rows.push(row);
    }
    if absent > 0 {
        output.remark(format!("{absent} images are not there: their sensors count as absent"));
    }
    output.card("ycb-video.toml", include_str!("cards/ycb-video.toml"))?;
    output.table("samples.csv", &HEADER, &rows)
}

/// Film, frame and part of each sample.
type Frames = Vec<(String, String, &'static str)>;

fn number(film: &str) -> u32 {
    film.parse().unwrap_or_default()
}

/// By the published lists: of the training every tenth frame, of the test the key frames, which published figures are from.
fn published(lists: &Path) -> Result<Frames> {
    let mut frames = Frames::new();
    for (list, is_test) in [("train.txt", false), ("keyframe.txt", true)] {
        let list = found(lists.join(list), "a list of the published split", READER.how)?;
        for (line, entry) in lines(&text(&list)?) {
            let parts = entry.split_once('/').filter(|(film, frame)| [film, frame].iter().all(|part| is_number(part)));
            let is_rendered = entry.starts_with("data_syn/");
            let (film, frame) = match parts {
                // 80,000 rendered frames are part of the list, and not of this data set of real ones.
                _ if is_rendered => continue,
                Some(parts) => parts,
                None => return Err(Error::line(&list, line, format!("`{entry}`: expected a film and a frame, such as 0048/000001"))),
            };
            let part = match (is_test, number(film) % VALIDATES) {
                (true, _) => "test",
                (false, 9) => "validation",
                (false, _) => "train",
            };
            if is_test || number(frame) % STRIDE == 1 {
                frames.push((film.into(), frame.into(), part));
            }
        }
    }
    Ok(frames)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// All frames that are there; a single film is cut into three.
fn found_frames(data: &Path) -> Result<Frames> {
    let films: Vec<String> = names(data)?.into_iter().filter(|film| is_number(film)).collect();
    let parts: BTreeSet<bool> = films.iter().map(|film| TESTED.contains(&number(film))).collect();
    let mut frames = Frames::new();
    for film in &films {
        let folder: PathBuf = data.join(film);
        let labels = names(&folder)?;
        let all: Vec<&str> = labels.iter().filter_map(|name| name.strip_suffix("-label.png")).filter(|frame| is_number(frame)).collect();
        // Of a short excerpt all are taken.
        let stride = if all.len() > 10 * STRIDE as usize { STRIDE } else { 1 };
        for (at, frame) in all.iter().enumerate().filter(|(_, frame)| number(frame) % stride == 1 % stride) {
            let part = match (parts.len(), TESTED.contains(&number(film)), number(film) % VALIDATES) {
                (2, true, _) => "test",
                (2, false, 9) => "validation",
                (2, false, _) => "train",
                _ => ["train", "train", "train", "validation", "test"][at * 5 / all.len()],
            };
            frames.push((film.clone(), frame.to_string(), part));
        }
    }
    match frames.is_empty() {
        true => Err(Error::Missing { path: data.join("0000/000001-label.png"), what: "frames".into(), how: READER.how.into() }),
        false => Ok(frames),
    }
}
