//! Readings that are far shorter than what a model gets of them: a slip of the unit, perhaps.

use super::findings::{Level, Verdict};
use super::scan::Tally;
use super::subject::Subject;
use super::verdicts::verdict;
use crate::data::kinds::Origin;

/// The longest reading fills less than this share of what a model gets.
const SHARE: f64 = 0.2;

/// Nothing that is heard is shorter, in seconds.
const CLICK: f64 = 0.01;

fn is_part(origin: &Origin) -> bool {
    matches!(origin, Origin::File { part: Some(_), .. } | Origin::Memory { part: Some(_), .. })
}

/// A remark of a sensor of which no reading fills more than a small part of what the card asks for.
pub(super) fn verdict_of(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let sensor = &subject.sensors[m];
    let (asked, lengths) = (sensor.length?, tally.lengths()?);
    let unit = lengths.unit;
    if unit == "seconds" && lengths.most < CLICK && subject.samples.iter().any(|sample| sample.origins[m].as_ref().is_some_and(is_part)) {
        let found = format!("the longest part of a file has {:.2} ms", 1000.0 * lengths.most);
        let advice = format!("`{0}.start` and `{0}.length` count samples of the file: multiply seconds by its rate", sensor.name);
        return Some(verdict(Level::Warning, &sensor.name, found, advice, Vec::new()));
    }
    (lengths.most < SHARE * asked).then(|| {
        let longest = (lengths.most * 100.0).round() / 100.0;
        let found = format!("the longest reading has {longest} {unit}, and a model gets {asked}: most of what it gets is filled up");
        let advice = format!("is the unit another one? Set `{unit}` in the card to what a reading needs");
        verdict(Level::Remark, &sensor.name, found, advice, Vec::new())
    })
}
