//! Errors: their causes, and what they say.

use mm_core::data::{DataError, Likeness, Part, Standardizer};
use mm_core::statistics::Outcomes;
use mm_core::{Error, Modalities, ModalityError, NonFiniteError, StatisticsError, Subset};
use std::error::Error as _;

#[test]
fn errors_are_matched_by_cause() {
    let modalities = Modalities::new(["rgb", "depth"]).unwrap();
    let Err(Error::Modality(ModalityError::Unknown { name, near, known })) = modalities.parse("rgb+dept") else { panic!() };
    assert_eq!((name.as_str(), near.as_deref(), known), ("dept", Some("depth"), modalities));
    assert!(matches!(Subset::from_indices([16]), Err(Error::Modality(ModalityError::Position { position: 16, modalities: 16 }))));
    let outcomes = Outcomes::from_rows(&["10", "1"]);
    assert!(matches!(outcomes, Err(Error::Statistics(StatisticsError::Length { column: 1, found: 1, expected: 2 }))));
    let standardizer: Standardizer = serde_json::from_str(r#"{"views": []}"#).unwrap();
    let missing = standardizer.apply_values("rgb", &[1.0]);
    assert!(matches!(missing, Err(Error::Data(DataError::NotFitted { modality, .. })) if modality == "rgb"));
}

#[test]
fn each_cause_reads_as_a_sentence_and_is_said_once() {
    let modality = |error: ModalityError| Error::from(error);
    let likeness = Likeness { ids: 2, as_numbers: true, here: "07".into(), there: "7".into() };
    let lacking = |likeness| DataError::LackingIds { path: "a.csv".into(), ids: vec!["7".into(), "9".into()], likeness };
    let groups = DataError::TooFewGroups { class: "x".into(), groups: 1, part: Part::Test, wanted: vec![Part::Train, Part::Test] };
    let not_read = |sample, all| ModalityError::NotRead { sample, has: "c".into(), reads: "a+b".into(), all };
    let corrupt = serde_json::from_str::<u32>("x").map_err(Error::state("counts")).unwrap_err();
    let said: [(Error, &str); 12] = [
        (modality(ModalityError::NameTwice { name: "a".into() }), "modality: the name \"a\" appears twice"),
        (
            Modalities::new(["rgb", "depth"]).unwrap().index("dept").unwrap_err(),
            "modality: no modality is called \"dept\" (did you mean \"depth\"?); there are: rgb, depth",
        ),
        (modality(not_read(None, false)), "modality: the combination has c, but this model reads a+b (at least one of them)"),
        (
            modality(not_read(Some(3), true)),
            "modality: sample 3 of the batch (counted from 0) has c, but this model reads a+b, all of them; leave the sample out",
        ),
        (DataError::Count { what: "groups", found: 2, of: "samples", expected: 3 }.into(), "data set: 2 groups for 3 samples"),
        (
            lacking(None).into(),
            "data set: a.csv lacks ids that other files have: 7, 9; \
             add them, or set allow_unmatched = true to take the modality as absent there",
        ),
        (
            lacking(Some(likeness.into())).into(),
            "data set: a.csv lacks ids that other files have: 7, 9; \
             2 ids would match as numbers, such as `07` and `7`: write them alike in both files",
        ),
        (
            groups.into(),
            "data set: class `x` cannot be split by group: it is in 1 group, 1 too few for 2 parts (train, test); \
             say in a `part` column which group goes where, add groups of this class, or split without `group`",
        ),
        (StatisticsError::NoSeed.into(), "statistics: a bootstrap needs at least one seed"),
        (
            NonFiniteError::Loss { term: "ce".into(), value: f64::NAN, epoch: 1, step: 2, samples: vec![4, 5] }.into(),
            "non-finite value: loss term `ce` is NaN at epoch 1, step 2 (samples 4, 5, ...); the last checkpoint is kept; \
             try a lower learning rate or `clip_norm`",
        ),
        (corrupt, "the saved counts cannot be read: expected value at line 1 column 1"),
        (Error::ForeignState { what: "mined set", part: "candidates" }, "the saved mined set is of another model: its candidates differ"),
    ];
    for (error, text) in said {
        assert_eq!(error.to_string(), text);
        // A chain of sources would say the same again.
        assert!(error.source().is_none(), "{text}");
    }
}
