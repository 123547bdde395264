//! Depth: metres, no reading, and that the two are never mixed.

use super::made::{close, png, png16, shared, tiff, values};
use image::ExtendedColorType::{L8, L16, Rgb8};
use mm_core::data::image::{LARGEST_SIDE, resize_depth};
use mm_core::data::kinds::{Depth, Fit, Kind, SavedKind};
use mm_core::{Error, rng};
use rand::RngExt;
use std::path::Path;
use tiff::encoder::colortype::{Gray16, Gray32Float, Gray64Float};

#[test]
fn numbers_become_metres() {
    let file = png16(&[0, 500, 1500, 65_535], 2, 2, L16);
    close(&values(&Depth::new(2), &file), &[0.0, 0.5, 1.5, 65.535], 1e-5);
    close(&values(&Depth::new(2).scale(1e-4), &file), &[0.0, 0.05, 0.15, 6.5535], 1e-6);
    close(&values(&Depth::new(2), &tiff::<Gray16>(&[0, 500, 1500, 65_535], 2, 2, 1)), &[0.0, 0.5, 1.5, 65.535], 1e-5);
    let metres = [0.0, 0.5, f32::NAN, -1.0];
    close(&values(&Depth::new(2).scale(1.0), &tiff::<Gray32Float>(&metres, 2, 2, 1)), &[0.0, 0.5, 0.0, 0.0], 0.0);
    let metres = [f64::INFINITY, 0.5, 1e300, 2.0];
    close(&values(&Depth::new(2).scale(1.0), &tiff::<Gray64Float>(&metres, 2, 2, 1)), &[0.0, 0.5, 0.0, 2.0], 0.0);
    close(&values(&Depth::new(2).scale(0.1), &png(&[0, 1, 20, 255], 2, 2, L8)), &[0.0, 0.1, 2.0, 25.5], 1e-5);
    // SUN RGB-D: 1,000 mm is stored as 8,000, and 9,000 as 72,000 - 65,536 + 1.
    close(&values(&Depth::new(1).sized(1, 2).rotated_bits(3), &png16(&[8000, 6465], 2, 1, L16)), &[1.0, 9.0], 1e-5);
}

#[test]
fn what_is_out_of_range_is_no_reading() {
    let file = png16(&[0, 500, 1500, 8000], 2, 2, L16);
    close(&values(&Depth::new(2).range(1.0, 5.0), &file), &[0.0, 0.0, 1.5, 0.0], 1e-6);
    close(&values(&Depth::new(2).range(0.0, 1.5).with_valid(), &file), &[0.0, 0.5, 1.5, 0.0, 0.0, 1.0, 1.0, 0.0], 1e-6);
}

/// Half the size: each pixel's filter covers four by four, with weights 1, 3, 3, 1 in both directions (but for the border).
#[test]
fn no_reading_is_mixed_into_none() {
    // Left half 2 m, right half no reading.
    let half: Vec<u16> = (0..64).map(|at| if at % 8 < 4 { 2000 } else { 0 }).collect();
    let found = values(&Depth::new(4).with_valid(), &png16(&half, 8, 8, L16));
    // The third column's filter reaches one column of readings.
    let row = [2.0, 2.0, 2.0, 0.0];
    close(&found[..16], &row.repeat(4), 1e-6);
    close(&found[16..], &row.map(|x| x / 2.0).repeat(4), 0.0);
    // By hand, columns 1 m, none, 3 m, 4 m to two: the first covers 1, -, 3 with weights 3, 3, 1; the second 3, 4 with 3, 3 (and - with 1).
    let file = png16(&[1000, 0, 3000, 4000], 4, 1, L16);
    close(&values(&Depth::new(1).sized(1, 2), &file), &[(3.0 + 3.0) / 4.0, 3.5], 1e-6);
}

/// Every reading lies between the smallest and the largest of the file, there is one where the filter finds one, and none elsewhere.
#[test]
fn readings_stay_within_those_of_the_file() {
    for case in 0..60 {
        let mut random = rng::stream(3, "depth", &[case]);
        let [height, width, to_height, to_width] = [0; 4].map(|_| random.random_range(1..40usize));
        let share = random.random::<f32>();
        let depth: Vec<f32> =
            (0..height * width).map(|_| if random.random::<f32>() < share { 0.0 } else { random.random_range(1.0..4.0) }).collect();
        for fit in [Fit::Stretch, Fit::Crop, Fit::Pad] {
            let planes = resize_depth(&depth, [height, width], [to_height, to_width], fit, true).unwrap();
            let (readings, valid) = planes.split_at(to_height * to_width);
            for (x, valid) in readings.iter().zip(valid) {
                assert!((*x == 0.0 && *valid == 0.0) || ((0.999..4.001).contains(x) && *valid == 1.0), "{x} {valid}");
            }
            if depth.iter().all(|x| *x == 0.0) {
                assert!(readings.iter().all(|x| *x == 0.0));
            }
            if fit == Fit::Stretch && depth.iter().all(|x| *x > 0.0) {
                assert!(valid.iter().all(|x| *x == 1.0));
            }
        }
    }
}

#[test]
fn bars_have_no_reading() {
    let found = values(&Depth::new(4).fit(Fit::Pad).with_valid(), &png16(&[1000; 8], 4, 2, L16));
    let rows = [0.0, 1.0, 1.0, 0.0].map(|x| [x; 4]).concat();
    close(&found, &rows.repeat(2), 1e-6);
}

#[test]
fn what_is_no_depth_is_refused() {
    let error = Depth::new(2).decode(&png(&[7; 12], 2, 2, Rgb8), Path::new("depth/1.png")).unwrap_err();
    assert!(matches!(error, Error::Image { .. }));
    assert!(error.to_string().contains("depth/1.png") && error.to_string().contains("3 channels"), "{error}");
    let file = png16(&[1000; 4], 2, 2, L16);
    for (kind, field) in [
        (Depth::new(0), "depth.size"),
        (Depth::new(LARGEST_SIDE as usize + 1), "depth.size"),
        (Depth::new(2).scale(0.0), "depth.scale"),
        (Depth::new(2).scale(f64::NAN), "depth.scale"),
        (Depth::new(2).range(2.0, 1.0), "depth.max"),
        (Depth::new(2).rotated_bits(16), "depth.rotated_bits"),
    ] {
        let error = kind.decode(&file, Path::new("1.png")).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
        assert!(SavedKind::of(&kind).open().is_err());
    }
    let kind = Depth::new(8).scale(1e-4).range(0.1, 5.0).fit(Fit::Crop).with_valid();
    let opened = SavedKind::of(&kind).open().unwrap().unwrap();
    assert_eq!((opened.settings(), opened.input().shape), (kind.settings(), vec![2, 8, 8]));
}

/// Frames of YCB-Video: 10,000 a metre, a tenth without a reading; a plain resize would invent distances in between.
#[test]
fn real_depth() {
    let Some(file) = shared("data/rgbd/ycb-video/data/0000/000001-depth.png") else { return };
    let bytes = std::fs::read(file).unwrap();
    let whole = values(&Depth::new(1).sized(480, 640).scale(1e-4), &bytes);
    let none = whole.iter().filter(|x| **x == 0.0).count() as f64 / whole.len() as f64;
    assert!((0.09..0.105).contains(&none), "{none}");
    let (near, far) = (whole.iter().filter(|x| **x > 0.0).fold(f32::MAX, |a, &b| a.min(b)), whole.iter().fold(0f32, |a, &b| a.max(b)));
    assert!(near > 0.3 && far < 4.0, "{near} {far}");
    let small = values(&Depth::new(112).scale(1e-4), &bytes);
    assert!(small.iter().all(|x| *x == 0.0 || (near * 0.999..far * 1.001).contains(x)));
    let none = small.iter().filter(|x| **x == 0.0).count() as f64 / small.len() as f64;
    println!("{near} to {far} m, {none:.3} without a reading at 112 x 112");
    assert!(none < 0.1);
    let limited = values(&Depth::new(112).scale(1e-4).range(0.0, 1.0), &bytes);
    assert!(limited.iter().all(|x| *x <= 1.0001));
}
