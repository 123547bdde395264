//! What the baselines predict: for a combination as for samples that have just that, whatever absent sensors hold.

use candle_core::Device;
use mm_baselines::{DeepEnsembleConfig, EnsembleConfig, FusionConfig, ModulationConfig, NearestConfig, RegressionConfig, UnimodalConfig};
use mm_core::data::Source;
use mm_core::recipe::{AnyRecipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Model, Presence, Subset};
use mm_testing::{bits, clear_to_weak, spoilt, with_presence};

const SAMPLES: usize = 42;

/// Every baseline, with the runs of encoders that all combinations together take.
fn baselines() -> [(&'static str, Box<dyn AnyRecipe>, usize); 11] {
    [
        ("full-only", Box::new(FusionConfig::full_only()), 3),
        ("modality-dropout", Box::new(FusionConfig::modality_dropout()), 3),
        // Each encoder reads the mean as well.
        ("mean-imputation", Box::new(FusionConfig::mean_imputation()), 6),
        ("logit-distillation", Box::new(FusionConfig::logit_distillation()), 3),
        ("late-fusion", Box::new(EnsembleConfig::late_fusion()), 3),
        // Three sensors in four of seven networks each.
        ("per-combination", Box::new(EnsembleConfig::per_combination()), 12),
        // Three sensors in each of two networks.
        ("deep-ensemble", Box::new(DeepEnsembleConfig { members: 2, ..DeepEnsembleConfig::default() }), 6),
        ("gradient-modulation", Box::new(ModulationConfig::default()), 3),
        ("unimodal-losses", Box::new(UnimodalConfig::default()), 3),
        ("knn-imputation", Box::new(NearestConfig { neighbours: 3, stored: 30, ..NearestConfig::default() }), 3),
        ("regression-imputation", Box::new(RegressionConfig::default()), 3),
    ]
}

fn trained(recipe: &dyn AnyRecipe, teacher: Option<Box<dyn Teacher>>) -> Box<dyn Model> {
    let data = clear_to_weak(SAMPLES, 1);
    let mut method = recipe.method(&Setup::new(data.schema()), teacher).unwrap();
    let config = TrainConfig { epochs: 3, batch_size: 14, ..TrainConfig::default() };
    Trainer::new(config).run(&mut *method, &data, &(0..SAMPLES).collect::<Vec<_>>(), &[]).unwrap();
    method.into_model()
}

/// A teacher of any type.
struct Taught(Box<dyn Model>);

impl Teacher for Taught {
    fn teach(&self, inputs: &mm_core::data::Inputs) -> mm_core::Result<mm_core::model::Output> {
        self.0.predict(inputs)
    }
}

#[test]
fn combinations_equal_samples_that_have_just_them() {
    let batch = clear_to_weak(SAMPLES, 1).batch(&(0..14).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let all: Vec<Subset> = Subset::all_non_empty(3).collect();
    let mixed = with_presence(&batch, Presence::new((0..14).map(|i| all[i % 7]).collect()));
    for (name, recipe, passes) in baselines() {
        let taught = recipe.teacher_sees(batch.inputs().modalities()).unwrap();
        let teacher = taught.map(|_| Box::new(Taught(trained(&FusionConfig::full_only(), None))) as Box<dyn Teacher>);
        let mut model = trained(&*recipe, teacher);
        let together = model.predict_combinations(batch.inputs(), &all).unwrap();
        assert_eq!(model.encode(batch.inputs()).unwrap().encoder_passes, passes, "{name}");
        let alone = model.predict(mixed.inputs()).unwrap().prediction;
        let (rows, combinations) = (alone.to_vec2::<f32>().unwrap(), together.to_vec3::<f32>().unwrap());
        for (i, row) in rows.iter().enumerate() {
            let close = row.iter().zip(&combinations[i % 7][i]).all(|(x, y)| (x - y).abs() < 1e-5);
            assert!(close, "{name}, sample {i}: {row:?} {:?}", combinations[i % 7][i]);
        }
        for value in [f32::NAN, f32::INFINITY, 1e30] {
            let spoilt = spoilt(&mixed, value, |row, m| !all[row % 7].contains(m));
            assert_eq!(bits(&model.predict(spoilt.inputs()).unwrap().prediction), bits(&alone), "{name}: {value}");
        }
        model.freeze();
        let frozen = model.predict_combinations(batch.inputs(), &all).unwrap();
        let difference = (frozen - together).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-4, "{name}: {difference} where it is frozen");
    }
}
