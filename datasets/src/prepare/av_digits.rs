//! Spoken and written digits as one table: a FLAC file a speaker with words end to end, and MNIST's images in one compressed file.

use super::disk::found;
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

pub(super) const READER: Reader = Reader {
    name: "av-digits",
    about: "3,000 pairs of a spoken and a written digit, six speakers",
    licence: "CC BY-SA 4.0",
    how: "The folder holds pairs.csv, images-idx3-ubyte.gz and a FLAC file for each speaker; `fsdd` makes the same task from the original sources",
    prepare,
};

/// Most bytes that the images may unpack to.
const MOST: u64 = 1 << 28;

/// A line of `pairs.csv`: row `sample` of the images, and a part of the speaker's sound.
#[derive(Deserialize)]
struct Pair {
    sample: u64,
    digit: u32,
    speaker: String,
    take: u32,
    start: u64,
    length: u64,
    official_split: String,
}

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let table = found(request.root.join("pairs.csv"), "the table of pairs", READER.how)?;
    let packed = found(request.root.join("images-idx3-ubyte.gz"), "the images", READER.how)?;
    let mut reader = csv::Reader::from_path(&table).map_err(|e| Error::content(&table, e.to_string()))?;
    let (mut rows, mut sounds) = (Vec::new(), BTreeMap::<String, PathBuf>::new());
    for (line, pair) in (2..).zip(reader.deserialize()) {
        let Pair { sample, digit, speaker, take, start, length, official_split } = pair.map_err(|e| Error::line(&table, line, e.to_string()))?;
        if !sounds.contains_key(&speaker) {
            let path = found(request.root.join(format!("{speaker}.flac")), "the words of a speaker", READER.how)?;
            sounds.insert(speaker.clone(), path);
        }
        let held_out = if ["theo", "lucas"].contains(&speaker.as_str()) { "test" } else { "train" };
        let id = format!("{digit}_{speaker}_{take}");
        let sound = output.place(&sounds[&speaker])?;
        let numbers = [sample.to_string(), "1".into()].into_iter();
        let words = [sound, start.to_string(), length.to_string(), digit.to_string(), speaker, official_split, held_out.into()];
        rows.push([id, "images.idx3-ubyte".into()].into_iter().chain(numbers).chain(words).collect());
    }
    let mut images = Vec::new();
    let file = std::fs::File::open(&packed).map_err(Error::io(&packed))?;
    GzDecoder::new(file).take(MOST + 1).read_to_end(&mut images).map_err(Error::io(&packed))?;
    if images.len() as u64 > MOST {
        return Err(Error::content(&packed, format!("unpacks to more than {MOST} bytes")));
    }
    output.card("av-digits.toml", include_str!("cards/av-digits.toml"))?;
    output.card("av-digits-speakers.toml", include_str!("cards/av-digits-speakers.toml"))?;
    output.file("images.idx3-ubyte", &images)?;
    let header =
        ["id", "image", "image.start", "image.length", "sound", "sound.start", "sound.length", "label", "speaker", "official", "held_out"];
    output.table("samples.csv", &header, &rows)
}
