//! What always the same answer scores, and which trainings do no better.

use super::outcomes::{Group, name};
use super::{FEW_SAMPLES, distinct_sorted, remarks};
use crate::result::{CellResult, CombinationResult};
use mm_core::statistics::Score;

/// The score of always saying the same on the samples of a combination: the largest class, the mean of the numbers. `None` where that is
/// not known.
pub fn guess(cell: &CellResult, combination: &CombinationResult) -> Option<f64> {
    let confusion = Some(&combination.confusion).filter(|rows| rows.iter().flatten().any(|n| *n > 0));
    let sizes: Option<Vec<u64>> = confusion.map(|rows| rows.iter().map(|row| row.iter().sum()).collect());
    // Counts of pixels say how many are of a class, and not which are taken for which.
    let counted = || match cell.measure.score {
        Score::MeanIou { classes } | Score::ClassIou { classes, .. } => Some(super::pixels::sizes(combination, classes)),
        _ => None,
    };
    let sizes = sizes.or_else(counted);
    let share = |size: u64, sizes: &[u64]| size as f64 / sizes.iter().sum::<u64>() as f64;
    let largest = |sizes: &[u64]| share(sizes.iter().copied().max().unwrap_or(0), sizes);
    let occurring = |sizes: &[u64]| sizes.iter().filter(|size| **size > 0).count() as f64;
    match (cell.measure.score, sizes) {
        (Score::R2 { .. } | Score::Pearson { .. } | Score::Concordance { .. }, _) => Some(0.0),
        (Score::AreaUnderRoc { .. }, _) => Some(0.5),
        (Score::MeanRecall { .. }, Some(sizes)) => Some(1.0 / occurring(&sizes)),
        // The IoU of the one class is its share, that of all others that occur is 0.
        (Score::MeanIou { .. }, Some(sizes)) => Some(largest(&sizes) / occurring(&sizes)),
        // That of naming the class of interest everywhere.
        (Score::ClassIou { class, .. }, Some(sizes)) => Some(share(sizes.get(class).copied().unwrap_or(0), &sizes)),
        (Score::Mean, Some(sizes)) if cell.measure.name == "accuracy" => Some(largest(&sizes)),
        (Score::Mean, None) if cell.measure.name == "accuracy" => Some(1.0 / cell.classes.len().max(1) as f64),
        _ => None,
    }
}

/// Whether a model learned nothing that always the same answer would not have told; not asked of few samples.
fn is_no_better(cell: &CellResult, combination: &CombinationResult) -> bool {
    let (measure, metrics) = (&cell.measure, &combination.metrics);
    let by_score = guess(cell, combination).map(|guess| measure.goodness(metrics.score) <= measure.goodness(guess));
    // An error has no guess of its own, and stands beside what share of the spread is explained.
    let learned_nothing = by_score.or_else(|| metrics.values.get("r2").map(|r2| *r2 <= 0.0));
    metrics.samples >= FEW_SAMPLES && learned_nothing == Some(true)
}

/// The runs that do no better than always the same answer, with the combinations, and with the seeds where only some do not.
pub fn no_better(groups: &[Group]) -> Option<String> {
    let mut failed_training = false;
    let mut of_run = |group: &Group| -> Option<String> {
        let of_combination = |subset: mm_core::Subset| -> Option<String> {
            let evaluated = group.cells.iter().filter_map(|cell| Some((cell.result, cell.combination(subset)?)));
            let seeds = evaluated.filter(|(cell, combination)| is_no_better(cell, combination)).map(|(cell, _)| cell.seed);
            let (seeds, title) = (distinct_sorted(seeds), name(subset, group.cells[0].result));
            match seeds.len() {
                0 => None,
                n if n == group.each(subset).count() => Some(title),
                _ => {
                    failed_training = true;
                    Some(format!("{title} ({})", remarks::seeds_in_words(&seeds)))
                }
            }
        };
        let mut asked = group.any_combination();
        asked.sort_by_key(super::outcomes::order);
        asked.dedup();
        let found: Vec<String> = asked.into_iter().filter_map(of_combination).collect();
        (!found.is_empty()).then(|| format!("{} with {}", group.run, remarks::some_of(found)))
    };
    let runs: Vec<String> = groups.iter().filter_map(&mut of_run).collect();
    if runs.is_empty() {
        return None;
    }
    let advice = match failed_training {
        true => " Where a seed is named, other seeds did learn: a smaller `learning_rate`, a `clip_norm` or more epochs may help.",
        false => "",
    };
    Some(format!("No better than always the same answer: {}.{advice}", runs.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Synthetic;

    fn remark(results: &[CellResult]) -> Option<String> {
        let cells: Vec<&CellResult> = results.iter().collect();
        let groups = ["modality-dropout", "better"].map(|run| Group::new(run, &cells).unwrap().unwrap());
        no_better(&groups)
    }

    #[test]
    fn a_training_that_failed_is_named_with_its_seed() {
        let mut results = Synthetic::small().results();
        assert_eq!(remark(&results), None);
        // Classes of 27, 27 and 26 samples, and everything is called the first.
        let fail = |c: &mut CombinationResult| {
            (c.confusion, c.metrics.score) = (vec![vec![27, 0, 0], vec![27, 0, 0], vec![26, 0, 0]], 27.0 / 80.0)
        };
        let of = |r: &&mut CellResult, seeds: &[u64]| r.run == "better" && seeds.contains(&r.seed);
        results.iter_mut().filter(|r| of(r, &[1])).for_each(|r| fail(&mut r.combinations[0]));
        let one = remark(&results).expect("one seed");
        assert!(one.contains("same answer: better with rgb (seed 1). Where a seed is named"), "{one}");
        results.iter_mut().filter(|r| of(r, &[0, 1])).for_each(|r| r.combinations.iter_mut().for_each(fail));
        let all = remark(&results).expect("all seeds");
        assert!(all.ends_with("same answer: better with rgb, depth, rgb+depth."), "{all}");
        // A few samples say nothing about that.
        results.iter_mut().flat_map(|r| &mut r.combinations).for_each(|c| c.metrics.samples = FEW_SAMPLES - 1);
        assert_eq!(remark(&results), None);
    }

    #[test]
    fn an_error_counts_by_the_share_of_the_spread_that_is_explained() {
        let mut cell = Synthetic::small().results().remove(0);
        (cell.measure.name, cell.measure.higher_is_better) = ("mae".into(), false);
        let mut with = |r2: f64| {
            cell.combinations[0].metrics.values.insert("r2".into(), r2);
            is_no_better(&cell, &cell.combinations[0])
        };
        assert!(with(-0.1) && !with(0.1));
    }
}
