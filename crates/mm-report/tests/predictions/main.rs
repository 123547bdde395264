//! Tables of predictions: what they come to, and what is refused.

mod damaged;
mod kinds;
mod labels;
mod numbers;
mod pixels;
mod refused;
mod results;

use mm_core::statistics::Bootstrap;
use mm_report::predictions::{Result, read};
use mm_report::result::{CellResult, Provenance};
use mm_report::{Rows, Settings, write};
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
    rows(HEADER, |run, sample| {
        let truth = ["wren", "robin"][sample % 2];
        let numbers = if truth == "wren" || run == "poor" { "0.75,0.25" } else { "0.125,0.875" };
        format!("{truth},{numbers}")
    })
}

/// The samples, runs and situations of [`birds`], of which `numbers` says what is behind the sample.
pub fn rows(header: &str, numbers: impl Fn(&str, usize) -> String) -> String {
    let mut table = format!("{header}\n");
    for run in ["good", "poor"] {
        let line = |seed: u64, combination: &str, corruption: &str, sample: usize| {
            format!("birds,{run},{seed},{combination},{corruption},s{sample},{}\n", numbers(run, sample))
        };
        for seed in 0..2 {
            for combination in ["rgb", "depth", "rgb+depth"] {
                for sample in (0..8).filter(|i| *i < 7 || combination == "rgb") {
                    table += &line(seed, combination, ",,", sample);
                }
            }
            for severity in 1..=2 {
                (0..7).for_each(|sample| table += &line(seed, "full", &format!("gaussian,{severity},rgb"), sample));
            }
        }
    }
    table
}

/// The header of [`rows`], with the columns that are behind the sample.
pub fn header(of_kind: &str) -> String {
    HEADER.replace("truth,p:wren,p:robin", of_kind)
}

/// Finished cells of the samples of [`birds`], as a bench leaves them: what the run `good` of a table comes to, called `ours`, in the rows 10
/// to 17 with the ids in an id column.
pub fn finished(table: &str) -> Vec<CellResult> {
    let mut cells = Tables::empty().with("birds.csv", table).read().expect("read");
    cells.retain(|cell| cell.run == "good");
    for cell in &mut cells {
        cell.run = "ours".into();
        let [version, data_hash, machine, finished_at] = ["0.1.0", "abc", "m", "2026-01-02T03:04:05Z"].map(String::from);
        cell.provenance = Some(Provenance { version, data_hash, machine, level: String::new(), finished_at });
        cell.test_rows = Some(Rows::new((10..18).collect()));
        // Only of classes a bench keeps them.
        cell.truths = cell.truths.take().filter(|_| cell.outputs.is_empty());
    }
    cells
}

/// The numbers, the page and the text of a report on cells, of which `reference` is compared with.
pub fn report(cells: &[CellResult], reference: &str) -> (serde_json::Value, String, String) {
    let bootstrap = Bootstrap { resamples: 200, seed: 0 };
    let settings = Settings { bootstrap, reference: Some(reference.into()), ..Settings::default() };
    let folder = tempfile::tempdir().expect("folder");
    let paths = write(folder.path(), "both", "", cells, &[], &settings).expect("written");
    let read = |path| std::fs::read_to_string(path).expect("text");
    (serde_json::from_str(&read(paths.json)).expect("parsed"), read(paths.html), read(paths.markdown))
}

/// A table with one text in place of another, once.
pub fn replaced(table: &str, from: &str, to: &str) -> String {
    assert!(table.contains(from), "{from}");
    table.replacen(from, to, 1)
}

/// A table without the lines that hold a text.
pub fn without(table: &str, text: &str) -> String {
    table.lines().filter(|line| !line.contains(text)).map(|line| format!("{line}\n")).collect()
}

/// Fails where a message lacks one of the texts.
#[track_caller]
pub fn says(message: String, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// Fails where a number is another one.
#[track_caller]
pub fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found}, not {expected}");
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
