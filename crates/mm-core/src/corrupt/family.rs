//! The families of corruption, and the one table of their severities.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A way for a sensor to degrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// Added noise.
    Gaussian,
    /// Values at the ends of the range.
    SaltAndPepper,
    /// Values that read 0, the mean of the training samples.
    ValueDropout,
    /// A gain that is off.
    ScaleDrift,
    /// A zero point that is off.
    OffsetDrift,
    /// The same constant whatever happens.
    Stuck,
    /// Zeros: to a standardized model, the mean of the training samples.
    Dead,
    /// NaN in part of a reading.
    NanBurst,
    /// The reading of another sample: a synchronisation fault.
    Swapped,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 9] = [
        Self::Gaussian,
        Self::SaltAndPepper,
        Self::ValueDropout,
        Self::ScaleDrift,
        Self::OffsetDrift,
        Self::Stuck,
        Self::Dead,
        Self::NanBurst,
        Self::Swapped,
    ];

    /// The name as it is written in plans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::SaltAndPepper => "salt_and_pepper",
            Self::ValueDropout => "value_dropout",
            Self::ScaleDrift => "scale_drift",
            Self::OffsetDrift => "offset_drift",
            Self::Stuck => "stuck",
            Self::Dead => "dead",
            Self::NanBurst => "nan_burst",
            Self::Swapped => "swapped",
        }
    }

    /// Strength at severity 1 to 5; the module documentation says what it measures.
    pub fn strengths(self) -> [f32; 5] {
        match self {
            Self::Gaussian => [0.5, 1.0, 2.0, 4.0, 6.0],
            Self::SaltAndPepper => [0.05, 0.1, 0.2, 0.35, 0.5],
            Self::ValueDropout => [0.1, 0.25, 0.5, 0.75, 0.9],
            Self::ScaleDrift => [1.25, 1.5, 2.0, 3.0, 5.0],
            Self::OffsetDrift => [0.5, 1.0, 2.0, 3.0, 5.0],
            Self::Stuck | Self::Dead | Self::NanBurst | Self::Swapped => [0.2, 0.4, 0.6, 0.8, 1.0],
        }
    }
}

/// How bad it is: 1 (hardly noticeable) to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Severity(u8);

impl Severity {
    /// All five, ascending.
    pub fn all() -> impl Iterator<Item = Severity> {
        (1..=5).map(Severity)
    }
}

impl TryFrom<u8> for Severity {
    type Error = Error;
    fn try_from(severity: u8) -> Result<Self> {
        match severity {
            1..=5 => Ok(Self(severity)),
            _ => Err(Error::config("severity", format!("must be 1 to 5, found {severity}"))),
        }
    }
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> Self {
        severity.0
    }
}

/// A family at one severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corruption {
    /// What happens.
    pub family: Family,
    /// How bad it is.
    pub severity: Severity,
}

impl Corruption {
    /// A family at a severity of 1 to 5.
    pub fn new(family: Family, severity: u8) -> Result<Self> {
        Ok(Self { family, severity: severity.try_into()? })
    }

    /// What the table says for this family and severity.
    pub fn strength(self) -> f32 {
        self.family.strengths()[usize::from(self.severity.0) - 1]
    }
}
