//! Channels of series that are a time or a count of lines, and no reading.

use super::findings::{Level, Verdict};
use super::scan::Tally;
use super::subject::Subject;
use super::verdicts::verdict;
use crate::data::names::some;

/// A warning of channels that rise by about equal steps in every reading, beside others.
pub(super) fn verdict_of(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let sensor = &subject.sensors[m];
    // The names that files have, where they are read by their order; otherwise those of the card.
    let names = tally.headers().first().map(|(names, ..)| names.to_vec()).filter(|names| !names.is_empty());
    let name = |channel: usize| match names.as_ref().and_then(|names| names.get(channel)).or(sensor.variables.get(channel)) {
        Some(name) => format!("`{name}`"),
        None => format!("channel {}", channel + 1),
    };
    let rising: Vec<String> = (0..tally.rising.len()).filter(|&channel| tally.rising[channel] == tally.present).map(name).collect();
    (tally.present > 1 && !rising.is_empty() && rising.len() < tally.rising.len()).then(|| {
        let found = format!(
            "{} {} by about equal steps in every reading, as a time or a count of lines does",
            some(&rising, 5),
            if rising.len() == 1 { "rises" } else { "rise" }
        );
        let advice = "a model may learn when something was recorded, and not what: name the other channels, columns = [..]";
        verdict(Level::Warning, &sensor.name, found, advice, Vec::new())
    })
}
