//! Images in one IDX file, the format of MNIST.

/// An IDX file of grey images of one size, one after another.
pub fn idx_of_images<'p>(images: impl IntoIterator<Item = &'p [u8]>, rows: usize, columns: usize) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    let mut count = 0u32;
    for image in images {
        bytes.extend_from_slice(image);
        count += 1;
    }
    // Two zeros, type u8, three dimensions; then the dimensions, most significant byte first.
    bytes[2..4].copy_from_slice(&[8, 3]);
    bytes[4..8].copy_from_slice(&count.to_be_bytes());
    bytes[8..12].copy_from_slice(&(rows as u32).to_be_bytes());
    bytes[12..16].copy_from_slice(&(columns as u32).to_be_bytes());
    bytes
}
