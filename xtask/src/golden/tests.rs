//! Damaged files of cases.

use super::{GoldenFile, compute};
use mm_core::rng;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[path = "../../../crates/mm-core/tests/damage/mod.rs"]
mod damage;

/// 10,000 damaged variants of the ops' cases, one case a file: each is computed or refused.
#[test]
fn damaged_cases_are_computed_or_refused() {
    let ops: serde_json::Value = serde_json::from_slice(include_bytes!("../../tests/golden/ops.json")).expect("it is a file of cases");
    let files: Vec<Vec<u8>> = ops["cases"]
        .as_array()
        .expect("it is a file of cases")
        .iter()
        .map(|case| serde_json::to_vec(&serde_json::json!({ "version": 1, "cases": [case] })).expect("it is a file of cases"))
        .collect();
    let mut read = 0;
    for number in 0..10_000 {
        let bytes = damage::damage(&files[number % files.len()], &mut rng::stream(21, "golden", &[number as u64]));
        let Ok(file) = GoldenFile::parse(&bytes) else { continue };
        read += 1;
        for case in &file.cases {
            let outcome = catch_unwind(AssertUnwindSafe(|| compute(case).and_then(|outputs| case.compare(&outputs))));
            assert!(outcome.is_ok(), "variant {number}: {}", String::from_utf8_lossy(&bytes));
        }
    }
    assert!(read > 1000, "{read}");
}
