//! Comparisons that can be trusted: bootstrap intervals over seeds and samples, Holm's correction, effect sizes, Shapley
//! values of the modalities, areas under severity curves, Pareto fronts. Pure functions on plain numbers, no tensors.
//!
//! ```
//! use mm_core::statistics::{Bootstrap, Outcomes, Statistic};
//! // Two methods, two seeds, two combinations (rows) and four test samples (columns) each.
//! let a = vec![Outcomes::from_rows(&["1111", "1110"])?, Outcomes::from_rows(&["1101", "1111"])?];
//! let b = vec![Outcomes::from_rows(&["1011", "1010"])?, Outcomes::from_rows(&["1001", "0111"])?];
//! let resampled = Bootstrap::default().run(&[&a, &b], &[Statistic::Mean, Statistic::Worst])?;
//! let difference = resampled.difference(0, 1, 0);
//! assert_eq!(difference.interval.estimate, 0.25);
//! # Ok::<(), mm_core::Error>(())
//! ```

mod bootstrap;
mod effect_size;
mod holm;
mod outcomes;
mod pareto;
mod severity;
mod shapley;

pub use bootstrap::{Bootstrap, Difference, Interval, Resampled, Statistic};
pub use effect_size::{EffectSize, FEW_SEEDS, effect_size, mean, standard_deviation};
pub use holm::{LEVEL, Verdict, holm, verdict};
pub use outcomes::Outcomes;
pub use pareto::pareto_front;
pub use severity::{area_under_curve, area_weights};
pub use shapley::{shapley_values, shapley_weights};
