//! Statistics against hand calculations and their defining properties.

#[path = "../../examples/coverage/trial.rs"]
mod trial;

use mm_core::statistics::*;
use proptest::prelude::*;
use trial::{Setting, Sharing};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn outcomes(rows: &[&str]) -> Outcomes {
    Outcomes::from_rows(rows).expect("outcomes")
}

fn quick() -> Bootstrap {
    Bootstrap { resamples: 500, seed: 3 }
}

fn outcomes_of(rows: Vec<String>) -> Outcomes {
    Outcomes::from_rows(&rows).expect("outcomes")
}

/// Seeded rows: combination `k` of `n` is right with probability `level + k / (4 n)`.
fn random(seed: u64, level: f64, combinations: usize, samples: usize) -> Vec<String> {
    use rand::RngExt;
    let mut rng = mm_core::rng::stream(seed, "test", &[]);
    let mut row = |k: usize| -> String {
        let p = level + k as f64 / (4 * combinations) as f64;
        (0..samples).map(|_| if rng.random::<f64>() < p { '1' } else { '0' }).collect()
    };
    (0..combinations).map(&mut row).collect()
}

/// The mean of a method's only column or the given ones.
fn mean(columns: &[usize]) -> Statistic {
    Statistic::Mean(columns.to_vec())
}

/// The difference of two statistics, judged by itself.
fn difference(bootstrap: &Bootstrap, seeds: &[Outcomes], a: &Statistic, b: &Statistic) -> Difference {
    let resampled = bootstrap.run(seeds).expect("bootstrap");
    simultaneous(&[resampled.statistic(a).expect("a").minus(&resampled.statistic(b).expect("b")).estimate()])[0]
}

fn estimate(bootstrap: &Bootstrap, seeds: &[Outcomes], statistic: &Statistic) -> Estimate {
    bootstrap.run(seeds).expect("bootstrap").statistic(statistic).expect("statistic").estimate()
}

fn interval(bootstrap: &Bootstrap, seeds: &[Outcomes], statistic: &Statistic) -> Interval {
    estimate(bootstrap, seeds, statistic).interval(LEVEL)
}

/// A seed whose samples have these ids.
fn with_ids(rows: Vec<String>, ids: std::ops::Range<u64>) -> Outcomes {
    outcomes_of(rows).with_ids(ids.collect()).expect("ids")
}

#[test]
fn estimates_by_hand() {
    // Seed 1: 3/4 and 1/4; seed 2: 4/4 and 2/3, one sample not evaluated.
    let seeds = [outcomes(&["1110", "0010"]), outcomes(&["1111", "110-"])];
    let resampled = quick().run(&seeds).expect("bootstrap");
    let estimate = |s: &Statistic| resampled.statistic(s).expect("statistic").estimate().value;
    assert!(close(estimate(&mean(&[0, 1])), (0.5 + 5.0 / 6.0) / 2.0));
    assert!(close(estimate(&Statistic::Worst(vec![0, 1])), (0.25 + 2.0 / 3.0) / 2.0));
    assert!(close(estimate(&Statistic::Single(0)), 0.875));
    let linear = Statistic::Linear { terms: vec![(0, 2.0), (1, -1.0)], offset: 0.5 };
    assert!(close(estimate(&linear), 0.5 + 1.75 - (0.25 + 2.0 / 3.0) / 2.0));
}

#[test]
fn a_mean_has_the_interval_of_the_normal_approximation() {
    // One seed, one column, 320 of 400 right: sd of the mean sqrt(0.8 * 0.2 / 400) = 0.02.
    let row: String = (0..400).map(|i| if i % 5 == 0 { '0' } else { '1' }).collect();
    let Interval { estimate, low, high } = interval(&Bootstrap { resamples: 4000, seed: 3 }, &[outcomes(&[&row])], &mean(&[0]));
    assert!(close(estimate, 0.8));
    assert!((low - (0.8 - 1.96 * 0.02)).abs() < 0.004 && (high - (0.8 + 1.96 * 0.02)).abs() < 0.004, "{low} {high}");
}

#[test]
fn seeds_with_samples_of_their_own_have_the_t_interval_of_their_values() {
    // 0.4, 0.5 and 0.6: standard deviation 0.1, two degrees of freedom, 4.303 standard errors.
    let seed = |right: usize| outcomes(&[&["1".repeat(right), "0".repeat(400 - right)].concat()]);
    let Interval { estimate, low, high } = interval(&quick(), &[seed(160), seed(200), seed(240)], &mean(&[0]));
    let half = 4.303 * 0.1 / 3f64.sqrt();
    assert!(close(estimate, 0.5) && (high - 0.5 - half).abs() < 0.01 && (0.5 - low - half).abs() < 0.01, "{low} {high}");
}

#[test]
fn seeds_that_are_copies_have_the_interval_of_one() {
    let rows = [random(1, 0.6, 3, 150), random(2, 0.65, 3, 150)].concat();
    let one = [with_ids(rows.clone(), 0..150)];
    let five: Vec<Outcomes> = (0..5).map(|_| with_ids(rows.clone(), 0..150)).collect();
    for statistic in [mean(&[0, 1, 2]), Statistic::Worst(vec![0, 1, 2]), Statistic::Single(4)] {
        let (a, b) = (interval(&quick(), &one, &statistic), interval(&quick(), &five, &statistic));
        assert!(close(a.low, b.low) && close(a.high, b.high), "{a:?} {b:?}");
    }
    let d = |seeds: &[Outcomes]| difference(&quick(), seeds, &mean(&[0, 1, 2]), &mean(&[3, 4, 5]));
    assert!(close(d(&one).p, d(&five).p) && close(d(&one).interval.low, d(&five).interval.low));
    // In another order they are the same samples.
    let mirror = |text: &String| text.chars().rev().collect::<String>();
    let turned = outcomes_of(rows.iter().map(mirror).collect()).with_ids((0..150).rev().collect()).expect("ids");
    let pair = interval(&quick(), &[one[0].clone(), turned], &mean(&[0, 1, 2]));
    assert!(close(pair.low, interval(&quick(), &one, &mean(&[0, 1, 2])).low));
    // Taken for samples of their own they would seem to be five times as many.
    let apart: Vec<Outcomes> = (0..5).map(|_| outcomes_of(rows.clone())).collect();
    let within = |seeds: &[Outcomes]| estimate(&quick(), seeds, &mean(&[0, 1, 2])).within;
    assert!((within(&five) / within(&apart) - 5.0).abs() < 1.0);
}

#[test]
fn shared_samples_are_a_two_way_layout() {
    // 100 samples are right with every seed, 100 with none, 100 with the first seed only: variances by hand.
    let (all, none) = ("1".repeat(100), "0".repeat(100));
    let seeds = [[&*all, &*none, &*all].concat(), [&*all, &*none, &*none].concat()].map(|row| with_ids(vec![row], 0..300));
    let e = estimate(&Bootstrap { resamples: 4000, seed: 1 }, &seeds, &mean(&[0]));
    // Sample means 1, 0, 1/2 have the variance 1/6; half the difference of the seeds, 0 or 1/2, has 1/18 around its mean 1/6.
    let (within, twice) = (1.0 / 6.0 / 300.0, 1.0 / 18.0 / 300.0);
    // The seeds' accuracies are 2/3 and 1/3.
    let between = 1.0 / 18.0 / 2.0;
    assert!((e.within / within - 1.0).abs() < 0.1, "{e:?}");
    assert!((e.variance / (within - twice + between) - 1.0).abs() < 0.01, "{e:?}");
    // One degree of freedom of the seeds, which are nearly all of the variance.
    assert!((e.freedom - 1.0).abs() < 0.02, "{e:?}");
    // Student's t with one degree is a Cauchy distribution: tan of 0.475 pi.
    let Interval { estimate, high, .. } = e.interval(LEVEL);
    assert!(((high - estimate) / e.variance.sqrt() - 12.706).abs() < 0.6);
}

#[test]
fn intervals_hold_the_truth_and_equal_methods_are_rarely_told_apart() {
    // The bounds are five standard errors of 300 trials wide; `--example coverage` has the table.
    for sharing in [Sharing::Same, Sharing::Half, Sharing::Fifths, Sharing::None] {
        for seeds in [3, 5, 10] {
            let shares = Setting { sharing, seeds, training: 0.15 }.run(300, 100);
            assert!(shares.coverage > 0.887, "{sharing:?} {seeds} {shares:?}");
            assert!(shares.false_mean < 0.113 && shares.false_worst < 0.113, "{sharing:?} {seeds} {shares:?}");
        }
    }
}

#[test]
fn samples_that_seeds_share_are_no_more_than_they_are() {
    // What the test is for: with samples drawn anew for each seed, these would be a quarter or more.
    let shares = Setting { sharing: Sharing::Same, seeds: 10, training: 0.05 }.run(400, 100);
    assert!(shares.false_mean < 0.1 && shares.coverage > 0.9, "{shares:?}");
}

#[test]
fn pairs_are_resampled_together() {
    // Column 1 is column 0 with one sample of twenty turned wrong: the difference is that sample's count alone.
    let (all, but_one) = ("1".repeat(20), ["1".repeat(19), "0".into()].concat());
    let seeds = [outcomes(&[&all, &but_one])];
    let resampled = Bootstrap { resamples: 4000, seed: 3 }.run(&seeds).expect("bootstrap");
    let minus = resampled.statistic(&mean(&[0])).expect("a").minus(&resampled.statistic(&mean(&[1])).expect("b")).estimate();
    assert!(close(minus.value, 0.05) && (minus.variance / (0.05 * 0.95 / 19.0) - 1.0).abs() < 0.1, "{minus:?}");
}

#[test]
fn identical_methods_differ_by_nothing() {
    let twice = |seed| {
        let rows = random(seed, 0.6, 7, 60);
        Outcomes::from_rows(&[rows.clone(), rows].concat()).expect("outcomes")
    };
    let seeds = [twice(1), twice(2), twice(3)];
    let [a, b] = [(0..7).collect::<Vec<_>>(), (7..14).collect()];
    for statistic in [Statistic::Mean as fn(Vec<usize>) -> Statistic, Statistic::Worst] {
        let d = difference(&quick(), &seeds, &statistic(a.clone()), &statistic(b.clone()));
        assert_eq!((d.interval.estimate, d.interval.low, d.interval.high, d.p), (0.0, 0.0, 0.0, 1.0));
    }
}

#[test]
fn a_clear_difference_is_found_and_a_small_one_is_not() {
    let seed = |s: u64| outcomes_of([random(s, 0.7, 7, 200), random(s + 10, 0.5, 7, 200), random(s + 30, 0.7, 7, 200)].concat());
    let seeds = [seed(1), seed(2), seed(3)];
    let resampled = Bootstrap { resamples: 2000, seed: 3 }.run(&seeds).expect("bootstrap");
    let methods = [0..7, 7..14, 14..21].map(|columns| resampled.statistic(&mean(&columns.collect::<Vec<_>>())).expect("mean"));
    let against = |a: usize, b: usize| methods[a].minus(&methods[b]).estimate();
    let judged = simultaneous(&[against(0, 1), against(1, 0), against(0, 2)]);
    assert_eq!(judged.iter().map(|d| d.verdict).collect::<Vec<_>>(), [Verdict::Better, Verdict::Worse, Verdict::NoDifferenceFound]);
    assert!(judged[0].adjusted_p < 0.05 && judged[0].interval.low > 0.1 && close(judged[0].adjusted_p, 3.0 * judged[0].p));
    assert!(judged[2].p > 0.05 && judged[2].interval.low < 0.0 && judged[2].interval.high > 0.0, "{judged:?}");
    assert_eq!(judged[2].verdict.to_string(), "no difference found");
}

#[test]
fn more_comparisons_widen_every_interval() {
    let one = Estimate { value: 0.1, variance: 0.0016, freedom: 10.0, within: 0.0016, samples: 200, few: vec![] };
    let width = |n: usize| simultaneous(&vec![one.clone(); n])[0].interval.high - 0.1;
    // Student's t with ten degrees of freedom: 2.228 at 5 %, 3.581 at 0.5 %, two-sided.
    assert!((width(1) - 0.04 * 2.228).abs() < 1e-4 && (width(10) - 0.04 * 3.581).abs() < 1e-4);
    assert_eq!(simultaneous(std::slice::from_ref(&one))[0].verdict, Verdict::Better);
    assert_eq!(simultaneous(&vec![one; 10])[0].verdict, Verdict::NoDifferenceFound);
    assert!(simultaneous(&[]).is_empty());
}

#[test]
fn few_samples_that_agree_prove_nothing() {
    // Three samples that all speak for one method would do so by chance in one of four cases.
    let few = difference(&quick(), &[outcomes(&["111", "000"])], &mean(&[0]), &mean(&[1]));
    assert_eq!((few.interval.low, few.interval.high, few.p, few.verdict), (-1.0, 1.0, 0.25, Verdict::NoDifferenceFound));
    let many = difference(&quick(), &[outcomes(&["1111111111", "0000000000"])], &mean(&[0]), &mean(&[1]));
    assert_eq!((many.interval.low, many.p, many.verdict), (1.0, 2f64.powi(-9), Verdict::Better));
    // Samples count once, with however many seeds; those that were not evaluated do not.
    let seeds = [with_ids(vec!["111-".into(), "000-".into()], 0..4), with_ids(vec!["111-".into(), "000-".into()], 0..4)];
    assert_eq!(difference(&quick(), &seeds, &mean(&[0]), &mean(&[1])).p, 0.25);
    // One of two accuracies on a single sample: the mean may be half a point lower or higher than its samples say; the lowest anything.
    let seeds = [outcomes(&["1111111111", "1---------"])];
    let both = interval(&quick(), &seeds, &mean(&[0, 1]));
    assert_eq!((both.estimate, both.low, both.high), (1.0, 0.5, 1.5));
    assert_eq!(interval(&quick(), &seeds, &Statistic::Worst(vec![0, 1])).low, 0.0);
    assert_eq!(interval(&quick(), &seeds, &mean(&[0])).low, 1.0);
}

#[test]
fn threads_do_not_change_the_numbers() {
    let seeds = [outcomes_of(random(1, 0.6, 5, 300)), outcomes_of(random(2, 0.6, 5, 300))];
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        pool.install(|| difference(&quick(), &seeds, &mean(&[0, 1, 2]), &Statistic::Worst(vec![3, 4])))
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(5));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    assert!(Outcomes::from_rows::<&str>(&[]).is_err());
    assert!(Outcomes::from_rows(&["10", "1"]).is_err());
    assert!(Outcomes::from_rows(&["1x"]).expect_err("x").to_string().contains("'x'"));
    assert!(quick().run(&[]).is_err());
    assert!(quick().run(&[outcomes(&["10"]), outcomes(&["10", "11"])]).is_err());
    assert!(Bootstrap { resamples: 0, seed: 0 }.run(&[outcomes(&["10"])]).is_err());
    let resampled = quick().run(&[outcomes(&["10", "--"])]).expect("bootstrap");
    let error = |s: Statistic| resampled.statistic(&s).expect_err("refused").to_string();
    assert!(error(Statistic::Single(2)).contains("column 2 of 2"));
    assert!(error(Statistic::Worst(vec![0, 1])).contains("no sample of column 1"));
    assert!(error(Statistic::Mean(vec![])).contains("at least one column"));
    assert!(outcomes(&["10"]).with_ids(vec![1]).expect_err("too few").to_string().contains("1 ids for 2 samples"));
    assert!(outcomes(&["10"]).with_ids(vec![7, 7]).expect_err("twice").to_string().contains("id 7"));
}

#[test]
fn a_resample_without_an_evaluated_sample_keeps_the_accuracy() {
    // Six evaluated samples of a hundred: some resamples have none.
    let row = ["1".repeat(6), "-".repeat(94)].concat();
    let Interval { estimate, low, high } = interval(&quick(), &[outcomes(&[&row])], &mean(&[0]));
    assert_eq!((estimate, low, high), (1.0, 1.0, 1.0));
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
    fn a_verdict_says_what_its_interval_and_p_value_do(
        value in -1.0f64..1.0, seeds in 0.0f64..0.02, shared in 0.0f64..0.02, freedom in 1.0f64..50.0, samples in 1usize..60, others in 0usize..40,
        few in prop::collection::vec((1usize..20, 0.0f64..0.4), 0..4),
    ) {
        let one = Estimate { value, variance: seeds + shared, freedom, within: shared, samples, few };
        let mut all = vec![Estimate { value: 0.0, ..one.clone() }; others];
        all.push(one);
        let Difference { interval, adjusted_p, verdict, .. } = simultaneous(&all)[others];
        prop_assert!(interval.low <= value && value <= interval.high);
        let found = verdict != Verdict::NoDifferenceFound;
        prop_assert_eq!(found, interval.low > 0.0 || interval.high < 0.0);
        prop_assert!(!found || (verdict == Verdict::Better) == (value > 0.0));
        // Both ways to the same answer, but for the last digits.
        prop_assert!(found == (adjusted_p < LEVEL) || (adjusted_p - LEVEL).abs() < 1e-6, "{} {:?}", adjusted_p, interval);
    }

    #[test]
    fn an_interval_holds_its_estimate(seed in 0u64..1000, level in 0.1f64..0.7) {
        let interval = interval(&Bootstrap { resamples: 60, seed }, &[outcomes_of(random(seed, level, 3, 40))], &mean(&[0, 1, 2]));
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
