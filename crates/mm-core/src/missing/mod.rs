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

mod facts;
mod written;

use crate::data::{Batch, Schema, Source, nearest};
use crate::error::{Error, ModalityError, Result};
use crate::modality::{MAX_MODALITIES, Modalities, Presence, Subset};
use crate::rng::{Draws, Rng};
use facts::Facts;
use rand::RngExt;
use rand::seq::{IndexedRandom, WeightError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How sensors go missing, with modalities by name.
///
/// In a plan: `missing = "uniform"`, `{ rate = 0.3 }`, `{ rates = { rgb = 0.1, depth = 0.3 } }`, `{ fixed = "rgb+depth" }`, `"natural"`,
/// `"full"`, `{ combinations = { rgb = 1, "rgb+depth" = 3 } }`, `{ by_class = { depth = { attack = 0.6 } } }` or
/// `{ by_value = { depth = { rate = 0.3, slope = 4 } } }`. The last two are missing not at random: for simulations on complete data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Self")]
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
    #[serde(deserialize_with = "written::rates_by_name")]
    Rates(BTreeMap<String, f64>),
    /// Each sample keeps one of these combinations, as far as it has it, drawn by their weights among those of which it has something.
    Combinations(BTreeMap<String, f64>),
    /// Each modality (or several at once, such as `rgb+depth` or `all`) is missing with a probability that depends on the sample's class; one
    /// that is not named, and a class that is not, is never missing.
    ByClass(BTreeMap<String, BTreeMap<String, f64>>),
    /// Each modality (or several at once) is missing with a probability that depends on what it reads.
    ByValue(BTreeMap<String, ValueRate>),
    /// As the data has it.
    Natural,
}

impl MissingPattern {
    /// Draws who keeps what; `natural` is what each sample of the batch has, `ids` are the samples' numbers.
    ///
    /// The result is never empty and never more than `natural`. What a sample keeps depends on its number, not on its place. A pattern whose
    /// rates depend on the samples is refused: [`MissingPattern::draw_batch`] knows them.
    pub fn draw(&self, natural: &Presence, modalities: &Modalities, ids: &[u64], draws: &Draws) -> Result<Presence> {
        if matches!(self, Self::ByClass(_) | Self::ByValue(_)) {
            return Err(Error::config("missing", "rates that depend on the samples need the samples: draw with `draw_batch`"));
        }
        self.draw_with(natural, modalities, &[], ids, &Facts::default(), draws)
    }

    /// [`MissingPattern::draw`] for the samples of a batch, whose readings are standardized: `natural` is what they have, or less.
    pub fn draw_batch(&self, natural: &Presence, batch: &Batch, schema: &Schema, draws: &Draws) -> Result<Presence> {
        let facts = Facts::of_batch(self, natural, batch, schema)?;
        self.draw_with(natural, &schema.modalities, schema.target.class_names(), batch.ids(), &facts, draws)
    }

    /// [`MissingPattern::draw`] for rows of a source, whose readings are standardized; reads them only where rates depend on what they hold.
    pub fn draw_rows(&self, source: &dyn Source, rows: &[usize], draws: &Draws) -> Result<Presence> {
        let (schema, facts) = (source.schema(), Facts::of_rows(self, source, rows)?);
        let natural = Presence::new(rows.iter().map(|&row| source.meta(row).presence).collect());
        let ids: Vec<u64> = rows.iter().map(|&row| row as u64).collect();
        self.draw_with(&natural, &schema.modalities, schema.target.class_names(), &ids, &facts, draws)
    }

    fn draw_with(
        &self,
        natural: &Presence,
        modalities: &Modalities,
        classes: &[String],
        ids: &[u64],
        facts: &Facts,
        draws: &Draws,
    ) -> Result<Presence> {
        let pattern = self.resolve(modalities, Some(classes))?;
        let subsets = natural.subsets().iter().zip(ids).enumerate().map(|(i, (&has, &id))| {
            let unusable = || pattern.unusable(id, has, modalities);
            match &pattern {
                _ if !has.is_subset_of(modalities.full()) => {
                    Err(ModalityError::SamplePosition { sample: id, modalities: modalities.len() }.into())
                }
                Resolved::Uniform => uniform(has, &mut draws.of(id)),
                Resolved::Rates(rates) => with_rates(has, rates, &mut draws.of(id))?.ok_or_else(unusable),
                Resolved::ByClass(rates) => with_rates(has, &rates[facts.classes[i] as usize], &mut draws.of(id))?.ok_or_else(unusable),
                Resolved::ByValue(rates) => {
                    let at = |(m, rate): (usize, &Option<ValueRate>)| rate.map_or(0.0, |rate| rate.at(facts.levels[m][i]));
                    let rates: Vec<f64> = rates.iter().enumerate().map(at).collect();
                    with_rates(has, &rates, &mut draws.of(id))?.ok_or_else(unusable)
                }
                Resolved::Combinations(weights) => weighted(has, weights, &mut draws.of(id)).ok_or_else(unusable),
                _ => pattern.kept(has).ok_or_else(unusable),
            }
        });
        Ok(Presence::new(subsets.collect::<Result<_>>()?))
    }

    /// Whether the pattern makes sense for these modalities. (Names of classes are checked with the first draw.)
    pub fn check(&self, modalities: &Modalities) -> Result<()> {
        self.resolve(modalities, None).map(|_| ())
    }

    /// Whether every one of these samples can be drawn from, known before the first draw as far as that hangs on what they have.
    pub fn check_samples(&self, natural: &Presence, modalities: &Modalities) -> Result<()> {
        let pattern = self.resolve(modalities, None)?;
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

    /// With names as positions; without the names of the classes, these are not checked.
    fn resolve(&self, modalities: &Modalities, classes: Option<&[String]>) -> Result<Resolved> {
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
            Self::Combinations(weights) => return combinations(weights, modalities),
            Self::ByClass(rates) => return by_class(rates, modalities, classes),
            Self::ByValue(rates) => return by_value(rates, modalities),
        };
        match rates.iter().all(|&r| r == 1.0) {
            true => Err(Error::config("missing", "every rate is 1: no sample would have anything left; lower one of them")),
            false => Ok(Resolved::Rates(rates)),
        }
    }
}

/// How often a modality is missing, by what it reads: with probability `sigmoid(logit(rate) + slope * level)`, where the level is the mean of
/// all standardized numbers of the reading. So it is `rate` for an average reading, and grows with the level where the slope is positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRate {
    /// Of a reading at the mean: above 0 and below 1.
    pub rate: f64,
    /// In logits for each standard deviation of a single number. The mean of many numbers spreads less than each of them.
    pub slope: f64,
}

impl ValueRate {
    /// The probability at a level.
    pub fn at(self, level: f64) -> f64 {
        1.0 / (1.0 + (-((self.rate / (1.0 - self.rate)).ln() + self.slope * level)).exp())
    }
}

/// The modalities behind a key, each in one key only.
fn keyed<T: Clone>(given: &BTreeMap<String, T>, field: &str, modalities: &Modalities) -> Result<Vec<Option<T>>> {
    let mut found = vec![None; modalities.len()];
    for (names, value) in given {
        for m in modalities.parse(names).map_err(|e| Error::config(field, e.to_string()))?.indices() {
            if found[m].replace(value.clone()).is_some() {
                return Err(Error::config(field, format!("modality {:?} is named twice", modalities.names()[m])));
            }
        }
    }
    Ok(found)
}

fn combinations(weights: &BTreeMap<String, f64>, modalities: &Modalities) -> Result<Resolved> {
    let field = "missing.combinations";
    let names: Vec<&String> = weights.keys().collect();
    let subsets = modalities.parse_distinct(&names).map_err(|e| Error::config(field, e.to_string()))?;
    if let Some((name, weight)) = weights.iter().find(|(_, weight)| !(**weight >= 0.0 && weight.is_finite())) {
        return Err(Error::config(field, format!("weight {weight} of {name:?} is no number from 0 on")));
    }
    let weighted: Vec<(Subset, f64)> = subsets.into_iter().zip(weights.values().copied()).filter(|(_, weight)| *weight > 0.0).collect();
    match weighted.is_empty() {
        true => Err(Error::config(field, "every weight is 0: no sample would have anything left")),
        false => Ok(Resolved::Combinations(weighted)),
    }
}

fn by_class(given: &BTreeMap<String, BTreeMap<String, f64>>, modalities: &Modalities, classes: Option<&[String]>) -> Result<Resolved> {
    let field = "missing.by_class";
    for (name, rates) in given {
        if let Some((class, rate)) = rates.iter().find(|(_, rate)| !(0.0..=1.0).contains(*rate)) {
            return Err(Error::config(field, format!("rate {rate} of {name:?} for class {class:?} is not between 0 and 1")));
        }
        let unknown = classes.and_then(|classes| rates.keys().find(|class| !classes.contains(*class)).map(|class| (class, classes)));
        if let Some((class, classes)) = unknown {
            let near =
                nearest(class, classes.iter().map(String::as_str)).map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
            return Err(Error::config(field, format!("no class is called {class:?}{near}; there are: {}", classes.join(", "))));
        }
    }
    let rates = keyed(given, field, modalities)?;
    let of = |class: &String| rates.iter().map(|of| of.as_ref().and_then(|of| of.get(class).copied()).unwrap_or(0.0)).collect();
    Ok(Resolved::ByClass(classes.unwrap_or_default().iter().map(of).collect()))
}

fn by_value(given: &BTreeMap<String, ValueRate>, modalities: &Modalities) -> Result<Resolved> {
    let field = "missing.by_value";
    if let Some((name, rate)) = given.iter().find(|(_, rate)| !(rate.rate > 0.0 && rate.rate < 1.0 && rate.slope.is_finite())) {
        let problem = format!("rate {} and slope {} of {name:?}: a rate is above 0 and below 1, a slope any number", rate.rate, rate.slope);
        return Err(Error::config(field, problem));
    }
    Ok(Resolved::ByValue(keyed(given, field, modalities)?))
}

/// A pattern with modalities by position.
enum Resolved {
    Natural,
    Uniform,
    Full(Subset),
    Fixed(Subset),
    Rates(Vec<f64>),
    Combinations(Vec<(Subset, f64)>),
    /// By class, one rate a modality.
    ByClass(Vec<Vec<f64>>),
    ByValue(Vec<Option<ValueRate>>),
}

impl Resolved {
    /// The most that can be kept of what a sample has; `None` if nothing.
    fn kept(&self, has: Subset) -> Option<Subset> {
        match self {
            Self::Natural | Self::Uniform | Self::ByClass(_) | Self::ByValue(_) => Some(has),
            Self::Combinations(weights) => weights.iter().find_map(|(subset, _)| subset.intersection(has)),
            Self::Full(full) => (has == *full).then_some(has),
            Self::Fixed(kept) => has.intersection(*kept),
            Self::Rates(rates) => Subset::from_indices(has.indices().filter(|&m| rates[m] < 1.0)).ok(),
        }
    }

    fn why(&self, modalities: &Modalities) -> NothingKept {
        match self {
            Self::Full(_) => NothingKept::NotFull,
            Self::Fixed(kept) => NothingKept::NoneOfFixed { kept: modalities.format(*kept) },
            Self::Combinations(_) => NothingKept::NoneOfCombinations,
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
    /// They have nothing of any combination with a weight.
    NoneOfCombinations,
    /// Each of their modalities is missing with rate 1.
    AlwaysMissing,
}

impl fmt::Display for NothingKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFull => f.write_str("lack a modality, but the pattern asks for full samples; use \"natural\" or leave them out"),
            Self::NoneOfFixed { kept } => write!(f, "have none of {kept}, all that the fixed pattern keeps; leave them out"),
            Self::NoneOfCombinations => {
                f.write_str("have nothing of any combination that has a weight; give a weight to one of which they have")
            }
            Self::AlwaysMissing => f.write_str("have only modalities that are missing with rate 1; lower one of the rates"),
        }
    }
}

/// One of the `2^n - 1` non-empty combinations of the `n` modalities in `has`.
fn uniform(has: Subset, rng: &mut Rng) -> Result<Subset> {
    let choice = rng.random_range(1..1u32 << has.len());
    Subset::from_indices(has.indices().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1).map(|(_, m)| m))
}

/// What a sample has of one of the combinations of which it has something, drawn by weight; `None` if there is none.
fn weighted(has: Subset, weights: &[(Subset, f64)], rng: &mut Rng) -> Option<Subset> {
    let possible: Vec<(Subset, f64)> = weights.iter().filter_map(|(subset, weight)| Some((subset.intersection(has)?, *weight))).collect();
    let chosen: std::result::Result<_, WeightError> = possible.choose_weighted(rng, |(_, weight)| *weight);
    chosen.ok().map(|(subset, _)| *subset)
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
