//! An answer as JSON: what `mm predict` writes and `mm serve` sends.

use super::{Answer, Ignored};
use crate::data::Target;
use serde_json::{Map, Value, json};

impl Answer {
    /// An object with what is predicted (`class` and `probabilities`, `labels` and `probabilities`, or `numbers`), `used`, `ignored` with
    /// reasons, and `trust` where the method knows it. The class of each pixel is not in it: where that goes is the caller's to say.
    pub fn to_json(&self, target: &Target) -> Map<String, Value> {
        let mut object = Map::new();
        let probabilities = || self.probabilities.iter().map(|(name, p)| (name.clone(), json!(short(*p)))).collect::<Map<_, _>>();
        match target {
            Target::Pixels(_) => {}
            Target::Numbers(_) => {
                let numbers = self.numbers.iter().map(|(name, x)| (name.clone(), json!(x)));
                object.insert("numbers".into(), numbers.collect::<Map<_, _>>().into());
            }
            Target::Labels(_) => {
                object.insert("labels".into(), json!(self.labels));
                object.insert("probabilities".into(), probabilities().into());
            }
            Target::Classes(_) | Target::FaceAntiSpoofing(_) => {
                object.insert("class".into(), json!(self.class));
                object.insert("probabilities".into(), probabilities().into());
            }
        }
        object.insert("used".into(), json!(self.used));
        object.insert("ignored".into(), ignored_json(&self.ignored));
        if let Some(trust) = self.trust.as_ref().filter(|_| !target.is_dense()) {
            let sensor = |weight: f32, level: f32| json!({ "weight": rounded(weight.into(), 1e4), "level": rounded(level.into(), 1e4) });
            let sensors = trust.iter().map(|s| (s.modality.clone(), sensor(s.weight, s.level)));
            object.insert("trust".into(), sensors.collect::<Map<_, _>>().into());
        }
        object
    }
}

/// Each sensor that was not used, and why: `{"sound": "absent"}`.
pub fn ignored_json(ignored: &[Ignored]) -> Value {
    ignored.iter().map(|ignored| (ignored.modality.clone(), json!(ignored.reason.word()))).collect::<Map<_, _>>().into()
}

/// With the digits of an f32, which are what the model knows: a decision near a small threshold can be made again from them.
fn short(probability: f64) -> f64 {
    (probability as f32).to_string().parse().unwrap_or(probability)
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
