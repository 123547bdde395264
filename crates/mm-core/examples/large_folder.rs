//! How fast and in how much memory a folder of pictures is read that does not fit in memory.
//!
//! `cargo run --release -p mm-core --example large_folder -- 4` (gigabytes, written to a temporary folder, or to the one that `TMPDIR` names)

use mm_core::data::kinds::Image;
use mm_core::data::{AugmentConfig, Folders, Loader, Loading, Source, Transform};
use mm_core::{Error, Result};
use mm_testing::{large_photos, peak_memory};
use std::time::Instant;

const SIDE: u32 = 512;
const BATCH: usize = 32;

fn main() -> Result<()> {
    let gigabytes: f64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4.0);
    let files = (gigabytes * 1e9 / f64::from(3 * SIDE * SIDE)) as usize;
    let folder = tempfile::tempdir().map_err(Error::io("the temporary folder"))?;
    large_photos(folder.path(), files, SIDE);
    let data = Folders::new(folder.path()).modality("rgb", Image::rgb(112)).open()?;
    let rows: Vec<usize> = (0..data.len()).collect();
    let transforms: Vec<Box<dyn Transform>> =
        vec![Box::new(AugmentConfig { flip: 0.5, crop_area: [0.8, 1.0], ..AugmentConfig::default() })];
    let before = peak_memory();
    // The first round may compete with the pictures on their way to the disk.
    for workers in [0, 1, 2, 0, 1, 2] {
        let loader = Loader::new(&data, &rows, BATCH, 0).transforms(&transforms).loading(Loading { workers, prefetch: 4 });
        let started = Instant::now();
        let read = loader.epoch(0, 0, |batches| batches.map(|batch| Ok(batch?.len())).sum::<Result<usize>>())?;
        let seconds = started.elapsed().as_secs_f64();
        println!("{workers} workers: {read} pictures of {SIDE}x{SIDE} in {seconds:.1} s, {:.0} a second", read as f64 / seconds);
    }
    let megabytes = |bytes: Option<u64>| bytes.map_or("unknown".into(), |bytes| format!("{} MB", bytes >> 20));
    println!("peak memory {} before reading, {} after", megabytes(before), megabytes(peak_memory()));
    Ok(())
}
