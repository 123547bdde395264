//! How sensors go missing: a [`MissingPattern`] draws one combination a sample, inside what the data has.
//!
//! ```
//! use mm_core::{missing::MissingPattern, rng::Draws, Modalities, Presence};
//! let modalities = Modalities::new(["rgb", "depth", "audio"])?;
//! let natural = Presence::uniform(modalities.full(), 64);
//! let pattern = MissingPattern::Rates([("depth".to_string(), 0.3)].into());
//! let ids: Vec<u64> = (0..64).collect();
//! let drawn = pattern.draw(&natural, &modalities, &ids, &Draws::new(0, "mask", &[0]))?;
//! assert_eq!(drawn.len(), 64);
//! # Ok::<(), mm_core::Error>(())
//! ```

use crate::error::{Error, ModalityError, Result};
use crate::modality::{MAX_MODALITIES, Modalities, Presence, Subset};
use crate::rng::{Draws, Rng};
use rand::RngExt;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::BTreeMap;
use std::fmt;

/// How sensors go missing, with modalities by name.
///
/// In a plan: `missing = "uniform"`, `{ rate = 0.3 }`, `{ rates = { rgb = 0.1, depth = 0.3 } }`, `{ fixed = "rgb+depth" }`, `"natural"`
/// or `"full"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingPattern {
    /// Nothing is missing; a sample that lacks a modality is an error.
    Full,
    /// Only these modalities are kept, such as `rgb+depth`.
    Fixed(String),
    /// Each sample keeps one of the non-empty combinations of what it has, all equally likely.
    Uniform,
    /// Each modality of a sample is missing with this probability, independently, given that not all are missing.
    Rate(f64),
    /// The same with a probability of its own for each modality; one that is not named is never missing.
    #[serde(deserialize_with = "rates_by_name")]
    Rates(BTreeMap<String, f64>),
    /// As the data has it.
    Natural,
}

impl MissingPattern {
    /// Draws who keeps what; `natural` is what each sample of the batch has, `ids` are the samples' numbers.
    ///
    /// The result is never empty and never more than `natural`. What a sample keeps depends on its number, not on its place.
    pub fn draw(&self, natural: &Presence, modalities: &Modalities, ids: &[u64], draws: &Draws) -> Result<Presence> {
        let pattern = self.resolve(modalities)?;
        let subsets = natural.subsets().iter().zip(ids).map(|(&has, &id)| match &pattern {
            _ if !has.is_subset_of(modalities.full()) => {
                Err(ModalityError::SamplePosition { sample: id, modalities: modalities.len() }.into())
            }
            Resolved::Uniform => uniform(has, &mut draws.of(id)),
            Resolved::Rates(rates) => with_rates(has, rates, &mut draws.of(id))?.ok_or_else(|| pattern.unusable(id, has, modalities)),
            _ => pattern.kept(has).ok_or_else(|| pattern.unusable(id, has, modalities)),
        });
        Ok(Presence::new(subsets.collect::<Result<_>>()?))
    }

    /// Whether the pattern makes sense for these modalities.
    pub fn check(&self, modalities: &Modalities) -> Result<()> {
        self.resolve(modalities).map(|_| ())
    }

    /// Whether every one of these samples can be drawn from, known before the first draw.
    pub fn check_samples(&self, natural: &Presence, modalities: &Modalities) -> Result<()> {
        let pattern = self.resolve(modalities)?;
        let cannot = natural.subsets().iter().filter(|has| pattern.kept(**has).is_none()).count();
        match cannot {
            0 => Ok(()),
            count => Err(Error::config("missing", format!("{count} of {} training samples {}", natural.len(), pattern.why(modalities)))),
        }
    }

    /// The modalities that it keeps, where these are fixed.
    pub fn fixed(&self, modalities: &Modalities) -> Result<Option<Subset>> {
        match self {
            Self::Fixed(names) => modalities.parse(names).map(Some).map_err(|e| Error::config("missing.fixed", e.to_string())),
            _ => Ok(None),
        }
    }

    fn resolve(&self, modalities: &Modalities) -> Result<Resolved> {
        let in_unit = |name: &str, field: &str, rate: f64| match (0.0..=1.0).contains(&rate) {
            true => Ok(()),
            false => Err(Error::config(field, format!("rate {rate}{name} is not between 0 and 1"))),
        };
        let rates = match self {
            Self::Natural => return Ok(Resolved::Natural),
            Self::Uniform => return Ok(Resolved::Uniform),
            Self::Full => return Ok(Resolved::Full(modalities.full())),
            Self::Fixed(_) => return Ok(self.fixed(modalities)?.map_or(Resolved::Natural, Resolved::Fixed)),
            Self::Rate(rate) => {
                in_unit("", "missing.rate", *rate)?;
                vec![*rate; modalities.len()]
            }
            Self::Rates(by_name) => {
                let mut rates = vec![0.0; modalities.len()];
                for (name, &rate) in by_name {
                    let index = modalities.index(name).map_err(|e| Error::config("missing.rates", e.to_string()))?;
                    in_unit(&format!(" of modality {name:?}"), "missing.rates", rate)?;
                    rates[index] = rate;
                }
                rates
            }
        };
        match rates.iter().all(|&r| r == 1.0) {
            true => Err(Error::config("missing", "every rate is 1: no sample would have anything left; lower one of them")),
            false => Ok(Resolved::Rates(rates)),
        }
    }
}

/// A pattern with modalities by position.
enum Resolved {
    Natural,
    Uniform,
    Full(Subset),
    Fixed(Subset),
    Rates(Vec<f64>),
}

impl Resolved {
    /// The most that can be kept of what a sample has; `None` if nothing.
    fn kept(&self, has: Subset) -> Option<Subset> {
        match self {
            Self::Natural | Self::Uniform => Some(has),
            Self::Full(full) => (has == *full).then_some(has),
            Self::Fixed(kept) => has.intersection(*kept),
            Self::Rates(rates) => Subset::from_indices(has.indices().filter(|&m| rates[m] < 1.0)).ok(),
        }
    }

    fn why(&self, modalities: &Modalities) -> NothingKept {
        match self {
            Self::Full(_) => NothingKept::NotFull,
            Self::Fixed(kept) => NothingKept::NoneOfFixed { kept: modalities.format(*kept) },
            _ => NothingKept::AlwaysMissing,
        }
    }

    fn unusable(&self, sample: u64, has: Subset, modalities: &Modalities) -> Error {
        ModalityError::NothingKept { sample, has: modalities.format(has), why: self.why(modalities) }.into()
    }
}

/// Why a pattern keeps nothing of some samples; written with what to do, behind "such samples".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NothingKept {
    /// They lack a modality, and only full samples are kept.
    NotFull,
    /// They have none of the modalities that the pattern keeps.
    NoneOfFixed {
        /// What it keeps, such as `rgb+depth`.
        kept: String,
    },
    /// Each of their modalities is missing with rate 1.
    AlwaysMissing,
}

impl fmt::Display for NothingKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFull => f.write_str("lack a modality, but the pattern asks for full samples; use \"natural\" or leave them out"),
            Self::NoneOfFixed { kept } => write!(f, "have none of {kept}, all that the fixed pattern keeps; leave them out"),
            Self::AlwaysMissing => f.write_str("have only modalities that are missing with rate 1; lower one of the rates"),
        }
    }
}

/// A table of rates; a list, as positions would have it, is told what to write.
fn rates_by_name<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<BTreeMap<String, f64>, D::Error> {
    struct ByName;
    impl<'de> de::Visitor<'de> for ByName {
        type Value = BTreeMap<String, f64>;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a rate for each modality by name, such as `{ rgb = 0.1, depth = 0.3 }`")
        }
        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
            BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(ByName)
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
pub fn draw_among(natural: &Presence, combinations: &[Subset], ids: &[u64], draws: &Draws) -> Presence {
    let draw = |(&has, &id): (&Subset, &u64)| combinations.choose(&mut draws.of(id)).and_then(|c| c.intersection(has)).unwrap_or(has);
    Presence::new(natural.subsets().iter().zip(ids).map(draw).collect())
}
