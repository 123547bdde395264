use crate::{chirp, chirp_f32, fixture, wav};
use mm_core::Error;
use mm_core::data::audio::{AudioError, MOST_SAMPLES, Sound, decode, read};
use std::path::Path;

const PATH: &str = "a.wav";

fn failed(bytes: &[u8], part: Option<std::ops::Range<u64>>) -> AudioError {
    match decode(bytes, Path::new(PATH), part).unwrap_err() {
        Error::Audio(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn sixteen_bits_are_divided_by_32768() {
    let bytes = wav(8000, 1, &[0, 1, -1, 16_384, 32_767, -32_768]);
    let sound = decode(&bytes, Path::new(PATH), None).unwrap();
    let expected = vec![0.0, 1.0 / 32_768.0, -1.0 / 32_768.0, 0.5, 32_767.0 / 32_768.0, -1.0];
    assert_eq!(sound, Sound { rate: 8000, channels: vec![expected] });
}

#[test]
fn channels_are_kept_apart_or_averaged() {
    let sound = decode(&wav(44_100, 2, &[16_384, 0, -16_384, 8192]), Path::new(PATH), None).unwrap();
    assert_eq!(sound.channels, [[0.5, -0.5], [0.0, 0.25]]);
    assert_eq!(sound.mixed(), [0.25, -0.125]);
}

#[test]
fn lossless_files_hold_what_was_written() {
    assert_eq!(read(&fixture("chirp.flac"), None).unwrap(), Sound { rate: 8000, channels: vec![chirp_f32(12_000)] });
    let bytes = wav(8000, 1, &chirp(5000));
    assert_eq!(decode(&bytes, Path::new(PATH), None).unwrap().mixed(), chirp_f32(5000));
}

/// Encoders of MP3 and Vorbis put samples in front and behind; where the file says how many, they are cut off (symphonia's issues 402 and 418).
#[test]
fn lossy_files_begin_and_end_where_the_sound_does() {
    let original = chirp_f32(48_000);
    // Sums of squares that libsndfile gives.
    for (name, energy) in [("chirp.mp3", 1110.92264), ("chirp.ogg", 1093.12994)] {
        let sound = read(&fixture(name), None).unwrap().mixed();
        assert_eq!(sound.len(), original.len(), "{name}");
        let found: f64 = sound.iter().map(|&x| f64::from(x).powi(2)).sum();
        assert!((found / energy - 1.0).abs() < 1e-5, "{name}: {found}");
        assert_eq!(lag(&sound, &original, 40), 0, "{name}");
    }
}

/// An MP3 file without that note keeps them: 1,105 of them in front, and nothing of its end is lost to a guess of its length.
#[test]
fn an_mp3_file_without_a_note_of_its_delay_keeps_it() {
    let sound = read(&fixture("untagged.mp3"), None).unwrap().mixed();
    assert_eq!(sound.len(), 86 * 576);
    assert_eq!(lag(&sound, &chirp_f32(48_000), 1200), 1105);
}

/// How many samples later a sound comes than another.
fn lag(sound: &[f32], original: &[f32], most: usize) -> usize {
    let likeness = |lag: usize| sound[lag..].iter().zip(&original[..20_000]).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    (0..=most).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap()
}

#[test]
fn a_part_is_what_the_whole_file_has_there() {
    for name in ["chirp.flac", "chirp.mp3", "chirp.ogg", "untagged.mp3"] {
        let whole = read(&fixture(name), None).unwrap().mixed();
        let length = whole.len() as u64;
        for start in [0, 1, 575, 4096, 11_000, length / 2 + 77, length - 300, length - 1] {
            for count in [1, 256, 9000] {
                let end = (start + count).min(length);
                let part = read(&fixture(name), Some(start..end)).unwrap().mixed();
                assert!(part == whole[start as usize..end as usize], "{name}: {start}..{end}");
            }
        }
        let beyond = |part| match read(&fixture(name), Some(part)).unwrap_err() {
            Error::Audio(AudioError::Part { length, .. }) => length,
            other => panic!("{name}: {other}"),
        };
        assert_eq!([beyond(length - 5..length + 1), beyond(length + 90_000..length + 90_005)], [length; 2], "{name}");
        // Without an end it goes to that of the file.
        for start in [0, 5, 11_000, length - 1] {
            assert!(read(&fixture(name), Some(start..u64::MAX)).unwrap().mixed() == whole[start as usize..], "{name}: {start}");
        }
        assert_eq!([beyond(length..u64::MAX), beyond(length + 90_000..u64::MAX)], [length; 2], "{name}");
    }
    let bytes = wav(8000, 2, &chirp(20_000));
    let whole = decode(&bytes, Path::new(PATH), None).unwrap();
    let part = decode(&bytes, Path::new(PATH), Some(3001..5000)).unwrap();
    assert_eq!(part.channels, [&whole.channels[0][3001..5000], &whole.channels[1][3001..5000]]);
    let error = failed(&bytes, Some(5..5));
    assert_eq!(error, AudioError::Part { path: PATH.into(), part: 5..5, length: 10_000 });
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let bytes = wav(8000, 1, &chirp(5000));
    let cut = failed(&bytes[..bytes.len() - 2000], None).to_string();
    assert_eq!(cut, "a.wav is damaged at sample 4000: it ends here, 1000 samples early; get the file again or leave it out");
    let foreign = failed(b"no sound at all, but long enough to be looked at", None).to_string();
    assert!(foreign.contains("WAV, FLAC, MP3 or Ogg Vorbis") && foreign.contains("ffmpeg"), "{foreign}");
    assert_eq!(failed(&wav(8000, 1, &[]), None), AudioError::Empty { path: PATH.into() });
    assert!(matches!(read(Path::new("missing.wav"), None), Err(Error::Io { .. })));
    let folder = tempfile::tempdir().unwrap();
    assert!(read(folder.path(), None).unwrap_err().to_string().contains("is a folder, and a sound is a file"));

    let mut flac = std::fs::read(fixture("chirp.flac")).unwrap();
    let last = flac.len() - 100;
    flac[last] ^= 1;
    assert!(matches!(failed(&flac, None), AudioError::Damaged { .. }));
}

/// Sizes that a file only claims take no memory.
#[test]
fn a_length_beyond_the_limit_is_refused_before_it_is_read() {
    let mut bytes = wav(8000, 1, &chirp(100));
    let claimed = (MOST_SAMPLES as u32 + 1) * 2;
    bytes[40..44].copy_from_slice(&claimed.to_le_bytes());
    bytes[4..8].copy_from_slice(&(claimed + 36).to_le_bytes());
    assert!(matches!(failed(&bytes, None), AudioError::TooLong { most: MOST_SAMPLES, .. }));
    assert!(matches!(failed(&bytes, Some(0..200)), AudioError::Damaged { sample: 100, .. }));
}

/// By their beginnings: the decoder only says that it knows none of them.
#[test]
fn formats_that_are_not_read_are_named() {
    let filled = |parts: &[&[u8]]| [&parts.concat()[..], &[1; 200]].concat();
    let wave64 = [b"riff".as_slice(), &[7; 20], b"wave", &[7; 12]];
    let files = [
        (filled(&[b"RF64\xff\xff\xff\xffWAVEds64"]), "it is an RF64 sound"),
        (filled(&[b"FORM\0\0\x40\0AIFFCOMM"]), "it is an AIFF sound"),
        (filled(&[b"FORM\0\0\x40\0AIFCCOMM"]), "it is an AIFF sound"),
        (filled(&wave64), "it is a W64 sound"),
        (filled(&[b"caff\0\x01\0\0desc"]), "it is a CAF sound"),
        (filled(&[b"\0\0\0\x20ftypM4A \0\0\0\0"]), "it is an MP4 film or sound"),
    ];
    for (bytes, what) in files {
        let error = failed(&bytes, None).to_string();
        assert!(error.contains(what) && error.contains("ffmpeg -i FILE NEW.flac"), "{error}");
    }
}
