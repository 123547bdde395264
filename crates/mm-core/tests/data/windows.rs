//! Windows cut from recordings, and random changes of series.

use mm_core::data::audio::Length;
use mm_core::data::kinds::{Image, Kind, Origin, Series};
use mm_core::data::{
    Bundle, FileCard, Folders, Manifest, Part, SampleKey, SeriesAugment, ShortRecording, Source, SplitSpec, Windows, check,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A `.npy` file of whole numbers from `first` on.
fn npy(shape: &[usize], first: i32) -> Vec<u8> {
    npy_in_order(shape, first, false)
}

fn npy_in_order(shape: &[usize], first: i32, fortran: bool) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let sides: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
    let header = format!("{{'descr': '<i4', 'fortran_order': {order}, 'shape': ({}), }}", sides.concat());
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    (0..shape.iter().product::<usize>() as i32).for_each(|i| file.extend((first + i).to_le_bytes()));
    file
}

fn csv(steps: usize, first: usize) -> String {
    let lines = (first..first + steps).map(|i| format!("{i},{}\n", 1000 + i));
    format!("x,y\n{}", lines.collect::<String>())
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
    std::fs::write(folder.join(name), content).unwrap();
}

/// Three recordings of two sensors, one in CSV files; the second has no gyroscope.
fn recordings(folder: &Path) {
    write(folder, "acc.npy", npy(&[500, 2], 0));
    write(folder, "a.csv", csv(230, 0));
    write(folder, "c.csv", csv(100, 0));
    let rows = "id,acc,acc.start,acc.length,gyro,label\n\
                a,acc.npy,0,230,a.csv,walk\n\
                b,acc.npy,230,120,,run\n\
                c,acc.npy,400,,c.csv,walk\n";
    write(folder, "samples.csv", rows);
}

fn manifest(folder: &Path, windows: Windows) -> Manifest {
    Manifest::new(folder.join("samples.csv"))
        .modality("acc", Series::new(2, windows.length).unwrap().time_first())
        .modality("gyro", Series::new(2, windows.length).unwrap())
        .windows(windows)
}

#[test]
fn a_recording_becomes_windows_cut_at_the_same_steps_of_all_sensors() {
    let folder = tempfile::tempdir().unwrap();
    recordings(folder.path());
    let data = manifest(folder.path(), Windows::new(100).stride(50)).open().unwrap();
    let ids: Vec<&str> = (0..data.len()).map(|row| data.meta(row).id.unwrap()).collect();
    assert_eq!(ids, ["a@0", "a@50", "a@100", "b@0", "c@0"]);
    let groups: Vec<&str> = (0..data.len()).map(|row| data.meta(row).group.unwrap()).collect();
    assert_eq!(groups, ["a", "a", "a", "b", "c"]);
    for (row, (begin, gyro)) in [(0, Some(0)), (50, Some(50)), (100, Some(100)), (230, None), (400, Some(0))].into_iter().enumerate() {
        let sample = data.read(row).unwrap();
        let acc = sample.readings[0].clone().unwrap();
        assert_eq!(acc.shape, [2, 100]);
        let expected: Vec<f32> = (0..2).flat_map(|c| (begin..begin + 100).map(move |t| (2 * t + c) as f32)).collect();
        assert_eq!(acc.values.into_f32(), expected, "{row}");
        let found = sample.readings[1].clone().map(|reading| reading.values.into_f32());
        let expected =
            gyro.map(|g: usize| [0, 1000].into_iter().flat_map(|c| (g..g + 100).map(move |t| (c + t) as f32)).collect::<Vec<_>>());
        assert_eq!(found, expected, "{row}");
    }
}

#[test]
fn windows_of_a_recording_stay_in_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = String::from("id,acc,label,subject\n");
    for i in 0..30 {
        write(folder.path(), &format!("{i}.npy"), npy(&[2, 70 + i], 0));
        rows += &format!("rec{i},{i}.npy,{},s{}\n", if i % 2 == 0 { "walk" } else { "run" }, i % 10);
    }
    write(folder.path(), "samples.csv", rows);
    let open = |group: Option<&str>| {
        let manifest = Manifest::new(folder.path().join("samples.csv"))
            .modality("acc", Series::new(2, 20).unwrap())
            .windows(Windows::new(20).stride(5));
        group.into_iter().fold(manifest, Manifest::group).open().unwrap()
    };
    for (group, count) in [(None, 30), (Some("subject"), 10)] {
        let data = open(group);
        let split = SplitSpec::default().draw(&data, 1).unwrap();
        let mut parts: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (part, rows) in [&split.train, &split.validation, &split.test].into_iter().enumerate() {
            for &row in rows {
                parts.entry(data.meta(row).group.unwrap()).or_default().insert(part);
            }
        }
        assert_eq!(parts.len(), count);
        assert!(parts.values().all(|parts| parts.len() == 1), "{parts:?}");
    }
}

#[test]
fn recordings_that_cannot_be_cut_are_named() {
    let folder = tempfile::tempdir().unwrap();
    recordings(folder.path());
    let refused = |windows: Windows, words: &[&str]| {
        let error = manifest(folder.path(), windows).open().map(drop).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    refused(Windows::new(110), &["1 of 3 recordings", "shorter than a window of 110", "`c` (100 steps)", "short = \"drop\"", "\"pad\""]);
    let nothing = Manifest::new(folder.path().join("samples.csv")).modality("acc", Series::new(2, 100).unwrap()).windows(Windows::new(0));
    assert!(nothing.open().map(drop).unwrap_err().to_string().contains("length and stride must be above 0"));
    refused(Windows::new(100).stride(0), &["stride must be above 0"]);
    let dropped = manifest(folder.path(), Windows::new(110).short(ShortRecording::Drop)).open().unwrap();
    assert_eq!(dropped.len(), 3);
    assert!(
        dropped.remarks().iter().any(|remark| remark.contains("1 of 3 recordings") && remark.contains("left out")),
        "{:?}",
        dropped.remarks()
    );
    let padded = manifest(folder.path(), Windows::new(110).short(ShortRecording::Pad)).open().unwrap();
    assert_eq!(padded.len(), 4);
    let last = padded.read(3).unwrap().readings[0].clone().unwrap();
    assert_eq!((last.shape, last.length), (vec![2, 110], Some(100)));

    write(folder.path(), "a.csv", csv(229, 0));
    refused(Windows::new(100), &["recording `a`", "`acc` 230", "`gyro` 229", "same steps"]);
    write(folder.path(), "a.csv", "x,y\n1,2\n3\n");
    refused(Windows::new(100), &["a.csv:3", "1 columns"]);
    let other = Manifest::new(folder.path().join("samples.csv")).modality("acc", Series::new(2, 50).unwrap().time_first());
    let error = other.windows(Windows::new(100)).open().map(drop).unwrap_err().to_string();
    assert!(error.contains("`acc` has steps = 50") && error.contains("100"), "{error}");
    let image = Manifest::new(folder.path().join("samples.csv")).modality("acc", Image::gray(8)).windows(Windows::new(100));
    let error = image.open().map(drop).unwrap_err().to_string();
    assert!(error.contains("windows are cut from series") && error.contains("`image`"), "{error}");
}

#[test]
fn a_card_says_how_recordings_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    recordings(folder.path());
    let card = |windows: &str| {
        let sensor =
            |name: &str, more: &str| format!("[[modality]]\nname = \"{name}\"\nkind = \"series\"\nchannels = 2\nsteps = 100\n{more}");
        let text =
            format!("name = \"x\"\nmanifest = \"samples.csv\"\n{windows}{}{}", sensor("acc", "time_first = true\n"), sensor("gyro", ""));
        FileCard::from_str(&text, folder.path().join("card.toml"))
    };
    let half = card("[windows]\nlength = 100\nstride = 50\n").unwrap();
    assert_eq!(half.open().unwrap().len(), 5);
    assert_eq!(card("[windows]\nlength = 100\n").unwrap().open().unwrap().len(), 4);
    assert_eq!(check::files(&half, &|_, _| ()).unwrap().samples.iter().sum::<usize>(), 5);
    for (wrong, word) in [("[windows]\nlenght = 100\n", "lenght"), ("[windows]\nstride = 1\n", "length")] {
        let error = card(wrong).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    // The same from memory.
    let files = ["samples.csv", "acc.npy", "a.csv", "c.csv"]
        .map(|name| (folder.path().join(name), std::fs::read(folder.path().join(name)).unwrap()));
    let bundled = half.open_bundle(&Bundle::new(files)).unwrap();
    let open = half.open().unwrap();
    for row in 0..5 {
        assert_eq!(bundled.read(row).unwrap().readings, open.read(row).unwrap().readings);
    }
}

#[test]
fn files_in_folders_are_recordings_too() {
    let folder = tempfile::tempdir().unwrap();
    for (name, steps) in [("walk/1", 100), ("walk/2", 160), ("run/1", 120)] {
        write(folder.path(), &format!("motion/{name}.csv"), csv(steps, 0));
    }
    let data =
        Folders::new(folder.path()).modality("motion", Series::new(2, 60).unwrap()).windows(Windows::new(60).stride(20)).open().unwrap();
    let of = |group: &str| (0..data.len()).filter(|&row| data.meta(row).group == Some(group)).count();
    let groups: BTreeSet<&str> = (0..data.len()).filter_map(|row| data.meta(row).group).collect();
    assert_eq!((data.len(), groups.len()), (3 + 6 + 4, 3));
    assert!(groups.iter().all(|group| [3, 4, 6].contains(&of(group))), "{groups:?}");
}

/// Parts of a `.npy` file are read where they lie, whichever axis is time.
#[test]
fn a_part_is_the_same_read_in_place_or_cut_from_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "tc.npy", npy(&[40, 3], 5));
    write(folder.path(), "ct.npy", npy(&[3, 40], 5));
    write(folder.path(), "t.npy", npy(&[40], 5));
    write(folder.path(), "f.npy", npy_in_order(&[40, 3], 5, true));
    write(folder.path(), "g.npy", npy_in_order(&[3, 40], 5, true));
    let kinds = [("tc", Series::new(3, 9).unwrap().time_first()), ("ct", Series::new(3, 9).unwrap()), ("t", Series::new(1, 9).unwrap())];
    let fortran = [("f", Series::new(3, 9).unwrap().time_first()), ("g", Series::new(3, 9).unwrap())];
    for (name, kind) in kinds.into_iter().chain(fortran) {
        let path = folder.path().join(format!("{name}.npy"));
        let whole = kind.decode(&std::fs::read(&path).unwrap(), &path).unwrap();
        assert_eq!(kind.steps(&Origin::file(&path)).unwrap(), 40);
        for part in [0..9, 13..22, 31..40] {
            let read = kind.read_part(&path, part.clone());
            let expected: Vec<f32> =
                whole.values.clone().into_f32().chunks(40).flat_map(|c| &c[part.start as usize..part.end as usize]).copied().collect();
            assert_eq!(read, expected, "{name} {part:?}");
        }
        for wrong in [35..44, 9..9, 50..u64::MAX] {
            assert!(kind.raw(&Origin::File { path: path.clone(), part: Some(wrong) }).is_err());
        }
        // A file that was cut is told, not read beyond its end.
        let bytes = std::fs::read(&path).unwrap();
        let cut = folder.path().join("cut.npy");
        std::fs::write(&cut, &bytes[..bytes.len() - 8]).unwrap();
        let error = kind.raw(&Origin::File { path: cut, part: Some(31..40) }).unwrap_err().to_string();
        assert!(error.contains("cut.npy"), "{error}");
    }
}

trait ReadPart {
    fn read_part(&self, path: &Path, part: std::ops::Range<u64>) -> Vec<f32>;
}

impl ReadPart for Series {
    fn read_part(&self, path: &Path, part: std::ops::Range<u64>) -> Vec<f32> {
        let raw = self.raw(&Origin::File { path: path.into(), part: Some(part) }).unwrap();
        self.features(raw).unwrap().values.into_f32()
    }
}

#[test]
fn changes_are_keyed_by_sample_and_epoch() {
    let folder = tempfile::tempdir().unwrap();
    recordings(folder.path());
    let augment = SeriesAugment { jitter: 0.1, speed: [0.8, 1.25], crop: 0.7, shift: 4, time_masks: 1, ..Default::default() };
    let kind = Series::new(2, 100).unwrap().time_first().length(Length::Pad).augmented(augment).unwrap();
    assert!(kind.augments());
    let data = Manifest::new(folder.path().join("samples.csv")).modality("acc", kind.clone()).windows(Windows::new(100)).open().unwrap();
    let read = |epoch, id| data.read_augmented(1, SampleKey { seed: 7, epoch, id }).unwrap().readings[0].clone().unwrap();
    assert_eq!(read(0, 1), read(0, 1));
    assert_ne!(read(0, 1), read(1, 1));
    assert_ne!(read(0, 1), read(0, 2));
    let changed = read(0, 1);
    assert_eq!(changed.shape, [2, 100]);
    assert!(changed.length.is_some_and(|length| (50..=100).contains(&length)));
    assert_eq!(data.read(1).unwrap().readings[0].as_ref().unwrap().length, Some(100));

    // Settings survive a saved model.
    let saved = mm_core::data::kinds::SavedKind::of(&kind);
    assert_eq!(saved.open().unwrap().unwrap().settings(), kind.settings());
    let refused = Series::new(2, 100).unwrap().length(Length::Crop).augmented(SeriesAugment { crop: 0.5, ..Default::default() });
    assert!(refused.unwrap_err().to_string().contains("length = \"pad\""));
    let refused = Series::new(2, 100).unwrap().augmented(SeriesAugment { rotation: 5.0, ..Default::default() });
    assert!(refused.unwrap_err().to_string().contains("augment.rotation"));
}

#[test]
fn parts_given_for_recordings_are_those_of_their_windows() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.npy", npy(&[2, 50], 0));
    write(folder.path(), "samples.csv", "id,acc,label,part\nr,a.npy,walk,train\ns,a.npy,run,test\n");
    let kind = Series::new(2, 10).unwrap();
    let data = Manifest::new(folder.path().join("samples.csv")).modality("acc", kind).windows(Windows::new(10)).open().unwrap();
    let parts: Vec<Option<Part>> = (0..10).map(|row| data.meta(row).part).collect();
    assert!(parts[..5].iter().all(|part| *part == Some(Part::Train)) && parts[5..].iter().all(|part| *part == Some(Part::Test)));
}

#[test]
fn sensors_of_one_device_change_alike_but_for_noise() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.npy", npy(&[100, 3], 0));
    write(folder.path(), "samples.csv", "id,acc,gyro,label\na,a.npy,a.npy,walk\nb,a.npy,a.npy,run\n");
    let card = |acc: &str, gyro: &str| format!("name = \"watch\"\nmanifest = \"samples.csv\"\n{acc}{gyro}");
    let read = |device: &str, noise: f64| {
        let sensor = |name: &str| {
            format!(
                "[[modality]]\nname = \"{name}\"\n{device}kind = \"series\"\nchannels = 3\nsteps = 100\ntime_first = true\n\
                 augment = {{ speed = [0.8, 1.25], crop = 0.7, shift = 3, scale = [0.5, 2.0], rotation = 40, noise = {noise} }}\n"
            )
        };
        let data = FileCard::from_str(&card(&sensor("acc"), &sensor("gyro")), folder.path().join("card.toml")).unwrap().open().unwrap();
        let mut readings = data.read_augmented(0, SampleKey { seed: 3, epoch: 1, id: 5 }).unwrap().readings.into_iter();
        let mut next = || readings.next().unwrap().unwrap();
        (next(), next())
    };
    // One file is the reading of both sensors.
    let (acc, gyro) = read("", 0.0);
    assert_ne!(acc, gyro);
    let (acc, gyro) = read("device = \"watch\"\n", 0.0);
    assert_eq!(acc, gyro);
    let (noisy, other) = read("device = \"watch\"\n", 1.0);
    assert!(noisy != other && noisy.length == acc.length && other.length == acc.length);
    // A slip in one of the names would tear them apart without a word.
    let of = |name: &str, device: &str| {
        format!("[[modality]]\nname = \"{name}\"\ndevice = \"{device}\"\nkind = \"series\"\nchannels = 3\nsteps = 100\n")
    };
    let error = FileCard::from_str(&card(&of("acc", "watch"), &of("gyro", "wacth")), "card.toml").unwrap_err().to_string();
    assert!(error.contains("device in card.toml") && error.contains("`watch` has one sensor"), "{error}");
}
