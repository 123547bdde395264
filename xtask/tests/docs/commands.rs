//! Commands of the documentation.

use super::pages::{Page, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that are not ours; what they do is theirs to say.
const OTHERS: [&str; 7] = ["curl", "python3", "cuda-env/bin/pip", "hf", "git", "rustup", "gunzip"];

/// The commands of a page with their places: of its blocks, and between backticks.
pub fn of(page: &Page) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for block in page.blocks.iter().filter(|block| block.info == "sh") {
        for line in block.text.replace("\\\n", " ").lines() {
            let words = shlex::split(line).unwrap_or_else(|| panic!("{}: quotes without an end: {line}", block.place));
            if !words.is_empty() {
                found.push((block.place.clone(), words));
            }
        }
    }
    for (place, span) in page.spans.iter().filter(|(_, span)| ["cargo ", "time cargo ", "mm "].iter().any(|start| span.starts_with(start)))
    {
        // `[PLAN]` may be left out, and N stands for a number.
        let words = span.split_whitespace().filter(|word| !word.starts_with('[') && *word != "time");
        found.push((place.clone(), words.map(|word| if word == "N" { "1".into() } else { word.to_string() }).collect()));
    }
    found
}

/// Whether the program that a command calls understands it.
pub fn check(words: &[String]) -> Result<(), String> {
    let assigns = |word: &&String| word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    let assigned = words.iter().take_while(assigns).count();
    let words: Vec<&str> = words[assigned..].iter().map(String::as_str).collect();
    match words.as_slice() {
        // A name, and not a call.
        ["cargo", "xtask"]
        | ["mm", "bench", "merge"]
        | ["mm", "report" | "train" | "evaluate" | "predict" | "serve" | "export"]
        | ["mm", "data", "check" | "series"] => Ok(()),
        ["cargo", "xtask", arguments @ ..] => check_xtask(arguments),
        ["exec", "mm", arguments @ ..] | ["mm", arguments @ ..] => mm_cli::check_arguments(arguments),
        ["cargo", "run", arguments @ ..] => check_example(arguments),
        ["cargo", "+nightly", "fuzz", "run", target, ..] => exists(&format!("fuzz/fuzz_targets/{target}.rs")),
        ["cargo", "install", "--path", path, ..] => exists(&format!("{path}/Cargo.toml")),
        ["cargo", "test" | "build", arguments @ ..] => check_packages(arguments),
        ["hq", "submit", rest @ ..] => {
            let program = rest.iter().position(|word| *word == "--").ok_or("no program behind `--`")?;
            check(&rest[program + 1..].iter().map(ToString::to_string).collect::<Vec<_>>())
        }
        ["mpirun", "-n", _, program, ..] if program.starts_with("target/") => Ok(()),
        ["mpirun", "-n", _, rest @ ..] => check(&rest.iter().map(ToString::to_string).collect::<Vec<_>>()),
        [program, ..] if OTHERS.contains(program) => Ok(()),
        _ => Err("no program that is known here".into()),
    }
}

fn exists(path: &str) -> Result<(), String> {
    if root().join(path).exists() { Ok(()) } else { Err(format!("{path} does not exist")) }
}

/// Parsed by the program itself; `tidy` is run, and so is a bench of a plan of the repository, but for its training.
fn check_xtask(arguments: &[&str]) -> Result<(), String> {
    xtask::check_arguments(arguments)?;
    let files = arguments.iter().filter(|argument| argument.contains('/') && !argument.starts_with('-') && !argument.contains("target/"));
    files.filter(|file| Path::new(file).extension().is_some_and(|e| e != "svg")).try_for_each(|file| exists(file))?;
    let plan = |argument: &&&str| argument.ends_with(".toml") && root().join(argument).exists();
    let mut run = match arguments {
        ["tidy"] => vec!["tidy"],
        ["bench", rest @ ..] if rest.is_empty() || rest.iter().any(|argument| plan(&argument)) => [arguments, &["--dry-run"]].concat(),
        _ => return Ok(()),
    };
    run.dedup();
    run_in_root(Path::new(env!("CARGO_BIN_EXE_xtask")), &run)
}

/// `-p PACKAGE --example NAME -- ARGUMENTS`: the example is there, and where it was built, understands the arguments. Or `--bin xtask`.
fn check_example(arguments: &[&str]) -> Result<(), String> {
    if let Some(at) = arguments.windows(2).position(|words| words == ["--bin", "xtask"]) {
        let own = arguments.iter().skip(at).skip_while(|argument| **argument != "--").skip(1);
        return check_xtask(&own.copied().collect::<Vec<_>>());
    }
    let after = |flag: &str| arguments.iter().position(|argument| *argument == flag).and_then(|at| arguments.get(at + 1)).copied();
    let (Some(package), Some(name)) = (after("-p"), after("--example")) else { return Err("names no example".into()) };
    let folder = format!("crates/{package}/examples/{name}");
    exists(&format!("{folder}.rs")).or(exists(&format!("{folder}/main.rs")))?;
    let own: Vec<&str> = arguments.iter().skip_while(|argument| **argument != "--").skip(1).copied().collect();
    if own.is_empty() {
        return Ok(());
    }
    // The folder of this test's own program; `cargo test --workspace` builds the examples, too.
    let built: PathBuf = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    match built.exists() {
        // Asked for help at the end, it says what it does not understand before that.
        true => run_in_root(&built, &[own.as_slice(), &["--help"]].concat()),
        false => {
            println!("not built, so its arguments are not checked: {}", built.display());
            Ok(())
        }
    }
}

/// The packages and features that are named exist.
fn check_packages(arguments: &[&str]) -> Result<(), String> {
    for pair in arguments.windows(2) {
        match pair {
            ["-p", "xtask"] => {}
            ["-p", package] => exists(&format!("crates/{package}/Cargo.toml"))?,
            ["--features", feature] => {
                let (package, feature) = feature.split_once('/').unwrap_or(("mm-core", feature));
                let manifest = std::fs::read_to_string(root().join(format!("crates/{package}/Cargo.toml"))).map_err(|e| e.to_string())?;
                let manifest: toml::Table = manifest.parse().map_err(|e: toml::de::Error| e.to_string())?;
                manifest["features"].get(feature).ok_or(format!("{package} has no feature {feature}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn run_in_root(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).current_dir(root()).output().map_err(|e| e.to_string())?;
    let said = || format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(said()) }
}
