//! The colours that classes are shown in, the same in label maps, overlays and reports.

/// The colour of pixels that count for nothing: black.
pub const VOID_COLOUR: [u8; 3] = [0; 3];

/// The seven chromatic colours of Okabe and Ito, which colour-blind readers tell apart ("Color Universal Design", 2008), and behind them
/// colours that are each as far as possible from all before, from black, grey and white (distance in OKLab, chroma 0.06 to 0.2).
const COLOURS: [[u8; 3]; 24] = [
    [0, 114, 178],
    [230, 159, 0],
    [0, 158, 115],
    [213, 94, 0],
    [86, 180, 233],
    [204, 121, 167],
    [240, 228, 66],
    [135, 0, 120],
    [45, 90, 30],
    [0, 255, 210],
    [255, 180, 255],
    [135, 45, 0],
    [135, 75, 210],
    [120, 195, 30],
    [195, 30, 90],
    [75, 60, 150],
    [165, 225, 255],
    [255, 195, 165],
    [165, 135, 255],
    [165, 195, 150],
    [150, 135, 0],
    [45, 135, 255],
    [120, 75, 105],
    [255, 135, 120],
];

/// The colour of a class, by its number from 0. The first 24 are told apart at a glance; behind them are hues a golden angle apart, brighter
/// and darker by turns, and from 255 on colours repeat.
pub fn class_colour(class: usize) -> [u8; 3] {
    let class = class % usize::from(u8::MAX);
    if let Some(colour) = COLOURS.get(class) {
        return *colour;
    }
    let hue = (class as f64 * 0.618_034).fract() * 6.0;
    let brightness = if class.is_multiple_of(2) { 230.0 } else { 150.0 };
    [5.0, 3.0, 1.0].map(|offset| {
        let k: f64 = (offset + hue) % 6.0;
        (brightness * (1.0 - 0.75 * k.min(4.0 - k).clamp(0.0, 1.0))) as u8
    })
}
