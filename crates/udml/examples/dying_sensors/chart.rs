//! The picture: trust in each sensor above, running accuracy below, what happens between them.

use super::stream::{Fault, PARTS};
use super::{SENSORS, Told};
use std::fmt::Write;

const WIDTH: f64 = 880.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 760.0;
const COLOURS: [&str; 3] = ["#1b6ca8", "#1b9e77", "#d95f02"];
const MODELS: [(&str, &str); 2] = [("UDML", "#1b6ca8"), ("static fusion", "#888888")];
/// Steps that a point of a curve is the mean of.
const TRUST_WINDOW: usize = 20;
const ACCURACY_WINDOW: usize = 60;

/// Where a panel lies, and the values at its ends.
struct Panel {
    top: f64,
    bottom: f64,
    low: f64,
    high: f64,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        self.bottom - (value.clamp(self.low, self.high) - self.low) / (self.high - self.low) * (self.bottom - self.top)
    }

    /// Lines across, with their values.
    fn grid(&self, svg: &mut String, title: &str, ticks: &[f64]) {
        _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>", self.top - 10.0);
        for tick in ticks {
            let y = self.y(*tick);
            _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#dddddd\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
                LEFT - 6.0,
                y + 4.0
            );
        }
    }

    fn curve(&self, svg: &mut String, values: &[f64], colour: &str) {
        let points: Vec<String> = values.iter().enumerate().map(|(i, v)| format!("{:.1},{:.1}", x(i, values.len()), self.y(*v))).collect();
        _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>", points.join(" "));
    }
}

fn x(step: usize, steps: usize) -> f64 {
    LEFT + step as f64 / steps as f64 * (RIGHT - LEFT)
}

/// The mean of each value and those before it.
fn running(values: impl Iterator<Item = f64>, window: usize) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    (0..values.len()).map(|i| &values[(i + 1).saturating_sub(window)..=i]).map(|w| w.iter().sum::<f64>() / w.len() as f64).collect()
}

fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::Noise(..) => "noisy",
        Fault::Dead => "dead",
        Fault::NotANumber => "NaN",
        Fault::Frozen => "frozen",
        Fault::Absent => "absent",
    }
}

/// An SVG picture.
pub fn picture(told: &[Told]) -> String {
    let steps = told.len();
    let trust = Panel { top: 40.0, bottom: 190.0, low: 0.0, high: 3.0 };
    let accuracy = Panel { top: 300.0, bottom: 450.0, low: 0.4, high: 1.0 };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 490\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"490\" fill=\"white\"/>\n"
    );
    trust.grid(&mut svg, "trust of UDML in each sensor (0: ignored)", &[0.0, 1.0, 2.0, 3.0]);
    accuracy.grid(&mut svg, &format!("accuracy over the last {ACCURACY_WINDOW} samples"), &[0.4, 0.6, 0.8, 1.0]);
    for (sensor, (name, colour)) in SENSORS.iter().zip(COLOURS).enumerate() {
        trust.curve(&mut svg, &running(told.iter().map(|told| told.trust[sensor]), TRUST_WINDOW), colour);
        legend(&mut svg, trust.top + 8.0 + 18.0 * sensor as f64, name, colour);
        // What happens to it, as a bar between the panels.
        let y = 208.0 + 20.0 * sensor as f64;
        _ = writeln!(svg, "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>", LEFT - 6.0, y + 10.0);
        let mut from = 0;
        for part in &PARTS {
            if let Some((_, fault)) = part.faults.iter().find(|(faulty, _)| faulty == name) {
                let (start, end) = (x(from, steps), x(from + part.steps, steps));
                _ = writeln!(
                    svg,
                    "<rect x=\"{start:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\" opacity=\"0.25\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">{}</text>",
                    end - start,
                    (start + end) / 2.0,
                    y + 11.0,
                    word(*fault)
                );
            }
            from += part.steps;
        }
    }
    for (model, (name, colour)) in MODELS.iter().enumerate().rev() {
        accuracy.curve(&mut svg, &running(told.iter().map(|told| f64::from(u8::from(told.right[model]))), ACCURACY_WINDOW), colour);
        legend(&mut svg, accuracy.top + 8.0 + 18.0 * model as f64, name, colour);
    }
    for step in (0..=steps).step_by(200) {
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"468\" text-anchor=\"middle\">{step}</text>", x(step, steps));
    }
    _ = writeln!(svg, "<text x=\"{:.0}\" y=\"484\" text-anchor=\"middle\">sample of the stream</text>", (LEFT + RIGHT) / 2.0);
    svg + "</svg>\n"
}

fn legend(svg: &mut String, y: f64, name: &str, colour: &str) {
    _ = writeln!(
        svg,
        "<path d=\"M{:.0} {y:.1}h16\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{:.0}\" y=\"{:.1}\">{name}</text>",
        RIGHT + 10.0,
        RIGHT + 32.0,
        y + 4.0
    );
}
