//! Every plan, card and command of the documentation is what the program takes.
//!
//! A fenced block says what it is: `toml plan`, `toml card`, `toml plan part`, `toml card part` or `sh`; one that does not say it
//! fails. Plans and cards are run on data made for their columns, parts are put into a small plan or card. Commands, in blocks and
//! between backticks, are parsed by the program they call, and the cheap ones are run.

mod choosing;
mod commands;
mod data;
mod pages;

use mm_bench::{Plan, Registry};
use mm_core::data::DatasetCard;
use pages::{Block, Page, pages};
use std::path::Path;
use std::process::Command;

/// What a fenced block may be. Python is run by the tests of `mm export`; Rust of the crates' READMEs is run as their documentation; `ignore`
/// marks what needs more than it shows.
const KINDS: [&str; 11] =
    ["toml plan", "toml card", "toml plan part", "toml card part", "sh", "yaml", "text", "python", "rust", "rust,ignore", "rust,no_run"];

#[test]
fn every_block_says_what_it_is() {
    let mut wrong = Vec::new();
    for page in pages() {
        for block in &page.blocks {
            if !KINDS.contains(&block.info.as_str()) {
                wrong.push(format!("{}: `{}` is none of {KINDS:?}", block.place, block.info));
            }
            let command = |line: &str| ["cargo ", "mm bench "].iter().any(|start| line.contains(start)) && !line.contains('|');
            if block.info == "text" && block.text.lines().any(command) {
                wrong.push(format!("{}: a command in a block of text; mark it as `sh`", block.place));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A job for Kubernetes runs what `mm` takes, with as many parts as it has pods.
#[test]
fn kubernetes_is_given_commands_that_exist() {
    let pages = pages();
    let manifests: Vec<&Block> = blocks(&pages, "yaml").map(|(_, block)| block).collect();
    assert!(!manifests.is_empty());
    for block in manifests {
        let of = |field: &str| {
            let mut lines = block.text.lines().filter_map(|line| line.trim().strip_prefix(field)?.strip_prefix(':'));
            lines.next().unwrap_or_else(|| panic!("{}: no `{field}`", block.place)).trim()
        };
        assert_eq!(of("command"), "[\"mm\"]", "{}", block.place);
        let arguments: Vec<String> = serde_json::from_str(of("args")).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        mm_cli::check_arguments(&arguments).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let parts = arguments.iter().find_map(|argument| argument.strip_prefix("auto/")).expect("a number of parts");
        assert!(parts == of("completions") && of("completionMode") == "Indexed", "{}", block.place);
    }
}

fn xtask() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env("CANDLE_NUM_THREADS", "1");
    command
}

/// Blocks of a kind, with their page.
fn blocks<'a>(pages: &'a [Page], kind: &'a str) -> impl Iterator<Item = (&'a Page, &'a Block)> {
    pages.iter().flat_map(move |page| page.blocks.iter().filter(move |block| block.info == kind).map(move |block| (page, block)))
}

/// Writes the cards of a page and data for them; a card is called by its name.
fn write_cards(page: &Page, folder: &Path) -> Vec<(String, DatasetCard)> {
    let cards = page.blocks.iter().filter(|block| block.info == "toml card");
    let write = |block: &Block| {
        let table: toml::Table = block.text.parse().unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let path = folder.join(format!("{}.toml", table["name"].as_str().expect("a card has a name")));
        std::fs::write(&path, &block.text).unwrap();
        data::write(&table, folder);
        (block.place.clone(), DatasetCard::from_path(&path).unwrap_or_else(|error| panic!("{}: {error}", block.place)))
    };
    cards.map(write).collect()
}

#[test]
fn cards_are_read() {
    let mut read = 0;
    for page in pages() {
        let folder = tempfile::tempdir().unwrap();
        for (place, card) in write_cards(&page, folder.path()) {
            let loaded = card.load_files().unwrap_or_else(|error| panic!("{place}: {error}"));
            let split = loaded.split(0).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(!split.train.is_empty() && !split.test.is_empty(), "{place}");
            read += 1;
        }
    }
    assert!(read >= 2, "{read}");
}

#[test]
fn parts_of_cards_are_read() {
    let pages = pages();
    for (_, block) in blocks(&pages, "toml card part") {
        let folder = tempfile::tempdir().unwrap();
        let table = data::card_with(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        data::write(&table, folder.path());
        let card = DatasetCard::from_str(&table.to_string(), folder.path().join("card.toml"));
        card.and_then(|card| card.load_files()).unwrap_or_else(|error| panic!("{}: {error}", block.place));
    }
}

/// On the cards of their page, with one seed and 8 epochs.
#[test]
fn plans_are_run() {
    let pages = pages();
    let mut run = 0;
    for (page, block) in blocks(&pages, "toml plan") {
        let folder = tempfile::tempdir().unwrap();
        write_cards(page, folder.path());
        let plan = folder.path().join("plan.toml");
        std::fs::write(&plan, &block.text).unwrap();
        let out = folder.path().join("out");
        let output = xtask().arg("bench").arg(&plan).arg("--quick").arg("--out").arg(&out).output().unwrap();
        assert!(output.status.success(), "{}: {}", block.place, String::from_utf8_lossy(&output.stderr));
        assert!(out.join("report.html").exists(), "{}", block.place);
        run += 1;
    }
    assert!(run > 0);
}

/// With what they leave out; resolved, which checks every option, network and data set that they name.
#[test]
fn parts_of_plans_are_resolved() {
    let pages = pages();
    let mut resolved = 0;
    for (_, block) in blocks(&pages, "toml plan part") {
        let folder = tempfile::tempdir().unwrap();
        let plan = data::plan_with(&block.text, folder.path()).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let plan = Plan::from_bytes(plan.to_string().as_bytes(), &folder.path().join("plan.toml"));
        let cells = plan.and_then(|plan| plan.cells(&Registry::default())).unwrap_or_else(|error| panic!("{}: {error:#}", block.place));
        assert!(!cells.is_empty(), "{}", block.place);
        resolved += 1;
    }
    assert!(resolved >= 3, "{resolved}");
}

#[test]
fn plans_of_the_repository_are_resolved() {
    let folder = pages::root().join("benchmarks/plans");
    let plans: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(plans.len() > 5);
    for plan in plans {
        let cells = Plan::read(Some(&plan)).and_then(|plan| plan.cells(&Registry::default()));
        assert!(cells.unwrap_or_else(|error| panic!("{}: {error:#}", plan.display())).len() > 1);
    }
}

#[test]
fn commands_are_understood() {
    let mut wrong = Vec::new();
    let mut understood = 0;
    for page in pages() {
        for (place, words) in commands::of(&page) {
            match commands::check(&words) {
                Ok(()) => understood += 1,
                Err(problem) => wrong.push(format!("{place}: `{}`: {problem}", words.join(" "))),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(understood > 20, "{understood}");
}
