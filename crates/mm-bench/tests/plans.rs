//! Plans with mistakes: what is understood is what is written, everything else is a message with file and place.

#[path = "../../mm-cli/tests/cli/birds.rs"]
mod birds;
#[path = "../../mm-core/tests/damage/mod.rs"]
mod damage;

use anyhow::Result;
use mm_bench::dataset::{BUILT_IN, CardReader, TrainingSamples};
use mm_bench::{CellSpec, Plan, Registry};
use mm_core::rng;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every field of a plan.
const EVERYTHING: &str = r#"
name = "birds-plan"
description = "Songs and feathers."
seeds = [0, 1]
combinations = ["song", "song+feather"]
failure = { feather = 0.25 }

[[corruptions]]
families = ["gaussian", "dead"]
severities = [1, 3]
modalities = "feather"

[train]
epochs = 4
batch_size = 8
learning_rate = 0.05
clip_norm = 5.0
schedule = { kind = "multi_step", milestones = [2.0, 3.0], gamma = 0.1 }
optimizer = { kind = "adam_w", betas = [0.9, 0.999], eps = 1e-8, weight_decay = 0.01 }

[[data]]
name = "all"
train_on_validation = false
card = "birds.toml"

[[data]]
name = "few"
card = "birds.toml"
train_per_class = 4
train = { epochs = 6, validate_every = 2, select = "best_validation", patience = 3 }

[[runs]]
method = "modality-dropout"
options = { missing = { rates = { song = 0.3, feather = 0.5 } }, network = { trunk = { kind = "mlp", widths = [16, 8] } } }

[[runs]]
name = "slow-mmanet"
method = "mmanet"
train = { learning_rate = 0.01, optimizer = { kind = "sgd", momentum = 0.9 } }
options = { lambda_mad = 4.0, begin_epoch = 3, network = { encoder = { kind = "mlp", widths = [16] } } }

[[runs]]
method = "udml"
options = { estimator_width = 12, temperature = 2.0 }
"#;

fn cells(path: &Path) -> Result<Vec<CellSpec>> {
    Plan::read(Some(path))?.cells(&Registry::default())
}

/// The setting `key` of a table's `train`, if it is there.
fn setting<'a>(table: &'a toml::Value, key: &str) -> Option<&'a toml::Value> {
    table.get("train")?.get(key)
}

/// Compares cells with the plain tables of the plan that made them.
fn check_against_tables(text: &str, cells: &[CellSpec], case: u64) {
    let plan: toml::Value = toml::from_str(text).expect("it was read");
    let entries = |name: &str| plan[name].as_array().expect("it was read").clone();
    let named =
        |entry: &toml::Value, or: &str| entry.get("name").or(entry.get(or)).expect("it was read").as_str().expect("text").to_string();
    let mut left: BTreeSet<(String, String, u64)> = BTreeSet::new();
    for data in entries("data") {
        for run in entries("runs") {
            for seed in entries("seeds") {
                let seed = seed.as_integer().expect("it was read") as u64;
                let (data_name, run_name) = (named(&data, "name"), named(&run, "method"));
                let cell = cells.iter().find(|c| !c.hidden && c.data == data_name && c.run == run_name && c.resolved.train.seed == seed);
                let cell = cell.unwrap_or_else(|| panic!("case {case}: no cell for {data_name}, {run_name}, {seed}"));
                let mut options = run.get("options").and_then(|o| o.as_table()).cloned().unwrap_or_default();
                if let Some(network) = plan.get("network") {
                    options.entry("network").or_insert_with(|| network.clone());
                }
                assert_eq!(cell.resolved.options, options, "case {case}");
                let wanted = |key: &str| setting(&run, key).or(setting(&data, key)).or(setting(&plan, key)).cloned();
                let epochs = wanted("epochs").map_or(40, |v| v.as_integer().expect("it was read"));
                assert_eq!(cell.resolved.train.epochs as i64, epochs, "case {case}");
                let batch_size = wanted("batch_size").map_or(64, |v| v.as_integer().expect("it was read"));
                assert_eq!(cell.resolved.train.batch_size as i64, batch_size, "case {case}");
                let per_class = data.get("train_per_class").map(|v| v.as_integer().expect("it was read"));
                assert_eq!(cell.resolved.train_per_class.map(|n| n as i64), per_class, "case {case}");
                let joined = data.get("train_on_validation").is_some_and(|v| v.as_bool().expect("it was read"));
                assert_eq!(cell.resolved.train_on_validation, joined, "case {case}");
                left.insert((data_name, run_name, seed));
            }
        }
    }
    assert_eq!(cells.iter().filter(|c| !c.hidden).count(), left.len(), "case {case}");
}

#[test]
fn ten_thousand_damaged_plans_are_understood_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = birds::write(folder.path(), 60, EVERYTHING);
    check_against_tables(EVERYTHING, &cells(&path).unwrap(), 0);
    let registry = Registry::default();
    let mut understood = 0;
    for case in 0..10_000 {
        let bytes = damage::damage(EVERYTHING.as_bytes(), &mut rng::stream(13, "plans", &[case]));
        match Plan::from_bytes(&bytes, &path).and_then(|plan| plan.cells(&registry)) {
            Ok(cells) => {
                understood += 1;
                check_against_tables(std::str::from_utf8(&bytes).unwrap(), &cells, case);
                for cell in &cells {
                    assert!(cell.estimated_seconds.is_finite() && cell.resolved.train.validate().is_ok(), "case {case}");
                    // The child process reads what was resolved here.
                    let text = serde_json::to_string(cell).unwrap();
                    let read: CellSpec = serde_json::from_str(&text).unwrap();
                    assert_eq!(serde_json::to_string(&read).unwrap(), text, "case {case}");
                }
            }
            Err(error) => {
                let message = format!("{error:#}");
                assert!(message.contains("plan.toml") && message.len() < 2000, "case {case}: {message}");
                let (_, place) = message.split_once("plan.toml").unwrap();
                let at_line = place.strip_prefix(':').and_then(|p| p.split(':').next()).is_some_and(|line| line.parse::<usize>().is_ok());
                assert!(at_line || place.contains('`'), "case {case} does not say where: {message}");
            }
        }
    }
    println!("{understood} of 10 000 understood");
    assert!((100..9000).contains(&understood), "{understood}");
}

const SCHEDULE: &str = "schedule = { kind = \"multi_step\", milestones = [2.0, 3.0], gamma = 0.1 }\n";
const OPTIMIZER: &str = "optimizer = { kind = \"adam_w\", betas = [0.9, 0.999], eps = 1e-8, weight_decay = 0.01 }\n";

#[test]
fn the_name_of_a_kind_is_the_table_of_that_alone() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |schedule: &str, optimizer: &str| {
        let text =
            EVERYTHING.replace(SCHEDULE, &format!("schedule = {schedule}\n")).replace(OPTIMIZER, &format!("optimizer = {optimizer}\n"));
        cells(&birds::write(folder.path(), 60, &text)).unwrap().into_iter().map(|cell| cell.key).collect::<Vec<_>>()
    };
    let one_cycle = "{ kind = \"one_cycle\", pct_start = 0.3, div_factor = 25, final_div_factor = 10000 }";
    assert_eq!(keys("\"one_cycle\"", "\"adam\""), keys(one_cycle, "{ kind = \"adam\" }"));
    assert_ne!(keys("\"cosine\"", "\"adam\""), keys(one_cycle, "{ kind = \"adam\" }"));
}

#[test]
fn slips_are_named_with_field_and_limit() {
    let folder = tempfile::tempdir().unwrap();
    let huge = "1000000000000000000";
    let slips = [
        ("epochs = 4\n", &*format!("epochs = {huge}\n"), "train.epochs"),
        ("epochs = 4\n", "epochs = 0\n", "train.epochs"),
        ("epochs = 4\n", "epochs = -1\n", "epochs"),
        ("epochs = 4\n", "epochs = \"four\"\n", "train.epochs"),
        ("epochs = 4\n", "epoch = 4\n", "did you mean `epochs`?"),
        (SCHEDULE, "schedule = \"cosin\"\n", "did you mean `cosine`?"),
        (SCHEDULE, "schedule = \"multi_step\"\n", "missing field `milestones`; the kinds are `constant`, `cosine`, `multi_step` and"),
        (SCHEDULE, "schedule = 3\n", "expected one of the kinds `constant`, `cosine`, `multi_step` and `one_cycle`, such as {"),
        (OPTIMIZER, "optimizer = { eps = 1e-8 }\n", "missing field `kind`; the kinds are `sgd`, `adam` and `adam_w`, such as {"),
        (OPTIMIZER, "optimizer = [\"adam\"]\n", "expected one of the kinds `sgd`, `adam` and `adam_w`, such as {"),
        ("select = \"best_validation\"", "select = \"best\"", "did you mean `best_validation`?"),
        ("select = \"best_validation\"", "select_by = \"r2\"", "there is no score `r2` for this target; there are: accuracy, macro_f1"),
        ("batch_size = 8", &format!("batch_size = {huge}"), "train.batch_size"),
        ("learning_rate = 0.05", "learning_rate = nan", "learning_rate"),
        ("gamma = 0.1", "gamma = inf", "schedule.gamma"),
        ("milestones = [2.0, 3.0]", "milestones = [nan]", "schedule.milestones"),
        ("eps = 1e-8", "eps = 0.0", "optimizer.eps"),
        ("weight_decay = 0.01", "weight_decay = nan", "optimizer.weight_decay"),
        ("widths = [16, 8]", &format!("widths = [{huge}]"), "trunk.widths"),
        ("widths = [16]", "widths = []", "network.encoder.widths"),
        ("estimator_width = 12", &format!("estimator_width = {huge}"), "estimator_width"),
        ("train_per_class = 4", &format!("train_per_class = {huge}"), "data `few`"),
        ("train_on_validation = false", "train_on_validation = true", "none of the 0 validation samples"),
        ("train_on_validation = false", "train_on_validation = true\ntrain.patience = 2", "`train_on_validation = true` none is left"),
        ("method = \"udml\"", "method = \"udlm\"", "did you mean `udml`?"),
        ("method = \"udml\"", "method = \"guesswork\"", "There are: full-only, modality-dropout, "),
        ("lambda_mad = 4.0", "lambda_mad = \"much\"", "options.lambda_mad"),
        ("lambda_mad = 4.0", "lamda_mad = 4.0", "did you mean `lambda_mad`?"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "appears twice"),
        ("seeds = [0, 1]", "seeds = [0, -1]", "plan.toml:4:"),
        ("\"song\", ", "\"sing\", ", "`combinations`"),
        ("[\"song\", \"song+feather\"]", "[\"song+feather\", \"feather+song\"]", "\"song+feather\" and \"feather+song\" are the same"),
        ("[\"song\", \"song+feather\"]", "[\"song\", \"song\"]", "`combinations`"),
        ("[\"song\", \"song+feather\"]", "[]", "`combinations`: modality: the list is empty"),
        ("modalities = \"feather\"", "modalities = \"fur\"", "`[[corruptions]]`"),
        ("severities = [1, 3]", "severities = []", "`severities` is an empty list"),
        ("severities = [1, 3]", "severities = [3, 3]", "`gaussian on feather of severity 3` appears twice"),
        ("card = \"birds.toml\"\n\n", "card = \"bird.toml\"\n\n", "bird.toml"),
    ];
    for (from, to, expected) in slips {
        assert_eq!(EVERYTHING.matches(from).count(), 1, "{from}");
        let path = birds::write(folder.path(), 60, &EVERYTHING.replace(from, to));
        let message = format!("{:#}", cells(&path).expect_err(to));
        assert!(message.contains("plan.toml") && message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn failure_rates_are_checked_and_train_nothing_anew() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |text: &str| cells(&birds::write(folder.path(), 60, text)).map(|cells| cells.into_iter().map(|c| c.key).collect::<Vec<_>>());
    let plan = |rates: &str| EVERYTHING.replace("{ feather = 0.25 }", rates);
    let of_data = |rates: &str| EVERYTHING.replace("name = \"few\"", &format!("name = \"few\"\nfailure = {rates}"));
    let without = keys(&EVERYTHING.replace("failure = { feather = 0.25 }\n", "")).unwrap();
    assert_eq!(keys(&plan("{ song = 0.1, feather = 0.3 }")).unwrap(), without);
    assert_eq!(keys(&of_data("{ feather = 0.0 }")).unwrap(), without);
    let refused = |text: String| format!("{:#}", keys(&text).unwrap_err());
    assert!(refused(plan("{ sing = 0.1 }")).contains("`failure` names the sensor `sing`, but the data has song, feather"));
    assert!(refused(of_data("{ song = 1.0 }")).contains("data `few`: `failure` of `song` is 1; a rate is at least 0 and below 1"));
}

#[test]
fn one_network_serves_all_runs_that_name_none() {
    let folder = tempfile::tempdir().unwrap();
    let network = |widths: &str| format!("{EVERYTHING}\n[network.trunk]\nkind = \"mlp\"\nwidths = {widths}\n");
    let text = network("[8]");
    let cells = |text: &str| cells(&birds::write(folder.path(), 60, text));
    let resolved = cells(&text).unwrap();
    check_against_tables(&text, &resolved, 0);
    let shared: toml::Value = toml::from_str("trunk = { kind = 'mlp', widths = [8] }").unwrap();
    let with = resolved.iter().filter(|cell| cell.resolved.options.get("network") == Some(&shared)).count();
    assert!(with > 0 && with < resolved.len(), "{with} of {}", resolved.len());
    let message = format!("{:#}", cells(&network("[]")).expect_err("no layer"));
    assert!(message.contains("trunk.widths"), "{message}");
}

/// Some birds were not heard and some were not seen: what only training would notice is refused before it.
#[test]
fn samples_that_a_method_cannot_train_on_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let with = |options: &str| {
        let run = format!("{EVERYTHING}\n[[runs]]\nmethod = \"mod-distill\"\noptions = {{ {options} }}\n");
        cells(&birds::write(folder.path(), 60, &run)).map_err(|error| format!("{error:#}"))
    };
    let message = with("available = ['song']").unwrap_err();
    for part in ["plan.toml", "run `mod-distill` on data `all`", "do not have all of song"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // Of one sensor it would change nothing.
    assert!(!message.contains("set `robust`"), "{message}");
    let message = with("available = ['song'], robust = true").unwrap_err();
    assert!(message.contains("have none of song"), "{message}");
    let message = with("available = ['sing'], robust = true").unwrap_err();
    assert!(message.contains("sing"), "{message}");
    let message = with("robust = true, teacher = 'privileged'").unwrap_err();
    assert!(message.contains("no privileged modality"), "{message}");
    assert!(with("robust = true").is_ok());
}

/// Every sample has either a camera or a scale, or both if `complete`.
fn either(folder: &Path, complete: bool, runs: &str) -> Result<Vec<CellSpec>> {
    let (mut camera, mut scale) = (String::from("id,kind,x,y\n"), String::from("id,weight\n"));
    for i in 0..60 {
        let seen = if complete || i % 2 == 0 { format!("{}.5,{}", i % 3, i % 7) } else { ",".into() };
        let weighed = if complete || i % 2 == 1 { format!("{}.25", i % 5) } else { String::new() };
        camera += &format!("s{i},{},{seen}\n", ["oak", "elm", "ash"][i % 3]);
        scale += &format!("s{i},{weighed}\n");
    }
    let card = "name = 'trees'\njoin = 'id'\nid = 'id'\nlabel = 'kind'\n\
                [[view]]\nmodality = 'camera'\nfile = 'camera.csv'\n[[view]]\nmodality = 'scale'\nfile = 'scale.csv'\n";
    let plan = format!("name = 'either'\nseeds = [0]\n[[data]]\nname = 'trees'\ncard = 'trees.toml'\n{runs}");
    for (name, text) in [("camera.csv", &*camera), ("scale.csv", &scale), ("trees.toml", card), ("plan.toml", &plan)] {
        std::fs::write(folder.join(name), text)?;
    }
    cells(&folder.join("plan.toml"))
}

/// What no method can make up for is said before anything is trained, with method, data and what to write.
#[test]
fn methods_that_need_complete_samples_are_refused_without() {
    let folder = tempfile::tempdir().unwrap();
    let with = |complete: bool, method: &str, options: &str| {
        either(folder.path(), complete, &format!("[[runs]]\nmethod = '{method}'\noptions = {{ {options} }}\n"))
            .map_err(|e| format!("{e:#}"))
    };
    let refused = [
        ("mmanet", "", "none of the 6 validation samples has all of camera+scale"),
        ("dmrnet", "mining = 'per_sample_kl'", "none of the 6 validation samples has all modalities"),
        ("mod-distill", "robust = true", "sees camera+scale, which none of the 42 training samples has"),
        ("per-combination", "combinations = ['full']", "no two of 42 training samples have all of one of camera+scale"),
        ("udml", "missing = 'full'", "42 of 42 training samples lack a modality"),
        ("full-only", "missing = 'full'", "42 of 42 training samples lack a modality"),
    ];
    for (method, options, expected) in refused {
        let message = with(false, method, options).expect_err(method);
        assert!(message.contains(expected) && message.contains(&format!("`{method}` cannot be trained on this")), "{message}");
        assert!(message.contains(&format!("run `{method}` on data `trees`")), "{message}");
        with(true, method, options).unwrap();
    }
    for (method, options) in [
        ("full-only", ""),
        ("mean-imputation", ""),
        ("logit-distillation", ""),
        ("late-fusion", ""),
        ("per-combination", ""),
        ("gradient-modulation", "alpha = 0.5, until = 0.5"),
        ("unimodal-losses", "weight = 0.5"),
        ("deep-ensemble", "members = 2"),
        ("knn-imputation", "neighbours = 3"),
        ("regression-imputation", "ridge = 1.0"),
        ("dmrnet", ""),
        ("udml", ""),
        ("mmanet", "weak_combinations = ['scale']"),
        ("mmanet", "lambda_mar = 0.0"),
        ("mod-distill", "robust = true, no_ja = true"),
    ] {
        with(false, method, options).unwrap();
    }
}

#[test]
fn sensors_go_missing_in_training_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let with = |method: &str, missing: &str| {
        let robust = if method == "mod-distill" { "robust = true, " } else { "" };
        let run = format!("[[runs]]\nmethod = '{method}'\noptions = {{ {robust}missing = {missing} }}\n");
        either(folder.path(), true, &run).map_err(|e| format!("{e:#}"))
    };
    let methods = ["full-only", "modality-dropout", "mean-imputation", "logit-distillation", "mmanet", "udml", "dmrnet", "mod-distill"];
    for method in methods.into_iter().chain(["gradient-modulation", "unimodal-losses", "knn-imputation", "regression-imputation"]) {
        for pattern in [
            "{ rate = 0.3 }",
            "{ rates = { camera = 0.1, scale = 0.6 } }",
            "{ rates = { scale = 0.6 } }",
            "{ combinations = { camera = 1, 'camera+scale' = 3 } }",
            "{ by_value = { scale = { rate = 0.3, slope = 2 } } }",
            "'natural'",
            "{ fixed = 'scale' }",
        ] {
            with(method, pattern).unwrap_or_else(|error| panic!("{method}, {pattern}: {error}"));
        }
        for (pattern, expected) in [
            ("{ rates = { camra = 0.1 } }", "did you mean \"camera\"?"),
            ("{ rates = [0.1, 0.2] }", "a rate for each modality by name, such as `{ rgb = 0.1, depth = 0.3 }`"),
            ("{ rate = 1.5 }", "rate 1.5 is not between 0 and 1"),
            ("{ rate = 0.1, rates = { scale = 0.2 } }", "several forms of one pattern: write one of `rate`, `rates`, `fixed`"),
            ("3", "or a table with one of `rate`, `rates`, `fixed`"),
        ] {
            let message = with(method, pattern).expect_err(pattern);
            assert!(message.contains(expected), "{method}, {pattern}: {message}");
        }
    }
    for (method, option) in [
        ("late-fusion", "missing = { rate = 0.3 }"),
        ("full-only", "combinations = ['scale']"),
        ("modality-dropout", "distillation = { weight = 2.0 }"),
    ] {
        let message = either(folder.path(), true, &format!("[[runs]]\nmethod = '{method}'\noptions = {{ {option} }}\n")).expect_err(option);
        let named = format!("`{method}` has no option `{}`", option.split(' ').next().unwrap());
        assert!(format!("{message:#}").contains(&named), "{message:#}");
    }
}

/// The plan that the page of the methods shows.
#[test]
fn the_documented_missing_rates_are_a_plan() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/methods.md")).unwrap();
    let text = page.split("```toml plan\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let cells = Plan::from_bytes(text.as_bytes(), Path::new("plan.toml")).unwrap().cells(&Registry::default()).unwrap();
    assert_eq!(cells.iter().map(|cell| cell.run.as_str()).collect::<Vec<_>>(), ["one-rate", "two-rates"]);
}

/// A teacher of privileged modalities is trained on these alone.
#[test]
fn a_privileged_teacher_is_trained_on_what_it_sees() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = |options: &str| {
        let cells = either(folder.path(), true, &format!("[[runs]]\nmethod = 'mod-distill'\noptions = {{ {options} }}\n")).unwrap();
        assert_eq!(cells.len(), 2);
        assert_eq!(cells[1].resolved.teacher.as_ref(), Some(&cells[0].key));
        cells[0].resolved.options.clone()
    };
    assert!(teacher("available = ['scale']").is_empty());
    let expected: toml::Table = toml::from_str("missing = { fixed = 'camera' }").unwrap();
    assert_eq!(teacher("available = ['scale'], teacher = 'privileged'"), expected);
}

#[test]
fn more_cells_than_anyone_waits_for_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let seeds: Vec<String> = (0..50_000).map(|seed| seed.to_string()).collect();
    let path = birds::write(folder.path(), 60, &EVERYTHING.replace("[0, 1]", &format!("[{}]", seeds.join(","))));
    let message = format!("{:#}", cells(&path).expect_err("too many"));
    assert!(message.contains("300000 cells"), "{message}");
}

#[test]
fn data_and_runs_under_two_names_are_all_shown_and_trained_once() {
    let folder = tempfile::tempdir().unwrap();
    let plan = r#"
name = "twice"
seeds = [0, 1]
data = [{ name = "birds", card = "birds.toml" }, { name = "again", card = "./birds.toml" }]
runs = [{ method = "logit-distillation" }, { method = "full-only" }, { name = "other", method = "full-only" }]
"#;
    let cells = cells(&birds::write(folder.path(), 60, plan)).unwrap();
    let shown: BTreeSet<_> = cells.iter().filter(|c| !c.hidden).map(|c| (c.data.as_str(), c.run.as_str(), c.resolved.train.seed)).collect();
    assert_eq!(shown.len(), 2 * 3 * 2);
    // The teacher is the full-only run.
    assert_eq!(cells.len(), shown.len());
    assert_eq!(cells.iter().map(|c| &c.key).collect::<BTreeSet<_>>().len(), 2 * 2);
}

/// Data of so many sensors with one column each.
fn sensors(folder: &Path, count: usize, runs: &str) -> PathBuf {
    let names: Vec<String> = (0..count).map(|m| format!("m{m}")).collect();
    let views: String = names.iter().map(|m| format!("[[view]]\nmodality = \"{m}\"\nfile = \"all.csv\"\ncolumns = [\"{m}\"]\n")).collect();
    let row = |i: usize| (0..count).map(|m| format!("{}", (i * (m + 3)) % 7)).collect::<Vec<_>>().join(",");
    let rows: String = (0..60).map(|i| format!("{},{}\n", ["wren", "kite"][i % 2], row(i))).collect();
    std::fs::write(folder.join("all.csv"), format!("species,{}\n{rows}", names.join(","))).unwrap();
    std::fs::write(folder.join("many.toml"), format!("name = \"many\"\nlabel = \"species\"\n{views}")).unwrap();
    let plan = format!("name = \"many\"\nseeds = [0]\ndata = [{{ name = \"many\", card = \"many.toml\" }}]\nruns = [{runs}]\n");
    let path = folder.join("plan.toml");
    std::fs::write(&path, plan).unwrap();
    path
}

#[test]
fn more_networks_than_memory_holds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cells = |count, runs: &str| cells(&sensors(folder.path(), count, runs)).map_err(|error| format!("{error:#}"));
    assert!(cells(10, "{ method = 'per-combination' }").is_ok());
    let message = cells(11, "{ method = 'per-combination' }").unwrap_err();
    for part in ["run `per-combination` on data `many`", "2047 combinations of 11 sensors", "at most 1024", "options = { combinations = ["]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(cells(16, "{ method = 'per-combination', options = { combinations = ['m0', 'm15+m1', 'full'] } }").is_ok());
    let message = cells(4, "{ method = 'per-combination', options = { combinations = ['m0+m1', 'm1+m0'] } }").unwrap_err();
    for part in ["`options.combinations`: ", "\"m0+m1\" and \"m1+m0\" are the same combination"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(cells(4, "{ method = 'per-combination', options = { combinations = ['m7'] } }").unwrap_err().contains("m7"));
}

#[test]
fn the_estimate_counts_networks() {
    let folder = tempfile::tempdir().unwrap();
    let runs = "{ method = 'full-only' }, { method = 'late-fusion' }, { method = 'per-combination' }";
    let seconds = |count| cells(&sensors(folder.path(), count, runs)).unwrap().iter().map(|c| c.estimated_seconds).collect::<Vec<f64>>();
    let (few, many) = (seconds(2), seconds(10));
    // 3 and 1023 networks.
    assert!(many[2] > 100.0 * few[2] && many[2] > 100.0 * many[0], "{few:?} {many:?}");
    assert!(many[1] > 2.0 * few[1] && many[1] < 10.0 * few[1], "{few:?} {many:?}");
}

#[test]
fn built_in_plans_go_by_name_and_run_on_built_in_data() {
    for name in ["default", "audio-visual", "segmentation", "smartwatch"] {
        let cells = cells(Path::new(name)).unwrap();
        assert!(cells.iter().map(|cell| &cell.run).collect::<BTreeSet<_>>().len() >= 11, "{name} has all methods");
    }
    let error = Plan::read(Some(Path::new("audio-visaul"))).map(drop).unwrap_err().to_string();
    assert!(error.contains("did you mean `audio-visual`?") && error.contains("`default`"), "{error}");
}

#[test]
fn a_file_goes_before_a_plan_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("default");
    std::fs::write(&path, "name = 1").unwrap();
    assert!(Plan::read(Some(&path)).map(drop).unwrap_err().to_string().contains("default"));
}

#[test]
fn quick_takes_the_place_of_every_setting_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = birds::write(folder.path(), 60, EVERYTHING);
    let text = EVERYTHING.replace("seeds = [0, 1]", "seeds = [0, 1]\nquick = { epochs = 2, batch_size = 4 }");
    let quick = |text: &str| {
        let mut plan = Plan::from_bytes(text.as_bytes(), &path).unwrap();
        plan.quick();
        plan.cells(&Registry::default()).unwrap()
    };
    for (text, epochs, batch_size) in [(text.as_str(), 2, 4), (EVERYTHING, 8, 8)] {
        let trained: BTreeSet<_> = quick(text).iter().map(|cell| (cell.resolved.train.epochs, cell.resolved.train.batch_size)).collect();
        assert_eq!(trained, BTreeSet::from([(epochs, batch_size)]));
    }
}

#[test]
fn samples_for_validation_train_where_a_plan_says_so() {
    let (data, _) = CardReader::open(BUILT_IN).unwrap().load().unwrap();
    let plain = data.draw(TrainingSamples::default(), 1).unwrap();
    let joined = data.draw(TrainingSamples { with_validation: true, ..TrainingSamples::default() }, 1).unwrap();
    let mut both = [&plain.train[..], &plain.validation].concat();
    both.sort_unstable();
    assert!(!plain.validation.is_empty() && joined.validation.is_empty());
    assert_eq!((joined.train, joined.test), (both, plain.test));
}
