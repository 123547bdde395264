//! What a card says is predicted.

use super::Target;
use crate::error::{Error, Result};
use crate::task::{FaceAntiSpoofing, Labels, Numbers};
use serde::{Deserialize, Serialize};

/// What is to be predicted of the samples of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskKind {
    /// One class a sample.
    #[default]
    Classes,
    /// Whether a face is live: `classes` lists the attack first and the live face second.
    FaceAntiSpoofing,
    /// Labels of which any number hold, a column each.
    Labels,
    /// Numbers, a column each.
    Numbers,
}

impl TaskKind {
    /// Whether it is the ordinary one.
    pub fn is_classes(&self) -> bool {
        *self == Self::Classes
    }

    /// Whether each thing that is predicted has a column of its own.
    pub(super) fn has_columns(self) -> bool {
        matches!(self, Self::Labels | Self::Numbers)
    }

    /// The target of samples with these classes, labels or numbers.
    pub(super) fn target(self, classes: Vec<String>) -> Result<Target> {
        match self {
            Self::Classes => Ok(Target::of_classes(classes)),
            Self::Labels => Ok(Target::Labels(Labels::new(classes))),
            Self::Numbers => Ok(Target::Numbers(Numbers::new(classes))),
            Self::FaceAntiSpoofing => match <[String; 2]>::try_from(classes) {
                Ok(names) => Ok(Target::FaceAntiSpoofing(FaceAntiSpoofing::new(names))),
                Err(found) => {
                    let problem =
                        format!("`face_anti_spoofing` has two classes, the attack and the live face; the labels are {}", found.join(", "));
                    Err(Error::config("task", problem))
                }
            },
        }
    }
}
