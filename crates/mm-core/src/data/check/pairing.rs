//! Whether sensors meet in samples.

use super::findings::{Level, Verdict};
use super::scan::{Scanned, Tally};
use super::subject::Subject;
use super::verdicts::verdict;

/// Pairs of sensors that no sample has together: their names probably do not match.
pub(super) fn verdicts(subject: &Subject, scanned: &Scanned) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (a, first) in scanned.sensors.iter().enumerate() {
        for (b, second) in scanned.sensors.iter().enumerate().skip(a + 1) {
            let together = first.contents.iter().zip(&second.contents).any(|(x, y)| x.is_some() && y.is_some());
            if together || first.present < 2 || second.present < 2 {
                continue;
            }
            let of = |m: usize, tally: &Tally| {
                let row = tally.contents.iter().position(Option::is_some);
                row.map(|row| format!("{}: {}", subject.sensors[m].name, subject.samples[row].id))
            };
            let places = [of(a, first), of(b, second)].into_iter().flatten().collect();
            let found = format!("no sample has both `{}` and `{}`", subject.sensors[a].name, subject.sensors[b].name);
            let advice = match subject.has_table() {
                true => "readings of one sample stand in one row: put them there, or nothing can be learnt of both together",
                false => {
                    "files of one sample have one name, in folders of one name: call them alike, or nothing can be learnt of both together"
                }
            };
            verdicts.push(verdict(Level::Warning, "sensors", found, advice, places));
        }
    }
    verdicts
}
