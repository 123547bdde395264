//! Which sensors there are ([`Modalities`]), a combination of them ([`Subset`]) and who has what in a batch ([`Presence`]).
//!
//! ```
//! use mm_core::{Modalities, Subset};
//! let modalities = Modalities::new(["rgb", "depth", "audio"])?;
//! let subset = modalities.parse("rgb+audio")?;
//! assert_eq!(modalities.format(subset), "rgb+audio");
//! assert_eq!(Subset::all_non_empty(3).count(), 7);
//! # Ok::<(), mm_core::Error>(())
//! ```

use crate::error::{Error, ModalityError, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The largest number of modalities of one model.
pub const MAX_MODALITIES: usize = 16;

/// The modalities of a model or data set, by name and in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Modalities {
    // Shared: every batch names its modalities.
    names: Arc<[String]>,
}

impl std::fmt::Display for Modalities {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}

impl Modalities {
    /// Names the modalities; 1 to 16 distinct names, without `+`, `,` or white space.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() || names.len() > MAX_MODALITIES {
            return Err(ModalityError::Count { found: names.len() }.into());
        }
        for (i, name) in names.iter().enumerate() {
            if name.is_empty() || name.contains(|c: char| c == '+' || c == ',' || c.is_whitespace()) {
                return Err(ModalityError::Name { name: name.clone() }.into());
            }
            if names[..i].contains(name) {
                return Err(ModalityError::NameTwice { name: name.clone() }.into());
            }
        }
        Ok(Self { names: names.into() })
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty)] // never empty by construction
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Position of a name.
    pub fn index(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|n| n == name).ok_or_else(|| {
            let near = crate::data::nearest(name, self.names.iter().map(String::as_str)).map(Into::into);
            ModalityError::Unknown { name: name.into(), near, known: self.clone() }.into()
        })
    }

    /// The combination of all modalities.
    pub fn full(&self) -> Subset {
        Subset::full(self.len())
    }

    /// Reads `"rgb+depth"`; `"full"` and `"all"` mean every modality unless one has that name.
    pub fn parse(&self, text: &str) -> Result<Subset> {
        if (text == "full" || text == "all") && !self.names.iter().any(|n| n == text) {
            return Ok(self.full());
        }
        let mut bits = 0u16;
        for name in text.split('+') {
            let bit = 1 << self.index(name.trim())?;
            if bits & bit != 0 {
                return Err(ModalityError::Repeated { combination: text.into(), name: name.into() }.into());
            }
            bits |= bit;
        }
        Subset::from_bits(bits)
    }

    /// Reads combinations; one that is named twice would count twice, and is refused.
    pub fn parse_distinct<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<Subset>> {
        if names.is_empty() {
            return Err(ModalityError::EmptyList.into());
        }
        let mut subsets = Vec::with_capacity(names.len());
        for name in names {
            let (name, subset) = (name.as_ref(), self.parse(name.as_ref())?);
            if let Some(before) = subsets.iter().position(|s| *s == subset) {
                let before = names[before].as_ref().into();
                return Err(ModalityError::SameCombination { before, name: name.into() }.into());
            }
            subsets.push(subset);
        }
        Ok(subsets)
    }

    /// Writes a combination as `"rgb+depth"`.
    pub fn format(&self, subset: Subset) -> String {
        let names: Vec<&str> = subset.indices().filter_map(|i| self.names.get(i)).map(String::as_str).collect();
        names.join("+")
    }
}

impl TryFrom<Vec<String>> for Modalities {
    type Error = Error;
    fn try_from(names: Vec<String>) -> Result<Self> {
        Self::new(names)
    }
}

impl From<Modalities> for Vec<String> {
    fn from(modalities: Modalities) -> Self {
        modalities.names.to_vec()
    }
}

/// A non-empty combination of modalities, as a bitset: bit `m` is modality `m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Subset(u16);

impl Subset {
    /// From a bitset; zero is refused.
    pub fn from_bits(bits: u16) -> Result<Self> {
        if bits == 0 {
            return Err(ModalityError::EmptySubset.into());
        }
        Ok(Self(bits))
    }

    /// From positions.
    pub fn from_indices(indices: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut bits = 0u16;
        for i in indices {
            if i >= MAX_MODALITIES {
                return Err(ModalityError::Position { position: i, modalities: MAX_MODALITIES }.into());
            }
            bits |= 1 << i;
        }
        Self::from_bits(bits)
    }

    /// All of `count` modalities (1 to 16).
    pub fn full(count: usize) -> Self {
        assert!((1..=MAX_MODALITIES).contains(&count), "1 to 16 modalities, not {count}");
        Self((u32::MAX >> (32 - count)) as u16)
    }

    /// Only modality `index` (0 to 15).
    pub fn single(index: usize) -> Self {
        assert!(index < MAX_MODALITIES, "position {index} is past the limit of 16 modalities");
        Self(1 << index)
    }

    /// The bitset.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// How many modalities it holds (at least 1).
    #[allow(clippy::len_without_is_empty)] // never empty by construction
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether modality `index` is in it.
    pub fn contains(self, index: usize) -> bool {
        index < MAX_MODALITIES && self.0 >> index & 1 == 1
    }

    /// Whether all of `self` is in `other`.
    pub fn is_subset_of(self, other: Subset) -> bool {
        self.0 & !other.0 == 0
    }

    /// What both hold, if anything.
    pub fn intersection(self, other: Subset) -> Option<Subset> {
        Self::from_bits(self.0 & other.0).ok()
    }

    /// What either holds.
    pub fn union(self, other: Subset) -> Subset {
        Self(self.0 | other.0)
    }

    /// Positions of its modalities, ascending.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (0..MAX_MODALITIES).filter(move |&i| self.contains(i))
    }

    /// Every non-empty combination of `count` modalities in the order used everywhere: by size, then lexicographic by
    /// position (`a, b, c, a+b, a+c, b+c, a+b+c`).
    pub fn all_non_empty(count: usize) -> impl Iterator<Item = Subset> {
        let mut all: Vec<Subset> = (1..=Self::full(count).0).map(Subset).collect();
        // Lexicographic by position within a size: the mirrored bitset, descending.
        all.sort_by_key(|s| (s.len(), std::cmp::Reverse(s.0.reverse_bits())));
        all.into_iter()
    }
}

impl TryFrom<u16> for Subset {
    type Error = Error;
    fn try_from(bits: u16) -> Result<Self> {
        Self::from_bits(bits)
    }
}

impl From<Subset> for u16 {
    fn from(subset: Subset) -> Self {
        subset.0
    }
}

/// Which modalities each sample of a batch has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    subsets: Vec<Subset>,
}

impl Presence {
    /// One combination a sample.
    pub fn new(subsets: Vec<Subset>) -> Self {
        Self { subsets }
    }

    /// The same combination for `batch` samples.
    pub fn uniform(subset: Subset, batch: usize) -> Self {
        Self { subsets: vec![subset; batch] }
    }

    /// The combinations, in batch order.
    pub fn subsets(&self) -> &[Subset] {
        &self.subsets
    }

    /// Batch size.
    pub fn len(&self) -> usize {
        self.subsets.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.subsets.is_empty()
    }

    /// Rows that have modality `index`, ascending.
    pub fn rows_with(&self, index: usize) -> Vec<u32> {
        (0u32..).zip(&self.subsets).filter(|(_, s)| s.contains(index)).map(|(row, _)| row).collect()
    }

    /// `[batch * modalities]` row-major mask, 1.0 where present.
    pub fn to_mask(&self, modalities: usize) -> Vec<f32> {
        self.subsets.iter().flat_map(|s| (0..modalities).map(|m| f32::from(s.contains(m)))).collect()
    }

    /// Sample by sample, what both have; an error names the first sample that would have nothing.
    pub fn intersection(&self, other: &Presence) -> Result<Presence> {
        let pairs = self.pairs(other)?.enumerate();
        let subsets = pairs.map(|(sample, (a, b))| a.intersection(b).ok_or(ModalityError::NothingLeft { sample }));
        Ok(Presence::new(subsets.collect::<std::result::Result<_, _>>()?))
    }

    /// Sample by sample, what either has.
    pub fn union(&self, other: &Presence) -> Result<Presence> {
        Ok(Presence::new(self.pairs(other)?.map(|(a, b)| a.union(b)).collect()))
    }

    fn pairs<'a>(&'a self, other: &'a Presence) -> Result<impl Iterator<Item = (Subset, Subset)> + 'a> {
        if self.len() != other.len() {
            return Err(ModalityError::PresenceLength { found: other.len(), expected: self.len() }.into());
        }
        Ok(self.subsets.iter().copied().zip(other.subsets.iter().copied()))
    }
}
