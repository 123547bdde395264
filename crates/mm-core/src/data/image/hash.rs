//! A hash of 64 bits that hardly changes with size, compression and brightness: near-duplicates of images are found by it.

use super::{Alpha, Bitmap, Fit, ImageChannels, ImageError, resize};

/// Whether each of 8 x 8 places of the image, made grey, is darker than its neighbour to the right (difference hash); row by row, the
/// first in the highest bit. An image without any structure has 0.
///
/// Copies of another size or quality differ by few bits; up to 10 of 64 is a usual threshold. Flipped and turned copies differ.
pub fn difference_hash(bitmap: &Bitmap) -> Result<u64, ImageError> {
    const ROWS: usize = 8;
    const COLUMNS: usize = 9;
    let gray = bitmap.clone().flattened(ImageChannels::Gray, Alpha::White);
    let levels = resize(&gray, 1, [ROWS, COLUMNS], Fit::Stretch, 0.0)?;
    let darker = levels.chunks_exact(COLUMNS).flat_map(|row| row.windows(2)).map(|pair| u64::from(pair[0] < pair[1]));
    Ok(darker.fold(0, |hash, bit| hash << 1 | bit))
}

/// In how many bits two hashes differ: 0 to 64.
pub fn hamming_distance(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}
