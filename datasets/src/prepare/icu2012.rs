//! PhysioNet/CinC Challenge 2012: the first 48 hours in intensive care, panels of measurements of which most stays lack some.

use super::disk::{found, lines, names, text};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};
use flate2::{Compression, write::GzEncoder};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const READER: Reader = Reader {
    name: "icu2012",
    about: "8,000 stays in intensive care, twelve panels of measurements, death in hospital (PhysioNet/CinC Challenge 2012)",
    licence: "Open Data Commons Attribution License 1.0, as PhysioNet lists it; the tables written here are changed and carry another name",
    how: "Unpack set-a.zip and set-b.zip of physionet.org/content/challenge-2012 beside Outcomes-a.txt and Outcomes-b.txt: the folders set-a \
          and set-b hold a text file a stay",
    prepare,
};

/// Panels, and their variables with the least and the largest value that is possible.
type Panel = (&'static str, &'static [(&'static str, f64, f64)]);
const PANELS: [Panel; 12] = [
    ("patient", &[("Age", 0.0, 120.0), ("Gender", 0.0, 1.0), ("Height", 50.0, 250.0), ("Weight", 20.0, 350.0), ("ICUType", 1.0, 4.0)]),
    (
        "bedside",
        &[
            ("HR", 1.0, 300.0),
            ("Temp", 25.0, 45.0),
            ("NISysABP", 20.0, 300.0),
            ("NIDiasABP", 5.0, 220.0),
            ("NIMAP", 10.0, 250.0),
        ],
    ),
    ("respiration", &[("RespRate", 1.0, 100.0)]),
    ("arterial_line", &[("SysABP", 20.0, 300.0), ("DiasABP", 5.0, 220.0), ("MAP", 10.0, 250.0)]),
    (
        "blood_gas",
        &[("pH", 6.5, 8.0), ("PaCO2", 5.0, 200.0), ("PaO2", 10.0, 700.0), ("SaO2", 20.0, 100.0), ("Lactate", 0.1, 40.0)],
    ),
    ("ventilator", &[("FiO2", 0.2, 1.0), ("MechVent", 0.0, 1.0)]),
    (
        "chemistry",
        &[
            ("BUN", 1.0, 300.0),
            ("Creatinine", 0.1, 40.0),
            ("Na", 80.0, 200.0),
            ("K", 1.0, 20.0),
            ("Mg", 0.2, 15.0),
            ("HCO3", 2.0, 65.0),
            ("Glucose", 8.0, 1500.0),
        ],
    ),
    ("blood_count", &[("HCT", 5.0, 75.0), ("WBC", 0.0, 600.0), ("Platelets", 1.0, 2500.0)]),
    (
        "liver",
        &[("ALT", 1.0, 25000.0), ("AST", 1.0, 40000.0), ("ALP", 1.0, 5000.0), ("Bilirubin", 0.0, 100.0), ("Albumin", 0.5, 8.0)],
    ),
    ("cardiac", &[("TroponinT", 0.0, 100.0), ("TroponinI", 0.0, 100.0), ("Cholesterol", 10.0, 600.0)]),
    ("neuro", &[("GCS", 3.0, 15.0)]),
    ("urine", &[("Urine", 0.0, 12000.0)]),
];
/// The panel that is written once, at the beginning, and has no statistics.
const ONCE: &str = "patient";
const STATISTICS: [&str; 6] = ["first", "last", "mean", "min", "max", "count"];
/// Minutes of a stay that count.
const MINUTES: u32 = 48 * 60;
/// Every so many stays of set a are for validation.
const VALIDATION: usize = 8;
/// The table that is written, and the one that is taken where it is there already: the same panels of other hands.
const TABLE: &str = "icu2012.csv.gz";
const EXCERPT: &str = "icu.csv.gz";

/// What became of a stay.
struct Outcome {
    died: bool,
    /// Days in hospital; not known of all.
    days: Option<f64>,
}

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let excerpt = request.root.join(EXCERPT);
    let rows = match excerpt.is_file() {
        true => of_excerpt(&excerpt)?,
        false => of_sets(request.root)?,
    };
    let mut writer = csv::Writer::from_writer(GzEncoder::new(Vec::new(), Compression::default()));
    let wrong = |error: String| Error::content(TABLE, error);
    let header = ["record", "part", "death", "length_of_stay"].map(String::from).into_iter().chain(columns());
    writer.write_record(header).map_err(|error| wrong(error.to_string()))?;
    for row in &rows {
        writer.write_record(row).map_err(|error| wrong(error.to_string()))?;
    }
    let packed = writer.into_inner().map_err(|error| wrong(error.to_string()))?;
    let bytes = packed.finish().map_err(Error::io(TABLE))?;
    output.card("icu2012.toml", &card(DEATH))?;
    // The excerpt says nothing of how long stays were.
    if rows.iter().any(|row| !row[3].is_empty()) {
        output.card("icu2012-days.toml", &card(DAYS))?;
    }
    output.file(TABLE, &bytes)
}

/// The columns of the panels, in order.
fn columns() -> impl Iterator<Item = String> {
    PANELS.iter().flat_map(columns_of)
}

fn columns_of((panel, variables): &Panel) -> Vec<String> {
    let statistics: &[&str] = if *panel == ONCE { &["value"] } else { &STATISTICS };
    variables.iter().flat_map(|(name, ..)| statistics.iter().map(move |statistic| format!("{panel}.{name}.{statistic}"))).collect()
}

/// What is predicted, in the words of a card.
const DEATH: [&str; 2] = ["icu2012", "label = \"death\"\nclasses = [\"survived\", \"died\"]\n"];
const DAYS: [&str; 2] = ["icu2012-days", "task = \"numbers\"\ntargets = [\"length_of_stay\"] # days in hospital\nmissing_label = \"drop\"\n"];

fn card([name, target]: [&str; 2]) -> String {
    let mut card = include_str!("cards/icu2012.part").replace("{name}", name).replace("{target}\n", target);
    for panel in &PANELS {
        card += &format!("\n[[view]]\nmodality = {:?}\nfile = {TABLE:?}\ncolumns = {:?}\n", panel.0, columns_of(panel));
    }
    card
}

/// The rows of both sets, from a file a stay.
fn of_sets(root: &Path) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for (set, part) in [("a", "train"), ("b", "test")] {
        let folder = found(root.join(format!("set-{set}")), "a text file for each stay", READER.how)?;
        let outcomes = outcomes(&found(root.join(format!("Outcomes-{set}.txt")), "what became of the stays", READER.how)?)?;
        let stays: Vec<String> = names(&folder)?.into_iter().filter(|name| name.ends_with(".txt")).collect();
        if stays.is_empty() {
            return Err(Error::content(folder, "holds no text files such as 132539.txt"));
        }
        for (i, name) in stays.iter().enumerate() {
            let path = folder.join(name);
            let record = name.trim_end_matches(".txt");
            let outcome = outcomes.get(record).ok_or_else(|| Error::content(&path, format!("Outcomes-{set}.txt has no record {record}")))?;
            let part = if part == "train" && i % VALIDATION == VALIDATION - 1 { "validation" } else { part };
            let days = outcome.days.map(|days| days.to_string()).unwrap_or_default();
            let mut row = vec![record.to_string(), part.to_string(), death(outcome.died), days];
            row.extend(stay(&path)?);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn death(died: bool) -> String {
    if died { "died" } else { "survived" }.into()
}

/// Outcomes by record: `RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death`.
fn outcomes(path: &Path) -> Result<BTreeMap<String, Outcome>> {
    let text = text(path)?;
    let mut lines = lines(&text);
    let header: Vec<&str> = lines.next().map(|(_, line)| line.split(',').map(str::trim).collect()).unwrap_or_default();
    let column = |name: &str| {
        let missing = || Error::line(path, 1, format!("has no column `{name}`"));
        header.iter().position(|column| *column == name).ok_or_else(missing)
    };
    let (record, death, days) = (column("RecordID")?, column("In-hospital_death")?, column("Length_of_stay")?);
    let mut found = BTreeMap::new();
    for (number, line) in lines {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let at = |column: usize| cells.get(column).copied().unwrap_or_default();
        let died = match at(death) {
            "0" => false,
            "1" => true,
            other => return Err(Error::line(path, number, format!("In-hospital_death is `{other}`, which is neither 0 nor 1"))),
        };
        let days = at(days).parse::<f64>().ok().filter(|days| *days >= 0.0);
        if found.insert(at(record).to_string(), Outcome { died, days }).is_some() {
            return Err(Error::line(path, number, format!("the record {} stands there twice", at(record))));
        }
    }
    Ok(found)
}

/// The cells of a stay, in the order of [`columns`]: empty where nothing was measured.
fn stay(path: &Path) -> Result<Vec<String>> {
    let text = text(path)?;
    let mut values: BTreeMap<&str, Vec<(u32, f64)>> = BTreeMap::new();
    let mut lines = lines(&text);
    match lines.next() {
        Some((_, "Time,Parameter,Value")) => {}
        _ => return Err(Error::line(path, 1, "a stay begins with the line `Time,Parameter,Value`")),
    }
    for (number, line) in lines {
        let mut cells = line.split(',').map(str::trim);
        let (Some(time), Some(name), Some(value), None) = (cells.next(), cells.next(), cells.next(), cells.next()) else {
            return Err(Error::line(path, number, "a line is a time, a parameter and a value"));
        };
        let time = minutes(time).ok_or_else(|| Error::line(path, number, format!("`{time}` is no time such as 07:30")))?;
        let value: f64 = value.parse().map_err(|_| Error::line(path, number, format!("`{value}` is no number")))?;
        let range = PANELS.iter().flat_map(|(_, variables)| *variables).find(|(known, ..)| *known == name);
        // Parameters of no panel (a few, and the record) are left out; -1 stands for "not known".
        if range.is_some_and(|(_, least, most)| (*least..=*most).contains(&value)) && time <= MINUTES {
            values.entry(name).or_default().push((time, value));
        }
    }
    values.values_mut().for_each(|values| values.sort_by_key(|(time, _)| *time));
    let of = |panel: &str, name: &str| {
        let numbers: Vec<f64> = values.get(name).into_iter().flatten().map(|(_, value)| *value).collect();
        match (panel == ONCE, numbers.is_empty()) {
            (true, true) => vec![String::new()],
            (true, false) => vec![written(numbers[0])],
            (false, true) => vec![String::new(); STATISTICS.len()],
            (false, false) => statistics(&numbers).map(written).to_vec(),
        }
    };
    Ok(PANELS.iter().flat_map(|(panel, variables)| variables.iter().flat_map(move |(name, ..)| of(panel, name)).collect::<Vec<_>>()).collect())
}

/// As [`STATISTICS`] lists them, of at least one number.
fn statistics(numbers: &[f64]) -> [f64; 6] {
    let (least, most) = numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| (least.min(*x), most.max(*x)));
    let count = numbers.len() as f64;
    [numbers[0], numbers[numbers.len() - 1], numbers.iter().sum::<f64>() / count, least, most, count]
}

/// With as many digits as the measurements have: five.
fn written(value: f64) -> String {
    let digits = 4 - value.abs().max(1.0).log10().floor() as i32;
    let scale = 10f64.powi(digits.max(0));
    ((value * scale).round() / scale).to_string()
}

fn minutes(time: &str) -> Option<u32> {
    let (hours, minutes) = time.split_once(':')?;
    hours.parse::<u32>().ok()?.checked_mul(60)?.checked_add(minutes.parse().ok().filter(|minutes| *minutes < 60)?)
}

/// The rows of a table that has the same columns, `record`, `set` (a or b) and `death` (0 or 1).
fn of_excerpt(path: &Path) -> Result<Vec<Vec<String>>> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut reader = csv::Reader::from_reader(flate2::read::GzDecoder::new(file));
    let wrong = |error: csv::Error| Error::content(path, error.to_string());
    let header = reader.headers().map_err(wrong)?.clone();
    let column = |name: &str| {
        let missing = || Error::line(path, 1, format!("has no column `{name}`"));
        header.iter().position(|column| column == name).ok_or_else(missing)
    };
    let [record, set, death_of] = [column("record")?, column("set")?, column("death")?];
    let values: Vec<usize> = columns().map(|name| column(&name)).collect::<Result<_>>()?;
    let (mut rows, mut trained) = (Vec::new(), 0);
    for line in reader.records() {
        let line = line.map_err(wrong)?;
        let part = match &line[set] {
            "b" => "test",
            _ => {
                trained += 1;
                if trained % VALIDATION == 0 { "validation" } else { "train" }
            }
        };
        let mut row = vec![line[record].to_string(), part.to_string(), death(&line[death_of] == "1"), String::new()];
        row.extend(values.iter().map(|&column| line[column].to_string()));
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_five_digits() {
        let written: Vec<String> = [70.38888, 7.123456, 0.8, 12345.678, 36.0, -1.5, 0.001234].map(written).to_vec();
        assert_eq!(written, ["70.389", "7.1235", "0.8", "12346", "36", "-1.5", "0.0012"]);
        assert_eq!((minutes("07:30"), minutes("48:00"), minutes("7.5"), minutes("01:75")), (Some(450), Some(2880), None, None));
        assert_eq!(statistics(&[3.0, 1.0, 5.0]), [3.0, 5.0, 3.0, 1.0, 5.0, 3.0]);
    }
}
