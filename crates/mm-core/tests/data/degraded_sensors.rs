//! Sensors of files that degrade: what the sensor gave is corrupted before its kind makes features of it.

use candle_core::Device;
use mm_core::corrupt::{Corrupted, Corruption, Family, Fault, SERIES_FAMILIES, corrupt_series};
use mm_core::data::audio::{AudioSettings, Features, noise};
use mm_core::data::kinds::{Audio, Depth, Image, Kind, Numpy, Origin, Raw, Series, Text, Video};
use mm_core::data::{Array, Sample, Source, Target, TargetValue};
use mm_core::data::{FileRow, FileSource, Folders, Standardized, Standardizer};
use mm_core::{Error, Modalities, Subset, rng};
use mm_testing::{noisy_picture, seen_and_heard};
use std::path::Path;
use std::sync::Arc;

const SAMPLES: usize = 40;

fn waves(folder: &Path) -> FileSource {
    seen_and_heard(folder, SAMPLES);
    let sound = Audio::new(AudioSettings { features: Features::Waveform, ..AudioSettings::new(4000, 0.2) }).unwrap();
    Folders::new(folder).modality("image", Image::gray(16)).modality("sound", sound).open().unwrap()
}

fn all() -> Vec<usize> {
    (0..SAMPLES).collect()
}

fn numbers(sample: &Sample, m: usize) -> Vec<f32> {
    sample.readings[m].clone().unwrap().values.into_f32()
}

fn fault(family: Family, severity: u8, m: usize) -> Fault {
    Fault::new(family, severity, Subset::single(m)).unwrap()
}

#[test]
fn what_the_sensor_gave_is_corrupted_at_the_stated_strength() {
    let folder = tempfile::tempdir().unwrap();
    let data = waves(folder.path());
    for (severity, decibels) in (1..=5).zip([20.0, 10.0, 5.0, 0.0, -10.0]) {
        let noisy = Corrupted::new(&data, &all(), vec![fault(Family::WhiteNoise, severity, 1)], 3).unwrap();
        for row in 0..SAMPLES {
            let (clean, noisy) = (data.read(row).unwrap(), noisy.read(row).unwrap());
            let added: Vec<f32> = numbers(&noisy, 1).iter().zip(numbers(&clean, 1)).map(|(a, b)| a - b).collect();
            let found = 10.0 * (noise::power(&numbers(&clean, 1)) / noise::power(&added)).log10();
            assert!((found - decibels).abs() < 0.1, "{found} for {decibels}");
            assert_eq!((numbers(&noisy, 0), noisy.target), (numbers(&clean, 0), clean.target));
        }
    }
    let dark = Corrupted::new(&data, &all(), vec![fault(Family::Darkness, 3, 0)], 3).unwrap();
    let (clean, dark) = (numbers(&data.read(5).unwrap(), 0), numbers(&dark.read(5).unwrap(), 0));
    assert!(clean.iter().zip(&dark).all(|(a, b)| (a * 0.25 - b).abs() < 1e-6));
}

/// Standardized values are those of the corrupted image by the statistics of clean ones.
#[test]
fn corruption_comes_before_standardization_and_draws_follow_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let data = waves(folder.path());
    let standardizer = Standardizer::fit(&data, &all()).unwrap();
    let standardized = Standardized::new(&data, &standardizer).unwrap();
    let faults = || vec![fault(Family::WhiteNoise, 4, 1), fault(Family::GaussianNoise, 4, 0), fault(Family::Gaussian, 1, 1)];
    let corrupted = Corrupted::new(standardized.source(), &all(), faults(), 3).unwrap();
    let raw = Corrupted::new(&data, &all(), faults()[..2].to_vec(), 3).unwrap();
    let values = |rows: &[usize], m: usize| {
        let batch = corrupted.batch(rows, &Device::Cpu).unwrap();
        assert!(batch.inputs().is_altered());
        batch.inputs().at(m).unwrap().values.flatten_from(1).unwrap().to_vec2::<f32>().unwrap()
    };
    let image = numbers(&raw.read(7).unwrap(), 0).into_iter().map(f64::from).collect::<Vec<_>>();
    assert_eq!(values(&[7], 0)[0], standardizer.apply_values("image", &image).unwrap());
    for m in [0, 1] {
        let whole = values(&all(), m);
        assert_eq!(values(&[17, 4], m), [whole[17].clone(), whole[4].clone()]);
        assert_ne!(whole[17], whole[4]);
    }
    // Of the standardized sound there is noise besides that of the sensor.
    let sound: Vec<f64> = numbers(&raw.read(7).unwrap(), 1).into_iter().map(f64::from).collect();
    let sensor = standardizer.apply_values("sound", &sound).unwrap();
    let added: Vec<f32> = values(&[7], 1)[0].iter().zip(sensor).map(|(a, b)| a - b).collect();
    assert!((noise::power(&added).sqrt() - 0.5).abs() < 0.05);
}

#[test]
fn absent_and_swapped_sensors_are_those_of_the_draws_and_nested() {
    let folder = tempfile::tempdir().unwrap();
    let data = waves(folder.path());
    let both = data.schema().modalities.full();
    let mut before = Vec::new();
    for severity in 1..=5 {
        let fault = Fault::new(Family::Absent, severity, both).unwrap();
        let corrupted = Corrupted::new(&data, &all(), vec![fault], 3).unwrap();
        let absent: Vec<(usize, usize)> = all()
            .into_iter()
            .flat_map(|row| [(row, 0), (row, 1)])
            .filter(|&(row, m)| !corrupted.left(row).is_some_and(|s| s.contains(m)))
            .collect();
        assert!(before.iter().all(|pair| absent.contains(pair)) && absent.len() > before.len());
        for row in all() {
            match corrupted.left(row) {
                Some(left) => {
                    let read = corrupted.read(row).unwrap();
                    assert_eq!((read.presence().unwrap(), corrupted.meta(row).presence), (left, left));
                }
                None => assert!(corrupted.read(row).unwrap_err().to_string().contains("no sensor left")),
            }
        }
        before = absent;
    }
    assert_eq!(before.len(), 2 * SAMPLES);
    // A swapped sound comes with its own noise, and its sample keeps its label.
    let swapped = Corrupted::new(&data, &all(), vec![fault(Family::Swapped, 5, 1)], 3).unwrap();
    let clean: Vec<Vec<f32>> = all().into_iter().map(|row| numbers(&data.read(row).unwrap(), 1)).collect();
    for row in all() {
        let sample = swapped.read(row).unwrap();
        let donor = clean.iter().position(|reading| *reading == numbers(&sample, 1)).unwrap();
        assert!(donor != row && sample.target == data.read(row).unwrap().target);
        assert_eq!(numbers(&sample, 0), numbers(&data.read(row).unwrap(), 0));
    }
}

/// Texts `0 a`, `1 a`, .., of groups a and b in turn.
fn sentences(tokens: Option<&Path>) -> FileSource {
    let kind: Arc<dyn Kind> = match tokens {
        Some(tokenizer) => Arc::new(Text::tokens(tokenizer, 8).unwrap()),
        None => Arc::new(Text::hashed(64)),
    };
    let row = |i: usize| {
        let origin = Origin::Text(format!("number {i} is here"));
        let mut row = FileRow::new(i.to_string(), vec![Some(origin)], TargetValue::Class(0)).unwrap();
        row.group = Some(if i.is_multiple_of(2) { "a" } else { "b" }.into());
        row
    };
    FileSource::new(Modalities::new(["text"]).unwrap(), vec![kind], Target::of_classes(["only"]), (0..20).map(row).collect()).unwrap()
}

#[test]
fn a_delayed_reading_is_an_earlier_one_of_its_group() {
    let data = sentences(None);
    let rows: Vec<usize> = (0..20).collect();
    for (severity, steps) in (1..=5).zip([1, 2, 4, 8, 16]) {
        let delayed = Corrupted::new(&data, &rows, vec![fault(Family::Delayed, severity, 0)], 3).unwrap();
        for row in 0..20usize {
            let expected = row.saturating_sub(2 * steps).max(row % 2);
            assert_eq!(delayed.read(row).unwrap().readings, data.read(expected).unwrap().readings, "row {row}, {steps} steps");
        }
    }
    let cut = Corrupted::new(&data, &rows, vec![fault(Family::Truncation, 5, 0)], 3).unwrap();
    let kind = Text::hashed(64);
    assert_eq!(cut.read(3).unwrap().readings[0].as_ref(), Some(&kind.features(Raw::Text("nu".into())).unwrap()));
}

#[test]
fn families_that_a_sensor_cannot_have_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = waves(folder.path());
    let both = data.schema().modalities.full();
    let refused = |faults: Vec<Fault>| match Corrupted::new(&data, &[], faults, 0) {
        Err(Error::Config { problem, .. }) => problem,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    };
    let problem = refused(vec![fault(Family::WhiteNoise, 1, 0)]);
    assert!(
        problem.starts_with("`white_noise` cannot happen to `image` (kind `image`): it has gaussian_noise, impulse_noise, "),
        "{problem}"
    );
    assert!(problem.contains("every sensor has absent, swapped, delayed; all but token ids have gaussian, "), "{problem}");
    let problem = refused(vec![Fault::new(Family::WhiteNoise, 1, both).unwrap()]);
    assert!(problem.ends_with("Of these modalities only sound can have it: write modalities = \"sound\"."), "{problem}");
    let problem = refused(vec![fault(Family::WhiteNoise, 1, 1), fault(Family::WhiteNoise, 2, 1)]);
    assert!(problem.contains("happens twice to `sound`"), "{problem}");
    assert!(matches!(Corrupted::new(&data, &[], vec![fault(Family::Dead, 1, 2)], 0), Err(Error::Modality(_))));
    let texts = sentences(None);
    assert!(Corrupted::new(&texts, &[], vec![fault(Family::Gaussian, 1, 0)], 0).is_ok());
    if let Some(minilm) = mm_testing::minilm() {
        let tokens = sentences(Some(&minilm.join("tokenizer.json")));
        let problem = Corrupted::new(&tokens, &[], vec![fault(Family::Gaussian, 1, 0)], 0).err().unwrap().to_string();
        assert!(problem.contains("`gaussian` cannot happen to `text` (kind `text`): it has word_drop"), "{problem}");
    }
}

/// A source whose sensors are known but that does not say what they gave.
struct Opaque(FileSource);

impl Source for Opaque {
    fn schema(&self) -> &mm_core::data::Schema {
        self.0.schema()
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn meta(&self, row: usize) -> mm_core::data::Meta<'_> {
        self.0.meta(row)
    }
    fn read(&self, row: usize) -> mm_core::Result<Sample> {
        self.0.read(row)
    }
    fn kinds(&self) -> Vec<Option<Arc<dyn Kind>>> {
        self.0.kinds()
    }
}

#[test]
fn a_source_that_cannot_be_corrupted_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let opaque = Opaque(waves(folder.path()));
    let corrupted = Corrupted::new(&opaque, &all(), vec![fault(Family::Fog, 1, 0)], 0).unwrap();
    assert!(corrupted.read(0).unwrap_err().to_string().contains("let it override `Source::read_changed`"));
    let corrupted = Corrupted::new(&opaque, &all(), vec![fault(Family::Absent, 5, 0), fault(Family::Dead, 5, 1)], 0).unwrap();
    let sample = corrupted.read(0).unwrap();
    assert!(sample.readings[0].is_none() && numbers(&sample, 1).iter().all(|x| *x == 0.0));
}

/// What lies behind the end of a sequence stays 0.
#[test]
fn padding_is_not_corrupted() {
    let row = |i: usize| FileRow::new(i.to_string(), vec![Some(Origin::Numbers(vec![i as f64; 6]))], TargetValue::Class(0)).unwrap();
    struct Short;
    impl Kind for Short {
        fn name(&self) -> &'static str {
            "short"
        }
        fn input(&self) -> mm_core::data::InputSpec {
            mm_core::data::InputSpec::new(mm_core::data::InputKind::Series, [2, 3])
        }
        fn extensions(&self) -> &'static [&'static str] {
            &[]
        }
        fn decode(&self, _: &[u8], _: &Path) -> mm_core::Result<Array> {
            unreachable!()
        }
        fn raw(&self, _: &Origin) -> mm_core::Result<Raw> {
            Ok(Raw::Array(Array::new([2, 3], vec![1.0, 1.0, 0.0, 1.0, 1.0, 0.0]).with_length(2)))
        }
        fn settings(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }
    let kinds: Vec<Arc<dyn Kind>> = vec![Arc::new(Short)];
    let rows = (0..4).map(row).collect();
    let data = FileSource::new(Modalities::new(["a"]).unwrap(), kinds, Target::of_classes(["only"]), rows).unwrap();
    for family in [Family::Gaussian, Family::SaltAndPepper, Family::OffsetDrift, Family::Stuck, Family::NanBurst] {
        let corrupted = Corrupted::new(&data, &[0, 1, 2, 3], vec![fault(family, 5, 0)], 1).unwrap();
        let batch = corrupted.batch(&[0, 1, 2, 3], &Device::Cpu).unwrap();
        let reading = batch.inputs().at(0).unwrap();
        for values in reading.values.flatten_from(1).unwrap().to_vec2::<f32>().unwrap() {
            assert!(
                values[2] == 0.0 && values[5] == 0.0 && values[0] != 1.0 || family == Family::SaltAndPepper || family == Family::NanBurst
            );
            assert!(values[2] == 0.0 && values[5] == 0.0, "{family}");
        }
        // The same numbers as for those who have only the batch.
        let clean = data.batch(&[0, 1, 2, 3], &Device::Cpu).unwrap();
        let applied = mm_core::corrupt::apply(clean.inputs(), Corruption::new(family, 5).unwrap(), Subset::single(0), 1).unwrap();
        assert_eq!(mm_testing::bits(&applied.at(0).unwrap().values), mm_testing::bits(&reading.values), "{family}");
    }
}

fn degraded(series: &[f64], time: usize, family: Family, severity: u8, id: u64) -> Vec<f64> {
    let mut series = series.to_vec();
    corrupt_series(&mut series, time, Corruption::new(family, severity).unwrap(), &mut rng::stream(2, "series", &[id])).unwrap();
    series
}

#[test]
fn series_lose_what_the_table_says() {
    let time = 200;
    let series: Vec<f64> = (0..2 * time).map(|t| (t as f64 / 7.0).sin() + 3.0 + t as f64 / 1000.0).collect();
    for severity in 1..=5u8 {
        let strength = |family: Family| f64::from(Corruption::new(family, severity).unwrap().strength());
        for &family in SERIES_FAMILIES {
            assert_eq!(degraded(&series, time, family, severity, 1), degraded(&series, time, family, severity, 1));
            assert_ne!(degraded(&series, time, family, severity, 1), series);
        }
        // A straight line, from 0 to so many deviations of the channel.
        let drift = degraded(&series, time, Family::Drift, severity, 1);
        for (new, old) in drift.chunks(time).zip(series.chunks(time)) {
            let mean = old.iter().sum::<f64>() / time as f64;
            let deviation = (old.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / time as f64).sqrt();
            let off: Vec<f64> = new.iter().zip(old).map(|(a, b)| a - b).collect();
            assert!((off[time - 1].abs() - strength(Family::Drift) * deviation).abs() < 1e-9 && off[0] == 0.0);
            assert!(off.windows(3).all(|w| (w[2] - 2.0 * w[1] + w[0]).abs() < 1e-9));
        }
        for id in 0..10 {
            let frozen = degraded(&series, time, Family::Frozen, severity, id);
            let stays: Vec<usize> = (1..time).filter(|&t| frozen[t] == frozen[t - 1]).collect();
            assert_eq!(stays.len(), (strength(Family::Frozen) * time as f64).round() as usize);
            assert!(stays.windows(2).all(|pair| pair[1] == pair[0] + 1), "in one piece");
            assert!((1..time).all(|t| (frozen[time + t] == frozen[time + t - 1]) == stays.contains(&t)), "in all channels");
        }
        let gaps = degraded(&series, time, Family::DropOuts, severity, 1);
        let zeros = gaps[..time].iter().filter(|x| **x == 0.0).count();
        assert_eq!(zeros, 10 * (20.0 * strength(Family::DropOuts)).round() as usize);
        let line: Vec<f64> = (0..time).map(|t| t as f64).collect();
        let jitter = degraded(&line, time, Family::Jitter, severity, 1);
        let off: Vec<f64> = jitter.iter().zip(&line).map(|(a, b)| (a - b).abs()).collect();
        let largest = off.iter().fold(0f64, |a, &b| a.max(b));
        assert!(largest <= strength(Family::Jitter) + 1e-9 && largest > 0.8 * strength(Family::Jitter));
        let shifted = degraded(&line, time, Family::ClockShift, severity, 1);
        let by = (strength(Family::ClockShift) * time as f64).round();
        assert!((shifted[100] - 100.0).abs() == by);
    }
    // Higher severities take all that lower ones take.
    let line: Vec<f64> = (1..=time).map(|t| t as f64).collect();
    for id in 0..20 {
        let zeros = |severity| degraded(&line, time, Family::DropOuts, severity, id);
        let frozen = |severity| degraded(&line, time, Family::Frozen, severity, id);
        for severity in 1..5 {
            let (less, more) = (zeros(severity), zeros(severity + 1));
            assert!((0..time).all(|t| less[t] != 0.0 || more[t] == 0.0));
            let (less, more) = (frozen(severity), frozen(severity + 1));
            assert!((1..time).all(|t| less[t] != less[t - 1] || more[t] == more[t - 1]), "{id} {severity}");
        }
    }
    // Nothing, one step, values that are not finite.
    for &family in SERIES_FAMILIES {
        for (values, time) in [(vec![], 0), (vec![], 5), (vec![1.0], 1), (vec![1.0, 2.0], 1), (vec![f64::NAN, 1.0], 2)] {
            assert_eq!(degraded(&values, time, family, 5, 1).len(), values.len(), "{family}");
        }
    }
    let foreign = corrupt_series(&mut [1.0], 1, Corruption::new(Family::Jpeg, 1).unwrap(), &mut rng::stream(0, "t", &[]));
    assert!(foreign.unwrap_err().to_string().contains("kind `series` has no family `jpeg`; it has drift, frozen, drop_outs"));
}

/// Every family that a kind names is one that it can do, and the other way round.
#[test]
fn kinds_have_the_families_that_they_name() {
    let (image, depth) = (Image::rgb(8), Depth::new(8));
    let video = Video::new(2, Image::rgb(8)).unwrap();
    let series = Series::new(2, 8).unwrap();
    let audio = Audio::new(AudioSettings::new(4000, 0.2)).unwrap();
    let (text, array) = (Text::hashed(8), Numpy::new([2, 8]).unwrap());
    let planes = |shape: &[usize]| Raw::Array(Array::new(shape, vec![0.5; shape.iter().product()]));
    let kinds: [(&dyn Kind, Raw); 7] = [
        (&image, planes(&[3, 8, 8])),
        (&depth, planes(&[1, 8, 8])),
        (&video, planes(&[3, 2, 8, 8])),
        (&series, planes(&[2, 40])),
        (&audio, planes(&[1, 800])),
        (&text, Raw::Text("a few words of text".into())),
        (&array, planes(&[2, 8])),
    ];
    for (kind, raw) in kinds {
        for &family in Family::ALL {
            let corrupted = kind.corrupt(raw.clone(), Corruption::new(family, 5).unwrap(), &mut rng::stream(0, "test", &[]));
            assert_eq!(corrupted.is_ok(), kind.families().contains(&family), "{} {family}", kind.name());
            if let Ok(corrupted) = corrupted {
                assert_eq!(kind.features(corrupted).unwrap().shape, kind.input().shape);
            }
        }
    }
}

#[test]
fn videos_are_folders_of_frames_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (class, film, frames) in [("run", "a", 12), ("run", "b", 2), ("walk", "c", 12)] {
        for frame in 1..=frames {
            noisy_picture(&root.join("film").join(class).join(film).join(format!("frame{frame}.png")), 8, 8);
        }
    }
    std::fs::write(root.join("film/run/a/notes.txt"), "made by hand").unwrap();
    let open = || Folders::new(root).modality("film", Video::new(4, Image::rgb(8)).unwrap()).open();
    let data = open().unwrap();
    assert_eq!((data.len(), data.schema().inputs[0].shape.clone()), (3, vec![3, 4, 8, 8]));
    assert_eq!(data.schema().target.class_names(), ["run", "walk"]);
    // 12 frames in four parts: the middle one of each, counted from 1: 2, 5, 8 and 11.
    let film = numbers(&data.read(0).unwrap(), 0);
    for (place, frame) in [2, 5, 8, 11].into_iter().enumerate() {
        let image = Image::rgb(8).read(&root.join(format!("film/run/a/frame{frame}.png"))).unwrap().values.into_f32();
        for channel in 0..3 {
            assert_eq!(film[(channel * 4 + place) * 64..][..64], image[channel * 64..][..64], "frame {frame}");
        }
    }
    // Two frames, each twice.
    let short = numbers(&data.read(1).unwrap(), 0);
    assert!(short[..64] == short[64..128] && short[128..192] == short[192..256] && short[..64] != short[128..192]);
    // An occlusion stays where it is, noise is new in each frame.
    let corrupted = |family| numbers(&Corrupted::new(&data, &[0, 1, 2], vec![fault(family, 5, 0)], 1).unwrap().read(1).unwrap(), 0);
    let hidden = corrupted(Family::Occlusion);
    let black = |frame: usize| (0..64).filter(|at| hidden[frame * 64 + at] == 0.0).collect::<Vec<_>>();
    // Single pixels of the noise are black as well.
    assert!(black(0).iter().filter(|at| black(3).contains(at)).count() >= 30 && black(0).len() < 45);
    let noisy = corrupted(Family::GaussianNoise);
    assert_ne!(noisy[..64], noisy[64..128]);

    let settings = Video::new(4, Image::rgb(8)).unwrap().settings();
    assert_eq!((&settings["frames"], &settings["channels"]), (&4.into(), &"rgb".into()));
    let saved = mm_core::data::kinds::SavedKind { kind: "video".into(), settings };
    assert_eq!(saved.open().unwrap().unwrap().read(&root.join("film/run/a")).unwrap().values.into_f32(), film);
    for settings in
        [serde_json::json!({"channels": "rgb", "size": [8, 8]}), serde_json::json!({"frames": 0, "channels": "rgb", "size": [8, 8]})]
    {
        let saved = mm_core::data::kinds::SavedKind { kind: "video".into(), settings };
        assert!(saved.open().err().unwrap().to_string().contains("frames"));
    }
    let kind = Video::new(4, Image::rgb(8)).unwrap();
    let file = kind.read(&root.join("film/run/a/frame1.png")).unwrap_err().to_string();
    assert!(file.contains("is a file, and a video is read from a folder of frames"), "{file}");
    std::fs::create_dir(root.join("film/run/empty")).unwrap();
    let empty = kind.read(&root.join("film/run/empty")).unwrap_err().to_string();
    assert!(empty.contains("holds no frame of a video: images whose names end in png, jpg"), "{empty}");
    std::fs::write(root.join("film/run/alone.png"), "").unwrap();
    let alone = open().err().unwrap().to_string();
    assert!(alone.contains("whose readings are folders, one a sample"), "{alone}");
    // A manifest names the folder.
    std::fs::write(root.join("films.csv"), "film,label\nfilm/run/a,run\nfilm/walk/c,walk\n").unwrap();
    let listed = mm_core::data::Manifest::new(root.join("films.csv")).modality("film", kind).open().unwrap();
    assert_eq!(numbers(&listed.read(0).unwrap(), 0), film);
}
