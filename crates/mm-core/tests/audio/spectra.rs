use crate::shared;
use mm_core::Error;
use mm_core::data::audio::{AudioError, LogMel, Stft, read};
use std::f64::consts::TAU;

fn mel(rate: u32, n_fft: usize, hop: usize, mels: usize) -> LogMel {
    LogMel::new(Stft::new(n_fft, hop).unwrap(), rate, mels, 0.0, f64::from(rate) / 2.0).unwrap()
}

/// The front ends of UDML's experiments: their shapes, silence, and a sine of amplitude 1 on a bin, whose peak is a quarter of the transform.
#[test]
fn known_answers() {
    let stft = Stft::new(512, 353).unwrap();
    assert_eq!((stft.bins(), stft.frames(66_150)), (257, 188));
    let long = Stft::new(256, 128).unwrap();
    assert_eq!((long.bins(), long.frames(80_000)), (129, 626));
    let silence = stft.log_magnitudes(&[0.0; 66_150]).unwrap();
    assert!(silence.len() == 257 * 188 && silence.iter().all(|x| (x + 16.118_096).abs() < 1e-5));
    let sine: Vec<f32> = (0..22_050).map(|i| (TAU * 20.0 * i as f64 / 512.0).sin() as f32).collect();
    let log = stft.log_magnitudes(&sine).unwrap();
    let (frames, t) = (stft.frames(sine.len()), 30);
    let peak = (0..257).max_by(|&a, &b| log[a * frames + t].total_cmp(&log[b * frames + t])).unwrap();
    assert_eq!(peak, 20);
    assert!((log[20 * frames + t] - 4.85203).abs() < 1e-4, "{}", log[20 * frames + t]);
    let silence = mel(8000, 256, 128, 40).log_energies(&[0.0; 8000]).unwrap();
    assert!(silence.len() == 40 * 63 && silence.iter().all(|&x| x == 1e-6f32.ln()));
}

/// An impulse has all frequencies alike, so a band's energy is the sum of its weights; those of bands 0, 20 and 39 by the formula of
/// `torchaudio.functional.melscale_fbanks(129, 0, 4000, 40, 8000)` in torch, f64.
#[test]
fn an_impulse_shows_the_weights_of_each_band() {
    let mut impulse = [0.0; 512];
    impulse[256] = 1.0;
    let log = mel(8000, 256, 256, 40).log_energies(&impulse).unwrap();
    // Frame 1 of 3 has the impulse where the window is 1: every power is 1.
    let sums: Vec<f32> = (0..40).map(|m| log[m * 3 + 1].exp()).collect();
    for (band, expected) in [(0, 1.100_797_4), (20, 2.822_41), (39, 6.666_339)] {
        assert!((sums[band] - expected).abs() < 1e-5, "{band}: {}", sums[band]);
    }
}

#[test]
fn short_sounds_are_refused_as_torch_refuses_them() {
    let stft = Stft::new(256, 128).unwrap();
    let error = stft.log_magnitudes(&[0.0; 128]).unwrap_err();
    assert!(matches!(error, Error::Audio(AudioError::Short { least: 129, found: 128, .. })), "{error}");
    assert_eq!(stft.log_magnitudes(&[0.0; 129]).unwrap().len(), 129 * 2);
    assert!(stft.log_magnitudes(&[]).is_err());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let field = |error: Error| match error {
        Error::Config { field, .. } => field,
        other => panic!("{other}"),
    };
    let refused = |n_fft, hop| field(Stft::new(n_fft, hop).err().unwrap());
    assert_eq!([refused(1, 1), refused(1 << 20, 1), refused(256, 0), refused(256, 257)], ["n_fft", "n_fft", "hop", "hop"]);
    let refused = |mels, low, high| field(LogMel::new(Stft::new(256, 128).unwrap(), 8000, mels, low, high).err().unwrap());
    assert_eq!([refused(0, 0.0, 4000.0), refused(130, 0.0, 4000.0), refused(120, 0.0, 4000.0)], ["mels"; 3]);
    assert_eq!([refused(40, 0.0, 4001.0), refused(40, 300.0, 300.0), refused(40, f64::NAN, 4000.0)], ["low, high"; 3]);
}

#[test]
fn spectra_are_those_of_the_definition() {
    for n in [2, 3, 4, 5, 6, 7, 10, 12, 15, 18, 64, 101, 400] {
        let sound: Vec<f32> = (0..3 * n).map(|i| ((i * i * 7 + 3 * i) % 23) as f32 / 11.0 - 1.0).collect();
        let stft = Stft::new(n, n).unwrap();
        let (log, frames) = (stft.log_magnitudes(&sound).unwrap(), stft.frames(sound.len()));
        for bin in 0..stft.bins() {
            let term = |j: usize| {
                let window = 0.5 - 0.5 * (TAU * j as f64 / n as f64).cos();
                let angle = TAU * ((j * bin) % n) as f64 / n as f64;
                (window * f64::from(sound[n - n / 2 + j]) * angle.cos(), window * f64::from(sound[n - n / 2 + j]) * angle.sin())
            };
            let (re, im) = (0..n).map(term).fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1));
            let found = f64::from(log[bin * frames + 1]).exp();
            assert!((found - re.hypot(im)).abs() < 1e-6 * n as f64, "{n} {bin}: {found} {}", re.hypot(im));
        }
    }
}

#[test]
fn odd_transforms_count_frames_as_torch_does() {
    // torch.stft(torch.zeros(100), 25, 10, center=True): [13, 10].
    let stft = Stft::new(25, 10).unwrap();
    assert_eq!((stft.bins(), stft.frames(100)), (13, 10));
    assert_eq!(stft.log_magnitudes(&[0.0; 100]).unwrap().len(), 130);
}

/// Real clips through soundfile and torch in f64; within 1e-4 of the largest value (waveforms: 1e-6).
#[test]
fn real_sounds_are_soundfiles_and_torchs() {
    let (Some(golden), Some(data)) = (shared("golden/front_ends.json"), shared("data/av-digits")) else { return };
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    for case in golden["audio"].as_array().unwrap() {
        let file = data.parent().unwrap().join(case["file"].as_str().unwrap());
        let (start, length) = (case["start"].as_u64().unwrap(), case["length"].as_u64().unwrap());
        let sound = read(&file, Some(start..start + length)).unwrap();
        assert_eq!(u64::from(sound.rate), case["sample_rate"].as_u64().unwrap());
        let wave = sound.mixed();
        let log_mel = mel(8000, 256, 128, 40).log_energies(&wave).unwrap();
        let log_stft = Stft::new(256, 128).unwrap().log_magnitudes(&wave).unwrap();
        for (name, values, tolerance) in [("waveform", wave, 1e-6), ("log_mel", log_mel, 1e-4), ("log_stft", log_stft, 1e-4)] {
            let expected = &case[name];
            let shape: u64 = expected["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).product();
            assert_eq!(values.len() as u64, shape);
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let largest = values.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            for (x, y) in values.iter().zip(expected["first"].as_array().unwrap()) {
                assert!((x - number(y)).abs() <= tolerance * largest, "{} {name}: {x} {y}", file.display());
            }
            let l2 = values.iter().map(|x| x * x).sum::<f64>().sqrt();
            assert!((l2 / number(&expected["l2"]) - 1.0).abs() < tolerance, "{name}");
            assert!((values.iter().sum::<f64>() - number(&expected["sum"])).abs() < tolerance * largest * (shape as f64).sqrt(), "{name}");
        }
    }
}
