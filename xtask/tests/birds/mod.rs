//! Small data and a plan that uses all of the plan's fields.
#![allow(dead_code)] // each test file uses a part of it

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const CARD: &str = r#"
name = "birds"
label = "species"
[[view]]
modality = "song"
file = "song.csv"
[[view]]
modality = "feather"
file = "feather.csv"
"#;

/// Some samples lack one of the two sensors.
fn write_data(folder: &Path, samples: usize) {
    let (mut song, mut feather) = (String::from("low,high,species\n"), String::from("red,blue,green\n"));
    for i in 0..samples {
        let wave = |k: usize| ((i * 7 + k * 3) % 11) as f64 * 0.1 + (i % 3 == k) as u8 as f64;
        let species = ["wren", "robin", "kite"][i % 3];
        let heard = if i % 9 == 4 { ",".into() } else { format!("{:.2},{:.2}", wave(0), wave(1)) };
        let seen = if i % 9 == 7 { ",,".into() } else { format!("{:.2},{:.2},{:.2}", wave(2), wave(0), -wave(1)) };
        // Writing to a string cannot fail.
        let _ = (writeln!(song, "{heard},{species}"), writeln!(feather, "{seen}"));
    }
    for (name, text) in [("birds.toml", CARD), ("song.csv", &song), ("feather.csv", &feather)] {
        std::fs::write(folder.join(name), text).expect("the folder can be written");
    }
}

/// Writes data of so many samples and the plan beside it; the plan's path.
pub fn write(folder: &Path, samples: usize, plan: &str) -> PathBuf {
    write_data(folder, samples);
    let path = folder.join("plan.toml");
    std::fs::write(&path, plan).expect("the folder can be written");
    path
}

/// The four methods, each with its phases within a few epochs.
pub const METHODS: &str = r#"
[[runs]]
method = "mmanet"
options = { begin_epoch = 4, lambda_mad = 4.0 }

[[runs]]
method = "dmrnet"
options = { warm_up_epochs = 4 }

[[runs]]
method = "udml"
options = { clean_share = 0.2, static_share = 0.4 }

[[runs]]
method = "mod-distill"
options = { robust = true, warm_up = 0.3 }
"#;

/// Every field of a plan.
pub const EVERYTHING: &str = r#"
name = "birds-plan"
description = "Songs and feathers."
seeds = [0, 1]
combinations = ["song", "song+feather"]

[[corruptions]]
families = ["gaussian", "dead"]
severities = [1, 3]
modalities = "feather"

[train]
epochs = 4
batch_size = 8
learning_rate = 0.05
clip_norm = 5.0
schedule = { kind = "multi_step", milestones = [2.0, 3.0], gamma = 0.1 }
optimizer = { kind = "adam_w", betas = [0.9, 0.999], eps = 1e-8, weight_decay = 0.01 }

[[data]]
name = "all"
card = "birds.toml"

[[data]]
name = "few"
card = "birds.toml"
train_per_class = 4
train = { epochs = 6, validate_every = 2, select = "best_validation", patience = 3 }

[[runs]]
method = "modality-dropout"
options = { missing = { rates = [0.3, 0.5] }, network = { trunk = { kind = "mlp", widths = [16, 8] } } }

[[runs]]
name = "slow-mmanet"
method = "mmanet"
train = { learning_rate = 0.01, optimizer = { kind = "sgd", momentum = 0.9 } }
options = { lambda_mad = 4.0, begin_epoch = 3, network = { encoder = { kind = "mlp", widths = [16] } } }

[[runs]]
method = "udml"
options = { estimator_width = 12, temperature = 2.0 }
"#;
