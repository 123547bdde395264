//! Sensors that cannot be learnt from the training part, or tested in the test part, where the data name parts.

use super::findings::{Level, Verdict};
use super::scan::Tally;
use super::subject::Subject;
use super::verdicts::{count, is_usable, verdict};
use crate::data::Part;
use std::collections::HashSet;

/// Warnings of a sensor whose readings for training are all the same, and of one that no test sample has.
pub(super) fn verdicts(subject: &Subject, m: usize, tally: &Tally) -> Vec<Verdict> {
    let name = &subject.sensors[m].name;
    let rows = |part: Part| (0..subject.samples.len()).filter(move |&row| subject.samples[row].part == Some(part));
    let usable = |part: Part| rows(part).filter(|&row| is_usable(row, tally)).collect::<Vec<_>>();
    let (trains, tests) = (usable(Part::Train), usable(Part::Test));
    let mut verdicts = Vec::new();
    let contents: HashSet<u64> = trains.iter().filter_map(|&row| tally.contents[row]).collect();
    // Where all readings are the same, or none can be used for training, that is told as an error.
    if contents.len() == 1 && tally.contents.iter().flatten().any(|content| !contents.contains(content)) {
        let found = match trains.len() {
            1 => "a single training sample has a reading".into(),
            n => format!("all {} of training samples are the same", count(n, "reading")),
        };
        let advice = "nothing can be learnt from it: name the part `train` of samples whose readings differ, or take the sensor out";
        verdicts.push(verdict(Level::Warning, name, found, advice, vec![]));
    }
    if !trains.is_empty() && tests.is_empty() && rows(Part::Test).next().is_some() {
        let advice = "no combination with it is tested: name the part `test` of samples that have it";
        verdicts.push(verdict(Level::Warning, name, "no test sample has a reading", advice, vec![]));
    }
    verdicts
}
