//! The same samples give the same model, whatever they come from, however far ahead they are read and on however many threads.

use mm_core::data::{AugmentConfig, InputSpec, Loading, Schema, Source, TableDataset, Target};
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::missing::MissingPattern;
use mm_core::nn::{Mode, Parameters};
use mm_core::train::{Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Modalities, Model, Result, Subset};
use mm_testing::{Hidden, parameter_bits, patterns};

struct Dropout(FusionModel);

impl Method for Dropout {
    fn model(&self) -> &dyn Model {
        &self.0
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.0)
    }

    fn loss(&mut self, batch: &mm_core::data::Batch, step: &Step) -> Result<Losses> {
        let schema = self.0.schema();
        let drawn = MissingPattern::Uniform.draw(batch.presence(), &schema.modalities, batch.ids(), &step.draws("missing"))?;
        let output = self.0.network().forward(batch.inputs(), &drawn, Mode::Train)?;
        Ok(Losses::new("task", schema.target.task().loss(&output.prediction, batch.targets())?))
    }
}

fn data() -> TableDataset {
    let inputs = vec![InputSpec::image([1, 8, 8]), InputSpec::vector(5)];
    let schema = Schema::new(Modalities::new(["camera", "radar"]).unwrap(), inputs, Target::of_classes(["a", "b", "c"])).unwrap();
    patterns(schema, 90, &[0.5; 2], |i| if i % 4 == 3 { Subset::single(i / 4 % 2) } else { Subset::full(2) })
}

fn trained(source: &dyn Source, loading: Loading, threads: usize, augment: AugmentConfig) -> Vec<(String, Vec<u32>)> {
    let config = TrainConfig { epochs: 3, batch_size: 16, seed: 4, augment, ..TrainConfig::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let parameters = Parameters::new(4, &candle_core::Device::Cpu);
        let mut method = Dropout(FusionModel::new(&NetworkConfig::default(), source.schema(), parameters).unwrap());
        let rows: Vec<usize> = (0..source.len()).collect();
        Trainer::new(config).loading(loading).run(&mut method, source, &rows, &[]).unwrap();
        parameter_bits(&method.parameters())
    })
}

#[test]
fn two_sources_two_numbers_of_threads_and_any_prefetch_give_the_same_bytes() {
    let (table, hidden) = (data(), Hidden(data()));
    let augmented = AugmentConfig { flip: 0.5, rotation: 20.0, ..AugmentConfig::default() };
    for augment in [AugmentConfig::default(), augmented] {
        let expected = trained(&table, Loading { workers: 0, prefetch: 0 }, 1, augment);
        for (name, source) in [("table", &table as &dyn Source), ("hidden", &hidden)] {
            for threads in [1, 2] {
                for (workers, prefetch) in [(0, 0), (1, 0), (2, 4), (3, 1)] {
                    let found = trained(source, Loading { workers, prefetch }, threads, augment);
                    assert!(found == expected, "{name}, {threads} threads, {workers} workers, prefetch {prefetch}");
                }
            }
        }
    }
}
