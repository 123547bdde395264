//! How often intervals hold what they should and equal methods are told apart: `cargo run --release -p mm-core --example coverage`.

mod trial;

use trial::{Setting, Sharing};

const TRIALS: u64 = 4000;
const RESAMPLES: usize = 400;

fn main() {
    if std::env::args().len() > 1 {
        println!("Simulates how often intervals hold the truth; takes no arguments and prints the table of docs/src/statistics.md.");
        return;
    }
    println!("| test samples | training | seeds | coverage | false findings, mean | false findings, worst |");
    println!("|---|---|---|---|---|---|");
    for (training, what) in [(0.05, "little"), (0.2, "much")] {
        for (sharing, which) in
            [(Sharing::Same, "shared"), (Sharing::Half, "half shared"), (Sharing::Fifths, "random fifths"), (Sharing::None, "disjoint")]
        {
            for seeds in [3, 5, 10] {
                let shares = Setting { sharing, seeds, training }.run(TRIALS, RESAMPLES);
                let [coverage, mean, worst] = [shares.coverage, shares.false_mean, shares.false_worst].map(|x| 100.0 * x);
                println!("| {which} | {what} | {seeds} | {coverage:.1} | {mean:.1} | {worst:.1} |");
            }
        }
    }
}
