//! Damaged files: whatever happens to the bytes of tables and cards, reading ends with the data that is written there, or a
//! message that says what is wrong and where.

use crate::damage::damage;
use flate2::{Compression, write::GzEncoder};
use mm_core::data::{DatasetCard, LoadedData, Source};
use mm_core::{Result, rng};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

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

/// The rows of a CSV text by the id in the column `ring`; the first row is the header.
fn rows_by_id(text: &[u8]) -> BTreeMap<String, csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text);
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.unwrap()).collect();
    let ring = records[0].iter().position(|name| name == "ring").expect("the id column");
    records.into_iter().map(|record| (record[ring].to_string(), record)).collect()
}

/// Compares what was read with the cells of the damaged text, read in the plainest way.
fn check_against_cells(loaded: &LoadedData, song: &[u8], case: u64) {
    let rows = rows_by_id(song);
    let header = &rows["ring"];
    let columns: Vec<usize> =
        loaded.report[0].features.iter().map(|feature| header.iter().position(|name| name == feature).expect("a column")).collect();
    let ids = loaded.data.ids().expect("an id column");
    assert_eq!(ids.len(), rows.len() - 1, "case {case}");
    for (sample, id) in ids.iter().enumerate() {
        let cells: Vec<Option<f32>> = columns.iter().map(|&column| rows[id][column].parse().ok()).collect();
        let whole = cells.iter().all(|cell| cell.is_some_and(f32::is_finite));
        assert_eq!(loaded.data.meta(sample).presence.contains(0), whole, "case {case}, sample {id}: {cells:?}");
        if whole {
            let values = &loaded.data.column(0)[sample * columns.len()..][..columns.len()];
            assert!(values.iter().zip(&cells).all(|(value, cell)| Some(*value) == *cell), "case {case}, sample {id}");
        }
    }
}

/// Reads 10 000 damaged variants and returns how many could be read.
fn fuzz(what: &str, mut check: impl FnMut(u64, &mut rng::Rng) -> Result<()>) -> usize {
    let mut read = 0;
    for case in 0..10_000 {
        match check(case, &mut rng::stream(11, what, &[case])) {
            Ok(()) => read += 1,
            Err(error) => {
                let message = error.to_string();
                assert!(message.len() > 10 && message.len() < 2000, "case {case}: {message}");
                // `file:line:column: ...`, or what it is about.
                let placed = message.split(':').nth(1).is_some_and(|line| line.parse::<usize>().is_ok());
                let somewhere = ["birds.toml", "song.csv", "feather.csv.gz", "label.csv", "class `", "split is empty"];
                assert!(placed || somewhere.iter().any(|part| message.contains(part)), "case {case} does not say where: {message}");
            }
        }
    }
    println!("{what}: {read} of 10 000 read");
    read
}

#[test]
fn damaged_cards_are_refused_or_read() {
    let (song, feather) = tables();
    let read = fuzz("cards", |case, rng| {
        let loaded = load(&damage(CARD.as_bytes(), rng), &song, &feather)?;
        assert!(loaded.data.len() == 60, "case {case}");
        loaded.split(case).map(|_| ())
    });
    assert!((100..9000).contains(&read));
}

#[test]
fn damaged_tables_are_refused_or_hold_what_is_written() {
    let (song, feather) = tables();
    let read = fuzz("tables", |case, rng| {
        let song = damage(&song, rng);
        let loaded = load(CARD.as_bytes(), &song, &feather)?;
        check_against_cells(&loaded, &song, case);
        loaded.split(case).map(|_| ())
    });
    assert!((500..9000).contains(&read));
}

/// Everything that a card can allow: what is read then is never more than the text holds, and what is left out is counted.
#[test]
fn damaged_tables_with_a_lenient_card() {
    let card = "name = \"birds\"\njoin = \"id\"\nid = \"ring\"\nallow_unmatched = true\npartial = \"absent\"\nno_reading = \"drop\"\n\
        missing_label = \"drop\"\ncomment = \"#\"\ndecimal = \",\"\nmissing = [\"NA\", \"-9\"]\nignore = [\"note\"]\n\
        labels = { file = \"label.csv\", column = \"species\" }\n[[view]]\nmodality = \"song\"\nfile = \"song.csv\"\n\
        [[view]]\nmodality = \"feather\"\nfile = \"feather.csv.gz\"\n";
    let (mut song, mut label) = (String::from("# 2024\nring;low;high;note\n"), String::from("ring\tspecies\n"));
    for i in 0..60 {
        song += &format!("r{i};{i},5;{};n\n", if i % 7 == 0 { "NA" } else { "2" });
        label += &format!("r{i}\t{}\n", ["wren", "robin", "?"][i % 3]);
    }
    let (_, feather) = tables();
    let card = DatasetCard::from_str(card, "birds.toml").unwrap();
    let read = fuzz("lenient", |case, rng| {
        let (damaged, other) = (damage(song.as_bytes(), rng), damage(label.as_bytes(), rng));
        let loaded = card.load(|file| {
            Ok(Cow::Borrowed(match file {
                "song.csv" => damaged.as_slice(),
                "label.csv" => other.as_slice(),
                _ => feather.as_slice(),
            }))
        })?;
        assert!(loaded.data.len() <= 62 && loaded.non_finite.len() == loaded.data.len(), "case {case}");
        assert!(loaded.files.iter().all(|f| f.matched + f.unmatched == f.rows), "case {case}");
        Ok(())
    });
    assert!((500..9900).contains(&read));
}

#[test]
fn damaged_gzip_is_refused_or_as_it_was() {
    let (song, feather) = tables();
    let whole = load(CARD.as_bytes(), &song, &feather).unwrap().data.content_hash().unwrap();
    let read = fuzz("gzip", |case, rng| {
        let loaded = load(CARD.as_bytes(), &song, &damage(&feather, rng))?;
        // gzip has a checksum: what still opens is unchanged.
        assert!(loaded.data.content_hash()? == whole, "case {case}");
        Ok(())
    });
    assert!((1..9000).contains(&read));
}

#[test]
fn damaged_text_within_gzip_reads_as_without() {
    let (song, feather) = tables();
    let read = fuzz("text within gzip", |case, rng| {
        let song = damage(&song, rng);
        let plain = load(CARD.as_bytes(), &song, &feather);
        let zipped = load(CARD.as_bytes(), &gzip(&song), &feather);
        match (&plain, &zipped) {
            (Ok(plain), Ok(zipped)) => assert!(plain.data.content_hash()? == zipped.data.content_hash()?, "case {case}"),
            (Err(plain), Err(zipped)) => assert_eq!(plain.to_string(), zipped.to_string(), "case {case}"),
            _ => panic!("case {case}: {:?} but zipped {:?}", plain.err(), zipped.err()),
        }
        zipped.map(|_| ())
    });
    assert!((500..9000).contains(&read));
}

#[test]
fn a_position_beyond_every_column_is_an_error() {
    let (song, feather) = tables();
    for position in ["1000000000000000000", "-1000000000000000000", "4"] {
        let card = CARD.replace("columns = [\"red\", 3]", &format!("columns = [{position}]"));
        let message = load(card.as_bytes(), &song, &feather).expect_err("no such column").to_string();
        assert!(message.contains("feather.csv.gz") && message.contains(position), "{message}");
    }
}
