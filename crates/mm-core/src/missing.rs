//! How sensors go missing: a [`MissingPattern`] draws one combination a sample, inside what the data has.
//!
//! ```
//! use mm_core::{missing::MissingPattern, rng, Presence, Subset};
//! let natural = Presence::uniform(Subset::full(3), 64);
//! let drawn = MissingPattern::Uniform.draw(&natural, 3, &mut rng::stream(0, "mask", &[0, 0]))?;
//! assert_eq!(drawn.len(), 64);
//! # Ok::<(), mm_core::Error>(())
//! ```

use crate::error::{Error, Result};
use crate::modality::{MAX_MODALITIES, Presence, Subset};
use crate::rng::Rng;
use rand::RngExt;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

/// How sensors go missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingPattern {
    /// Nothing is missing; a sample that lacks a modality is an error.
    Full,
    /// Only these modalities are kept.
    Fixed(Subset),
    /// Each sample keeps one of the non-empty combinations of what it has, all equally likely.
    Uniform,
    /// Modality `m` of each sample is missing with probability `rates[m]`, independently, given that not all are missing.
    Rates(Vec<f64>),
    /// As the data has it.
    Natural,
}

impl MissingPattern {
    /// Draws who keeps what; `natural` is what each sample of the batch has, out of `modalities` (1 to 16).
    ///
    /// The result is never empty and never more than `natural`. Errors name the sample by its position in the batch.
    pub fn draw(&self, natural: &Presence, modalities: usize, rng: &mut Rng) -> Result<Presence> {
        self.check(modalities)?;
        let full = Subset::full(modalities);
        let subsets = natural.subsets().iter().enumerate().map(|(sample, &has)| {
            if !has.is_subset_of(full) {
                return Err(Error::Modality(format!("sample {sample} of the batch has modality {}, but there are only {modalities} (counted from 0)", highest(has))));
            }
            match self {
                Self::Natural => Ok(has),
                Self::Full if has == full => Ok(has),
                Self::Full => {
                    let lacking: Vec<String> = full.indices().filter(|&m| !has.contains(m)).map(|m| m.to_string()).collect();
                    Err(Error::Modality(format!(
                        "sample {sample} of the batch lacks modality {}, but the pattern asks for full samples; use `natural` or leave the sample out",
                        lacking.join(", ")
                    )))
                }
                Self::Fixed(kept) => has
                    .intersection(*kept)
                    .ok_or_else(|| Error::Modality(format!("sample {sample} of the batch has none of the modalities that the fixed pattern keeps"))),
                Self::Uniform => uniform(has, rng),
                Self::Rates(rates) => with_rates(has, rates, rng)?.ok_or_else(|| {
                    Error::Modality(format!("sample {sample} of the batch: every modality that it has is missing with rate 1; lower one of the rates"))
                }),
            }
        });
        Ok(Presence::new(subsets.collect::<Result<_>>()?))
    }

    /// Whether the pattern makes sense for so many modalities (1 to 16).
    pub fn check(&self, modalities: usize) -> Result<()> {
        if !(1..=MAX_MODALITIES).contains(&modalities) {
            return Err(Error::Modality(format!("1 to {MAX_MODALITIES} modalities are possible, not {modalities}")));
        }
        match self {
            Self::Fixed(kept) if !kept.is_subset_of(Subset::full(modalities)) => Err(Error::config(
                "missing.fixed",
                format!("names modality {}, but there are only {modalities} (counted from 0)", highest(*kept)),
            )),
            Self::Rates(rates) if rates.len() != modalities => {
                Err(Error::config("missing.rates", format!("has {} rates for {modalities} modalities; give one for each", rates.len())))
            }
            Self::Rates(rates) => match rates.iter().position(|r| !(0.0..=1.0).contains(r)) {
                Some(m) => Err(Error::config("missing.rates", format!("rate {} of modality {m} is not between 0 and 1", rates[m]))),
                None if rates.iter().all(|&r| r == 1.0) => {
                    Err(Error::config("missing.rates", "every rate is 1: no sample would have anything left; lower one of them"))
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// The highest position in a combination.
fn highest(subset: Subset) -> u32 {
    subset.bits().ilog2()
}

/// One of the `2^n - 1` non-empty combinations of the `n` modalities in `has`.
fn uniform(has: Subset, rng: &mut Rng) -> Result<Subset> {
    let choice = rng.random_range(1..1u32 << has.len());
    Subset::from_indices(has.indices().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1).map(|(_, m)| m))
}

/// Independent draws given that not all are missing, exactly and without rejection: while nothing is kept yet, modality
/// `i` is kept with probability `q_i / A_i`, where `q = 1 - rate` and `A_i = q_i + rate_i A_{i+1}` is the probability that
/// one of `i..` is kept. `None` if nothing can be kept.
fn with_rates(has: Subset, rates: &[f64], rng: &mut Rng) -> Result<Option<Subset>> {
    let mut some_kept = [0.0; MAX_MODALITIES + 1];
    for m in (0..rates.len()).rev() {
        some_kept[m] = match has.contains(m) {
            true => (1.0 - rates[m]) + rates[m] * some_kept[m + 1],
            false => some_kept[m + 1],
        };
    }
    if some_kept[0] == 0.0 {
        return Ok(None);
    }
    let mut bits = 0u16;
    for m in has.indices() {
        let keep = 1.0 - rates[m];
        let probability = if bits == 0 { keep / some_kept[m] } else { keep };
        // A draw in [0, 1): probability 1 always keeps, probability 0 (and 0/0 past the last that can stay) never does.
        if rng.random::<f64>() < probability {
            bits |= 1 << m;
        }
    }
    Subset::from_bits(bits).map(Some)
}

/// One of `combinations` for each sample, as far as the sample has it; a sample that has nothing of it keeps what it has.
pub fn draw_among(natural: &Presence, combinations: &[Subset], rng: &mut Rng) -> Presence {
    let draw = |&has: &Subset| combinations.choose(rng).and_then(|c| c.intersection(has)).unwrap_or(has);
    Presence::new(natural.subsets().iter().map(draw).collect())
}
