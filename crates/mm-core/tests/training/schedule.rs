//! Learning rates by hand and against PyTorch.

use mm_core::optim::{OptimizerConfig, Schedule, ScheduleConfig};
use mm_core::train::TrainConfig;

/// `pct_start`, steps of the run, and some of them with their rate.
type Case = (f64, usize, &'static [(usize, f64)]);

/// PyTorch's `OneCycleLR`, from its documentation: two phases that end at `pct_start * total_steps - 1` and `total_steps - 1`, and in each
/// `end + (start - end) / 2 * (1 + cos(pi * share))`; computed from there with 50 digits, written with 12, for max_lr 0.1, div_factor 25,
/// final_div_factor 1e4.
const ONE_CYCLE: [Case; 7] = [
    (0.3, 2, &[(0, 0.081174565395), (1, 4e-07)]),
    (0.3, 5, &[(0, 0.004), (1, 0.0950484632013), (2, 0.0611262021936), (3, 0.018825834605), (4, 4e-07)]),
    (0.25, 4, &[(1, 0.0750001), (2, 0.0250003), (3, 4e-07)]),
    (0.5, 3, &[(0, 0.004), (1, 0.0750001), (2, 4e-07)]),
    (0.1, 12, &[(0, 0.004), (1, 0.09865224892), (2, 0.0933012969841), (6, 0.0441955775123), (11, 4e-07)]),
    (
        0.3,
        21,
        &[
            (0, 0.004),
            (1, 0.0121885270984),
            (5, 0.0992430677415),
            (6, 0.0994415435451),
            (12, 0.0569235532687),
            (19, 0.00113789562697),
            (20, 4e-07),
        ],
    ),
    (
        0.1,
        300,
        &[
            (0, 0.004),
            (10, 0.0295163948464),
            (29, 0.1),
            (30, 0.0999966154137),
            (150, 0.0581090637197),
            (298, 3.78458627349e-06),
            (299, 4e-07),
        ],
    ),
];

#[test]
fn kinds_are_read_by_name_and_written_as_before() {
    let read = |json: &str| serde_json::from_str::<TrainConfig>(json).map_err(|error| error.to_string());
    let short = read(r#"{"schedule": "one_cycle", "optimizer": "adam_w"}"#).unwrap();
    assert_eq!(short.schedule, ScheduleConfig::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 });
    assert_eq!(short.optimizer, OptimizerConfig::AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 });
    let written = serde_json::to_value(&short).unwrap();
    let whole = serde_json::json!({ "kind": "one_cycle", "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4 });
    assert_eq!(written["schedule"], whole);
    assert_eq!(read(&written.to_string()).unwrap(), short);
    let steps = read(r#"{"schedule": {"kind": "multi_step", "milestones": [2, 3]}}"#).unwrap().schedule;
    assert_eq!(steps, ScheduleConfig::MultiStep { milestones: vec![2.0, 3.0], gamma: 0.1, warmup_epochs: 0.0 });
    assert!(read(r#"{"schedule": "multi_step"}"#).unwrap_err().contains("missing field `milestones`; the kinds are `constant`"));
}

#[test]
fn one_cycle_is_that_of_pytorch_at_any_length() {
    for (pct_start, steps, expected) in ONE_CYCLE {
        let config = ScheduleConfig::OneCycle { pct_start, div_factor: 25.0, final_div_factor: 1e4 };
        // However the steps are dealt to epochs.
        for steps_per_epoch in (1..=steps).filter(|n| steps.is_multiple_of(*n)) {
            let schedule = Schedule::new(config.clone(), 0.1, steps / steps_per_epoch, steps_per_epoch).unwrap();
            for &(step, rate) in expected {
                let found = schedule.rate(step);
                assert!((found - rate).abs() <= 1e-10 * rate, "{pct_start} of {steps}, step {step}: {found}, expected {rate}");
            }
        }
    }
}

#[test]
fn every_step_of_a_warm_up_trains_and_the_next_one_has_the_full_rate() {
    for (warmup_epochs, steps_per_epoch, warm) in [(1.0, 4, 4), (0.25, 4, 1), (2.0, 1, 2), (0.3, 10, 3)] {
        for config in [ScheduleConfig::Constant { warmup_epochs }, ScheduleConfig::Cosine { warmup_epochs }] {
            let schedule = Schedule::new(config, 0.1, 5, steps_per_epoch).unwrap();
            let rates: Vec<f64> = (0..=warm).map(|step| schedule.rate(step)).collect();
            for (step, rate) in rates.iter().enumerate() {
                let expected = 0.1 * (step + 1) as f64 / (warm + 1) as f64;
                assert!((rate - expected).abs() < 1e-12, "{warmup_epochs} of {steps_per_epoch}: {rates:?}");
            }
        }
    }
}

#[test]
fn without_a_warm_up_the_first_step_has_the_full_rate_and_the_last_one_trains() {
    for (epochs, steps) in [(1, 1), (1, 7), (40, 21)] {
        let schedule = Schedule::new(ScheduleConfig::default(), 0.1, epochs, steps).unwrap();
        assert_eq!(schedule.rate(0), 0.1);
        assert!(schedule.rate(epochs * steps - 1) > 0.0);
    }
}
