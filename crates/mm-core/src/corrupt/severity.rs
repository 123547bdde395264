//! How bad a degradation is, and what degrades how.

use super::Family;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

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

    /// What a kind of reading answers to a family that it does not have.
    pub(crate) fn unknown_to(self, kind: &str, families: &[Family]) -> Error {
        Error::config("corruption", format!("kind `{kind}` has no family `{}`; {}", self.family, Family::known_to(families)))
    }
}
