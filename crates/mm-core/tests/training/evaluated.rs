//! What a pipeline says that it reached.

use mm_core::data::Split;
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::pipeline::Evaluated;
use mm_core::recipe::{Recipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Pipeline, Result};
use mm_testing::{Dropout, clear_to_weak};
use serde::{Deserialize, Serialize};

/// [`Dropout`] as settings.
#[derive(Clone, Serialize, Deserialize)]
struct Small(NetworkConfig);

impl Recipe for Small {
    const FAMILY: &'static str = "small";
    type Model = FusionModel;
    type Method = Dropout;

    fn model(&self, setup: &Setup) -> Result<FusionModel> {
        FusionModel::new(&self.0, setup.schema(), setup.parameters())
    }

    fn method(&self, setup: &Setup, _: Option<Box<dyn Teacher>>) -> Result<Dropout> {
        Ok(Dropout::new(setup.seed_value()))
    }

    fn network(&self) -> &NetworkConfig {
        &self.0
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.0
    }
}

/// Known answer: 8 of 10 has Wilson's interval [0.490, 0.943].
#[test]
fn shares_have_wilsons_interval() {
    const SENSOR: &str = "weak";
    let data = clear_to_weak(150, 1);
    let split = Split { train: (0..150).collect(), validation: Vec::new(), test: Vec::new() };
    let config = TrainConfig { epochs: 1, batch_size: 16, ..TrainConfig::default() };
    let mut pipeline = Trainer::new(config).fit(Small(NetworkConfig::default()), &data, &split).unwrap();
    let accuracy = |pipeline: &mut Pipeline, rows: &[usize]| pipeline.evaluate(&data, rows).unwrap().score(SENSOR).unwrap();
    // From this sensor some samples are predicted right and some are not.
    let (right, wrong): (Vec<usize>, Vec<usize>) = (0..150).partition(|&row| accuracy(&mut pipeline, &[row]) == 1.0);
    let mut interval = |rows: &[usize]| {
        let found = pipeline.evaluate(&data, rows).unwrap().combinations.iter().find(|c| c.combination == SENSOR).unwrap().clone();
        assert_eq!(found.samples, rows.len());
        found.interval.unwrap()
    };
    let [low, high] = interval(&[&right[..8], &wrong[..2]].concat());
    assert!((low - 0.4902).abs() < 1e-3 && (high - 0.9433).abs() < 1e-3, "{low} {high}");
    let [low, high] = interval(&right[..20]);
    assert!(low > 0.83 && high <= 1.0 + 1e-12, "{low} {high}");
}

/// A test part without a labelled pixel has no mean IoU.
#[test]
fn a_score_that_is_not_defined_is_a_dash() {
    let combination = |scores| serde_json::json!({ "combination": "rgb", "samples": 3, "scores": scores, "interval": null });
    let combinations = [serde_json::json!({}), serde_json::json!({ "miou": 0.5 })].map(combination);
    let evaluated: Evaluated = serde_json::from_value(serde_json::json!({ "measure": "miou", "combinations": combinations })).unwrap();
    let rows: Vec<String> = evaluated.to_string().lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows, ["rgb 3 -", "rgb 3 0.500"]);
}
