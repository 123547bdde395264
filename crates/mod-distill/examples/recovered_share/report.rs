//! Accuracies, differences to the views alone and recovered shares, with 95 % intervals.

use crate::cells::{Outcomes, Setting};
use anyhow::{Context, Result};
use mm_core::rng;
use mm_core::statistics::{Bootstrap, Interval, Outcomes as Rows, Statistic, holm, verdict};
use rand::RngExt;
use serde_json::{Value, json};

/// Where the teacher and the views alone are among the runs.
const TEACHER: usize = 0;
const ALONE: usize = 1;
/// Resamples of the recovered share.
const RESAMPLES: usize = 4000;

/// One table of a size: every run on every set of available views, and on their mean.
pub fn compare(names: &[&str], available: &[String], outcomes: &Outcomes, setting: Setting) -> Result<Value> {
    let text = |right: &Vec<bool>| right.iter().map(|&r| if r { '1' } else { '0' }).collect::<String>();
    let rows = |seed: &Vec<Vec<bool>>| Rows::from_rows(&seed.iter().map(text).collect::<Vec<_>>());
    let by_run = outcomes.iter().map(|run| run.iter().map(rows).collect()).collect::<mm_core::Result<Vec<Vec<Rows>>>>()?;
    let methods: Vec<&[Rows]> = by_run.iter().map(Vec::as_slice).collect();
    let statistics: Vec<Statistic> = (0..available.len()).map(Statistic::Combination).chain([Statistic::Mean]).collect();
    let resampled = Bootstrap::default().run(&methods, &statistics)?;
    let sets: Vec<&str> = available.iter().map(String::as_str).chain(["mean"]).collect();

    let mut table = Vec::new();
    for (s, set) in sets.iter().enumerate() {
        let differences: Vec<_> = (ALONE + 1..names.len()).map(|run| resampled.difference(run, ALONE, s)).collect();
        let adjusted = holm(&differences.iter().map(|d| d.p).collect::<Vec<_>>());
        let mut entries = Vec::new();
        for (run, name) in names.iter().enumerate() {
            let mut entry = json!({"run": name, "accuracy": resampled.interval(run, s)});
            if run > ALONE {
                let (difference, p) = (differences[run - ALONE - 1], adjusted[run - ALONE - 1]);
                let chosen: Vec<usize> = if s < available.len() { vec![s] } else { (0..available.len()).collect() };
                entry["difference"] = json!(difference.interval);
                entry["adjusted_p"] = json!(p);
                entry["verdict"] = json!(verdict(difference.interval.estimate, p).to_string());
                entry["recovered_share"] = json!(recovered_share(outcomes, run, &chosen));
            }
            entries.push(entry);
        }
        table.push(json!({"available": set, "runs": entries}));
    }
    let samples = outcomes.first().and_then(|run| run.first()).and_then(|seed| seed.first()).context("no outcome")?.len();
    Ok(json!({
        "train_per_class": setting.per_class,
        "epochs": setting.epochs,
        "seeds": setting.seeds,
        "test_samples": samples,
        "sets": table,
    }))
}

/// `(deployed - alone) / (teacher - alone)` of the accuracies over these sets; seeds resampled, then the samples of each.
fn recovered_share(outcomes: &Outcomes, run: usize, sets: &[usize]) -> Interval {
    let seeds = outcomes[run].len();
    // By seed and sample: how many sets the run and the teacher get right more than the views alone.
    let gain = |of: usize, seed: usize, sample: usize| -> i32 {
        sets.iter().map(|&s| i32::from(outcomes[of][seed][s][sample]) - i32::from(outcomes[ALONE][seed][s][sample])).sum()
    };
    let gains: Vec<Vec<(i32, i32)>> = (0..seeds)
        .map(|seed| (0..outcomes[run][seed][sets[0]].len()).map(|i| (gain(run, seed, i), gain(TEACHER, seed, i))).collect())
        .collect();
    let share = |(deployed, teacher): (i32, i32)| f64::from(deployed) / f64::from(teacher.max(1));
    let add = |(a, b): (i32, i32), (c, d): (i32, i32)| (a + c, b + d);
    let estimate = share(gains.iter().flatten().copied().fold((0, 0), add));
    let mut random = rng::stream(0, "recovered share", &[]);
    let mut resample = || {
        let mut sum = (0, 0);
        for _ in 0..seeds {
            let samples = &gains[random.random_range(0..seeds)];
            sum = (0..samples.len()).fold(sum, |sum, _| add(sum, samples[random.random_range(0..samples.len())]));
        }
        share(sum)
    };
    let mut draws: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    draws.sort_by(f64::total_cmp);
    Interval { estimate, low: draws[RESAMPLES / 40], high: draws[RESAMPLES - 1 - RESAMPLES / 40] }
}

/// Accuracy of every run by set, then difference and recovered share over all sets.
pub fn print(table: &Value) {
    let empty = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&empty).clone();
    let sets = list(&table["sets"]);
    println!("\n{} training samples a class, {} epochs, {} seeds", table["train_per_class"], table["epochs"], table["seeds"]);
    let header: Vec<&str> = sets.iter().filter_map(|set| set["available"].as_str()).collect();
    println!("\n| run | {} |\n|---|{}", header.join(" | "), "---|".repeat(header.len()));
    let number = |interval: &Value, key: &str| interval[key].as_f64().unwrap_or(f64::NAN);
    let runs = sets.first().map_or(0, |set| list(&set["runs"]).len());
    for run in 0..runs {
        let cells: Vec<String> = sets.iter().map(|set| format!("{:.4}", number(&set["runs"][run]["accuracy"], "estimate"))).collect();
        println!("| {} | {} |", sets[0]["runs"][run]["run"].as_str().unwrap_or_default(), cells.join(" | "));
    }
    println!("\n| available, run | difference to A alone | adjusted p | | recovered share |\n|---|---|---|---|---|");
    let interval = |v: &Value| format!("{:+.4} [{:+.4}, {:+.4}]", number(v, "estimate"), number(v, "low"), number(v, "high"));
    for set in &sets {
        for run in list(&set["runs"]).iter().filter(|run| run["difference"].is_object()) {
            println!(
                "| {}, {} | {} | {:.3} | {} | {} |",
                set["available"].as_str().unwrap_or_default(),
                run["run"].as_str().unwrap_or_default(),
                interval(&run["difference"]),
                run["adjusted_p"].as_f64().unwrap_or(f64::NAN),
                run["verdict"].as_str().unwrap_or_default(),
                interval(&run["recovered_share"]),
            );
        }
    }
}
