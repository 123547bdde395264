//! How sensors degrade, for the test of a model.
//!
//! A [`Family`] is a way to degrade, and has five severities; a [`Fault`] is a family, one severity, and the modalities that it hits.
//! [`Corrupted`] is a source with some faults: it reads the samples of another source as the degraded sensors would have given them.
//!
//! There are three sorts of families ([`Applied`]). Some decide which reading a sample gets (none, another's, an earlier one). Some change
//! numbers that are standardized (mean 0, standard deviation 1 over the training samples). The others change what a sensor gave before a
//! [kind](crate::data::kinds::Kind) makes features of it: a wave before its spectrogram, an image before it is standardized, a text before
//! it is cut into tokens.
//!
//! What a sample gets depends on (seed, row of the data set, modality, family) only: the same on every machine and in every batch. The draws
//! do not depend on the severity, so a higher one hits the same samples or values and more, or the same way and harder.
//!
//! ```
//! use mm_core::corrupt::{Corrupted, Family, Fault};
//! use mm_core::data::{InputSpec, Schema, Source, TableDataset, Target};
//! use mm_core::{Modalities, Presence};
//! # use candle_core::Device;
//! let modalities = Modalities::new(["rgb", "depth"])?;
//! let schema = Schema::new(modalities.clone(), vec![InputSpec::vector(2); 2], Target::of_classes(["cat", "dog"]))?;
//! let values = vec![vec![1.0, -1.0, 0.5, 2.0]; 2];
//! let data = TableDataset::new(schema, values, Presence::uniform(modalities.full(), 2), vec![0, 1])?;
//! let fault = Fault::new(Family::Dead, 5, modalities.parse("rgb")?)?;
//! let batch = Corrupted::new(&data, &[0, 1], vec![fault], 7)?.batch(&[0, 1], &Device::Cpu)?;
//! let rgb = batch.inputs().reading("rgb")?.map(|reading| reading.values.to_vec2::<f32>()).transpose()?;
//! assert_eq!(rgb, Some(vec![vec![0.0; 2]; 2]));
//! # Ok::<(), mm_core::Error>(())
//! ```

mod corrupted;
mod depth;
mod family;
mod field;
mod image;
mod reading;
mod screen;
mod series;
mod severity;

pub use corrupted::{Corrupted, Fault};
pub use depth::{DEPTH_FAMILIES, corrupt_depth};
pub use family::{Applied, Family};
pub use image::{IMAGE_FAMILIES, corrupt_channels, corrupt_image};
pub use screen::{Screened, screen_non_finite};
pub use series::{SERIES_FAMILIES, corrupt_series};
pub use severity::{Corruption, Severity};

use crate::data::Inputs;
use crate::error::{Error, ModalityError, Result};
use crate::modality::Subset;
use candle_core::Tensor;

/// Corrupts the numbers of a modality of `subset` in every sample that has it, where they are standardized already; everything else is left
/// as it is, bit for bit.
///
/// Only for families that change standardized numbers ([`Applied::ToValues`]): the others take a source ([`Corrupted`]).
pub fn apply(inputs: &Inputs, corruption: Corruption, subset: Subset, seed: u64) -> Result<Inputs> {
    if !subset.is_subset_of(inputs.modalities().full()) {
        let position = subset.bits().ilog2() as usize;
        return Err(ModalityError::Position { position, modalities: inputs.modalities().len() }.into());
    }
    if corruption.family.applied() != Applied::ToValues {
        let problem =
            format!("`{}` takes more than the standardized numbers of some samples: read them from a `Corrupted`", corruption.family);
        return Err(Error::config("corruption", problem));
    }
    let mut corrupted = inputs.clone();
    for m in subset.indices() {
        let rows = inputs.presence().rows_with(m);
        let Some(input) = inputs.at(m).filter(|_| !rows.is_empty()) else { continue };
        let lengths = input.lengths.as_ref().map(Tensor::to_vec1::<u32>).transpose()?;
        let mut values = input.values.flatten_all()?.to_vec1::<f32>()?;
        let (width, last) = (values.len() / inputs.len(), *input.values.dims().last().unwrap_or(&1));
        for &row in &rows {
            let row = row as usize;
            let filled = lengths.as_ref().map_or(last, |lengths| lengths[row] as usize);
            let reading = &mut values[row * width..][..width];
            reading::corrupt(reading, last, filled, corruption, seed, [inputs.ids()[row], m as u64]);
        }
        corrupted = corrupted.with_values(m, Tensor::from_vec(values, input.values.shape(), input.values.device())?)?;
    }
    Ok(corrupted)
}
