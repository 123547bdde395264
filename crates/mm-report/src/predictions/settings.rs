//! `predictions.toml`: what tables cannot say.

use super::error::{PredictionError, Result};
use super::kind::Kind;
use mm_core::Modalities;
use mm_core::data::{nearest, parse_toml, utf8};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the file in a folder of predictions.
pub const FILE: &str = "predictions.toml";

/// What a folder says about its predictions; all of it may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderSettings {
    /// The modalities in order.
    pub modalities: Option<Modalities>,
    /// The classes in order; needed where NumPy files have no columns to name them.
    pub classes: Option<Vec<String>>,
    /// What the truths mean, where columns do not say it.
    pub task: Option<TaskName>,
    /// Which score heads the report; otherwise the first of the task.
    pub score: Option<String>,
    /// The class of pixels whose IoU that is.
    pub of_interest: Option<String>,
    /// What is known of a run, by its name in the tables.
    #[serde(default)]
    pub runs: BTreeMap<String, RunSettings>,
    #[serde(skip)]
    path: PathBuf,
}

/// What truths mean, as a data card says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskName {
    Classes,
    FaceAntiSpoofing,
    Labels,
    Numbers,
    Pixels,
}

impl TaskName {
    /// What its tables predict.
    pub fn kind(self) -> Kind {
        match self {
            Self::Classes | Self::FaceAntiSpoofing => Kind::Classes,
            Self::Labels => Kind::Labels,
            Self::Numbers => Kind::Numbers,
            Self::Pixels => Kind::Pixels,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::FaceAntiSpoofing => "face_anti_spoofing",
            Self::Labels => "labels",
            Self::Numbers => "numbers",
            Self::Pixels => "pixels",
        }
    }
}

/// What is known of a run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// The method behind it; the run's name otherwise.
    pub method: Option<String>,
    /// Seconds that its training took.
    pub train_seconds: Option<f64>,
    /// Parameters of what is deployed.
    pub parameters: Option<u64>,
    /// Anything else that a reader must know.
    pub note: Option<String>,
}

impl FolderSettings {
    /// Those of a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self { path, ..Self::default() }),
            bytes => bytes.map_err(mm_core::Error::io(&path))?,
        };
        let settings: Self = parse_toml(&path, utf8(&path, &bytes)?)?;
        let settings = Self { path, ..settings };
        let classes = settings.classes.as_deref().unwrap_or_default();
        match (0..classes.len()).find(|&i| classes[..i].contains(&classes[i])) {
            Some(i) => Err(settings.error(format!("the class `{}` is there twice", classes[i]))),
            None => Ok(settings),
        }
    }

    /// Refuses names of runs that no table has.
    pub fn check_runs(&self, found: &[String]) -> Result<()> {
        let Some(unknown) = self.runs.keys().find(|name| !found.contains(name)) else { return Ok(()) };
        let near = nearest(unknown, found.iter().map(String::as_str));
        let hint = near.map_or_else(|| format!("there are: {}", found.join(", ")), |near| format!("did you mean `{near}`?"));
        Err(self.error(format!("no table has the run `{unknown}`; {hint}")))
    }

    /// An error about what it says.
    pub fn error(&self, problem: String) -> PredictionError {
        PredictionError::File { path: self.path.clone(), problem }
    }
}

impl RunSettings {
    /// For the notes of the run in the report.
    pub fn notes(&self) -> Vec<String> {
        let seconds = self.train_seconds.map(|s| format!("training took {}", crate::words::seconds(s)));
        let parameters = self.parameters.map(|n| format!("{} parameters deployed", crate::words::thousands(n as usize)));
        [seconds, parameters, self.note.clone()].into_iter().flatten().collect()
    }
}
