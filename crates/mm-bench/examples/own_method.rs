//! A method of one's own, benched against all others: modality dropout that begins gently.
//!
//! `cargo run --release -p mm-bench --example own_method -- bench --quick --out target/own-method`

use mm_bench::Registry;
use mm_core::data::Batch;
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::missing::MissingPattern;
use mm_core::nn::Mode;
use mm_core::recipe::{MethodSpec, Recipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Model, Result};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

/// Its options in a plan.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Curriculum {
    network: NetworkConfig,
}

impl Recipe for Curriculum {
    const FAMILY: &'static str = "curriculum";
    type Model = FusionModel;
    type Method = Training;

    fn model(&self, setup: &Setup) -> Result<FusionModel> {
        FusionModel::new(&self.network, setup.schema(), setup.parameters())
    }

    fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Training> {
        Ok(Training(Recipe::model(self, setup)?))
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }
}

/// The twist: sensors go missing ever more often, from never to six times in ten.
struct Training(FusionModel);

impl Method for Training {
    fn model(&self) -> &dyn Model {
        &self.0
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.0)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let schema = self.0.schema();
        let pattern = MissingPattern::Rate(0.6 * step.progress());
        let drawn = pattern.draw(batch.presence(), &schema.modalities, batch.ids(), &step.draws("missing"))?;
        let output = self.0.network().forward(batch.inputs(), &drawn, Mode::Train)?;
        Ok(Losses::new("task", schema.target.task().loss(&output.prediction, batch.targets())?))
    }
}

fn main() -> ExitCode {
    mm_bench::main(Registry::default().with(MethodSpec::new("curriculum", "dropout that grows", Curriculum::default)))
}
