//! Files that hold a class for each pixel.

use super::image::turned;
use super::kinds::{Kind, Origin};
use super::{InputKind, InputSpec, PixelLabels, Target};
use crate::error::{Error, Result};
use crate::task::PixelClasses;
use ::image::metadata::Orientation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pixels of a map that is still read.
const LARGEST_PIXELS: u64 = 1 << 26;
/// Value of void where nothing is said, as in most public data sets.
const VOID: u16 = 255;

/// How label maps are read: PNG files of one number a pixel, grayscale (1 to 16 bits) or palette, of which the numbers count and not the
/// colours.
///
/// ```toml
/// [pixels]
/// classes = ["road", "car", "person"]
/// values = [7, 26, 24]      # the numbers of the classes in the files; otherwise 0, 1, 2, ..
/// void = [0, 255]           # pixels that count for nothing; otherwise [255]
/// size = [120, 160]         # height and width of maps and sensors; otherwise those that all sensors have
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelMaps {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The number of each class in the files, in their order; by default from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<u16>>,
    /// Numbers of pixels that count for nothing.
    #[serde(default = "void", skip_serializing_if = "is_default")]
    pub void: Vec<u16>,
    /// Height and width to which each map is brought, pixel by nearest pixel, and each sensor by the rules of its kind; by default those of
    /// the sensors, which all have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// The class whose IoU is the score; by default the mean over all classes is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_interest: Option<String>,
}

fn void() -> Vec<u16> {
    vec![VOID]
}

fn is_default(values: &[u16]) -> bool {
    *values == [VOID]
}

/// Of each number in a file, the label: `k + 1` for class `k`, 0 for void; `None` for a number that is neither.
type Lookup = Vec<Option<u16>>;

/// Pixels of a number that is neither a class nor void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The first of them, row by row.
    pub first: usize,
    /// How many there are.
    pub pixels: u64,
}

/// A map in the size of its file.
pub(super) struct AsItIs {
    /// Pixels of a number that is neither a class nor void are void.
    pub labels: PixelLabels,
    pub unknown: BTreeMap<u16, Unknown>,
    /// What the file holds.
    pub file: Numbers,
}

/// What a file of a label map holds.
pub(super) struct Numbers {
    pub height: usize,
    pub width: usize,
    /// Of each pixel, row by row.
    pub numbers: Vec<u16>,
    /// Colours by number; none of a grayscale file.
    pub palette: Vec<[u8; 3]>,
}

impl LabelMaps {
    /// For these classes, in the order of their numbers from 0; 255 is void.
    pub fn new<S: Into<String>>(classes: impl IntoIterator<Item = S>) -> Self {
        Self { classes: classes.into_iter().map(Into::into).collect(), values: None, void: void(), size: None, of_interest: None }
    }

    /// What is predicted.
    pub fn target(&self) -> Target {
        let classes = PixelClasses::new(self.classes.clone());
        Target::Pixels(self.of_interest.iter().fold(classes, |classes, class| classes.of_interest(class)))
    }

    /// Refuses settings that contradict each other.
    pub fn validate(&self) -> Result<()> {
        if let Some(values) = &self.values
            && values.len() != self.classes.len()
        {
            let problem = format!("{} numbers for {} classes: write one for each", values.len(), self.classes.len());
            return Err(Error::config("pixels.values", problem));
        }
        if let Some(class) = self.classes.iter().position(|name| name.trim().is_empty()) {
            let problem = format!("the name of class {} of {} is empty: write one", class + 1, self.classes.len());
            return Err(Error::config("pixels.classes", problem));
        }
        if self.classes.len() > usize::from(u16::MAX) - 1 {
            return Err(Error::config("pixels.classes", format!("{} classes are more than 65,534", self.classes.len())));
        }
        if self.size.is_some_and(|size| size.contains(&0)) {
            return Err(Error::config("pixels.size", "must be height and width, above 0"));
        }
        self.target().task().check()?;
        let values = self.numbers();
        let twice = (0..values.len()).find(|&i| values[..i].contains(&values[i]));
        if let Some(i) = twice {
            return Err(Error::config("pixels.values", format!("{} is the number of two classes", values[i])));
        }
        match values.iter().position(|value| self.void.contains(value)) {
            Some(class) => {
                let problem =
                    format!("{} is void and the number of `{}`: write the numbers that are void", values[class], self.classes[class]);
                Err(Error::config("pixels.void", problem))
            }
            None => Ok(()),
        }
    }

    /// The number of each class in the files.
    pub(super) fn numbers(&self) -> Vec<u16> {
        self.values.clone().unwrap_or_else(|| (0..self.classes.len()).map(|k| k as u16).collect())
    }

    /// The same with a size, where none is given: that of the sensors. What predicts pixels reads sensors and label maps of one size, so
    /// others are refused; `names` are those of the sensors.
    pub fn sized(mut self, names: &[String], inputs: &[InputSpec]) -> Result<Self> {
        let sizes = names.iter().zip(inputs).filter(|(_, input)| input.kind == InputKind::Image);
        let mut sizes = sizes.filter_map(|(name, input)| Some((name.as_str(), [*input.shape.get(1)?, *input.shape.get(2)?])));
        let given = self.size.map(|size| ("[pixels]", size)).or_else(|| sizes.next());
        let problem = "no sensor gives images: write height and width of the label maps";
        let (first, size) = given.ok_or_else(|| Error::config("pixels.size", problem))?;
        if let Some((other, found)) = sizes.find(|(_, found)| *found != size) {
            let larger = if size[0] * size[1] >= found[0] * found[1] { size } else { found };
            let [[h, w], [other_h, other_w]] = [size, found];
            let problem = format!(
                "`{first}` has {h} x {w} pixels and `{other}` has {other_h} x {other_w}, but what predicts pixels reads sensors and label maps \
                 of one size, whatever that of their files: write size = {larger:?} in [pixels], and no other in [[modality]]"
            );
            return Err(Error::config("pixels.size", problem));
        }
        self.size = Some(size);
        Ok(self)
    }

    /// The same for sensors of these kinds; refused where they do not fit together.
    pub(super) fn fitted(self, names: &[String], kinds: &[Arc<dyn Kind>]) -> Result<Self> {
        self.validate()?;
        self.refuse_cuts(names, kinds)?;
        self.sized(names, &kinds.iter().map(|kind| kind.input()).collect::<Vec<_>>())
    }

    /// Refuses sensors that show another part of their files than label maps do, which are stretched.
    fn refuse_cuts(&self, names: &[String], kinds: &[Arc<dyn Kind>]) -> Result<()> {
        for (name, kind) in names.iter().zip(kinds) {
            if let Some(fit @ ("crop" | "pad")) = kind.settings()["fit"].as_str() {
                let problem = format!(
                    "fit = \"{fit}\" would move the image against its label map, which is stretched to its size: take `fit` out, and write a size \
                     of the ratio of the files"
                );
                return Err(Error::config(format!("modality.{name}"), problem));
            }
        }
        Ok(())
    }

    /// Reads a map, and brings it to the size.
    pub fn read(&self, origin: &Origin) -> Result<PixelLabels> {
        of_file(origin, |bytes, path| self.decode(bytes, path))
    }

    /// Reads a map in the size of its file.
    pub(super) fn read_as_it_is(&self, origin: &Origin) -> Result<AsItIs> {
        of_file(origin, |bytes, path| self.as_it_is(bytes, path))
    }

    /// Decodes the bytes of a PNG file; `path` is for messages.
    pub fn decode(&self, bytes: &[u8], path: &Path) -> Result<PixelLabels> {
        let AsItIs { labels, unknown, .. } = self.as_it_is(bytes, path)?;
        let first = unknown.iter().min_by_key(|(_, found)| found.first);
        if let Some((number, Unknown { first, .. })) = first {
            let (row, column) = (first / labels.width(), first % labels.width());
            let what = format!("pixel ({row}, {column}) is {number}, which is the number of no class ({}) and not void", self.known());
            let problem = format!("{what}; name such numbers in `void` or `values` of [pixels]");
            return Err(Error::File { path: PathBuf::from(path), problem });
        }
        let [height, width] = self.size.unwrap_or([labels.height(), labels.width()]);
        labels.resized(height, width)
    }

    fn as_it_is(&self, bytes: &[u8], path: &Path) -> Result<AsItIs> {
        let problem = |problem: String| Error::File { path: PathBuf::from(path), problem };
        let file = numbers(bytes).map_err(problem)?;
        let (lookup, mut unknown) = (self.lookup(), BTreeMap::new());
        let labels = file.numbers.iter().enumerate().map(|(place, number)| {
            lookup[usize::from(*number)].unwrap_or_else(|| {
                unknown.entry(*number).or_insert(Unknown { first: place, pixels: 0 }).pixels += 1;
                0
            })
        });
        let labels = PixelLabels::new(file.height, file.width, labels.collect())?;
        Ok(AsItIs { labels, unknown, file })
    }

    fn lookup(&self) -> Lookup {
        let mut lookup = vec![None; usize::from(u16::MAX) + 1];
        self.void.iter().for_each(|&number| lookup[usize::from(number)] = Some(0));
        for (label, number) in (1u16..).zip(self.numbers()) {
            lookup[usize::from(number)] = Some(label);
        }
        lookup
    }

    /// The numbers of the classes, for a message.
    fn known(&self) -> String {
        let numbers = self.numbers();
        match &numbers[..] {
            [first, .., last] if numbers.len() > 8 => format!("{first} to {last}, {} of them", numbers.len()),
            few => few.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

/// What becomes of the bytes of a whole file, and its path.
fn of_file<T>(origin: &Origin, read: impl FnOnce(&[u8], &Path) -> Result<T>) -> Result<T> {
    match origin {
        Origin::File { path, part: None } => read(&std::fs::read(path).map_err(Error::io(path))?, path),
        Origin::Memory { name, bytes, part: None } => read(bytes, name),
        other => Err(Error::config("pixels", format!("{other} stands where the file of a label map is expected"))),
    }
}

/// Height, width, and the number of each pixel as it stands in the file; turned as its EXIF orientation says, as images are.
pub(super) fn numbers(bytes: &[u8]) -> std::result::Result<Numbers, String> {
    const ADVICE: &str = "a label map is a PNG file of one number a pixel, grayscale or palette";
    if !bytes.starts_with(b"\x89PNG") {
        let what = super::begins::begins_as(&bytes[..bytes.len().min(64)]);
        let save = match what {
            Some("a JPEG image") => "; JPEG changes numbers: save it as PNG from the original",
            Some(what) if what.ends_with(" image") => "; save it as PNG",
            _ => "",
        };
        return Err(format!("is no PNG file{}: {ADVICE}{save}", what.map(|what| format!(" but {what}")).unwrap_or_default()));
    }
    let damaged = |error: png::DecodingError| format!("is a damaged PNG file: {error}");
    let limits = png::Limits { bytes: LARGEST_PIXELS as usize * 2 };
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    let (height, width, bits) = (info.height as usize, info.width as usize, info.bit_depth as usize);
    if u64::from(info.height) * u64::from(info.width) > LARGEST_PIXELS {
        return Err(format!("claims {width} x {height} pixels, but a label map may have {LARGEST_PIXELS} at most"));
    }
    match info.color_type {
        png::ColorType::Grayscale | png::ColorType::Indexed => {}
        png::ColorType::GrayscaleAlpha => {
            let channel = "its numbers are there: save it without the alpha channel, in Python `image.getchannel(0).save(..)`";
            return Err(format!("is a PNG file of numbers with transparency, and {ADVICE}; {channel}"));
        }
        other => {
            let colour = "write the number of its class for each pixel instead of a colour (docs/src/kinds/pixels.md says how)";
            return Err(format!("is a PNG file of colours ({other:?}), and {ADVICE}; {colour}"));
        }
    }
    let palette = info.palette.as_ref().filter(|_| info.color_type == png::ColorType::Indexed);
    let palette = palette.map_or_else(Vec::new, |colours| colours.as_chunks::<3>().0.to_vec());
    let orientation = info.exif_metadata.as_deref().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    let size = reader.output_buffer_size().ok_or_else(|| format!("claims {width} x {height} pixels: too many"))?;
    let mut buffer = vec![0; size];
    reader.next_frame(&mut buffer).map_err(damaged)?;
    let line = (width * bits).div_ceil(8);
    let mut numbers = Vec::with_capacity(height * width);
    for line in buffer.chunks_exact(line.max(1)).take(height) {
        match bits {
            16 => numbers.extend(line.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))),
            8 => numbers.extend(line.iter().map(|&x| u16::from(x))),
            bits => {
                let per_byte = 8 / bits;
                let of = |x: usize| line[x / per_byte] >> (8 - bits * (x % per_byte + 1)) & ((1 << bits) - 1);
                numbers.extend((0..width).map(|x| u16::from(of(x))));
            }
        }
    }
    if numbers.len() != height * width || numbers.is_empty() {
        return Err("is a PNG file without pixels".into());
    }
    let (numbers, width, height) = turned(numbers, width, height, 1, orientation, std::convert::identity);
    Ok(Numbers { height, width, numbers, palette })
}
