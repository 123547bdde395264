//! What test samples have, and which of them a combination leaves out and why.

use mm_core::data::Source;
use mm_core::{Modalities, Subset};
use mm_report::result::{Excluded, Readings};

/// The test samples of a cell.
pub struct TestSamples {
    /// What each has.
    presence: Vec<Subset>,
    /// What of the rest is there, but not finite: bit `m` is modality `m`.
    non_finite: Vec<u16>,
}

impl TestSamples {
    /// Those in some rows of a data set; `non_finite` is of all its rows.
    pub fn new(data: &dyn Source, rows: &[usize], non_finite: &[u16]) -> Self {
        let of_row = |row: &usize| non_finite.get(*row).copied().unwrap_or(0);
        Self { presence: rows.iter().map(|&row| data.meta(row).presence).collect(), non_finite: rows.iter().map(of_row).collect() }
    }

    /// What there is of each modality.
    pub fn readings(&self, modalities: &Modalities) -> Vec<Readings> {
        let of = |(m, name): (usize, &String)| {
            let present = self.presence.iter().filter(|has| has.contains(m)).count();
            let non_finite = self.non_finite.iter().filter(|bits| *bits >> m & 1 == 1).count();
            Readings { modality: name.clone(), present, absent: self.presence.len() - present - non_finite, non_finite }
        };
        modalities.names().iter().enumerate().map(of).collect()
    }

    /// The samples that a combination leaves out; all of them if the model does not support it.
    pub fn excluded(&self, subset: Subset, supported: bool) -> Excluded {
        let mut excluded = Excluded::default();
        for (has, non_finite) in self.presence.iter().zip(&self.non_finite) {
            match subset.bits() & !has.bits() {
                0 => excluded.unusable += usize::from(!supported),
                lacking if lacking & !non_finite == 0 => excluded.non_finite += 1,
                _ => excluded.absent += 1,
            }
        }
        excluded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mm_testing::{clear_to_weak_schema, patterns};

    #[test]
    fn every_sample_counts_once_and_for_its_reason() {
        // Three modalities; row 0 has all, 1 lacks the second, 2 has a second that is not finite, 3 lacks the first and that too.
        let has = [0b111, 0b101, 0b101, 0b100].map(|bits| Subset::from_bits(bits).unwrap());
        let data = patterns(clear_to_weak_schema(), 4, &[0.1; 3], |i| has[i]);
        let samples = TestSamples::new(&data, &[0, 1, 2, 3], &[0, 0, 0b010, 0b010]);
        let counts = |subset: u16, supported| {
            let Excluded { absent, non_finite, unusable } = samples.excluded(Subset::from_bits(subset).unwrap(), supported);
            (absent, non_finite, unusable)
        };
        assert_eq!(counts(0b100, true), (0, 0, 0));
        assert_eq!(counts(0b010, true), (1, 2, 0));
        assert_eq!(counts(0b011, true), (2, 1, 0));
        assert_eq!(counts(0b011, false), (2, 1, 1));
        let readings = samples.readings(&clear_to_weak_schema().modalities);
        assert_eq!(readings.iter().map(|r| (r.present, r.absent, r.non_finite)).collect::<Vec<_>>(), [(3, 1, 0), (1, 1, 2), (4, 0, 0)]);
    }
}
