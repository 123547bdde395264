//! Small data for a plan.

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
