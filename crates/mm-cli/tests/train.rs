//! `mm train`: options of a method without a plan, over those of a plan, and what is said about wrong ones.

#[allow(dead_code, reason = "other tests use the rest")]
mod program;

use program::{mm, said};
use std::path::Path;

/// Thirty samples of two sensors.
fn card(folder: &Path) {
    let mut table = String::from("a1,a2,b1,b2,state,part\n");
    for i in 0..30 {
        let (state, shift) = if i % 2 == 0 { ("worn", 3) } else { ("new", 0) };
        let part = ["train", "train", "validation", "test", "train"][i % 5];
        table += &format!("{}.5,{},{},{}.25,{state},{part}\n", i % 7 + shift, i % 5, i % 3, i % 4 + shift);
    }
    std::fs::write(folder.join("t.csv"), table).unwrap();
    let views = ["a", "b"].map(|m| format!("[[view]]\nmodality = '{m}'\nfile = 't.csv'\ncolumns = ['{m}1', '{m}2']\n")).join("\n");
    std::fs::write(folder.join("card.toml"), format!("name = 'machines'\nlabel = 'state'\npart = 'part'\n{views}")).unwrap();
    let plan = "name = 'plan'\nseeds = [0]\n[[data]]\nname = 'machines'\ncard = 'card.toml'\n
        [[runs]]\nmethod = 'mod-distill'\noptions = { available = ['a'], translation = { norm = false, residual = false } }\n";
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
}

/// Trains into a new folder; what was said on failure, the options of the method on success.
fn train(folder: &Path, out: &str, more: &[&str]) -> Result<serde_json::Value, String> {
    let mut train = mm();
    train.current_dir(folder).args(["train", "card.toml", "--method", "mod-distill", "--epochs", "1", "--out", out]).args(more);
    let output = train.output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&std::fs::read(folder.join(out).join("config.json")).unwrap()).unwrap()),
        false => Err(said(&output)),
    }
}

#[test]
fn options_are_given_without_a_plan_and_over_one() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let without = train(folder, "none", &[]).unwrap_err();
    assert!(without.contains("--option 'available=[\"a\"]'"), "{without}");
    let alone = train(folder, "alone", &["--option", "available=[\"b\"]", "--option", "translation.norm=false"]).unwrap();
    let config = &alone["settings"];
    assert_eq!((&config["available"][0], &config["translation"]["norm"]), (&"b".into(), &false.into()));
    let over = train(folder, "over", &["--plan", "plan.toml", "--option", "translation.residual=true"]).unwrap();
    let config = &over["settings"];
    let translation = &config["translation"];
    assert_eq!((&config["available"][0], &translation["norm"], &translation["residual"]), (&"a".into(), &false.into(), &true.into()));
}

#[test]
fn wrong_options_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    for (option, expected) in
        [("robust=yes", "`--option robust=yes` is no TOML"), ("robst=true", "unknown field `robst`"), ("robust", "is no TOML")]
    {
        let said = train(folder, "wrong", &["--option", option]).unwrap_err();
        assert!(said.contains(expected) && !folder.join("wrong").exists(), "{said}");
    }
}

#[test]
fn devices_that_cannot_be_used_are_refused_before_anything_is_trained() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let said = train(folder, "wrong", &["--device", "gpu"]).unwrap_err();
    assert!(said.contains("there is no `gpu`: write cpu, cuda, cuda:1"), "{said}");
    let plan = std::fs::read_to_string(folder.join("plan.toml")).unwrap();
    std::fs::write(folder.join("plan.toml"), format!("device = 'cuda:0'\n{plan}")).unwrap();
    if cfg!(feature = "cuda") {
        return eprintln!("skipped: this program has CUDA");
    }
    let needs = "`cuda:0` needs a program that was built with `--features cuda`";
    let said = train(folder, "wrong", &["--plan", "plan.toml"]).unwrap_err();
    assert!(said.contains(needs), "{said}");
    let bench =
        |more: &[&str]| mm().current_dir(folder).args(["bench", "plan.toml", "--quick", "--out", "results"]).args(more).output().unwrap();
    let output = bench(&[]);
    assert!(!output.status.success() && program::said(&output).contains(needs), "{}", program::said(&output));
    assert!(!folder.join("results").exists(), "refused before the folder is made");
    // What is given with the command goes before what the plan says.
    train(folder, "model", &["--plan", "plan.toml", "--device", "cpu"]).unwrap();
    let output = bench(&["--device", "cpu"]);
    assert!(output.status.success(), "{}", program::said(&output));
    for (command, more) in
        [("evaluate", ["--card", "card.toml"]), ("predict", ["--manifest", "t.csv"]), ("serve", ["--addr", "127.0.0.1:0"])]
    {
        let mut asked = mm();
        asked.current_dir(folder).args([command, "--model", "model", "--device", "cuda"]).args(more);
        if command == "predict" {
            asked.args(["--out", "answers.csv"]);
        }
        let output = asked.output().unwrap();
        assert!(!output.status.success() && program::said(&output).contains(needs), "{command}: {}", program::said(&output));
    }
}
