//! Volumes in NIfTI-1 files (`.nii`, `.nii.gz`): numbers of voxels, slice by slice. Memory is bounded whatever the file claims.

use super::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

/// Bytes of a volume once unpacked.
const LARGEST: u64 = 1 << 28;
/// Bytes of the header.
const HEADER: usize = 348;

/// A volume: the first number of the size runs fastest.
pub(super) struct Volume {
    /// Voxels along each of three directions.
    pub size: [usize; 3],
    /// All of them.
    pub voxels: Vec<f32>,
}

/// Reads a volume.
pub(super) fn read(path: &Path) -> Result<Volume> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    let is_packed = path.extension().is_some_and(|ending| ending == "gz");
    let read = match is_packed {
        true => MultiGzDecoder::new(std::io::BufReader::new(file)).take(LARGEST + 1).read_to_end(&mut bytes),
        false => file.take(LARGEST + 1).read_to_end(&mut bytes),
    };
    read.map_err(Error::io(path))?;
    match bytes.len() as u64 > LARGEST {
        true => Err(Error::content(path, format!("has more than {LARGEST} bytes"))),
        false => parse(&bytes).map_err(|problem| Error::content(path, problem)),
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Volume, String> {
    if bytes.len() < HEADER || bytes[..4] != (HEADER as u32).to_le_bytes() || &bytes[344..347] != b"n+1" {
        return Err("is no NIfTI-1 file of little endian numbers".into());
    }
    let short = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let float = |at: usize| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let dimensions: Vec<i16> = (0..8).map(|i| short(40 + 2 * i)).collect();
    let more = (4..=7).any(|i| i <= dimensions[0] && dimensions[i as usize] > 1);
    if dimensions[0] < 3 || more || dimensions[1..4].iter().any(|&side| side < 1) {
        return Err(format!("is no volume of three dimensions: it has {} ({:?})", dimensions[0], &dimensions[1..]));
    }
    let size = [1, 2, 3].map(|i| dimensions[i] as usize);
    let kind = short(70);
    let width = match kind {
        2 | 256 => 1,
        4 | 512 => 2,
        8 | 16 => 4,
        64 => 8,
        other => return Err(format!("holds numbers of type {other}, which is not read: convert it to whole or floating point numbers")),
    };
    let start = float(108).max(HEADER as f32) as usize;
    let count = size.iter().product::<usize>();
    let Some(data) = start.checked_add(count * width).and_then(|end| bytes.get(start..end)) else {
        return Err(format!("ends before the {size:?} voxels that it claims"));
    };
    // A slope of 0 says that there is none.
    let (slope, intercept) = if float(112) == 0.0 { (1.0, 0.0) } else { (float(112), float(116)) };
    let number = |raw: &[u8]| match kind {
        2 => f32::from(raw[0]),
        256 => f32::from(raw[0] as i8),
        4 => f32::from(i16::from_le_bytes([raw[0], raw[1]])),
        512 => f32::from(u16::from_le_bytes([raw[0], raw[1]])),
        8 => i32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]) as f32,
        16 => f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]),
        _ => f64::from_le_bytes([raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6], raw[7]]) as f32,
    };
    let voxels = data.chunks_exact(width).map(|raw| number(raw) * slope + intercept).collect();
    Ok(Volume { size, voxels })
}

impl Volume {
    /// Voxels of slice `z`.
    pub fn slice(&self, z: usize) -> &[f32] {
        let plane = self.size[0] * self.size[1];
        &self.voxels[z * plane..(z + 1) * plane]
    }

    /// Grey levels: 0 outside (0 or not finite), and 1 to 255 from the 1st to the 99.5th percentile of the rest.
    pub fn grey(&self) -> Vec<u8> {
        let is_inside = |x: f32| x != 0.0 && x.is_finite();
        let mut inside: Vec<f32> = self.voxels.iter().copied().filter(|&x| is_inside(x)).collect();
        inside.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| inside.get(((inside.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or_default();
        let (low, high) = (at(0.01), at(0.995));
        let level = |x: f32| 1.0 + 254.0 * ((x - low) / (high - low).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        self.voxels.iter().map(|&x| if is_inside(x) { level(x).round() as u8 } else { 0 }).collect()
    }
}
