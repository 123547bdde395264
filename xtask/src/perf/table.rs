//! The table: rows of ours beside PyTorch's, and where they were measured.

use super::Context;
use mm_core::DeviceName;
use serde::Serialize;
use std::fmt::Write as _;

/// The rows and their provenance; also what `--json` prints.
#[derive(Debug, Serialize)]
pub struct Table {
    /// Where and how it was measured.
    pub provenance: Provenance,
    /// In the order of measuring.
    pub rows: Vec<Row>,
}

/// Where and how a table was measured.
#[derive(Debug, Serialize)]
pub struct Provenance {
    machine: String,
    device: DeviceName,
    threads: usize,
    repeats: usize,
    version: String,
    pytorch: Option<String>,
}

impl Provenance {
    pub fn new(context: &Context) -> Self {
        Self {
            machine: mm_bench::machine(),
            device: context.device,
            threads: context.threads,
            repeats: context.repeats,
            version: mm_bench::version(),
            pytorch: context.pytorch.as_ref().map(|p| p.version().to_string()),
        }
    }
}

/// One row of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    what: String,
    unit: &'static str,
    ours: f64,
    theirs: Vec<Theirs>,
}

/// What another program reached in a row.
#[derive(Debug, Serialize, PartialEq)]
struct Theirs {
    name: &'static str,
    value: f64,
    /// Ours over theirs.
    ratio: f64,
}

impl Row {
    /// The medians of a value of both sides' runs; without runs of PyTorch, ours alone.
    pub fn of_medians<T>(
        what: impl Into<String>,
        unit: &'static str,
        (ours, theirs): &(Vec<T>, Vec<T>),
        value: impl Fn(&T) -> f64,
    ) -> Self {
        Self::beside(what, unit, median(ours, &value).unwrap_or(f64::NAN), &[(PYTORCH, median(theirs, &value))])
    }

    /// A value of ours beside those of other programs, by name, as far as there are some.
    pub fn beside(what: impl Into<String>, unit: &'static str, ours: f64, others: &[(&'static str, Option<f64>)]) -> Self {
        let theirs = others.iter().filter_map(|&(name, value)| value.map(|value| Theirs { name, value, ratio: ours / value })).collect();
        Self { what: what.into(), unit, ours, theirs }
    }

    fn of(&self, name: &str) -> Option<&Theirs> {
        self.theirs.iter().find(|theirs| theirs.name == name)
    }
}

const PYTORCH: &str = "PyTorch";

/// The middle value; of an even number the mean of the two in the middle.
pub fn median<T>(timings: &[T], value: impl Fn(&T) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = timings.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

impl Table {
    /// As a Markdown table below a line of provenance.
    pub fn markdown(&self) -> String {
        let Provenance { machine, device, threads, repeats, version, pytorch } = &self.provenance;
        let pytorch = pytorch.as_ref().map_or_else(String::new, |v| format!("; PyTorch {v}"));
        let device = if *device == DeviceName::Cpu { String::new() } else { format!(" on {device}") };
        let mut text = format!("Machine: {machine}; {threads} threads each{device}; median of {repeats}; {version}{pytorch}.\n");
        // The columns, in the order in which rows name them; PyTorch's is there where nobody was asked, too.
        let mut names: Vec<&str> = Vec::new();
        for theirs in self.rows.iter().flat_map(|row| &row.theirs) {
            if !names.contains(&theirs.name) {
                names.push(theirs.name);
            }
        }
        if names.is_empty() {
            names.push(PYTORCH);
        }
        // Writing to a string cannot fail.
        if !self.rows.is_empty() {
            let columns: String = names.iter().map(|name| format!(" {name} | ours / {name} |")).collect();
            let _ = writeln!(text, "\n| what | ours |{columns}\n|---|---:|{}", "---:|".repeat(2 * names.len()));
        }
        for row in &self.rows {
            let cells = names.iter().map(|name| match row.of(name) {
                Some(Theirs { value, ratio, .. }) => format!(" {} {} | {ratio:.2} |", number(*value), row.unit),
                None => " - | - |".into(),
            });
            let _ = writeln!(text, "| {} | {} {} |{}", row.what, number(row.ours), row.unit, cells.collect::<String>());
        }
        text
    }
}

/// Four digits that count, or the whole part.
fn number(value: f64) -> String {
    let digits = if value > 0.0 { (3.0 - value.log10().floor()).clamp(0.0, 6.0) } else { 0.0 };
    format!("{value:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: Vec<Row>, pytorch: Option<&str>) -> Table {
        let provenance = Provenance {
            machine: "m".into(),
            device: DeviceName::Cpu,
            threads: 2,
            repeats: 3,
            version: "v".into(),
            pytorch: pytorch.map(Into::into),
        };
        Table { provenance, rows }
    }

    #[test]
    fn rows_hold_medians_and_their_ratio() {
        let row = Row::of_medians("step", "s", &(vec![3.0, 1.0, 2.0], vec![9.0, 3.0, 4.0, 5.0]), |&s| s);
        assert_eq!((row.ours, row.of("PyTorch")), (2.0, Some(&Theirs { name: "PyTorch", value: 4.5, ratio: 2.0 / 4.5 })));
        let text = table(vec![row], Some("2.15.0")).markdown();
        assert!(text.starts_with("Machine: m; 2 threads each; median of 3; v; PyTorch 2.15.0.\n"), "{text}");
        assert!(text.ends_with("| step | 2.000 s | 4.500 s | 0.44 |\n"), "{text}");
    }

    #[test]
    fn without_pytorch_its_columns_are_empty() {
        let text = table(vec![Row::of_medians("memory", "MB", &(vec![59.4372], vec![]), |&s| s)], None).markdown();
        assert!(text.ends_with("| memory | 59.44 MB | - | - |\n"), "{text}");
    }

    #[test]
    fn each_program_has_its_columns() {
        let rows = vec![
            Row::beside("first", "ms", 1.0, &[("ONNX Runtime", Some(2.0)), ("OpenVINO", None)]),
            Row::beside("second", "ms", 3.0, &[("ONNX Runtime", None), ("OpenVINO", Some(4.0))]),
        ];
        let text = table(rows, None).markdown();
        assert!(text.contains("| what | ours | ONNX Runtime | ours / ONNX Runtime | OpenVINO | ours / OpenVINO |\n"), "{text}");
        assert!(
            text.contains("| first | 1.000 ms | 2.000 ms | 0.50 | - | - |\n| second | 3.000 ms | - | - | 4.000 ms | 0.75 |\n"),
            "{text}"
        );
    }

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(
            [0.0, 0.00012345, 0.0312, 1.0, 59.4372, 747.5, 12345.6].map(number),
            ["0", "0.000123", "0.03120", "1.000", "59.44", "747.5", "12346"]
        );
    }
}
