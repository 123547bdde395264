//! Sounds that are too short for the card, far shorter than it asks for, or clipped; and columns of parts that nothing reads.

use super::made::*;
use mm_core::data::check::{Flaw, Level};
use mm_core::data::{FileCard, SampleKey, Source};
use std::f32::consts::TAU;
use std::path::Path;

const COUNT: usize = 24;

/// Sounds at 8 kHz, of so many samples each, two classes.
fn sounds(root: &Path, samples: &dyn Fn(usize) -> usize) {
    for i in 0..COUNT {
        write(root, &format!("sound/{}/{i:02}.wav", ["door", "rain"][i % 2]), wav(&noise(i as u64, samples(i)), 8000, 1));
    }
}

fn card(settings: &str) -> String {
    format!("name = \"s\"\nfolders = \"sound\"\n[[modality]]\nname = \"sound\"\ncolumn = \".\"\nkind = \"audio\"\nrate = 8000\n{settings}")
}

/// What training refuses, or takes for absent, the check names; and training says which file it is.
#[test]
fn sounds_too_short_to_be_cut_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    sounds(root, &|i| if i % 4 == 0 { 3000 } else { 4000 });
    let crop = card("seconds = 0.5\nlength = \"crop\"\n");
    tells(
        &check_card(root, &crop),
        Level::Error,
        &["sound: 6 readings cannot be read", "door/04.wav: sound: a sound of 3000 samples is too short", "at least 4000"],
    );
    let lenient = crop.replace("[[", "on_corrupt = \"absent\"\n[[");
    tells(&check_card(root, &lenient), Level::Warning, &["6 readings cannot be read", "door/00.wav", "count as absent"]);
    silent(&check_card(root, &card("seconds = 0.5\n")), Level::Error);
    // At their own rate they are as long in seconds.
    silent(&check_card(root, &card("seconds = 0.37\nlength = \"crop\"\n").replace("8000", "16000")), Level::Error);

    let source = FileCard::from_str(&crop, root.join("card.toml")).unwrap().open().unwrap();
    let key = SampleKey { seed: 0, epoch: 0, id: 0 };
    let rows = || 0..source.len();
    let errors: Vec<String> = rows().filter_map(|row| source.read_augmented(row, key).err()).map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), 6);
    assert!(errors.iter().all(|error| error.contains("3000 samples is too short") && error.contains(".wav: ")), "{errors:?}");
    assert_eq!(errors, rows().filter_map(|row| Some(source.read(row).err()?.to_string())).collect::<Vec<_>>());
}

#[test]
fn readings_that_are_mostly_padding_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    sounds(root, &|i| 3000 + 100 * i);
    let check = check_card(root, &card("seconds = 500\nfeatures = \"waveform\"\n"));
    tells(&check, Level::Remark, &["the longest reading has 0.66 seconds, and a model gets 500", "`seconds`"]);
    for seconds in ["0.5", "2.5"] {
        let said = said(&check_card(root, &card(&format!("seconds = {seconds}\n"))));
        assert!(!said.contains("the longest reading"), "{said}");
    }
}

fn clipped(root: &Path, samples: &[f32]) -> bool {
    sounds(root, &|_| 4000);
    write(root, "sound/rain/01.wav", wav(samples, 8000, 1));
    let check = check_card(root, &card("seconds = 0.5\n"));
    check.sensors[0].flaws.contains_key(&Flaw::Clipped)
}

#[test]
fn sounds_that_stay_at_their_peak_are_clipped_and_clean_tones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let tone = |hertz: f32, gain: f32, phase: f32| -> Vec<f32> {
        (0..4000).map(|n| (gain * (TAU * hertz * n as f32 / 8000.0 + phase).sin()).clamp(-1.0, 1.0)).collect()
    };
    for (hertz, gain) in [(100.0, 1.1), (300.0, 1.4), (700.0, 2.0)] {
        assert!(clipped(root, &tone(hertz, gain, 0.0)), "{hertz} {gain}");
    }
    // Tones of full scale touch it at every peak, some twice.
    for hertz in [100.0, 160.0, 440.0, 800.0, 1000.0, 1200.0, 2000.0, 2100.0] {
        for phase in [0.0, TAU / 16.0, TAU * hertz / 16000.0] {
            let clean = tone(hertz, 1.0, phase);
            let peak = clean.iter().fold(0f32, |peak, x| peak.max(x.abs()));
            assert!(!clipped(root, &clean.iter().map(|x| x / peak).collect::<Vec<_>>()), "{hertz} {phase}");
        }
    }
    let quiet: Vec<f32> = tone(300.0, 3.0, 0.0).iter().map(|x| x / 2.0).collect();
    assert!(!clipped(root, &quiet));
}

/// Texts and videos are read whole; a sound has a start and a length, and no end.
#[test]
fn columns_beside_a_sensor_that_are_not_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    sounds(root, &|_| 4000);
    (0..COUNT).for_each(|i| picture(root, &format!("film/{i}/1.png"), i as u64, [8, 8]));
    let table = |columns: &str, cells: &str| {
        let row = |i: usize| {
            let class = ["door", "rain"][i % 2];
            format!("s{i},sound/{class}/{i:02}.wav,film/{i},a word about {i},{class},{cells}\n")
        };
        write(root, "t.csv", format!("id,sound,film,note,label,{columns}\n{}", (0..COUNT).map(row).collect::<String>()));
    };
    let card = "name = \"s\"\nmanifest = \"t.csv\"\n[[modality]]\nname = \"sound\"\nkind = \"audio\"\nrate = 8000\nseconds = 0.5\n\
                [[modality]]\nname = \"film\"\nkind = \"video\"\nframes = 1\nchannels = \"rgb\"\nsize = [8, 8]\n\
                [[modality]]\nname = \"note\"\nkind = \"text\"\n";
    // What ends somewhere else is not read to the end of the file.
    table("sound.start,sound.end", "10,4000");
    tells(&check_card(root, card), Level::Error, &["t.csv:1:7", "write `sound.length`, end minus start, in place of `sound.end`"]);
    table("sound.start,sound.length,sound.end,note.start,note.length", "10,3000,3010,0,3");
    let check = check_card(root, card);
    tells(&check, Level::Remark, &["column is not read: `sound.end`; of a file `sound.start` and `sound.length` are"]);
    tells(&check, Level::Remark, &["columns are not read: `note.start`, `note.length`; a text has no start and length"]);
    silent(&check, Level::Error);
    table("sound.length,sound.label", "2000,door");
    let check = check_card(root, &card.replacen("manifest", "label = \"sound.label\"\nmanifest", 1));
    assert!(!said(&check).contains("not read: "), "{}", said(&check));
    table("film.start,film.length", "0,1");
    tells(
        &check_card(root, card),
        Level::Error,
        &["film: 24 readings cannot be read", "a whole folder of frames: leave out start and length"],
    );
}

/// `sound.start` and `sound.length` count samples; a list in seconds cuts clicks.
#[test]
fn parts_that_are_given_in_seconds_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for file in 0..3 {
        write(root, &format!("{file}.wav"), wav(&noise(file, 80_000), 8000, 1));
    }
    let table = |unit: usize| -> String {
        let row = |i: usize| format!("{}.wav,{},{},{}\n", i % 3, i / 3 * unit, 2 * unit, ["door", "rain"][i % 2]);
        "sound,sound.start,sound.length,label\n".to_string() + &(0..24).map(row).collect::<String>()
    };
    write(root, "parts.csv", table(1));
    let card = |seconds| {
        format!(
            "name = \"s\"\nmanifest = \"parts.csv\"\n[[modality]]\nname = \"sound\"\nkind = \"audio\"\nrate = 8000\nseconds = {seconds}\n"
        )
    };
    tells(
        &check_card(root, &card(0.1)),
        Level::Warning,
        &["sound: the longest part of a file has 0.25 ms", "`sound.length` count samples"],
    );
    write(root, "parts.csv", table(8000));
    let said = said(&check_card(root, &card(2.0)));
    assert!(!said.contains("count samples"), "{said}");
}

/// The mean of two channels of which one is turned over is silence.
#[test]
fn channels_that_cancel_each_other_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for i in 0..COUNT {
        let both = noise(i as u64, 4000).into_iter().flat_map(|x| [x, if i % 3 == 0 { -x } else { x }]).collect::<Vec<f32>>();
        // Two samples of one channel are one of two channels at half the rate.
        let mut bytes = wav(&both, 8000, 1);
        (bytes[22], bytes[32]) = (2, 4);
        bytes[28..32].copy_from_slice(&32_000u32.to_le_bytes());
        write(root, &format!("sound/{}/{i:02}.wav", ["door", "rain"][i % 2]), bytes);
    }
    let mean = card("seconds = 0.5\n");
    tells(&check_card(root, &mean), Level::Warning, &["sound: 8 of 24 readings have two channels that cancel each other", "door/00.wav"]);
    let said = said(&check_card(root, &(mean + "channels = 2\n")));
    assert!(!said.contains("cancel"), "{said}");
}
