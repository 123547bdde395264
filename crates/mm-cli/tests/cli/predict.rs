//! From a folder of files to a model and its predictions, as a user does it: `mm train`, `mm evaluate`, `mm predict`.

use super::machines;
use super::program::{mm, said, wait_for};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

const SAMPLES: usize = 80;

/// A folder with the files and two models of them, made once.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        machines::write(folder.path(), SAMPLES);
        for method in ["udml", "mmanet"] {
            let output = train(folder.path(), method, method).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(told.contains("photo+sound+note+gauge") && told.contains("milliseconds"), "{told}");
        }
        folder
    });
    folder.path()
}

fn train(folder: &Path, method: &str, out: &str) -> std::process::Command {
    let mut command = mm();
    command.current_dir(folder).args(["train", "machines.toml", "--method", method, "--plan", "plan.toml", "--epochs", "12", "--out", out]);
    command
}

fn predict(folder: &Path, model: &str, manifest: &str, out: &str) -> std::process::Command {
    let mut command = mm();
    command.current_dir(folder).args(["predict", "--model", model, "--manifest", manifest, "--out", out]);
    command
}

fn succeeds(command: &mut std::process::Command) -> (String, String) {
    let output: Output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    (String::from_utf8_lossy(&output.stdout).into_owned(), said(&output))
}

fn fails(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    said(&output)
}

fn table() -> Vec<String> {
    std::fs::read_to_string(folder().join("samples.csv")).unwrap().lines().map(String::from).collect()
}

fn write(name: &str, lines: &[String]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

#[test]
fn a_folder_of_files_becomes_a_model_with_a_card() {
    let card = std::fs::read_to_string(folder().join("udml/README.md")).unwrap();
    assert!(card.contains("| photo+sound+note+gauge |") && card.contains("milliseconds for one sample"), "{card}");
    assert!(card.contains("mm predict --model") && card.contains("Readings::new().file(\"photo\", \"a-file\")"), "{card}");
    assert!(!folder().join("udml.checkpoints").exists() && !folder().join("mmanet.checkpoints").exists());
    // A model that is there is not replaced before it is asked for, nor after an hour of training.
    assert!(fails(&mut train(folder(), "mmanet", "mmanet")).contains("--overwrite"));
    assert!(fails(&mut train(folder(), "mmanet", "photos")).contains("holds other files"));
    assert!(fails(&mut train(folder(), "mmnet", "new")).contains("did you mean `mmanet`?"));
    let (told, _) = succeeds(mm().current_dir(folder()).args(["evaluate", "--model", "mmanet", "--card", "machines.toml"]));
    assert!(told.contains("photo+sound+note+gauge") && told.lines().count() == 16, "{told}");
}

#[test]
fn every_row_is_answered_in_order_with_reasons() {
    let mut lines = table();
    lines.truncate(13);
    lines.insert(3, "dead,photos/black.png,,,,,nan,1,".into());
    lines.insert(5, "empty,,,,,,,,".into());
    write("asked.csv", &lines);
    image::GrayImage::new(12, 12).save(folder().join("photos/black.png")).unwrap();
    let (told, _) = succeeds(&mut predict(folder(), "udml", "asked.csv", "asked.out.csv"));
    assert!(told.contains("1 rows have no sensor that can be used") || told.contains("2 rows have no sensor"), "{told}");
    assert!(told.contains("accuracy") && told.contains("asked.out.csv: 14 rows"), "{told}");
    let answers = std::fs::read_to_string(folder().join("asked.out.csv")).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(
        answers[0],
        "id,class,probability.broken,probability.running,used,ignored,weight.photo,level.photo,weight.sound,level.sound,weight.note,level.note,\
         weight.gauge,level.gauge"
    );
    let ids: Vec<&str> = answers[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    let asked: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ids, asked);
    assert!(answers[3].starts_with("dead,,,,,photo: dead; sound: absent; note: absent; gauge: not finite,"), "{}", answers[3]);
    assert!(answers[5].starts_with("empty,,,,,photo: absent;"), "{}", answers[5]);
    assert!(answers[1].contains(",photo+sound+note+gauge,,"), "{}", answers[1]);
    // Six decimals would not tell small probabilities apart.
    let digits = |line: &&str| line.split(',').nth(2).is_some_and(|p| p.parse().is_ok_and(|p: f32| format!("{p:?}").len() > 8));
    assert!(answers[1..].iter().any(digits), "{answers:?}");
    let right = lines[1..].iter().zip(&answers[1..]).filter(|(asked, answer)| {
        let label = asked.rsplit(',').next().unwrap();
        !label.is_empty() && answer.split(',').nth(1) == Some(label)
    });
    assert!(right.count() >= 10);

    // JSON lines and Parquet in, JSON lines out: the same.
    let columns: Vec<&str> = lines[0].split(',').collect();
    let object = |line: &String| {
        let cells = columns.iter().zip(line.split(',')).filter(|(_, cell)| !cell.is_empty());
        serde_json::to_string(&cells.map(|(c, cell)| (c.to_string(), Value::from(cell))).collect::<serde_json::Map<_, _>>()).unwrap()
    };
    let json: Vec<String> = lines[1..].iter().map(object).collect();
    write("asked.jsonl", &json);
    std::fs::write(folder().join("asked.parquet"), mm_testing::parquet(&lines.join("\n").replace(",nan,", ",NaN,"))).unwrap();
    for (manifest, out) in [("asked.jsonl", "json.jsonl"), ("asked.parquet", "parquet.jsonl")] {
        succeeds(&mut predict(folder(), "udml", manifest, out));
        let objects = std::fs::read_to_string(folder().join(out)).unwrap();
        let objects: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 14);
        for (object, line) in objects.iter().zip(&answers[1..]) {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(object["id"], cells[0], "{manifest}");
            assert_eq!(object["class"].as_str().unwrap_or(""), cells[1], "{manifest}: {object}");
            if let Some(p) = object["probabilities"]["broken"].as_f64() {
                assert_eq!(cells[2].parse::<f64>(), Ok(p), "{manifest}");
            }
        }
        assert_eq!(objects[2]["ignored"]["gauge"], "not finite");
        assert!(objects[0]["trust"]["photo"]["weight"].as_f64().unwrap() > 0.0);
    }
}

/// Answers of one id cannot be told apart: that is said once, and they are given all the same.
#[test]
fn an_id_that_comes_twice_is_told() {
    let mut lines = table();
    lines.truncate(4);
    let id = lines[1].split(',').next().unwrap().to_string();
    lines[3] = lines[1].clone();
    lines.push(lines[1].clone());
    write("twice.csv", &lines);
    let (_, said) = succeeds(&mut predict(folder(), "udml", "twice.csv", "twice.out.csv"));
    assert!(said.contains(&format!("twice.csv:4: `{id}` is the id of line 2 too")) && !said.contains("twice.csv:5"), "{said}");
    lines.truncate(3);
    write("once.csv", &lines);
    let (_, said) = succeeds(&mut predict(folder(), "udml", "once.csv", "once.out.csv"));
    assert!(!said.contains("is the id of line"), "{said}");
}

/// One number that is too large for the model's 32 bits costs its sensor, as in the training, and not the run.
#[test]
fn a_number_too_large_for_the_model_is_not_finite() {
    let mut lines = table();
    lines.truncate(4);
    for (line, number) in lines[1..].iter_mut().zip(["1e39", "-1e38", "1e400"]) {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells[6] = number;
        *line = cells.join(",");
    }
    write("huge.csv", &lines);
    succeeds(&mut predict(folder(), "udml", "huge.csv", "huge.out.csv"));
    let answers = std::fs::read_to_string(folder().join("huge.out.csv")).unwrap();
    assert!(answers.lines().skip(1).all(|line| line.contains(",photo+sound+note,gauge: not finite,")), "{answers}");
}

/// What a training with `on_corrupt = "absent"` takes for absent is so when the model is asked, too.
#[test]
fn cells_that_cannot_be_read_are_absent_where_that_is_asked_for() {
    let mut lines = table();
    lines.truncate(3);
    for (line, cell) in lines[1..].iter_mut().zip(["", "n.d."]) {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells[6] = cell;
        *line = cells.join(",");
    }
    write("odd.csv", &lines);
    let output = predict(folder(), "udml", "odd.csv", "odd.out.csv").output().unwrap();
    assert!(!output.status.success() && said(&output).contains("odd.csv:2:7"), "{}", said(&output));
    succeeds(predict(folder(), "udml", "odd.csv", "odd.out.csv").args(["--on-corrupt", "absent"]));
    let answers = std::fs::read_to_string(folder().join("odd.out.csv")).unwrap();
    assert!(answers.lines().skip(1).all(|line| line.contains(",photo+sound+note,gauge: absent,")), "{answers}");
}

/// A run that is killed goes on where it stopped, and ends with the bytes of one that was not.
#[test]
fn a_killed_run_is_taken_up_with_the_same_bytes() {
    let lines = table();
    let rows = (0..200).flat_map(|_| lines[1..].iter().cloned());
    let many: Vec<String> = std::iter::once(lines[0].clone()).chain(rows).collect();
    write("many.csv", &many);
    let (told, _) = succeeds(&mut predict(folder(), "mmanet", "many.csv", "whole.csv"));
    assert!(told.contains(&format!("{} rows", 200 * SAMPLES)), "{told}");
    let mut child = predict(folder(), "mmanet", "many.csv", "killed.csv").spawn().unwrap();
    let state = folder().join("killed.csv.partial.json");
    let rows = || serde_json::from_slice::<Value>(&std::fs::read(&state).ok()?).ok()?["rows"].as_u64();
    wait_for("the first rows", || rows().filter(|rows| *rows > 0).or_else(|| child.try_wait().unwrap().map(|_| 0)));
    child.kill().unwrap();
    child.wait().unwrap();
    if folder().join("killed.csv").exists() {
        println!("skipped: the run was finished before it was killed");
        return;
    }
    for ending in ["partial", "partial.json"] {
        std::fs::copy(folder().join(format!("killed.csv.{ending}")), folder().join(format!("again.csv.{ending}"))).unwrap();
    }
    // Another request does not take it up.
    assert!(fails(&mut predict(folder(), "udml", "many.csv", "killed.csv")).contains("is an interrupted run"));
    let (resumed, said) = succeeds(&mut predict(folder(), "mmanet", "many.csv", "killed.csv"));
    assert!(said.contains("rows were answered before; going on"), "{said}");
    let bytes = |name: &str| std::fs::read(folder().join(name)).unwrap();
    assert!(bytes("whole.csv") == bytes("killed.csv"));
    assert_eq!(resumed.replace("killed", "whole"), told);
    assert!(!state.exists() && !folder().join("killed.csv.partial").exists());
    // What is there is not overwritten.
    assert!(fails(&mut predict(folder(), "mmanet", "many.csv", "killed.csv")).contains("is there already"));
    std::fs::write(folder().join("mine.csv.partial"), "thesis").unwrap();
    assert!(fails(&mut predict(folder(), "mmanet", "many.csv", "mine.csv")).contains("was not written by `mm predict`"));
    assert_eq!(bytes("mine.csv.partial"), b"thesis");
    // Another file of the same size and time may be another reading.
    if cfg!(unix) {
        let (photo, new) = (folder().join("photos/000.png"), folder().join("new.png"));
        std::fs::copy(&photo, &new).unwrap();
        let time = std::fs::metadata(&photo).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&new).unwrap().set_modified(time).unwrap();
        std::fs::rename(&new, &photo).unwrap();
        assert!(fails(&mut predict(folder(), "mmanet", "many.csv", "again.csv")).contains("or other readings"));
    }
}

/// Whatever `--overwrite` says: it is about answers.
#[test]
fn files_of_others_beside_the_answers_stay() {
    let mut lines = table();
    lines.truncate(4);
    std::fs::copy(folder().join("photos/000.png"), folder().join("photos/one.csv")).unwrap();
    lines[1] = lines[1].replace("photos/000.png", "photos/one.csv");
    write("beside.csv", &lines);
    let refused = |out: &str| fails(predict(folder(), "mmanet", "beside.csv", out).arg("--overwrite"));
    for (out, name) in [("own1.csv", "own1.csv.partial"), ("own2.csv", "own2.csv.partial.json")] {
        std::fs::write(folder().join(name), "thesis").unwrap();
        let told = refused(out);
        assert!(told.contains(&format!("{name} was not written by `mm predict`")), "{told}");
        assert_eq!(std::fs::read(folder().join(name)).unwrap(), b"thesis");
    }
    #[cfg(unix)]
    {
        std::fs::write(folder().join("empty.txt"), "").unwrap();
        std::os::unix::fs::symlink("empty.txt", folder().join("own3.csv.partial")).unwrap();
        assert!(refused("own3.csv").contains("own3.csv.partial was not written by `mm predict`"));
        let device = fails(&mut predict(folder(), "mmanet", "/dev/null", "device.csv"));
        assert!(device.contains("/dev/null: is a pipe or a device, which cannot be read twice"), "{device}");
    }
    let reading = refused("photos/one.csv");
    assert!(reading.contains("`--out photos/one.csv` is a reading of the table of samples"), "{reading}");
    succeeds(&mut predict(folder(), "mmanet", "beside.csv", "own4.csv"));
    assert!(!folder().join("own4.csv.partial.json").exists());
}

#[test]
fn mistakes_in_the_table_are_named_before_anything_is_answered() {
    let lines = table();
    let with = |name: &str, change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines[..8].to_vec();
        change(&mut lines);
        write(name, &lines);
        fails(&mut predict(folder(), "udml", name, &format!("{name}.out.csv")))
    };
    let gone = with("gone.csv", &|lines| lines[7] = lines[7].replace("006.png", "999.png"));
    assert!(gone.contains("gone.csv:8:2: there is no file") && gone.contains("--on-corrupt absent"), "{gone}");
    assert!(!folder().join("gone.csv.out.csv.partial").exists() && !folder().join("gone.csv.out.csv.partial.json").exists());
    let word = with("word.csv", &|lines| lines[2] = lines[2].replace(",broken", "x,broken"));
    assert!(word.contains("word.csv:3:8:") && word.contains("is no number"), "{word}");
    let name = with("name.csv", &|lines| lines[0] = lines[0].replace(",photo,", ",foto,"));
    assert!(name.contains("name.csv:1:2: column `foto`") && name.contains("did you mean `photo`?"), "{name}");
    let start = with("start.csv", &|lines| lines[1] = lines[1].replace("takes.wav,0,", "takes.wav,one,"));
    assert!(start.contains("start.csv:2:4: `one` is no number of samples"), "{start}");
    let short = with("short.csv", &|lines| lines[4] = "m003,photos/003.png".into());
    assert!(short.contains("short.csv:5:") && short.contains("2 fields, but the header has 9"), "{short}");
    let oil = with("oil.csv", &|lines| lines[0] = lines[0].replace("gauge.oil", "gauge.oel"));
    assert!(oil.contains("there is no column `gauge.oil`"), "{oil}");
    let none = with("none.csv", &|lines| lines[0] = "id,a,b,c,d,e,f,g,label".into());
    assert!(none.contains("no column holds readings of the model's sensors"), "{none}");
    // So are mistakes in the names of columns.
    let mut picture = lines[..8].to_vec();
    picture[0] = picture[0].replace(",photo,", ",picture,");
    write("picture.csv", &picture);
    let column = |manifest: &str, given: &str| fails(predict(folder(), "udml", manifest, "column.csv").args(["--column", given]));
    let fotos = column("picture.csv", "photo=fotos");
    assert!(fotos.contains("`--column photo=fotos`: picture.csv has the columns id, picture, sound"), "{fotos}");
    let fotos = column("samples.csv", "photo=fotos");
    assert!(fotos.contains("`photo` is read from the column `fotos`, which is not there (the columns are id, photo, sound"), "{fotos}");
    let shared = column("samples.csv", "sound=photo");
    assert!(
        shared.contains("`--column sound=photo`: the sensor `photo` is read from `photo`, too; samples.csv has the columns"),
        "{shared}"
    );
    let ending = fails(&mut predict(folder(), "udml", "samples.csv", "out.txt"));
    assert!(ending.contains("use .csv or .jsonl"), "{ending}");

    // A damaged file: an error that names it and its row, or a sensor that is ignored.
    std::fs::write(folder().join("photos/bad.png"), b"\x89PNG\r\n\x1a\n no image").unwrap();
    let bad = |lines: &mut Vec<String>| lines[3] = lines[3].replace("photos/002.png", "photos/bad.png");
    let damaged = with("bad.csv", &bad);
    assert!(damaged.contains("line 4, sample `m002`") && damaged.contains("bad.png"), "{damaged}");
    let (told, _) = succeeds(predict(folder(), "udml", "bad.csv", "bad.out.csv").args(["--on-corrupt", "absent", "--overwrite"]));
    assert!(told.contains("ignored 1 times: photo: unreadable"), "{told}");
    let answers = std::fs::read_to_string(folder().join("bad.out.csv")).unwrap();
    assert!(answers.lines().nth(3).unwrap().contains("sound+note+gauge,photo: unreadable,"), "{answers}");
    let (told, _) = succeeds(predict(folder(), "udml", "gone.csv", "gone.out.csv").args(["--on-corrupt", "absent"]));
    assert!(told.contains("ignored 1 times: photo: unreadable"), "{told}");
}

/// Sensors without a column are absent; numbers are found by their names, whatever their order.
#[test]
fn a_table_may_lack_sensors_and_have_other_columns() {
    let reordered = |line: &String| {
        let cells: Vec<&str> = line.split(',').collect();
        [cells[7], cells[6], cells[0], "x"].join(",")
    };
    let lines: Vec<String> = table()[..20].iter().map(reordered).collect();
    write("gauges.csv", &lines);
    let (told, remarks) = succeeds(&mut predict(folder(), "mmanet", "gauges.csv", "gauges.out.csv"));
    assert!(remarks.contains("no column for photo, sound, note: absent in every row"), "{remarks}");
    assert!(remarks.contains("columns that are not read: x"), "{remarks}");
    assert!(!told.contains("accuracy") && told.contains("gauge"), "{told}");
    // The same rows in the order of the training.
    let ordered: Vec<String> =
        table()[..20].iter().map(|line| line.split(',').collect::<Vec<_>>()).map(|c| [c[0], c[6], c[7]].join(",")).collect();
    write("ordered.csv", &ordered);
    succeeds(&mut predict(folder(), "mmanet", "ordered.csv", "ordered.out.csv"));
    let read = |name: &str| std::fs::read_to_string(folder().join(name)).unwrap();
    assert_eq!(read("gauges.out.csv"), read("ordered.out.csv"));
    // Other names of columns.
    let renamed: Vec<String> =
        ordered.iter().enumerate().map(|(i, line)| if i == 0 { "who,g.oil,g.heat".into() } else { line.clone() }).collect();
    write("renamed.csv", &renamed);
    succeeds(predict(folder(), "mmanet", "renamed.csv", "renamed.out.csv").args(["--column", "gauge=g", "--id", "who"]));
    assert_eq!(read("renamed.out.csv"), read("ordered.out.csv"));
}

#[test]
fn tables_of_numbers_are_trained_on_and_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("name,weight,length,kind\n");
    for i in 0..60 {
        let x = (i * 37 % 23) as f64 / 23.0;
        table += &format!("{i},{},{},{}\n", f64::from(i % 2) + 0.3 * x, 5.0 - f64::from(i % 2) - x, ["owl", "wren"][i as usize % 2]);
    }
    std::fs::write(folder.path().join("birds.csv"), &table).unwrap();
    let card = "name = \"birds\"\nid = \"name\"\nlabel = \"kind\"\n[split]\ntrain = 0.6\nvalidation = 0.2\ntest = 0.2\n
[[view]]\nmodality = \"weight\"\nfile = \"birds.csv\"\ncolumns = [\"weight\"]\n
[[view]]\nmodality = \"rule\"\nfile = \"birds.csv\"\ncolumns = [\"length\"]\n";
    std::fs::write(folder.path().join("birds.toml"), card).unwrap();
    let arguments = ["train", "birds.toml", "--method", "modality-dropout", "--epochs", "80", "--out", "birds"];
    succeeds(mm().current_dir(folder.path()).args(arguments));
    // The very table of the training, whose columns have no sensor's name: the model knows them.
    let (told, _) = succeeds(&mut predict(folder.path(), "birds", "birds.csv", "answers.csv"));
    assert!(told.contains("weight+rule") && told.contains("accuracy"), "{told}");
    let answers = std::fs::read_to_string(folder.path().join("answers.csv")).unwrap();
    let right = answers.lines().skip(1).filter(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        cells[1] == ["owl", "wren"][cells[0].parse::<usize>().unwrap() % 2]
    });
    assert!(right.count() >= 55, "{answers}");
}

/// A recording of two seconds whose second half vibrates.
fn recording(folder: &Path, name: &str, steps: usize, fast_from: usize) {
    let value = |i: usize| if i >= fast_from { (i as f64 * 2.0).sin() } else { (i as f64 * 0.2).sin() };
    let lines: String = (0..steps).map(|i| format!("{:.4}\n", value(i + name.len()))).collect();
    std::fs::write(folder.join(name), format!("x\n{lines}")).unwrap();
}

#[test]
fn a_model_of_windows_answers_for_each_window_of_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut rows = String::from("id,motion,label,part\n");
    for i in 0..24 {
        let (name, fast) = (format!("{}.csv", "r".repeat(i + 1)), i % 2 == 1);
        recording(folder.path(), &name, 96, if fast { 0 } else { 96 });
        rows += &format!("r{i},{name},{},{}\n", if fast { "fast" } else { "slow" }, if i < 16 { "train" } else { "test" });
    }
    std::fs::write(at("samples.csv"), rows).unwrap();
    let card = "name = \"motion\"\nmanifest = \"samples.csv\"\npart = \"part\"\n[windows]\nlength = 32\nshort = \"drop\"\n\
                [[modality]]\nname = \"motion\"\nkind = \"series\"\nchannels = 1\nsteps = 32\n";
    std::fs::write(at("card.toml"), card).unwrap();
    let train = ["train", "card.toml", "--method", "full-only", "--epochs", "10", "--out", "model"];
    succeeds(mm().current_dir(folder.path()).args(train));

    // Slow for 64 steps, then fast; 20 steps behind the last window, and a recording that is too short.
    recording(folder.path(), "long.csv", 148, 64);
    recording(folder.path(), "short.csv", 20, 0);
    recording(folder.path(), "one.csv", 32, 0);
    std::fs::write(
        at("asked.csv"),
        "id,motion,motion.start,motion.length\nlong,long.csv,,\nshort,short.csv,,\none,one.csv,,\npart,long.csv,64,32\n",
    )
    .unwrap();
    let (_, said) = succeeds(&mut predict(folder.path(), "model", "asked.csv", "answers.csv"));
    assert!(said.contains("1 recordings are shorter than a window of the model"), "{said}");
    let answers = std::fs::read_to_string(at("answers.csv")).unwrap();
    let answers: Vec<Vec<&str>> = answers.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let told: Vec<_> = answers.iter().map(|fields| (fields[0], fields[1])).collect();
    let expected = [("long@0", "slow"), ("long@32", "slow"), ("long@64", "fast"), ("long@96", "fast"), ("one", "fast"), ("part", "fast")];
    assert_eq!(told, expected);
    // The same window, asked for by itself.
    assert_eq!(answers[2][1..], answers[5][1..]);

    std::fs::write(at("asked.csv"), "id,motion\nshort,short.csv\n").unwrap();
    assert!(fails(&mut predict(folder.path(), "model", "asked.csv", "none.csv")).contains("no recording is as long as a window"));
}
