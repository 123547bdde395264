//! Made photographs, for measurements that need files as large as a camera's and must be the same everywhere.

use anyhow::{Context as _, Result};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use mm_core::rng::{self, Rng};
use std::fs::{File, create_dir_all};
use std::io::BufWriter;
use std::path::Path;

const WIDTH: usize = 640;
const HEIGHT: usize = 480;
/// Largest patches of one brightness, in pixels; each octave has patches half as large.
const LARGEST: usize = 256;

/// Writes `png/rgb/<class>/<number>.png` and `jpeg-444/rgb/<class>/<number>.jpg` of the same pictures, of two classes.
///
/// Their textures fade with their size about as fast as a photograph's, so that they compress like one: to 550 and 100 kB.
pub fn write(folder: &Path, count: usize) -> Result<()> {
    for i in 0..count {
        let class = ["even", "odd"][i % 2];
        let pixels = photograph(&mut rng::stream(0, "photograph", &[i as u64]));
        let target = |form: &str, ending: &str| -> Result<BufWriter<File>> {
            let folder = folder.join(form).join("rgb").join(class);
            create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            let path = folder.join(format!("{i:03}.{ending}"));
            Ok(BufWriter::new(File::create(&path).with_context(|| format!("writing {}", path.display()))?))
        };
        let (width, height) = (WIDTH as u32, HEIGHT as u32);
        // The level of zlib, Pillow's and most cameras' default.
        let png = PngEncoder::new_with_quality(target("png", "png")?, CompressionType::Level(6), FilterType::Adaptive);
        png.write_image(&pixels, width, height, ExtendedColorType::Rgb8)?;
        JpegEncoder::new_with_quality(target("jpeg-444", "jpg")?, 90).write_image(&pixels, width, height, ExtendedColorType::Rgb8)?;
    }
    Ok(())
}

/// Brightness in all octaves, colours in the coarse ones alone.
fn photograph(random: &mut Rng) -> Vec<u8> {
    let mut grey = vec![128.0; WIDTH * HEIGHT];
    (0..9).for_each(|k| add_octave(&mut grey, LARGEST >> k, 40.0, 0.4, random));
    let planes: Vec<Vec<f32>> = (0..3)
        .map(|_| {
            let mut plane = grey.clone();
            (0..5).for_each(|k| add_octave(&mut plane, LARGEST >> k, 15.0, 0.3, random));
            plane
        })
        .collect();
    (0..WIDTH * HEIGHT).flat_map(|i| [planes[0][i], planes[1][i], planes[2][i]].map(|x| x.clamp(0.0, 255.0) as u8)).collect()
}

/// Random heights every `cell` pixels, linear in between; smaller cells are `(cell / LARGEST)^fading` as high.
fn add_octave(plane: &mut [f32], cell: usize, height: f32, fading: f32, random: &mut Rng) {
    let columns = WIDTH / cell + 2;
    let grid = rng::standard_normal(random, columns * (HEIGHT / cell + 2));
    let height = height * (cell as f32 / LARGEST as f32).powf(fading);
    let between = |a: f32, b: f32, share: f32| a + (b - a) * share;
    for (i, value) in plane.iter_mut().enumerate() {
        let (y, x) = (i / WIDTH, i % WIDTH);
        let (down, right) = ((y % cell) as f32 / cell as f32, (x % cell) as f32 / cell as f32);
        let corner = &grid[y / cell * columns + x / cell..];
        let (above, below) = (between(corner[0], corner[1], right), between(corner[columns], corner[columns + 1], right));
        *value += height * between(above, below, down);
    }
}
