//! Intensive care, in PhysioNet's layout and at small size: from its folders to the report of the plan that the documentation names.

use super::program::{mm, said};
use std::path::Path;

/// A variable of each panel but the patient's own, and what it is around.
const VARIABLES: [(&str, f64); 11] = [
    ("HR", 80.0),
    ("RespRate", 16.0),
    ("SysABP", 120.0),
    ("pH", 7.3),
    ("FiO2", 0.5),
    ("BUN", 20.0),
    ("HCT", 30.0),
    ("ALT", 30.0),
    ("TroponinT", 0.5),
    ("GCS", 12.0),
    ("Urine", 100.0),
];

/// A stay that lacks some panels, as all do but a few; those who died are worse off in each.
fn stay(record: usize, died: bool) -> String {
    let mut text = format!(
        "Time,Parameter,Value\n00:00,RecordID,{record}\n00:00,Age,{}\n00:00,Gender,1\n00:00,Height,170\n00:00,ICUType,3\n00:00,Weight,70\n",
        50 + record % 7 + if died { 12 } else { 0 }
    );
    for (i, (name, around)) in VARIABLES.iter().enumerate() {
        let is_complete = record.is_multiple_of(6);
        if is_complete || !(record + i).is_multiple_of(i % 4 + 2) {
            let worse = if died { 1.15 } else { 1.0 };
            let scatter = 1.0 + ((record * 7 + i * 3) % 11) as f64 / 100.0;
            text += &format!("04:00,{name},{:.3}\n21:00,{name},{:.3}\n", around * worse * scatter, around * worse);
        }
    }
    text
}

fn write(folder: &Path) {
    for (set, records) in [("a", 0..96), ("b", 96..144)] {
        let stays = folder.join(format!("set-{set}"));
        std::fs::create_dir_all(&stays).unwrap();
        let mut outcomes = String::from("RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n");
        for record in records.map(|record| 132_500 + record) {
            let died = record % 5 < 2;
            std::fs::write(stays.join(format!("{record}.txt")), stay(record, died)).unwrap();
            outcomes += &format!("{record},6,1,{},-1,{}\n", 3 + record % 6 + if died { 5 } else { 0 }, usize::from(died));
        }
        std::fs::write(folder.join(format!("Outcomes-{set}.txt")), outcomes).unwrap();
    }
}

/// Prepares the data in a folder, runs a plan of ours on it, and reads the report.
fn report(folder: &Path, plan: &str) -> serde_json::Value {
    write(&folder.join("challenge-2012"));
    let output = mm().args(["data", "prepare", "icu2012", "--root", "challenge-2012", "--out", "icu2012"]).current_dir(folder).output();
    assert!(output.as_ref().unwrap().status.success(), "{}", said(&output.unwrap()));
    std::fs::create_dir(folder.join("plans")).unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benchmarks").join(plan), folder.join("plans").join(plan)).unwrap();
    let mut bench = mm();
    bench.args(["bench", &format!("plans/{plan}"), "--quick", "--out", "out"]).current_dir(folder);
    let output = bench.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&std::fs::read(folder.join("out/report.json")).unwrap()).unwrap()
}

#[test]
fn the_plan_of_lengths_of_stay_runs_on_what_is_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(folder.path(), "icu2012-days.toml");
    let data = &report["data"][0];
    assert_eq!((&data["measure"]["name"], data["available"]["runs"].as_array().unwrap().len()), (&"mae".into(), 7));
}

#[test]
fn the_plan_of_intensive_care_runs_on_what_is_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(folder.path(), "icu2012.toml");
    let data = &report["data"][0];
    assert_eq!((&data["measure"]["name"], data["runs"].as_array().unwrap().len()), (&"auroc".into(), 15));
    // Those with blood gases all ended well: an area under a curve there is none.
    let remarks: Vec<&str> = data["data_remarks"].as_array().unwrap().iter().map(|remark| remark.as_str().unwrap()).collect();
    assert!(remarks.iter().any(|remark| remark.contains("of blood_gas is not defined on its 21 test samples")), "{remarks:?}");
    // What counts: each stay with the panels that it has, and with fewer.
    let available = data["available"]["runs"].as_array().unwrap();
    assert_eq!(available.len(), 15);
}
