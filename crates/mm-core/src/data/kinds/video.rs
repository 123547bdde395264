//! Videos: folders of frames.

use super::{Image, Kind, MOST_NUMBERS, Open, Origin, Raw, Standardization, Written};
use crate::corrupt::{Corruption, Family, IMAGE_FAMILIES, corrupt_image};
use crate::data::folder_entries::{entries, file_name, stem_and_extension};
use crate::data::{Array, InputKind, InputSpec, Values};
use crate::error::{Error, Result};
use crate::rng::Rng;
use serde::Deserialize;
use serde::de::Error as _;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const NAME: &str = "video";
pub(super) const OPEN: Open = |settings| {
    let mut image = settings.clone();
    let frames = image.as_object_mut().and_then(|settings| settings.remove("frames")).unwrap_or_default();
    let frames = usize::deserialize(frames).map_err(|_| serde_json::Error::custom("say how many frames a reading has: frames = 8"))?;
    Ok(Arc::new(Video::new(frames, Image::deserialize(image)?).map_err(serde_json::Error::custom)?))
};

/// Frames of a reading, at most.
const MOST_FRAMES: usize = 1024;

/// So many frames of a video, `[channels, frames, height, width]`, each an [`Image`].
///
/// A reading is a folder whose images are the frames, but for hidden ones, in the order of their names; numbers in names count as numbers, so that `frame10`
/// comes after `frame9`. The film is cut into as many equal parts as a reading has frames, and the middle frame of each part is taken. Where
/// there are fewer images than that, some are taken twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    frames: usize,
    image: Image,
}

impl Video {
    /// Of so many frames, each of which is such an image.
    pub fn new(frames: usize, image: Image) -> Result<Self> {
        image.validate()?;
        let most = (MOST_NUMBERS / image.input().elements()).clamp(1, MOST_FRAMES);
        match (1..=most).contains(&frames) {
            true => Ok(Self { frames, image }),
            false => Err(Error::config("video.frames", format!("must be 1 to {most} for images of this size, found {frames}"))),
        }
    }

    /// The frames of a folder that a reading consists of, in order.
    fn chosen(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut images = entries(folder)?;
        images.retain(|path| self.image.extensions().contains(&stem_and_extension(path).1.as_str()));
        if images.is_empty() {
            let problem = format!("holds no frame of a video: images whose names end in {}", self.image.extensions().join(", "));
            return Err(Error::File { path: folder.into(), problem });
        }
        images.sort_by(|a, b| natural(&file_name(a), &file_name(b)));
        let place = |frame: usize| (2 * frame + 1) * images.len() / (2 * self.frames);
        Ok((0..self.frames).map(|frame| images[place(frame)].clone()).collect())
    }
}

/// Names in the order in which people count: digits in a row are one number.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let order = match (digits(left), digits(right)) {
            (0, _) | (_, 0) => {
                (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
                x.cmp(&y)
            }
            (m, n) => {
                let (first, second) = (left[..m].trim_start_matches('0'), right[..n].trim_start_matches('0'));
                (left, right) = (&left[m..], &right[n..]);
                // Without zeros in front, the longer number is the larger one.
                first.len().cmp(&second.len()).then_with(|| first.cmp(second))
            }
        };
        if order.is_ne() {
            return order;
        }
    }
    // `1` and `01` are the same number: some order, and always the same.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

impl Kind for Video {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        let image = self.image.input().shape;
        InputSpec::new(InputKind::Video, [image[0], self.frames, image[1], image[2]])
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn written(&self) -> Written {
        Written::Folder
    }

    fn decode(&self, _bytes: &[u8], path: &Path) -> Result<Array> {
        Err(Error::File { path: path.into(), problem: "is a file, and a video is read from a folder of frames".into() })
    }

    fn raw(&self, origin: &Origin) -> Result<Raw> {
        let folder = match origin {
            Origin::File { path, part: None } if path.is_dir() => path,
            Origin::File { path, part: None } => return self.decode(&[], path).map(Raw::Array),
            Origin::File { path, part: Some(_) } => {
                let problem = "a video is a whole folder of frames: leave out start and length".into();
                return Err(Error::File { path: path.clone(), problem });
            }
            other => return Err(Error::config("kind", format!("{other} stands where a folder of frames is expected"))),
        };
        let shape = self.input().shape;
        let (channels, plane) = (shape[0], shape[2] * shape[3]);
        let mut values = vec![0.0; channels * self.frames * plane];
        let mut last: Option<(PathBuf, Vec<f32>)> = None;
        for (frame, path) in self.chosen(folder)?.into_iter().enumerate() {
            let decoded = match last.take() {
                Some(decoded) if decoded.0 == path => decoded,
                _ => {
                    let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
                    let values = self.image.decode(&bytes, &path)?.values.into_f32();
                    (path, values)
                }
            };
            put(&mut values, &decoded.1, frame, self.frames, plane);
            last = Some(decoded);
        }
        Ok(Raw::Array(Array::new(shape, values)))
    }

    /// All frames alike.
    fn augment(&self, raw: Raw, random: &mut Rng, own: &mut Rng) -> Result<Raw> {
        self.image.augment(raw, random, own)
    }

    fn augments(&self) -> bool {
        self.image.augments()
    }

    fn families(&self) -> &'static [Family] {
        IMAGE_FAMILIES
    }

    /// Frame by frame: noise is new in each, all else stays where it is.
    fn corrupt(&self, raw: Raw, corruption: Corruption, random: &mut Rng) -> Result<Raw> {
        let Array { shape, values, length } = raw.array(NAME)?;
        let &[channels, frames, height, width] = shape.as_slice() else {
            return Err(Error::shape(NAME, "[channels, frames, height, width]", shape));
        };
        let (mut values, plane) = (values.into_f32(), height * width);
        let noise = matches!(corruption.family, Family::GaussianNoise | Family::ImpulseNoise);
        for frame in 0..frames {
            let of_channel = |channel: usize| &values[(channel * frames + frame) * plane..][..plane];
            let mut image: Vec<f32> = (0..channels).flat_map(of_channel).copied().collect();
            match noise {
                true => corrupt_image(&mut image, height, width, corruption, random)?,
                false => corrupt_image(&mut image, height, width, corruption, &mut random.clone())?,
            }
            put(&mut values, &image, frame, frames, plane);
        }
        Ok(Raw::Array(Array { shape, values: Values::F32(values), length }))
    }

    fn standardization(&self) -> Standardization {
        self.image.standardization()
    }

    fn settings(&self) -> serde_json::Value {
        let mut settings = self.image.settings();
        settings["frames"] = self.frames.into();
        settings
    }
}

/// Writes an image `[channels, height, width]` as a frame of `[channels, frames, height, width]`.
fn put(values: &mut [f32], image: &[f32], frame: usize, frames: usize, plane: usize) {
    for (channel, image) in image.chunks_exact(plane).enumerate() {
        values[(channel * frames + frame) * plane..][..plane].copy_from_slice(image);
    }
}
