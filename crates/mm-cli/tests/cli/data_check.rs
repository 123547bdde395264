//! `mm data check`, by running it.

use std::path::Path;
use std::process::Command;

/// The exit code, and what was printed.
fn check(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mm")).current_dir(folder).args(["data", "check"]).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Sentences of two classes; `odd` is one of the labels.
fn table(folder: &Path, odd: &str) {
    let row = |i: usize| format!("it was day {i} of the week,{}\n", if i == 7 { odd } else { ["wet", "dry"][i % 2] });
    std::fs::write(folder.join("days.csv"), format!("diary,weather\n{}", (0..30).map(row).collect::<String>())).unwrap();
}

#[test]
fn from_a_table_to_a_card_that_is_in_order() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path(), "dry");
    let (code, text) = check(folder.path(), &["days.csv", "--write-card", "days.toml"]);
    assert!(code == 0 && text.contains("label = \"weather\"") && text.contains("kind = \"text\"") && text.contains("0 errors"), "{text}");
    assert!(std::fs::read_to_string(folder.path().join("days.toml")).unwrap().contains("manifest = \"days.csv\""));
    let (code, text) = check(folder.path(), &["days.toml"]);
    assert!(code == 0 && text.contains("days: 30 samples, 2 classes, 1 sensor"), "{text}");
    // A card may have been changed by hand since.
    let (code, text) = check(folder.path(), &["days.csv", "--write-card", "days.toml"]);
    assert!(code == 1 && text.contains("is there already"), "{text}");

    table(folder.path(), "\"dry");
    for name in ["days.csv", "days.toml"] {
        let (code, text) = check(folder.path(), &[name]);
        assert!(code == 1 && text.contains("days.csv:9:2: a quote opened here is never closed"), "{name}: {text}");
    }
    table(folder.path(), "");
    let (code, text) = check(folder.path(), &["days.toml"]);
    assert!(code == 1 && text.contains("days.csv:9:2: the label is empty") && text.contains("1 error,"), "{text}");
    let (code, text) = check(folder.path(), &["none.csv"]);
    assert!(code == 1 && text.contains("there is no none.csv"), "{text}");
    #[cfg(unix)]
    {
        let (code, text) = check(folder.path(), &["/dev/null"]);
        assert!(code == 1 && text.contains("/dev/null: is a pipe or a device, which cannot be read twice"), "{text}");
    }
}

#[test]
fn each_line_of_a_table_of_numbers_that_has_a_mistake_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let odd = |i: usize| ["abc", "xyz", "uvw"].get(i.wrapping_sub(7) / 3).filter(|_| i % 3 == 1).copied();
    let row = |i: usize| format!("{},{},{}\n", odd(i).map_or(format!("0.{i}"), String::from), i * i, ["wet", "dry"][i % 2]);
    std::fs::write(folder.path().join("t.csv"), format!("rain,wind,label\n{}", (0..20).map(row).collect::<String>())).unwrap();
    let views = "[[view]]\nmodality = \"a\"\nfile = \"t.csv\"\ncolumns = [\"rain\"]\n[[view]]\nmodality = \"b\"\nfile = \"t.csv\"\ncolumns = [\"wind\"]\n";
    std::fs::write(folder.path().join("t.toml"), format!("name = \"t\"\nlabel = \"label\"\n{views}")).unwrap();
    let (code, text) = check(folder.path(), &["t.toml"]);
    let named = ["t.csv:9:1: `abc`", "t.csv:12:1: `xyz`", "t.csv:15:1: `uvw`"];
    assert!(code == 1 && named.iter().all(|place| text.contains(place)), "{text}");
    // A label that is not there is one mistake, though two sensors stand beside it.
    let table = std::fs::read_to_string(folder.path().join("t.csv")).unwrap().replace("81,dry", "81,");
    std::fs::write(folder.path().join("t.csv"), table).unwrap();
    let (_, text) = check(folder.path(), &["t.toml"]);
    assert!(named.iter().all(|place| text.contains(place)) && text.matches("t.csv:11:3: the label is empty").count() == 1, "{text}");
}

/// The card leaves such a column out, and what reads the card does not see it.
#[test]
fn numbers_that_are_not_read_as_they_are_written_are_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: usize| format!("{}.5%,{}.25,{}\n", i * 7 % 23, i * 5 % 19, ["wet", "dry"][i % 2]);
    std::fs::write(folder.path().join("t.csv"), format!("share,wind,label\n{}", (0..24).map(row).collect::<String>())).unwrap();
    let (code, text) = check(folder.path(), &["t.csv"]);
    assert!(code == 0 && text.contains("warning  share: column `share` is left out of the guessed card"), "{text}");
    assert!(text.contains("`0.5%` in line 2, column 1") && text.contains("write numbers alone"), "{text}");
}

#[test]
fn findings_are_files_and_foreign_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path(), "\u{1b}[2J");
    let at = |name: &str| folder.path().join(name);
    for _ in 0..2 {
        let (code, text) = check(folder.path(), &["days.csv", "--json", "out/f.json", "--html", "out/f.html"]);
        assert!(code == 1 && !text.contains('\u{1b}'), "a class of one sample cannot be split: {text}");
    }
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(at("out/f.json")).unwrap()).unwrap();
    assert_eq!((&json["generator"], &json["samples"][0]), (&"mm data check".into(), &30.into()));
    let page = std::fs::read_to_string(at("out/f.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("it was day 0 of the week") && !page.contains("<script") && !page.contains("http"),
        "{page}"
    );
    for (option, name) in [("--json", "mine.json"), ("--html", "mine.html")] {
        std::fs::write(at(name), "mine").unwrap();
        let (code, text) = check(folder.path(), &["days.csv", option, name]);
        assert!(code == 1 && text.contains("was not written by `mm data check`"), "{text}");
        assert_eq!(std::fs::read(at(name)).unwrap(), b"mine");
    }
    for (arguments, flags) in [
        (["--json", "out/same", "--html", "out/../out/same"], "`--json` and `--html`"),
        (["--json", "x", "--write-card", "x"], "`--write-card` and `--json`"),
    ] {
        let (code, text) = check(folder.path(), &[&["days.csv"], &arguments[..]].concat());
        assert!(code == 1 && text.contains(&format!("{flags} name one file")), "{text}");
    }
    assert!(!at("out/same").exists() && !at("x").exists());
    // Who reads what is printed may be gone.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mm"));
    command.current_dir(folder.path()).args(["data", "check", "days.csv", "--json", "gone.json"]).stdout(writer).status().unwrap();
    assert!(at("gone.json").exists());
}

/// The folder of a table that is named without one is the current one.
#[test]
fn names_of_files_are_explained_in_the_current_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Day.PNG"), "no picture").unwrap();
    let rows: String = (0..12).map(|i| format!("day.png,{}\n", ["wet", "dry"][i % 2])).collect();
    std::fs::write(folder.path().join("days.csv"), format!("photo,weather\n{rows}")).unwrap();
    let (code, text) = check(folder.path(), &["days.csv"]);
    let known = text.contains("there is `Day.PNG`") || text.contains("no image that can be read");
    assert!(code == 1 && known, "either names are told apart by case, or the file is read: {text}");
}
