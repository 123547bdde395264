//! `mm train`: options of a method without a plan, over those of a plan, and what is said about wrong ones.

use super::program::{self, mm, said};
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

/// What a command says in this folder that ends well.
fn says_in(folder: &Path, arguments: &[&str]) -> String {
    let output = mm().current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[test]
fn combinations_without_a_sample_are_told_below_the_table() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let table = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    let without = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
        [a1, a2, _, _, state, "test"] => format!("{a1},{a2},,,{state},test\n"),
        _ => format!("{line}\n"),
    };
    std::fs::write(folder.join("t.csv"), table.lines().map(without).collect::<String>()).unwrap();
    let arguments = ["train", "card.toml", "--method", "modality-dropout", "--epochs", "1", "--out", "model"];
    let output = mm().current_dir(folder).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("no sample that was evaluated has b, a+b\n") && text.ends_with("model\n"), "{text}{}", said(&output));
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

/// The last thing that a training does is to write its model.
#[test]
fn a_place_that_no_model_can_be_written_to_is_refused_before_the_training() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    std::fs::write(folder.join("taken"), "").unwrap();
    for out in ["taken", "taken/model"] {
        let said = train(folder, out, &["--option", "available=['a']"]).unwrap_err();
        assert!(said.contains("taken is a file: give a new or empty folder for the model"), "{said}");
        assert!(!folder.join("taken.checkpoints").exists());
    }
    std::fs::write(folder.join("other.checkpoints"), "mine").unwrap();
    let said = train(folder, "other", &["--option", "available=['a']"]).unwrap_err();
    assert!(said.contains("other.checkpoints is a file, and a folder of this name holds the checkpoints"), "{said}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
        let said = train(folder, "link", &["--option", "available=['a']"]).unwrap_err();
        assert!(said.contains("link is a link to something that is not there: give a new or empty folder"), "{said}");
    }
}

#[test]
fn a_class_that_only_the_test_has_is_told_before_the_training() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let table = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    std::fs::write(folder.join("t.csv"), table.replacen("new,test", "lost,test", 1)).unwrap();
    let mut train = mm();
    train.current_dir(folder).args(["train", "card.toml", "--method", "modality-dropout", "--epochs", "1", "--out", "model"]);
    let output = train.output().unwrap();
    assert!(output.status.success() && said(&output).contains("no training sample has the class `lost`"), "{}", said(&output));
}

/// A model knows numbers by their places, and a card of tables takes them as the file has them.
#[test]
fn a_table_whose_columns_are_in_another_order_is_not_evaluated() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    train(folder, "model", &["--option", "available=['a']"]).unwrap();
    let evaluate = |names: &str| {
        let table = std::fs::read_to_string(folder.join("t.csv")).unwrap();
        std::fs::write(folder.join("other.csv"), table.replacen("a1,a2", names, 1)).unwrap();
        let card = std::fs::read_to_string(folder.join("card.toml")).unwrap();
        let (first, second) = names.split_once(',').unwrap();
        let card = card.replace("t.csv", "other.csv").replace("['a1', 'a2']", &format!("['{first}', '{second}']"));
        std::fs::write(folder.join("other.toml"), card).unwrap();
        let output = mm().current_dir(folder).args(["evaluate", "--model", "model", "--card", "other.toml"]).output().unwrap();
        (output.status.success(), said(&output))
    };
    let (done, said) = evaluate("a2,a1");
    assert!(!done && said.contains("column 1 of `a` is `a2`, and the model learnt `a1` there: bring the table's columns"), "{said}");
    let (done, said) = evaluate("a1,c");
    assert!(
        done && said.contains("column 2 of `a` is `c`, and the model learnt `a2` there: the numbers are read by their places"),
        "{said}"
    );
    let (done, said) = evaluate("a1,a2");
    assert!(done && !said.contains("learnt"), "{said}");
}

/// What pandas does to whole numbers beside a gap.
#[test]
fn classes_that_another_program_wrote_as_fractions_are_those_of_the_model() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let table = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    let written = |classes: [&str; 2]| table.replace("new,", &format!("{},", classes[0])).replace("worn,", &format!("{},", classes[1]));
    std::fs::write(folder.join("t.csv"), written(["0", "1"])).unwrap();
    train(folder, "model", &["--option", "available=['a']"]).unwrap();
    std::fs::write(folder.join("t.csv"), written(["0.0", "1.0"])).unwrap();
    let run = |arguments: &[&str]| {
        let output = mm().current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output)
    };
    run(&["evaluate", "--model", "model", "--card", "card.toml"]);
    let said = run(&["predict", "--model", "model", "--manifest", "t.csv", "--label", "state", "--out", "answers.csv"]);
    assert!(said.contains("labelled  accuracy") && !said.contains("no class of the model"), "{said}");
    std::fs::write(folder.join("t.csv"), written(["0.5", "1.5"])).unwrap();
    let output = mm().current_dir(folder).args(["evaluate", "--model", "model", "--card", "card.toml"]).output().unwrap();
    assert!(!output.status.success() && program::said(&output).contains("0.5, 1.5 to predict"), "{}", program::said(&output));
}

/// Names may be what Markdown takes for more than text; weights may be nothing.
#[test]
fn odd_names_stay_as_they_are_and_weights_of_nothing_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let table = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    let odd = table.replace("new,", "*new*,").replace("worn,", "\"worn, <b>\",");
    std::fs::write(folder.join("t.csv"), &odd).unwrap();
    train(folder, "model", &["--option", "available=['a']"]).unwrap();
    let readme = std::fs::read_to_string(folder.join("model/README.md")).unwrap();
    assert!(readme.contains("Readings::new().vector(\"a\", [0.5; 2])"), "{readme}");
    assert!(readme.contains("Classes: \\*new\\*, \"worn, \\<b\\>\"."), "{readme}");
    let weighted: String = odd.lines().enumerate().map(|(i, row)| format!("{row},{}\n", if i == 0 { "w" } else { "0" })).collect();
    std::fs::write(folder.join("t.csv"), weighted).unwrap();
    let card = std::fs::read_to_string(folder.join("card.toml")).unwrap();
    std::fs::write(folder.join("card.toml"), card.replacen("label = ", "weight = 'w'\nlabel = ", 1)).unwrap();
    let said = train(folder, "none", &["--option", "available=['a']"]).unwrap_err();
    assert!(said.contains("training samples have the weight 0"), "{said}");
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

/// Two hundred samples of two noisy sensors, one in ten of the second class.
fn unequal(folder: &Path) {
    let mut table = String::from("a1,b1,state,part\n");
    for i in 0..400usize {
        let ill = i % 10 == 3;
        // Overlapping: the second class is the likelier one nowhere, or nearly so.
        let (a, b) =
            ((i * 37 % 101) as f32 / 50.0 + if ill { 0.6 } else { 0.0 }, (i * 53 % 97) as f32 / 48.0 + if ill { 0.6 } else { 0.0 });
        let part = ["train", "train", "validation", "test"][i / 10 % 4];
        table += &format!("{a},{b},{},{part}\n", if ill { "ill" } else { "healthy" });
    }
    std::fs::write(folder.join("t.csv"), table).unwrap();
    let views = ["a", "b"].map(|m| format!("[[view]]\nmodality = '{m}'\nfile = 't.csv'\ncolumns = ['{m}1']\n")).join("\n");
    std::fs::write(
        folder.join("card.toml"),
        format!("name = 'unequal'\nlabel = 'state'\nclasses = ['healthy', 'ill']\npart = 'part'\n{views}"),
    )
    .unwrap();
    for (name, more) in [("plain", ""), ("chosen", "threshold_by = 'balanced_accuracy'\n"), ("wrong", "threshold_by = 'auroc'\n")] {
        let plan = format!(
            "name = '{name}'\nseeds = [0]\n[train]\nepochs = 30\nbatch_size = 32\n{more}[[data]]\nname = 'unequal'\ncard = 'card.toml'\n
            [[runs]]\nmethod = 'modality-dropout'\n"
        );
        std::fs::write(folder.join(format!("{name}.toml")), plan).unwrap();
    }
}

#[test]
fn a_threshold_is_chosen_on_validation_samples_and_used_wherever_something_is_decided() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    unequal(folder);
    let trained = |plan: &str| {
        let plan_file = format!("{plan}.toml");
        let arguments = ["train", "card.toml", "--method", "modality-dropout", "--plan", &plan_file, "--out", plan];
        let output = mm().current_dir(folder).args(arguments).output().unwrap();
        if !output.status.success() {
            return Err(said(&output));
        }
        Ok(serde_json::from_slice::<serde_json::Value>(&std::fs::read(folder.join(plan).join("config.json")).unwrap()).unwrap())
    };
    let (plain, chosen) = (trained("plain").unwrap(), trained("chosen").unwrap());
    let threshold = chosen["schema"]["threshold"].as_f64().unwrap();
    assert!(plain["schema"].get("threshold").is_none() && threshold > 0.0 && threshold < 0.5, "{threshold}");
    let note = chosen["training"]["notes"].to_string();
    assert!(note.contains("`ill` is predicted from a probability of") && note.contains("of 100 validation samples"), "{note}");
    let of = |model: &serde_json::Value, score: &str| {
        let combinations = model["evaluation"]["combinations"].as_array().unwrap();
        let full = combinations.iter().find(|c| c["combination"] == "a+b").unwrap();
        full["scores"][score].as_f64().unwrap()
    };
    assert!(of(&chosen, "balanced_accuracy") > of(&plain, "balanced_accuracy") + 0.02, "{chosen} {plain}");
    // What is no decision stays.
    for score in ["auroc", "auprc", "nll", "ece"] {
        assert_eq!(of(&chosen, score), of(&plain, score), "{score}");
    }
    let mut predict = mm();
    predict.current_dir(folder).args(["predict", "--model", "chosen", "--manifest", "t.csv", "--out", "answers.jsonl"]);
    let output = predict.args(["--column", "a=a1", "--column", "b=b1"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let answers = std::fs::read_to_string(folder.join("answers.jsonl")).unwrap();
    let mut ill = 0;
    for line in answers.lines() {
        let answer: serde_json::Value = serde_json::from_str(line).unwrap();
        let probability = answer["probabilities"]["ill"].as_f64().unwrap();
        let is_ill = answer["class"] == "ill";
        assert!(is_ill == (probability >= threshold) || (probability - threshold).abs() < 1e-4, "{line}");
        ill += usize::from(is_ill && probability < 0.5);
    }
    assert!(ill > 0, "some are decided against the likelier class");
    let wrong = trained("wrong").unwrap_err();
    assert!(wrong.contains("train.threshold_by") && wrong.contains("accuracy, macro_f1, balanced_accuracy"), "{wrong}");
    let output = mm().current_dir(folder).args(["bench", "chosen.toml", "--out", "results"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report = std::fs::read_to_string(folder.join("results").join("report.json")).unwrap();
    assert!(report.contains("is predicted from a probability of"), "{report}");
}

#[test]
fn whoever_asks_about_validation_samples_that_trained_is_told_so() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let asked = |joined: bool, part: &str| {
        let name = format!("joined-{joined}");
        let plan = format!(
            "name = 'plan'\nseeds = [0]\n[train]\nepochs = 1\n[[data]]\nname = 'machines'\ncard = 'card.toml'\ntrain_on_validation = {joined}\n
            [[runs]]\nmethod = 'modality-dropout'\n"
        );
        std::fs::write(folder.join("joined.toml"), plan).unwrap();
        let arguments = ["train", "--plan", "joined.toml", "--method", "modality-dropout", "--overwrite", "--out", &name];
        let output = mm().current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let output = mm().current_dir(folder).args(["evaluate", "--model", &name, "--card", "card.toml", "--part", part]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output).contains("`train_on_validation`")
    };
    assert!(asked(true, "validation"));
    assert!(!asked(true, "test") && !asked(false, "validation"));
}

#[test]
fn whoever_trains_for_a_few_steps_is_told_so() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let says = |arguments: &[&str]| says_in(folder, arguments);
    // Eighteen samples are one batch of 64, and four of 4 and a rest that is left out.
    let told = says(&["train", "card.toml", "--method", "full-only", "--epochs", "3", "--out", "short"]);
    assert!(told.contains("few steps, 3 (18 samples in batches of 64, epochs: 3)"), "{told}");
    let bench = |name: &str, more: &[&str]| {
        let plan = "name = 'plan'\nseeds = [0]\n[train]\nepochs = 25\nbatch_size = 4\nselect_by = 'auroc'\n[[data]]\nname = 'machines'\ncard = 'card.toml'\n
            [[runs]]\nmethod = 'full-only'\n[[runs]]\nname = 'short'\nmethod = 'full-only'\ntrain = { epochs = 24 }\n";
        std::fs::write(folder.join("plan.toml"), plan).unwrap();
        says(&[&["bench", "plan.toml", "--out", name], more].concat())
    };
    let told = bench("all", &[]);
    assert!(told.contains("data `machines`, seed 0: a training takes few steps, 96 ") && !told.contains("steps, 100"), "{told}");
    assert!(told.contains("`select_by = \"auroc\"` changes nothing: for a selection write `select = \"best_validation\"`"), "{told}");
    assert!(!bench("quick", &["--quick"]).contains("few steps"));
}

#[test]
fn a_method_whose_own_losses_never_begin_is_told() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let says = |arguments: &[&str]| says_in(folder, arguments);
    let late = "they begin after 2 epochs (`begin_epoch = 2`), and `epochs` is 2; set `epochs` to 3 or more";
    let train = |epochs: &str| {
        let options = ["--epochs", epochs, "--option", "begin_epoch=2", "--overwrite", "--out", "late"];
        says(&[&["train", "card.toml", "--method", "mmanet"], &options[..]].concat())
    };
    let told = train("2");
    assert!(told.contains("`mmanet` trains without losses of its own") && told.contains(late), "{told}");
    assert!(!train("3").contains("losses of its own"));
    let plan = "name = 'plan'\nseeds = [0]\nquick = { epochs = 3 }\n[train]\nepochs = 6\n[[data]]\nname = 'machines'\ncard = 'card.toml'\n
        [[runs]]\nmethod = 'mmanet'\n[[runs]]\nmethod = 'dmrnet'\n";
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
    let told = says(&["bench", "plan.toml", "--out", "all"]);
    assert!(told.contains("run `dmrnet`: `dmrnet` trains without") && !told.contains("run `mmanet`"), "{told}");
    let report = |out: &str| std::fs::read_to_string(folder.join(out).join("report.json")).unwrap();
    assert!(report("all").contains("`dmrnet` trains without losses of its own"));
    // A quick look shows all of a method at work.
    assert!(!says(&["bench", "plan.toml", "--quick", "--out", "quick"]).contains("losses of its own"));
    let quick = report("quick");
    assert!(!quick.contains("losses of its own") && quick.contains("mined"), "{quick}");
}

#[test]
fn whoever_asks_about_other_parts_than_those_of_the_training_is_told_so() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    card(folder);
    let given = std::fs::read_to_string(folder.join("card.toml")).unwrap();
    let drawn = given.replace("part = 'part'\n", "ignore = ['part']\n");
    std::fs::write(folder.join("drawn.toml"), &drawn).unwrap();
    std::fs::write(folder.join("other.toml"), format!("{drawn}[split]\ntrain = 0.5\nvalidation = 0.1\ntest = 0.4\n")).unwrap();
    let table = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    std::fs::write(folder.join("grown.csv"), format!("{table}1.5,2,1,2.25,worn,test\n2.5,2,1,2.25,new,train\n")).unwrap();
    std::fs::write(folder.join("grown.toml"), drawn.replace("t.csv", "grown.csv")).unwrap();
    let run = |arguments: &[&str]| {
        let output = mm().current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    for (card, model) in [("card.toml", "given"), ("drawn.toml", "drawn")] {
        run(&["train", card, "--method", "modality-dropout", "--epochs", "1", "--out", model]);
    }
    for (model, card, part, is_told) in [
        ("drawn", "drawn.toml", "test", false),
        ("drawn", "other.toml", "test", true),
        ("drawn", "grown.toml", "validation", true),
        ("drawn", "grown.toml", "all", false),
        // The parts that a table gives are its own affair.
        ("drawn", "card.toml", "test", false),
        ("given", "card.toml", "test", false),
        ("given", "drawn.toml", "test", true),
    ] {
        let told = run(&["evaluate", "--model", model, "--card", card, "--part", part]);
        assert_eq!(told.contains("draws other parts than those of the training"), is_told, "{model} {card} {part}: {told}");
    }
}
