//! Which pictures of a segmentation are shown: of the best run and a few others, the first seed that has some.

use super::outcomes::Group;
use crate::pictured::{Picture, Pictured};
use serde::{Deserialize, Serialize};

/// Runs with pictures, at most.
const MOST_RUNS: usize = 4;
/// Samples of a run, at most: as many as there are reasons to choose one.
const MOST_SAMPLES: usize = 4;
/// Bytes of all pictures of a data entry; a page holds them at 4/3 of that.
const MOST_BYTES: usize = 800_000;

/// The pictures of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPictures {
    /// The run.
    pub run: String,
    /// The seed that they are of.
    pub seed: u64,
    /// The samples that were chosen.
    pub samples: Vec<SamplePictures>,
}

/// The pictures of one test sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplePictures {
    /// Its id, or the number of its row.
    pub id: String,
    /// Why it was chosen, and what there is of it.
    #[serde(flatten)]
    pub about: Pictured,
    /// The pictures themselves; a page has them, `report.json` has not.
    #[serde(skip)]
    pub files: Vec<(Picture, Vec<u8>)>,
}

impl SamplePictures {
    /// A picture, if its file was there.
    pub fn file(&self, picture: Picture) -> Option<&[u8]> {
        self.files.iter().find(|(which, _)| *which == picture).map(|(_, bytes)| bytes.as_slice())
    }

    fn bytes(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// The pictures of the best run, then those of the others in their order, as many as fit.
pub fn of(groups: &[Group], best: usize) -> Vec<RunPictures> {
    let mut left = MOST_BYTES;
    let order = std::iter::once(best).chain((0..groups.len()).filter(|&i| i != best));
    let mut runs: Vec<RunPictures> = Vec::new();
    for group in order.filter_map(|i| groups.get(i)) {
        if runs.len() < MOST_RUNS {
            runs.extend(of_run(group, &mut left));
        }
    }
    runs
}

fn of_run(group: &Group, left: &mut usize) -> Option<RunPictures> {
    let cell = group.cells.iter().map(|cell| cell.result).find(|cell| !cell.pictures.is_empty())?;
    let (folder, ids) = (cell.folder.as_ref()?, cell.sample_ids()?);
    let mut samples = Vec::new();
    for (position, about) in cell.pictures.iter().take(MOST_SAMPLES).enumerate() {
        let sensors = (0..about.sensors.len()).map(Picture::Sensor);
        let predictions = (0..about.predictions.len()).flat_map(|c| [Picture::Prediction(c), Picture::Errors(c)]);
        let files = sensors.chain([Picture::Truth]).chain(predictions).filter_map(|which| Some((which, which.read(folder, position)?)));
        let sample = SamplePictures { id: ids.get(about.sample)?.clone(), about: about.clone(), files: files.collect() };
        if sample.files.is_empty() || sample.bytes() > *left {
            break;
        }
        *left -= sample.bytes();
        samples.push(sample);
    }
    (!samples.is_empty()).then(|| RunPictures { run: group.run.clone(), seed: cell.seed, samples })
}
