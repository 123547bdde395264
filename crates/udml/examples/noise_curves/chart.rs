//! Severity curves as a small SVG picture.

use serde_json::Value;
use std::fmt::Write;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 254.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 544.0;
const COLOURS: [&str; 6] = ["#888888", "#d95f02", "#1b6ca8", "#1b9e77", "#7570b3", "#e7298a"];

/// Accuracy by noise level on `set`, one line with its 95 % interval for each run of the report.
pub fn curves(report: &[Value], set: &str) -> String {
    let x = |level: f64| LEFT + (level - 1.0) / 15.0 * (RIGHT - LEFT);
    let y = |accuracy: f64| BOTTOM - accuracy * (BOTTOM - TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"18\">accuracy, noise on {set}</text>\n"
    );
    for tick in 0..=5 {
        let accuracy = f64::from(tick) / 5.0;
        let at = y(accuracy);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#dddddd\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{accuracy:.1}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for level in [1.0, 3.0, 5.0, 7.0, 10.0, 16.0] {
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{level}</text>", x(level), BOTTOM + 16.0);
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">noise level (1 clean, training up to 10)</text>",
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 34.0
    );
    for (i, run) in report.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let points: Vec<[f64; 4]> = run["levels"]
            .as_array()
            .into_iter()
            .flatten()
            .zip(run["curves"][set].as_array().into_iter().flatten())
            .map(|(level, point)| [x(number(level)), y(number(&point[0])), y(number(&point[1])), y(number(&point[2]))])
            .collect();
        let line: Vec<String> = points.iter().map(|[x, mean, ..]| format!("{x:.1},{mean:.1}")).collect();
        let low = points.iter().map(|[x, _, low, _]| format!("{x:.1},{low:.1}"));
        let high = points.iter().rev().map(|[x, _, _, high]| format!("{x:.1},{high:.1}"));
        let band: Vec<String> = low.chain(high).collect();
        let _ = writeln!(svg, "<polygon points=\"{}\" fill=\"{colour}\" opacity=\"0.18\"/>", band.join(" "));
        let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", line.join(" "));
        let name = run["name"].as_str().unwrap_or_default();
        let at = BOTTOM - 14.0 - 16.0 * (report.len() - 1 - i) as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{:.0} {:.1}h18\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{:.0}\" y=\"{at:.1}\">{name}</text>",
            LEFT + 8.0,
            at - 4.0,
            LEFT + 32.0
        );
    }
    svg + "</svg>\n"
}
