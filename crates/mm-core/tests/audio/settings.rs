use crate::{chirp, fixture, wav};
use mm_core::Error;
use mm_core::data::audio::{AudioError, AudioSettings, Augment, Features, FrontEnd, Length};
use mm_core::data::parse_toml;
use mm_core::rng::stream;
use std::path::Path;

fn settings(text: &str) -> AudioSettings {
    parse_toml(Path::new("plan.toml"), text).unwrap()
}

fn refused(settings: AudioSettings) -> String {
    match FrontEnd::new(settings).err().unwrap() {
        Error::Config { field, .. } => field,
        other => other.to_string(),
    }
}

#[test]
fn what_is_left_out_follows_the_rate() {
    let suggested = |rate| {
        let settings = AudioSettings::new(rate, 1.0).completed().unwrap();
        [settings.n_fft, settings.hop, settings.mels].map(Option::unwrap)
    };
    assert_eq!(suggested(8000), [256, 128, 40]);
    assert_eq!(suggested(16_000), [400, 160, 64]);
    assert_eq!(suggested(22_050), [512, 256, 64]);
    assert_eq!(suggested(48_000), [1024, 512, 64]);
    assert_eq!([suggested(96_000), suggested(192_000)], [[1024, 512, 64], [2048, 1024, 64]]);
    // All of them have bands that hold a frequency.
    for rate in [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 96_001, 128_000, 176_400, 192_000, 384_000, 768_000]
    {
        FrontEnd::new(AudioSettings::new(rate, 1.0)).unwrap();
    }
}

#[test]
fn settings_are_read_strictly_and_saved_complete() {
    let front_end = FrontEnd::new(settings("rate = 8000\nseconds = 1")).unwrap();
    assert_eq!(front_end.shape(), [1, 40, 63]);
    assert_eq!(settings("rate = 8000\nseconds = 1.0\nlength = \"repeat\"\nfeatures = \"log_stft\"").length, Length::Repeat);
    let saved = serde_json::to_value(front_end.settings()).unwrap();
    assert_eq!(saved["hop"], 128);
    let again: AudioSettings = serde_json::from_value(saved).unwrap();
    assert_eq!(FrontEnd::new(again).unwrap().settings(), front_end.settings());
    for wrong in
        ["rate = 8000\nseconds = 1\nhops = 3", "rate = 8000\nseconds = 1\naugment = { sped = [1, 1] }", "seconds = 1", "rate = 8000"]
    {
        assert!(parse_toml::<AudioSettings>(Path::new("plan.toml"), wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let with = |text: &str| refused(settings(&format!("rate = 8000\nseconds = 1\n{text}")));
    assert_eq!(refused(AudioSettings::new(0, 1.0)), "rate");
    for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert_eq!(refused(AudioSettings::new(8000, seconds)), "seconds", "{seconds}");
    }
    assert_eq!(with("channels = 0"), "channels");
    assert_eq!(with("hop = 300"), "hop");
    assert_eq!(with("features = \"waveform\"\nn_fft = 256"), "n_fft");
    assert_eq!(with("features = \"log_stft\"\nmels = 40"), "mels");
    assert_eq!(with("features = \"waveform\"\naugment = { time_masks = 1 }"), "augment.time_masks, augment.frequency_masks");
    assert_eq!(with("augment = { speed = [1.2, 0.8] }"), "augment.speed");
    assert_eq!(with("augment = { noise = 2 }"), "augment.noise");
    assert_eq!(refused(AudioSettings::new(8000, 0.01)), "seconds, rate, n_fft");
}

/// No sound is to blame for these, and none can be filled up to them.
#[test]
fn settings_that_leave_no_frame_are_refused_in_their_own_words() {
    let said = |settings: AudioSettings| FrontEnd::new(settings).err().unwrap().to_string();
    let kilohertz = said(AudioSettings::new(8, 0.8));
    assert!(kilohertz.contains("0.8 seconds at rate = 8 (in samples a second: 8 kHz is rate = 8000) are 6 samples"), "{kilohertz}");
    let long = said(AudioSettings { n_fft: Some(20_000), ..AudioSettings::new(8000, 0.8) });
    assert!(long.contains("are 6400 samples, and frames of n_fft = 20000 need at least 10001") && !long.contains("kHz"), "{long}");
    assert!(![kilohertz, long].iter().any(|text| text.contains("pad") || text.contains("length")));
}

/// What a random change takes off a sound that is long enough is no error.
#[test]
fn random_changes_do_not_make_a_sound_too_short() {
    let augment = Augment { speed: [1.1, 1.2], shift: 0.1, ..Augment::default() };
    let front_end = FrontEnd::new(AudioSettings { length: Length::Crop, augment, ..AudioSettings::new(8000, 0.5) }).unwrap();
    let changed = |samples: usize, id: u64| front_end.augmented(vec![vec![0.5; samples]], &mut stream(1, "augment", &[id]));
    assert!((0..20).all(|id| changed(4000, id).is_ok() && changed(2000, id).is_err()));
}

#[test]
fn shorter_sounds_are_refused_padded_or_repeated_and_longer_ones_cut() {
    let of = |length: Length, count: usize, place: f64| {
        let mut samples: Vec<f32> = (1..=count).map(|x| x as f32).collect();
        length.fit(&mut samples, 5, place).map(|filled| (samples, filled))
    };
    assert_eq!(of(Length::Pad, 3, 0.5).unwrap(), (vec![1.0, 2.0, 3.0, 0.0, 0.0], 3));
    assert_eq!(of(Length::Repeat, 3, 0.5).unwrap(), (vec![1.0, 2.0, 3.0, 1.0, 2.0], 5));
    assert_eq!(of(Length::Crop, 3, 0.5), None);
    let crop = FrontEnd::new(AudioSettings { length: Length::Crop, ..AudioSettings::new(8000, 1.0) }).unwrap();
    assert!(matches!(crop.reading(vec![vec![0.0; 3]]).unwrap_err(), Error::Audio(AudioError::Short { least: 8000, found: 3, .. })));
    for length in [Length::Crop, Length::Pad, Length::Repeat] {
        assert_eq!(of(length, 5, 0.5).unwrap().0, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(of(length, 9, 0.5).unwrap(), (vec![3.0, 4.0, 5.0, 6.0, 7.0], 5));
        assert_eq!([of(length, 9, 0.0).unwrap().0[0], of(length, 9, 1.0).unwrap().0[0]], [1.0, 5.0]);
    }
    assert_eq!(of(Length::Repeat, 0, 0.5).unwrap(), (vec![0.0; 5], 0));
}

#[test]
fn a_file_becomes_a_reading() {
    let path = fixture("chirp.flac");
    let front_end = FrontEnd::new(AudioSettings::new(8000, 1.0)).unwrap();
    let reading = front_end.reading(front_end.read(&path, Some(500..4500)).unwrap()).unwrap();
    // Half a second is 4,000 samples: frames 0 to 31 of 63 are centred on some of them or on the first behind.
    assert_eq!((reading.values.len(), reading.filled), (40 * 63, 32));
    assert!(reading.values.chunks(63).all(|band| band[..32].iter().all(|&x| x != 0.0) && band[32..].iter().all(|&x| x == 0.0)));
    // At another rate it is as long in seconds.
    let front_end = FrontEnd::new(AudioSettings { features: Features::Waveform, ..AudioSettings::new(16_000, 1.0) }).unwrap();
    let reading = front_end.reading(front_end.read(&path, Some(500..4500)).unwrap()).unwrap();
    assert_eq!((reading.values.len(), reading.filled, front_end.shape()), (16_000, 8000, vec![1, 16_000]));
}

#[test]
fn channels_are_those_of_the_settings() {
    let stereo = wav(8000, 2, &chirp(4000));
    let path = Path::new("two.wav");
    let with = |channels| FrontEnd::new(AudioSettings { channels, ..AudioSettings::new(8000, 0.25) }).unwrap();
    let front_end = with(2);
    let reading = front_end.reading(front_end.decode(&stereo, path, None).unwrap()).unwrap();
    assert_eq!((front_end.shape(), reading.values.len()), (vec![2, 40, 16], 2 * 40 * 16));
    assert_eq!(with(1).decode(&stereo, path, None).unwrap().len(), 1);
    let error = with(3).decode(&stereo, path, None).unwrap_err();
    assert_eq!(error.to_string(), "sound: two.wav has 2 channels, but the settings ask for 3; set `channels` to 2, or to 1 for their mean");
    let mono = with(2).decode(&wav(8000, 1, &chirp(4000)), Path::new("one.wav"), None).unwrap_err().to_string();
    let advice = "set `channels` to 1, which takes the mean of files that have more";
    assert_eq!(mono, format!("sound: one.wav has one channel, but the settings ask for 2; {advice}"));
}

#[test]
fn a_resampled_sound_is_not_longer_than_a_file_may_be() {
    let slow = wav(1, 1, &[1; 4000]);
    let front_end = FrontEnd::new(AudioSettings::new(48_000, 1.0)).unwrap();
    assert!(matches!(front_end.decode(&slow, Path::new("slow.wav"), None).unwrap_err(), Error::Audio(AudioError::TooLong { .. })));
}

#[test]
fn training_changes_follow_from_their_generator_and_channels_change_alike() {
    let augment = Augment { noise: 1.0, ..Augment::speech() };
    let front_end = FrontEnd::new(AudioSettings { channels: 2, augment, ..AudioSettings::new(8000, 0.3) }).unwrap();
    let wave: Vec<Vec<f32>> = vec![chirp(4000).into_iter().map(|x| f32::from(x) / 32_768.0).collect(); 2];
    let of = |id| front_end.augmented(wave.clone(), &mut stream(1, "augment", &[id])).unwrap();
    let (first, second) = (of(1), of(2));
    assert_eq!(first, of(1));
    assert_ne!(first, second);
    let (left, right) = first.values.split_at(first.values.len() / 2);
    assert_eq!(left, right);
    assert_eq!(first.values.len(), front_end.shape().iter().product::<usize>());
    // Without changes, training sees what evaluation sees; a cut is at random only where it is asked for.
    let plain = FrontEnd::new(AudioSettings { channels: 2, ..AudioSettings::new(8000, 0.6) }).unwrap();
    assert!(front_end.augments() && !plain.augments());
    assert_eq!(plain.augmented(wave.clone(), &mut stream(1, "augment", &[1])).unwrap(), plain.reading(wave.clone()).unwrap());
}

/// A near and a far microphone give one reading, whatever the form; silence stays silent.
#[test]
fn sounds_of_one_loudness_are_alike() {
    let settings = AudioSettings { loudness: Some(-20.0), features: Features::Waveform, ..AudioSettings::new(8000, 0.5) };
    let front_end = FrontEnd::new(settings.clone()).unwrap();
    let sound = |gain: f32| vec![(0..4000).map(|i| gain * (i as f32 * 0.3).sin()).collect::<Vec<f32>>()];
    let (far, near) = (front_end.reading(sound(0.003)).unwrap(), front_end.reading(sound(0.6)).unwrap());
    assert!(far.values.iter().zip(&near.values).all(|(a, b)| (a - b).abs() < 1e-6));
    let rms = (near.values.iter().map(|x| f64::from(x * x)).sum::<f64>() / 4000.0).sqrt();
    assert!((rms - 0.1).abs() < 1e-6, "{rms}");
    assert!(front_end.reading(vec![vec![0.0; 4000]]).unwrap().values.iter().all(|x| *x == 0.0));
    for level in [1.0, -200.0, f64::NAN] {
        let error = FrontEnd::new(AudioSettings { loudness: Some(level), ..settings.clone() }).err().unwrap().to_string();
        assert!(error.contains("loudness") && error.contains("-26"), "{error}");
    }
}
