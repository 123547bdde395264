//! What a reader must know before reading the numbers.

use super::outcomes::{Cell, Group, name, order};
use super::{Error, FEW_SAMPLES, REFERENCE_METHOD, RunReport, distinct, distinct_sorted};
use crate::result::CellResult;
use mm_core::Subset;
use mm_core::statistics::FEW_SEEDS;
use std::collections::BTreeMap;

/// Combinations named in one remark.
const NAMED: usize = 8;

/// The remarks on one data entry.
pub fn of(groups: &[Group], reference: usize, chosen: bool, runs: &[RunReport], cells: &[&CellResult]) -> Result<Vec<String>, Error> {
    let mut remarks = without_samples(cells)?;
    let evaluated = distinct(groups.iter().map(|g| g.run.clone()));
    for run in distinct(cells.iter().map(|c| c.run.clone())).into_iter().filter(|run| !evaluated.contains(run)) {
        let undefined = cells.iter().any(|c| c.run == run && c.not_evaluated.iter().any(|not| not.undefined));
        remarks.push(match undefined {
            true => format!(
                "The {} of {run} is not defined on its test samples, in any combination that was asked for: it is not shown.",
                cells[0].measure.title
            ),
            false => format!("{run} has no test sample in any combination that was asked for: it is not shown."),
        });
    }
    let Some(of_reference) = groups.get(reference) else { return Ok(remarks) };
    let name = &of_reference.run;
    if of_reference.method != REFERENCE_METHOD && !chosen {
        remarks
            .push(format!("No run of this data uses the method {REFERENCE_METHOD}: the others are compared with the first run, {name}."));
    }
    let seeds = distinct_sorted(cells.iter().map(|c| c.seed));
    match seeds.len() {
        1 => remarks.push(format!(
            "One seed ({}): how much the numbers vary from training to training is unknown. The intervals cover the choice of test samples only.",
            seeds[0]
        )),
        n if n < FEW_SEEDS => remarks.push(format!("{n} seeds are few: intervals are wide for that, and differences must be large to be found; effect sizes are rough.")),
        _ => {}
    }
    remarks.extend(super::guess::no_better(groups));
    if cells.iter().any(|c| c.test_rows.is_none()) {
        remarks.push("Some results do not say which samples they were tested on: samples that seeds share count as different ones, and intervals may be too narrow.".into());
    }
    let few = runs.iter().flat_map(|r| r.combinations.iter().flatten()).filter(|c| c.standing.few).count();
    if few > 0 {
        remarks.push(format!("{few} scores stand on fewer than {FEW_SAMPLES} test samples and are marked (†): they say little."));
    }
    for (group, run) in groups.iter().zip(runs) {
        if !group.left_out.is_empty() {
            remarks.push(format!(
                "{}: {} {} left out of its means, for want of a combination that the others have.",
                run.run,
                seeds_in_words(&group.left_out.iter().map(|c| c.result.seed).collect::<Vec<_>>()),
                if group.left_out.len() == 1 { "is" } else { "are" }
            ));
        } else if group.seeds() != seeds {
            remarks.push(format!("{} has the seeds {} of {}.", run.run, list(&group.seeds()), list(&seeds)));
        }
        if !run.complete {
            remarks.push(format!(
                "{} is evaluated on {} combinations: its mean and worst are over these, and are not ranked.",
                run.run, run.evaluated
            ));
        }
        match &run.comparison {
            Some(c) if c.seeds != group.seeds() || c.seeds != of_reference.seeds() => {
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
    let foreign = distinct(cells.iter().filter(|c| c.provenance.is_none()).map(|c| c.run.clone()));
    if !foreign.is_empty() {
        remarks.push(format!(
            "Read from predictions that another program wrote: {}. How these runs were trained, and at what cost, is not given.",
            foreign.join(", ")
        ));
    }
    if distinct(cells.iter().filter_map(|c| Some(&c.provenance.as_ref()?.data_hash))).len() > 1 {
        remarks.push("The cells were not all made from the same data: their data hashes differ.".into());
    }
    Ok(remarks)
}

/// What reading the data remarked, each once, with the seeds of which it was said where others have none of it.
pub fn on_data(cells: &[&CellResult]) -> Vec<String> {
    let all = distinct_sorted(cells.iter().map(|c| c.seed));
    let with_seeds = |remark: String| {
        let seeds = distinct_sorted(cells.iter().filter(|c| c.data_remarks.contains(&remark)).map(|c| c.seed));
        if seeds == all { remark } else { format!("{}: {remark}", seeds_in_words(&seeds)) }
    };
    distinct(cells.iter().flat_map(|c| c.data_remarks.iter().cloned())).into_iter().map(with_seeds).collect()
}

/// Which seeds have no test sample of a combination, those of the same seeds together.
fn without_samples(cells: &[&CellResult]) -> Result<Vec<String>, Error> {
    let mut seeds: BTreeMap<Subset, Vec<u64>> = BTreeMap::new();
    for result in cells {
        for subset in Cell::new(result, cells[0])?.without_samples() {
            seeds.entry(subset).or_default().push(result.seed);
        }
    }
    let mut by_seeds: BTreeMap<Vec<u64>, Vec<Subset>> = BTreeMap::new();
    for (subset, seeds) in seeds {
        by_seeds.entry(distinct_sorted(seeds.into_iter())).or_default().push(subset);
    }
    let all = distinct_sorted(cells.iter().map(|c| c.seed));
    let remark = |(seeds, mut subsets): (Vec<u64>, Vec<Subset>)| {
        subsets.sort_by_key(order);
        let names = some_of(subsets.iter().map(|s| name(*s, cells[0])).collect());
        let shown = if seeds == all { "nothing is shown of it" } else { "what is shown of it is of the other seeds" };
        format!("No test sample of {} has {names}: {shown}.", seeds_in_words(&seeds))
    };
    Ok(by_seeds.into_iter().map(remark).collect())
}

/// The first of many names, and how many there are besides.
pub(super) fn some_of(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    names.extend((more > 0).then(|| format!("{more} more")));
    names.join(", ")
}

/// `seed 1`, `seeds 0, 3`.
pub(super) fn seeds_in_words(seeds: &[u64]) -> String {
    format!("{} {}", if seeds.len() == 1 { "seed" } else { "seeds" }, list(seeds))
}

/// `0, 3`.
pub(super) fn list<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
