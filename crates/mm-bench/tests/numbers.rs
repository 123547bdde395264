//! Results are shared under the version of the numbers: it must be raised when a method gives other ones.

use mm_bench::dataset::CardReader;
use mm_bench::{Plan, Registry};
use mm_core::DeviceName;
use mm_core::data::{Standardized, Standardizer};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::train::Trainer;
use std::path::Path;

/// Which version these are of.
const OF: u32 = 3;

/// The mean negative log likelihood of each method over all combinations, after a few epochs on a few samples.
const EXPECTED: &[(&str, f64)] = &[
    ("full-only", 1.25278),
    ("modality-dropout", 0.87658),
    ("mean-imputation", 1.31421),
    ("per-combination", 0.48164),
    ("late-fusion", 0.59878),
    ("logit-distillation", 0.63842),
    ("deep-ensemble", 0.82144),
    ("gradient-modulation", 1.28986),
    ("unimodal-losses", 1.26825),
    ("knn-imputation", 0.53272),
    ("regression-imputation", 0.50528),
    ("static-fusion-noise", 0.91416),
    ("udml", 0.68441),
    ("mmanet", 0.65376),
    ("dmrnet", 0.39991),
    ("mod-distill", 0.98692),
];

/// Levels of instructions and processors differ by far less, and every change that matters by more.
const TOLERANCE: f64 = 2e-3;

/// A GPU sums in other orders.
const TOLERANCE_OF_GPUS: f64 = 2e-2;

#[test]
fn methods_give_the_numbers_of_the_version() {
    let found = trained(&Registry::default());
    let list: String = found.iter().map(|(name, nll)| format!("    (\"{name}\", {nll:.5}),\n")).collect();
    let changed = differing(&found, TOLERANCE);
    assert!(
        changed.is_empty() && mm_core::NUMBERS == OF,
        "the numbers of {} changed: raise `mm_core::NUMBERS` to {}, as `OF` here, so that no bench mixes them with older ones. They are now\n{list}",
        changed.join(", "),
        OF + 1
    );
    assert_eq!(found.len(), EXPECTED.len());
}

#[test]
fn methods_train_on_a_gpu_as_on_the_processor() {
    let device = match DeviceName::Cuda(0).open() {
        Ok(device) => device,
        Err(problem) => return eprintln!("skipped: {problem}"),
    };
    let found = trained(&Registry::default().on(&device));
    let changed = differing(&found, TOLERANCE_OF_GPUS);
    assert!(changed.is_empty(), "{changed:?} of {found:?}");
}

/// The names of those that are further from the expected numbers than this.
fn differing(found: &[(String, f64)], tolerance: f64) -> Vec<&str> {
    let expected = |name: &str| EXPECTED.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, expected)| *expected);
    let near = |(name, nll): &(String, f64)| (nll - expected(name)).abs() <= tolerance * expected(name).abs();
    found.iter().filter(|cell| !near(cell)).map(|(name, _)| name.as_str()).collect()
}

/// Trains every method; the negative log likelihood of each.
fn trained(registry: &Registry) -> Vec<(String, f64)> {
    let runs = registry.methods().iter().map(|method| {
        // Every phase of each method within these epochs.
        let options = match method.name() {
            "mmanet" => "options = { begin_epoch = 3, lambda_mad = 4.0 }",
            "dmrnet" => "options = { warm_up_epochs = 3 }",
            "mod-distill" => "options = { robust = true, warm_up = 0.3 }",
            _ => "",
        };
        format!("[[runs]]\nmethod = \"{}\"\n{options}\n", method.name())
    });
    let plan = format!(
        "name = \"numbers\"\nseeds = [0]\ntrain = {{ epochs = 8, batch_size = 32 }}\n\
         data = [{{ name = \"numerals\", card = \"multiple-features\", train_per_class = 12 }}]\n{}",
        runs.collect::<String>()
    );
    let cells = Plan::from_bytes(plan.as_bytes(), Path::new("numbers.toml")).unwrap().cells(registry).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for cell in &cells {
        let settings = &cell.resolved;
        let (data, _) = CardReader::open(&settings.card).unwrap().load().unwrap();
        let split = data.draw(settings.training_samples(), settings.train.seed).unwrap();
        let standardizer = Standardizer::fit(&*data.source, &split.train).unwrap();
        let standardized = Standardized::new(&*data.source, &standardizer).unwrap();
        let source = standardized.source();
        let weights = |key: &str| folder.path().join(key).with_extension("safetensors");
        let teacher = settings.teacher.as_deref().map(weights);
        let mut method = registry.build(settings, source.schema(), teacher.as_deref()).unwrap();
        Trainer::new(settings.train.clone()).run(&mut *method, source, &split.train, &split.validation).unwrap();
        method.parameters().save(&weights(&cell.key), |_| true).unwrap();
        let (model, combinations) = (method.into_model(), default_combinations(source.schema().modalities.len(), 0));
        let evaluation = evaluate(&*model, source, &split.test[..200], &combinations, 200, registry.device()).unwrap();
        if !cell.hidden {
            found.push((cell.run.clone(), evaluation.mean("nll")));
        }
    }
    found
}
