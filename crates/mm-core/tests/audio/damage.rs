use crate::{chirp, fixture, shared};
use mm_core::Error;
use mm_core::data::audio::{AudioError, Sound, decode};
use mm_core::rng::{Rng, stream};
use mm_testing::peak_memory;
use rand::RngExt;
use std::path::Path;

/// Damages a file: single bits, bytes of its head, its end cut off, a piece taken out, a piece overwritten.
fn damage(file: &[u8], way: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let at = rng.random_range(0..bytes.len());
    let end = (at + rng.random_range(1..300)).min(bytes.len());
    match way % 5 {
        0 => (0..rng.random_range(1..5)).for_each(|_| {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }),
        1 => (0..rng.random_range(1..4)).for_each(|_| {
            let at = rng.random_range(0..bytes.len().min(120));
            bytes[at] = [0, 127, 128, 255, rng.random()][rng.random_range(0..5)];
        }),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        _ => bytes[at..end].iter_mut().for_each(|byte| *byte = rng.random()),
    }
    bytes
}

/// Makes the checksums of an Ogg file's pages right again, so that damage gets as far as the decoder.
fn seal_pages(bytes: &mut [u8]) {
    let mut at = 0;
    while at + 27 < bytes.len() {
        let segments = usize::from(bytes[at + 26]);
        if &bytes[at..at + 4] != b"OggS" || at + 27 + segments > bytes.len() {
            at += 1;
            continue;
        }
        let body: usize = bytes[at + 27..at + 27 + segments].iter().map(|&length| usize::from(length)).sum();
        let end = (at + 27 + segments + body).min(bytes.len());
        bytes[at + 22..at + 26].fill(0);
        let crc = bytes[at..end].iter().fold(0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
        });
        bytes[at + 22..at + 26].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
}

/// Ten thousand damaged files, half of them read in part: an error of a sound's own, or as many samples as were asked for.
fn survives(name: &str, file: &[u8], also: impl Fn(&mut Vec<u8>, usize), check: impl Fn(&Sound, &std::ops::Range<u64>)) {
    let path = Path::new(name);
    let length = decode(file, path, None).unwrap().channels[0].len() as u64;
    let (mut failed, mut read) = (0, 0);
    for case in 0..10_000 {
        let mut rng = stream(1, name, &[case]);
        let mut bytes = damage(file, case as usize, &mut rng);
        also(&mut bytes, case as usize);
        let start = rng.random_range(0..length);
        let part = (case % 2 == 1).then(|| start..(start + rng.random_range(1..500)).min(length));
        match decode(&bytes, path, part.clone()) {
            Ok(sound) => {
                read += 1;
                let count = sound.channels[0].len();
                assert!(count > 0 && sound.channels.iter().all(|channel| channel.len() == count), "{name}: case {case}");
                assert!(part.as_ref().is_none_or(|part| count as u64 == part.end - part.start), "{name}: case {case}");
                check(&sound, &part.unwrap_or(0..length));
            }
            Err(Error::Audio(error)) => {
                failed += 1;
                assert!(error.to_string().contains(name), "{error}");
                assert!(!matches!(error, AudioError::Channels { .. } | AudioError::Short { .. }), "{error}");
            }
            Err(error) => panic!("{name}: case {case}: {error}"),
        }
    }
    println!("{name}: {read} read, {failed} refused");
    assert!(read > 0 && failed > 0);
    // Of the whole process; it takes a few dozen. What a file claims to hold would be gigabytes.
    assert!(peak_memory().is_none_or(|peak| peak < 400 << 20));
}

#[test]
fn wav() {
    survives("damaged.wav", &crate::wav(8000, 2, &chirp(6000)), |_, _| {}, |_, _| {});
}

/// Checksums of its blocks and of the whole leave no damage unseen: what is read is what was written.
#[test]
fn flac() {
    let file = std::fs::read(fixture("chirp.flac")).unwrap();
    let whole = decode(&file, Path::new("a.flac"), None).unwrap().mixed();
    let same = |sound: &Sound, part: &std::ops::Range<u64>| {
        assert!(sound.channels.len() == 1 && sound.channels[0] == whole[part.start as usize..part.end as usize]);
    };
    survives("damaged.flac", &file, |_, _| {}, same);
}

#[test]
fn mp3() {
    survives("damaged.mp3", &std::fs::read(fixture("chirp.mp3")).unwrap(), |_, _| {}, |_, _| {});
}

/// The decoder panics at some of these; that becomes an error.
#[test]
fn ogg() {
    let seal = |bytes: &mut Vec<u8>, case: usize| match case % 7 {
        0 => {}
        _ => seal_pages(bytes),
    };
    survives("damaged.ogg", &std::fs::read(fixture("chirp.ogg")).unwrap(), seal, |_, _| {});
}

/// The first seconds of a real recording, as a file that was cut: not read as a whole, but read where it is whole.
#[test]
fn a_real_recording_that_was_cut() {
    let Some(path) = shared("data/av-digits/george.flac") else { return };
    let file = std::fs::read(&path).unwrap();
    let cut = &file[..60_000];
    assert!(matches!(decode(cut, &path, None).unwrap_err(), Error::Audio(AudioError::Damaged { sample: 1.., .. })));
    assert_eq!(decode(cut, &path, Some(7111..12_443)).unwrap(), decode(&file, &path, Some(7111..12_443)).unwrap());
    assert!(matches!(decode(cut, &path, Some(1_000_000..1_000_100)).unwrap_err(), Error::Audio(AudioError::Damaged { .. })));
}
