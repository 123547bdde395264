//! Whether a JPEG file is whole, which its decoder does not ask: it makes up the pixels that are missing.

const END: [u8; 2] = [0xff, 0xd9];

/// Whether there is no end marker behind the beginning of the first scan. Coded pixels never hold one, and what programs append does not matter.
pub(super) fn is_cut_off(bytes: &[u8]) -> bool {
    first_scan(bytes).is_some_and(|scan| !scan.windows(2).rev().any(|pair| pair == END))
}

/// From the first scan on. Segments before it are passed by their lengths: a thumbnail in one has an end marker of its own.
fn first_scan(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let length = match rest {
            [] => return None,
            [0xff, 0xda, ..] => return Some(rest),
            // Markers without a length.
            [0xff, 0x00 | 0x01 | 0xd0..=0xd9, ..] => 2,
            [0xff, 0x02..=0xfe, high, low, ..] => 2 + usize::from(u16::from_be_bytes([*high, *low])),
            // What fills the place between segments.
            _ => 1,
        };
        rest = rest.get(length..)?;
    }
}
