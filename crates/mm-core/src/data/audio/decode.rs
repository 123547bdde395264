//! From a file to samples: WAV, FLAC, MP3 and Ogg Vorbis, whole or in part.

use super::AudioError;
use crate::data::begins::begins_as;
use crate::data::unpacking::most_bytes;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as DecoderError;
use symphonia::core::formats::well_known::{FORMAT_ID_FLAC, FORMAT_ID_MP3, FORMAT_ID_WAVE};
use symphonia::core::formats::{FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::units::Timestamp;

/// Samples that one file, or the part of it that is asked for, may have, all channels together: 23 minutes of one channel at 48 kHz.
pub const MOST_SAMPLES: usize = 1 << 26;
/// Channels that a file may have.
const MOST_CHANNELS: usize = 64;
/// So many samples before a part are decoded and dropped where frames depend on those before them.
const WARM_UP: u64 = 1 << 15;

/// [`MOST_SAMPLES`], or what this thread may unpack.
pub(super) fn most_samples() -> usize {
    (most_bytes(4 * MOST_SAMPLES as u64) / 4) as usize
}

/// Samples of a sound. Integers are divided by their largest magnitude (16 bits: by 32,768), so they lie in [-1, 1); files of floating-point
/// numbers keep their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Samples by channel; all channels have the same number, at least one.
    pub channels: Vec<Vec<f32>>,
}

impl Sound {
    /// The mean of all channels.
    pub fn mixed(mut self) -> Vec<f32> {
        let count = self.channels.len() as f32;
        let mut mean = self.channels.swap_remove(0);
        for channel in &self.channels {
            mean.iter_mut().zip(channel).for_each(|(sum, sample)| *sum += sample);
        }
        if count > 1.0 {
            mean.iter_mut().for_each(|sum| *sum /= count);
        }
        mean
    }
}

/// Reads a file, or the samples `part` of it (start..end at the file's own rate, counted from 0; `u64::MAX` is its end).
///
/// A part of a FLAC or WAV file is sought, not decoded up to; so is one of an MP3 or Ogg Vorbis file, from two thirds of a second or more before
/// it, because frames depend on earlier ones. The samples are those that the whole file has at the same places.
pub fn read(path: &Path, part: Option<Range<u64>>) -> Result<Sound> {
    let file = File::open(path).map_err(Error::io(path))?;
    if path.is_dir() {
        return Err(Error::File { path: path.into(), problem: "is a folder, and a sound is a file: name one file".into() });
    }
    guarded(Box::new(file), path, part).map_err(|error| {
        let mut head = Vec::new();
        // A file that can be read no longer is what the decoder said of it.
        let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
        if read.is_ok() { foreign(error, &head) } else { error }
    })
}

/// Reads the bytes of a file as [`read`] does; `path` is for messages.
pub fn decode(bytes: &[u8], path: &Path, part: Option<Range<u64>>) -> Result<Sound> {
    guarded(Box::new(Cursor::new(bytes)), path, part).map_err(|error| foreign(error, &bytes[..bytes.len().min(64)]))
}

/// Says what a file of another format is, where its beginning tells; the decoder only says that it knows none.
fn foreign(error: Error, head: &[u8]) -> Error {
    match (error, begins_as(head)) {
        (Error::Audio(AudioError::Format { path, .. }), Some(what)) if !SOUNDS.contains(&what) => {
            AudioError::Format { path, problem: format!("it is {what}") }.into()
        }
        (error, _) => error,
    }
}

/// What the decoder knows more about than the beginning of a file says.
const SOUNDS: [&str; 4] = ["a WAV sound", "a FLAC sound", "an MP3 sound", "an Ogg file"];

/// The decoder of Ogg Vorbis (symphonia 0.6.1) panics at some damaged files: an assertion on codebooks, a division by zero.
fn guarded<'s>(source: Box<dyn MediaSource + 's>, path: &'s Path, part: Option<Range<u64>>) -> Result<Sound> {
    let failed = |_| Err(AudioError::Damaged { path: path.into(), sample: 0, problem: "its decoder failed".into() }.into());
    catch_unwind(AssertUnwindSafe(|| sound(source, path, part))).unwrap_or_else(failed)
}

fn sound<'s>(source: Box<dyn MediaSource + 's>, path: &'s Path, part: Option<Range<u64>>) -> Result<Sound> {
    let mut file = Opened::new(source, path, part.is_none())?;
    let asked = part.clone().unwrap_or(0..u64::MAX);
    let known = file.length.filter(|_| file.exact);
    // A part without an end goes to that of the file.
    let end = known.filter(|_| part.is_some() && asked.end == u64::MAX).unwrap_or(asked.end);
    let start = asked.start;
    let outside = |length| AudioError::Part { path: path.into(), part: asked.clone(), length };
    let too_long = |channels| AudioError::TooLong { path: path.into(), channels, most: most_samples() };
    if start >= end || part.is_some() && known.is_some_and(|length| end > length) {
        return Err(outside(file.length.unwrap_or(0)).into());
    }
    // How many there must be, where that is known.
    let wanted = if part.is_some() { (end < u64::MAX).then(|| end - start) } else { known };
    if wanted.is_some_and(|wanted| wanted.saturating_mul(file.channels as u64) > most_samples() as u64) {
        return Err(too_long(file.channels).into());
    }

    if !file.seek(start)? {
        return Err(outside(file.length.unwrap_or(0)).into());
    }
    let mut channels: Vec<Vec<f32>> = Vec::new();
    let mut samples: Vec<f32> = Vec::new();
    while file.next < end {
        let Some((at, block)) = file.block(start)? else { break };
        let (frames, count) = (block.frames() as u64, block.num_planes());
        // The samples of this block that lie in the part.
        let taken = start.saturating_sub(at).min(frames) as usize..end.saturating_sub(at).min(frames) as usize;
        samples.resize(block.samples_interleaved(), 0.0);
        block.copy_to_slice_interleaved(&mut samples);
        channels.resize(count, Vec::new());
        if (channels[0].len() + taken.len()).saturating_mul(count) > most_samples() {
            return Err(too_long(count).into());
        }
        for (channel, values) in channels.iter_mut().enumerate() {
            values.extend(samples[taken.start * count..taken.end * count].iter().skip(channel).step_by(count));
        }
    }
    let found = channels.first().map_or(0, Vec::len) as u64;
    match wanted {
        Some(wanted) if found < wanted && file.exact => Err(file.damaged(format!("it ends here, {} samples early", wanted - found))),
        Some(wanted) if found < wanted => Err(outside(file.next).into()),
        _ if found == 0 && part.is_some() => Err(outside(file.next).into()),
        _ if found == 0 => Err(AudioError::Empty { path: path.into() }.into()),
        _ if file.decoder.finalize().verify_ok == Some(false) => {
            file.next = 0;
            Err(file.damaged("its samples are not those that its checksum (MD5) is of"))
        }
        _ => Ok(Sound { rate: file.rate, channels }),
    }
}

/// A file that is being decoded.
struct Opened<'s> {
    format: Box<dyn FormatReader + 's>,
    decoder: Box<dyn AudioDecoder>,
    path: &'s Path,
    track: u32,
    rate: u32,
    /// As the head of the file says; 1 where it does not.
    channels: usize,
    /// How many samples there are, as the head of the file says.
    length: Option<u64>,
    /// Whether the head says so for sure, and each block where it lies: in FLAC and WAV.
    exact: bool,
    /// Whether blocks can be sought.
    seekable: bool,
    /// Where the format's clock stands at the first sample.
    first: i64,
    /// The place behind the last block.
    next: u64,
}

impl<'s> Opened<'s> {
    fn new(source: Box<dyn MediaSource + 's>, path: &'s Path, verify: bool) -> Result<Self> {
        let foreign = |problem: String| AudioError::Format { path: path.into(), problem };
        let stream = MediaSourceStream::new(source, Default::default());
        let probed = symphonia::default::get_probe().probe(&Default::default(), stream, Default::default(), Default::default());
        let format = probed.map_err(|e| foreign(e.to_string()))?;
        let track = format.default_track(TrackType::Audio).ok_or_else(|| foreign("it has no sound".into()))?;
        let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or_else(|| foreign("its codec is unknown".into()))?;
        let rate = parameters.sample_rate.filter(|&rate| rate > 0).ok_or_else(|| foreign("it does not state its sample rate".into()))?;
        let channels = parameters.channels.as_ref().map_or(1, |channels| channels.count());
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(foreign(format!("it has {channels} channels; 1 to {MOST_CHANNELS} are read")).into());
        }
        let kind = format.format_info().format;
        let exact = [FORMAT_ID_FLAC, FORMAT_ID_WAVE].contains(&kind);
        // The length of an MP3 file without an encoder's note of its delay may be a guess: nothing is cut or sought by it.
        let seekable = kind != FORMAT_ID_MP3 || track.delay.is_some();
        let options = AudioDecoderOptions::default().verify(verify).gapless(seekable);
        let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options);
        let decoder = decoder.map_err(|error| match error {
            DecoderError::Unsupported(_) => foreign("it is compressed in a way that is not read".into()),
            error => foreign(error.to_string()),
        })?;
        let (track, length, first) = (track.id, track.num_frames, track.start_ts.get().max(0));
        Ok(Self { format, decoder, path, track, rate, channels, length, exact, seekable, first, next: 0 })
    }

    /// Goes to a place from which the samples from `start` on can be decoded; false where the file ends before it.
    fn seek(&mut self, start: u64) -> Result<bool> {
        let from = if self.exact { start } else { start.saturating_sub(WARM_UP) };
        if from == 0 || !self.seekable {
            return Ok(true);
        }
        let ts = Timestamp::new(self.first.saturating_add_unsigned(from));
        match self.format.seek(SeekMode::Accurate, SeekTo::Timestamp { ts, track_id: self.track }) {
            Ok(sought) => {
                self.decoder.reset();
                self.next = self.place(sought.actual_ts, 0);
                Ok(true)
            }
            Err(DecoderError::SeekError(_)) => Ok(false),
            Err(e) => Err(self.damaged(e.to_string())),
        }
    }

    /// The next block with samples, and the place of its first. Before `start` errors are forgiven: a decoder may lack earlier blocks there.
    fn block(&mut self, start: u64) -> Result<Option<(u64, GenericAudioBufferRef<'_>)>> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(None),
                Err(DecoderError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                Err(DecoderError::ResetRequired) => return Err(self.damaged("another stream begins here; only the first can be read")),
                Err(e) => return Err(self.damaged(e.to_string())),
            };
            if packet.track_id != self.track {
                continue;
            }
            let at = self.place(packet.pts, packet.trim_start.get());
            if self.exact && at > self.next {
                return Err(self.damaged(format!("{} samples are missing", at - self.next)));
            }
            let decoded = self.decoder.decode(&packet).map(|block| (block.frames(), block.num_planes()));
            match decoded {
                Ok((0, _)) => {}
                Ok((_, planes)) if planes != self.channels => return Err(self.damaged(format!("from here on it has {planes} channels"))),
                Ok((frames, _)) => {
                    self.next = at + frames as u64;
                    return Ok(Some((at, self.decoder.last_decoded())));
                }
                Err(_) if at.saturating_add(packet.dur.get()) <= start => {}
                Err(e) => return Err(self.damaged(e.to_string())),
            }
        }
    }

    /// The place of a packet's first sample.
    fn place(&self, clock: Timestamp, trimmed: u64) -> u64 {
        clock.get().saturating_sub(self.first).saturating_add_unsigned(trimmed).max(0) as u64
    }

    /// At the place behind the last block.
    fn damaged(&self, problem: impl Into<String>) -> Error {
        AudioError::Damaged { path: self.path.into(), sample: self.next, problem: problem.into() }.into()
    }
}
