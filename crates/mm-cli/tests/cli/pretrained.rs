//! Plans whose encoders begin with published weights, run as a user runs them.

use super::birds;
use super::program::{self, bench, lasting, results, said};
use candle_core::{Device, Tensor};
use mm_bench::{CellSpec, Plan, Registry};
use mm_core::nn::Parameters;
use mm_core::weights::save;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Weights of an encoder of two numbers, as a file of another program has them: f16, with a wrapper's names and a head.
fn checkpoint(path: &Path, seed: u64) {
    let parameters = Parameters::new(seed, &Device::Cpu);
    mm_core::encoder::MlpEncoder::new(2, &[8], parameters.builder()).unwrap();
    let half = |tensor: Tensor| tensor.to_dtype(candle_core::DType::F16).unwrap();
    let tensors = parameters.snapshot().unwrap().into_iter().map(|(name, tensor)| (format!("module.body.{name}"), half(tensor)));
    let head = ("module.head.weight".to_string(), Tensor::zeros((3, 8), candle_core::DType::F32, &Device::Cpu).unwrap());
    save(path, &tensors.chain([head]).collect(), None).unwrap();
}

fn plan(folder: &Path, runs: &str, song: &str) -> PathBuf {
    let plan = format!(
        "name = \"p\"\nseeds = [0]\ndata = [{{ name = \"birds\", card = \"birds.toml\" }}]\ntrain = {{ epochs = 4 }}\n\
         [network]\nencoder = {{ kind = \"mlp\", widths = [8] }}\n[network.encoders]\nsong = {song}\n{runs}"
    );
    birds::write(folder, 90, &plan)
}

const RUNS: &str = r#"
[[runs]]
method = "modality-dropout"
[[runs]]
method = "mmanet"
options = { begin_epoch = 2 }
[[runs]]
method = "dmrnet"
options = { warm_up_epochs = 2 }
[[runs]]
method = "udml"
[[runs]]
method = "mod-distill"
options = { robust = true, warm_up = 0.3 }
"#;

const FROZEN: &str =
    r#"{ kind = "mlp", widths = [8], pretrained = { from = "weights/song.safetensors", prefix = "body." }, frozen = true }"#;

fn weights_folder(folder: &Path, seed: u64) {
    std::fs::create_dir_all(folder.join("weights")).unwrap();
    checkpoint(&folder.join("weights/song.safetensors"), seed);
}

fn cells(path: &Path) -> Vec<CellSpec> {
    Plan::read(Some(path)).unwrap().cells(&Registry::default()).unwrap()
}

fn run(plan: &Path, out: &Path, more: &[&str]) -> BTreeMap<String, serde_json::Value> {
    let output = bench(plan, out).args(more).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let key = |path: &Path| path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    results(out).into_iter().map(|(path, bytes)| (key(&path), lasting(&bytes))).collect()
}

fn count(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|entry| std::fs::read_dir(entry.path()).unwrap().count()).sum()
}

/// Every method leaves the weights as they are, and all share the features of each reading, in this folder or one that is named.
#[test]
fn every_method_trains_on_a_frozen_encoder() {
    let folder = tempfile::tempdir().unwrap();
    weights_folder(folder.path(), 1);
    let path = plan(folder.path(), RUNS, FROZEN);
    let out = folder.path().join("out");
    let first = run(&path, &out, &[]);
    let features = count(&out.join("features"));
    // Of 90 samples, 10 have no song; some songs are equal.
    assert!((10..=80).contains(&features), "{features}");
    let published = mm_core::weights::load(&folder.path().join("weights/song.safetensors"), &Device::Cpu).unwrap().0;
    for (key, result) in &first {
        let (model, _) = mm_core::weights::load(&out.join("cells").join(key).join("model.safetensors"), &Device::Cpu).unwrap();
        let mut found = 0;
        for (name, tensor) in &model {
            // Teachers are trained on all sensors, restored branches have a copy of their own.
            let Some((_, rest)) = name.split_once("encoders.song.") else { continue };
            let theirs = published[&format!("module.body.{rest}")].to_dtype(candle_core::DType::F32).unwrap();
            let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(numbers(tensor), numbers(&theirs), "{}: {name}", result["run"]);
            found += 1;
        }
        assert!(found >= 5, "{}: {found} of {:?}", result["run"], model.keys());
    }
    // With the features that are there, elsewhere, and without any: the same results but for rounding where nothing is kept.
    let cache = out.join("features");
    assert_eq!(run(&path, &folder.path().join("again"), &["--cache", cache.to_str().unwrap()]), first);
    assert_eq!(count(&cache), features);
    assert!(!folder.path().join("again/features").exists());
    let without = run(&path, &folder.path().join("without"), &["--cache-gib", "0"]);
    assert_eq!(without.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    assert!(!folder.path().join("without/features").exists());
}

/// The key of a result: what the weights are, not where they lie.
#[test]
fn other_weights_are_other_cells() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    weights_folder(here.path(), 1);
    weights_folder(there.path(), 1);
    let runs = "[[runs]]\nmethod = \"mmanet\"\n[[runs]]\nmethod = \"modality-dropout\"\n";
    let keys = |path: &Path| cells(path).into_iter().map(|cell| cell.key).collect::<Vec<_>>();
    let (one, two) = (plan(here.path(), runs, FROZEN), plan(there.path(), runs, FROZEN));
    let before = keys(&one);
    assert_eq!(before, keys(&two));
    assert_eq!(before.len(), 3, "two runs and a teacher");
    weights_folder(there.path(), 2);
    assert!(keys(&two).iter().all(|key| !before.contains(key)));
    weights_folder(there.path(), 1);
    assert_eq!(before, keys(&two));
    let tuned = FROZEN.replace("frozen = true", "learning_rate_factor = 0.1");
    assert!(keys(&plan(here.path(), runs, &tuned)).iter().all(|key| !before.contains(key)));

    // A cell whose weights changed since does not run.
    let cell = cells(&two).into_iter().find(|cell| cell.run == "modality-dropout").unwrap();
    weights_folder(there.path(), 2);
    let folder = program::prepare(there.path(), &cell);
    let output = program::cell(&folder, 1e9).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("changed since the bench began"), "{}", said(&output));
}

#[test]
fn an_encoder_that_is_frozen_before_it_learnt_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = plan(folder.path(), "[[runs]]\nmethod = \"modality-dropout\"\n", r#"{ kind = "mlp", widths = [8], frozen = true }"#);
    let output = bench(&path, &folder.path().join("out")).output().unwrap();
    let text = said(&output);
    assert!(output.status.success() && text.contains("`network.encoders.song` is frozen without `pretrained`"), "{text}");
}

#[test]
fn weights_that_are_not_there_are_named_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let runs = "[[runs]]\nmethod = \"modality-dropout\"\n";
    let problem = |song: &str| {
        let path = plan(folder.path(), runs, song);
        format!("{:#}", Plan::read(Some(&path)).unwrap().cells(&Registry::default()).unwrap_err())
    };
    let text = problem(FROZEN);
    assert!(text.contains("weights/song.safetensors") && text.contains("modality-dropout"), "{text}");
    std::fs::create_dir_all(folder.path().join("weights")).unwrap();
    std::fs::write(folder.path().join("weights/song.safetensors"), "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n")
        .unwrap();
    // Only opened where a cell is built.
    let path = plan(folder.path(), runs, FROZEN);
    let output = bench(&path, &folder.path().join("out")).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("git lfs pull"), "{}", said(&output));
    let text = problem(r#"{ kind = "mlp", widths = [8], pretrained = { form = "x" } }"#);
    assert!(text.contains("network.encoders.song") && text.contains("a table { from, entry, prefix, skip, channels }"), "{text}");
    let text = problem(r#"{ kind = "mlp", widths = [8], frozen = true, learning_rate_factor = 0.1 }"#);
    assert!(text.contains("network.encoders.song.learning_rate_factor"), "{text}");
}
