//! Runs beside a peer each: the same method of another framework, on the same samples.

use super::comparison::{self, Comparison};
use super::failure::Rates;
use super::outcomes::Group;
use super::study::Paired;
use super::{Error, Settings};
use mm_core::Subset;
use serde::{Deserialize, Serialize};

/// A run and its peer; all pairs of a data entry are judged together, measure by measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairReport {
    /// The run.
    pub run: String,
    /// The difference to its peer, which is the reference here; absent where the two have no seed, samples or combination in common.
    pub comparison: Option<Comparison>,
    /// The peer.
    pub peer: String,
}

/// The pairs that are asked for and of which this data has both runs.
pub fn of(groups: &[Group], full: Subset, rates: Option<&Rates>, settings: &Settings) -> Result<Vec<PairReport>, Error> {
    let Some(judging) = groups.first().map(|group| group.measure().judging()) else { return Ok(Vec::new()) };
    let group = |run: &String| groups.iter().find(|g| g.run == *run);
    let (mut pairs, mut unjudged) = (Vec::new(), Vec::new());
    for (run, peer) in &settings.pairs {
        let Some((group, of_peer)) = group(run).zip(group(peer)) else { continue };
        let compare = |paired: &Paired| comparison::compare(group, of_peer, &paired.pair(), full, rates);
        unjudged.push(Paired::new(group, of_peer, settings)?.as_ref().map(compare).transpose()?.flatten());
        pairs.push((run, peer));
    }
    let judged = pairs.into_iter().zip(comparison::judge(unjudged, judging));
    Ok(judged.map(|((run, peer), comparison)| PairReport { run: run.clone(), peer: peer.clone(), comparison }).collect())
}
