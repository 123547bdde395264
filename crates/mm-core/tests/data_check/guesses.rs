//! Cards that are guessed.

use super::made::*;
use mm_core::data::check::{Level, guess};
use mm_core::data::{DatasetCard, Source};
use std::path::Path;

fn card(root: &Path, name: &str) -> String {
    guess(&root.join(name), root).unwrap_or_else(|error| panic!("{error}")).card
}

/// Lines of a card without comments.
fn has(card: &str, lines: &[&str]) {
    let plain: Vec<&str> = card.lines().map(|line| line.split("  #").next().unwrap_or_default()).collect();
    for line in lines {
        assert!(plain.contains(line), "`{line}` is not in\n{card}");
    }
}

#[test]
fn a_table_of_files_sentences_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = String::new();
    for i in 0..20u64 {
        picture(root, &format!("photos/{i}.jpg"), i, [150, 200]);
        deep_picture(root, &format!("depth/{i}.png"), i, 32);
        let (what, who, part) = (["rain", "sun"][i as usize % 2], i / 2, ["train", "train", "test"][i as usize % 3]);
        let start = 4000 * i;
        rows += &format!(
            "{i},photos/{i}.jpg,depth/{i}.png,long.wav,{start},4000,it was picture number {i} today,{i}.5,-3,{what},{part},p{who},9\n"
        );
    }
    write(root, "long.wav", wav(&noise(1, 80_000), 8000, 1));
    let header = "sample_id,photo,depth map,sound,sound.start,sound.length,remark,gps.north,gps.east,weather,split,person,price\n";
    write(root, "samples.csv", format!("{header}{rows}"));
    let guessed = guess(&root.join("samples.csv"), root).unwrap();
    has(
        &guessed.card,
        &[
            "name = \"samples\"",
            "manifest = \"samples.csv\"",
            "label = \"weather\"",
            "part = \"split\"",
            "id = \"sample_id\"",
            "name = \"photo\"",
            "channels = \"rgb\"",
            "size = [112, 112]",
            "fit = \"crop\"",
            "name = \"depth_map\"",
            "column = \"depth map\"",
            "kind = \"depth\"",
            "size = [32, 32]",
            "name = \"sound\"",
            "kind = \"audio\"",
            "rate = 8000",
            "seconds = 0.5",
            "name = \"remark\"",
            "kind = \"text\"",
            "name = \"gps\"",
            "kind = \"vector\"",
            "features = 2",
        ],
    );
    let remarks = guessed.remarks.join("\n");
    assert!(remarks.contains("columns price hold numbers and are left out; to use them as a sensor, call them `place.price`"), "{remarks}");
    assert!(remarks.contains("`person` is not taken as the group") && !guessed.card.contains("group ="), "{remarks}");
    let check = check_card(root, &guessed.card);
    assert_eq!((check.sensors.len(), check.combinations[0].name.as_str()), (5, "photo+depth_map+sound+remark+gps"));
    silent(&check, Level::Error);
}

#[test]
fn tables_of_numbers_are_read_as_tables() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| {
        format!("{},{},{};{};{}\n", i, i % 7, if i == 4 { "NA".into() } else { format!("{i},5") }, i * i % 11, i % 3).replacen(',', ";", 2)
    };
    write(root, "iris data.csv", format!("nr;petal;width;height;species\n{}", (0..24).map(row).collect::<String>()));
    let card = card(root, "iris data.csv");
    has(
        &card,
        &["name = \"iris_data\"", "label = \"species\"", "decimal = \",\"", "missing = [\"NA\"]", "[[view]]", "partial = \"indicate\""],
    );
    assert!(card.contains("columns = [\"petal\", \"width\", \"height\"]"), "a count of the rows is no number: {card}");
    let check = check_card(root, &card);
    assert_eq!((check.classes.len(), check.sensors[0].present, check.sensors[0].absent), (3, 24, 0));
}

/// Panels of a clinic: what is measured together is missing together.
#[test]
fn columns_that_are_empty_in_the_same_rows_are_a_sensor() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| {
        let of = |there: bool, number: usize| if there { format!("{number}.5") } else { String::new() };
        let (blood, gas, lactate) = (!i.is_multiple_of(3), i % 4 != 1, i % 5 != 2);
        let cells = [
            of(true, 20 + i % 60),
            of(i != 7, 60 + i % 31),
            of(blood, i % 41),
            of(blood, i % 37),
            of(gas, i % 29),
            of(gas && i != 8, i % 23),
        ];
        format!("{},{},{},{}\n", i, cells.join(","), of(lactate, i % 19), ["well", "sick"][i % 2])
    };
    let rows: String = (0..120).map(row).collect();
    write(root, "stays.csv", format!("id,age,pulse,blood_crp,blood_ldh,ph,pco2,lactate,label\n{rows}"));
    let card = card(root, "stays.csv");
    for view in [
        "modality = \"stays\"\nfile = \"stays.csv\"\ncolumns = [\"age\", \"pulse\"]\npartial = \"indicate\"  # some of its cells are empty in 1 of 120 rows",
        "modality = \"blood\"  # absent in 40 of 120 rows: all its cells are empty\nfile = \"stays.csv\"\ncolumns = [\"blood_crp\", \"blood_ldh\"]\n\n",
        "modality = \"ph\"  # absent in 30 of 120 rows: all its cells are empty\nfile = \"stays.csv\"\ncolumns = [\"ph\", \"pco2\"]\npartial",
        "modality = \"lactate\"  # absent in 24 of 120 rows",
    ] {
        assert!(card.contains(view), "`{view}` is not in\n{card}");
    }
    let check = check_card(root, &card);
    silent(&check, Level::Error);
    assert_eq!(check.sensors.iter().map(|sensor| sensor.present).collect::<Vec<_>>(), [120, 80, 90, 96]);

    // Words that are few and come back are categories; those of a row each, dates and words for nothing are none.
    let row = |i: usize| {
        let ward = ["surgery", "medicine", "NA", "icu"][i % 4];
        let allergy = if i.is_multiple_of(3) { "" } else { ["none", "nuts"][i % 2] };
        format!("{},{}.5,{ward},{allergy},n{i},2024-0{}-11,{}\n", ["F", "M"][i / 2 % 2], i * 7 % 31, i % 3 + 1, ["well", "sick"][i % 2])
    };
    write(root, "words.csv", format!("sex,age,ward,allergy,note,day,label\n{}", (0..120).map(row).collect::<String>()));
    let guess = guess(&root.join("words.csv"), root).unwrap();
    for line in [
        "missing = [\"NA\"]",
        "columns = [\"sex\", \"age\"]\ncategories = { \"sex\" = [\"F\", \"M\"] }",
        "modality = \"ward\"  # absent in 30 of 120 rows",
        "categories = { \"ward\" = [\"icu\", \"medicine\", \"surgery\"] }",
        "modality = \"allergy\"  # absent in 40 of 120 rows",
        "categories = { \"allergy\" = [\"none\", \"nuts\"] }",
    ] {
        assert!(guess.card.contains(line), "`{line}` is not in\n{}", guess.card);
    }
    assert!(guess.remarks.iter().any(|remark| remark.contains("columns note, day are left out")), "{:?}", guess.remarks);
    silent(&check_card(root, &guess.card), Level::Error);

    // Of more sensors than anyone looks at, the empty cells are gaps of one.
    let cells = |i: usize| (0..12).map(|k| if (i + k) % 12 < 3 { String::new() } else { format!("{}.5", i * k % 17) }).collect::<Vec<_>>();
    let rows: String = (0..120).map(|i| format!("{},{}\n", cells(i).join(","), ["well", "sick"][i * 7 % 11 % 2])).collect();
    let names: Vec<String> = (0..12).map(|k| format!("lab{k}")).collect();
    write(root, "labs.csv", format!("{},label\n{rows}", names.join(",")));
    let card = self::card(root, "labs.csv");
    has(&card, &["modality = \"labs\"", "partial = \"indicate\""]);
    assert_eq!(card.matches("[[view]]").count(), 1, "{card}");
    assert_eq!(check_card(root, &card).sensors[0].present, 120);
}

#[test]
fn json_lines_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let lines: String = (0..12).map(|i| format!("{{\"review\": \"a film that I saw {i} times\", \"stars\": {}}}\n", i % 3)).collect();
    write(root, "reviews.jsonl", lines);
    has(&card(root, "reviews.jsonl"), &["manifest = \"reviews.jsonl\"", "label = \"stars\"", "name = \"review\"", "kind = \"text\""]);

    for i in 0..12u64 {
        let class = ["cat", "dog"][i as usize % 2];
        picture(root, &format!("flat/{class}/{i}.png"), i, [28, 28]);
        picture(root, &format!("parts/{}/{class}/{i}.png", ["train", "val", "test"][i as usize / 2 % 3]), i, [28, 28]);
        picture(root, &format!("both/night camera/{class}/{i}.png"), i, [28, 28]);
        write(root, &format!("both/mic/{class}/{i}.wav"), wav(&noise(i, 1000), 16_000, 1));
    }
    let (check, flat) = check_guess(&root.join("flat"), &root.join("flat"));
    has(&flat, &["name = \"flat\"", "folders = \".\"", "name = \"image\"", "column = \".\"", "size = [28, 28]"]);
    assert_eq!((check.samples.clone(), check.classes.len()), (vec![12], 2));
    silent(&check, Level::Error);
    let (check, parts) = check_guess(&root.join("parts"), root);
    has(&parts, &["folders = \"parts\"", "column = \".\""]);
    assert_eq!((check.parts.join(" "), check.samples.clone()), ("train validation test".into(), vec![4, 4, 4]));
    let (check, both) = check_guess(&root.join("both"), root);
    has(&both, &["name = \"night_camera\"", "column = \"night camera\"", "name = \"mic\"", "rate = 16000", "seconds = 0.1"]);
    assert_eq!(check.combinations[0].samples, [12]);
    silent(&check, Level::Error);
}

/// A `.npy` file of 64-bit numbers, all `value`.
fn npy(shape: &[usize], value: f64) -> Vec<u8> {
    let header = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}",
        shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
    );
    let mut file = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes()].concat();
    (0..shape.iter().product()).for_each(|i: usize| file.extend((value + i as f64).to_le_bytes()));
    file
}

/// `x.start` and `x.length` say where a reading is, and are none.
#[test]
fn parts_of_arrays_in_a_table_are_readings() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "x.npy", npy(&[40, 3], 1.0));
    write(root, "one.npy", npy(&[40], 1.0));
    write(root, "film.npy", npy(&[40, 2, 9], 1.0));
    for (name, length, lines) in [
        ("x", 1, ["kind = \"array\"", "shape = [3]"]),
        ("one", 1, ["kind = \"array\"", "shape = [1]"]),
        ("film", 1, ["kind = \"array\"", "shape = [2, 9]"]),
        ("x", 2, ["kind = \"series\"", "time_first = true"]),
    ] {
        let row = |i: usize| format!("s{i},{name}.npy,{},{length},{}\n", i * length, ["no", "yes"][i % 2]);
        let rows: String = (0..20).map(row).collect();
        write(root, "n.csv", format!("id,{name},{name}.start,{name}.length,label\n{rows}"));
        let (check, card) = check_guess(&root.join("n.csv"), root);
        has(&card, &["manifest = \"n.csv\"", &format!("name = \"{name}\"")]);
        has(&card, &lines);
        assert!(!card.contains("[[view]]") && !card.contains(".start"), "{card}");
        silent(&check, Level::Error);
    }
    // Files of one line of numbers, beside a number of the table.
    let row = |i: usize| format!("v/{i}.csv,{i}.5,{}\n", ["no", "yes"][i % 2]);
    (0..20).for_each(|i| write(root, &format!("v/{i}.csv"), format!("{i},2,{}\n", i * i)));
    write(root, "v.csv", format!("v,age,label\n{}", (0..20).map(row).collect::<String>()));
    has(&card(root, "v.csv"), &["manifest = \"v.csv\"", "name = \"v\"", "kind = \"vector\"", "features = 3"]);
}

#[test]
fn folders_of_series_arrays_texts_and_videos() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for i in 0..12u64 {
        let (class, x, n) = (["cat", "dog"][i as usize % 2], i as f64, i as usize);
        let lines: String = (0..5 + n % 3).map(|t| format!("{t},{}.5,{t}\n", i + t as u64)).collect();
        write(root, &format!("all/watch/{class}/{i}.csv"), format!("time,x,y\n{lines}"));
        write(root, &format!("all/leads/{class}/{i}.npy"), npy(&[20 + n % 4, 3], x));
        write(root, &format!("all/radar/{class}/{i}.npy"), npy(&[8, 9, 2], x));
        write(root, &format!("all/code/{class}/{i}.npy"), npy(&[5], x));
        write(root, &format!("all/gauge/{class}/{i}.txt"), format!("{i} {}.5 3", i + 1));
        write(root, &format!("all/note/{class}/{i}.txt"), format!("it hums for the {i}th time"));
        (1..4).for_each(|frame| picture(root, &format!("all/film/{class}/{i}/frame{frame}.jpg"), 9 * i + frame, [16, 20]));
        // Hidden files are no frames, whatever they hold.
        write(root, &format!("all/film/{class}/{i}/._frame1.jpg"), "no image");
        picture(root, &format!("all/film/{class}/{i}/.frame0.jpg"), i, [30, 40]);
    }
    let (check, card) = check_guess(&root.join("all"), root);
    silent(&check, Level::Error);
    let part = |name: &str| card.split("[[modality]]").find(|part| part.contains(&format!("name = \"{name}\""))).unwrap().to_string();
    has(&part("watch"), &["kind = \"series\"", "channels = 2", "steps = 7", "columns = [\"x\", \"y\"]"]);
    has(&part("leads"), &["kind = \"series\"", "channels = 3", "steps = 23", "time_first = true"]);
    has(&part("radar"), &["kind = \"array\"", "shape = [2, 8, 9]", "channels_last = true"]);
    has(&part("code"), &["kind = \"vector\"", "features = 5"]);
    has(&part("gauge"), &["kind = \"vector\"", "features = 3"]);
    has(&part("note"), &["kind = \"text\""]);
    has(&part("film"), &["kind = \"video\"", "frames = 3", "channels = \"rgb\"", "size = [16, 20]"]);
    assert!(card.contains("are the classes: cat, dog"), "{card}");
    assert_eq!(check.combinations[0].samples, [12], "all sensors meet in all samples: {card}");

    // The same, listed in a table.
    let row = |i: usize| {
        let class = ["cat", "dog"][i % 2];
        format!("all/film/{class}/{i},all/watch/{class}/{i}.csv,all/leads/{class}/{i}.npy,all/note/{class}/{i}.txt,{class}\n")
    };
    write(root, "all.csv", format!("film,watch,leads,note,label\n{}", (0..12).map(row).collect::<String>()));
    let (check, card) = check_guess(&root.join("all.csv"), root);
    silent(&check, Level::Error);
    has(&card, &["kind = \"video\"", "channels = 2", "time_first = true", "kind = \"text\""]);
    assert_eq!(check.sensors[3].present, 12);
}

#[test]
fn sensors_that_do_not_meet_and_labels_in_other_words_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for i in 0..12u64 {
        let class = ["cat", "dog"][i as usize % 2];
        picture(root, &format!("names/rgb/{class}/{i}.png"), i, [9, 9]);
        picture(root, &format!("names/depth/{class}/depth_{i}.png"), i + 50, [9, 9]);
        picture(root, &format!("classes/rgb/{class}/{i}.png"), i, [9, 9]);
        picture(root, &format!("classes/depth/{}/{i}.png", ["katze", "dog"][i as usize % 2]), i + 50, [9, 9]);
    }
    let (check, _) = check_guess(&root.join("names"), root);
    tells(&check, Level::Warning, &["no sample has both `depth` and `rgb`", "call them alike"]);
    let (check, _) = check_guess(&root.join("classes"), root);
    tells(&check, Level::Warning, &["depth: no reading in the class cat", "called otherwise"]);
    tells(&check, Level::Warning, &["rgb: no reading in the class katze"]);
    let weight = |i: usize| if i == 9 { "3000000".into() } else { format!("{}.{}", i % 7, i * i % 10) };
    let rows: String = (0..30).map(|i| format!("{},{},{}\n", weight(i), 3 * (i % 2), ["cat", "dog"][i % 2])).collect();
    write(root, "codes.csv", format!("scale.weight,scale.code,label\n{rows}"));
    let (check, _) = check_guess(&root.join("codes.csv"), root);
    tells(&check, Level::Warning, &["scale: 1 variable tells the class of every sample", "label in other words"]);
    tells(&check, Level::Warning, &["scale: numbers that are more than 10000 times as large", "scale.weight of row 10 (3.00e6)"]);
}

#[test]
fn what_cannot_be_guessed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let error = |name: &str| guess(&root.join(name), root).unwrap_err().to_string();
    write(root, "no_label.csv", "a,b\n1.5,2.5\n2.5,3.5\n3.5,4.5\n");
    assert!(error("no_label.csv").contains("no column looks like the class of a sample: call it `label`; there are: a, b"));
    write(root, "no_sensor.csv", "id,label\n1,a\n2,b\n3,a\n4,b\n");
    assert!(error("no_sensor.csv").contains("no column looks like a sensor"), "{}", error("no_sensor.csv"));
    write(root, "films.csv", "rgb,label\na.gif,a\nb.GIF,b\nc.gif,a\nd.png,b\n");
    let said = error("films.csv");
    assert!(said.contains("`rgb` has files that end in .gif, and what is read ends in png, jpg"), "{said}");
    let remarks = {
        write(root, "heic.csv", "rgb,gps.north,label\na.heic,1.5,a\nb.heic,2.5,b\nc.heic,3.5,a\nd.heic,4.5,b\n");
        guess(&root.join("heic.csv"), root).unwrap().remarks.join("\n")
    };
    assert!(remarks.contains("left out: `rgb` has files that end in .heic"), "{remarks}");
    // Most rows say a part: a split that is drawn would mix what is kept apart.
    write(root, "held.csv", "gps.north,label,part\n1.5,a,train\n2.5,b,train\n3.5,a,test\n4.5,b,holdout\n");
    assert!(error("held.csv").contains("held.csv:5:3: `holdout` is no part: use train, validation or test"), "{}", error("held.csv"));
    let table = "gps.north,label\n1.5,a\n2.5,b\n3.5,a\n4.5,b\n";
    ["memes_train.csv", "memes_dev.csv", "memes_train.jsonl", "other_test.csv"].iter().for_each(|name| write(root, name, table));
    let remarks = guess(&root.join("memes_train.csv"), root).unwrap().remarks.join("\n");
    assert!(remarks.contains("memes_dev.csv another: `mm data concat`") && !remarks.contains("other_test"), "{remarks}");
    write(root, "no_header.csv", "1,a.png,cat\n2,b.png,dog\n3,c.png,cat\n4,d.png,dog\n");
    assert!(error("no_header.csv").contains("no_header.csv:1:2: `a.png` is a file and no name of a column"));
    write(root, "all.json", "[{\"label\": \"cat\"}]");
    assert!(error("all.json").contains("an object a line"));
    write(root, "empty/readme.md", "x");
    assert!(error("empty").contains("holds no file that is read"));
    picture(root, "loose/1.png", 1, [9, 9]);
    assert!(error("loose").contains("lie in no folders that tell their classes"));
    picture(root, "inside/cat/rgb/1.png", 1, [9, 9]);
    picture(root, "inside/dog/rgb/1.png", 1, [9, 9]);
    assert!(error("inside").contains("the folders of sensors lie inside those of classes"));
    picture(root, "around/train/rgb/cat/1.png", 1, [9, 9]);
    assert!(error("around").contains("the folders of parts lie around those of sensors"));
    picture(root, "unclassed/train/1.png", 1, [9, 9]);
    assert!(error("unclassed").contains("its folders are parts and not classes"));
    assert!(guess(&root.join("none.csv"), root).is_err());
}

#[test]
fn a_label_of_many_fractions_is_a_number_to_predict() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let rows: String = (0..40).map(|i| format!("{i}.5,{},{:.2},{}\n", i % 7, 3.0 + 0.37 * f64::from(i), i % 3)).collect();
    write(root, "house.csv", format!("garden.area,garden.trees,price,label\n{rows}"));
    // Numbers of few classes stay classes.
    has(&card(root, "house.csv"), &["label = \"label\""]);
    write(root, "house.csv", format!("garden.area,garden.trees,label,rooms.count\n{rows}"));
    let guessed = card(root, "house.csv");
    has(&guessed, &["task = \"numbers\"", "targets = [\"label\"]", "columns = [\"garden.area\", \"garden.trees\"]"]);
    assert!(!guessed.contains("\nlabel ="), "{guessed}");
    let loaded = DatasetCard::from_str(&guessed, root.join("card.toml")).unwrap().load_files().unwrap();
    assert_eq!(loaded.data.schema().target.in_words(), "1 number");
}

#[test]
fn rows_that_are_steps_of_series_are_told_apart_from_samples() {
    let folder = tempfile::tempdir().unwrap();
    let remarks = |header: &str, row: &dyn Fn(usize, usize) -> String| {
        let mut rows = format!("{header}\n");
        for stay in 0..12 {
            (0..8).for_each(|hour| rows += &format!("{}\n", row(stay, hour)));
        }
        write(folder.path(), "my stays.csv", rows);
        guess(&folder.path().join("my stays.csv"), folder.path()).unwrap().remarks.join("\n")
    };
    let header = "patient,hour,pulse,died";
    let steps = remarks(header, &|stay, hour| format!("p{stay},{hour},{},{}", 60 + hour * stay % 7, stay % 2));
    assert!(steps.contains("`hour` rises within each of the 12 values of `patient`"), "{steps}");
    assert!(steps.contains("my stays.csv' --id patient --time hour --label died --out FOLDER"), "{steps}");
    let dates = remarks("id,charttime,pulse,died", &|stay, hour| format!("{stay},2024-01-31 {hour:02}:00:00,{},{}", 60 + hour, stay % 2));
    assert!(dates.contains("`charttime` rises within each of the 12 values of `id`"), "{dates}");
    // A time of day that does not rise from row to row is a reading like another.
    let samples = remarks(header, &|stay, hour| format!("p{stay},{},{},{}", hour * 5 % 8, 60 + hour, stay % 2));
    assert!(!samples.contains("rises within"), "{samples}");
    let samples = remarks("patient,size,pulse,died", &|stay, hour| format!("p{stay},{hour},{},{}", 60 + hour, stay % 2));
    assert!(!samples.contains("rises within"), "{samples}");
}

#[test]
fn floating_point_numbers_are_not_taken_for_millimetres() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for i in 0..8u64 {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let metres: Vec<f32> = (0..64).map(|x| (x + i) as f32 / 10.0).collect();
        let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
        encoder.write_image::<tiff::encoder::colortype::Gray32Float>(8, 8, &metres).unwrap();
        write(root, &format!("floats/{i}.tif"), bytes.into_inner());
        deep_picture(root, &format!("deep/{i}.png"), i, 8);
    }
    let row = |i: usize| format!("floats/{i}.tif,deep/{i}.png,{}\n", ["cat", "dog"][i % 2]);
    write(root, "t.csv", format!("floats,deep,label\n{}", (0..8).map(row).collect::<String>()));
    let card = card(root, "t.csv");
    let part = |name: &str| card.split("[[modality]]").find(|part| part.contains(&format!("name = \"{name}\""))).unwrap().to_string();
    assert!(part("floats").contains("# floating point numbers") && part("floats").contains("scale = 1.0"), "{card}");
    assert!(part("deep").contains("# 16 bits a pixel") && part("deep").contains("scale = 0.001"), "{card}");
}

/// People in several parts of a fixed split: no group, and a warning.
#[test]
fn a_group_that_the_parts_cut_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| {
        format!("a word or {i} more,p{},{},{}\n", i % 7, ["good", "bad"][i % 2], ["train", "train", "validation", "test"][i / 10])
    };
    write(root, "reviews.csv", "note,person,label,part\n".to_string() + &(0..40).map(row).collect::<String>());
    let guess = guess(&root.join("reviews.csv"), root).unwrap();
    assert!(!guess.card.contains("group"), "{}", guess.card);
    let found = guess.findings.iter().find(|finding| finding.level == Level::Warning).expect("a warning");
    assert!(found.found.contains("column `person` is not taken as the group: 7 of its values lie in several parts"), "{found:?}");
    assert!(found.advice.contains("write group = \"person\""), "{found:?}");
    // Each in one part.
    let row = |i: usize| {
        format!("a word or {i} more,p{},{},{}\n", i / 5, ["good", "bad"][i % 2], ["train", "train", "validation", "test"][i / 10])
    };
    write(root, "reviews.csv", "note,person,label,part\n".to_string() + &(0..40).map(row).collect::<String>());
    let guess = self::guess(&root.join("reviews.csv"), root).unwrap();
    assert!(guess.card.contains("group = \"person\"") && guess.findings.is_empty(), "{guess:?}");
}

/// Words for no text are texts, and told.
#[test]
fn texts_that_say_that_there_is_none_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let row = |i: usize| {
        format!("{},{}\n", if i.is_multiple_of(5) { "N/A".into() } else { format!("a word or {i} more") }, ["good", "bad"][i % 2])
    };
    write(root, "reviews.csv", "note,label\n".to_string() + &(0..40).map(row).collect::<String>());
    let (check, _) = check_guess(&root.join("reviews.csv"), root);
    tells(&check, Level::Warning, &["note: 8 of 40 readings are words for no text, such as `N/A`", "empty the cell"]);
}

/// Numbers that say whose sample a row is are no readings, however they are written.
#[test]
fn ids_that_come_back_are_a_group_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let guessed = |name: &str| {
        let row = |i: usize| format!("{},{},{},{}\n", 4000 + i / 3, i * 37 % 101, i * 17 % 53, ["ill", "well"][i / 3 % 2]);
        write(root, "t.csv", format!("{name},crp,age,state\n") + &(0..60).map(row).collect::<String>());
        guess(&root.join("t.csv"), root).unwrap()
    };
    for name in ["PatientNo", "patientID", "patient_id", "mrn", "MRN"] {
        let card = guessed(name).card;
        assert!(card.contains(&format!("group = \"{name}\"")) && card.contains("columns = [\"crp\", \"age\"]"), "{card}");
    }
    let guess = guessed("visit_id");
    assert!(guess.card.contains("columns = [\"crp\", \"age\"]") && !guess.card.contains("group"), "{}", guess.card);
    assert!(
        guess.remarks.join("\n").contains("columns visit_id are left out: they are called as ids and come back"),
        "{:?}",
        guess.remarks
    );
}

/// `nan` is a number to a program, and no reading to who wrote it.
#[test]
fn cells_of_nan_are_empty_ones() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let crp = |i: usize| if i.is_multiple_of(3) { "nan".to_string() } else { (i * 17 % 53).to_string() };
    let row = |i: usize| format!("{},{},{}\n", i * 37 % 101, crp(i), ["ill", "well"][i % 2]);
    write(root, "t.csv", "age,crp,state\n".to_string() + &(0..60).map(row).collect::<String>());
    let (check, card) = check_guess(&root.join("t.csv"), root);
    assert!(card.matches("[[view]]").count() == 2 && card.contains("missing = [\"nan\"]"), "{card}");
    silent(&check, Level::Error);
    assert_eq!(check.sensors.iter().map(|sensor| sensor.present).collect::<Vec<_>>(), [60, 40]);
}
