//! What a reader must know before reading the numbers.

use super::outcomes::Group;
use super::{REFERENCE_METHOD, RunReport, distinct, distinct_sorted};
use crate::result::CellResult;
use mm_core::statistics::FEW_SEEDS;

/// The remarks on one data entry.
pub fn of(groups: &[Group], reference: usize, runs: &[RunReport], cells: &[&CellResult]) -> Vec<String> {
    let mut remarks = Vec::new();
    let name = &groups[reference].run;
    if groups[reference].method != REFERENCE_METHOD {
        remarks
            .push(format!("No run of this data uses the method {REFERENCE_METHOD}: the others are compared with the first run, {name}."));
    }
    let seeds = distinct_sorted(cells.iter().map(|c| c.seed));
    match seeds.len() {
        1 => remarks.push(format!(
            "One seed ({}): how much the numbers vary from training to training is unknown. The intervals cover the choice of test samples only.",
            seeds[0]
        )),
        n if n < FEW_SEEDS => remarks.push(format!("{n} seeds are few: intervals and verdicts are corrected for that and so wide and careful; effect sizes are rough.")),
        _ => {}
    }
    for (group, run) in groups.iter().zip(runs) {
        if group.seeds() != seeds {
            remarks.push(format!("{} has the seeds {} of {}.", run.run, list(&group.seeds()), list(&seeds)));
        }
        if !run.complete {
            remarks.push(format!(
                "{} is evaluated on {} combinations: its mean and worst are over these, and it is not ranked.",
                run.run, run.evaluated
            ));
        }
        match &run.comparison {
            Some(c) if c.seeds != group.seeds() || c.seeds != groups[reference].seeds() => {
                remarks.push(format!("{} and {name} are compared on the common seeds {}.", run.run, list(&c.seeds)));
            }
            None if run.run != *name => {
                remarks.push(format!("{} and {name} have no seed, test samples or combination in common: not compared.", run.run));
            }
            _ => {}
        }
        if let Some(c) = run.comparison.as_ref().filter(|c| c.combinations < runs[reference].evaluated) {
            remarks.push(format!("{} and {name} are compared on the {} combinations that both evaluated.", run.run, c.combinations));
        }
    }
    if distinct(cells.iter().map(|c| &c.provenance.data_hash)).len() > 1 {
        remarks.push("The cells were not all made from the same data: their data hashes differ.".into());
    }
    remarks
}

fn list(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}
