//! Missing patterns: right frequencies, repeatable, never empty, never more than what is there.

use candle_core::Device;
use mm_core::data::{Batch, InputSpec, Schema, Source, TableDataset, Target, with_presence};
use mm_core::missing::MissingPattern::{self, *};
use mm_core::rng::Draws;
use mm_core::{Modalities, Presence, Result, Subset};
use mm_testing::Hidden;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// `m0`, `m1`, ...
fn modalities(count: usize) -> Modalities {
    Modalities::new((0..count).map(|m| format!("m{m}"))).unwrap()
}

/// One rate for each of `m0`, `m1`, ...
fn rates(rates: &[f64]) -> MissingPattern {
    Rates(rates.iter().enumerate().map(|(m, &rate)| (format!("m{m}"), rate)).collect())
}

fn subset(bits: u16) -> Subset {
    Subset::from_bits(bits).unwrap()
}

/// What samples 0, 1, 2, ... keep.
fn draw(pattern: &MissingPattern, natural: &Presence, count: usize, draws: &Draws) -> Result<Presence> {
    let ids: Vec<u64> = (0..natural.len() as u64).collect();
    pattern.draw(natural, &modalities(count), &ids, draws)
}

/// How often each bitset comes out of `draws` draws for samples that have `natural`.
fn frequencies(pattern: &MissingPattern, natural: u16, count: usize, draws: usize) -> Vec<usize> {
    let natural = Presence::uniform(subset(natural), draws);
    let drawn = draw(pattern, &natural, count, &Draws::new(5, "mask", &[0])).unwrap();
    let mut counts = vec![0; 1 << count];
    drawn.subsets().iter().for_each(|s| counts[s.bits() as usize] += 1);
    counts
}

fn message(pattern: MissingPattern, natural: &[u16], count: usize) -> String {
    let natural = Presence::new(natural.iter().map(|&b| subset(b)).collect());
    draw(&pattern, &natural, count, &Draws::new(0, "mask", &[])).unwrap_err().to_string()
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
    for (each, natural) in [([0.1, 0.5, 0.9], 0b111u16), ([0.7, 0.8, 0.9], 0b110), ([0.0, 1.0, 0.4], 0b111), ([1.0, 1.0, 0.4], 0b111)] {
        let draws = 100_000;
        let counts = frequencies(&rates(&each), natural, 3, draws);
        let probability = |s: u16| -> f64 {
            let has = (0..3).filter(|m| natural >> m & 1 == 1);
            has.map(|m| if s >> m & 1 == 1 { 1.0 - each[m] } else { each[m] }).product()
        };
        let not_empty = 1.0 - probability(0);
        for s in 0..8u16 {
            let expected = if s != 0 && s & !natural == 0 { probability(s) / not_empty } else { 0.0 };
            let (n, deviation) = (draws as f64, (draws as f64 * expected * (1.0 - expected)).sqrt());
            assert!((counts[s as usize] as f64 - n * expected).abs() <= 4.5 * deviation, "{each:?} {s:03b}: {counts:?}");
        }
    }
}

#[test]
fn rates_close_to_one_end_at_once() {
    // To draw until something is there would not end within a day.
    let counts = frequencies(&rates(&[0.999999999; 3]), 0b111, 3, 30_000);
    assert!([1, 2, 4].iter().all(|&s: &usize| counts[s].abs_diff(10_000) < 400), "{counts:?}");
    let nearly = 1.0 - f64::EPSILON / 2.0;
    assert_eq!(frequencies(&rates(&[1.0, nearly, 1.0]), 0b111, 3, 1000)[2], 1000);
}

#[test]
fn fixed_full_and_natural() {
    let natural = Presence::new(vec![subset(0b111), subset(0b110)]);
    let draws = Draws::new(0, "mask", &[]);
    assert_eq!(draw(&Natural, &natural, 3, &draws).unwrap(), natural);
    assert_eq!(draw(&Fixed("m1+m0".into()), &natural, 3, &draws).unwrap().subsets(), [subset(0b011), subset(0b010)]);
    assert_eq!(draw(&Full, &Presence::uniform(subset(0b111), 2), 3, &draws).unwrap().len(), 2);
    assert!(draw(&Uniform, &Presence::new(vec![]), 3, &draws).unwrap().is_empty());
}

#[test]
fn one_rate_is_that_of_every_modality_and_who_is_not_named_stays() {
    assert_eq!(frequencies(&Rate(0.3), 0b111, 3, 5000), frequencies(&rates(&[0.3; 3]), 0b111, 3, 5000));
    let only_second = Rates(BTreeMap::from([("m1".to_string(), 0.3)]));
    assert_eq!(frequencies(&only_second, 0b111, 3, 5000), frequencies(&rates(&[0.0, 0.3, 0.0]), 0b111, 3, 5000));
}

#[test]
fn errors_say_which_sample_and_what_to_do() {
    let cases = [
        (message(Fixed("m0".into()), &[0b11, 0b10], 2), "sample 1 has m1; such samples have none of m0"),
        (message(Full, &[0b11, 0b10], 2), "sample 1 has m1; such samples lack a modality"),
        (message(Rate(1.0), &[0b11], 2), "every rate is 1"),
        (message(rates(&[1.0, 1.0]), &[0b11], 2), "every rate is 1"),
        (message(rates(&[1.0, 0.0]), &[0b11, 0b01], 2), "sample 1 has m0; such samples have only modalities that are missing with rate 1"),
        (message(Rates([("M1x".to_string(), 0.5)].into()), &[0b11], 2), "no modality is called \"M1x\" (did you mean \"m1\"?)"),
        (message(rates(&[0.5, f64::NAN]), &[0b11], 2), "rate NaN of modality \"m1\""),
        (message(rates(&[-0.5, 0.0]), &[0b11], 2), "rate -0.5 of modality \"m0\""),
        (message(Rate(1.5), &[0b11], 2), "`missing.rate`: rate 1.5 is not between 0 and 1"),
        (message(Fixed("m2".into()), &[0b11], 2), "`missing.fixed`: modality: no modality is called \"m2\""),
        (message(Uniform, &[0b11, 0b100], 2), "sample 1 has a modality past the 2"),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found:?} lacks {expected:?}");
    }
}

/// What drawing would stumble over is known before.
#[test]
fn samples_are_checked_before_the_first_draw() {
    let check = |pattern: MissingPattern, natural: &[u16]| {
        let natural = Presence::new(natural.iter().map(|&b| subset(b)).collect());
        let drawn = draw(&pattern, &natural, 2, &Draws::new(0, "mask", &[]));
        let checked = pattern.check_samples(&natural, &modalities(2));
        assert_eq!(checked.is_ok(), drawn.is_ok(), "{pattern:?}");
        checked.err().map(|e| e.to_string()).unwrap_or_default()
    };
    for pattern in [Natural, Uniform, Rate(0.9), rates(&[1.0, 0.5]), Fixed("m1".into())] {
        assert_eq!(check(pattern, &[0b10, 0b11]), "");
    }
    assert!(check(Full, &[0b10, 0b11, 0b01]).contains("2 of 3 training samples lack a modality"));
    assert!(check(Fixed("m0".into()), &[0b10, 0b11]).contains("1 of 2 training samples have none of m0"));
    assert!(check(rates(&[1.0, 0.5]), &[0b01, 0b11]).contains("1 of 2 training samples have only modalities that are missing with rate 1"));
}

#[test]
fn patterns_are_readable_in_files() {
    let cases = [
        (Uniform, "\"uniform\""),
        (Rate(0.3), "{\"rate\":0.3}"),
        (rates(&[0.5, 0.25]), "{\"rates\":{\"m0\":0.5,\"m1\":0.25}}"),
        (Fixed("rgb+depth".into()), "{\"fixed\":\"rgb+depth\"}"),
    ];
    for (pattern, text) in cases {
        assert_eq!(serde_json::to_string(&pattern).unwrap(), text);
        assert_eq!(serde_json::from_str::<MissingPattern>(text).unwrap(), pattern);
    }
    let error = serde_json::from_str::<MissingPattern>("{\"rates\":[0.1,0.2]}").unwrap_err().to_string();
    assert!(error.contains("expected a rate for each modality by name, such as `{ rgb = 0.1, depth = 0.3 }`"), "{error}");
    assert!(serde_json::from_str::<MissingPattern>("{\"rate\":0.1,\"rates\":{}}").is_err());
}

fn any_pattern(count: usize) -> impl Strategy<Value = MissingPattern> {
    prop_oneof![
        Just(Uniform),
        Just(Natural),
        prop::collection::vec(0.0..0.999f64, count).prop_map(|each| rates(&each)),
        (0.0..0.999f64).prop_map(Rate)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_empty_never_more_and_repeatable(
        (count, naturals, pattern) in (1usize..=16).prop_flat_map(|m| {
            (Just(m), prop::collection::vec(1..=Subset::full(m).bits(), 0..50), any_pattern(m))
        }),
        seed in any::<u64>(),
    ) {
        let natural = Presence::new(naturals.iter().map(|&b| subset(b)).collect());
        let draw = |seed| draw(&pattern, &natural, count, &Draws::new(seed, "mask", &[1, 2])).unwrap();
        let drawn = draw(seed);
        prop_assert_eq!(drawn.len(), natural.len());
        prop_assert!(drawn.subsets().iter().zip(natural.subsets()).all(|(d, n)| d.is_subset_of(*n) && d.bits() != 0));
        prop_assert_eq!(drawn, draw(seed));
    }

    /// What a sample keeps depends on its number alone: halves of a batch, and a batch in another order, draw what the batch draws.
    #[test]
    fn each_sample_draws_for_itself(
        (naturals, pattern) in (prop::collection::vec(1u16..16, 1..40), any_pattern(4)), seed in any::<u64>(), first in any::<u32>(),
    ) {
        let (modalities, draws) = (modalities(4), Draws::new(seed, "mask", &[7]));
        // Numbers of samples anywhere in a data set, none of them twice.
        let samples: Vec<(u64, Subset)> = (0u64..).map(|i| u64::from(first) + 3 * i).zip(naturals.iter().map(|&b| subset(b))).collect();
        let drawn = |samples: &[(u64, Subset)]| -> Vec<Subset> {
            let (ids, natural): (Vec<u64>, Vec<Subset>) = samples.iter().copied().unzip();
            pattern.draw(&Presence::new(natural), &modalities, &ids, &draws).unwrap().subsets().to_vec()
        };
        let whole = drawn(&samples);
        let (left, right) = samples.split_at(samples.len() / 2);
        prop_assert_eq!([drawn(left), drawn(right)].concat(), whole.clone());
        let turned: Vec<(u64, Subset)> = samples.iter().rev().copied().collect();
        prop_assert_eq!(drawn(&turned), whole.iter().rev().copied().collect::<Vec<_>>());
    }
}

/// Samples and purposes have streams of their own.
#[test]
fn draws_of_two_samples_and_of_two_purposes_differ() {
    let natural = Presence::uniform(subset(0b1111_1111), 64);
    let drawn = |purpose: &str, indices: &[u64]| draw(&Uniform, &natural, 8, &Draws::new(3, purpose, indices)).unwrap();
    let mask = drawn("mask", &[0]);
    assert!(mask.subsets().iter().collect::<std::collections::HashSet<_>>().len() > 40);
    for other in [drawn("mask", &[1]), drawn("other", &[0])] {
        assert!(mask.subsets().iter().zip(other.subsets()).filter(|(a, b)| a == b).count() < 5);
    }
}

/// Three samples of two sensors `m0` and `m1`, of the classes `cat`, `dog` and `cat`; what `m1` reads is given.
fn complete(readings: [f32; 3]) -> TableDataset {
    let schema = Schema::new(modalities(2), vec![InputSpec::vector(2); 2], Target::of_classes(["cat", "dog"])).unwrap();
    let second = readings.iter().flat_map(|x| [x - 1.0, x + 1.0]).collect();
    TableDataset::new(schema, vec![vec![0.0; 6], second], Presence::uniform(subset(0b11), 3), vec![0, 1, 0]).unwrap()
}

/// How often `m1` is missing of each of three samples, over many epochs; drawn from batches and from rows alike.
fn share_missing(pattern: &MissingPattern, data: &TableDataset) -> Vec<f64> {
    let batch = data.batch(&[0, 1, 2], &Device::Cpu).unwrap();
    let mut missing = [0; 3];
    for epoch in 0..20_000 {
        let draws = Draws::new(1, "mask", &[epoch]);
        let drawn = pattern.draw_batch(batch.presence(), &batch, data.schema(), &draws).unwrap();
        if epoch < 100 {
            assert_eq!(pattern.draw_rows(data, &[0, 1, 2], &draws).unwrap(), drawn);
        }
        missing.iter_mut().zip(drawn.subsets()).for_each(|(count, has)| *count += usize::from(!has.contains(1)));
    }
    missing.iter().map(|&count| f64::from(count as u32) / 20_000.0).collect()
}

#[test]
fn a_rate_may_depend_on_the_class() {
    let by_class = |text: &str| serde_json::from_str::<MissingPattern>(text).unwrap();
    let pattern = by_class(r#"{"by_class":{"m1":{"cat":0.6,"dog":0.1}}}"#);
    let found = share_missing(&pattern, &complete([0.0; 3]));
    assert!(found.iter().zip([0.6, 0.1, 0.6]).all(|(found, expected)| (found - expected).abs() < 0.02), "{found:?}");
    // A class that is not named keeps everything; with rate 1 the sensor never is there.
    assert_eq!(share_missing(&by_class(r#"{"by_class":{"m1":{"dog":1.0}}}"#), &complete([0.0; 3])), [0.0, 1.0, 0.0]);
    let data = complete([0.0; 3]);
    let error = |text: &str| by_class(text).draw_rows(&data, &[0, 1], &Draws::new(0, "mask", &[])).unwrap_err().to_string();
    for (text, expected) in [
        (r#"{"by_class":{"m1":{"doog":0.5}}}"#, "no class is called \"doog\" (did you mean \"dog\"?)"),
        (r#"{"by_class":{"m2":{"dog":0.5}}}"#, "no modality is called \"m2\""),
        (r#"{"by_class":{"m1":{"dog":1.5}}}"#, "rate 1.5 of \"m1\" for class \"dog\" is not between 0 and 1"),
        (r#"{"by_class":{"m1":{"dog":0.5},"all":{"dog":0.5}}}"#, "modality \"m1\" is named twice"),
        (r#"{"by_class":{"all":{"dog":1.0}}}"#, "sample 1 has m0+m1; such samples have only modalities that are missing with rate 1"),
    ] {
        assert!(error(text).contains(expected), "{}", error(text));
    }
    let without = draw(&pattern, data.presences(), 2, &Draws::new(0, "mask", &[])).unwrap_err().to_string();
    assert!(without.contains("draw with `draw_batch`"), "{without}");
}

/// `sigmoid(logit(0.3) + 2 level)` at the levels -1, 0 and 1 is .055, .3 and .760.
#[test]
fn a_rate_may_depend_on_what_the_sensor_reads() {
    let by_value = |text: &str| serde_json::from_str::<MissingPattern>(text).unwrap();
    let pattern = by_value(r#"{"by_value":{"m1":{"rate":0.3,"slope":2.0}}}"#);
    let found = share_missing(&pattern, &complete([-1.0, 0.0, 1.0]));
    assert!(found.iter().zip([0.0548, 0.3, 0.7600]).all(|(found, expected)| (found - expected).abs() < 0.02), "{found:?}");
    // What is absent is not looked at, whatever stands there.
    let data = complete([f32::MAX; 3]).with_presence(Presence::uniform(subset(0b01), 3)).unwrap();
    assert_eq!(pattern.draw_rows(&data, &[0, 1, 2], &Draws::new(0, "mask", &[])).unwrap(), *data.presences());
    let error = |text: &str| by_value(text).check(&modalities(2)).unwrap_err().to_string();
    assert!(error(r#"{"by_value":{"m1":{"rate":1.0,"slope":2.0}}}"#).contains("a rate is above 0 and below 1"));
    assert!(error(r#"{"by_value":{"m7":{"rate":0.5,"slope":2.0}}}"#).contains("no modality is called \"m7\""));
}

#[test]
fn combinations_are_kept_as_often_as_their_weights_say() {
    let pattern: MissingPattern = serde_json::from_str(r#"{"combinations":{"m0":1,"m1+m2":3,"m2":0}}"#).unwrap();
    let counts = frequencies(&pattern, 0b111, 3, 40_000);
    assert!(counts[0b001].abs_diff(10_000) < 400 && counts[0b110].abs_diff(30_000) < 400, "{counts:?}");
    // Of a sample that lacks some of it, what it has; a combination of which it has nothing is not drawn.
    assert_eq!(frequencies(&pattern, 0b100, 3, 100)[0b100], 100);
    let error = |text: &str| {
        let pattern: MissingPattern = serde_json::from_str(text).unwrap();
        message(pattern, &[0b01], 3)
    };
    for (text, expected) in [
        (r#"{"combinations":{"m1":1}}"#, "sample 0 has m0; such samples have nothing of any combination that has a weight"),
        (r#"{"combinations":{"m0":0}}"#, "every weight is 0"),
        (r#"{"combinations":{"m0":-1}}"#, "weight -1 of \"m0\""),
        (r#"{"combinations":{"m0+m1":1,"m1+m0":1}}"#, "missing.combinations"),
    ] {
        assert!(error(text).contains(expected), "{}", error(text));
    }
}

/// What a sample loses for good it has no more, in a table and in any other source; the rest is as it was.
#[test]
fn sensors_are_lost_for_good() {
    let left = Presence::new(vec![subset(0b01), subset(0b11), subset(0b10)]);
    let sources: [Box<dyn Source>; 2] = [Box::new(complete([1.0, 2.0, 3.0])), Box::new(Hidden(complete([1.0, 2.0, 3.0])))];
    for source in sources {
        let whole = source.batch(&[0, 1, 2], &Device::Cpu).unwrap();
        let source = with_presence(source, left.clone()).unwrap();
        let batch = source.batch(&[0, 1, 2], &Device::Cpu).unwrap();
        assert_eq!((batch.presence(), source.meta(2).class), (&left, Some(0)));
        let rows = |batch: &Batch| batch.inputs().at(1).unwrap().values.to_vec2::<f32>().unwrap();
        assert_eq!((&rows(&batch)[1..], &rows(&batch)[0]), (&rows(&whole)[1..], &vec![0.0, 0.0]));
        let mut seen = Vec::new();
        source.visit_values(&[0, 1, 2], &mut |m, _| seen.push(m)).unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [0, 0, 1, 1]);
        assert!(with_presence(source, Presence::uniform(subset(0b11), 3)).is_err());
    }
}
