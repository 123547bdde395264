//! How sensors degrade: a [`Corruption`] is a family and one of five severities, applied to chosen modalities of a batch.
//!
//! Meant for the test of a model, on inputs that are standardized (mean 0, standard deviation 1 over the training
//! samples). What a sample gets depends on (seed, row of the data set, modality, family) only: the same on every machine
//! and in every batch. The draws do not depend on the severity, so a higher one hits the same samples or values and more, or
//! the same way and harder. [`Family::Swapped`] needs the readings of other samples: a [`Corruptor`] has them.
//!
//! | family | what happens to a reading | 1 | 2 | 3 | 4 | 5 |
//! |---|---|---|---|---|---|---|
//! | `gaussian` | noise with this standard deviation is added | 0.5 | 1 | 2 | 4 | 6 |
//! | `salt_and_pepper` | this share of its values becomes -4 or 4 | 0.05 | 0.1 | 0.2 | 0.35 | 0.5 |
//! | `value_dropout` | this share of its values becomes 0 | 0.1 | 0.25 | 0.5 | 0.75 | 0.9 |
//! | `scale_drift` | all its values are multiplied by this factor or divided by it | 1.25 | 1.5 | 2 | 3 | 5 |
//! | `offset_drift` | this offset, or its negative, is added to all its values | 0.5 | 1 | 2 | 3 | 5 |
//! | `stuck` | this share of readings is one constant (0.5 to 3, or negative), the same for all samples | 0.2 | 0.4 | 0.6 | 0.8 | 1 |
//! | `dead` | this share of readings is all zeros | 0.2 | 0.4 | 0.6 | 0.8 | 1 |
//! | `nan_burst` | in this share of readings, a quarter of the values in a row is NaN | 0.2 | 0.4 | 0.6 | 0.8 | 1 |
//! | `swapped` | this share of readings comes from another sample of the test | 0.2 | 0.4 | 0.6 | 0.8 | 1 |
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use mm_core::corrupt::{Corruption, Family, apply};
//! use mm_core::{Modalities, Presence, Subset, data::Inputs};
//! let x = Tensor::new(&[[1f32, -1.0], [0.5, 2.0]], &Device::Cpu)?;
//! let modalities = Modalities::new(["rgb", "depth"])?;
//! let inputs = Inputs::new(&modalities, [Some(x.clone()), Some(x)], Presence::uniform(modalities.full(), 2), vec![0, 1])?;
//! let corrupted = apply(&inputs, Corruption::new(Family::Dead, 5)?, modalities.parse("rgb")?, 7)?;
//! let rgb = corrupted.reading("rgb")?.map(|reading| reading.values.to_vec2::<f32>()).transpose()?;
//! assert_eq!(rgb, Some(vec![vec![0.0; 2]; 2]));
//! # Ok::<(), mm_core::Error>(())
//! ```

mod depth;
mod family;
mod image;
mod reading;
mod screen;

pub use depth::{DEPTH_FAMILIES, DepthFamily, corrupt_depth};
pub use family::{Corruption, Family, Severity};
pub use image::{IMAGE_FAMILIES, ImageFamily, corrupt_image};
pub use screen::{Screened, screen_non_finite};

use crate::data::{Inputs, Source};
use crate::error::{Error, ModalityError, Result};
use crate::modality::Subset;
use crate::rng;
use candle_core::{Device, Tensor};

/// Corrupts the modalities of `subset` in every sample that has them; everything else is left as it is, bit for bit.
///
/// [`Family::Swapped`] is refused: it takes a [`Corruptor`].
pub fn apply(inputs: &Inputs, corruption: Corruption, subset: Subset, seed: u64) -> Result<Inputs> {
    corrupt(inputs, corruption, subset, seed, &|_, _, _| {
        Err(Error::config("corruption", "`swapped` takes readings of other samples of the data set: use a `Corruptor`"))
    })
}

/// Corrupts the samples of a test set; what is swapped comes from another of them.
pub struct Corruptor<'a> {
    source: &'a dyn Source,
    /// By modality, the rows that have it, ascending.
    rows: Vec<Vec<usize>>,
    corruption: Corruption,
    subset: Subset,
    seed: u64,
}

impl<'a> Corruptor<'a> {
    /// A corruption of the modalities of `subset` in the samples `rows` of a source.
    pub fn new(source: &'a dyn Source, rows: &[usize], corruption: Corruption, subset: Subset, seed: u64) -> Self {
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let having = |m: usize| sorted.iter().copied().filter(|&row| source.meta(row).presence.contains(m)).collect();
        let rows = (0..source.schema().modalities.len()).map(having).collect();
        Self { source, rows, corruption, subset, seed }
    }

    /// Corrupts some of the samples.
    pub fn apply(&self, inputs: &Inputs) -> Result<Inputs> {
        corrupt(inputs, self.corruption, self.subset, self.seed, &|m, id, random| {
            let donor = reading::donor(id as usize, &self.rows[m], self.corruption.strength(), random);
            let Some(donor) = donor else { return Ok(None) };
            let batch = self.source.batch(&[donor], &Device::Cpu)?;
            let reading = batch.inputs().at(m).ok_or(ModalityError::AbsentInBatch { position: m })?;
            Ok(Some(reading.values.flatten_all()?.to_vec1()?))
        })
    }
}

/// A reading of another sample for the modality at a position and a sample, or none.
type Donor<'d> = &'d dyn Fn(usize, u64, &mut rng::Rng) -> Result<Option<Vec<f32>>>;

fn corrupt(inputs: &Inputs, corruption: Corruption, subset: Subset, seed: u64, donor: Donor) -> Result<Inputs> {
    if !subset.is_subset_of(inputs.modalities().full()) {
        let position = subset.bits().ilog2() as usize;
        return Err(ModalityError::Position { position, modalities: inputs.modalities().len() }.into());
    }
    let mut corrupted = inputs.clone();
    for m in subset.indices() {
        let rows = inputs.presence().rows_with(m);
        let Some(input) = inputs.at(m).filter(|_| !rows.is_empty()) else { continue };
        let mut values = input.values.flatten_all()?.to_vec1::<f32>()?;
        let width = values.len() / inputs.len();
        for &row in &rows {
            let row = row as usize;
            let id = inputs.ids()[row];
            let mut random = rng::stream(seed, corruption.family.name(), &[id, m as u64]);
            let reading = &mut values[row * width..][..width];
            match corruption.family {
                Family::Swapped => match donor(m, id, &mut random)? {
                    Some(other) if other.len() == width => reading.copy_from_slice(&other),
                    Some(other) => return Err(Error::shape("swapped reading", width, other.len())),
                    None => {}
                },
                Family::Stuck => {
                    let constant = reading::stuck_at(&mut rng::stream(seed, "stuck at", &[m as u64]));
                    reading::replace(reading, corruption.strength(), constant, &mut random);
                }
                family => reading::corrupt(reading, family, corruption.strength(), &mut random),
            }
        }
        corrupted = corrupted.with_values(m, Tensor::from_vec(values, input.values.shape(), input.values.device())?)?;
    }
    Ok(corrupted)
}
