//! Rendered scenes: what is in them, what each sensor knows, and what is written.

use mm_core::data::{Bundle, FileCard, Loader, Part, Source, TargetValue};
use mm_datasets::scenes::{CLASSES, Error, KINDS, Scene, Settings, bundle, render, write};
use std::collections::BTreeSet;
use std::path::Path;

const SMALL: Settings = Settings { seed: 3, scenes: 20, size: [48, 64] };

fn label(class: &str) -> u8 {
    1 + CLASSES.iter().position(|name| *name == class).unwrap() as u8
}

/// With so many threads.
fn made(settings: &Settings, threads: usize) -> Bundle {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| bundle(settings).unwrap())
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_any_number_of_threads() {
    let (one, three) = (made(&SMALL, 1), made(&SMALL, 3));
    let names = |id: &str| ["rgb", "depth", "thermal", "labels"].map(|folder| format!("{folder}/{id}.png"));
    for name in ["000000", "000013", "000019"].iter().flat_map(|id| names(id)).chain(["samples.csv".into()]) {
        let name = Path::new(&name);
        assert!(one.get(name).is_some() && one.get(name) == three.get(name), "{}", name.display());
    }
    // A scene is the same whatever else is rendered, and another with another seed or number.
    let scene = render(3, 13, [48, 64]);
    assert_eq!(scene, render(3, 13, [48, 64]));
    assert!(scene.labels != render(4, 13, [48, 64]).labels && scene.labels != render(3, 14, [48, 64]).labels);
}

#[test]
fn every_class_kind_and_part_occurs_and_rooms_stay_in_one_part() {
    let scenes: Vec<Scene> = (0..120).map(|index| render(0, index, [60, 80])).collect();
    let seen = |part: Part| scenes.iter().filter(move |scene| scene.part == part);
    for part in [Part::Train, Part::Validation, Part::Test] {
        let labels: BTreeSet<u8> = seen(part).flat_map(|scene| scene.labels.iter().copied()).collect();
        assert_eq!(labels, (0..=CLASSES.len() as u8).collect(), "{part:?}");
        assert!(seen(part).count() >= 12);
    }
    let kinds: BTreeSet<&str> = scenes.iter().map(|scene| scene.class).collect();
    assert_eq!(kinds, KINDS.into_iter().collect());
    let rooms: BTreeSet<(u64, &str)> = scenes.iter().map(|scene| (scene.room, scene.class)).collect();
    assert_eq!(rooms.len(), 30, "a room has one kind");
    let void = scenes.iter().flat_map(|scene| &scene.labels).filter(|&&label| label == 0).count();
    assert!(void * 20 < 120 * 60 * 80, "void is rare: {void}");
}

#[test]
fn a_pixel_without_depth_is_a_hole_and_holes_are_at_edges_and_on_surfaces_that_give_no_light_back() {
    let size = [120, 160];
    let (mut holes, mut edges, mut holes_at_edges, mut pixels) = (0, 0, 0, 0);
    for scene in (0..30).map(|index| render(0, index, size)) {
        for (at, (&number, &metres)) in scene.depth.iter().zip(&scene.metres).enumerate() {
            // Seven deviations of the noise, and half a millimetre of rounding.
            let error = (f32::from(number) / 1000.0 - metres).abs();
            assert!(number == 0 || error < 7.0 * (0.0005 + 0.0015 * metres * metres) + 0.0006, "{number} for {metres} m");
            let behind = at % 160 > 0 && scene.metres[at - 1] < 0.94 * metres;
            holes += usize::from(number == 0);
            edges += usize::from(behind);
            holes_at_edges += usize::from(behind && number == 0);
            pixels += 1;
        }
    }
    let (share, at_edges) = (holes as f64 / pixels as f64, holes_at_edges as f64 / edges as f64);
    assert!((0.01..0.25).contains(&share) && at_edges > 1.5 * share, "{share} of all, {at_edges} of pixels behind an edge");
}

/// What the sensors say of a thing's pixels.
#[derive(Debug, Default, Clone, Copy)]
struct Look {
    /// Mean of red, green and blue.
    bright: f64,
    /// Share of pixels whose neighbour to the right differs much in colour.
    changes: f64,
    /// By how many metres it stands out from the wall that is left and right of it.
    bulge: f64,
    /// Mean distance.
    metres: f64,
    /// Mean degrees.
    heat: f64,
}

/// How all that is seen of a class in a scene looks; none where little is seen of it.
fn look(scene: &Scene, class: &str) -> Option<Look> {
    let ([height, width], class, wall) = (scene.size, label(class), label("wall"));
    let colour = |at: usize| [0, 1, 2].map(|channel| f64::from(scene.rgb[3 * at + channel]));
    let depth = |at: usize| f64::from(scene.depth[at]) / 1000.0;
    let (mut look, mut pixels, mut measured, mut pairs, mut bulges) = (Look::default(), 0.0, 0.0, 0.0, Vec::new());
    for y in 0..height {
        let row = y * width;
        for x in (0..width - 1).filter(|x| scene.labels[row + x] == class) {
            let at = row + x;
            pixels += 1.0;
            look.bright += colour(at).iter().sum::<f64>() / 3.0;
            look.heat += f64::from(scene.thermal[at]) / 4.0;
            if scene.depth[at] > 0 {
                measured += 1.0;
                look.metres += depth(at);
            }
            if scene.labels[at + 1] == class {
                pairs += 1.0;
                let (here, right) = (colour(at), colour(at + 1));
                let difference = (0..3).map(|i| (here[i] - right[i]).abs()).fold(0.0, f64::max);
                look.changes += f64::from(u8::from(difference > 40.0));
            }
            // The wall at both ends of this run of pixels, some pixels away from its edge.
            let (left, right) =
                ((0..x).rev().find(|&x| scene.labels[row + x] != class), (x..width).find(|&x| scene.labels[row + x] != class));
            if let (Some(left), Some(right)) = (left.and_then(|x| x.checked_sub(3)), right.map(|x| x + 3).filter(|&x| x < width)) {
                let ends = [row + left, row + right];
                if scene.depth[at] > 0 && ends.iter().all(|&end| scene.labels[end] == wall && scene.depth[end] > 0) {
                    let share = (x - left) as f64 / (right - left) as f64;
                    // Of a plane the inverse distance is linear along a row.
                    let plane = 1.0 / ((1.0 - share) / depth(ends[0]) + share / depth(ends[1]));
                    bulges.push(plane - depth(at));
                }
            }
        }
    }
    if pixels < 60.0 || pairs == 0.0 || measured == 0.0 {
        return None;
    }
    look.bright /= pixels;
    look.heat /= pixels;
    look.metres /= measured;
    look.changes /= pairs;
    bulges.sort_by(f64::total_cmp);
    look.bulge = bulges.get(bulges.len() / 2).copied().unwrap_or(f64::NAN);
    Some(look)
}

/// The difference of two means in units of their common deviation, over scenes that show the class.
fn apart(scenes: &[Scene], [a, b]: [&str; 2], of: fn(&Look) -> f64) -> f64 {
    let values = |class| {
        let looks = scenes.iter().filter_map(|scene| look(scene, class));
        looks.map(|look| of(&look)).filter(|x| x.is_finite()).collect::<Vec<f64>>()
    };
    let moments = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64)
    };
    let (a, b) = (values(a), values(b));
    assert!(a.len() > 60 && b.len() > 60, "{} and {} scenes", a.len(), b.len());
    let ((mean_a, var_a), (mean_b, var_b)) = (moments(&a), moments(&b));
    (mean_a - mean_b).abs() / ((var_a + var_b) / 2.0).sqrt().max(1e-9)
}

#[test]
fn each_pair_is_told_apart_by_its_own_sensor_only() {
    let scenes: Vec<Scene> = (0..400).map(|index| render(0, index, [120, 160])).collect();
    type Measure = (&'static str, fn(&Look) -> f64);
    let [bright, changes, bulge, metres, heat]: [Measure; 5] = [
        ("brightness", |look| look.bright),
        ("changes of colour along rows", |look| look.changes),
        ("bulge", |look| look.bulge),
        ("distance", |look| look.metres),
        ("heat", |look| look.heat),
    ];
    let pairs: [([&str; 2], Measure, &[Measure]); 3] = [
        (["striped box", "checked box"], changes, &[bright, metres, heat]),
        (["picture", "ball"], bulge, &[bright, changes, heat]),
        (["cold box", "warm box"], heat, &[bright, changes, metres]),
    ];
    for (pair, own, others) in pairs {
        let difference = apart(&scenes, pair, own.1);
        println!("{pair:?}: {} {difference:.2}", own.0);
        assert!(difference > 1.5, "{pair:?} differ by {difference} deviations in {}", own.0);
        for (name, measure) in others {
            let difference = apart(&scenes, pair, *measure);
            println!("{pair:?}: {name} {difference:.2}");
            assert!(difference < 0.4, "{pair:?} differ by {difference} deviations in {name}");
        }
    }
}

#[test]
fn what_is_written_opens_and_gives_batches() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/scenes");
    let told = std::sync::atomic::AtomicUsize::new(0);
    let count = || {
        told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let [card, rooms] = write(&out, &SMALL, &count).unwrap();
    assert_eq!(told.into_inner(), 20);
    assert!(FileCard::from_path(&card).unwrap().description.contains("SYNTHETIC"));
    let source = FileCard::from_path(&card).unwrap().open().unwrap();
    assert_eq!((source.len(), source.schema().target.class_names()), (20, &CLASSES.map(String::from)[..]));
    let sample = source.read(7).unwrap();
    let scene = render(3, 7, [48, 64]);
    // Class `k` is `k + 1` in files and in memory.
    let TargetValue::Pixels(labels) = &sample.target else { panic!("a class for each pixel") };
    assert!(labels.labels().iter().zip(&scene.labels).all(|(a, b)| *a == u16::from(*b)));
    let depth = sample.readings[1].as_ref().unwrap();
    assert_eq!(depth.shape, [2, 48, 64]);
    assert!(depth.values.to_f64().iter().zip(&scene.depth).all(|(metres, number)| (metres - f64::from(*number) / 1000.0).abs() < 1e-6));
    let rows: Vec<usize> = (0..20).collect();
    let batch = Loader::new(&source, &rows, 5, 0).epoch(0, 0, |batches| batches.next().unwrap().unwrap());
    assert_eq!((batch.len(), batch.targets().values().dims()), (5, &[5, 48, 64][..]));
    // The second card: a class for each scene, with captions.
    let source = FileCard::from_path(&rooms).unwrap().open().unwrap();
    assert_eq!((source.schema().modalities.len(), source.schema().target.class_names().len()), (4, KINDS.len()));
    assert!((0..20).all(|row| source.read(row).unwrap().readings.iter().all(Option::is_some)));
    // In memory it is the same.
    let memory = FileCard::from_str(&SMALL.card(), "card.toml").unwrap().open_bundle(&bundle(&SMALL).unwrap()).unwrap();
    assert_eq!(memory.read(7).unwrap().readings[0], sample.readings[0]);
    // Nothing else lies beside it.
    assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
}

/// The folder stays the same one; in it lies what a killed run left.
#[cfg(unix)]
#[test]
fn an_empty_folder_behind_a_link_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    let (there, link) = (folder.path().join("there"), folder.path().join("link"));
    std::fs::create_dir_all(there.join(".unfinished/folder/rgb")).unwrap();
    std::fs::write(there.join(".unfinished/lock"), "").unwrap();
    std::os::unix::fs::symlink(&there, &link).unwrap();
    let [card, _] = write(&link, &SMALL, &|| ()).unwrap();
    assert!(card == link.join("card.toml") && there.join("rgb/000019.png").is_file() && !there.join(".unfinished").exists());
    assert_eq!(FileCard::from_path(&card).unwrap().open().unwrap().len(), 20);
}

#[test]
fn a_folder_with_other_files_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine.txt");
    std::fs::write(&mine, "mine").unwrap();
    let error = write(folder.path(), &SMALL, &|| ()).unwrap_err();
    assert!(matches!(&error, Error::Occupied { path } if path == folder.path()) && error.to_string().contains("new folder"), "{error}");
    let error = write(&mine, &SMALL, &|| ()).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
    assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let empty = tempfile::tempdir().unwrap();
    write(empty.path(), &SMALL, &|| ()).unwrap();
    assert!(empty.path().join("card.toml").is_file());
    for (settings, word) in [(Settings { size: [0, 64], ..SMALL }, "0 x 64"), (Settings { scenes: 3, ..SMALL }, "from 20")] {
        let error = write(&folder.path().join("other"), &settings, &|| ()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(!folder.path().join("other").exists());
}
