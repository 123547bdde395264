//! How many images a second one core reads: `cargo run --release -p mm-core --example image_speed -- FILE...`, and Pillow on the same files:
//! `python3 benchmarks/torch/image_files.py FILE...`.

use mm_core::data::image::{Alpha, Fit, ImageChannels, decode, resize};
use std::error::Error;
use std::time::Instant;

const SIZE: usize = 112;
const ROUNDS: u32 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--help") {
        println!("image_speed FILE...: how many images a second one core reads");
        return Ok(());
    }
    let files: Vec<Vec<u8>> = std::env::args().skip(1).map(std::fs::read).collect::<Result<_, _>>()?;
    if files.is_empty() {
        return Err("name files: PNG, JPEG, TIFF, WebP or BMP".into());
    }
    for (what, channels) in [("rgb", ImageChannels::Rgb), ("gray", ImageChannels::Gray)] {
        // The best of some rounds: others use this machine, too.
        let (mut decoding, mut whole) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for bytes in &files {
                std::hint::black_box(decode(bytes)?);
            }
            decoding = decoding.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            for bytes in &files {
                let bitmap = decode(bytes)?.flattened(channels, Alpha::Drop);
                std::hint::black_box(resize(&bitmap, channels.count(), [SIZE; 2], Fit::Stretch, 0.0)?);
            }
            whole = whole.min(start.elapsed().as_secs_f64());
        }
        let rate = |seconds: f64| files.len() as f64 / seconds;
        println!("{what}: {:.0} images/s decoded, {:.0} images/s decoded and resized to {SIZE} x {SIZE}", rate(decoding), rate(whole));
    }
    Ok(())
}
