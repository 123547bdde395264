//! Tables of samples with mistakes.

use super::made::*;
use mm_core::data::check::Level;
use std::path::Path;

const CARD: &str = "name = \"m\"\nmanifest = \"t.csv\"\n[[modality]]\nname = \"rgb\"\nkind = \"image\"\nchannels = \"rgb\"\nsize = [16, 16]\n[[modality]]\nname = \"note\"\nkind = \"text\"\n";

/// Twelve samples, in three parts.
fn rows(root: &Path) -> Vec<String> {
    let row = |i: u64| {
        picture(root, &format!("img/{i}.png"), i, [20, 20]);
        let part = ["train", "train", "val", "test"][i as usize / 3];
        format!("s{i},img/{i}.png,what was seen in picture {i},{},{part},g{i}", ["cat", "dog", "fox"][i as usize % 3])
    };
    (0..12).map(row).collect()
}

fn table(root: &Path, rows: &[String]) {
    write(root, "t.csv", format!("id,rgb,note,label,part,group\n{}\n", rows.join("\n")));
}

#[test]
fn all_mistakes_are_named_with_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = rows(root);
    table(root, &rows);
    silent(&check_card(root, CARD), Level::Error);
    silent(&check_card(root, CARD), Level::Warning);

    rows[0] = rows[0].replace("img/0.png", "img\\0.png");
    rows[1] = rows[1].replace("img/1.png", "IMG/1.PNG");
    rows[2] = rows[2].replace("img/2.png", "C:\\Users\\me\\img\\2.png");
    rows[3] = rows[3].replace("img/3.png", "/home/me/img/3.png");
    rows[4] = rows[4].replace("img/4.png", "img/4.jpg");
    rows[5] = rows[5].replace("img/5.png", "https://example.org/5.png");
    rows[6] = rows[6].replace("img/6.png", "img/66.png");
    rows[7] = rows[7].replace(",val,", ",vall,");
    rows[8] = rows[8].replace("s8,", "s7,");
    rows[9] = rows[9].replace(",cat,", ",,");
    write(root, "img/10.png", b"");
    rows[11] = rows[11].replace("what was seen in picture 11", "...");
    table(root, &rows);
    let check = check_card(root, CARD);
    let of = |row: usize| {
        let place = format!("t.csv:{row}:2");
        let found = check.sensors[0].unreadable.iter().find(|one| one.problem.contains(&place) || one.place.ends_with(&place));
        found.map(|one| one.problem.clone()).unwrap_or_else(|| panic!("{place}: {:?}", check.sensors[0].unreadable))
    };
    assert!(of(2).contains("write `img/0.png`, which is there"), "{}", of(2));
    assert!(of(3).contains("there is `img/1.png`"), "{}", of(3));
    assert!(of(4).contains("folders of one computer"), "{}", of(4));
    assert!(of(5).contains("folders of one computer"), "{}", of(5));
    assert!(of(6).contains("there is `img/4.png`"), "{}", of(6));
    assert!(of(7).contains("address on the internet"), "{}", of(7));
    assert!(of(8).contains("there is no file") && of(8).contains("66.png"), "{}", of(8));
    assert!(of(12).contains("empty (0 bytes)"), "{}", of(12));
    tells(&check, Level::Error, &["rgb: 8 readings cannot be read"]);
    tells(&check, Level::Error, &["t.csv:9:5: `vall` is no part"]);
    tells(&check, Level::Error, &["t.csv:10:1: `s7` is the id of line 9 too"]);
    tells(&check, Level::Error, &["t.csv:11:4: the label is empty"]);
    tells(&check, Level::Warning, &["note: 1 of 12 readings are texts without a letter", "s11"]);
    // A reader stops at one of them.
    let card = mm_core::data::FileCard::from_str(CARD, root.join("card.toml")).unwrap();
    assert!(card.open().is_err());
}

#[test]
fn labels_groups_and_files_that_leak_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = rows(root);
    rows[1] = rows[1].replace(",dog,", ",Dog,");
    rows[9] = rows[9].replace(",g9", ",g0");
    rows[10] = rows[10].replace("img/10.png", "img/1.png");
    rows[11] = rows[11].replace(",fox,", ",wolf,");
    rows.push("s12,,,cat,train,g12".into());
    table(root, &rows);
    let check = check_card(root, CARD);
    tells(&check, Level::Warning, &["classes that look alike: Dog, dog"]);
    tells(&check, Level::Warning, &["2 classes have one sample only: Dog, wolf"]);
    tells(&check, Level::Error, &["classes in test and not in train: wolf"]);
    tells(&check, Level::Error, &["groups: 1 group lies in several parts", "g0 (train, test)"]);
    assert!(!said(&check).contains("is in two parts"), "told once: {}", said(&check));
    tells(&check, Level::Warning, &["rgb: 1 file is named by several rows", "in several parts", "s1 (train, Dog)"]);
    tells(&check, Level::Remark, &["1 of 13 rows have no reading of any sensor"]);
    assert_eq!((check.groups, check.parts.len()), (Some(11), 3));
}

#[test]
fn groups_and_labels_of_lists_that_look_alike_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = rows(root);
    rows[1] = rows[1].replace(",g1", ",G0");
    table(root, &rows);
    tells(&check_card(root, CARD), Level::Warning, &["groups that look alike: G0 and g0"]);
    write(root, "l.csv", "s.x,signs\n1,cough;Fever\n2,fever\n3,Cough\n4,\n");
    let card = "name = \"l\"\nmanifest = \"l.csv\"\ntask = \"labels\"\nlabel = \"signs\"\nseparator = \";\"\n\
        [[modality]]\nname = \"s\"\nkind = \"vector\"\nfeatures = 1\n";
    tells(&check_card(root, card), Level::Warning, &["labels that look alike: Cough, cough"]);
    tells(&check_card(root, card), Level::Warning, &["labels that look alike: Fever, fever"]);
}

/// As when a split is drawn, and as a training says.
#[test]
fn a_sample_without_a_group_is_told_where_parts_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = rows(root);
    rows[4] = rows[4].replace(",g4", ",");
    table(root, &rows);
    tells(&check_card(root, CARD), Level::Error, &["1 of 12 samples have no group, and others have one: `s4`", "in every row, or in none"]);
}

/// A byte-order mark, `\r\n`, semicolons, spaces around cells: all are read.
#[test]
fn how_a_table_is_written_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let rows = rows(root);
    table(root, &rows);
    let plain = serde_json::to_value(check_card(root, CARD)).unwrap();
    let text = std::fs::read_to_string(root.join("t.csv")).unwrap();
    write(root, "t.csv", format!("\u{feff}{}", text.replace(',', " ; ").replace('\n', "\r\n")));
    assert_eq!(serde_json::to_value(check_card(root, CARD)).unwrap(), plain);
}

#[test]
fn a_table_that_cannot_be_used_is_told_in_one_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (text, what) in [
        ("", "is empty"),
        ("id,rgb,note,label\n", "has no rows"),
        ("id,rgb,note\na,,x y\n", "there is no column `label`"),
        ("id,photo,note,label\na,,x y,cat\n", "there is no column `rgb`"),
        ("PK\u{3}\u{4}", "ZIP archive"),
    ] {
        write(root, "t.csv", text);
        tells(&check_card(root, CARD), Level::Error, &[what]);
    }
    std::fs::remove_file(root.join("t.csv")).unwrap();
    tells(&check_card(root, CARD), Level::Error, &["t.csv"]);
}

/// macOS and some archives write an accent as a character of its own.
#[test]
fn names_in_other_unicode_characters_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = rows(root);
    let decomposed = "img/Gro\u{308}\u{df}e.png";
    std::fs::rename(root.join("img/3.png"), root.join("img/Gr\u{f6}\u{df}e.png")).unwrap();
    rows[3] = rows[3].replace("img/3.png", decomposed);
    table(root, &rows);
    // There are file systems that take both for one name.
    if !root.join(decomposed).exists() {
        let words = ["t.csv:5:2", "there is `img/Gr\u{f6}\u{df}e.png`, which looks the same", "other Unicode characters"];
        tells(&check_card(root, CARD), Level::Error, &words);
    }
}
