//! Damaged files: whatever happens to the bytes of tables and cards, reading ends with data or a message.

use flate2::{Compression, write::GzEncoder};
use mm_core::data::{Dataset, DatasetCard, LoadedData};
use mm_core::{Result, rng};
use rand::{Rng, RngExt};
use std::borrow::Cow;
use std::io::Write;
use std::time::Instant;

const CARD: &str = r#"
name = "birds"
description = "songs and feathers"
join = "id"
id = "ring"
label = "species"
allow_unmatched = false
non_finite = "absent"
[split]
train = 0.6
validation = 0.2
test = 0.2
[[view]]
modality = "song"
file = "song.csv"
[[view]]
modality = "feather"
file = "feather.csv.gz"
columns = ["red", 3]
"#;

fn tables() -> (Vec<u8>, Vec<u8>) {
    let (mut song, mut feather) = (String::from("ring,low,high,species,note\n"), String::from("ring,red,blue\n"));
    for i in 0..60 {
        let values = if i % 9 == 4 { ",".into() } else { format!("{}.25,{}e-2", i, i * 3) };
        song += &format!("r{i},{values},{},\"heard, {i} times\"\n", ["wren", "robin", "kite"][i % 3]);
        feather += &format!("r{},{i},-0.{i}\n", 59 - i);
    }
    (song.into_bytes(), gzip(feather.as_bytes()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn load(card: &[u8], song: &[u8], feather: &[u8]) -> Result<LoadedData> {
    let card = DatasetCard::from_str(&String::from_utf8_lossy(card), "birds.toml")?;
    card.load(|file| Ok(Cow::Borrowed(if file == "song.csv" { song } else { feather })))
}

/// Bytes that mean something in CSV, TOML or a number.
const SPECIAL: &[u8] = b",\n\"'=[]{}.-einaf0\r\t#\\\0\xff";

/// One to three faults: a bit flipped, a byte replaced, a piece cut, doubled or swapped, the end cut off.
fn damage(bytes: &[u8], rng: &mut rng::Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..[1, 1, 1, 2, 3][rng.random_range(0..5)] {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..40)).min(bytes.len());
        match rng.next_u32() % 7 {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = SPECIAL[rng.random_range(0..SPECIAL.len())],
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(at..end),
            5 => {
                let other = rng.random_range(0..bytes.len());
                bytes.swap(at, other);
            }
            _ => {
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

#[test]
fn ten_thousand_damaged_files_neither_panic_nor_hang() {
    let (song, feather) = tables();
    let whole = load(CARD.as_bytes(), &song, &feather).unwrap().data.content_hash().unwrap();
    let started = Instant::now();
    let (mut read, mut refused, mut slowest) = (0, 0, 0.0f64);
    for case in 0..10_000u64 {
        let mut rng = rng::stream(11, "damage", &[case]);
        let (mut card, mut song, mut feather) = (CARD.as_bytes().to_vec(), song.clone(), feather.clone());
        match case % 4 {
            0 => card = damage(&card, &mut rng),
            1 => song = damage(&song, &mut rng),
            2 => feather = damage(&feather, &mut rng),
            _ => song = gzip(&damage(&song, &mut rng)),
        }
        let begun = Instant::now();
        match load(&card, &song, &feather) {
            Ok(loaded) => {
                read += 1;
                let data = &loaded.data;
                for m in 0..data.schema().modalities.len() {
                    assert!(data.column(m).iter().all(|v| v.is_finite()), "case {case}");
                }
                // gzip has a checksum: what still opens is unchanged.
                assert!(case % 4 != 2 || data.content_hash().unwrap() == whole, "case {case}");
                let _ = loaded.split(case);
            }
            Err(error) => {
                refused += 1;
                let message = error.to_string();
                assert!(message.len() > 10 && message.len() < 2000, "case {case}: {message}");
            }
        }
        slowest = slowest.max(begun.elapsed().as_secs_f64());
    }
    println!("{read} read, {refused} refused, slowest {slowest:.4} s, all {:?}", started.elapsed());
    assert!(refused > 3000 && read > 500, "{refused} refused, {read} read");
    assert!(slowest < 2.0 && started.elapsed().as_secs() < 30);
}
