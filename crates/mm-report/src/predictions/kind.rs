//! What a table predicts, as its columns say it.

use super::error::{Place, PredictionError, Result};
use super::settings::TaskName;

/// What is predicted of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One class.
    Classes,
    /// Labels, any number of which hold.
    Labels,
    /// Numbers.
    Numbers,
    /// A class for each pixel, of which pixels are counted.
    Pixels,
}

/// The columns of all kinds, for messages.
pub const COLUMNS: &str = "classes have `truth` and `p:<class>` or `logit:<class>`, labels `true:<label>` and `p:<label>` or \
     `logit:<label>`, numbers `true:<name>` and `predicted:<name>`, a segmentation `tp:<class>`, `fp:<class>` and `fn:<class>`";

/// The class of a sample.
pub const TRUTH: &str = "truth";
/// What a column's name begins with, where the name of a class, label or number follows.
pub const PREFIXES: [&str; 7] = ["true:", "p:", "logit:", "predicted:", "tp:", "fp:", "fn:"];
/// Those of counts.
pub const COUNTS: [&str; 3] = ["tp:", "fp:", "fn:"];

impl Kind {
    /// That of a table. An index of a NumPy file has only the truths: whether they are of labels or of numbers, `task` says.
    pub fn of_table(place: &Place, names: &[String], is_index: bool, task: Option<TaskName>) -> Result<Self> {
        let first = |prefixes: &[&str]| names.iter().find(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
        let problem = |problem: String| Err(PredictionError::Kinds { place: place.clone(), problem });
        let (kind, shown_by) = match (first(&COUNTS), first(&["predicted:"]), first(&["true:"])) {
            (Some(count), ..) => (Self::Pixels, Some(count)),
            (None, Some(predicted), _) => (Self::Numbers, Some(predicted)),
            (None, None, Some(truth)) if is_index => match task.map(TaskName::kind) {
                Some(kind @ (Self::Labels | Self::Numbers)) => (kind, Some(truth)),
                _ => {
                    return problem(format!(
                        "the column `{truth}` is of a label or of a number, and the NumPy file does not say which; write `task = \"labels\"` \
                         or `task = \"numbers\"` in predictions.toml"
                    ));
                }
            },
            (None, None, Some(truth)) => (Self::Labels, Some(truth)),
            (None, None, None) => (Self::Classes, names.iter().find(|name| Self::Classes.has(name))),
        };
        let Some(shown_by) = shown_by else { return Ok(kind) };
        let special = |name: &&String| *name == TRUTH || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if let Some(other) = names.iter().filter(special).find(|name| !kind.has(name)) {
            return problem(format!("the columns `{other}` and `{shown_by}` are of different kinds of predictions: {COLUMNS}"));
        }
        match task.filter(|task| task.kind() != kind) {
            Some(task) => {
                let (task, found) = (task.name(), kind.noun());
                problem(format!("`{shown_by}` is a column of {found}, but predictions.toml says `task = \"{task}\"`: {COLUMNS}"))
            }
            None => Ok(kind),
        }
    }

    /// Whether a column, if it is of a kind, is of this one.
    fn has(self, name: &str) -> bool {
        let prefixes: &[&str] = match self {
            Self::Classes if name == TRUTH => return true,
            Self::Classes => &["p:", "logit:"],
            Self::Labels => &["true:", "p:", "logit:"],
            Self::Numbers => &["true:", "predicted:"],
            Self::Pixels => &COUNTS,
        };
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    /// What its tables are of.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Labels => "labels",
            Self::Numbers => "numbers",
            Self::Pixels => "a segmentation",
        }
    }

    /// What its names are of.
    pub fn named(self) -> &'static str {
        match self {
            Self::Classes | Self::Pixels => "classes",
            Self::Labels => "labels",
            Self::Numbers => "numbers",
        }
    }
}
