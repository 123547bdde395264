//! `mm train` and `mm evaluate`: a card and a method in, a model out; and what a model reaches.

use anyhow::Result;
use mm_bench::{EvaluateArguments, Registry, TrainArguments, child};
use mm_core::Pipeline;
use mm_core::eval::default_combinations;
use std::process::ExitCode;

/// Combinations without a sample that are named.
const NAMED: usize = 8;

/// Trains, evaluates and saves a model.
pub fn train(arguments: &TrainArguments) -> Result<ExitCode> {
    child::computing(|| {
        // Of several processes one has the model.
        let Some(model) = mm_bench::train(arguments, &Registry::default())? else { return Ok(()) };
        model.notes().iter().for_each(|note| eprintln!("{note}"));
        print(&model);
        println!("{}", arguments.out().display());
        Ok(())
    })
}

/// Evaluates a saved model.
pub fn evaluate(arguments: &EvaluateArguments) -> Result<ExitCode> {
    child::predicting(|| {
        print(&mm_bench::evaluate(arguments, &Registry::default())?);
        Ok(())
    })
}

/// Each combination with its score, its interval and its time.
fn print(model: &Pipeline) {
    let (Some(evaluated), latency) = (&model.config().evaluation, &model.config().latency) else { return };
    let longest = evaluated.combinations.iter().map(|c| c.combination.chars().count()).max().unwrap_or(0).max(11);
    println!("{:longest$}  samples  {:26}  milliseconds for one sample", "combination", evaluated.measure);
    for c in &evaluated.combinations {
        let score = c.in_digits(&evaluated.measure);
        let interval = c.interval.map_or(String::new(), |[low, high]| format!(" [{low:.3}, {high:.3}]"));
        let time = latency.as_ref().and_then(|latency| latency.of(&c.combination)).map(|c| format!("{:.2}", c.median_ms));
        println!("{:longest$}  {:7}  {:26}  {}", c.combination, c.samples, format!("{score}{interval}"), time.unwrap_or_default());
    }
    let modalities = &model.schema().modalities;
    let asked = default_combinations(modalities.len(), 0).into_iter().filter(|subset| model.model().supports(*subset));
    let asked = asked.map(|subset| modalities.format(subset));
    let without: Vec<String> = asked.filter(|name| !evaluated.combinations.iter().any(|c| c.combination == *name)).collect();
    if !without.is_empty() {
        let more = if without.len() > NAMED { format!(" and {} more", without.len() - NAMED) } else { String::new() };
        println!("no sample that was evaluated has {}{more}", without[..without.len().min(NAMED)].join(", "));
    }
}
