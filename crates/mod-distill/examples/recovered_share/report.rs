//! Accuracies, differences and recovered shares, with 95 % intervals.

use crate::cells::{Setting, Tested};
use anyhow::{Context, Result};
use mm_core::rng;
use mm_core::statistics::{Bootstrap, Interval, LEVEL, Outcomes as Rows, Resamples, Statistic, simultaneous};
use rand::RngExt;
use serde_json::{Value, json};

/// Names of the runs that others are compared with.
pub const TEACHER: &str = "teacher";
pub const ALONE: &str = "A alone";
pub const CONCATENATION: &str = "without CTN";
/// Resamples of the recovered share.
const RESAMPLES: usize = 4000;

/// One table of a size: every run on every set of available views, and on their mean.
pub fn compare(names: &[&str], available: &[String], tested: &Tested, setting: Setting) -> Result<Value> {
    let Tested { outcomes, samples } = tested;
    let position = |name: &str| names.iter().position(|n| *n == name);
    let (teacher, alone) = (position(TEACHER).context("no teacher")?, position(ALONE).context("nothing to compare with")?);
    // One table a seed; its columns are the sets of the first run, of the second, and so on.
    let text = |right: &Vec<bool>| right.iter().map(|&r| if r { '1' } else { '0' }).collect::<String>();
    let seeds = outcomes.first().map_or(0, Vec::len);
    let rows = |seed: usize| {
        let rows: Vec<String> = outcomes.iter().flat_map(|run| run[seed].iter().map(text)).collect();
        Rows::from_rows(&rows)?.with_ids(samples[seed].iter().map(|&row| row as u64).collect())
    };
    let resampled = Bootstrap::default().run(&(0..seeds).map(rows).collect::<mm_core::Result<Vec<_>>>()?)?;

    let mut table = Vec::new();
    let each = available.iter().enumerate().map(|(s, set)| (set.as_str(), vec![s]));
    for (set, sets) in each.chain([("mean", (0..available.len()).collect())]) {
        let mean = |run: usize| Statistic::Mean(sets.iter().map(|s| run * available.len() + s).collect());
        let runs: Vec<Resamples> = (0..names.len()).map(|run| resampled.statistic(&mean(run))).collect::<mm_core::Result<_>>()?;
        let mut entries: Vec<Value> =
            names.iter().zip(&runs).map(|(name, r)| json!({"run": name, "accuracy": r.estimate().interval(LEVEL)})).collect();
        for (reference, key) in [(Some(alone), "minus_alone"), (position(CONCATENATION), "minus_concatenation")] {
            let Some(reference) = reference else { continue };
            let others: Vec<usize> = (0..names.len()).filter(|run| ![teacher, alone, reference].contains(run)).collect();
            let differences: Vec<_> = others.iter().map(|&run| runs[run].minus(&runs[reference]).estimate()).collect();
            for (run, d) in others.into_iter().zip(simultaneous(&differences)) {
                entries[run][key] = json!({"difference": d.interval, "adjusted_p": d.adjusted_p, "verdict": d.verdict.to_string()});
            }
        }
        for run in (0..names.len()).filter(|run| ![teacher, alone].contains(run)) {
            let accuracies = [&outcomes[run], &outcomes[alone], &outcomes[teacher]];
            entries[run]["recovered_share"] = json!(recovered_share(accuracies, &sets));
        }
        table.push(json!({"available": set, "runs": entries}));
    }
    Ok(json!({
        "train_per_class": setting.per_class,
        "epochs": setting.epochs,
        "seeds": (setting.first_seed..setting.first_seed + setting.seeds).collect::<Vec<_>>(),
        "sets": table,
    }))
}

/// `(deployed - alone) / (teacher - alone)` of the accuracies over these sets; seeds resampled, then the samples of each.
fn recovered_share([deployed, alone, teacher]: [&Vec<Vec<Vec<bool>>>; 3], sets: &[usize]) -> Interval {
    // By seed and sample: how many more sets the deployed model and the teacher get right.
    let gain = |of: &Vec<Vec<Vec<bool>>>, seed: usize, i: usize| -> i32 {
        sets.iter().map(|&s| i32::from(of[seed][s][i]) - i32::from(alone[seed][s][i])).sum()
    };
    let seeds = alone.len();
    let samples = |seed: usize| 0..alone[seed][sets[0]].len();
    let gains: Vec<Vec<(i32, i32)>> =
        (0..seeds).map(|seed| samples(seed).map(|i| (gain(deployed, seed, i), gain(teacher, seed, i))).collect()).collect();
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

/// Accuracy of every run by set, then the differences and the recovered share.
pub fn print(table: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let sets = list(&table["sets"]);
    println!("\n{} training samples a class, {} epochs, seeds {}", table["train_per_class"], table["epochs"], table["seeds"]);
    let header: Vec<&str> = sets.iter().filter_map(|set| set["available"].as_str()).collect();
    println!("\n| run | {} |\n|---|{}", header.join(" | "), "---|".repeat(header.len()));
    let number = |interval: &Value, key: &str| interval[key].as_f64().unwrap_or(f64::NAN);
    for run in 0..sets.first().map_or(0, |set| list(&set["runs"]).len()) {
        let cells: Vec<String> = sets.iter().map(|set| format!("{:.4}", number(&set["runs"][run]["accuracy"], "estimate"))).collect();
        println!("| {} | {} |", sets[0]["runs"][run]["run"].as_str().unwrap_or_default(), cells.join(" | "));
    }
    println!("\n| available, run | minus {ALONE} | minus {CONCATENATION} | recovered share |\n|---|---|---|---|");
    let interval = |v: &Value| format!("{:+.4} [{:+.4}, {:+.4}]", number(v, "estimate"), number(v, "low"), number(v, "high"));
    let compared = |v: &Value| match v["verdict"].as_str() {
        Some(verdict) => format!("{}, {verdict}", interval(&v["difference"])),
        None => String::new(),
    };
    for set in &sets {
        for run in list(&set["runs"]).iter().filter(|run| run["recovered_share"].is_object()) {
            let (set, name) = (set["available"].as_str().unwrap_or_default(), run["run"].as_str().unwrap_or_default());
            let (alone, concatenation) = (compared(&run["minus_alone"]), compared(&run["minus_concatenation"]));
            println!("| {set}, {name} | {alone} | {concatenation} | {} |", interval(&run["recovered_share"]));
        }
    }
}
