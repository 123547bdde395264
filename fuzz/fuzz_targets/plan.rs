//! The text of a plan: cells, or an error that names the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use mm_bench::{Plan, Registry};

fuzz_target!(|text: &[u8]| {
    match Plan::from_bytes(text, Path::new("plan.toml")).and_then(|plan| plan.cells(&Registry::default())) {
        Ok(cells) => cells.iter().for_each(|cell| assert!(cell.estimated_seconds.is_finite())),
        Err(error) => assert!(format!("{error:#}").contains("plan.toml")),
    }
});
