//! The built-in data sets hold what they say.

use mm_core::data::{Bundle, DatasetCard, FileCard, LoadedData, Part, Source, TargetValue};
use mm_datasets::scenes::Settings;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn audio_visual_digits_are_two_thousand_pairs_with_voices_held_out() {
    let data = mm_datasets::by_name("audio-visual-digits").unwrap();
    let card = FileCard::from_str(data.card, "audio-visual-digits.toml").unwrap();
    let source = card.open_bundle(&Bundle::new(data.files().unwrap())).unwrap();
    assert_eq!((source.len(), source.schema().target.classes()), (2000, 10));
    let mut voices = BTreeMap::<_, BTreeSet<_>>::new();
    let mut counts = BTreeMap::<_, usize>::new();
    for row in 0..source.len() {
        let meta = source.meta(row);
        voices.entry(meta.part).or_default().insert(meta.group.unwrap());
        *counts.entry((meta.group.unwrap(), meta.class)).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count == 20), "{counts:?}");
    let of = |part| voices[&Some(part)].len();
    assert_eq!((of(Part::Train), of(Part::Validation), of(Part::Test)), (6, 1, 3));
    for row in (0..source.len()).step_by(97).chain([1999]) {
        let sample = source.read(row).unwrap();
        let class = source.meta(row).class;
        let shapes: Vec<_> = sample.readings.iter().map(|reading| reading.as_ref().unwrap().shape.clone()).collect();
        assert_eq!(shapes, [vec![1, 28, 28], vec![1, 40, 51]], "sample {row} of class {class:?}");
        let [low, high] =
            sample.readings[0].as_ref().unwrap().filled().iter().fold([1.0, 0.0], |[a, b]: [f64; 2], x| [a.min(*x), b.max(*x)]);
        assert!(low == 0.0 && high > 0.5, "an image is dark with a bright digit");
    }
}

#[test]
fn its_card_opens_from_a_checkout_too() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = FileCard::from_path(folder.join("audio-visual-digits.toml")).unwrap().open().unwrap();
    source.read(1234).unwrap();
}

#[test]
fn a_file_that_is_not_in_memory_is_named() {
    let data = mm_datasets::by_name("audio-visual-digits").unwrap();
    let card = FileCard::from_str(data.card, "audio-visual-digits.toml").unwrap();
    let without = |name: &str| Bundle::new(data.files().unwrap().into_iter().filter(|(file, _)| !file.ends_with(name)));
    for name in ["samples.csv", "anna.flac"] {
        let error = card.open_bundle(&without(name)).map(drop).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn rendered_scenes_are_what_the_renderer_says_of_them() {
    let data = mm_datasets::by_name("rendered-scenes").unwrap();
    let settings = Settings { seed: 0, scenes: 500, size: [60, 80] };
    // But for the first line, which says where a card comes from, and the name.
    let body = |card: &str| card.lines().skip(2).map(str::to_string).collect::<Vec<_>>();
    assert_eq!(body(data.card), body(&settings.card()));
    let card = FileCard::from_str(data.card, "rendered-scenes.toml").unwrap();
    assert_eq!(card.name, data.name);
    let source = card.open_bundle(&Bundle::new(data.files().unwrap())).unwrap();
    assert_eq!((source.len(), source.schema().target.classes()), (500, 12));
    let sample = source.read(499).unwrap();
    let shapes: Vec<_> = sample.readings.iter().map(|reading| reading.as_ref().unwrap().shape.clone()).collect();
    assert_eq!(shapes, [vec![3, 60, 80], vec![2, 60, 80], vec![1, 60, 80]]);
}

#[test]
fn the_watch_saw_seven_exercises_of_ten_people() {
    let data = mm_datasets::by_name("smartwatch").unwrap();
    let card = FileCard::from_str(data.card, "smartwatch.toml").unwrap();
    let source = card.open_bundle(&Bundle::new(data.files().unwrap())).unwrap();
    assert_eq!((source.len(), source.schema().target.classes(), source.remarks().len()), (2229, 7, 0));
    let mut people = BTreeMap::<_, BTreeSet<_>>::new();
    for row in 0..source.len() {
        let meta = source.meta(row);
        people.entry(meta.part.unwrap()).or_default().insert(meta.group.unwrap().to_string());
    }
    assert_eq!((people[&Part::Train].len(), people[&Part::Test].len()), (7, 3));
    assert_eq!(people[&Part::Test], ["s08", "s09", "s10"].map(String::from).into());
    for row in (0..source.len()).step_by(111) {
        for reading in source.read(row).unwrap().readings {
            let reading = reading.unwrap();
            assert_eq!(reading.shape, [3, 100]);
            assert!(reading.filled().iter().any(|x| x.abs() > 100.0));
        }
    }
    // As the other cards, it opens from a checkout too.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let from_files = FileCard::from_path(folder.join("smartwatch.toml")).unwrap().open().unwrap();
    assert_eq!(from_files.read(1234).unwrap().readings, source.read(1234).unwrap().readings);
}

/// A card of tables with its files, read.
fn tables(name: &str) -> LoadedData {
    let data = mm_datasets::by_name(name).unwrap();
    let files = data.files().unwrap();
    let bytes = |file: &str| files.iter().find(|(name, _)| name == file).map(|(_, bytes)| bytes.to_vec().into());
    let missing = |file: &str| mm_core::Error::File { path: file.into(), problem: "is not built in".into() };
    DatasetCard::from_str(data.card, format!("{name}.toml")).unwrap().load(|file| bytes(file).ok_or_else(|| missing(file))).unwrap()
}

#[test]
fn genes_have_four_functions_on_average() {
    let loaded = tables("yeast");
    let data = &loaded.data;
    assert_eq!((data.len(), data.schema().target.output_names().len()), (2417, 14));
    let shapes: Vec<usize> = data.schema().inputs.iter().map(|input| input.shape[0]).collect();
    assert_eq!(shapes, [79, 24]);
    let mut counts = [0; 14];
    for row in 0..data.len() {
        let TargetValue::Labels(held) = data.target(row).unwrap() else { panic!("labels") };
        counts.iter_mut().zip(held).for_each(|(count, holds)| *count += usize::from(holds));
        let sample = data.read(row).unwrap();
        let length: f64 = sample.readings.iter().flatten().flat_map(|array| array.filled()).map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 0.01, "sample {row} has length {length}");
    }
    // As in the table of the published set.
    assert_eq!((counts[0], counts[11], counts[13], counts.iter().sum::<usize>()), (762, 1816, 34, 10241));
}

#[test]
fn cars_have_a_consumption_and_six_have_no_engine() {
    let loaded = tables("auto-mpg");
    let data = &loaded.data;
    assert_eq!((data.len(), data.schema().target.in_words()), (398, "1 number".into()));
    let without = (0..data.len()).filter(|&row| !data.meta(row).presence.contains(0)).count();
    assert_eq!(without, 6);
    let numbers = (0..data.len()).map(|row| match data.target(row).unwrap() {
        TargetValue::Numbers(numbers) => numbers[0],
        _ => panic!("numbers"),
    });
    let (low, high, sum) = numbers.fold((f64::INFINITY, 0.0f64, 0.0), |(low, high, sum), x| (low.min(x), high.max(x), sum + x));
    assert!((low, high) == (9.0, 46.6) && (sum / 398.0 - 23.514573).abs() < 1e-5, "{low} {high} {}", sum / 398.0);
}
