//! How sensors degrade: a [`Corruption`] is a family and one of five severities, applied to chosen modalities of a batch.
//!
//! Meant for the test of a model, on inputs that are standardized (mean 0, standard deviation 1 over the training
//! samples). What a sample gets depends on (seed, row of the data set, modality, family) only: the same on every machine
//! and in every batch, except that [`Family::Swapped`] needs other samples of the batch. The draws do not depend on the
//! severity, so a higher one hits the same samples or values and more, or the same way and harder.
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
//! | `swapped` | this share of readings comes from another sample of the batch | 0.2 | 0.4 | 0.6 | 0.8 | 1 |
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use mm_core::corrupt::{Corruption, Family, apply};
//! use mm_core::{Presence, Subset, data::Batch};
//! let x = Tensor::new(&[[1f32, -1.0], [0.5, 2.0]], &Device::Cpu)?;
//! let labels = Tensor::new(&[0u32, 1], &Device::Cpu)?;
//! let batch = Batch::new(vec![Some(x.clone()), Some(x)], Presence::uniform(Subset::full(2), 2), labels, vec![0, 1])?;
//! let corrupted = apply(&batch, Corruption::new(Family::Dead, 5)?, Subset::single(0), 7)?;
//! assert_eq!(corrupted.inputs[0].as_ref().map(|t| t.to_vec2::<f32>()).transpose()?, Some(vec![vec![0.0; 2]; 2]));
//! # Ok::<(), mm_core::Error>(())
//! ```

mod family;
mod reading;
mod screen;

pub use family::{Corruption, Family, Severity};
pub use screen::{Screened, screen_non_finite};

use crate::data::Batch;
use crate::error::{Error, Result};
use crate::modality::Subset;
use crate::rng;
use candle_core::Tensor;

/// Corrupts the modalities of `subset` in every sample that has them; everything else is left as it is, bit for bit.
pub fn apply(batch: &Batch, corruption: Corruption, subset: Subset, seed: u64) -> Result<Batch> {
    if !subset.is_subset_of(Subset::full(batch.inputs.len())) {
        return Err(Error::Modality(format!("the corrupted combination names a modality past the {} of the batch", batch.inputs.len())));
    }
    let mut corrupted = batch.clone();
    for m in subset.indices() {
        let rows = batch.presence.rows_with(m);
        let Some(input) = batch.inputs[m].as_ref().filter(|_| !rows.is_empty()) else { continue };
        let clean = input.flatten_all()?.to_vec1::<f32>()?;
        let width = clean.len() / batch.len();
        let mut values = clean.clone();
        for &row in &rows {
            let row = row as usize;
            let mut random = rng::stream(seed, corruption.family.name(), &[batch.rows[row], m as u64]);
            let reading = &mut values[row * width..][..width];
            match corruption.family {
                Family::Swapped => {
                    if let Some(donor) = reading::donor(row as u32, &rows, corruption.strength(), &mut random) {
                        reading.copy_from_slice(&clean[donor as usize * width..][..width]);
                    }
                }
                Family::Stuck => {
                    let constant = reading::stuck_at(&mut rng::stream(seed, "stuck at", &[m as u64]));
                    reading::replace(reading, corruption.strength(), constant, &mut random);
                }
                family => reading::corrupt(reading, family, corruption.strength(), &mut random),
            }
        }
        corrupted.inputs[m] = Some(Tensor::from_vec(values, input.shape(), input.device())?);
        corrupted.augmented = true;
    }
    Ok(corrupted)
}
