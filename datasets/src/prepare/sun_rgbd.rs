//! SUN RGB-D: rooms by four kinds of depth cameras, 37 classes.

use super::disk::{found, lines, names, text};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) const READER: Reader = Reader {
    name: "sun-rgbd",
    about: "10,335 frames of rooms by four kinds of depth cameras, 37 classes (SUN RGB-D)",
    licence: "none stated",
    how: "Unpack rgbd.cs.princeton.edu/data/SUNRGBD.zip into the folder: it holds SUNRGBD/kv2/kinect2data/.../image/0000121.jpg and depth_bfx beside \
          `image`. From github.com/ankurhanda/sunrgbd-meta-data put sunrgbd_training_images.txt and sunrgbd_testing_images.txt beside it, and unpack \
          sunrgbd_test_train_labels.tar.gz into the folder `labels` (img-000001.png to img-010335.png, those of the test first)",
    prepare,
};

const HEADER: [&str; 8] = ["id", "rgb", "depth", "raw_depth", "label", "place", "official", "part"];

/// A frame of a list: where its picture is, and its place, by which frames belong together.
struct Frame {
    image: PathBuf,
    folder: PathBuf,
    id: String,
    place: String,
    official: &'static str,
}

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let root = request.root;
    let labels = labels(&found(root.join("labels"), "the classes of the pixels", READER.how)?)?;
    // The label maps are numbered through: those of the test come first.
    let mut frames = Vec::new();
    for (list, official) in [("sunrgbd_testing_images.txt", "test"), ("sunrgbd_training_images.txt", "train")] {
        frames.extend(listed(root, &found(root.join(list), "a list of the published split", READER.how)?, official)?);
    }
    let places: BTreeSet<&String> = frames.iter().filter(|frame| frame.official == "train").map(|frame| &frame.place).collect();
    // The published split has no validation: every tenth place of the training chooses the model.
    let validates: BTreeSet<String> = places.into_iter().skip(9).step_by(10).cloned().collect();
    let (mut rows, mut absent) = (Vec::new(), 0);
    for (number, frame) in (1..).zip(&frames) {
        let missing = || Error::Missing {
            path: root.join(format!("labels/img-{number:06}.png")),
            what: format!("the classes of the pixels of {}", frame.id),
            how: READER.how.into(),
        };
        let label = labels.get(&number).ok_or_else(missing)?;
        let mut row = vec![frame.id.clone()];
        let images = [Some(frame.image.clone()).filter(|image| image.is_file()), only(&frame.folder.join("depth_bfx")), only(&frame.folder.join("depth"))];
        absent += images.iter().take(2).filter(|image| image.is_none()).count();
        for image in images {
            row.push(image.map(|image| output.place(&image)).transpose()?.unwrap_or_default());
        }
        let part = if frame.official == "train" && validates.contains(&frame.place) { "validation" } else { frame.official };
        row.extend([output.place(label)?, frame.place.clone(), frame.official.into(), part.into()]);
        rows.push(row);
    }
    if absent > 0 {
        output.remark(format!("{absent} images are not there: their sensors count as absent"));
    }
    let card = |name: &str, part: &str, about: &str| {
        include_str!("cards/sun-rgbd.toml").replace("NAME", name).replace("PART", part).replace("ABOUT", about)
    };
    output.card("sun-rgbd.toml", &card("sun-rgbd", "part", "Models are chosen by every tenth place of the published training."))?;
    output.card("sun-rgbd-published.toml", &card("sun-rgbd-published", "official", "The published split, which has no validation."))?;
    output.table("samples.csv", &HEADER, &rows)
}

/// The frames of a list.
fn listed(root: &Path, list: &Path, official: &'static str) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    for (line, entry) in lines(&text(list)?) {
        let parts: Vec<&str> = entry.split('/').collect();
        let (Some(&place), Some(folder)) = (parts.get(3), entry.strip_suffix(parts[parts.len() - 1]).and_then(|path| path.strip_suffix("/image/"))) else {
            let example = "SUNRGBD/kv2/kinect2data/000065_2014-05-16_20-14-38_260595134347_rgbf000121-resize/image/0000121.jpg";
            return Err(Error::line(list, line, format!("`{entry}`: expected a picture such as {example}")));
        };
        if parts.contains(&"..") {
            return Err(Error::line(list, line, format!("`{entry}` leads out of the folder")));
        }
        let id = folder.strip_prefix("SUNRGBD/").unwrap_or(folder).to_string();
        frames.push(Frame { image: root.join(entry), folder: root.join(folder), id, place: place.into(), official });
    }
    Ok(frames)
}

/// The label maps by the number that their names end in.
fn labels(folder: &Path) -> Result<BTreeMap<usize, PathBuf>> {
    let mut labels = BTreeMap::new();
    for name in names(folder)? {
        let number = name.strip_suffix(".png").and_then(|name| name.rsplit_once('-')).and_then(|(_, digits)| digits.parse::<usize>().ok());
        labels.extend(number.map(|number| (number, folder.join(&name))));
    }
    Ok(labels)
}

/// The PNG file of a folder that has one.
fn only(folder: &Path) -> Option<PathBuf> {
    let names = names(folder).ok()?;
    names.into_iter().find(|name| name.ends_with(".png")).map(|name| folder.join(name))
}
