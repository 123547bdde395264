use crate::chirp_f32;
use mm_core::corrupt::{Corruption, Family};
use mm_core::data::audio::{Augment, SOUND_FAMILIES, corrupt_sound, noise};
use mm_core::rng::{Rng, stream};

const RATE: u32 = 8000;

fn rng(id: u64) -> Rng {
    stream(3, "sound", &[id])
}

/// Power below and above a frequency, as band limits leave it.
fn share_below(samples: &[f32], hertz: f64) -> f64 {
    let mut low = samples.to_vec();
    noise::shape(&mut low, RATE, |f| if f <= hertz { 1.0 } else { 0.0 });
    noise::power(&low) / noise::power(samples)
}

#[test]
fn noise_has_its_spectrum() {
    let count = 1 << 16;
    // White: an octave below half the rate is half of all; pink: every octave from 20 Hz on has the same power.
    let white = noise::white(count, &mut rng(0));
    assert!((share_below(&white, 2000.0) - 0.5).abs() < 0.02);
    assert!((noise::power(&white) - 1.0).abs() < 0.02);
    let pink = noise::pink(count, RATE, &mut rng(1));
    let octave = |top: f64| share_below(&pink, top) - share_below(&pink, top / 2.0);
    for top in [500.0, 1000.0, 2000.0] {
        assert!((octave(top) / octave(4000.0) - 1.0).abs() < 0.1, "{top}: {} {}", octave(top), octave(4000.0));
    }
    // Babble: most of it where voices are strongest, and swelling.
    let babble = noise::babble(count, RATE, &mut rng(2));
    assert!(share_below(&babble, 1000.0) > 0.8 && share_below(&babble, 80.0) < 0.05);
    let loudness: Vec<f64> = babble.chunks(400).map(noise::power).collect();
    let mean = loudness.iter().sum::<f64>() / loudness.len() as f64;
    let deviation = (loudness.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / loudness.len() as f64).sqrt();
    assert!(deviation / mean > 0.3, "{}", deviation / mean);
}

#[test]
fn a_filter_that_keeps_all_changes_nothing_and_one_frequency_can_be_taken_out() {
    for n in [1, 2, 3, 4, 6, 16, 48, 1024] {
        let sound: Vec<f32> = (0..n).map(|i| ((i * i * 7 + 3 * i) % 23) as f32 / 11.0 - 1.0).collect();
        let mut same = sound.clone();
        noise::shape(&mut same, RATE, |_| 1.0);
        assert!(same.iter().zip(&sound).all(|(a, b)| (a - b).abs() < 1e-5), "{n}");
    }
    let wave = |k: f64| (0..32).map(move |j| (std::f64::consts::TAU * k * f64::from(j) / 32.0).sin() as f32);
    for gone in [5.0, 11.0] {
        let mut both: Vec<f32> = wave(3.0).zip(wave(gone)).map(|(a, b)| a + b).collect();
        noise::shape(&mut both, 32, |hertz| if hertz == gone { 0.0 } else { 2.0 });
        assert!(both.iter().zip(wave(3.0)).all(|(a, b)| (a - 2.0 * b).abs() < 1e-5), "{both:?}");
    }
}

fn at(family: Family, severity: u8) -> Corruption {
    Corruption::new(family, severity).unwrap()
}

#[test]
fn noise_is_as_loud_as_the_table_says() {
    let sound = chirp_f32(8000);
    for family in [Family::WhiteNoise, Family::Babble] {
        for severity in 1..=5 {
            let mut noisy = sound.clone();
            corrupt_sound(&mut noisy, RATE, at(family, severity), &mut rng(4)).unwrap();
            let added: Vec<f32> = noisy.iter().zip(&sound).map(|(a, b)| a - b).collect();
            let decibels = 10.0 * (noise::power(&sound) / noise::power(&added)).log10();
            let stated = f64::from(at(family, severity).strength());
            assert!((decibels - stated).abs() < 0.1, "{family} {severity}: {decibels} for {stated}");
        }
    }
    // Silence has no loudness that noise could be compared with.
    let mut silence = vec![0.0; 100];
    corrupt_sound(&mut silence, RATE, at(Family::WhiteNoise, 5), &mut rng(4)).unwrap();
    assert_eq!(silence, [0.0; 100]);
}

#[test]
fn each_family_does_what_it_says() {
    let sound = chirp_f32(4000);
    let of = |family: Family, severity| {
        let mut samples = sound.clone();
        corrupt_sound(&mut samples, RATE, at(family, severity), &mut rng(5)).unwrap();
        samples
    };
    let largest = |samples: &[f32]| samples.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    for severity in 1..=5 {
        let strength = |family: Family| f64::from(at(family, severity).strength());
        let clipped = of(Family::Clipping, severity);
        assert_eq!(largest(&clipped), largest(&sound) * strength(Family::Clipping) as f32);
        let silent = of(Family::DropOuts, severity).chunks(400).filter(|gap| largest(gap) == 0.0).count() as f64;
        assert_eq!(silent, (10.0 * strength(Family::DropOuts)).round());
        let limit = strength(Family::BandLimit) * 4000.0;
        assert!(share_below(&of(Family::BandLimit, severity), limit * 1.05) > 0.99);
    }
    // What is below the limit stays, at its place: the chirp begins at 200 Hz.
    let limited = of(Family::BandLimit, 5);
    assert!(sound[100..400].iter().zip(&limited[100..400]).all(|(a, b)| (a - b).abs() < 0.03));
    assert_eq!(largest(&of(Family::Silence, 5)), 0.0);
    let silent = |severity| {
        let quiet = |id: &u64| {
            let mut samples = vec![1.0];
            corrupt_sound(&mut samples, RATE, at(Family::Silence, severity), &mut rng(*id)).unwrap();
            samples == [0.0]
        };
        (0..1000).filter(quiet).collect::<Vec<u64>>()
    };
    let (some, more) = (silent(1), silent(3));
    assert!((150..250).contains(&some.len()) && (550..650).contains(&more.len()));
    assert!(some.iter().all(|id| more.contains(id)), "a higher severity silences the same sounds and more");
}

#[test]
fn corruptions_of_sounds_follow_from_their_generator() {
    for &family in SOUND_FAMILIES {
        let of = |id| {
            let mut samples = chirp_f32(2000);
            corrupt_sound(&mut samples, RATE, at(family, 3), &mut rng(id)).unwrap();
            samples
        };
        assert_eq!(of(1), of(1));
        // Very short sounds.
        corrupt_sound(&mut [], RATE, at(family, 1), &mut rng(0)).unwrap();
        corrupt_sound(&mut [0.5], RATE, at(family, 5), &mut rng(0)).unwrap();
    }
    let refused = corrupt_sound(&mut [0.5], RATE, at(Family::Fog, 5), &mut rng(0)).unwrap_err().to_string();
    assert!(refused.contains("kind `audio` has no family `fog`; it has white_noise, babble"), "{refused}");
}

fn changed(augment: Augment, id: u64) -> Vec<f32> {
    let mut samples = chirp_f32(4000);
    augment.apply(&mut samples, RATE, &mut rng(id));
    samples
}

#[test]
fn nothing_changes_by_default() {
    assert_eq!(changed(Augment::default(), 1), chirp_f32(4000));
    let mut spectrogram: Vec<f32> = (0..60).map(|x| x as f32).collect();
    let before = spectrogram.clone();
    Augment::default().mask(&mut spectrogram, 10, 10, &mut rng(1));
    assert_eq!(spectrogram, before);
}

#[test]
fn changes_stay_in_their_ranges() {
    Augment::speech().validate().unwrap();
    let speed = Augment { speed: [0.8, 1.25], ..Augment::default() };
    let lengths: Vec<usize> = (0..200).map(|id| changed(speed, id).len()).collect();
    assert!(lengths.iter().all(|length| (3200..=5000).contains(length)) && lengths.iter().any(|&length| length > 4600));
    assert_eq!(changed(Augment { speed: [1.25; 2], ..Augment::default() }, 0).len(), 3200);

    let shift = Augment { shift: 0.1, ..Augment::default() };
    let original = chirp_f32(4000);
    let (mut later, mut earlier) = (0, 0);
    for id in 0..100 {
        let shifted = changed(shift, id);
        let by = shifted.len() as isize - 4000;
        assert!(by.abs() <= 800);
        match by > 0 {
            true => assert!(shifted[by as usize..] == original && shifted[..by as usize].iter().all(|&x| x == 0.0)),
            false => assert_eq!(shifted, original[by.unsigned_abs()..]),
        }
        (later, earlier) = (later + usize::from(by > 0), earlier + usize::from(by < 0));
    }
    assert!(later > 30 && earlier > 30);

    let gain = changed(Augment { gain_decibels: [6.0; 2], ..Augment::default() }, 0);
    assert!((10.0 * (noise::power(&gain) / noise::power(&original)).log10() - 6.0).abs() < 1e-3);
    let noisy = changed(Augment { noise: 1.0, noise_decibels: [15.0; 2], ..Augment::default() }, 0);
    let added: Vec<f32> = noisy.iter().zip(&original).map(|(a, b)| a - b).collect();
    assert!((10.0 * (noise::power(&original) / noise::power(&added)).log10() - 15.0).abs() < 0.1);
}

/// Half of a sound at least stays, and half of what comes out at least is sound, however large the shift.
#[test]
fn a_shift_beyond_the_sound_leaves_half_of_it() {
    let shift = Augment { shift: 60.0, ..Augment::default() };
    let lengths: Vec<usize> = (0..20).map(|id| changed(shift, id).len()).collect();
    assert!(
        lengths.iter().all(|length| (2000..=6000).contains(length)) && lengths.contains(&2000) && lengths.contains(&6000),
        "{lengths:?}"
    );
}

#[test]
fn masks_cover_whole_frames_and_bands_of_what_is_filled() {
    let (bands, frames, filled) = (40, 60, 30);
    let augment = Augment { time_masks: 2, time_mask: 0.3, frequency_masks: 1, frequency_mask: 0.25, ..Augment::default() };
    let (mut most_frames, mut most_bands) = (0, 0);
    // Every value differs from the mean of the filled ones, 1184.5.
    let original: Vec<f32> = (0..bands * frames).map(|x| x as f32).collect();
    for id in 0..300 {
        let mut masked = original.clone();
        augment.mask(&mut masked, frames, filled, &mut rng(id));
        assert!(masked.iter().zip(&original).all(|(&a, &b)| a == b || a == 1184.5));
        let at = |m: usize, t: usize| masked[m * frames + t] == 1184.5;
        assert!((0..bands).all(|m| (filled..frames).all(|t| !at(m, t))), "padding stays");
        let columns = (0..filled).filter(|&t| (0..bands).all(|m| at(m, t))).count();
        let rows = (0..bands).filter(|&m| (0..filled).all(|t| at(m, t))).count();
        assert_eq!(masked.iter().filter(|&&x| x == 1184.5).count(), columns * bands + rows * filled - columns * rows);
        assert!(columns <= 18 && rows <= 10, "{columns} {rows}");
        (most_frames, most_bands) = (most_frames.max(columns), most_bands.max(rows));
    }
    assert!(most_frames > 12 && most_bands == 10, "{most_frames} {most_bands}");
    Augment::speech().mask(&mut [], 0, 0, &mut rng(0));
    Augment::speech().mask(&mut [1.0], 1, 5, &mut rng(0));
    Augment::speech().mask(&mut [1.0; 6], 3, 0, &mut rng(0));
}

#[test]
fn an_equalizer_changes_frequencies_within_its_bounds() {
    let changed = Augment { equalizer: 6.0, ..Augment::default() };
    let noise = noise::white(1 << 15, &mut rng(0));
    let band = |sound: &[f32], low: f64| {
        let mut part = sound.to_vec();
        noise::shape(&mut part, RATE, |f| if (low..low + 100.0).contains(&f) { 1.0 } else { 0.0 });
        noise::power(&part)
    };
    let mut gains = Vec::new();
    for id in 0..4 {
        let mut sound = noise.clone();
        changed.apply(&mut sound, RATE, &mut rng(id));
        assert_eq!(sound.len(), noise.len());
        gains.extend((0..39).map(|k| 10.0 * (band(&sound, 100.0 * f64::from(k)) / band(&noise, 100.0 * f64::from(k))).log10()));
    }
    assert!(gains.iter().all(|gain| gain.abs() < 6.1), "{gains:?}");
    assert!(gains.iter().any(|gain| *gain > 2.0) && gains.iter().any(|gain| *gain < -2.0), "{gains:?}");
    assert!(Augment { equalizer: -1.0, ..changed }.validate().is_err() && changed.validate().is_ok());
}
