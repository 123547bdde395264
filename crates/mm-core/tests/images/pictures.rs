//! The colours of classes, and pictures of what sensors saw and models said.

use mm_core::data::image::{Samples, decode};
use mm_core::data::pictures::{RIGHT, WRONG, error_picture, overlay, sensor_picture};
use mm_core::data::{Array, PixelLabels, VOID_COLOUR, class_colour};

fn distance(a: [u8; 3], b: [u8; 3]) -> f64 {
    a.iter().zip(b).map(|(&a, b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn every_class_has_a_colour_of_its_own() {
    let colours: Vec<[u8; 3]> = (0..255).map(class_colour).chain([VOID_COLOUR]).collect();
    for (i, &colour) in colours.iter().enumerate() {
        assert!(!colours[..i].contains(&colour), "{i}: {colour:?}");
    }
    // Those of most data sets are far apart, and from void and from the white of a page.
    let first: Vec<[u8; 3]> = colours[..24].iter().copied().chain([VOID_COLOUR, [255; 3]]).collect();
    for (i, &colour) in first.iter().enumerate() {
        let nearest = first[..i].iter().map(|&other| distance(colour, other)).fold(f64::INFINITY, f64::min);
        assert!(nearest > 50.0, "{i}: {colour:?} is {nearest} from another");
    }
    assert_eq!(class_colour(255), class_colour(0));
}

fn pixels(png: &[u8]) -> Vec<u8> {
    match decode(png).expect("a picture").samples {
        Samples::U8(samples) => samples,
        other => panic!("{other:?}"),
    }
}

#[test]
fn colours_stay_and_other_channels_are_stretched() {
    let rgb = Array::new([3, 1, 2], vec![1.0, 0.0, 0.2, 0.4, 0.0, 1.0]);
    assert_eq!(pixels(&sensor_picture(&rgb, 8).unwrap().unwrap()), [255, 51, 0, 0, 102, 255]);
    // Metres: no reading is black, the nearest dark grey, the farthest white; a mask is not shown.
    let depth = Array::new([2, 1, 4], vec![0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 1.0, 1.0]);
    assert_eq!(pixels(&sensor_picture(&depth, 8).unwrap().unwrap()), [0, 32, 144, 255]);
    let bands = Array::new([4, 1, 2], vec![-3.0, 5.0, 7.0, 6.0, 1.0, 1.0, 9.0, 8.0]);
    assert_eq!(pixels(&sensor_picture(&bands, 8).unwrap().unwrap()), [32, 255, 255, 255, 32, 255]);
    let damaged = Array::new([1, 1, 2], vec![f32::NAN, 4.0]);
    assert_eq!(pixels(&sensor_picture(&damaged, 8).unwrap().unwrap()), [0, 255]);
    assert_eq!(sensor_picture(&Array::new([6], vec![0.0; 6]), 8).unwrap(), None);
    let large = sensor_picture(&Array::new([1, 20, 40], (0..800).map(|x| x as f32).collect()), 8).unwrap().unwrap();
    let small = decode(&large).unwrap();
    assert_eq!((small.height, small.width), (4, 8));
}

#[test]
fn overlays_are_half_of_each_in_the_size_of_the_map() {
    let labels = PixelLabels::new(1, 2, vec![0, 1]).unwrap();
    let white = Array::new([3, 1, 2], vec![1.0; 6]);
    let [r, g, b] = class_colour(0).map(|c| (0.5 * 255.0 + 0.5 * f32::from(c)).round() as u8);
    assert_eq!(pixels(&overlay(&white, &labels).unwrap().unwrap()), [128, 128, 128, r, g, b]);
    let larger = PixelLabels::new(6, 4, vec![1; 24]).unwrap();
    let found = decode(&overlay(&white, &larger).unwrap().unwrap()).unwrap();
    assert_eq!((found.height, found.width), (6, 4));
}

#[test]
fn errors_are_right_wrong_or_void() {
    let truth = PixelLabels::new(1, 3, vec![0, 1, 2]).unwrap();
    let prediction = PixelLabels::new(1, 3, vec![2, 1, 1]).unwrap();
    assert_eq!(pixels(&error_picture(&prediction, &truth).unwrap()), [VOID_COLOUR, RIGHT, WRONG].concat());
    assert!(error_picture(&PixelLabels::new(3, 1, vec![1; 3]).unwrap(), &truth).is_err());
}
