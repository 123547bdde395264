//! Kinetics-Sounds: actions that can be seen and heard.

use super::crema_d::middle_frame;
use super::disk::{found, names};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) const READER: Reader = Reader {
    name: "kinetics-sounds",
    about: "clips of actions that can be seen and heard, a selection of Kinetics-400",
    licence: "annotations CC BY 4.0; the videos belong to those who put them on YouTube",
    how: "The list of clips comes with Kinetics-400 (github.com/cvdfoundation/kinetics-dataset), the choice of classes with \
          github.com/GeWu-Lab/OGM-GE_CVPR2022. Take sounds and pictures from the videos with ffmpeg: `ffmpeg -i V.mp4 -ac 1 -ar 16000 \
          audio/train/CLASS/V.wav` and `ffmpeg -i V.mp4 -vf fps=1 visual/train_img/Image-01-FPS/CLASS/V/%05d.jpg`; test clips go into audio/test \
          and visual/val_img",
    prepare,
};

/// Of shorter films there is no picture worth the name; the references leave them out too.
const LEAST_FRAMES: usize = 3;
/// Every tenth training clip of a class chooses the model: the published split has no validation part.
const VALIDATES: usize = 10;

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let mut rows = Vec::new();
    for (part, seen, heard) in [("train", "train_img", "train"), ("test", "val_img", "test")] {
        let seen = found(request.root.join("visual").join(seen).join("Image-01-FPS"), "the pictures", READER.how)?;
        let heard = found(request.root.join("audio").join(heard), "the sounds", READER.how)?;
        let (mut short, mut silent, mut unseen) = (0, 0, 0);
        for class in names(&seen)? {
            let mut sounds = sounds(&heard.join(&class))?;
            for (number, video) in names(&seen.join(&class))?.into_iter().enumerate() {
                // Together by name: the references pair sorted lists by place, so that a clip left out of one list shifts all behind it.
                let sound = sounds.remove(&video);
                let folder = seen.join(&class).join(&video);
                if names(&folder)?.len() < LEAST_FRAMES {
                    short += 1;
                    continue;
                }
                let image = middle_frame(&folder)?.map(|path| output.place(&path)).transpose()?.unwrap_or_default();
                silent += usize::from(sound.is_none());
                let sound = sound.map(|path| output.place(&path)).transpose()?.unwrap_or_default();
                let chosen = if part == "train" && number.is_multiple_of(VALIDATES) { "validation" } else { part };
                rows.push([&format!("{class}/{video}"), &sound, &image, &class, part, chosen].map(String::from).to_vec());
            }
            unseen += sounds.len();
        }
        if short + silent + unseen > 0 {
            output.remark(format!(
                "{part}: {short} clips with less than {LEAST_FRAMES} pictures are left out, {silent} have no sound (it counts as absent), {unseen} sounds \
                 have no pictures and are left out"
            ));
        }
    }
    if rows.is_empty() {
        return Err(Error::content(request.root, "holds no clips: visual/train_img/Image-01-FPS has a folder for each class, with one for each clip"));
    }
    output.card("kinetics-sounds.toml", include_str!("cards/kinetics-sounds.toml"))?;
    output.card("kinetics-sounds-published.toml", include_str!("cards/kinetics-sounds-published.toml"))?;
    output.table("samples.csv", &["id", "audio", "image", "label", "official", "part"], &rows)
}

/// The sounds of a class by the name of their clip.
fn sounds(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    if !folder.is_dir() {
        return Ok(BTreeMap::new());
    }
    let named = |name: String| {
        let stem = Path::new(&name).file_stem()?.to_str()?.to_string();
        Some((stem, folder.join(name)))
    };
    Ok(names(folder)?.into_iter().filter_map(named).collect())
}
