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

fn difference(bootstrap: &Bootstrap, seeds: &[Outcomes], a: &Statistic, b: &Statistic) -> Difference {
    let resampled = bootstrap.run(seeds).expect("bootstrap");
    resampled.statistic(a).expect("a").difference(&resampled.statistic(b).expect("b"))
}

fn interval(bootstrap: &Bootstrap, seeds: &[Outcomes], statistic: &Statistic) -> Interval {
    bootstrap.run(seeds).expect("bootstrap").statistic(statistic).expect("statistic").interval()
}

#[test]
fn estimates_by_hand() {
    // Seed 1: 3/4 and 1/4; seed 2: 4/4 and 2/3, one sample not evaluated.
    let seeds = [outcomes(&["1110", "0010"]), outcomes(&["1111", "110-"])];
    let resampled = quick().run(&seeds).expect("bootstrap");
    let estimate = |s: &Statistic| resampled.statistic(s).expect("statistic").estimate();
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
fn seeds_are_resampled_too() {
    // Samples carry no variation, the two seeds do: the resamples are 0, 0.5 and 1, their middle 95 % from 0 to 1. Scaled from
    // half the variance to the whole and from the normal quantile to that of Student's t with one degree of freedom, 12.706.
    let Interval { estimate, low, high } = interval(&quick(), &[outcomes(&["0000"]), outcomes(&["1111"])], &mean(&[0]));
    let half = 0.5 * 2f64.sqrt() * 12.706 / 1.96;
    assert!(estimate == 0.5 && (high - 0.5 - half).abs() < 0.4 && (0.5 - low - half).abs() < 0.4, "{low} {high}");
}

#[test]
fn few_seeds_that_vary_give_few_false_findings() {
    // Two equal methods whose accuracy varies by 5 points from seed to seed, three seeds. Uncorrected, a third of the trials would
    // find a difference at the 5 % level.
    use rand_distr::{Distribution, Normal};
    let trial = |t: u64| {
        let mut rng = mm_core::rng::stream(t, "trial", &[]);
        let normal = Normal::new(0.5, 0.05).expect("normal");
        let mut seed = |s: u64| {
            let levels = [normal.sample(&mut rng), normal.sample(&mut rng)];
            outcomes_of([random(1000 * t + s, levels[0], 2, 200), random(1000 * t + s + 500, levels[1], 2, 200)].concat())
        };
        let seeds = [seed(0), seed(1), seed(2)];
        difference(&Bootstrap { resamples: 150, seed: t }, &seeds, &mean(&[0, 1]), &mean(&[2, 3])).p < 0.05
    };
    let found = (0..80).filter(|t| trial(*t)).count();
    assert!(found <= 9, "{found} of 80");
}

#[test]
fn pairs_are_resampled_together() {
    // Column 1 is column 0 with one sample of four turned wrong: the difference is that sample's count alone, never negative.
    let d = difference(&quick(), &[outcomes(&["1101", "0101"])], &mean(&[0]), &mean(&[1])).interval;
    assert!(close(d.estimate, 0.25) && d.low == 0.0 && d.high <= 0.75 + 1e-9);
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
    let methods: Vec<Statistic> = [0..7, 7..14, 14..21].map(|columns| Statistic::Mean(columns.collect())).to_vec();
    let bootstrap = Bootstrap { resamples: 2000, seed: 3 };
    let clear = difference(&bootstrap, &seeds, &methods[0], &methods[1]);
    assert!(clear.p < 0.002 && clear.interval.low > 0.1);
    assert_eq!(verdict(clear.interval.estimate, clear.p), Verdict::Better);
    assert_eq!(verdict(-clear.interval.estimate, clear.p), Verdict::Worse);
    let none = difference(&bootstrap, &seeds, &methods[0], &methods[2]);
    assert!(none.p > 0.05 && none.interval.low < 0.0 && none.interval.high > 0.0, "{none:?}");
    assert_eq!(verdict(none.interval.estimate, none.p).to_string(), "no difference found");
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
}

#[test]
fn a_resample_without_an_evaluated_sample_keeps_the_accuracy() {
    // One evaluated sample of five is missed by a third of the resamples.
    let Interval { estimate, low, high } = interval(&quick(), &[outcomes(&["1----"])], &mean(&[0]));
    assert_eq!((estimate, low, high), (1.0, 1.0, 1.0));
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
