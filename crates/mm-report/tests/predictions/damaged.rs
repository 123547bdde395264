//! Damaged files: whatever happens to the bytes, reading ends with results or with a message that says where.

use super::*;
use mm_core::rng::{self, Rng};

#[path = "../../../mm-core/tests/damage/mod.rs"]
mod damage;

const CASES: u64 = 2_000;

/// Reads damaged variants and returns how many could be read.
fn fuzz(what: &str, cases: u64, tables: impl Fn(&mut Rng) -> Tables) -> usize {
    let out = tempfile::tempdir().expect("folder");
    let read = |case: u64| match tables(&mut rng::stream(11, what, &[case])).read() {
        Ok(cells) => {
            // What is read holds together: the report can be made of it.
            let settings =
                mm_report::Settings { bootstrap: mm_core::statistics::Bootstrap { resamples: 20, seed: 0 }, ..Default::default() };
            if case.is_multiple_of(20) && !cells.is_empty() {
                let report = mm_report::write(out.path(), "fuzz", "", &cells, &[], &settings);
                assert!(report.is_ok(), "case {case}: {report:?}");
            }
            1
        }
        Err(error) => {
            let message = error.to_string();
            assert!((10..2_000).contains(&message.len()), "case {case}: {message}");
            assert!(
                ["birds.", "seed ", "sample "].iter().any(|place| message.contains(place)),
                "case {case} does not say where: {message}"
            );
            0
        }
    };
    (0..cases).map(read).sum()
}

#[test]
fn a_damaged_table_is_read_or_refused() {
    let bytes = birds().into_bytes();
    let read = fuzz("tables", CASES, |rng| Tables::empty().with("birds.csv", damage::damage(&bytes, rng)));
    assert!((20..1_500).contains(&read), "{read}");
}

#[test]
fn damaged_tables_of_the_other_kinds_are_read_or_refused() {
    for (what, table) in [("labels", labels::wards()), ("numbers", numbers::doses()), ("pixels", pixels::fields())] {
        let bytes = table.into_bytes();
        let read = fuzz(what, CASES / 4, |rng| Tables::empty().with("birds.csv", damage::damage(&bytes, rng)));
        assert!((5..450).contains(&read), "{what}: {read}");
    }
}

#[test]
fn a_damaged_packed_table_is_read_or_refused() {
    let bytes = gzip(birds().as_bytes());
    let read = fuzz("packed", CASES, |rng| Tables::empty().with("birds.csv.gz", damage::damage(&bytes, rng)));
    assert!(read < 400, "{read}");
}

#[test]
fn a_damaged_parquet_file_is_read_or_refused() {
    let bytes = mm_testing::parquet(&birds());
    let read = fuzz("parquet", CASES, |rng| Tables::empty().with("birds.parquet", damage::damage(&bytes, rng)));
    assert!(read < 1_900, "{read}");
}

#[test]
fn a_damaged_numpy_file_is_read_or_refused() {
    let index = "run,seed,combination,sample,truth\nr,0,x,0,a\nr,0,x,1,b\nr,0,x,2,b\n";
    let data: Vec<u8> = [0.25f32, 0.75, 0.5, 0.5, 1.0, 0.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = npy("<f4", "False", "(3, 2)", &data);
    let read = fuzz("numpy", CASES, |rng| {
        let tables = Tables::empty().with("birds.csv", index).with("predictions.toml", "classes = [\"a\", \"b\"]");
        tables.with("birds.npy", damage::damage(&bytes, rng))
    });
    assert!((20..1_900).contains(&read), "{read}");
}
