//! What a newcomer does, mistakes included: from folders to a card, a model and answers, and what is refused on the way.

use super::program::{mm, said};
use image::RgbImage;
use std::fs;
use std::path::Path;

/// The exit code, and what was printed.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = mm().current_dir(folder).args(arguments).output().unwrap();
    (output.status.code().unwrap(), format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output)))
}

fn picture(path: &Path, bright: bool, i: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let value = |x: u32, y: u32| (if bright { 150 } else { 60 }) + ((x * 7 + y * 13) as usize * (i + 3) % 60) as u8;
    RgbImage::from_fn(8, 8, |x, y| image::Rgb([value(x, y); 3])).save(path).unwrap();
}

/// `place/eye/<class>/<i>.png` and films `place/film/<class>/<i>/`, some of either missing.
fn folders(root: &Path, place: &str, samples: usize, classes: bool) {
    for i in 0..samples {
        let class = if classes { ["dim", "lit"][i % 2] } else { "" };
        let of = |sensor: &str| root.join(place).join(sensor).join(class);
        if i % 7 != 3 {
            picture(&of("eye").join(format!("{i:02}.png")), i % 2 == 1, i);
        }
        if i % 9 != 5 {
            (1..4).for_each(|frame| picture(&of("film").join(format!("{i:02}/frame{frame}.png")), i % 2 == 1, i + frame));
        }
    }
}

/// Folders of classes alone: the sensor has no folder, and so no name of one, which a table could have as a column.
#[test]
fn a_model_of_class_folders_is_asked_with_a_table_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for i in 0..40 {
        picture(&root.join("plain").join(["dim", "lit"][i % 2]).join(format!("{i:02}.png")), i % 2 == 1, i);
    }
    run(root, &["data", "check", "plain", "--write-card", "card.toml"]);
    assert!(fs::read_to_string(root.join("card.toml")).unwrap().contains("column = \".\""));
    let (code, text) = run(root, &["train", "card.toml", "--method", "modality-dropout", "--epochs", "2", "--out", "model"]);
    assert!(code == 0, "{text}");
    fs::write(root.join("t.csv"), "id,image\na,plain/dim/00.png\nb,\n").unwrap();
    let (code, text) = run(root, &["predict", "--model", "model", "--manifest", "t.csv", "--out", "answers.csv"]);
    assert!(code == 0 && text.contains("answers.csv: 2 rows"), "{text}");
    let answers = fs::read_to_string(root.join("answers.csv")).unwrap();
    assert!(answers.lines().any(|line| line.starts_with("a,") && line.contains(",image,")), "{answers}");
    // A file that cannot be read ends the run; when it is mended, or taken out, nothing is left of that.
    let predict = |manifest: &str, out: &str| run(root, &["predict", "--model", "model", "--manifest", manifest, "--out", out]);
    fs::write(root.join("broken.png"), "").unwrap();
    fs::write(root.join("t.csv"), "id,image\na,plain/dim/00.png\nb,broken.png\n").unwrap();
    let (code, text) = predict("t.csv", "more.csv");
    assert!(code == 1 && text.contains("broken.png"), "{text}");
    fs::copy(root.join("plain/lit/01.png"), root.join("broken.png")).unwrap();
    let (code, text) = predict("t.csv", "more.csv");
    assert!(code == 0 && text.contains("more.csv: 2 rows") && !text.contains("going on"), "{text}");
    // Parts that count their files alike.
    for part in ["train", "test"] {
        for (class, i) in [("dim", 0), ("lit", 1)] {
            picture(&root.join("parts").join(part).join(class).join("0.png"), class == "lit", i);
        }
    }
    let (code, text) = predict("parts", "parts.csv");
    assert!(code == 0 && text.contains("has folders of parts (test, train), and all of them are read"), "{text}");
    let answers = fs::read_to_string(root.join("parts.csv")).unwrap();
    assert!(answers.contains("\ntest/dim/0,") && answers.contains("\ntrain/dim/0,"), "{answers}");
}

#[test]
fn from_folders_to_answers_for_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    folders(root, "data", 40, true);
    let (code, text) = run(root, &["data", "check", "data", "--write-card", "card.toml"]);
    assert!(code == 0 && text.contains("kind = \"video\"") && text.contains("40 samples, 2 classes, 2 sensors"), "{text}");
    // A file that is none of the sensor is an error, or absent by the card.
    fs::write(root.join("data/eye/dim/more.heic"), "x").unwrap();
    let train = ["train", "card.toml", "--method", "udml", "--epochs", "2", "--out", "model"];
    let (code, text) = run(root, &train);
    assert!(code == 1 && text.contains("more.heic") && text.contains("take it out, or convert it"), "{text}");
    let card = fs::read_to_string(root.join("card.toml")).unwrap();
    fs::write(root.join("card.toml"), format!("on_corrupt = \"absent\"\n{card}")).unwrap();
    let (code, text) = run(root, &train);
    assert!(code == 0 && text.contains("1 readings cannot be used and count as absent"), "{text}");

    let predict = |manifest: &str, out: &str| run(root, &["predict", "--model", "model", "--manifest", manifest, "--out", out]);
    folders(root, "new", 10, true);
    let (code, text) = predict("new", "answers.csv");
    assert!(code == 0 && text.contains("labelled") && text.contains("answers.csv: 10 rows"), "{text}");
    let answers = fs::read_to_string(root.join("answers.csv")).unwrap();
    assert!(answers.lines().any(|line| line.starts_with("lit/03,") && line.contains(",film,eye: absent")), "{answers}");
    let (code, text) = predict("new", "new/eye/dim/answers.csv");
    assert!(code == 1 && text.contains("lies in the folder of the samples"), "{text}");
    // Without classes, and without one of the sensors.
    folders(root, "unknown", 10, false);
    let (code, text) = predict("unknown", "unknown.csv");
    assert!(code == 0 && !text.contains("labelled") && text.contains("unknown.csv: 10 rows"), "{text}");
    let told = |answers: &str| answers.lines().skip(1).map(|line| line.split_once(',').unwrap().1.to_string()).collect::<Vec<_>>();
    let mut rows = [told(&answers), told(&fs::read_to_string(root.join("unknown.csv")).unwrap())];
    rows.iter_mut().for_each(|rows| rows.sort());
    assert_eq!(rows[0].len(), rows[1].len());
    fs::remove_dir_all(root.join("unknown/film")).unwrap();
    let (code, text) = predict("unknown", "eyes.csv");
    assert!(code == 0 && text.contains("no folder for film: absent in every sample"), "{text}");
    fs::rename(root.join("unknown/eye"), root.join("unknown/eyes")).unwrap();
    let (code, text) = predict("unknown", "none.csv");
    assert!(code == 1 && text.contains("has no folder of a sensor of the model (eye, film)") && text.contains("there are: eyes"), "{text}");
    fs::write(root.join("new/eye/dim/broken.png"), "no picture").unwrap();
    let (code, text) = predict("new", "broken.csv");
    assert!(code == 1 && text.contains("sample `dim/broken`") && text.contains("it is a text") && !text.contains("line"), "{text}");
}

/// `motion` in files and `place` in the table; one file of the test part holds a NaN.
fn recordings(root: &Path, setting: &str) {
    fs::create_dir_all(root.join("m")).unwrap();
    let mut rows = String::from("id,motion,place.x,place.y,label,part\n");
    for i in 0..40 {
        let value = |step: usize| if (i, step) == (9, 2) { "nan".into() } else { format!("0.{}", (i * 7 + step * (1 + i % 2)) % 10) };
        let steps: String = (0..6).map(|step| format!("{},{}\n", value(step), (i + step) % 5)).collect();
        fs::write(root.join(format!("m/{i}.csv")), steps).unwrap();
        let part = ["train", "train", "train", "validation", "test"][i % 5];
        // What is wrong with the sample 14 is all of it.
        let place = if i == 14 { ",".into() } else { format!("{}.5,{}", i % 3, i % 4) };
        rows += &format!("s{i},m/{i}.csv,{place},{},{part}\n", ["run", "walk"][i / 5 % 2]);
    }
    fs::write(root.join("s.csv"), rows).unwrap();
    let sensors = "[[modality]]\nname = \"motion\"\nkind = \"series\"\nchannels = 2\nsteps = 6\n\
                   [[modality]]\nname = \"place\"\nkind = \"vector\"\nfeatures = 2\n";
    fs::write(root.join("card.toml"), format!("name = \"s\"\nmanifest = \"s.csv\"\n{setting}\n{sensors}")).unwrap();
}

#[test]
fn a_file_that_is_of_no_use_is_named_before_the_training_or_counts_as_absent() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let train = ["train", "card.toml", "--method", "udml", "--epochs", "2", "--out", "model"];
    recordings(root, "");
    let (code, text) = run(root, &["data", "check", "card.toml"]);
    assert!(code == 1 && text.contains("9.csv") && text.contains("on_corrupt = \"absent\""), "{text}");
    let (code, text) = run(root, &train);
    assert!(code == 1 && text.contains("9.csv holds a value that is not finite: NaN at [0, 2]") && !text.contains("diverged"), "{text}");
    assert!(!root.join("model").exists() && !root.join("model.checkpoints").exists(), "nothing was trained");
    recordings(root, "on_corrupt = \"absent\"");
    fs::write(root.join("m/14.csv"), "1,x\n").unwrap();
    let (code, text) = run(root, &["data", "check", "card.toml"]);
    assert!(code == 0 && text.contains("1 sample without a reading that can be used"), "{text}");
    let (code, text) = run(root, &train);
    for told in
        ["1 readings hold a value that is not finite", "1 readings cannot be read", "1 samples have no other reading and are left out: s14"]
    {
        assert!(code == 0 && text.contains(told), "{text}");
    }
    let (code, text) = run(root, &["evaluate", "--model", "model", "--card", "card.toml"]);
    assert!(code == 0, "{text}");
}

/// A table with decimal commas, as its model learnt from.
fn table(root: &Path) {
    let row = |i: usize| {
        format!("n{i};{},{};{};{}\n", i % 2, i % 7, if i % 9 == 4 { "NA".into() } else { format!("1,{}", i % 5) }, ["dim", "lit"][i % 2])
    };
    fs::write(root.join("days.csv"), format!("id;sky.light;wind.speed;label\n{}", (0..40).map(row).collect::<String>())).unwrap();
}

#[test]
fn a_table_is_asked_as_it_was_trained_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    table(root);
    let (code, text) = run(root, &["data", "check", "days.csv", "--write-card", "card.toml"]);
    assert!(code == 0 && text.contains("decimal = \",\""), "{text}");
    let (code, text) = run(root, &["train", "card.toml", "--method", "udml", "--epochs", "2", "--out", "model"]);
    assert!(code == 0, "{text}");
    let predict = |arguments: &[&str]| run(root, &[&["predict", "--model", "model"], arguments].concat());
    let (code, text) = predict(&["--manifest", "days.csv", "--out", "answers.csv"]);
    assert!(code == 0 && text.contains("answers.csv: 40 rows") && text.contains("sky+wind"), "{text}");
    let before = fs::read(root.join("days.csv")).unwrap();
    let (code, text) = predict(&["--manifest", "days.csv", "--out", "days.csv", "--overwrite"]);
    assert!(code == 1 && text.contains("is the table of samples itself"), "{text}");
    assert_eq!(fs::read(root.join("days.csv")).unwrap(), before);
    let (code, text) = predict(&["--manifest", "none.csv", "--out", "a.csv"]);
    assert!(code == 1 && text.contains("there is no none.csv"), "{text}");
    let (code, text) = predict(&["--manifest", "card.toml", "--out", "a.csv"]);
    assert!(code == 1 && text.contains("is a card or a plan and no table of samples"), "{text}");
    let (code, text) = run(root, &["predict", "--model", ".", "--manifest", "days.csv", "--out", "a.csv"]);
    assert!(code == 1 && text.contains("is no folder of a saved model"), "{text}");
    for (data, what) in [("days.csv", "is a table and no card"), ("model", "is a folder and no card")] {
        let (code, text) = run(root, &["train", data, "--method", "udml", "--out", "other"]);
        assert!(code == 1 && text.contains(what) && text.contains("--write-card card.toml"), "{text}");
    }
    // A misspelt setting is found by its nearest name, in `quick` without `--quick`.
    let plan =
        "name = \"p\"\nseeds = [0]\nquick = { epoch = 1 }\n[[data]]\nname = \"p\"\ncard = \"card.toml\"\n[[runs]]\nmethod = \"udml\"\n";
    fs::write(root.join("plan.toml"), plan).unwrap();
    let (code, text) = run(root, &["bench", "plan.toml"]);
    assert!(code == 1 && text.contains("unknown field `epoch`") && text.contains("did you mean `epochs`?"), "{text}");
    let card = "name = \"p\"\nmanifest = \"days.csv\"\n[[modality]]\nname = \"sky\"\nkind = \"vector\"\nfeature = 1\n";
    fs::write(root.join("slip.toml"), card).unwrap();
    let (code, text) = run(root, &["data", "check", "slip.toml"]);
    assert!(code == 1 && text.contains("modality.sky") && text.contains("did you mean `features`?"), "{text}");
    // Values of another type are told in plain words.
    let plan = "name = \"p\"\nseeds = 0\n[[data]]\nname = \"p\"\ncard = \"card.toml\"\n[[runs]]\nmethod = \"udml\"\n";
    fs::write(root.join("plan.toml"), plan).unwrap();
    let (code, text) = run(root, &["bench", "plan.toml"]);
    assert!(code == 1 && text.contains("plan.toml:2:9: the number `0` stands where a list, in [ ] is expected"), "{text}");
}

/// Hours of patients, whose pulse rises where they will die; the pressure of every third was never taken.
fn stays(patients: std::ops::Range<usize>, with_label: bool) -> String {
    let mut table = format!("patient,hour,pulse,lab_ph,lab_lactate{}\n", if with_label { ",died" } else { "" });
    for p in patients {
        for hour in 0..20 + p % 5 {
            let lab = if p % 3 == 0 { ",".into() } else { format!("7.{},{}", hour % 3, hour % 4 + p % 2) };
            let label = if with_label { format!(",{}", p % 2) } else { String::new() };
            table += &format!("p{p},{hour},{},{lab}{label}\n", 70 + hour * (p % 2) + hour % 2 + p % 7);
        }
    }
    table
}

#[test]
fn from_a_table_with_a_row_an_hour_to_answers_for_new_patients() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("stays.csv"), stays(0..60, true)).unwrap();
    let (code, text) = run(root, &["data", "check", "stays.csv"]);
    let advice = "`mm data series stays.csv --id patient --time hour --label died --out FOLDER`";
    assert!(code == 0 && text.contains(advice), "{text}");
    let arguments = ["data", "series", "stays.csv", "--id", "patient", "--time", "hour", "--label", "died", "--out", "stays"];
    let (code, text) = run(root, &arguments);
    assert!(code == 0 && text.contains("stays: 60 series of 20 to 24 steps, from 1320 rows"), "{text}");
    assert!(text.contains("pulse: pulse") && text.contains("lab: lab_ph, lab_lactate; absent in 20 series"), "{text}");
    let (code, text) = run(root, &arguments);
    assert!(code == 1 && text.contains("is there already, and is not overwritten"), "{text}");
    let (code, text) = run(root, &["data", "check", "stays/card.toml"]);
    assert!(code == 0 && text.contains("0 errors, 0 warnings"), "{text}");
    let (code, text) = run(root, &["train", "stays/card.toml", "--method", "modality-dropout", "--epochs", "40", "--out", "model"]);
    assert!(code == 0, "{text}");

    fs::write(root.join("new.csv"), stays(60..72, false)).unwrap();
    let (code, text) = run(root, &["data", "series", "new.csv", "--as", "stays/series.toml", "--out", "new"]);
    assert!(code == 0 && text.contains("no column `died`") && text.contains("next: mm predict"), "{text}");
    let (code, text) = run(root, &["predict", "--model", "model", "--manifest", "new/samples.csv", "--out", "answers.csv"]);
    assert!(code == 0, "{text}");
    let answers = fs::read_to_string(root.join("answers.csv")).unwrap();
    let answer =
        |p: usize| answers.lines().find(|line| line.starts_with(&format!("p{p},"))).unwrap().split(',').nth(1).unwrap().to_string();
    let right = (60..72).filter(|&p| answer(p) == (p % 2).to_string()).count();
    assert!(right >= 11, "{right} of 12:\n{answers}");
}

#[test]
fn what_a_bench_has_trained_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    table(root);
    let (code, text) = run(root, &["data", "check", "days.csv", "--write-card", "card.toml"]);
    assert!(code == 0, "{text}");
    let plan = "name = \"p\"\nseeds = [3]\n[train]\nepochs = 4\nbatch_size = 8\n[[data]]\nname = \"p\"\ncard = \"card.toml\"\n
        [[runs]]\nmethod = \"mod-distill\"\noptions = { robust = true }\n[[runs]]\nmethod = \"mmanet\"\n[[runs]]\nmethod = \"late-fusion\"\n";
    fs::write(root.join("plan.toml"), plan).unwrap();
    let (code, text) = run(root, &["bench", "plan.toml", "--out", "results"]);
    assert!(code == 0, "{text}");
    let mut asked = 0;
    for cell in fs::read_dir(root.join("results/cells")).unwrap() {
        let cell = cell.unwrap().path();
        let result: serde_json::Value = serde_json::from_slice(&fs::read(cell.join("result.json")).unwrap()).unwrap();
        let method = result["run"].as_str().unwrap();
        // The teacher of a run, too, is a model.
        let predict = |model: &str| {
            let out = format!("{}.csv", model.rsplit('/').next().unwrap());
            let (code, text) = run(root, &["predict", "--model", model, "--manifest", "days.csv", "--out", &out]);
            assert!(code == 0, "{method}: {text}");
            fs::read_to_string(root.join(out)).unwrap()
        };
        let answers = predict(cell.to_str().unwrap());
        asked += 1;
        if ["mod-distill", "mmanet", "late-fusion"].contains(&method) {
            let arguments = ["train", "--plan", "plan.toml", "--method", method, "--seed", "3", "--out", method];
            let (code, text) = run(root, &arguments);
            assert!(code == 0, "{text}");
            assert_eq!(answers, predict(method), "{method}: what `mm train` makes by the same plan");
        }
    }
    assert!(asked >= 4, "{asked}");
}

/// A disk that is full is told in one line.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = mm().args(["bench", "--list"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output), "error: standard output: No space left on device (os error 28)\n");
}
