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
