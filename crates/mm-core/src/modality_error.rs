//! What can be wrong with names of modalities, combinations, and who has what in a batch.

use crate::missing::NothingKept;
use crate::modality::{MAX_MODALITIES, Modalities};
use crate::pipeline::Ignored;

/// A modality name, combination or presence mask that makes no sense, or that a model cannot predict from.
///
/// Combinations are written as their names, such as `rgb+audio`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModalityError {
    /// No modality, or more than a model can have.
    #[error("1 to {MAX_MODALITIES} modalities are possible, found {found}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// A text that cannot name a modality.
    #[error("{name:?} is not a name: it must not be empty nor hold `+`, `,` or white space")]
    Name {
        /// The text.
        name: String,
    },
    /// Two modalities of one name.
    #[error("the name {name:?} appears twice")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// A name that no modality has.
    #[error("no modality is called {name:?}{}; there are: {known}", near.as_ref().map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// What was probably meant.
        near: Option<String>,
        /// The modalities that there are.
        known: Modalities,
    },
    /// A position that no modality has.
    #[error("position {position} is past the limit of {modalities} modalities")]
    Position {
        /// The position, counted from 0.
        position: usize,
        /// How many modalities there are, or can be.
        modalities: usize,
    },
    /// A sample with a modality that there is not.
    #[error("sample {sample} has a modality past the {modalities} that there are")]
    SamplePosition {
        /// Number of the sample.
        sample: u64,
        /// How many modalities there are.
        modalities: usize,
    },
    /// A combination of nothing.
    #[error("a combination needs at least one modality")]
    EmptySubset,
    /// A combination that names a modality twice.
    #[error("{combination:?} names {name:?} twice")]
    Repeated {
        /// The combination, as it is written.
        combination: String,
        /// The modality.
        name: String,
    },
    /// A list of combinations that is written and empty.
    #[error("the list is empty: name combinations, or leave it out to have all")]
    EmptyList,
    /// Two names of one combination in a list.
    #[error("{before:?} and {name:?} are the same combination: keep one")]
    SameCombination {
        /// The first one, as it is written.
        before: String,
        /// The second one.
        name: String,
    },
    /// A prediction from no combination at all.
    #[error("no combination was asked for")]
    NoCombination,
    /// A presence mask of another number of samples than what it is for.
    #[error("a presence of {found} samples for {expected}")]
    PresenceLength {
        /// Samples of the mask.
        found: usize,
        /// Samples that there are.
        expected: usize,
    },
    /// A presence mask that asks for what a sample does not have.
    #[error("sample {sample} of the batch does not have every modality that the new presence asks for")]
    NotWithin {
        /// Place of the sample in the batch, counted from 0.
        sample: usize,
    },
    /// Two presence masks that have nothing in common for a sample.
    #[error("sample {sample} of the batch would have no modality left")]
    NothingLeft {
        /// Place of the sample in the batch, counted from 0.
        sample: usize,
    },
    /// A sample of which a missing pattern keeps nothing.
    #[error("sample {sample} has {has}; such samples {why}")]
    NothingKept {
        /// Number of the sample.
        sample: u64,
        /// What it has.
        has: String,
        /// Why nothing of it is kept.
        why: NothingKept,
    },
    /// A modality that is needed and that no sample of the batch has.
    #[error("no sample of the batch has modality {position}")]
    AbsentInBatch {
        /// Position of the modality, counted from 0.
        position: usize,
    },
    /// A batch without any modality that the model reads.
    #[error("no sample of the batch has any modality")]
    NothingInBatch,
    /// A sample or combination that lacks what the model reads.
    #[error(
        "{} has {has}, but this model reads {reads}{}",
        sample.map_or("the combination".into(), |sample| format!("sample {sample} of the batch (counted from 0)")),
        if *all { ", all of them; leave the sample out" } else { " (at least one of them)" }
    )]
    NotRead {
        /// Place of the sample in the batch, counted from 0; a combination that was asked for has none.
        sample: Option<usize>,
        /// What it has.
        has: String,
        /// What the model reads.
        reads: String,
        /// Whether the model needs all that it reads, or any part of it.
        all: bool,
    },
    /// A combination that no network of an ensemble was trained for.
    #[error("no member was trained for the combination {combination}")]
    NoMember {
        /// The combination.
        combination: String,
    },
    /// Readings of which none can be used.
    #[error("no sensor is left to predict from: {}", list(ignored))]
    NoSensor {
        /// The sensors, and why each is ignored.
        ignored: Vec<Ignored>,
    },
    /// Readings of which too few can be used.
    #[error("the model cannot predict from {used} alone; ignored: {}", list(ignored))]
    TooFewSensors {
        /// The sensors that can be used.
        used: String,
        /// The others, and why each is ignored.
        ignored: Vec<Ignored>,
    },
}

fn list(ignored: &[Ignored]) -> String {
    ignored.iter().map(|i| format!("{} ({})", i.modality, i.reason)).collect::<Vec<_>>().join(", ")
}
