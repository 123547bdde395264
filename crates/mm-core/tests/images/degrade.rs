//! Families of corruption: what each strength measures is what is found.

use mm_core::corrupt::{Corruption, DEPTH_FAMILIES, Family, IMAGE_FAMILIES, corrupt_channels, corrupt_depth, corrupt_image};
use mm_core::rng;
use rand::RngExt;

const SIDE: usize = 100;
const AREA: usize = SIDE * SIDE;

fn strength(family: Family, level: u8) -> f32 {
    Corruption::new(family, level).unwrap().strength()
}

fn corrupted(image: &[f32], family: Family, level: u8, id: u64) -> Vec<f32> {
    let mut image = image.to_vec();
    corrupt_image(&mut image, SIDE, SIDE, Corruption::new(family, level).unwrap(), &mut rng::stream(9, "image", &[id])).unwrap();
    image
}

fn degraded(map: &[f32], family: Family, level: u8, id: u64) -> Vec<f32> {
    let mut map = map.to_vec();
    corrupt_depth(&mut map, SIDE, SIDE, Corruption::new(family, level).unwrap(), &mut rng::stream(9, "depth", &[id])).unwrap();
    map
}

fn deviation(a: &[f32], b: &[f32]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

fn count(a: &[f32], test: impl Fn(f32) -> bool) -> usize {
    a.iter().filter(|x| test(**x)).count()
}

/// Stripes, blobs and a ramp, in three channels.
fn picture() -> Vec<f32> {
    let level = |c: usize, row: usize, column: usize| {
        let (y, x) = (row as f32 / SIDE as f32, column as f32 / SIDE as f32);
        0.5 + 0.2 * (9.0 * x + c as f32).sin() + 0.2 * (25.0 * y * x).cos() + 0.1 * (y - x)
    };
    (0..3).flat_map(|c| (0..AREA).map(move |at| level(c, at / SIDE, at % SIDE))).collect()
}

#[test]
fn families_of_other_sensors_are_refused() {
    let (foreign, mut image) = (Corruption::new(Family::WhiteNoise, 1).unwrap(), vec![0.5; AREA]);
    let refused = corrupt_image(&mut image, SIDE, SIDE, foreign, &mut rng::stream(0, "image", &[])).unwrap_err().to_string();
    assert!(refused.contains("kind `image` has no family `white_noise`; it has gaussian_noise, impulse_noise"), "{refused}");
    let refused = corrupt_depth(&mut image, SIDE, SIDE, foreign, &mut rng::stream(0, "depth", &[])).unwrap_err().to_string();
    assert!(refused.contains("range_noise"), "{refused}");
}

#[test]
fn draws_are_keyed_and_values_stay_in_range() {
    let picture = picture();
    for &family in IMAGE_FAMILIES {
        let mut last = 0.0;
        for level in 1..=5 {
            let once = corrupted(&picture, family, level, 1);
            assert_eq!(once, corrupted(&picture, family, level, 1), "{family}");
            assert!(once.iter().all(|x| (0.0..=1.0).contains(x)), "{family} {level}");
            // The higher, the farther from what it was.
            let distance = deviation(&once, &picture);
            assert!(distance > last, "{family} {level}: {distance} after {last}");
            last = distance;
        }
    }
    for family in [Family::GaussianNoise, Family::ImpulseNoise, Family::MotionBlur, Family::Occlusion] {
        assert_ne!(corrupted(&picture, family, 3, 1), corrupted(&picture, family, 3, 2), "{family:?}");
    }
    // Any number of channels and any ratio of sides; nothing to corrupt is no error.
    for (channels, height, width) in [(1, 1, 1), (2, 7, 3), (3, 1, 50), (4, 9, 9), (3, 0, 0)] {
        for &family in IMAGE_FAMILIES {
            let mut image = vec![0.5; channels * height * width];
            corrupt_image(&mut image, height, width, Corruption::new(family, 5).unwrap(), &mut rng::stream(0, "any", &[])).unwrap();
            assert!(image.iter().all(|x| (0.0..=1.0).contains(x)), "{family:?}");
        }
        for &family in DEPTH_FAMILIES {
            let mut map = vec![1.5; channels.min(2) * height * width];
            corrupt_depth(&mut map, height, width, Corruption::new(family, 5).unwrap(), &mut rng::stream(0, "any", &[])).unwrap();
            assert!(map.iter().all(|x| x.is_finite() && *x >= 0.0), "{family:?}");
        }
    }
}

#[test]
fn noise_has_the_deviation_of_the_table() {
    let grey = vec![0.5; 3 * AREA];
    // From 4 on the ends of the range cut.
    for level in 1..=3 {
        let expected = f64::from(strength(Family::GaussianNoise, level));
        let found = deviation(&corrupted(&grey, Family::GaussianNoise, level, 3), &grey);
        assert!((found / expected - 1.0).abs() < 0.02, "{found} for {expected}");
    }
    for level in 1..=5 {
        let expected = f64::from(strength(Family::ImpulseNoise, level)) * AREA as f64;
        let noisy = corrupted(&grey, Family::ImpulseNoise, level, 3);
        let (white, black) = (count(&noisy[..AREA], |x| x == 1.0), count(&noisy[..AREA], |x| x == 0.0));
        // Four deviations of a binomial.
        let spread = 4.0 * expected.sqrt();
        assert!(((white + black) as f64 - expected).abs() < spread && (white as f64 - expected / 2.0).abs() < spread);
        // All channels of a pixel.
        assert_eq!(noisy[..AREA], noisy[AREA..2 * AREA]);
    }
}

#[test]
fn blurs_have_the_width_of_the_table_and_keep_the_light() {
    let mut point = vec![0.0; AREA];
    point[50 * SIDE + 50] = 1.0;
    let spread = |image: &[f32]| {
        let mass: f64 = image.iter().map(|x| f64::from(*x)).sum();
        let moment = |at: usize| f64::from(image[at]) * ((at / SIDE) as f64 - 50.0).powi(2);
        let across = |at: usize| f64::from(image[at]) * ((at % SIDE) as f64 - 50.0).powi(2);
        (mass, (0..AREA).map(moment).sum::<f64>() / mass, (0..AREA).map(across).sum::<f64>() / mass)
    };
    for level in 2..=5 {
        let sigma = f64::from(strength(Family::GaussianBlur, level)) * SIDE as f64;
        let (mass, down, across) = spread(&corrupted(&point, Family::GaussianBlur, level, 0));
        assert!((mass - 1.0).abs() < 1e-4 && (down - across).abs() < 1e-3, "{mass} {down} {across}");
        assert!((down.sqrt() / sigma - 1.0).abs() < 0.03, "{} for {sigma}", down.sqrt());
        // A line of length l has the variance l^2 / 12; bilinear sampling and the ends add a little.
        let length = f64::from(strength(Family::MotionBlur, level)) * SIDE as f64;
        let (mass, down, across) = spread(&corrupted(&point, Family::MotionBlur, level, 0));
        let (found, expected) = ((down + across).sqrt(), (length * length / 12.0).sqrt());
        assert!((mass - 1.0).abs() < 1e-3 && (expected * 0.95..expected * 1.35).contains(&found), "{mass} {found} {expected}");
    }
    let flat = vec![0.3; AREA];
    for family in [Family::GaussianBlur, Family::MotionBlur] {
        assert!(corrupted(&flat, family, 5, 0).iter().all(|x| (x - 0.3).abs() < 1e-5), "{family:?}");
    }
}

#[test]
fn darkness_fog_and_occlusion_are_exact() {
    let picture = picture();
    let mean = |image: &[f32]| image.iter().map(|x| f64::from(*x)).sum::<f64>() / image.len() as f64;
    for level in 1..=5 {
        let factor = f64::from(strength(Family::Darkness, level));
        let dark = corrupted(&picture, Family::Darkness, level, 0);
        assert!((mean(&dark) / mean(&picture) - factor).abs() < 1e-6);
        let share = f64::from(strength(Family::Fog, level));
        let fog = corrupted(&picture, Family::Fog, level, 0);
        assert!((mean(&fog) - (1.0 - share) * mean(&picture) - 0.8 * share).abs() < 1e-6);
        // Contrast shrinks by what is mixed in.
        let contrast = |image: &[f32]| deviation(image, &vec![mean(image) as f32; image.len()]);
        assert!((contrast(&fog) / contrast(&picture) - (1.0 - share)).abs() < 1e-4);
        for id in 0..20 {
            let area = count(&corrupted(&picture, Family::Occlusion, level, id)[..AREA], |x| x == 0.0);
            let side = (strength(Family::Occlusion, level) * AREA as f32).sqrt().round();
            let expected = f64::from(strength(Family::Occlusion, level)) * AREA as f64;
            assert!((area as f64 - expected).abs() <= f64::from(side) / 2.0 + 1.0, "{area} for {expected}");
        }
    }
}

#[test]
fn compression_leaves_flat_images_and_loses_texture() {
    for level in [0.0, 0.5, 1.0] {
        let flat = vec![level; 3 * AREA];
        assert!(corrupted(&flat, Family::Jpeg, 1, 0).iter().all(|x| (x - level).abs() < 0.02));
    }
    let picture = picture();
    let distance = deviation(&corrupted(&picture, Family::Jpeg, 1, 0), &picture);
    assert!((0.001..0.05).contains(&distance), "{distance}");
    // One channel, and channels that are no colours.
    assert!(deviation(&corrupted(&picture[..AREA], Family::Jpeg, 1, 0), &picture[..AREA]) < 0.05);
    assert!(deviation(&corrupted(&picture[..2 * AREA], Family::Jpeg, 1, 0), &picture[..2 * AREA]) < 0.05);
}

/// 1 to 3 m, a tenth without a reading, with the channel that says so.
fn map() -> Vec<f32> {
    let mut random = rng::stream(1, "map", &[]);
    let depth: Vec<f32> = (0..AREA).map(|_| if random.random::<f32>() < 0.1 { 0.0 } else { random.random_range(1.0..3.0) }).collect();
    let valid: Vec<f32> = depth.iter().map(|&z| if z > 0.0 { 1.0 } else { 0.0 }).collect();
    [depth, valid].concat()
}

#[test]
fn depth_loses_what_the_table_says() {
    let map = map();
    let readings = count(&map[..AREA], |z| z > 0.0) as f64;
    for level in 1..=5 {
        for &family in DEPTH_FAMILIES {
            let once = degraded(&map, family, level, 1);
            assert_eq!(once, degraded(&map, family, level, 1), "{family}");
            for (at, z) in once[..AREA].iter().enumerate() {
                assert!(map[at] > 0.0 || *z == 0.0 || family == Family::Misalignment, "{family} reads where there was nothing");
                assert_eq!(once[AREA + at], if *z > 0.0 { 1.0 } else { 0.0 }, "{family}");
            }
        }
        let share = |family: Family| f64::from(strength(family, level));
        let full = [vec![2.0; AREA], vec![1.0; AREA]].concat();
        let lost = |map: &[f32], family| count(&degraded(map, family, level, 1)[..AREA], |z| z == 0.0) as f64;
        assert_eq!(lost(&full, Family::Holes), (share(Family::Holes) * AREA as f64).round());
        assert!((lost(&full, Family::Occlusion) / AREA as f64 - share(Family::Occlusion)).abs() < 0.005);
        assert!((lost(&full, Family::MissingPixels) / AREA as f64 - share(Family::MissingPixels)).abs() < 0.02);
        let near = degraded(&map, Family::ShortRange, level, 1);
        let left = count(&near[..AREA], |z| z > 0.0) as f64;
        assert_eq!(left, readings - (share(Family::ShortRange) * readings).round());
        let farthest = near[..AREA].iter().fold(0f32, |a, &b| a.max(b));
        assert!((0..AREA).all(|at| near[at] > 0.0 || map[at] == 0.0 || map[at] >= farthest));
        let step = strength(Family::Quantized, level);
        let coarse = degraded(&map, Family::Quantized, level, 1);
        assert!((0..AREA).all(|at| (coarse[at] - map[at]).abs() <= step / 2.0 + 1e-5
            && (coarse[at] / step).fract().min(1.0 - (coarse[at] / step).fract()) < 1e-4));
    }
}

/// At 2 m four times what it is at 1 m.
#[test]
fn depth_noise_grows_with_the_square_of_distance() {
    for level in 1..=4 {
        let sigma = f64::from(strength(Family::RangeNoise, level));
        for distance in [1.0f32, 2.0] {
            let flat = vec![distance; AREA];
            let found = deviation(&degraded(&flat, Family::RangeNoise, level, 1), &flat);
            let expected = sigma * f64::from(distance).powi(2);
            assert!((found / expected - 1.0).abs() < 0.03, "{found} for {expected}");
        }
    }
}

/// Severity 4 takes all that severity 3 takes.
#[test]
fn severities_are_nested() {
    let full = vec![2.0; AREA];
    for family in [Family::MissingPixels, Family::Holes] {
        let maps: Vec<Vec<f32>> = (1..=5).map(|level| degraded(&full, family, level, 1)).collect();
        assert!(maps.windows(2).all(|pair| (0..AREA).all(|at| pair[0][at] > 0.0 || pair[1][at] == 0.0)), "{family:?}");
    }
    let grey = vec![0.5; AREA];
    let images: Vec<Vec<f32>> = (1..=5).map(|level| corrupted(&grey, Family::ImpulseNoise, level, 1)).collect();
    assert!(images.windows(2).all(|pair| (0..AREA).all(|at| pair[0][at] == 0.5 || pair[1][at] == pair[0][at])));
}

/// The share of the table, exactly; the same clouds, larger and thicker.
#[test]
fn clouds_cover_the_share_of_the_table() {
    let black = vec![0.0; 4 * AREA];
    let skies: Vec<Vec<f32>> = (1..=5).map(|level| corrupted(&black, Family::Cloud, level, 1)).collect();
    for (level, sky) in (1..).zip(&skies) {
        let covered = count(&sky[..AREA], |x| x > 0.0);
        assert_eq!(covered, (strength(Family::Cloud, level) * AREA as f32).round() as usize);
        // All channels alike; translucent somewhere, and white somewhere.
        assert!((1..4).all(|c| sky[c * AREA..][..AREA] == sky[..AREA]));
        assert!(sky.contains(&1.0) && count(&sky[..AREA], |x| (0.1..0.9).contains(&x)) > covered / 50, "{level}");
        // Smooth: neighbours are alike.
        let steps: f64 = sky[..AREA].windows(2).map(|pair| f64::from((pair[0] - pair[1]).abs())).sum::<f64>() / AREA as f64;
        assert!(steps < 0.1, "{steps}");
    }
    assert!(skies.windows(2).all(|pair| (0..AREA).all(|at| pair[1][at] >= pair[0][at])));
    assert_ne!(skies[2], corrupted(&black, Family::Cloud, 3, 2));
    // White stays white.
    assert!(corrupted(&[1.0; AREA], Family::Cloud, 3, 1).iter().all(|x| *x == 1.0));
}

#[test]
fn misalignment_moves_everything_by_the_same_whole_pixels() {
    // Each pixel is known by its value.
    let numbered: Vec<f32> = (0..AREA).map(|at| (at + 1) as f32 / (AREA + 1) as f32).collect();
    let place = |x: f32| (x * (AREA + 1) as f32).round() as isize - 1;
    for id in 0..20 {
        let mut direction = 0.0;
        for level in 1..=5 {
            let pixels = strength(Family::Misalignment, level);
            let moved = corrupted(&numbered, Family::Misalignment, level, id);
            let middle = 50 * SIDE + 50;
            let from = place(moved[middle]);
            let (down, right) = (50 - from / SIDE as isize, 50 - from % SIDE as isize);
            let length = (down as f32).hypot(right as f32);
            assert!((length - pixels).abs() <= 0.71 && length >= 1.0, "{down} {right} for {pixels}");
            // The same direction for all distances, but for rounding.
            let angle = (down as f32).atan2(right as f32);
            direction = if level == 1 { angle } else { direction };
            assert!((angle - direction).cos() > 0.5, "{id}: {angle} {direction}");
            let side = |at: isize, by: isize| (at - by).clamp(0, SIDE as isize - 1);
            let depth = degraded(&numbered, Family::Misalignment, level, id);
            let from = place(depth[middle]);
            let (deeper, farther) = (50 - from / SIDE as isize, 50 - from % SIDE as isize);
            for at in 0..AREA as isize {
                let (row, column) = (at / SIDE as isize, at % SIDE as isize);
                assert_eq!(place(moved[at as usize]), side(row, down) * SIDE as isize + side(column, right), "edges are repeated");
                let inside = (0..SIDE as isize).contains(&(row - deeper)) && (0..SIDE as isize).contains(&(column - farther));
                assert_eq!(depth[at as usize] > 0.0, inside, "what comes in is no reading");
            }
        }
    }
}

#[test]
fn depth_is_lost_along_edges_only() {
    // A box 2 m away before a wall at 3 m, and a slope that is no edge.
    let at = |row: usize, column: usize| match (row, column) {
        (30..60, 30..60) => 2.0,
        _ => 3.0 + row as f32 * 0.01,
    };
    let map: Vec<f32> = (0..AREA).map(|i| at(i / SIDE, i % SIDE)).collect();
    for level in 1..=5 {
        let reach = strength(Family::EdgeHoles, level) as isize;
        let found = degraded(&map, Family::EdgeHoles, level, 1);
        for (i, z) in found.iter().enumerate() {
            let (row, column) = ((i / SIDE) as isize, (i % SIDE) as isize);
            let within = |from: isize, to: isize| (from..to).contains(&row) && (from..to).contains(&column);
            // Neighbours across a corner make no edge.
            let ends = [30 - reach, 59 + reach];
            let corner = ends.contains(&row) && ends.contains(&column);
            let lost = within(30 - reach, 60 + reach) && !within(30 + reach, 60 - reach) && !corner;
            assert_eq!(*z == 0.0, lost, "{level}: {row} {column}");
            assert!(lost || *z == map[i]);
        }
    }
    // A hole makes no edge.
    let mut hole = vec![2.0; AREA];
    hole[5 * SIDE + 5] = 0.0;
    assert_eq!(degraded(&hole, Family::EdgeHoles, 5, 1), hole);
}

#[test]
fn a_blur_of_depth_mixes_readings_only() {
    let mut wall = vec![2.0; AREA];
    (0..AREA).filter(|at| at % SIDE < 50 && at / SIDE < 50).for_each(|at| wall[at] = 0.0);
    let found = degraded(&wall, Family::GaussianBlur, 5, 1);
    assert!(found.iter().zip(&wall).all(|(a, b)| (a - b).abs() < 1e-5));
    let step: Vec<f32> = (0..AREA).map(|at| if at % SIDE < 50 { 1.0 } else { 3.0 }).collect();
    let found = degraded(&step, Family::GaussianBlur, 5, 1);
    assert!((1.8..2.2).contains(&((found[49] + found[50]) / 2.0)) && found[49] > 1.5 && (found[0] - 1.0).abs() < 1e-5);
}

/// Radar in decibels, bands of a satellite: what an image loses, in the units of each channel.
#[test]
fn channels_in_any_unit_degrade_as_images_do() {
    let picture = picture();
    let units = [(-31.5, 20.0), (0.0, 1.0), (1e9, 300.0)];
    let ends = |plane: &[f32]| plane.iter().fold([1f32, 0.0], |[low, high], &x| [low.min(x), high.max(x)]);
    let unit: Vec<f32> = picture.chunks(AREA).flat_map(|p| p.iter().map(|x| (x - ends(p)[0]) / (ends(p)[1] - ends(p)[0]))).collect();
    let stack: Vec<f64> =
        unit.chunks(AREA).zip(units).flat_map(|(p, (low, range))| p.iter().map(move |&x| low + range * f64::from(x))).collect();
    for &family in IMAGE_FAMILIES {
        let mut found = stack.clone();
        let corruption = Corruption::new(family, 3).unwrap();
        corrupt_channels(&mut found, SIDE, SIDE, corruption, &mut rng::stream(9, "image", &[1])).unwrap();
        let expected = corrupted(&unit, family, 3, 1);
        // One level of JPEG where rounding falls on the other side.
        let near = if family == Family::Jpeg { 0.05 } else { 1e-4 };
        for (c, (low, range)) in units.into_iter().enumerate() {
            for at in c * AREA..(c + 1) * AREA {
                assert!(((found[at] - low) / range - f64::from(expected[at])).abs() < near, "{family} {c}");
            }
        }
    }
    let mut flat = vec![-7.0; AREA];
    corrupt_channels(&mut flat, SIDE, SIDE, Corruption::new(Family::Cloud, 5).unwrap(), &mut rng::stream(9, "image", &[1])).unwrap();
    assert_eq!(flat, [-7.0; AREA]);
}
