//! What a cell finds does not depend on how many threads it has.

use super::program::{cell, prepare, result, said, weights};
use mm_bench::{Plan, Registry};
use std::path::Path;

/// The built-in views are wide enough for work in pieces.
const PLAN: &str = r#"
name = "threads"
seeds = [5]
data = [{ name = "numerals", card = "multiple-features", train_per_class = 30 }]
train = { epochs = 4, batch_size = 128, select = "best_validation" }
corruptions = [{ families = ["gaussian"], severities = [3], modalities = "pix" }]
runs = [
    { method = "mmanet", options = { begin_epoch = 2 } },
    { method = "dmrnet", options = { warm_up_epochs = 2 } },
    { method = "udml" },
    { method = "mod-distill", options = { robust = true } },
    { method = "mean-imputation" },
    { method = "logit-distillation" },
    { method = "late-fusion" },
]
"#;

#[test]
fn one_thread_and_three_give_the_same_bytes() {
    let cells = Plan::from_bytes(PLAN.as_bytes(), Path::new("plan.toml")).unwrap().cells(&Registry::default()).unwrap();
    // With the teacher.
    assert_eq!(cells.len(), 8);
    let folder = tempfile::tempdir().unwrap();
    for spec in &cells {
        let [one, three] = [1, 3].map(|threads| {
            let folder = prepare(&folder.path().join(threads.to_string()), spec);
            let output = cell(&folder, 20.0).env("RAYON_NUM_THREADS", threads.to_string()).output().unwrap();
            assert!(output.status.success(), "{}: {}", spec.run, said(&output));
            let whole: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("result.json")).unwrap()).unwrap();
            assert_eq!(whole["cost"]["threads"], threads);
            folder
        });
        assert!(weights(&one) == weights(&three), "the weights of {} differ", spec.run);
        assert_eq!(result(&one), result(&three), "{}", spec.run);
    }
}
