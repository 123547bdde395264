//! Images that look alike.

use super::made::check_card;
use image::{GrayImage, Luma};
use mm_core::data::check::Signature;
use mm_core::data::image::{Bitmap, Fit, Samples, resize};
use mm_core::rng;
use rand::RngExt;
use std::collections::BTreeSet;

const CARD: &str = "name = \"p\"\nfolders = \".\"\n[[modality]]\nname = \"grey\"\nkind = \"image\"\nchannels = \"gray\"\nsize = [16, 16]\n";

fn smooth(seed: u64, side: usize, gain: f32) -> GrayImage {
    let mut random = rng::stream(7, "smooth", &[seed]);
    let waves: Vec<[f32; 4]> = (0..6).map(|_| std::array::from_fn(|_| random.random::<f32>())).collect();
    GrayImage::from_fn(side as u32, side as u32, |x, y| {
        let (y, x) = (y as f32 / side as f32, x as f32 / side as f32);
        let sum: f32 = waves.iter().map(|[a, u, v, phase]| a * (6.0 * (u * x + v * y + phase)).sin()).sum();
        Luma([(gain * (128.0 + 20.0 * sum)).clamp(0.0, 255.0) as u8])
    })
}

/// The pairs that a check says look alike, by position.
fn pairs(images: &[GrayImage]) -> BTreeSet<(usize, usize)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("grey/all")).unwrap();
    for (at, image) in images.iter().enumerate() {
        image.save(folder.path().join(format!("grey/all/{at:04}.png"))).unwrap();
    }
    let check = check_card(folder.path(), CARD);
    let Some(verdict) = check.verdicts.iter().find(|verdict| verdict.found.contains("look alike")) else { return BTreeSet::new() };
    let pair = |place: &String| {
        let members: Vec<usize> = place.split("/all/").skip(1).map(|name| name[..4].parse().unwrap()).collect();
        let &[a, b] = members.as_slice() else { panic!("no pair: {place}") };
        (a, b)
    };
    let pairs: BTreeSet<(usize, usize)> = verdict.places.iter().map(pair).collect();
    assert_eq!(pairs.len(), verdict.places.len(), "a pair is told twice");
    pairs
}

fn bitmap(image: &GrayImage) -> Bitmap {
    let (width, height) = (image.width() as usize, image.height() as usize);
    Bitmap { width, height, channels: 1, samples: Samples::U8(image.as_raw().clone()) }
}

/// 16 by 16 levels of mean 0 and length 1.
fn levels(image: &GrayImage) -> Vec<f32> {
    let levels = resize(&bitmap(image), 1, [16; 2], Fit::Stretch, 0.0).unwrap();
    let mean = levels.iter().sum::<f32>() / 256.0;
    let length = levels.iter().map(|x| (x - mean).powi(2)).sum::<f32>().sqrt();
    levels.iter().map(|x| (x - mean) / length).collect()
}

/// The check finds the pairs that a comparison of all with all finds: those less than 0.1 apart.
#[test]
fn no_pair_is_missed() {
    let mut images: Vec<GrayImage> = (0..150).map(|i| smooth(i, 40, 1.0)).collect();
    images.extend((0..20).map(|i| smooth(7 * i, 61, 0.8)));
    let all: Vec<Vec<f32>> = images.iter().map(levels).collect();
    let distance = |a: usize, b: usize| all[a].iter().zip(&all[b]).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    let within = |limit: f32| -> BTreeSet<(usize, usize)> {
        (0..all.len()).flat_map(|a| (a + 1..all.len()).map(move |b| (a, b))).filter(|&(a, b)| distance(a, b) < limit).collect()
    };
    let found = pairs(&images);
    // The check rounds its numbers, which moves a distance by less than a thousandth.
    assert!(within(0.099).is_subset(&found), "{found:?}");
    assert!(found.is_subset(&within(0.101)), "{found:?}");
    let missed: Vec<u64> = (0..20).filter(|&i| !found.contains(&(7 * i as usize, 150 + i as usize))).collect();
    // One may be darker than what counts as alike.
    assert!(missed.len() <= 1, "copies of another size and brightness: {missed:?}");
}

#[test]
fn images_without_structure_are_not_compared() {
    let flat = bitmap(&GrayImage::from_pixel(20, 20, Luma([200])));
    assert_eq!(Signature::of(&flat).unwrap(), None);
    let broken = Bitmap { samples: Samples::F32(vec![f32::NAN; 400]), ..flat };
    assert_eq!(Signature::of(&broken).unwrap(), None);
}
