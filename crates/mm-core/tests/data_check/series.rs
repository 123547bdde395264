//! Series whose files do not agree, or are longer than what a model gets.

use super::made::*;
use mm_core::data::check::{Check, Flaw, Level};
use mm_core::data::kinds::SavedKind;
use mm_core::data::{FileCard, SampleKey, Source};
use std::path::Path;

/// Files of so many steps each, two classes; the first line of each is what `header` gives.
fn runs(root: &Path, steps: &dyn Fn(usize) -> usize, header: &dyn Fn(usize) -> &'static str) {
    for i in 0..24 {
        let values = noise(i as u64, 2 * steps(i));
        let lines: String = values.chunks(2).map(|pair| format!("{},{}\n", pair[0], pair[1])).collect();
        write(root, &format!("runs/{}/{i:02}.csv", ["sit", "walk"][i % 2]), format!("{}{lines}", header(i)));
    }
}

const CARD: &str =
    "name = \"r\"\nfolders = \"runs\"\n[[modality]]\nname = \"runs\"\ncolumn = \".\"\nkind = \"series\"\nchannels = 2\nsteps = 30\n";

fn lengths(check: &Check) -> (f64, f64, f64) {
    let lengths = check.sensors[0].lengths.unwrap();
    (lengths.least, lengths.median, lengths.most)
}

/// The error on columns in another order stands where nothing names them, and a guessed card does.
#[test]
fn columns_in_another_order_are_told_or_found_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    runs(root, &|_| 20, &|i| if i % 6 == 0 { "y,x\n" } else { "x,y\n" });
    let check = check_card(root, CARD);
    tells(&check, Level::Error, &["runs: columns differ from file to file", "x, y (20); y, x (4)", "columns = [\"x\", \"y\"] in the card"]);
    tells(&check, Level::Error, &["x, y: ", "y, x: ", "sit/00.csv"]);
    // Training refuses them in the same words.
    let open = || FileCard::from_str(CARD, root.join("card.toml")).unwrap().open();
    let error = open().err().unwrap().to_string();
    assert!(error.contains("columns differ from file to file, and are read by their order: x, y (20); y, x (4)"), "{error}");
    assert!(error.contains("write columns = [\"x\", \"y\"] in the card") && error.contains("sit/00.csv"), "{error}");
    let (check, card) = check_guess(&root.join("runs"), root);
    assert!(card.contains("\ncolumns = [\"x\", \"y\"]"), "{card}");
    silent(&check, Level::Error);
    silent(&check, Level::Warning);

    // Other names, or none: which columns are the same, nobody knows.
    runs(root, &|_| 20, &|i| if i == 3 { "X,y\n" } else { "x,y\n" });
    let (check, card) = check_guess(&root.join("runs"), root);
    assert!(!card.contains("columns ="), "{card}");
    tells(&check, Level::Warning, &["x, y (23); X, y (1)", "03.csv", "give the same column the same name"]);
    assert!(open().unwrap().kinds()[0].as_ref().unwrap().settings().get("names").is_none());
    runs(root, &|_| 20, &|i| if i == 3 { "" } else { "x,y\n" });
    tells(&check_guess(&root.join("runs"), root).0, Level::Warning, &["x, y (23); no names (1)", "03.csv", "a first line of names"]);
    for header in ["", "x,y\n", "\u{feff}\r\n\"x\", y\r\n"] {
        runs(root, &|_| 20, &|_| header);
        silent(&check_card(root, CARD), Level::Warning);
    }
    // A slip in a line of numbers is no name.
    runs(root, &|_| 20, &|_| "0.5,l.5\n");
    let (check, card) = check_guess(&root.join("runs"), root);
    assert!(!card.contains("columns ="), "{card}");
    tells(&check, Level::Error, &["the first line holds numbers such as `0.5`"]);
}

/// A model knows its columns by the names of its files, and reads those of other orders; a file without names goes by the order.
#[test]
fn names_of_columns_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    runs(folder.path(), &|_| 20, &|_| "x,y\n");
    let source = FileCard::from_str(CARD, folder.path().join("card.toml")).unwrap().open().unwrap();
    let kind = SavedKind::of(&**source.kinds()[0].as_ref().unwrap());
    assert_eq!(kind.settings["names"], serde_json::json!(["x", "y"]));
    let saved = kind.open().unwrap().unwrap();
    let decode = |text: &str| saved.decode(text.as_bytes(), Path::new("new.csv")).map(|array| array.values.into_f32());
    for text in ["x,y\n1,10\n2,20\n", "y,x\n10,1\n20,2\n", "t,y,x\n0,10,1\n1,20,2\n", "1,10\n2,20\n"] {
        assert_eq!(decode(text).unwrap(), [1.0, 2.0, 10.0, 20.0], "{text}");
    }
    let error = decode("a,y\n1,10\n").unwrap_err().to_string();
    assert!(
        error.contains("new.csv:1:1: there is no column `x`; there are: a, y") && error.contains("of the training have x, y"),
        "{error}"
    );
    // A model that was saved before knows none.
    let mut old = kind.clone();
    old.settings.as_object_mut().unwrap().remove("names");
    let old = old.open().unwrap().unwrap();
    assert_eq!(old.decode(b"y,x\n10,1\n", Path::new("new.csv")).unwrap().values.into_f32(), [10.0, 1.0]);
}

#[test]
fn series_that_are_cut_are_told_with_their_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    runs(root, &|i| 27 + i, &|_| "x,y\n");
    for length in ["pad", "repeat"] {
        let check = check_card(root, &format!("{CARD}length = \"{length}\"\n"));
        assert_eq!(lengths(&check), (27.0, 39.0, 50.0));
        assert_eq!(check.sensors[0].flaws[&Flaw::Cut], 20);
        tells(&check, Level::Remark, &["20 of 24 readings are longer than what a model gets of them", "04.csv", "`steps`"]);
    }
    let check = check_card(root, &CARD.replace("steps = 30", "steps = 50"));
    assert!(lengths(&check) == (27.0, 39.0, 50.0) && check.sensors[0].flaws.is_empty(), "{:?}", check.sensors[0].flaws);
    // Windows are as long as they are to be.
    let windows = CARD.replace("[[", "[windows]\nlength = 10\n[[").replace("steps = 30", "steps = 10");
    let check = check_card(root, &windows);
    assert!(lengths(&check) == (10.0, 10.0, 10.0) && check.sensors[0].flaws.is_empty(), "{:?}", check.sensors[0].flaws);

    // Of an array the time is the axis that the card says.
    for i in 0..8 {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (40, 2), }";
        let mut file = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes()].concat();
        file.extend(noise(90 + i, 80).iter().flat_map(|x| x.to_le_bytes()));
        write(root, &format!("arrays/{}/{i}.npy", ["sit", "walk"][i as usize % 2]), file);
    }
    let check = check_card(root, &format!("{}time_first = true\n", CARD.replace("folders = \"runs\"", "folders = \"arrays\"")));
    assert_eq!((lengths(&check), check.sensors[0].flaws[&Flaw::Cut]), ((40.0, 40.0, 40.0), 8));
    silent(&check, Level::Warning);
}

#[test]
fn series_too_short_to_be_cut_are_named_by_the_check_and_by_training() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    runs(root, &|i| if i == 5 { 29 } else { 40 }, &|_| "x,y\n");
    let crop = format!("{CARD}length = \"crop\"\n");
    tells(&check_card(root, &crop), Level::Error, &["runs: 1 reading cannot be read", "walk/05.csv: tensor `series`", "[2, 29]"]);
    let source = FileCard::from_str(&crop, root.join("card.toml")).unwrap().open().unwrap();
    let row = (0..source.len()).find(|&row| source.meta(row).id.is_some_and(|id| id.contains("05"))).unwrap();
    let key = SampleKey { seed: 0, epoch: 0, id: 0 };
    for error in [source.read(row).unwrap_err(), source.read_augmented(row, key).unwrap_err()] {
        assert!(error.to_string().contains("walk/05.csv: tensor `series`"), "{error}");
    }
    // An error that names its file says it once.
    runs(root, &|i| if i == 5 { 0 } else { 40 }, &|_| "x,y\n");
    let error = source.read(row).unwrap_err().to_string();
    assert_eq!(error.matches("05.csv").count(), 1, "{error}");
}

#[test]
fn series_that_are_mostly_padding_are_told() {
    let folder = tempfile::tempdir().unwrap();
    runs(folder.path(), &|_| 20, &|_| "x,y\n");
    let check = check_card(folder.path(), &CARD.replace("steps = 30", "steps = 1000"));
    tells(&check, Level::Remark, &["the longest reading has 20 steps, and a model gets 1000", "`steps`"]);
}

/// Files of columns `t`, `ax`, `ay`, whose lines `line` gives.
fn recordings(root: &Path, header: &str, line: &dyn Fn(usize, usize, f32, f32) -> String) {
    for i in 0..24 {
        let values = noise(i as u64, 60);
        let lines: String = values.chunks(2).enumerate().map(|(step, pair)| line(i, step, pair[0], pair[1]) + "\n").collect();
        write(root, &format!("watch/{}/{i:02}.csv", ["sit", "walk"][i % 2]), format!("{header}{lines}"));
    }
}

/// A column of numbers with slips stays a channel, so that the check names them.
#[test]
fn numbers_that_are_written_wrongly_are_no_reason_to_leave_a_column_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let comma = |x: f32| format!("{x:.2}").replace('.', ",");
    recordings(root, "ax;ay;rate\n", &|_, step, x, y| format!("{};{};{}", comma(x), comma(y), 70 + step % 9));
    let (check, card) = check_guess(&root.join("watch"), root);
    assert!(card.contains("channels = 3"), "{card}");
    tells(
        &check,
        Level::Error,
        &["series: 24 readings cannot be read", ".csv:2:1: `-0,", "is no number; write a point for the decimal comma"],
    );
    // Without names the first line is none.
    recordings(root, "", &|_, _, x, y| format!("{};{}", comma(x), comma(y)));
    let (check, card) = check_guess(&root.join("watch"), root);
    assert!(card.contains("channels = 2"), "{card}");
    tells(&check, Level::Error, &["series: 24 readings cannot be read", ".csv:1:1: "]);
    assert!(said(&check).contains("is no number; write a point"), "{}", said(&check));
    recordings(root, "ax,ay\n", &|i, step, x, y| format!("{},{y}", if i % 2 == 0 && step == 3 { "NA".into() } else { x.to_string() }));
    let (check, card) = check_guess(&root.join("watch"), root);
    assert!(card.contains("channels = 2"), "{card}");
    tells(
        &check,
        Level::Error,
        &["series: 12 readings cannot be read", "00.csv:5:1: `NA` is no number; where there was no value write nan"],
    );
    // What holds words is none.
    recordings(root, "ax,ay,note\n", &|_, step, x, y| format!("{x},{y},{}", if step == 0 { "1" } else { "walks" }));
    let (check, card) = check_guess(&root.join("watch"), root);
    assert!(card.contains("columns = [\"ax\", \"ay\"]  # left out: note (is no number)"), "{card}");
    silent(&check, Level::Error);
}

#[test]
fn numbers_cut_at_their_decimal_comma_are_no_columns() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    recordings(root, "", &|_, _, x, _| format!("{x:.2}").replace('.', ","));
    let (check, _) = check_guess(&root.join("watch"), root);
    tells(
        &check,
        Level::Error,
        &["series: 24 readings cannot be read", "looks like a number with a decimal comma", "write numbers with a point"],
    );
    // Whole numbers are numbers.
    recordings(root, "", &|_, step, x, _| format!("{},{}", (100.0 * x) as i32, step * 7 % 13));
    silent(&check_guess(&root.join("watch"), root).0, Level::Error);
}

#[test]
fn a_time_is_no_channel_whatever_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    recordings(root, "seconds_elapsed,ax,ay\n", &|i, step, x, y| format!("{},{x},{y}", 100.0 * i as f32 + 0.02 * step as f32));
    let (check, card) = check_guess(&root.join("watch"), root);
    assert!(card.contains("columns = [\"ax\", \"ay\"]  # left out: seconds_elapsed (says when)"), "{card}");
    silent(&check, Level::Warning);
    // A card that names it is told.
    let card = CARD.replace("runs", "watch").replace("channels = 2", "channels = 3");
    tells(
        &check_card(root, &card),
        Level::Warning,
        &["watch: `seconds_elapsed` rises by about equal steps in every reading", "columns = [..]"],
    );
    // One channel may rise.
    recordings(root, "level\n", &|_, step, _, _| step.to_string());
    let (check, card) = check_guess(&root.join("watch"), root);
    assert!(card.contains("channels = 1"), "{card}");
    assert!(!said(&check).contains("by about equal steps"), "{}", said(&check));
}
