//! CREMA-D: sentences said by actors in six emotions, heard and seen.

use super::disk::{found, lines, names, text};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};
use std::path::{Path, PathBuf};

pub(super) const READER: Reader = Reader {
    name: "crema-d",
    about: "7,442 clips of 91 actors in six emotions (CREMA-D)",
    licence: "Open Database License 1.0",
    how: "Clone github.com/CheyneyComputerScience/CREMA-D with Git LFS. Its folder must hold AudioWAV/1001_DFA_ANG_XX.wav and the like, and one \
          picture a second of each clip, which ffmpeg makes: `for f in VideoFlash/*.flv; do d=Image-01-FPS/$(basename $f .flv); mkdir -p $d; \
          ffmpeg -i $f -vf fps=1 $d/%05d.jpg; done`. The published split, train.csv and test.csv (6,698 and 744 lines such as \
          1088_IOM_NEU_XX,NEU), comes with github.com/GeWu-Lab/OGM-GE_CVPR2022 and github.com/fanyunfeng-bit/Modal-Imbalance-PMR in data/CREMAD; put both files into the folder",
    prepare,
};

const CLASSES: [&str; 6] = ["NEU", "HAP", "SAD", "FEA", "DIS", "ANG"];

/// Actors whose training clips choose the model: nine of 91. The published split has no validation part, and its figures come from models that
/// were chosen by the test part.
fn validates(actor: &str) -> bool {
    actor.ends_with('0')
}

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let sounds = found(request.root.join("AudioWAV"), "the sounds", READER.how)?;
    let frames = found(request.root.join("Image-01-FPS"), "the pictures", READER.how)?;
    let (mut rows, mut silent, mut unseen) = (Vec::new(), 0, 0);
    for part in ["train", "test"] {
        let list = found(request.root.join(format!("{part}.csv")), "the published split", READER.how)?;
        for (line, text) in lines(&text(&list)?) {
            let wrong = |problem: &str| Error::line(&list, line, format!("`{text}`: {problem}"));
            let (clip, label) = text.split_once(',').ok_or_else(|| wrong("expected a clip and its emotion, such as 1088_IOM_NEU_XX,NEU"))?;
            let fields: Vec<&str> = clip.split('_').collect();
            let [actor, _, emotion, _] = fields[..] else { return Err(wrong("a clip is called like 1088_IOM_NEU_XX")) };
            if emotion != label || !CLASSES.contains(&label) {
                return Err(wrong("the emotion is one of NEU, HAP, SAD, FEA, DIS and ANG, in the name of the clip as behind it"));
            }
            let sound = sounds.join(format!("{clip}.wav"));
            let sound = if sound.is_file() { output.place(&sound)? } else { String::new() };
            let image = match middle_frame(&frames.join(clip))? {
                Some(path) => output.place(&path)?,
                None => String::new(),
            };
            silent += usize::from(sound.is_empty());
            unseen += usize::from(image.is_empty());
            let chosen = if part == "train" && validates(actor) { "validation" } else { part };
            let cells = [clip, &sound, &image, label, actor, part, chosen];
            rows.push(cells.map(String::from).to_vec());
        }
    }
    if silent + unseen > 0 {
        output.remark(format!("{silent} clips have no sound and {unseen} no picture: that sensor counts as absent there"));
    }
    output.card("crema-d.toml", include_str!("cards/crema-d.toml"))?;
    output.card("crema-d-published.toml", include_str!("cards/crema-d-published.toml"))?;
    output.table("samples.csv", &["id", "audio", "image", "label", "actor", "official", "part"], &rows)
}

/// The picture in the middle of a clip, without the first if there are others: at its beginning a clip is often black. The reference takes a
/// random one, in tests too.
pub(super) fn middle_frame(folder: &Path) -> Result<Option<PathBuf>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut frames = names(folder)?;
    if frames.len() > 1 {
        frames.remove(0);
    }
    Ok(frames.get(frames.len() / 2).map(|name| folder.join(name)))
}
