//! What can be wrong with a data set, its split, its statistics and its batches.

use super::names::some;
use super::{Likeness, Part};
use crate::modality::Modalities;
use std::path::PathBuf;

/// A data set whose parts do not fit together, or that is too small for what is asked of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DataError {
    /// Another number of some parts than there must be.
    #[error("{found} {what} for {expected} {of}")]
    Count {
        /// Which parts, in the plural.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// What there must be one for each of, in the plural.
        of: &'static str,
        /// How many of these there are.
        expected: usize,
    },
    /// Inputs of other modalities than a model's, or of the same in another order.
    #[error("inputs of {found} for a model of {expected}")]
    Modalities {
        /// Those of the inputs.
        found: Modalities,
        /// Those of the model.
        expected: Modalities,
    },
    /// A modality that a sample of the batch has, without values.
    #[error("a sample of the batch has `{modality}`, but there is no tensor for it")]
    NoTensor {
        /// The modality.
        modality: String,
    },
    /// A row past the last sample.
    #[error("row {row} was asked for, but there are {samples} samples")]
    Row {
        /// The row, counted from 0.
        row: usize,
        /// How many samples there are.
        samples: usize,
    },
    /// A batch of nothing.
    #[error("a batch without samples")]
    EmptyBatch,
    /// The program failed where it reads samples.
    #[error("a thread that reads samples has panicked")]
    ReaderPanicked,

    /// A sample of which no reading could be decoded.
    #[error("none of the readings of sample `{id}` can be decoded: take it out of the data")]
    NothingDecoded {
        /// The sample.
        id: String,
    },

    /// A reading with a value that nothing can be learnt from.
    #[error(
        "{reading} holds a value that is not finite: {value} at {place:?} of the shape {shape:?}, counted from 0; mend or remove it, or write on_corrupt = \"absent\" in the card to take such readings as absent"
    )]
    NonFinite {
        /// Where the reading is.
        reading: String,
        /// The first such value.
        value: f64,
        /// Where it is, axis by axis.
        place: Vec<usize>,
        /// Of what the sensor gave.
        shape: Vec<usize>,
    },

    /// A sample whose sensors are all absent, as a corruption says.
    #[error("sample {row} has no sensor left: leave out the samples for which `Corrupted::left` has nothing")]
    NothingLeft {
        /// Its row.
        row: usize,
    },
    /// A source that cannot have the corruptions of a kind of sensor.
    #[error(
        "the source of `{modality}` does not say what the sensor gave, and that is what this corruption changes: let it override `Source::read_changed`"
    )]
    NotRaw {
        /// The modality.
        modality: String,
    },

    /// Files that are joined by row and have different numbers of rows.
    #[error(
        "{} has {rows} rows, {} has {other_rows}; files joined by row need the same number, or join by an id column with join = \"id\"",
        path.display(),
        other.display()
    )]
    Rows {
        /// The first file.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// A file of another number.
        other: PathBuf,
        /// Its rows.
        other_rows: usize,
    },
    /// A file without the readings of some samples.
    #[error("{} lacks ids that other files have: {}; {}", path.display(), some(ids, 5), remedy(likeness.as_deref()))]
    LackingIds {
        /// The file.
        path: PathBuf,
        /// The ids that it lacks.
        ids: Vec<String>,
        /// How ids that it has would match some of these.
        likeness: Option<Box<Likeness>>,
    },
    /// No file says of what class a sample is.
    #[error("no file has a label column; name one with `label`")]
    NoLabelColumn,
    /// A modality of a card that no sample has.
    #[error("modality `{modality}` ({}) is absent in every sample", path.display())]
    AbsentModality {
        /// The modality.
        modality: String,
        /// Its file.
        path: PathBuf,
    },
    /// A file that is not the one that the card was written for.
    #[error("{}: sha256 is {found}, but the card says {expected}; get the file again or correct the card", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// Its SHA-256 in hexadecimal.
        found: String,
        /// That of the card.
        expected: String,
    },

    /// Nothing to tell apart.
    #[error("there are no classes to tell apart")]
    NoClasses,
    /// Two classes of one name.
    #[error("class `{class}` appears twice")]
    ClassTwice {
        /// The name.
        class: String,
    },
    /// A number of classes that face anti-spoofing does not have.
    #[error("face anti-spoofing has two classes, the attack and the live face, found {found}")]
    NotTwoClasses {
        /// How many there are.
        found: usize,
    },
    /// A target of another kind than the task's.
    #[error("a target is not what the task predicts: {expected}")]
    TargetKind {
        /// What it should be.
        expected: &'static str,
    },
    /// A label of no class.
    #[error("label {label} of {classes} classes")]
    Label {
        /// The label.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },
    /// A label of no class in a data set.
    #[error("sample {row} has label {label}, but there are {classes} classes")]
    SampleLabel {
        /// The sample, counted from 0.
        row: usize,
        /// Its label.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },

    /// A weight of a sample that is none.
    #[error("the weight of sample {row} is {weight}: it must be a finite number that is not negative")]
    Weight {
        /// The sample, counted from 0.
        row: usize,
        /// Its weight.
        weight: f32,
    },
    /// A number to predict that does not vary.
    #[error(
        "`{name}` is {value} in all {samples} training samples: there is nothing to predict; name another column, or other training samples"
    )]
    ConstantTarget {
        /// Name of the number.
        name: String,
        /// Its value.
        value: f64,
        /// Training samples.
        samples: usize,
    },
    /// A class that is too small for its shares of the split.
    #[error(
        "class `{class}` has {found} sample{}, but the split needs {} ({train} train, {validation} validation, {test} test): add samples of \
         this class, take it out of the data, or write other amounts under [split] in the card",
        if *found == 1 { "" } else { "s" },
        train.saturating_add(*validation).saturating_add(*test)
    )]
    SmallClass {
        /// The class.
        class: String,
        /// Its samples.
        found: usize,
        /// How many are to train.
        train: usize,
        /// How many are to choose the model by.
        validation: usize,
        /// How many are to test.
        test: usize,
    },
    /// A class with fewer training samples than were asked for, or none asked for.
    #[error("class `{class}` has {found} training samples; {per_class} per class were asked for")]
    TooFewPerClass {
        /// The class.
        class: String,
        /// Its training samples.
        found: usize,
        /// How many were asked for.
        per_class: usize,
    },
    /// A class whose groups are too few, or too large, for one to be left for each part.
    #[error(
        "class `{class}` cannot be split by group: {}; {}say in a `part` column which group goes where, add groups of this class, or split without `group`",
        shortage(*groups, *part, wanted),
        if wanted.contains(&Part::Validation) { "set `validation = 0` in `[split]`, " } else { "" }
    )]
    TooFewGroups {
        /// The class.
        class: String,
        /// Its groups.
        groups: usize,
        /// The part that none was left for.
        part: Part,
        /// The parts that it is to be in.
        wanted: Vec<Part>,
    },
    /// Samples without a group or part, where others have one.
    #[error(
        "{without} of {of} samples have no {what}, and others have one: {}{}; name a {what} in every row, or in none",
        names.join(", "),
        if *without > names.len() { ", .." } else { "" }
    )]
    NotNamed {
        /// What the first of them are called.
        names: Vec<String>,
        /// How many they are.
        without: usize,
        /// How many samples there are.
        of: usize,
        /// `group` or `part`.
        what: &'static str,
    },
    /// A part of a split without samples.
    #[error("the {part} part of the split is empty")]
    EmptyPart {
        /// The part.
        part: Part,
    },

    /// A modality that no training sample has.
    #[error("modality `{modality}` is absent in all {samples} training samples")]
    AbsentInTraining {
        /// The modality.
        modality: String,
        /// How many training samples there are.
        samples: usize,
    },
    /// A modality that the standardizer was fitted without.
    #[error("the standardizer has no modality `{modality}`; it has: {}", fitted.join(", "))]
    NotFitted {
        /// The modality.
        modality: String,
        /// Those that it was fitted on.
        fitted: Vec<String>,
    },
    /// A modality of another width than the standardizer was fitted on.
    #[error("modality `{modality}` has {found} {what}, but the standardizer was fitted on {fitted}")]
    Width {
        /// The modality.
        modality: String,
        /// `features` or `channels`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many it was fitted on.
        fitted: usize,
    },
    /// Saved means and deviations that cannot be some.
    #[error(
        "the mean and deviation of modality `{modality}` are not finite: a training sample holds NaN, infinity or a number far too large; `mm data check` names it"
    )]
    DamagedStatistics {
        /// The modality.
        modality: String,
    },

    /// Too few samples to train on.
    #[error("{found} training samples are too few")]
    TooFewToTrain {
        /// How many there are.
        found: usize,
    },
    /// Samples of which a method could learn from none.
    #[error("no batch of the whole training held samples that the method can learn from")]
    NothingToLearn,
    /// Validation samples of which the model can predict from none.
    #[error("no validation sample has a combination that the model can predict from")]
    NothingToValidate,
    /// An evaluation of nothing: one of the numbers is 0.
    #[error("nothing to evaluate: {samples} samples, {combinations} combinations that the model supports, a batch size of {batch_size}")]
    NothingToEvaluate {
        /// Samples that were asked for.
        samples: usize,
        /// Combinations that were asked for and that the model supports.
        combinations: usize,
        /// Samples of a batch.
        batch_size: usize,
    },
}

fn remedy(likeness: Option<&Likeness>) -> String {
    let add = || "add them, or set allow_unmatched = true to take the modality as absent there".into();
    likeness.map_or_else(add, Likeness::to_string)
}

fn shortage(groups: usize, part: Part, wanted: &[Part]) -> String {
    let names: Vec<String> = wanted.iter().map(Part::to_string).collect();
    let parts = format!("{} parts ({})", wanted.len(), names.join(", "));
    match wanted.len().saturating_sub(groups) {
        0 => format!(
            "its {groups} groups could not be dealt to {parts}: none was left for {part}, as some hold other classes that other parts need"
        ),
        lacking => format!("it is in {groups} group{}, {lacking} too few for {parts}", if groups == 1 { "" } else { "s" }),
    }
}
