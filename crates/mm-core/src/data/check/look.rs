//! What can be told of one reading without a model: its form, its length, what looks broken, and by what equal ones are found.

use super::alike::Signature;
use crate::data::audio::{Sound, Stft};
use crate::data::image::{Bitmap, Format, ImageError, Samples, colored, thumbnail};
use crate::data::number::{fits, says_no_number};
use crate::data::{Array, Values};
use serde::Serialize;
use twox_hash::XxHash3_64;

/// Longer side of a picture of a reading.
const PICTURE: usize = 96;
/// Vectors of more numbers are not followed variable by variable.
const MOST_VARIABLES: usize = 4096;
/// Letters of a text that are shown.
const SHOWN: usize = 160;

/// One reading, looked at.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What readings of one sensor usually share, such as `("depth", "8 bit")`.
    pub form: Vec<(&'static str, String)>,
    /// Height and width of what the file holds, where that is an image.
    pub size: Option<[usize; 2]>,
    /// How long it is, and in what unit, where readings have a length.
    pub length: Option<(f64, &'static str)>,
    /// What looks broken, each once.
    pub flaws: Vec<Flaw>,
    /// Equal for readings of equal content, whatever their files are called or compressed by.
    pub content: u64,
    /// By what images are found that look alike.
    pub signature: Option<Signature>,
    /// Names of the columns of a text that is read by their order; none of them where it has no names.
    pub names: Option<Vec<String>>,
    /// By channel of a series, whether it rises as a time does.
    pub rising: Vec<bool>,
    /// The numbers of a vector that is not long.
    pub values: Option<Vec<f64>>,
    /// A picture of it as a PNG file, where it was asked for.
    pub picture: Option<Vec<u8>>,
    /// The beginning of a text.
    pub text: Option<String>,
}

/// What looks broken about a reading, or may surprise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// Values that are NaN or infinite.
    NonFinite,
    /// A text without a letter.
    Empty,
    /// A text that stands for none, such as `N/A`.
    NoText,
    /// Nothing but zeros: a black image, digital silence.
    Zero,
    /// One value throughout, other than 0.
    Constant,
    /// A sound below -60 dB of full scale.
    Silent,
    /// A sound of which, near full scale, at least one sample in a thousand lies in a run of three or more at its peak.
    Clipped,
    /// A sound of two channels that cancel each other where a model gets their mean.
    Opposed,
    /// Longer than what a model gets of it.
    Cut,
    /// An image or a rate that is brought to more than twice its size.
    Enlarged,
    /// The ending of the file is that of another format.
    Ending,
}

impl Flaw {
    /// Whether there is nothing to learn from it.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Empty | Self::Zero | Self::Constant | Self::Silent)
    }
}

impl Look {
    /// Of numbers in the form that a model gets.
    pub fn of_array(array: &Array) -> Self {
        let values = array.filled();
        let mut look = Self { form: vec![("shape", format!("{:?}", array.shape))], flaws: flaws(&values), ..Self::default() };
        look.length = array.length.map(|length| (length as f64, "steps"));
        // Zeros of both signs are the same number.
        let bits: Vec<u64> = values.iter().map(|x| (x + 0.0).to_bits()).collect();
        look.content = hash(bytemuck::cast_slice(&bits));
        look.values = Some(values).filter(|values| array.shape.len() == 1 && values.len() <= MOST_VARIABLES);
        if array.length.is_some() || matches!(&array.values, Values::F32(values) if values.len() > MOST_VARIABLES) {
            look.values = None;
        }
        look
    }

    /// Of a reading with a value that is not finite, wherever it is: nothing else is wrong with it then.
    pub(in crate::data) fn not_finite(self) -> Self {
        Self { flaws: vec![Flaw::NonFinite], values: None, ..self }
    }

    /// The same where a NaN is a number that was not measured, and no flaw.
    pub(super) fn of_gapped(array: &Array) -> Self {
        let look = Self::of_array(array);
        let measured: Vec<f64> = array.filled().into_iter().filter(|x| !x.is_nan()).collect();
        match measured.len() == array.values.len() {
            true => look,
            false => Self { flaws: flaws(&measured), values: None, ..look },
        }
    }

    /// Of a series in the form that a model gets, whose file holds so many steps, of which a model gets so many.
    pub(in crate::data) fn of_series(array: &Array, time: usize, steps: usize, names: Option<Vec<String>>) -> Self {
        let mut look = Self { length: Some((time as f64, "steps")), names, ..Self::of_array(array) };
        if time > steps {
            look.flaws.push(Flaw::Cut);
        }
        look
    }

    /// Of an image as its file holds it, which a model gets in this size.
    pub fn of_bitmap(bitmap: &Bitmap, format: Option<Format>, size: [usize; 2], picture: bool) -> std::result::Result<Self, ImageError> {
        let (bits, bytes, flaws) = match &bitmap.samples {
            Samples::U8(samples) => ("8 bit", samples.as_slice(), whole(samples)),
            Samples::U16(samples) => ("16 bit", bytemuck::cast_slice(samples), whole(samples)),
            Samples::F32(samples) => ("floating point", bytemuck::cast_slice(samples), flaws(samples)),
        };
        let colors = ["grey", "grey and alpha", "RGB", "RGB and alpha"];
        let mut look = Self {
            form: vec![
                ("size", size_in_words([bitmap.height, bitmap.width])),
                ("colours", colors[bitmap.channels.clamp(1, 4) - 1].into()),
                ("depth", bits.into()),
            ],
            flaws,
            size: Some([bitmap.height, bitmap.width]),
            content: hash_of(&[bitmap.width, bitmap.height, bitmap.channels], bytes),
            ..Self::default()
        };
        look.form.extend(format.map(|format| ("format", format.to_string())));
        if size[0] > 2 * bitmap.height || size[1] > 2 * bitmap.width {
            look.flaws.push(Flaw::Enlarged);
        }
        look.signature = Signature::of(bitmap)?;
        look.picture = if picture { Some(thumbnail(bitmap, PICTURE)?) } else { None };
        Ok(look)
    }

    /// Of a sound as its file holds it, of which a model gets so many seconds at a rate.
    pub fn of_sound(sound: &Sound, seconds: f64, rate: u32, picture: bool) -> Self {
        let length = sound.channels[0].len();
        let channels = match sound.channels.len() {
            1 => "mono".into(),
            2 => "stereo".into(),
            more => format!("{more} channels"),
        };
        let mut flaws = sound.channels.iter().map(|channel| flaws(channel)).reduce(|all, one| {
            // Broken is what is broken in every channel; one that is not finite is enough.
            all.iter().filter(|flaw| one.contains(flaw)).chain(one.iter().filter(|f| **f == Flaw::NonFinite)).copied().collect()
        });
        let flaws = flaws.get_or_insert_default();
        flaws.dedup();
        if !flaws.iter().any(|flaw| flaw.is_dead()) && sound.channels.iter().all(|channel| is_silent(channel)) {
            flaws.push(Flaw::Silent);
        }
        if sound.channels.iter().any(|channel| is_clipped(channel)) {
            flaws.push(Flaw::Clipped);
        }
        let taken = length as f64 / f64::from(sound.rate);
        if taken > 1.05 * seconds {
            flaws.push(Flaw::Cut);
        }
        if rate > 2 * sound.rate {
            flaws.push(Flaw::Enlarged);
        }
        let hashes: Vec<u64> = sound.channels.iter().map(|channel| hash(bytemuck::cast_slice(channel))).collect();
        Self {
            form: vec![("rate", format!("{} Hz", sound.rate)), ("channels", channels)],
            length: Some((taken, "seconds")),
            flaws: std::mem::take(flaws),
            content: hash_of(&[sound.rate as usize, length], bytemuck::cast_slice(&hashes)),
            picture: picture.then(|| spectrogram(&sound.channels[0])).flatten(),
            ..Self::default()
        }
    }

    /// Remarks a sound whose channels cancel each other in their mean, which is what a model gets of it.
    pub(in crate::data) fn averaged(mut self, sound: &Sound) -> Self {
        if let [left, right] = sound.channels.as_slice() {
            let power = |of: &dyn Fn(f32, f32) -> f32| left.iter().zip(right).map(|(&l, &r)| f64::from(of(l, r)).powi(2)).sum::<f64>();
            let (mean, apart) = (power(&|l, r| (l + r) / 2.0), power(&|l, r| (l - r) / 2.0));
            // 40 dB below.
            if apart > 0.0 && mean < 1e-4 * apart {
                self.flaws.push(Flaw::Opposed);
            }
        }
        self
    }

    /// Of a text.
    pub fn of_text(text: &str) -> Self {
        let words = text.split_whitespace().count();
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        Self {
            length: Some((words as f64, "words")),
            flaws: match text.chars().any(char::is_alphanumeric) {
                true if says_no_number(text.trim()) => vec![Flaw::NoText],
                true => Vec::new(),
                false => vec![Flaw::Empty],
            },
            content: hash(text.trim().as_bytes()),
            text: Some(format!("{}{more}", shown.trim())),
            ..Self::default()
        }
    }

    /// Remarks a file whose ending is that of another format.
    pub(in crate::data) fn with_ending(mut self, path: &std::path::Path, format: Option<Format>) -> Self {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if format.is_some_and(|format| !format.endings().contains(&ending.as_str())) {
            self.flaws.push(Flaw::Ending);
        }
        self
    }
}

/// In the order of cards, and for those who expect the other one.
pub(super) fn size_in_words([height, width]: [usize; 2]) -> String {
    format!("{height} high x {width} wide")
}

fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// Of a content together with its form.
fn hash_of(form: &[usize], bytes: &[u8]) -> u64 {
    let parts: Vec<u64> = form.iter().map(|n| *n as u64).chain([hash(bytes)]).collect();
    hash(bytemuck::cast_slice(&parts))
}

/// Of numbers that are always finite.
fn whole<T: Copy + PartialEq + Default>(values: &[T]) -> Vec<Flaw> {
    match values.first() {
        Some(first) if values.iter().all(|x| x == first) => vec![if *first == T::default() { Flaw::Zero } else { Flaw::Constant }],
        _ => Vec::new(),
    }
}

/// Of any numbers; a single one is never called constant.
fn flaws<T: Copy + PartialEq + Default + Into<f64>>(values: &[T]) -> Vec<Flaw> {
    if values.iter().any(|&x| !fits(x.into())) {
        return vec![Flaw::NonFinite];
    }
    if values.len() < 2 { Vec::new() } else { whole(values) }
}

/// A root of the mean square below -60 dB of full scale.
fn is_silent(samples: &[f32]) -> bool {
    let power: f64 = samples.iter().map(|&x| f64::from(x).powi(2)).sum();
    (power / samples.len().max(1) as f64).sqrt() < 1e-3
}

/// Whether the peak is near full scale, and one sample in a thousand stays there for three or more: a clean tone, however high, stays for two
/// at most, where its period is an even number of samples.
fn is_clipped(samples: &[f32]) -> bool {
    let peak = samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
    let at_peak = |x: &f32| x.abs() >= peak - 1e-4;
    let runs = samples.chunk_by(|a, b| at_peak(a) && at_peak(b) && a.signum() == b.signum());
    let flat: usize = runs.map(<[f32]>::len).filter(|length| *length >= 3).sum();
    peak >= 0.98 && flat * 1000 >= samples.len()
}

/// Loudness over time (to the right) and frequency (upwards), 70 dB from black to white.
fn spectrogram(samples: &[f32]) -> Option<Vec<u8>> {
    const WIDTH: usize = 160;
    const DECIBELS: f32 = 70.0;
    let n_fft = 256.min(samples.len() / 2 * 2).max(2);
    let stft = Stft::new(n_fft, (n_fft / 2).min(samples.len().div_ceil(WIDTH)).max(1)).ok()?;
    let (bins, frames) = (stft.bins(), stft.frames(samples.len()));
    let levels = stft.log_magnitudes(samples).ok()?;
    let loudest = levels.iter().fold(f32::MIN, |a, &b| a.max(b));
    let (width, height) = (WIDTH.min(frames), bins.min(64));
    let brightness = |row: usize, column: usize| {
        let (bin, frame) = (bins - 1 - row * bins / height, column * frames / width);
        // Natural logarithms of magnitudes: 20 / ln(10) decibels each.
        (1.0 + (levels[bin * frames + frame] - loudest) * 8.686 / DECIBELS).clamp(0.0, 1.0)
    };
    let pixels: Vec<f32> = (0..height).flat_map(|row| (0..width).map(move |column| brightness(row, column))).collect();
    colored(&pixels, [height, width]).ok()
}
