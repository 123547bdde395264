//! Random changes in training: geometry, alike for all maps, and appearance.

use super::made::{close, png, values};
use image::ExtendedColorType::{L8, Rgb8};
use mm_core::data::AugmentConfig;
use mm_core::data::image::{Appearance, AppearanceConfig, Geometry, Interpolation};
use mm_core::data::kinds::{Image, Kind, Raw};
use mm_core::data::{Array, Values};
use mm_core::rng;

fn applied(geometry: Geometry, map: &[f32], side: usize, interpolation: Interpolation) -> Vec<f32> {
    let mut output = vec![0.0; map.len()];
    geometry.apply(map, side, side, interpolation, &mut output);
    output
}

#[test]
fn shift_and_zoom_are_exact() {
    let map: Vec<f32> = (1..=16).map(|x| x as f32).collect();
    // A quarter of 4 pixels down, and half of them to the left.
    let moved = Geometry { shift: [0.25, -0.5], ..Geometry::IDENTITY };
    let expected = [0.0, 0.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 7.0, 8.0, 0.0, 0.0, 11.0, 12.0, 0.0, 0.0];
    assert_eq!(applied(moved, &map, 4, Interpolation::Bilinear), expected);
    // Twice as large about the centre: the pixels are a quarter and three quarters between those of the middle.
    let larger = applied(Geometry { zoom: 2.0, ..Geometry::IDENTITY }, &map, 4, Interpolation::Bilinear);
    let middle = |row: f32, column: f32| 1.0 + 4.0 * row + column;
    let places = [0.75, 1.25, 1.75, 2.25];
    let expected: Vec<f32> = places.iter().flat_map(|&row| places.map(|column| middle(row, column))).collect();
    close(&larger, &expected, 1e-5);
    // Half as large: borders come in.
    let smaller = applied(Geometry { zoom: 0.5, ..Geometry::IDENTITY }, &[1.0; 64], 8, Interpolation::Bilinear);
    assert_eq!(smaller.iter().filter(|x| **x == 1.0).count(), 16);
}

/// One draw moves pixels, depth and labels alike; depth is mixed with no hole, and labels not at all.
#[test]
fn maps_of_a_sample_move_alike() {
    const SIDE: usize = 48;
    let disc = |row: usize, column: usize| (row as f64 - 20.0).hypot(column as f64 - 26.0) < 9.0;
    let inside: Vec<bool> = (0..SIDE * SIDE).map(|at| disc(at / SIDE, at % SIDE)).collect();
    let image: Vec<f32> = inside.iter().map(|&x| if x { 1.0 } else { 0.25 }).collect();
    let depth: Vec<f32> = inside.iter().map(|&x| if x { 2.5 } else { 0.0 }).collect();
    let labels: Vec<u8> = inside.iter().map(|&x| if x { 3 } else { 1 }).collect();
    let config = AugmentConfig {
        flip: 0.5,
        flip_vertical: 0.5,
        quarter_turns: true,
        rotation: 40.0,
        crop_area: [0.7, 1.0],
        crop_aspect: [0.8, 1.25],
        zoom: [0.8, 1.25],
        shift: 0.1,
    };
    let mut moved = 0;
    for id in 0..50 {
        let geometry = Geometry::draw(&config, &mut rng::stream(5, "maps", &[id]));
        let image = applied(geometry, &image, SIDE, Interpolation::Bilinear);
        let depth = applied(geometry, &depth, SIDE, Interpolation::Readings);
        let moved_labels = geometry.apply_to_labels(&labels, SIDE, SIDE, 255);
        for ((x, z), label) in image.iter().zip(&depth).zip(&moved_labels) {
            assert!(*z == 0.0 || (z - 2.5).abs() < 1e-5, "{z}");
            match label {
                3 => assert!(*x > 0.25 && *z > 0.0, "{x} {z}"),
                1 => assert!(*x < 0.999, "{x}"),
                255 => assert!(*x < 1.0),
                other => panic!("label {other} was mixed"),
            }
        }
        moved += usize::from(moved_labels != labels);
    }
    assert_eq!(moved, 50);
    assert_eq!(Geometry::IDENTITY.apply_to_labels(&labels, SIDE, SIDE, 255), labels);
}

#[test]
fn draws_lie_where_the_settings_say() {
    let config = AugmentConfig { zoom: [0.5, 2.0], shift: 0.125, ..AugmentConfig::OFF };
    let drawn: Vec<Geometry> = (0..400).map(|id| Geometry::draw(&config, &mut rng::stream(0, "draw", &[id]))).collect();
    assert!(drawn.iter().all(|g| (0.5..=2.0).contains(&g.zoom) && g.shift.iter().all(|s| s.abs() <= 0.125)));
    // Log-uniform: as often smaller as larger.
    let larger = drawn.iter().filter(|g| g.zoom > 1.0).count();
    assert!((160..240).contains(&larger), "{larger}");
    let off = Geometry::draw(&AugmentConfig::OFF, &mut rng::stream(0, "draw", &[1]));
    assert_eq!(off, Geometry::IDENTITY);
    assert_eq!(drawn[3], Geometry::draw(&config, &mut rng::stream(0, "draw", &[3])));
}

#[test]
fn brightness_and_contrast_are_factors() {
    let image = vec![0.2, 0.4, 0.6, 0.4];
    let changed = |brightness, contrast| {
        let mut image = image.clone();
        Appearance { brightness, contrast, erased: None }.apply(&mut image, 2, 2);
        image
    };
    close(&changed(1.5, 1.0), &[0.3, 0.6, 0.9, 0.6], 1e-6);
    close(&changed(1.0, 0.5), &[0.3, 0.4, 0.5, 0.4], 1e-6);
    close(&changed(2.0, 1.0), &[0.4, 0.8, 1.0, 0.8], 1e-6);
    assert_eq!(changed(1.0, 1.0), image);
}

#[test]
fn what_is_erased_has_the_mean_colour_of_its_channel() {
    let mut image: Vec<f32> = (0..200).map(|at| at as f32 / 200.0).collect();
    let before = image.clone();
    let erased = Some([0.2, 0.3, 0.5, 0.4]);
    Appearance { brightness: 1.0, contrast: 1.0, erased }.apply(&mut image, 10, 10);
    for (channel, (now, before)) in image.chunks(100).zip(before.chunks(100)).enumerate() {
        let mean = 0.2475 + 0.5 * channel as f32;
        for (at, (now, before)) in now.iter().zip(before).enumerate() {
            let hit = (2..7).contains(&(at / 10)) && (3..7).contains(&(at % 10));
            assert!((now - if hit { mean } else { *before }).abs() < 1e-6, "{at}");
        }
    }
    let config = AppearanceConfig { erase: 0.5, ..AppearanceConfig::default() };
    let drawn: Vec<Appearance> = (0..400).map(|id| Appearance::draw(&config, &mut rng::stream(0, "erase", &[id]))).collect();
    let erased: Vec<[f64; 4]> = drawn.iter().filter_map(|a| a.erased).collect();
    assert!((160..240).contains(&erased.len()), "{}", erased.len());
    assert!(erased.iter().all(|[top, left, height, width]| top + height <= 1.0 && left + width <= 1.0 && height * width < 0.331));
}

/// By the kind, keyed by what it is handed; values stay from 0 to 1.
#[test]
fn kinds_change_what_they_read() {
    let pixels: Vec<u8> = (0..192).map(|at| (at * 5 % 256) as u8).collect();
    let kind = Image::rgb(8).appearance(AppearanceConfig { brightness: 0.9, contrast: 0.9, erase: 1.0 });
    let plain = values(&kind, &png(&pixels, 8, 8, Rgb8));
    let changed = |id: u64| {
        let raw = Raw::Array(Array::new([3, 8, 8], plain.clone()));
        let Raw::Array(array) = kind.augment(raw, &mut rng::stream(1, "kind", &[id]), &mut rng::stream(1, "own", &[id])).unwrap() else {
            panic!("an array")
        };
        let Values::F32(values) = array.values else { panic!("images are f32") };
        values
    };
    assert_eq!(changed(4), changed(4));
    for id in 0..50 {
        let values = changed(id);
        assert!(values != plain && values.iter().all(|x| (0.0..=1.0).contains(x)));
    }
    assert_ne!(changed(4), changed(5));
    assert_eq!(values(&Image::gray(8), &png(&[9; 64], 8, 8, L8)), [9.0 / 255.0; 64]);
}
