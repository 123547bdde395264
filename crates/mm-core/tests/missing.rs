//! Missing patterns: right frequencies, repeatable, never empty, never more than what is there.

use mm_core::missing::MissingPattern::{self, *};
use mm_core::{Presence, Subset, rng};
use proptest::prelude::*;

fn subset(bits: u16) -> Subset {
    Subset::from_bits(bits).unwrap()
}

/// How often each bitset comes out of `draws` draws for samples that have `natural`.
fn frequencies(pattern: &MissingPattern, natural: u16, modalities: usize, draws: usize) -> Vec<usize> {
    let natural = Presence::uniform(subset(natural), draws);
    let drawn = pattern.draw(&natural, modalities, &mut rng::stream(5, "mask", &[0])).unwrap();
    let mut counts = vec![0; 1 << modalities];
    drawn.subsets().iter().for_each(|s| counts[s.bits() as usize] += 1);
    counts
}

fn message(pattern: MissingPattern, natural: &[u16], modalities: usize) -> String {
    let natural = Presence::new(natural.iter().map(|&b| subset(b)).collect());
    pattern.draw(&natural, modalities, &mut rng::stream(0, "mask", &[])).unwrap_err().to_string()
}

#[test]
fn uniform_gives_each_of_seven_combinations_its_seventh() {
    let counts = frequencies(&Uniform, 0b111, 3, 70_000);
    assert_eq!(counts[0], 0);
    assert!(counts[1..].iter().all(|c| c.abs_diff(10_000) < 400), "{counts:?}");
    // Inside what is there: two of three modalities, three combinations.
    let counts = frequencies(&Uniform, 0b101, 3, 30_000);
    assert!([1, 4, 5].iter().all(|&s: &usize| counts[s].abs_diff(10_000) < 400), "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), counts[1] + counts[4] + counts[5]);
}

/// P(subset) = prod q or r, over 1 - prod r.
#[test]
fn rates_are_exact_given_that_not_all_are_missing() {
    for (rates, natural) in [([0.1, 0.5, 0.9], 0b111u16), ([0.7, 0.8, 0.9], 0b110), ([0.0, 1.0, 0.4], 0b111), ([1.0, 1.0, 0.4], 0b111)] {
        let draws = 100_000;
        let counts = frequencies(&Rates(rates.to_vec()), natural, 3, draws);
        let probability = |s: u16| -> f64 {
            let has = (0..3).filter(|m| natural >> m & 1 == 1);
            has.map(|m| if s >> m & 1 == 1 { 1.0 - rates[m] } else { rates[m] }).product()
        };
        let not_empty = 1.0 - probability(0);
        for s in 0..8u16 {
            let expected = if s != 0 && s & !natural == 0 { probability(s) / not_empty } else { 0.0 };
            let (n, deviation) = (draws as f64, (draws as f64 * expected * (1.0 - expected)).sqrt());
            assert!((counts[s as usize] as f64 - n * expected).abs() <= 4.5 * deviation, "{rates:?} {s:03b}: {counts:?}");
        }
    }
}

#[test]
fn rates_close_to_one_end_at_once() {
    // To draw until something is there would not end within a day.
    let counts = frequencies(&Rates(vec![0.999999999; 3]), 0b111, 3, 30_000);
    assert!([1, 2, 4].iter().all(|&s: &usize| counts[s].abs_diff(10_000) < 400), "{counts:?}");
    let nearly = 1.0 - f64::EPSILON / 2.0;
    assert_eq!(frequencies(&Rates(vec![1.0, nearly, 1.0]), 0b111, 3, 1000)[2], 1000);
}

#[test]
fn fixed_full_and_natural() {
    let natural = Presence::new(vec![subset(0b111), subset(0b110)]);
    let mut rng = rng::stream(0, "mask", &[]);
    assert_eq!(Natural.draw(&natural, 3, &mut rng).unwrap(), natural);
    assert_eq!(Fixed(subset(0b011)).draw(&natural, 3, &mut rng).unwrap().subsets(), [subset(0b011), subset(0b010)]);
    assert_eq!(Full.draw(&Presence::uniform(subset(0b111), 2), 3, &mut rng).unwrap().len(), 2);
    assert!(Uniform.draw(&Presence::new(vec![]), 3, &mut rng).unwrap().is_empty());
}

#[test]
fn errors_say_which_sample_and_what_to_do() {
    let cases = [
        (message(Fixed(subset(1)), &[0b11, 0b10], 2), "sample 1 of the batch has none of the modalities that the fixed pattern keeps"),
        (message(Full, &[0b11, 0b10], 2), "sample 1 of the batch lacks modality 0"),
        (message(Rates(vec![1.0, 1.0]), &[0b11], 2), "every rate is 1"),
        (message(Rates(vec![1.0, 0.0]), &[0b11, 0b01], 2), "sample 1 of the batch: every modality that it has is missing with rate 1"),
        (message(Rates(vec![0.5]), &[0b11], 2), "1 rates for 2 modalities"),
        (message(Rates(vec![0.5, f64::NAN]), &[0b11], 2), "rate NaN of modality 1"),
        (message(Rates(vec![-0.5, 0.0]), &[0b11], 2), "rate -0.5 of modality 0"),
        (message(Fixed(subset(0b100)), &[0b11], 2), "names modality 2, but there are only 2"),
        (message(Uniform, &[0b11, 0b100], 2), "sample 1 of the batch has modality 2"),
        (message(Uniform, &[1], 17), "1 to 16 modalities"),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found:?} lacks {expected:?}");
    }
}

#[test]
fn patterns_are_readable_in_files() {
    for (pattern, text) in
        [(Uniform, "\"uniform\""), (Rates(vec![0.5, 0.25]), "{\"rates\":[0.5,0.25]}"), (Fixed(subset(3)), "{\"fixed\":3}")]
    {
        assert_eq!(serde_json::to_string(&pattern).unwrap(), text);
        assert_eq!(serde_json::from_str::<MissingPattern>(text).unwrap(), pattern);
    }
    assert!(serde_json::from_str::<MissingPattern>("{\"fixed\":0}").is_err());
}

fn any_pattern(modalities: usize) -> impl Strategy<Value = MissingPattern> {
    prop_oneof![Just(Uniform), Just(Natural), prop::collection::vec(0.0..0.999f64, modalities).prop_map(Rates)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_empty_never_more_and_repeatable(
        (modalities, naturals, pattern) in (1usize..=16).prop_flat_map(|m| {
            (Just(m), prop::collection::vec(1..=Subset::full(m).bits(), 0..50), any_pattern(m))
        }),
        seed in any::<u64>(),
    ) {
        let natural = Presence::new(naturals.iter().map(|&b| subset(b)).collect());
        let draw = |seed| pattern.draw(&natural, modalities, &mut rng::stream(seed, "mask", &[1, 2])).unwrap();
        let drawn = draw(seed);
        prop_assert_eq!(drawn.len(), natural.len());
        prop_assert!(drawn.subsets().iter().zip(natural.subsets()).all(|(d, n)| d.is_subset_of(*n) && d.bits() != 0));
        prop_assert_eq!(drawn, draw(seed));
    }
}
