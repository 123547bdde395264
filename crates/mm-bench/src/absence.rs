//! Absence simulated on data that has more: samples lose sensors for good, those of the training and those of the test each by a pattern.

use crate::dataset::Dataset;
use anyhow::{Context, Result};
use mm_core::Presence;
use mm_core::data::{Schema, Source, Split, Standardized, Standardizer, with_presence};
use mm_core::missing::MissingPattern;
use mm_core::rng::Draws;
use serde::{Deserialize, Serialize};

/// Which sensors samples lose for good, before anything is trained: fixed by the seed and the sample, the same for all methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// Of the samples for training and validation; they keep everything by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    train: Option<MissingPattern>,
    /// Of the test samples; they keep everything by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test: Option<MissingPattern>,
}

impl Absence {
    /// Refuses patterns that name what the data does not have.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        for (part, pattern) in [("train", &self.train), ("test", &self.test)] {
            let Some(pattern) = pattern else { continue };
            pattern.check(&schema.modalities).with_context(|| format!("`absent.{part}`"))?;
        }
        Ok(())
    }

    /// What every sample keeps. Rates that depend on a reading see it as the complete training samples standardize it.
    pub fn kept(&self, data: &dyn Source, split: &Split, seed: u64) -> Result<Presence> {
        let mut kept: Vec<_> = (0..data.len()).map(|row| data.meta(row).presence).collect();
        let standardizer = Standardizer::fit(data, &split.train)?;
        let standardized = Standardized::new(data, &standardizer)?;
        let training: Vec<usize> = split.train.iter().chain(&split.validation).copied().collect();
        for (part, pattern, rows) in [("train", &self.train, &training), ("test", &self.test, &split.test)] {
            let Some(pattern) = pattern else { continue };
            let draws = Draws::new(seed, &format!("absent-{part}"), &[]);
            let drawn = pattern.draw_rows(standardized.source(), rows, &draws).with_context(|| format!("`absent.{part}`"))?;
            rows.iter().zip(drawn.subsets()).for_each(|(&row, subset)| kept[row] = *subset);
        }
        Ok(Presence::new(kept))
    }

    /// The data without what samples lose.
    pub fn applied(&self, data: Dataset, split: &Split, seed: u64) -> Result<Dataset> {
        let kept = self.kept(&*data.source, split, seed)?;
        Ok(Dataset { source: with_presence(data.source, kept)?, ..data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::TrainingSamples;
    use mm_core::Subset;
    use mm_core::data::{ManifestColumns, SplitSpec};
    use mm_testing::clear_to_weak;

    fn data() -> Dataset {
        let (split, columns, non_finite) = (SplitSpec::default(), ManifestColumns::default(), Vec::new());
        Dataset {
            source: Box::new(clear_to_weak(900, 1)),
            split,
            non_finite,
            matched: Vec::new(),
            remarks: Vec::new(),
            columns,
            is_read: true,
        }
    }

    fn share(data: &dyn Source, rows: &[usize], m: usize) -> f64 {
        rows.iter().filter(|&&row| !data.meta(row).presence.contains(m)).count() as f64 / rows.len() as f64
    }

    #[test]
    fn training_and_test_lose_sensors_each_at_its_rate() {
        let absence: Absence =
            toml::from_str("train = { rate = 0.3 }\ntest = { by_class = { weak = { a = 0.9 } } }").expect("a table of patterns");
        let whole = data();
        absence.check(whole.source.schema()).expect("checked");
        let split = whole.draw(TrainingSamples::default(), 0).expect("split");
        let kept = absence.kept(&*whole.source, &split, 0).expect("drawn");
        assert_eq!(kept, absence.kept(&*whole.source, &split, 0).expect("drawn again"));
        assert_ne!(kept, absence.kept(&*whole.source, &split, 1).expect("another seed"));
        let thinned = absence.applied(whole, &split, 0).expect("applied");
        assert!((0..900).all(|row| thinned.source.meta(row).presence == kept.subsets()[row]));
        // At least one stays: .3 becomes (.3 - .027) / (1 - .027) = .28.
        for rows in [&split.train, &split.validation] {
            assert!((share(&*thinned.source, rows, 0) - 0.28).abs() < 0.1);
        }
        let of_class =
            |class: u32| split.test.iter().copied().filter(|&row| thinned.source.meta(row).class == Some(class)).collect::<Vec<_>>();
        assert!((share(&*thinned.source, &of_class(0), 2) - 0.9).abs() < 0.12);
        assert_eq!((share(&*thinned.source, &of_class(1), 2), share(&*thinned.source, &split.test, 0)), (0.0, 0.0));
    }

    #[test]
    fn nothing_is_lost_where_nothing_is_said_and_names_are_checked() {
        let whole = data();
        let split = whole.draw(TrainingSamples::default(), 0).expect("split");
        let none: Absence = toml::from_str("").expect("empty");
        assert_eq!(none.kept(&*whole.source, &split, 0).expect("kept"), Presence::uniform(Subset::full(3), 900));
        let wrong: Absence = toml::from_str("test = { rates = { strnog = 0.5 } }").expect("a pattern");
        let message = format!("{:#}", wrong.check(whole.source.schema()).expect_err("unknown"));
        assert!(message.contains("`absent.test`") && message.contains("did you mean \"strong\"?"), "{message}");
        assert!(toml::from_str::<Absence>("tset = 'uniform'").is_err());
    }
}
