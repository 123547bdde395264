//! Comparisons that can be trusted: bootstrap intervals over seeds and samples, differences judged together, effect sizes, Shapley
//! values of the modalities, areas under severity curves, Pareto fronts. Pure functions on plain numbers, no tensors.
//!
//! ```
//! use mm_core::statistics::{Bootstrap, Outcomes, Statistic, Verdict, simultaneous};
//! // Two seeds; columns 0 and 1 are two combinations of method a, 2 and 3 of method b; four test samples.
//! let seeds = [Outcomes::from_rows(&["1111", "1110", "1011", "1010"])?, Outcomes::from_rows(&["1101", "1111", "1001", "0111"])?];
//! let resampled = Bootstrap::default().run(&seeds)?;
//! let a = resampled.statistic(&Statistic::Mean(vec![0, 1]))?;
//! let b = resampled.statistic(&Statistic::Mean(vec![2, 3]))?;
//! let judged = simultaneous(&[a.minus(&b).estimate()]);
//! assert_eq!((judged[0].interval.estimate, judged[0].verdict), (0.25, Verdict::NoDifferenceFound));
//! # Ok::<(), mm_core::Error>(())
//! ```

mod bootstrap;
mod effect_size;
mod error;
mod estimate;
mod outcomes;
mod pareto;
mod placements;
mod ranks;
mod resamples;
mod score;
mod severity;
mod shapley;
mod simultaneous;
mod table;

pub use bootstrap::{Bootstrap, Resampled, Statistic};
pub use effect_size::{EffectSize, FEW_SEEDS, effect_size, mean, standard_deviation};
pub use error::StatisticsError;
pub use estimate::{Estimate, Interval, LEVEL};
pub use outcomes::{Outcomes, Sums};
pub use pareto::pareto_front;
pub use placements::{auroc_interval, placements};
pub(crate) use ranks::Areas;
use ranks::Ranks;
pub use resamples::Resamples;
pub use score::Score;
pub use severity::{area_under_curve, area_weights};
pub use shapley::{shapley_values, shapley_weights};
pub use simultaneous::{Difference, Judging, Verdict, judged, simultaneous};
