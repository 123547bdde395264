//! `mm export`: from a trained model to a file that others read, and what is said about models that have none.

use super::program::{mm, said};
use mm_onnx::proto::Model;
use prost::Message;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Thirty samples of two sensors, and a model of them.
fn train(folder: &Path, method: &str) {
    train_with(folder, method, &[]);
}

fn train_with(folder: &Path, method: &str, more: &[&str]) {
    let mut table = String::from("a1,a2,b1,b2,b3,state,part\n");
    for i in 0..30 {
        let (state, shift) = if i % 2 == 0 { ("worn", 3) } else { ("new", 0) };
        let part = ["train", "train", "validation", "test", "train"][i % 5];
        table += &format!("{}.5,{},{},{}.25,{i},{state},{part}\n", i % 7 + shift, i % 5, i % 3, i % 4 + shift);
    }
    std::fs::write(folder.join("t.csv"), table).unwrap();
    let views = "[[view]]\nmodality = 'vibration'\nfile = 't.csv'\ncolumns = ['a1', 'a2']\n
        [[view]]\nmodality = 'current'\nfile = 't.csv'\ncolumns = ['b1', 'b2', 'b3']\n";
    std::fs::write(folder.join("card.toml"), format!("name = 'machines'\nlabel = 'state'\npart = 'part'\n{views}")).unwrap();
    let mut train = mm();
    train.current_dir(folder).args(["train", "card.toml", "--method", method, "--epochs", "1", "--out", "my-model"]).args(more);
    let output = train.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// What is printed, or what is said on failure.
fn export(folder: &Path, more: &[&str]) -> Result<String, String> {
    let output = mm().current_dir(folder).args(["export", "--model", "my-model"]).args(more).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(said(&output)),
    }
}

#[test]
fn a_model_becomes_a_file_that_says_what_it_reads() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    train(folder, "udml");
    let printed = export(folder, &["--out", "model.onnx"]).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("model.onnx: ONNX, opset 17, "), "{printed}");
    for expected in [
        "input   vibration float32 [batch, 2]: readings as they are decoded, [features], not standardized",
        "input   current float32 [batch, 3]: readings as they are decoded, [features], not standardized",
        "input   presence bool [batch, 2]: which sensors each sample has, in this order: vibration, current",
        "output  probabilities float32 [batch, 2]: probability of each class",
        "output  logits float32 [batch, 2]: scores of each class, before the softmax",
    ] {
        assert!(lines.contains(&expected), "{expected}\n{printed}");
    }
    assert!(printed.contains("output  noise_levels float32 [batch, 2]") && printed.contains("output  sensor_weights float32 [batch, 2]"));
    let model = Model::decode(std::fs::read(folder.join("model.onnx")).unwrap().as_slice()).unwrap();
    let metadata = |key: &str| model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone()).unwrap();
    assert_eq!(metadata("sensors"), r#"["vibration","current"]"#);
    assert_eq!((metadata("kinds").as_str(), metadata("target").as_str()), (r#"["vector","vector"]"#, "classes"));
    assert_eq!(serde_json::from_str::<Vec<String>>(&metadata("outputs")).unwrap().len(), 2);
    assert_eq!(metadata("family"), "udml");
    assert_eq!((metadata("columns").as_str(), metadata("settings").as_str()), (r#"[["a1","a2"],["b1","b2","b3"]]"#, "[null,null]"));
    // The same model is the same file.
    let bytes = std::fs::read(folder.join("model.onnx")).unwrap();
    let again = export(folder, &["--out", "model.onnx"]).unwrap_err();
    assert!(again.contains("model.onnx exists: `--overwrite` replaces it"), "{again}");
    export(folder, &["--out", "model.onnx", "--overwrite"]).unwrap();
    assert_eq!(std::fs::read(folder.join("model.onnx")).unwrap(), bytes);
    // A link is somebody's, though what it leads to is gone.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("gone.onnx", folder.join("link.onnx")).unwrap();
        let link = export(folder, &["--out", "link.onnx"]).unwrap_err();
        assert!(link.contains("link.onnx exists: `--overwrite` replaces it"), "{link}");
    }
    let wrong = export(folder, &["--out", "model.pb"]).unwrap_err();
    assert!(wrong.contains("a file that ends in .onnx is written"), "{wrong}");
    documented_program(folder);
}

/// Runs the Python of the documentation beside the file, where there is a Python with ONNX Runtime.
fn documented_program(folder: &Path) {
    let python = std::env::var_os("MM_ONNX_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let has = Command::new(&python).args(["-c", "import onnxruntime, numpy"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: {} has no onnxruntime (MM_ONNX_PYTHON names another)", python.display());
        return;
    }
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/onnx.md")).unwrap();
    let program = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has a program");
    let output = Command::new(&python).current_dir(folder).args(["-c", program]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().filter(|line| line.contains("'worn'") && line.contains("'new'")).count(), 2, "{answers}");
}

#[test]
fn a_threshold_is_told_and_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let plan = "name = 'p'\nseeds = [0]\ndata = [{ name = 'd', card = 'card.toml' }]\nruns = [{ method = 'modality-dropout' }]\n
        [train]\nthreshold_by = 'accuracy'\n";
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
    train_with(folder, "modality-dropout", &["--plan", "plan.toml"]);
    let printed = export(folder, &["--out", "model.onnx"]).unwrap();
    assert!(printed.contains("the model says `worn` from a probability of 0."), "{printed}");
    let model = Model::decode(std::fs::read(folder.join("model.onnx")).unwrap().as_slice()).unwrap();
    let threshold = model.metadata_props.iter().find(|entry| entry.key == "threshold").unwrap();
    assert!(printed.contains(&format!("a probability of {} on", threshold.value)), "{printed}");
}

#[test]
fn what_has_no_graph_is_refused_by_name() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    train(folder, "knn-imputation");
    let refused = export(folder, &["--out", "model.onnx"]).unwrap_err();
    assert!(refused.contains("the method (family `knn-imputation`) looks absent features up among the training samples"), "{refused}");
    assert!(!folder.join("model.onnx").exists());
}
