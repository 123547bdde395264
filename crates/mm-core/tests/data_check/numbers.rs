//! Numbers that are not what they look like: thousands, codes, names, quantities, and numbers with signs.

use super::made::*;
use mm_core::data::DatasetCard;
use mm_core::data::check::{Guess, Level, guess};
use std::path::Path;

/// A table of so many rows, and what is guessed of it.
fn guessed(root: &Path, header: &str, rows: usize, row: &dyn Fn(usize) -> String) -> Guess {
    let rows: String = (0..rows).map(|i| row(i) + "\n").collect();
    write(root, "t.csv", format!("{header}\n{rows}"));
    guess(&root.join("t.csv"), root).unwrap_or_else(|error| panic!("{error}"))
}

/// A number, with a mark between its thousands.
fn grouped(number: usize, mark: char) -> String {
    if number < 1000 { number.to_string() } else { format!("{}{mark}{:03}", number / 1000, number % 1000) }
}

fn class(i: usize) -> &'static str {
    ["a", "b"][i % 2]
}

#[test]
fn separators_between_thousands_are_no_decimal_marks() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let of_commas = |i: usize| format!("\"{}\",{}.5,{}", grouped(300 + 37 * i, ','), i % 7, class(i));
    let of_semicolons = |i: usize| format!("{};{};{}", grouped(300 + 37 * i, ','), i % 7, class(i));
    for (header, row) in [("income,x,label", &of_commas as &dyn Fn(usize) -> String), ("income;x;label", &of_semicolons)] {
        let Guess { card, findings, .. } = guessed(root, header, 40, row);
        assert!(!card.contains("decimal") && card.contains("columns = [\"x\"]"), "{card}");
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert!(finding.about == "income" && finding.found.contains("thousands, `1,003` in line 21, column 1"), "{finding:?}");
        assert!(finding.level == Level::Warning && finding.advice.contains("decimal = \",\""), "{finding:?}");
    }
    // Three decimals everywhere are decimals, and so are those beside others.
    for value in [|i: usize| format!("{},{:03}", 1 + i % 5, 37 * i % 1000), |i: usize| format!("{},{}", 1 + i % 5, 37 * i % 1000)] {
        let card = guessed(root, "income;x;label", 40, &|i| format!("{};{};{}", value(i), i % 7, class(i))).card;
        assert!(card.contains("decimal = \",\"") && card.contains("\"income\""), "{card}");
    }

    // Read as decimal numbers, they are warned of.
    let card = guessed(root, "income;x;label", 40, &|i| format!("{};{};{}", grouped(300 + 37 * i, '.'), i % 7, class(i))).card;
    tells(&check_card(root, &card), Level::Warning, &["numbers of `income` (`1.003` in line 21, column 1)", "between thousands: write"]);
    // Temperatures of three decimals, with a code, are not.
    let value = |i: usize| if i % 8 == 3 { "999".into() } else { format!("36.{:03}", 37 * i % 1000) };
    let card = guessed(root, "warmth,x,label", 40, &|i| format!("{},{},{}", value(i), i % 7, class(i))).card;
    let text = said(&check_card(root, &card));
    assert!(!text.contains("thousands"), "{text}");
}

#[test]
fn a_far_number_in_several_rows_is_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| {
        let pulse = if i.is_multiple_of(5) { 2_147_483_647 } else { 60 + i * 7 % 23 };
        let pressure = match i {
            _ if i.is_multiple_of(7) => -999,
            _ if i.is_multiple_of(11) => 9999,
            _ => 100 + i as i64 * 11 % 31,
        };
        // Nothing in most rows, and numbers that grow by a factor: both are usual.
        let (spent, size) = (if i.is_multiple_of(3) { 1000 + i * 13 % 50 } else { 0 }, 1.3f64.powi(i as i32 % 30));
        let (dose, answer) = (10f64.powi(i as i32 % 11 - 5), if i.is_multiple_of(9) { 99 } else { 1 + i % 5 });
        format!("{pulse},{pressure},{spent},{size:.3},{dose:e},{answer},{}", class(i))
    };
    let card = guessed(root, "v.pulse,v.pressure,v.spent,v.size,v.dose,v.answer,label", 60, &row).card;
    let check = check_card(root, &card);
    let codes = ["2.1475e9 of v.pulse in 12 of 60 rows", "-999 of v.pressure in 9 of 60 rows", "9999 of v.pressure in 5 of 60 rows"];
    tells(&check, Level::Warning, &codes);
    tells(&check, Level::Warning, &["99 of v.answer in 7 of 60 rows", "name it in `missing` of the card"]);
    let text = said(&check);
    assert!(["spent", "size", "dose"].iter().all(|name| !text.contains(&format!("of v.{name}"))), "{text}");
}

#[test]
fn numbers_that_name_rows_are_no_features() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| format!("{},{:05},{},{}", i + 1, 7000 + i * 37 % 900, 60 + i * 7 % 23, class(i));
    let Guess { card, remarks, .. } = guessed(root, "PassengerId,zip,pulse,label", 40, &row);
    assert!(card.contains("\nid = \"PassengerId\"\n") && card.contains("columns = [\"pulse\"]"), "{card}");
    assert!(remarks.iter().any(|remark| remark.contains("columns zip are left out")), "{remarks:?}");
    let written = "name = \"t\"\nlabel = \"label\"\n[[view]]\nmodality = \"v\"\nfile = \"t.csv\"\n";
    let words = ["PassengerId, zip look like names of rows", "ignore = [\"PassengerId\", \"zip\"]"];
    tells(&check_card(root, written), Level::Warning, &words);
    // An id that counts nothing is known by its name; asked for, it is read without a word.
    guessed(root, "patient_id,pulse,label", 40, &|i| format!("{},{},{}", 100 + i * 37 % 211, 60 + i * 7 % 23, class(i)));
    tells(&check_card(root, written), Level::Warning, &["the columns patient_id look like names of rows"]);
    let text = said(&check_card(root, &format!("{written}columns = [\"patient_id\", \"pulse\"]\n")));
    assert!(!text.contains("names of rows"), "{text}");
}

#[test]
fn numbers_with_signs_and_units_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| {
        let n = i * 7 % 23;
        let below = if i.is_multiple_of(3) { format!("<{n}") } else { n.to_string() };
        format!("{n}.5%,{n}.2 mg,${n}.1,1'{n:03},\u{2212}{n}.5,{below},{n}.25,{}G,{}", 4 + i % 2, class(i / 2))
    };
    let Guess { card, remarks, findings } = guessed(root, "share,dose,cash,swiss,minus,below,x,net,label", 24, &row);
    let about: Vec<&str> = findings.iter().map(|finding| finding.about.as_str()).collect();
    assert_eq!(about, ["share", "dose", "cash", "swiss", "minus", "below"], "{findings:?}");
    let [share, dose, ..] = &findings[..] else { panic!("{findings:?}") };
    assert!(share.found.contains("signs, units or separators between thousands, `0.5%` in line 2, column 1"), "{share:?}");
    assert!(dose.found.contains("`0.2 mg` in line 2, column 2") && dose.advice.contains("write numbers alone"), "{dose:?}");
    // A few words that begin with a number are categories.
    assert!(card.contains("columns = [\"x\", \"net\"]\ncategories = { \"net\" = [\"4G\", \"5G\"] }"), "{card}");
    assert!(!remarks.join("\n").contains("are left out"), "{remarks:?}");
    // Where there is nothing else, the error says so.
    write(root, "alone.csv", format!("share,label\n{}", (0..24).map(|i| format!("{i}%,{}\n", class(i))).collect::<String>()));
    let error = guess(&root.join("alone.csv"), root).unwrap_err().to_string();
    assert!(error.contains("`0%` in line 2, column 1: write numbers alone"), "{error}");
}

#[test]
fn whole_numbers_of_a_quantity_are_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let card = guessed(root, "x,target", 60, &|i| format!("{}.5,{}.0", i * 7 % 13, i * i % 97 * 5)).card;
    assert!(card.contains("task = \"numbers\"\ntargets = [\"target\"]"), "{card}");
    let written = "name = \"t\"\nlabel = \"target\"\n[[view]]\nmodality = \"v\"\nfile = \"t.csv\"\n";
    let error = DatasetCard::from_str(written, root.join("card.toml")).unwrap().load_files().unwrap_err().to_string();
    assert!(error.contains("49 different numbers in 60 samples") && error.contains("task = \"numbers\" and targets = [...]"), "{error}");
    // With a decimal comma they are numbers, too, and some may lack.
    let target = |i: usize| if i.is_multiple_of(20) { "NA".into() } else { format!("\"{},63\"", i * i % 97) };
    let card = guessed(root, "x,target", 60, &|i| format!("\"{},5\",{}", i * 7 % 13, target(i))).card;
    assert!(card.contains("task = \"numbers\"\ntargets = [\"target\"]"), "{card}");
    // Persons come again, whatever their numbers.
    let card = guessed(root, "x,target", 60, &|i| format!("{}.5,{}", i * 7 % 13, 1000 + i / 2 * 7)).card;
    assert!(card.contains("label = \"target\"") && !card.contains("task ="), "{card}");
    // Numbers of classes have no gaps.
    let card = guessed(root, "x,target", 60, &|i| format!("{}.5,{}", i * 7 % 13, i * 37 % 24)).card;
    assert!(card.contains("label = \"target\"") && !card.contains("task ="), "{card}");
}

#[test]
fn words_beside_numbers_are_listed_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let value = |i: usize| match i % 8 {
        0 => "unknown".into(),
        4 => ".".into(),
        _ => (60 + i * 7 % 23).to_string(),
    };
    let card = guessed(folder.path(), "pulse,label", 40, &|i| format!("{},{}", value(i), class(i / 2))).card;
    assert!(card.contains("missing = [\".\", \"unknown\"]"), "{card}");
    assert_eq!(check_card(folder.path(), &card).sensors[0].present, 30);
    // A word that is a class as well stands for no reading only where readings are.
    let label = |i: usize| if i % 5 == 1 { "unknown" } else { class(i / 2) };
    let card = guessed(folder.path(), "pulse,label", 40, &|i| format!("{},{}", value(i), label(i))).card;
    assert!(card.contains("columns = [\"pulse\"]\nmissing = [\".\", \"unknown\"]"), "{card}");
    let check = check_card(folder.path(), &card);
    assert_eq!((check.count(Level::Error), check.sensors[0].present), (0, 30), "{}", said(&check));
}
