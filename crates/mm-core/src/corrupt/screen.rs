//! NaN and infinities in a present modality: a sensor that speaks nonsense counts as one that is silent, or is an error.

use crate::data::{Inputs, NonFinite};
use crate::error::{NonFiniteError, Result};
use crate::modality::{Presence, Subset};

/// Inputs without values that are not finite, and what that took.
#[derive(Debug, Clone)]
pub struct Screened {
    /// The samples that are left, each with the modalities whose values are all finite.
    pub inputs: Inputs,
    /// Readings (one modality of one sample) that count as absent because a value in them is not finite.
    pub non_finite: usize,
    /// Positions in the inputs given, ascending, of samples that are left out because no modality of theirs is finite.
    pub excluded: Vec<usize>,
}

/// Looks for NaN and infinities in every reading that the batch says is present.
///
/// With [`NonFinite::Absent`] such a reading counts as missing. A sample that has nothing left is no sample any more: it is
/// left out of the batch and named in [`Screened::excluded`], so that one broken sample does not stop a whole batch; a
/// batch that would be empty is an error. With [`NonFinite::Error`] the first such reading is an error that names it.
/// What the batch says is absent is not looked at.
pub fn screen_non_finite(inputs: &Inputs, policy: NonFinite) -> Result<Screened> {
    let mut finite: Vec<u16> = inputs.presence().subsets().iter().map(|s| s.bits()).collect();
    let mut non_finite = 0;
    for (m, (name, reading)) in inputs.modalities().names().iter().zip(inputs.readings()).enumerate() {
        let Some(reading) = reading.as_ref().filter(|_| !inputs.is_empty()) else { continue };
        let values = reading.values.flatten_all()?.to_vec1::<f32>()?;
        let width = values.len() / inputs.len();
        for row in inputs.presence().rows_with(m).into_iter().map(|r| r as usize) {
            if values[row * width..][..width].iter().all(|x| x.is_finite()) {
                continue;
            }
            if policy == NonFinite::Error {
                return Err(NonFiniteError::Reading { sample: inputs.ids()[row], modality: name.clone() }.into());
            }
            finite[row] &= !(1 << m);
            non_finite += 1;
        }
    }
    let excluded: Vec<usize> = (0..finite.len()).filter(|&row| finite[row] == 0).collect();
    if non_finite == 0 {
        return Ok(Screened { inputs: inputs.clone(), non_finite, excluded });
    }
    if excluded.len() == inputs.len() {
        return Err(NonFiniteError::EveryReading.into());
    }
    let presence = Presence::new(finite.into_iter().filter(|&bits| bits != 0).map(Subset::from_bits).collect::<Result<_>>()?);
    let kept: Vec<usize> = (0..inputs.len()).filter(|row| excluded.binary_search(row).is_err()).collect();
    let kept = if excluded.is_empty() { inputs.clone() } else { inputs.select(&kept)? };
    Ok(Screened { inputs: kept.with_presence(presence)?, non_finite, excluded })
}
