//! Tables of predictions: what they come to, and what is refused.

mod damaged;
mod refused;
mod results;

use mm_report::predictions::{Result, read};
use mm_report::result::CellResult;
use std::io::Write as _;

/// A folder of predictions, written as another framework would.
pub struct Tables {
    folder: tempfile::TempDir,
}

/// The columns of [`birds`].
pub const HEADER: &str = "data,run,seed,combination,corruption,severity,corrupted,sample,truth,p:wren,p:robin";

impl Tables {
    /// Without a file.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("folder") }
    }

    /// With one file more.
    pub fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).expect("written");
        self
    }

    /// What they come to beside finished cells.
    pub fn read_beside(&self, prefix: &str, results: &[CellResult]) -> Result<Vec<CellResult>> {
        read(&[self.folder.path().to_path_buf()], prefix, results)
    }

    /// What they come to.
    pub fn read(&self) -> Result<Vec<CellResult>> {
        self.read_beside("", &[])
    }

    /// The error, without the folder in front of file names.
    pub fn refused(&self) -> String {
        self.refused_beside(&[])
    }

    /// As [`Tables::refused`], beside finished cells.
    pub fn refused_beside(&self, results: &[CellResult]) -> String {
        let error = self.read_beside("", results).map(|cells| cells.len()).expect_err("refused").to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// Eight samples `s0` to `s7`, every second a wren; two runs, seeds 0 and 1, both sensors and the combination. `s7` has no depth. The run
/// `good` is right on all, `poor` on the wrens.
pub fn birds() -> String {
    let mut table = format!("{HEADER}\n");
    for run in ["good", "poor"] {
        for seed in 0..2 {
            for combination in ["rgb", "depth", "rgb+depth"] {
                for sample in (0..8).filter(|i| *i < 7 || combination == "rgb") {
                    table += &line(run, seed, combination, "", sample);
                }
            }
            for severity in 1..=2 {
                (0..7).for_each(|sample| table += &line(run, seed, "full", &format!("gaussian,{severity},rgb"), sample));
            }
        }
    }
    table
}

fn line(run: &str, seed: u64, combination: &str, corruption: &str, sample: usize) -> String {
    let truth = ["wren", "robin"][sample % 2];
    let corruption = if corruption.is_empty() { ",," } else { corruption };
    let numbers = if truth == "wren" || run == "poor" { "0.75,0.25" } else { "0.125,0.875" };
    format!("birds,{run},{seed},{combination},{corruption},s{sample},{truth},{numbers}\n")
}

/// Compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// As `np.save` writes it.
pub fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), data].concat()
}
