//! What can be wrong with a sound.

use std::ops::Range;
use std::path::PathBuf;

/// A file that is no sound, is damaged or does not hold what was asked of it, and sounds that a transform cannot take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AudioError {
    /// A file of another format, or of a variant that is not read.
    #[error(
        "{} cannot be read as WAV, FLAC, MP3 or Ogg Vorbis: {problem}; convert it, for example with `ffmpeg -i FILE NEW.flac`",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        problem: String,
    },
    /// A file whose contents contradict themselves, or that ends too early.
    #[error("{} is damaged at sample {sample}: {problem}; get the file again or leave it out", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first sample that is not as it was written, counted from 0.
        sample: u64,
        /// What the decoder says.
        problem: String,
    },
    /// A file without samples.
    #[error("{} holds no samples; leave it out", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A part that is empty or that ends after the file does.
    #[error("{}: samples {} to {} were asked for, but it has {length}; correct `start` and `length`", path.display(), part.start, end(part.end))]
    Part {
        /// The file.
        path: PathBuf,
        /// The samples that were asked for.
        part: Range<u64>,
        /// How many samples the file has.
        length: u64,
    },
    /// More samples than are held in memory.
    #[error(
        "{} has more than {most} samples ({channels} channels counted together), which is more than is read at once; \
         name parts of the file by start and length, or split it",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How many channels it has.
        channels: usize,
        /// How many samples are read at most, all channels together.
        most: usize,
    },
    /// Another number of channels than the settings ask for.
    #[error("{} has {}", path.display(), other_channels(*found, *expected))]
    Channels {
        /// The file.
        path: PathBuf,
        /// How many the settings ask for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A sound shorter than it must be.
    #[error("a sound of {found} samples is too short: {what} needs at least {least}; pad or repeat it (`length`), or leave it out")]
    Short {
        /// What needs more.
        what: &'static str,
        /// How many there must be.
        least: usize,
        /// How many there are.
        found: usize,
    },
}

/// What to do about another number of channels.
fn other_channels(found: usize, expected: usize) -> String {
    let asked = format!("but the settings ask for {expected}; set `channels` to");
    match found {
        1 => format!("one channel, {asked} 1, which takes the mean of files that have more"),
        _ => format!("{found} channels, {asked} {found}, or to 1 for their mean"),
    }
}

/// The end of a part; where none was given, it is that of the file.
fn end(end: u64) -> String {
    if end == u64::MAX { "its end".into() } else { end.to_string() }
}
