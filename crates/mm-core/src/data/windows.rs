//! Samples that are cut from recordings.

use super::kinds::{Kind, Origin};
use super::listing::{Listed, Listing, Problem};
use super::names::some;
use super::{InputKind, ManifestRow, OnCorrupt};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Windows that are cut from all recordings of a data set, at most.
const MOST_WINDOWS: u64 = 1 << 24;

/// How recordings become samples: each is cut into windows of one length, all sensors at the same steps.
///
/// A window never reaches from one recording into another, and all windows of a recording are in one part of the split: they have its part
/// and its group, or where it has no group, its id as their group. The windows of the recording `run7` are called `run7@0`, `run7@50` and so
/// on, by the step that they begin at. Steps behind the last whole window are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Steps of a window.
    pub length: usize,
    /// Steps from the beginning of one to that of the next; without, they follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// What becomes of recordings that are shorter than a window.
    #[serde(default)]
    pub short: ShortRecording,
}

/// What becomes of a recording that is shorter than a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortRecording {
    /// It is an error that names it.
    #[default]
    Error,
    /// It is left out and counted.
    Drop,
    /// It is one window, which is padded or repeated as the kind's `length` says.
    Pad,
}

/// A sensor by name, and its kind.
pub(super) type NamedKind<'a> = (&'a str, &'a dyn Kind);

impl Windows {
    /// Of so many steps, one behind the other.
    pub fn new(length: usize) -> Self {
        Self { length, stride: None, short: ShortRecording::default() }
    }

    /// Steps from the beginning of one to that of the next.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: Some(stride), ..self }
    }

    /// What becomes of recordings that are shorter.
    pub fn short(self, short: ShortRecording) -> Self {
        Self { short, ..self }
    }

    fn step(&self) -> usize {
        self.stride.unwrap_or(self.length)
    }

    /// Refuses windows that cannot be, and those that the sensors' readings are not made for.
    fn check(&self, sensors: &[NamedKind]) -> Result<()> {
        if self.length == 0 || self.step() == 0 {
            return Err(Error::config("windows", format!("length and stride must be above 0, found {} and {}", self.length, self.step())));
        }
        for (name, kind) in sensors {
            let steps = kind.input().shape.last().copied().unwrap_or_default();
            if kind.input().kind == InputKind::Series && steps != self.length {
                let problem =
                    format!("the sensor `{name}` has steps = {steps}, and windows have {}: give both the same number", self.length);
                return Err(Error::config("windows.length", problem));
            }
        }
        Ok(())
    }

    /// The windows of so many steps, counted from the beginning of the recording.
    fn of(&self, steps: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        let length = (self.length as u64).min(if self.short == ShortRecording::Pad { steps } else { u64::MAX });
        let last = steps.checked_sub(length);
        let step = self.step();
        last.into_iter().flat_map(move |last| (0..=last).step_by(step)).map(move |start| start..start + length)
    }

    /// Makes samples of the recordings that are listed. If `lenient`, a sensor whose recording cannot be read counts as absent.
    pub(super) fn cut(&self, listing: &mut Listing, sensors: &[NamedKind], lenient: bool, place: &Path) {
        if let Err(error) = self.check(sensors) {
            return listing.problems.push(Problem::new(error));
        }
        let recordings = listing.samples.len();
        let (mut short, mut left_out, mut total) = (Vec::new(), 0, 0u64);
        for mut recording in std::mem::take(&mut listing.samples) {
            let mut steps = Vec::new();
            for (m, origin) in recording.origins.iter_mut().enumerate() {
                match origin.as_ref().map(|origin| sensors[m].1.steps(origin)) {
                    None => {}
                    Some(Ok(found)) => steps.push((sensors[m].0, found)),
                    Some(Err(error)) => {
                        *origin = None;
                        match (lenient, error) {
                            // Of a kind that has no steps, which is so for all recordings.
                            (_, error @ Error::Config { .. }) => return listing.problems.push(Problem::new(error)),
                            (false, error) => listing.problems.push(Problem::of(m, &recording.id, error)),
                            (true, _) => left_out += 1,
                        }
                    }
                }
            }
            let first = match same_steps(&recording.id, &steps, place) {
                Ok(Some(first)) => first,
                Ok(None) => continue,
                Err(error) => {
                    listing.problems.push(Problem::new(error));
                    continue;
                }
            };
            if first < self.length as u64 && self.short != ShortRecording::Pad {
                short.push(format!("`{}` ({first} steps)", recording.id));
                continue;
            }
            total = total.saturating_add((first.max(self.length as u64) - self.length as u64) / self.step() as u64 + 1);
            if total > MOST_WINDOWS {
                let problem =
                    format!("recordings are more than {MOST_WINDOWS} windows: take a larger stride, or fewer recordings at a time");
                return listing.problems.push(Problem::new(Error::config("windows.stride", problem)));
            }
            listing.samples.extend(self.of(first).map(|window| sample(&recording, window)));
        }
        let shown: Vec<&str> = short.iter().map(String::as_str).collect();
        let told = format!("{} of {} recordings are shorter than a window of {}", short.len(), recordings, self.length);
        match (short.is_empty(), self.short) {
            (true, _) => {}
            (false, ShortRecording::Drop) => {
                listing.remarks.push(format!("{}: {told} and are left out: {}", place.display(), some(&shown, 5)))
            }
            (false, _) => {
                let advice = "write short = \"drop\" in [windows] to leave them out, or short = \"pad\" to fill them up";
                let problem = format!("{told}: {}; {advice}", some(&shown, 5));
                listing.problems.push(Problem::new(Error::File { path: place.into(), problem }));
            }
        }
        if left_out > 0 {
            let what = "recordings cannot be read: their sensors count as absent";
            listing.remarks.push(format!("{}: {left_out} {what}", place.display()));
        }
    }
}

/// The steps of a recording, which all its sensors must have; none where it has no sensor.
fn same_steps(id: &str, steps: &[(&str, u64)], place: &Path) -> Result<Option<u64>> {
    let Some(&(_, first)) = steps.first() else { return Ok(None) };
    if steps.iter().all(|(_, found)| *found == first) {
        return Ok(Some(first));
    }
    let lengths: Vec<String> = steps.iter().map(|(name, found)| format!("`{name}` {found}")).collect();
    let problem = format!(
        "the sensors of the recording `{id}` have different numbers of steps: {}; windows are cut at the same steps of all, so bring them to \
         one rate and length",
        lengths.join(", ")
    );
    Err(Error::File { path: place.into(), problem })
}

/// The name of a window.
fn name(recording: &str, window: &Range<u64>) -> String {
    format!("{recording}@{}", window.start)
}

/// What a sensor gave in a window.
fn part_of(origin: &Option<Origin>, window: &Range<u64>) -> Option<Origin> {
    let mut origin = origin.clone();
    if let Some(Origin::File { part, .. } | Origin::Memory { part, .. }) = &mut origin {
        let from = part.as_ref().map_or(0, |part| part.start);
        *part = Some(from + window.start..from + window.end);
    }
    origin
}

/// A window of a recording.
fn sample(recording: &Listed, window: Range<u64>) -> Listed {
    Listed {
        id: name(&recording.id, &window),
        line: recording.line,
        label: recording.label.clone(),
        values: recording.values.clone(),
        weight: recording.weight,
        map: None,
        part: recording.part,
        group: Some(recording.group.clone().unwrap_or_else(|| recording.id.clone())),
        origins: recording.origins.iter().map(|origin| part_of(origin, &window)).collect(),
    }
}

/// Cuts the recordings that a trained model is asked about, as those that it learnt from were cut.
pub(crate) struct Cutter {
    windows: Windows,
    names: Vec<String>,
    kinds: Vec<Option<Arc<dyn Kind>>>,
    /// The table or folder, for messages.
    place: PathBuf,
    on_corrupt: OnCorrupt,
    /// Windows of the last recording that were not asked for yet.
    next: std::vec::IntoIter<ManifestRow>,
    /// Recordings that were left out.
    pub short: usize,
}

impl Cutter {
    /// For the sensors `names` of these kinds.
    pub fn new(windows: Windows, names: &[String], kinds: &[Option<Arc<dyn Kind>>], place: &Path, on_corrupt: OnCorrupt) -> Self {
        let next = Vec::new().into_iter();
        Self { windows, names: names.to_vec(), kinds: kinds.to_vec(), place: place.into(), on_corrupt, next, short: 0 }
    }

    /// The next window of the recordings.
    pub fn next(&mut self, recordings: &mut dyn Iterator<Item = Result<ManifestRow>>) -> Option<Result<ManifestRow>> {
        loop {
            if let Some(window) = self.next.next() {
                return Some(Ok(window));
            }
            match recordings.next()?.and_then(|recording| self.cut(recording)) {
                Ok(windows) => self.next = windows.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn cut(&mut self, recording: ManifestRow) -> Result<Vec<ManifestRow>> {
        let mut steps = Vec::new();
        for ((name, kind), origin) in self.names.iter().zip(&self.kinds).zip(&recording.origins) {
            let (Some(kind), Some(origin)) = (kind, origin) else { continue };
            match kind.steps(origin) {
                Ok(found) => steps.push((name.as_str(), found)),
                // Reading a window of it will say so.
                Err(_) if self.on_corrupt == OnCorrupt::Absent => {}
                Err(error) => return Err(error),
            }
        }
        // A window already, which keeps its name, or nothing that can be cut.
        let cut = |all: &u64| *all != self.windows.length as u64;
        let Some(all) = same_steps(&recording.id, &steps, &self.place)?.filter(cut) else { return Ok(vec![recording]) };
        if all < self.windows.length as u64 {
            match self.windows.short {
                ShortRecording::Pad => return Ok(vec![recording]),
                ShortRecording::Drop => {
                    self.short += 1;
                    return Ok(Vec::new());
                }
                ShortRecording::Error => {
                    let ManifestRow { line, id, .. } = recording;
                    let length = self.windows.length;
                    let problem = format!(
                        "line {line}: the recording `{id}` has {all} steps, and the model was trained on windows of {length}: bring a longer one, \
                         or take the row out"
                    );
                    return Err(Error::File { path: self.place.clone(), problem });
                }
            }
        }
        let window = |window: Range<u64>| ManifestRow {
            line: recording.line,
            id: name(&recording.id, &window),
            label: recording.label.clone(),
            origins: recording.origins.iter().map(|origin| part_of(origin, &window)).collect(),
        };
        Ok(self.windows.of(all).map(window).collect())
    }
}
