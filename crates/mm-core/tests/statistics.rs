//! Statistics against hand calculations and their defining properties.

use mm_core::statistics::*;
use proptest::prelude::*;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn outcomes(rows: &[&str]) -> Outcomes {
    Outcomes::from_rows(rows).expect("outcomes")
}

fn quick() -> Bootstrap {
    Bootstrap { resamples: 500, seed: 3 }
}

/// Seeded outcomes: combination `k` of `n` is right with probability `level + k / (4 n)`.
fn random(seed: u64, level: f64, combinations: usize, samples: usize) -> Outcomes {
    use rand::RngExt;
    let mut rng = mm_core::rng::stream(seed, "test", &[]);
    let mut row = |k: usize| -> String {
        let p = level + k as f64 / (4 * combinations) as f64;
        (0..samples).map(|_| if rng.random::<f64>() < p { '1' } else { '0' }).collect()
    };
    let rows: Vec<String> = (0..combinations).map(&mut row).collect();
    Outcomes::from_rows(&rows).expect("outcomes")
}

#[test]
fn estimates_by_hand() {
    // Seed 1: 3/4 and 1/4; seed 2: 4/4 and 2/3, one sample not evaluated.
    let a = [outcomes(&["1110", "0010"]), outcomes(&["1111", "110-"])];
    let linear = Statistic::Linear { weights: vec![2.0, -1.0], offset: 0.5 };
    let statistics = [Statistic::Mean, Statistic::Worst, Statistic::Combination(0), linear];
    let r = quick().run(&[&a], &statistics).expect("bootstrap");
    let estimate = |s| r.interval(0, s).estimate;
    assert!(close(estimate(0), (0.5 + 5.0 / 6.0) / 2.0));
    assert!(close(estimate(1), (0.25 + 2.0 / 3.0) / 2.0));
    assert!(close(estimate(2), 0.875));
    assert!(close(estimate(3), 0.5 + 1.75 - (0.25 + 2.0 / 3.0) / 2.0));
}

#[test]
fn a_mean_has_the_interval_of_the_normal_approximation() {
    // One seed, one combination, 320 of 400 right: sd of the mean sqrt(0.8 * 0.2 / 400) = 0.02.
    let row: String = (0..400).map(|i| if i % 5 == 0 { '0' } else { '1' }).collect();
    let r = Bootstrap { resamples: 4000, seed: 3 }.run(&[&[outcomes(&[&row])]], &[Statistic::Mean]).expect("bootstrap");
    let Interval { estimate, low, high } = r.interval(0, 0);
    assert!(close(estimate, 0.8));
    assert!((low - (0.8 - 1.96 * 0.02)).abs() < 0.004 && (high - (0.8 + 1.96 * 0.02)).abs() < 0.004, "{low} {high}");
}

#[test]
fn seeds_are_resampled_too() {
    // Samples carry no variation; the two seeds do: 1/4 both at 0, 1/2 one each, 1/4 both at 1.
    let a = [outcomes(&["0000"]), outcomes(&["1111"])];
    let interval = quick().run(&[&a], &[Statistic::Mean]).expect("bootstrap").interval(0, 0);
    assert_eq!((interval.low, interval.estimate, interval.high), (0.0, 0.5, 1.0));
}

#[test]
fn pairs_are_resampled_together() {
    // `b` is `a` with one sample of four turned wrong: the difference varies like that sample's count alone, and is never negative.
    let (a, b) = ([outcomes(&["1101"])], [outcomes(&["0101"])]);
    let d = quick().run(&[&a, &b], &[Statistic::Mean]).expect("bootstrap").difference(0, 1, 0);
    assert!(close(d.interval.estimate, 0.25) && d.interval.low == 0.0 && d.interval.high <= 0.75 + 1e-9);
}

#[test]
fn identical_methods_differ_by_nothing() {
    let a = [random(1, 0.6, 7, 60), random(2, 0.6, 7, 60), random(3, 0.6, 7, 60)];
    let r = quick().run(&[&a, &a], &[Statistic::Mean, Statistic::Worst]).expect("bootstrap");
    for s in 0..2 {
        let d = r.difference(0, 1, s);
        assert_eq!((d.interval.estimate, d.interval.low, d.interval.high, d.p), (0.0, 0.0, 0.0, 1.0));
    }
}

#[test]
fn a_clear_difference_is_found_and_a_small_one_is_not() {
    let make = |from: u64, level| [random(from, level, 7, 200), random(from + 1, level, 7, 200), random(from + 2, level, 7, 200)];
    let (good, bad, same) = (make(1, 0.7), make(11, 0.5), make(31, 0.7));
    let r = Bootstrap { resamples: 2000, seed: 3 }.run(&[&good, &bad, &same], &[Statistic::Mean]).expect("bootstrap");
    let (clear, none) = (r.difference(0, 1, 0), r.difference(0, 2, 0));
    assert!(clear.p < 0.002 && clear.interval.low > 0.1);
    assert_eq!(verdict(clear.interval.estimate, clear.p), Verdict::Better);
    assert_eq!(verdict(-clear.interval.estimate, clear.p), Verdict::Worse);
    assert!(none.p > 0.05 && none.interval.low < 0.0 && none.interval.high > 0.0, "{none:?}");
    assert_eq!(verdict(none.interval.estimate, none.p).to_string(), "no difference found");
}

#[test]
fn threads_do_not_change_the_numbers() {
    let (a, b) = ([random(1, 0.6, 5, 300), random(2, 0.6, 5, 300)], [random(3, 0.6, 5, 300), random(4, 0.6, 5, 300)]);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        let r = pool.install(|| quick().run(&[&a, &b], &[Statistic::Mean, Statistic::Worst])).expect("bootstrap");
        [0, 1].map(|s| (r.interval(0, s), r.difference(0, 1, s)))
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(5));
}

#[test]
fn a_combination_is_compared_on_the_samples_that_both_evaluated() {
    let (a, b) = ([outcomes(&["110-"])], [outcomes(&["-100"])]);
    let r = quick().run(&[&a, &b], &[Statistic::Mean]).expect("bootstrap");
    assert!(close(r.interval(0, 0).estimate, 0.5) && close(r.interval(1, 0).estimate, 0.5));
    let none = quick().run(&[&[outcomes(&["11--"])], &[outcomes(&["--11"])]], &[Statistic::Mean]);
    assert!(none.expect_err("nothing in common").to_string().contains("no sample"));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    assert!(Outcomes::from_rows::<&str>(&[]).is_err());
    assert!(Outcomes::from_rows(&["10", "1"]).is_err());
    assert!(Outcomes::from_rows(&["1x"]).expect_err("x").to_string().contains("'x'"));
    let a = [outcomes(&["10"])];
    assert!(quick().run(&[], &[Statistic::Mean]).is_err());
    assert!(quick().run(&[&a, &[]], &[Statistic::Mean]).is_err());
    assert!(quick().run(&[&a, &[outcomes(&["101"])]], &[Statistic::Mean]).is_err());
    assert!(quick().run(&[&a], &[Statistic::Combination(1)]).is_err());
    assert!(quick().run(&[&a], &[Statistic::Linear { weights: vec![1.0, 2.0], offset: 0.0 }]).is_err());
    assert!(Bootstrap { resamples: 0, seed: 0 }.run(&[&a], &[Statistic::Mean]).is_err());
}

#[test]
fn holm_by_hand() {
    // Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, then never falling: 0.04, 0.06, 0.06, 0.06.
    let adjusted = holm(&[0.04, 0.01, 0.03, 0.02]);
    assert!(adjusted.iter().zip([0.06, 0.04, 0.06, 0.06]).all(|(a, b)| close(*a, b)), "{adjusted:?}");
    assert_eq!(holm(&[0.9, f64::NAN]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn effect_sizes_by_hand() {
    // Standard deviations 0.1 and 0.1, difference of means 0.2: d = 2. Paired differences 0.2, 0.1, 0.3: mean 0.2, sd 0.1.
    let e = effect_size(&[0.9, 0.8, 1.0], &[0.7, 0.7, 0.7]);
    assert!(close(e.paired_d.expect("paired"), 2.0));
    assert!(close(e.cohens_d.expect("pooled"), 0.2 / (0.01f64 / 2.0).sqrt()));
    assert!(e.too_few_seeds() && e.seeds == 3);
    assert_eq!(effect_size(&[0.9], &[0.8]).cohens_d, None);
    assert_eq!(effect_size(&[0.9, 0.9], &[0.8, 0.8]).paired_d, None);
    assert_eq!(standard_deviation(&[1.0]), None);
}

#[test]
fn shapley_by_hand() {
    // Glove game: bits 1 and 2 are left gloves, bit 4 the right one; a pair is worth 1. Values 1/6, 1/6, 4/6.
    let table = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let values = shapley_values(&table).expect("complete");
    assert!(values.iter().zip([1.0 / 6.0, 1.0 / 6.0, 4.0 / 6.0]).all(|(a, b)| close(*a, b)), "{values:?}");
    assert_eq!(shapley_values(&[0.1, 0.9]).expect("one modality"), [0.8]);
    assert_eq!(shapley_values(&table[..7]), None);
    assert_eq!(shapley_values(&[0.1, f64::NAN]), None);
    assert!(shapley_weights(0).is_none() && shapley_weights(17).is_none());
    assert_eq!(shapley_weights(16).expect("16").len(), 16);
}

#[test]
fn severity_area_by_hand() {
    // (1 + 0.5) / 2 over 1 of 3, (0.5 + 0) / 2 over 2 of 3.
    assert!(close(area_under_curve(&[(0.0, 1.0), (1.0, 0.5), (3.0, 0.0)]).expect("area"), 0.25 + 0.5 / 3.0));
    assert!(close(area_under_curve(&[(1.0, 0.7), (5.0, 0.7)]).expect("area"), 0.7));
    assert_eq!(area_under_curve(&[(1.0, 0.7)]), None);
    assert_eq!(area_under_curve(&[(2.0, 0.7), (1.0, 0.7)]), None);
}

#[test]
fn pareto_by_hand() {
    let points = [(1.0, 0.5), (2.0, 0.4), (1.0, 0.6), (3.0, 0.9), (2.0, 0.7), (3.0, 0.9), (4.0, f64::NAN), (4.0, 0.9)];
    assert_eq!(pareto_front(&points), [2, 4, 3]);
    assert!(pareto_front(&[]).is_empty());
}

proptest! {
    #[test]
    fn shapley_values_share_out_everything(table in (1usize..=6).prop_flat_map(|m| prop::collection::vec(0.0f64..1.0, 1 << m))) {
        let values = shapley_values(&table).expect("complete");
        prop_assert!(close(values.iter().sum(), table[table.len() - 1] - table[0]));
    }

    #[test]
    fn equal_modalities_have_equal_shapley_values(by_size in prop::collection::vec(0.0f64..1.0, 2..8)) {
        let modalities = by_size.len() - 1;
        let table: Vec<f64> = (0usize..1 << modalities).map(|bits| by_size[bits.count_ones() as usize]).collect();
        let values = shapley_values(&table).expect("complete");
        prop_assert!(values.iter().all(|v| close(*v, values[0])));
    }

    #[test]
    fn holm_keeps_the_order_and_never_lowers(p in prop::collection::vec(0.0f64..=1.0, 0..12)) {
        let adjusted = holm(&p);
        for i in 0..p.len() {
            prop_assert!(adjusted[i] >= p[i] && adjusted[i] <= 1.0);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
            }
        }
    }

    #[test]
    fn an_interval_holds_its_estimate(seed in 0u64..1000, level in 0.1f64..0.7) {
        let interval = Bootstrap { resamples: 60, seed }.run(&[&[random(seed, level, 3, 40)]], &[Statistic::Mean]).expect("bootstrap").interval(0, 0);
        prop_assert!(interval.low <= interval.estimate && interval.estimate <= interval.high);
    }

    #[test]
    fn nothing_on_the_pareto_front_is_beaten(points in prop::collection::vec((1u8..6, 0u8..20), 0..30)) {
        let points: Vec<(f64, f64)> = points.into_iter().map(|(c, v)| (c.into(), v.into())).collect();
        let front = pareto_front(&points);
        for &i in &front {
            prop_assert!(!points.iter().any(|p| p.0 <= points[i].0 && p.1 > points[i].1 || p.0 < points[i].0 && p.1 >= points[i].1));
        }
    }
}
