//! Sizes and ratios of sides, against Pillow 13.

use super::made::{png, png16, shared, tiff, values};
use image::ExtendedColorType::{L8, L16};
use mm_core::data::kinds::{Fit, Image};
use tiff::encoder::colortype::Gray32Float;

/// 7 wide, 5 high: `(37 * r * r + 61 * c + 11 * r * c) % 256`.
fn pattern() -> Vec<u8> {
    (0..35u32).map(|at| (at / 7, at % 7)).map(|(r, c)| ((37 * r * r + 61 * c + 11 * r * c) % 256) as u8).collect()
}

/// The same by `Image.fromarray(a).resize((3, 4), Image.BILINEAR)`, `.resize((9, 6), Image.BILINEAR)`,
/// `ImageOps.fit(im, (3, 3), Image.BILINEAR)` and `ImageOps.pad(im, (4, 4), Image.BILINEAR)`.
#[test]
fn as_pillow() {
    let smaller = vec![64, 171, 123, 126, 163, 137, 128, 119, 109, 112, 130, 148];
    let larger = [
        [0, 41, 88, 136, 183, 230, 136, 69, 110],
        [28, 74, 128, 182, 236, 140, 116, 141, 187],
        [102, 154, 149, 126, 188, 166, 120, 115, 167],
        [118, 177, 131, 57, 125, 193, 119, 74, 132],
        [78, 143, 104, 37, 112, 187, 120, 82, 146],
        [80, 150, 118, 57, 139, 221, 160, 128, 198],
    ];
    let cropped = vec![98, 189, 127, 137, 145, 121, 108, 124, 139];
    let padded = vec![50, 153, 165, 126, 141, 121, 153, 117, 119, 83, 164, 128, 0, 0, 0, 0];
    for (kind, expected) in [
        (Image::gray(1).sized(4, 3), smaller),
        (Image::gray(1).sized(6, 9), larger.concat()),
        (Image::gray(3).fit(Fit::Crop), cropped),
        (Image::gray(4).fit(Fit::Pad), padded),
    ] {
        let expected: Vec<f32> = expected.into_iter().map(|x: u8| f32::from(x)).collect();
        let files = [
            png(&pattern(), 7, 5, L8),
            png16(&pattern().iter().map(|&x| u16::from(x) * 257).collect::<Vec<_>>(), 7, 5, L16),
            tiff::<Gray32Float>(&pattern().iter().map(|&x| f32::from(x) / 255.0).collect::<Vec<_>>(), 7, 5, 1),
        ];
        for file in &files {
            let found: Vec<f32> = values(&kind, file).iter().map(|x| x * 255.0).collect();
            let differs = found.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1.01);
            assert!(!differs, "{found:?}\nexpected {expected:?}");
        }
    }
}

#[test]
fn bars_have_the_colour_that_is_asked_for() {
    let white = png(&[255; 8], 4, 2, L8);
    let kind = Image::rgb(4).fit(Fit::Pad).padding(0.25);
    let expected: Vec<f32> = (0..3).flat_map(|_| [[0.25; 4], [1.0; 4], [1.0; 4], [0.25; 4]].concat()).collect();
    assert_eq!(values(&kind, &white), expected);
    // Very long images keep a row.
    assert_eq!(values(&Image::gray(4).fit(Fit::Pad), &png(&[255; 400], 400, 1, L8)).iter().sum::<f32>(), 4.0);
    assert_eq!(values(&Image::gray(4).fit(Fit::Crop), &png(&[255; 400], 400, 1, L8)), [1.0; 16]);
}

#[test]
fn constant_images_stay_so_and_the_own_size_is_a_copy() {
    for fit in [Fit::Stretch, Fit::Crop] {
        for (width, height) in [(1, 1), (3, 200), (200, 3), (17, 31)] {
            let file = png(&vec![77; (width * height) as usize], width, height, L8);
            assert_eq!(values(&Image::gray(13).fit(fit), &file), [77.0 / 255.0; 169], "{fit:?} {width} x {height}");
        }
    }
    let exact: Vec<f32> = pattern().iter().map(|&x| f32::from(x) / 255.0).collect();
    for fit in [Fit::Stretch, Fit::Crop, Fit::Pad] {
        assert_eq!(values(&Image::gray(1).sized(5, 7).fit(fit), &png(&pattern(), 7, 5, L8)), exact);
    }
}

/// Three photographs of the golden values, resized by Pillow: one grey level each, and a mean difference below 0.1.
#[test]
fn golden_values() {
    let Some(golden) = shared("golden/front_ends.json") else { return };
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let numbers = |value: &serde_json::Value| value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    for case in golden["images"].as_array().unwrap() {
        let Some(file) = shared(&format!("data/{}", case["file"].as_str().unwrap())) else { continue };
        let size = numbers(&case["size_out"]);
        let (width, height) = (size[0] as usize, size[1] as usize);
        let planes = values(&Image::rgb(1).sized(height, width), &std::fs::read(file).unwrap());
        let plane = width * height;
        let pixels: Vec<f64> = (0..plane).flat_map(|at| planes[at..].iter().step_by(plane)).map(|&x| f64::from(x) * 255.0).collect();
        let expected = &case["pillow_bilinear"];
        for (found, first) in pixels.iter().zip(numbers(&expected["first"])) {
            assert!((found - first).abs() < 1.001, "{found} {first}");
        }
        let mean = (pixels.iter().sum::<f64>() - expected["sum"].as_f64().unwrap()) / pixels.len() as f64;
        let l2 = pixels.iter().map(|x| x * x).sum::<f64>().sqrt() / expected["l2"].as_f64().unwrap();
        println!("{}: mean difference {mean:.4}, ratio of norms {l2:.6}", case["file"]);
        assert!(mean.abs() < 0.1 && (l2 - 1.0).abs() < 1e-3, "{mean} {l2}");
    }
}
