//! Whole benches on awkward data: the report is written, compares what it can, and says what it cannot.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

/// Writes a card over `sensors` files joined by row, and a plan; `cell` gives the text of a reading.
fn write(folder: &Path, sensors: usize, samples: usize, plan: &str, cell: impl Fn(usize, usize) -> String) {
    let mut card = String::from("name = 'posts'\nlabel = 'kind'\n[split]\ntrain = 0.5\nvalidation = 0.0\ntest = 0.5\n");
    for sensor in 0..sensors {
        // Writing to a string cannot fail.
        let _ = writeln!(card, "[[view]]\nmodality = 's{sensor}'\nfile = 's{sensor}.csv'");
        let mut text = String::from(if sensor == 0 { "kind,x,y\n" } else { "x,y\n" });
        for i in 0..samples {
            let kind = ["oak,", "elm,"][i % 2];
            let _ = writeln!(text, "{}{}", if sensor == 0 { kind } else { "" }, cell(sensor, i));
        }
        std::fs::write(folder.join(format!("s{sensor}.csv")), text).unwrap();
    }
    std::fs::write(folder.join("posts.toml"), card).unwrap();
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
}

/// Runs the plan and reads the report.
fn report(folder: &Path) -> (Output, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mm"));
    let output = command.arg("bench").arg(folder.join("plan.toml")).arg("--out").arg(folder.join("out")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&std::fs::read(folder.join("out/report.json")).unwrap()).unwrap();
    (output, report)
}

fn value(i: usize) -> String {
    format!("{}.{},{}", i % 2, i * 7 % 10, i * 3 % 5)
}

#[test]
fn many_sensors_are_ranked_on_one_draw_of_combinations() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "name = 'many'\nseeds = [0, 1, 2]\nfailure = { s0 = 0.2 }\ntrain = { epochs = 1 }\ndata = [{ name = 'posts', card = 'posts.toml' }]\n\
                runs = [{ method = 'full-only' }, { method = 'modality-dropout' }]\n";
    write(folder.path(), 11, 40, plan, |sensor, i| value(sensor + i));
    let (_, report) = report(folder.path());
    let data = &report["data"][0];
    assert_eq!(data["combinations"].as_array().unwrap().len(), 11 + 256 + 1);
    for run in data["runs"].as_array().unwrap() {
        assert_eq!((&run["complete"], &run["evaluated"]), (&Value::Bool(true), &Value::from(268)));
        // All sensors, or all but the one that fails: the latter happens not to be drawn, or both are.
        assert!([0.8, 1.0].iter().any(|share| (run["failure"]["covered"].as_f64().unwrap() - share).abs() < 1e-9));
    }
    assert!(!data["remarks"].to_string().contains("not ranked"), "{}", data["remarks"]);
}

#[test]
fn a_combination_that_some_seeds_lack_gives_a_report_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "name = 'rare'\nseeds = [0, 1, 2, 3]\ncombinations = ['s0+s1']\ntrain = { epochs = 1 }\n\
                data = [{ name = 'posts', card = 'posts.toml' }]\nruns = [{ method = 'full-only' }, { method = 'modality-dropout' }]\n";
    // Two samples of forty have both.
    write(folder.path(), 2, 40, plan, |sensor, i| if sensor == 0 || i < 2 { value(i) } else { ",".into() });
    let (output, report) = report(folder.path());
    let data = &report["data"][0];
    let lacking: Vec<u64> =
        [0, 1, 2, 3].into_iter().filter(|seed| !data["runs"][0]["seeds"].as_array().unwrap().contains(&(*seed).into())).collect();
    assert!(!lacking.is_empty() && lacking.len() < 4, "{lacking:?}");
    let named = lacking.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let remarks = data["remarks"].to_string();
    assert!(remarks.contains("No test sample of seed") && remarks.contains(&format!("{named} has s0+s1")), "{remarks}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("corrupt"));
    // A second run takes the cells as they are.
    let (again, _) = self::report(folder.path());
    assert!(String::from_utf8_lossy(&again.stderr).contains("0 of 8 cells new"), "{}", String::from_utf8_lossy(&again.stderr));
}
