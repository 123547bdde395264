//! A folder of pictures, as a user has them.

use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use mm_core::rng;
use rand::RngExt;
use std::path::Path;

/// The classes of [`photos`].
const CLASSES: [&str; 3] = ["disc", "bar", "cross"];

/// Writes `samples` of three classes as `rgb/<class>/<number>.jpg` or `.png`, `depth/<class>/<number>.png` (16 bit) and
/// `ir/<class>/<number>.png`; every fifth lacks the depth, every seventh the ir. Sizes differ.
pub fn photos(root: &Path, samples: usize) {
    for sensor in ["rgb", "depth", "ir"] {
        CLASSES.iter().for_each(|class| std::fs::create_dir_all(root.join(sensor).join(class)).unwrap());
    }
    for i in 0..samples {
        let class = CLASSES[i % CLASSES.len()];
        let mut random = rng::stream(0, "photos", &[i as u64]);
        let (x, y, turned): (f32, f32, bool) = (random.random_range(0.4..0.6), random.random_range(0.4..0.6), random.random());
        let side = 20 + (i % 3) as u32 * 6;
        let covered = |column: u32, row: u32| {
            let (u, v) = (column as f32 / side as f32 - x, row as f32 / side as f32 - y);
            let (u, v) = if turned { (v, u) } else { (u, v) };
            match class {
                "disc" => u * u + v * v < 0.07,
                "bar" => u.abs() < 0.1,
                _ => u.abs() < 0.1 || v.abs() < 0.1,
            }
        };
        let mut noisy = |on: bool, noise: f32| -> f32 { 0.25 + 0.5 * f32::from(u8::from(on)) + noise * (random.random::<f32>() - 0.5) };
        let rgb = RgbImage::from_fn(side, side, |c, r| {
            let level = noisy(covered(c, r), 0.4);
            Rgb([level, 0.8 * level, 0.3 + 0.2 * level].map(|x| (255.0 * x.clamp(0.0, 1.0)) as u8))
        });
        let extension = if i % 2 == 0 { "jpg" } else { "png" };
        rgb.save(root.join("rgb").join(class).join(format!("{i:04}.{extension}"))).unwrap();
        let depth: ImageBuffer<Luma<u16>, Vec<u16>> =
            ImageBuffer::from_fn(side, side, |c, r| Luma([(65_535.0 * noisy(covered(c, r), 0.3).clamp(0.0, 1.0)) as u16]));
        if i % 5 != 4 {
            depth.save(root.join("depth").join(class).join(format!("{i:04}.png"))).unwrap();
        }
        let ir = GrayImage::from_fn(side, side, |c, r| Luma([(255.0 * noisy(covered(c, r), 1.2).clamp(0.0, 1.0)) as u8]));
        if i % 7 != 6 {
            ir.save(root.join("ir").join(class).join(format!("{i:04}.png"))).unwrap();
        }
    }
}

/// Writes `files` pictures of two classes as `rgb/<class>/<number>.png`, each `side` pixels of noise high and wide: about three bytes a pixel.
pub fn large_photos(root: &Path, files: usize, side: u32) {
    use image::ImageEncoder;
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    use std::io::BufWriter;
    ["dark", "light"].iter().for_each(|class| std::fs::create_dir_all(root.join("rgb").join(class)).unwrap());
    for i in 0..files {
        let mut random = rng::stream(1, "large photos", &[i as u64]);
        let light = if i % 2 == 1 { 40 } else { 0 };
        let pixels: Vec<u8> = (0..3 * side * side).map(|_| (random.random::<u8>() / 2) + light).collect();
        let file = std::fs::File::create(root.join("rgb").join(["dark", "light"][i % 2]).join(format!("{i:06}.png"))).unwrap();
        let encoder = PngEncoder::new_with_quality(BufWriter::new(file), CompressionType::Fast, FilterType::NoFilter);
        encoder.write_image(&pixels, side, side, image::ExtendedColorType::Rgb8).unwrap();
    }
}

/// Largest resident set of this process so far, in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Writes a picture of noise; the ending says the format.
pub fn noisy_picture(path: &Path, width: u32, height: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut random = rng::stream(2, &path.file_name().unwrap().to_string_lossy(), &[]);
    RgbImage::from_fn(width, height, |_, _| Rgb(random.random())).save(path).unwrap();
}
